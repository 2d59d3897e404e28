//! What can go wrong inside the local store, before it has the words and the path of a
//! [`StateError`].

use std::any::Any;
use std::io;

use crate::state::StateError;
use crate::state::codec::CodecError;

/// A failure of one operation.
#[derive(Debug)]
pub(super) enum Failure {
    Store(redb::Error),
    /// Stored content contradicts itself.
    Damaged(String),
    /// redb panicked over the file; the panic's words.
    Panicked(String),
    /// A stored value cannot be decoded; the first says which.
    Stored(String, CodecError),
    /// A value to be stored cannot be encoded.
    Unfit(CodecError),
    /// Already in its final words.
    State(StateError),
}

/// redb's errors are many types that all convert into one.
impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl Failure {
    /// A panic of redb over a damaged file.
    pub(super) fn panicked(payload: &(dyn Any + Send)) -> Self {
        let words = payload
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| payload.downcast_ref::<&str>().copied())
            .unwrap_or("no reason given");
        Self::Panicked(words.to_owned())
    }

    /// True when the open database may be of no further use and has to be opened again.
    pub(super) fn breaks_database(&self) -> bool {
        match self {
            Self::Store(_) | Self::Panicked(_) => true,
            Self::Damaged(_) | Self::Stored(..) | Self::Unfit(_) | Self::State(_) => false,
        }
    }

    pub(super) fn at(self, path: &str) -> StateError {
        let path = path.to_owned();
        match self {
            Self::State(error) => error,
            Self::Damaged(what) => StateError::Damaged { path, what },
            Self::Panicked(words) => StateError::Damaged {
                path,
                what: format!("the store gave up on its content: {words}"),
            },
            Self::Stored(_, CodecError::Newer { found, supported }) => StateError::Newer {
                path,
                found: found.into(),
                supported: supported.into(),
            },
            Self::Stored(which, error) => StateError::Damaged {
                path,
                what: format!("{which}: {error}"),
            },
            Self::Unfit(error) => StateError::Io {
                path,
                what: format!("a value cannot be stored: {error}"),
            },
            Self::Store(error) => store_error(error, path),
        }
    }
}

fn store_error(error: redb::Error, path: String) -> StateError {
    use redb::Error as E;
    match error {
        E::DatabaseAlreadyOpen | E::LockProtocolMismatch => StateError::Locked { path },
        E::Corrupted(what) => StateError::Damaged { path, what },
        // No header of a store, or a file that ends before its content does.
        E::Io(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            StateError::Damaged {
                path,
                what: format!("it is no state file or was cut short ({error})"),
            }
        }
        E::Io(error) => StateError::Io {
            path,
            what: error.to_string(),
        },
        E::PreviousIo | E::DatabaseClosed => StateError::Io {
            path,
            what: "an earlier read or write failed; it is opened again at the next use".to_owned(),
        },
        error @ (E::TableTypeMismatch { .. }
        | E::TypeDefinitionChanged { .. }
        | E::TableDoesNotExist(_)
        | E::TableIsMultimap(_)
        | E::UpgradeRequired(_)) => StateError::Damaged {
            path,
            what: format!("it is no psiren state: {error}"),
        },
        error => StateError::Io {
            path,
            what: error.to_string(),
        },
    }
}
