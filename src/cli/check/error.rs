//! Why a check cannot be done, and the exit code that says so.

use crate::cli::{CONFIG, SURROUNDINGS, USAGE};
use crate::config::ConfigError;
use crate::reference::ReferenceError;
use crate::source::file::FileError;

/// Why a check cannot be done.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The arguments do not fit together.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error(transparent)]
    Input(#[from] FileError),
    #[error(
        "{name} has nothing to check: {tally}{}",
        .timestamp.as_ref().map(|field| format!("; event time was looked for in {field:?}")).unwrap_or_default()
    )]
    NothingCounted {
        name: String,
        tally: String,
        timestamp: Option<String>,
    },
    #[error("feature {feature:?} has no PSI: the window holds no values of it")]
    NoValue { feature: String },
    #[error("cannot write {name}")]
    Output {
        name: String,
        source: std::io::Error,
    },
}

impl CheckError {
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Output { .. } => SURROUNDINGS,
            Self::Usage(_) => USAGE,
            _ => CONFIG,
        }
    }
}
