//! Why a check cannot be done, and the exit code that says so.

use crate::cli::{CONFIG, SURROUNDINGS, USAGE};
use crate::config::ConfigError;
use crate::reference::ReferenceError;
use crate::source::file::FileError;
use crate::text::counted;

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
        .timestamp.as_ref().map(|field| format!("; event time was looked for in {field:?}, --timestamp names another field")).unwrap_or_default()
    )]
    NothingCounted {
        name: String,
        tally: String,
        timestamp: Option<String>,
    },
    #[error(
        "{name} has none of the reference's {} ({}); its fields are {}; is it the right file, or is `path` \
         to be set for them in a monitor (--config)?",
        counted(.expected.len() as u64, "feature"),
        listed(.expected),
        listed(.found)
    )]
    NothingInCommon {
        name: String,
        expected: Vec<String>,
        found: Vec<String>,
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

/// The first few names.
fn listed(names: &[String]) -> String {
    const NAMED: usize = 8;
    let shown = names.iter().take(NAMED).map(String::as_str);
    let more = names.len().saturating_sub(NAMED);
    let more = (more > 0).then(|| format!("and {more} more"));
    let all: Vec<&str> = shown.chain(more.as_deref()).collect();
    match all.is_empty() {
        true => "none".to_owned(),
        false => all.join(", "),
    }
}
