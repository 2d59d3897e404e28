//! The reference: Parquet columns → edges, categories and counts; a versioned profile.
//!
//! ```text
//! ParquetFile ─ columns::plan ─▶ Wanted ─ ParquetFile::read ─▶ ColumnValues ─ build ─▶ FeatureReference
//!   ─▶ Profile ─ save / load ─▶ JSON
//! ```
//!
//! [`load`] takes either a Parquet file, which it turns into a profile in memory, or a profile; it
//! tells them apart by their first bytes. A feature that cannot be watched is a problem in words
//! and does not stop the others, unless `strict`.

mod assemble;
pub mod build;
pub mod categories;
pub mod columns;
mod error;
pub mod identifiers;
mod parallel;
pub mod parquet;
pub mod profile;
mod profile_check;
pub mod quantile;
mod time;

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::{BinningConfig, FeatureConfig, MonitorConfig};
use parquet::ParquetFile;

pub use error::ReferenceError;
pub use profile::{LeftOut, Profile, ProfileFeature};

/// Which columns become features, and how.
#[derive(Debug, Clone, Default)]
pub struct LoadOptions {
    /// Globs over column names; empty is every column.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    /// Gives the event-time span and is no feature. It need not exist.
    pub timestamp_column: Option<String>,
    pub binning: BinningConfig,
    /// What single features have of their own; each is watched.
    pub features: Vec<FeatureConfig>,
    /// A feature that cannot be watched is an error.
    pub strict: bool,
    /// A stored profile keeps its own buckets, whatever is said here about buckets.
    pub as_built: bool,
}

impl From<&MonitorConfig> for LoadOptions {
    fn from(config: &MonitorConfig) -> Self {
        Self {
            include: config.include.clone(),
            exclude: config.exclude.clone(),
            timestamp_column: config.timestamp.as_ref().map(|t| t.path.join(".")),
            binning: config.binning.clone(),
            features: config.features.clone(),
            strict: config.strict,
            as_built: false,
        }
    }
}

/// The reference at `path`: a Parquet file, built in memory, or a profile, held against `options`.
/// What is built does not name its source, whose every byte would have to be hashed.
///
/// # Errors
/// The file is missing, empty or corrupt; a configured column is not in it; a profile was built
/// with other buckets than configured; no feature is left; `strict` and a feature has a problem.
pub fn load(path: &Path, options: &LoadOptions) -> Result<Profile, ReferenceError> {
    match Content::of(path)? {
        Content::Parquet => assemble::from_parquet(&open(&[path.to_owned()])?, options),
        Content::Json => assemble::from_profile(path, Profile::load(path)?, options),
    }
}

/// A profile of the rows of all `paths`, which are Parquet files with the same columns, and which it
/// names.
///
/// # Errors
/// As [`load`].
pub fn build(paths: &[PathBuf], options: &LoadOptions) -> Result<Profile, ReferenceError> {
    let files = open(paths)?;
    let profile = assemble::from_parquet(&files, options)?;
    let sources = files.iter().map(assemble::source);
    Ok(Profile {
        sources: sources.collect::<Result<_, _>>()?,
        ..profile
    })
}

fn open(paths: &[PathBuf]) -> Result<Vec<ParquetFile>, ReferenceError> {
    paths.iter().map(|path| ParquetFile::open(path)).collect()
}

/// The profile at `path` as it is, or what a Parquet file gives with the default options.
///
/// # Errors
/// As [`load`].
pub fn inspect(path: &Path) -> Result<Profile, ReferenceError> {
    match Content::of(path)? {
        Content::Parquet => build(&[path.to_owned()], &LoadOptions::default()),
        Content::Json => Profile::load(path),
    }
}

enum Content {
    Parquet,
    Json,
}

impl Content {
    fn of(path: &Path) -> Result<Self, ReferenceError> {
        let mut head = Vec::new();
        parquet::open_file(path)?
            .take(64)
            .read_to_end(&mut head)
            .map_err(|e| ReferenceError::unreadable(path, &e))?;
        if head.is_empty() {
            return Err(ReferenceError::corrupt(path, "the file has no bytes"));
        }
        if head.starts_with(b"PAR1") || head.starts_with(b"PARE") {
            return Ok(Self::Parquet);
        }
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&head);
        if text.trim_ascii_start().starts_with(b"{") {
            return Ok(Self::Json);
        }
        Err(ReferenceError::corrupt(
            path,
            "it begins neither with PAR1, as Parquet does, nor with {, as a profile does",
        ))
    }
}
