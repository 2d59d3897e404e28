//! Which format a file has.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::FileError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Parquet,
    /// One JSON object per line.
    Ndjson,
    /// Comma-separated, with a header row.
    Csv,
    /// Tab-separated, with a header row.
    Tsv,
}

impl Format {
    /// By the ending of the name, a `.gz` at its end aside.
    pub(super) fn by_name(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_string_lossy().to_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "parquet" | "pq" => Some(Self::Parquet),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "tsv" => Some(Self::Tsv),
            _ => None,
        }
    }

    /// By the first bytes of a text, where the name says nothing.
    pub(super) fn by_content(
        name: &str,
        expected: Option<Self>,
        start: &[u8],
    ) -> Result<Self, FileError> {
        let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start);
        let first = text.trim_ascii_start().first().copied();
        match (expected, first) {
            (Some(Self::Ndjson) | None, Some(b'[')) => Err(FileError::JsonArray {
                name: name.to_owned(),
            }),
            (Some(format), _) => Ok(format),
            (None, Some(b'{')) => Ok(Self::Ndjson),
            (None, found) => Err(FileError::Unknown {
                name: name.to_owned(),
                found: match found {
                    None => "it is empty".to_owned(),
                    Some(byte) => format!("it begins with byte 0x{byte:02x}"),
                },
            }),
        }
    }

    pub(super) fn is_csv(self) -> bool {
        matches!(self, Self::Csv | Self::Tsv)
    }

    pub(super) fn delimiter(self) -> u8 {
        match self {
            Self::Tsv => b'\t',
            _ => b',',
        }
    }
}

/// Looks at the first bytes of `file` and goes back to its start.
pub(super) fn is_parquet(mut file: &File) -> io::Result<bool> {
    // A pipe cannot go back, and Parquet cannot be read from one.
    if !file.metadata()?.is_file() {
        return Ok(false);
    }
    let mut magic = Vec::new();
    file.take(4).read_to_end(&mut magic)?;
    file.rewind()?;
    Ok(magic == b"PAR1")
}

/// The text behind `content`, which may be gzipped, several members included.
pub(super) fn decompressed(mut content: Box<dyn BufRead>) -> io::Result<Box<dyn BufRead>> {
    if content.fill_buf()?.starts_with(b"\x1f\x8b") {
        return Ok(Box::new(BufReader::with_capacity(
            64 * 1024,
            MultiGzDecoder::new(content),
        )));
    }
    Ok(content)
}
