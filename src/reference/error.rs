//! Why a reference cannot be used.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::profile::LeftOut;

const NO_FILE: &str = "there is no such file; is the path right? On the command line it is relative to \
                       the working directory, in a configuration to the folder of that file";

/// Why a reference cannot be used. Each text names the file, what was found and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ReferenceError {
    #[error("cannot read the reference {}: {what}", path.display())]
    Unreadable { path: PathBuf, what: String },
    #[error(
        "the reference {} is not usable: {what}; write the file again, as Parquet or with `psiren reference build`",
        path.display()
    )]
    Corrupt { path: PathBuf, what: String },
    #[error("the reference {} has no rows; a reference needs the rows the model was built on", path.display())]
    Empty { path: PathBuf },
    #[error("the profile {}: {what}; build it again with `psiren reference build`", path.display())]
    Profile { path: PathBuf, what: String },
    #[error(
        "the profile {} has version {found}, this psiren reads version {supported}; build it again with `psiren reference build`, or use the psiren that wrote it",
        path.display()
    )]
    Version {
        path: PathBuf,
        found: u64,
        supported: u32,
    },
    #[error(
        "the profile {} does not fit the configuration: feature {feature:?} {what}; rebuild the profile (`psiren reference build --config …` does it as configured), or change the configuration",
        path.display()
    )]
    Mismatch {
        path: PathBuf,
        feature: String,
        what: String,
    },
    #[error(
        "the reference {} has no column {column:?}, which {wanted_by} asks for{}; its columns are {}",
        path.display(),
        nearest.as_ref().map(|n| format!(" (did you mean {n:?}?)")).unwrap_or_default(),
        listed(columns)
    )]
    UnknownColumn {
        path: PathBuf,
        column: String,
        /// What names the column: `feature "x"`, `include`.
        wanted_by: String,
        nearest: Option<String>,
        columns: Vec<String>,
    },
    #[error("{option} has the pattern {pattern:?}, which is no glob: {what}")]
    Pattern {
        option: &'static str,
        pattern: String,
        what: String,
    },
    #[error(
        "the reference {} has features that cannot be watched, and strict is set:\n{}",
        path.display(),
        lines(problems)
    )]
    Strict {
        path: PathBuf,
        problems: Vec<LeftOut>,
    },
    #[error(
        "the reference {} has no feature to watch:\n{}",
        path.display(),
        lines(reasons)
    )]
    NoFeatures {
        path: PathBuf,
        reasons: Vec<LeftOut>,
    },
}

impl ReferenceError {
    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            what: match error.kind() {
                ErrorKind::NotFound => NO_FILE.to_owned(),
                _ => error.to_string(),
            },
        }
    }

    pub(super) fn corrupt(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }

    pub(super) fn profile(path: &Path, what: impl std::fmt::Display) -> Self {
        Self::Profile {
            path: path.to_owned(),
            what: what.to_string(),
        }
    }

    pub(super) fn unknown_column(
        path: &Path,
        column: &str,
        wanted_by: String,
        columns: Vec<String>,
    ) -> Self {
        Self::UnknownColumn {
            path: path.to_owned(),
            column: column.to_owned(),
            wanted_by,
            nearest: nearest(column, &columns),
            columns,
        }
    }
}

/// The name most like `wanted`, when one is like it.
fn nearest(wanted: &str, names: &[String]) -> Option<String> {
    let likeness =
        |name: &String| strsim::jaro_winkler(&wanted.to_lowercase(), &name.to_lowercase());
    names
        .iter()
        .map(|name| (likeness(name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name.clone())
}

/// All names, or the first of many.
fn listed(names: &[String]) -> String {
    const NAMED: usize = 20;
    match names.len().checked_sub(NAMED) {
        Some(more @ 1..) => format!("{} and {more} more", names[..NAMED].join(", ")),
        _ => names.join(", "),
    }
}

fn lines(reasons: &[LeftOut]) -> String {
    reasons
        .iter()
        .map(|r| format!("  {}: {}", r.column, r.reason))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_column_names_the_nearest_and_all_others() {
        let columns = vec!["dep_delay".to_owned(), "carrier".to_owned()];
        let error = ReferenceError::unknown_column(
            Path::new("r.parquet"),
            "dep_dely",
            "feature \"x\"".into(),
            columns,
        );
        assert_eq!(
            error.to_string(),
            "the reference r.parquet has no column \"dep_dely\", which feature \"x\" asks for \
             (did you mean \"dep_delay\"?); its columns are dep_delay, carrier"
        );
    }
}
