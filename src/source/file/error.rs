//! Why a file of rows cannot be read.

use std::io::ErrorKind;

/// Why a file of rows cannot be read. Each text names the file, what was found and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {name}: {what}")]
    Unreadable { name: String, what: String },
    #[error("{name} is damaged: {what}")]
    Corrupt { name: String, what: String },
    #[error(
        "cannot tell what {name} holds: {found}; expected Parquet, NDJSON (one object per line, \
         also gzipped) or CSV; name it .parquet, .ndjson, .ndjson.gz or .csv accordingly"
    )]
    Unknown { name: String, found: String },
    #[error(
        "{name} is one JSON array; expected NDJSON, one object per line: \
         write it so, for instance by `jq -c '.[]'`"
    )]
    JsonArray { name: String },
    #[error("{name} has no header row; expected the names of the columns in the first line")]
    NoHeader { name: String },
    #[error("{name} line {line}: found {found} fields, expected {expected} as in the header")]
    FieldCount {
        name: String,
        line: u64,
        found: u64,
        expected: u64,
    },
    #[error(
        "{name}: column {column:?} is of type {data_type}, which has no JSON form; leave it out"
    )]
    NoJson {
        name: String,
        column: String,
        data_type: String,
    },
}

impl FileError {
    pub(super) fn unreadable(name: &str, error: &std::io::Error) -> Self {
        Self::Unreadable {
            name: name.to_owned(),
            what: match error.kind() {
                ErrorKind::NotFound => {
                    "there is no such file; is the path right, seen from the working directory?"
                        .to_owned()
                }
                _ => error.to_string(),
            },
        }
    }

    pub(super) fn corrupt(name: &str, what: impl ToString) -> Self {
        Self::Corrupt {
            name: name.to_owned(),
            what: what.to_string(),
        }
    }
}
