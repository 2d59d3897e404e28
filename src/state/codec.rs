//! Stored values as bytes and back. Pure: no I/O.
//!
//! ```text
//! [version u8][CRC-32 of version and payload, 4 bytes little endian][payload: one zstd frame]
//! ```
//!
//! The first five bytes mean the same in every version, so that a value of a newer version is told
//! from a damaged one. Decoding never panics and never allocates more than [`MAX_BYTES`] for the
//! uncompressed form.

use std::cell::RefCell;

use serde::Serialize;
use serde::de::DeserializeOwned;
use zstd::bulk::{Compressor, Decompressor};

use super::older::UnitStateV1;
use super::{CountsIdentity, EvaluatorState, LogEntry, UnitState};
use crate::drift::Pane;

/// Greatest uncompressed size of a value, both ways: what cannot be read is not written.
pub const MAX_BYTES: usize = 256 << 20;

const HEADER: usize = 5;
const LEVEL: i32 = 1;

/// How a value is spelt under the compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Varints without names: compact, and any change of shape is a new version.
    Postcard,
    /// Names and text: fields may be added, and people can read it with common tools.
    Json,
}

/// A type that is stored.
///
/// Counts are rewritten all the time and bounded in number, so they are compact. Reports and
/// evaluator state live for weeks, through upgrades of the program that add fields, so they are
/// JSON.
pub trait Record: Serialize + DeserializeOwned {
    /// Raised when bytes of the version before can no longer be read as this type.
    const VERSION: u8 = 1;
    const FORM: Form;

    /// The value that `plain`, the uncompressed bytes of an older version, stands for today.
    ///
    /// # Errors
    /// [`CodecError::Older`] for a version that is no longer read.
    fn from_older(version: u8, _plain: &[u8]) -> Result<Self, CodecError> {
        Err(CodecError::Older { found: version })
    }
}

impl Record for UnitState {
    const VERSION: u8 = 2;
    const FORM: Form = Form::Postcard;

    fn from_older(version: u8, plain: &[u8]) -> Result<Self, CodecError> {
        match version {
            1 => Ok(from_postcard::<UnitStateV1>(plain)?.into()),
            _ => Err(CodecError::Older { found: version }),
        }
    }
}

impl Record for Pane {
    const FORM: Form = Form::Postcard;
}

impl Record for EvaluatorState {
    const FORM: Form = Form::Json;
}

impl Record for LogEntry {
    const FORM: Form = Form::Json;
}

impl Record for CountsIdentity {
    const FORM: Form = Form::Json;
}

/// Why bytes are no value, or a value has no bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("{found} bytes are too few for a value")]
    Short { found: usize },
    #[error("its checksum does not match")]
    Checksum,
    #[error("it has format {found}, this program reads up to {supported}")]
    Newer { found: u8, supported: u8 },
    #[error("it has format {found}, which this program no longer reads")]
    Older { found: u8 },
    #[error("it is larger than {MAX_BYTES} bytes uncompressed")]
    TooLarge,
    #[error("its content cannot be read: {what}")]
    Content { what: String },
}

fn content(error: impl ToString) -> CodecError {
    CodecError::Content {
        what: error.to_string(),
    }
}

thread_local! {
    // A zstd context costs far more to make than to use on a small value.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The bytes of `record`.
///
/// # Errors
/// [`CodecError::TooLarge`], or [`CodecError::Content`] when it cannot be serialised.
pub fn encode<R: Record>(record: &R) -> Result<Vec<u8>, CodecError> {
    let plain = match R::FORM {
        Form::Postcard => postcard::to_stdvec(record).map_err(content)?,
        Form::Json => serde_json::to_vec(record).map_err(content)?,
    };
    if plain.len() > MAX_BYTES {
        return Err(CodecError::TooLarge);
    }
    let payload = compress(&plain)?;
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.push(R::VERSION);
    bytes.extend(checksum(R::VERSION, &payload).to_le_bytes());
    bytes.extend(payload);
    Ok(bytes)
}

/// The record in `bytes`, all of them.
///
/// # Errors
/// Anything but exactly what [`encode`] gives is an error.
pub fn decode<R: Record>(bytes: &[u8]) -> Result<R, CodecError> {
    let Some(([version, crc @ ..], payload)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(CodecError::Short { found: bytes.len() });
    };
    if u32::from_le_bytes(*crc) != checksum(*version, payload) {
        return Err(CodecError::Checksum);
    }
    if *version > R::VERSION {
        return Err(CodecError::Newer {
            found: *version,
            supported: R::VERSION,
        });
    }
    let plain = decompress(payload)?;
    if *version < R::VERSION {
        return R::from_older(*version, &plain);
    }
    match R::FORM {
        Form::Json => serde_json::from_slice(&plain).map_err(content),
        Form::Postcard => from_postcard(&plain),
    }
}

fn from_postcard<T: DeserializeOwned>(plain: &[u8]) -> Result<T, CodecError> {
    match postcard::take_from_bytes(plain).map_err(content)? {
        (record, []) => Ok(record),
        (_, rest) => Err(content(format!("{} bytes follow its end", rest.len()))),
    }
}

fn checksum(version: u8, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[version]);
    hasher.update(payload);
    hasher.finalize()
}

fn compress(plain: &[u8]) -> Result<Vec<u8>, CodecError> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => slot.insert(Compressor::new(LEVEL).map_err(content)?),
        };
        compressor.compress(plain).map_err(content)
    })
}

fn decompress(payload: &[u8]) -> Result<Vec<u8>, CodecError> {
    if Decompressor::upper_bound(payload).is_none_or(|size| size > MAX_BYTES) {
        return Err(CodecError::TooLarge);
    }
    DECOMPRESSOR.with_borrow_mut(|slot| {
        let decompressor = match slot {
            Some(decompressor) => decompressor,
            None => slot.insert(Decompressor::new().map_err(content)?),
        };
        decompressor.decompress(payload, MAX_BYTES).map_err(content)
    })
}

#[cfg(test)]
mod tests;
