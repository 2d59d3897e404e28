//! The profile: a reference as versioned JSON for people and programs.
//!
//! It holds everything drift needs of the reference and nothing of its rows. Lists are written on
//! one line, objects one key a line. [`Profile::load`] checks all that other code relies on, so a
//! damaged or hand-edited profile is an error with words and never a panic or a NaN.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::ser::{Formatter, PrettyFormatter};

use super::error::ReferenceError;
use super::profile_check;
use crate::config::{BinningConfig, EdgeRule};
use crate::drift::{Binning, FeatureReference, ReferenceProfile};
use crate::replace::replace;

/// The version this program writes and reads.
pub const PROFILE_VERSION: u32 = 1;

/// A reference with where it came from and what was left out of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    pub version: u32,
    /// The program that wrote it.
    pub psiren: String,
    /// RFC 3339, UTC.
    pub built_at: String,
    pub rows: u64,
    /// The files it was built from; none where it is built in memory only, for a monitor.
    pub sources: Vec<Source>,
    /// When a timestamp column was given and has values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_time: Option<EventTimeSpan>,
    /// In the order of the reference's columns.
    pub features: Vec<ProfileFeature>,
    /// Columns that are not watched by rule or by wish.
    #[serde(default)]
    pub left_out: Vec<LeftOut>,
    /// Columns that should be watched and cannot be.
    #[serde(default)]
    pub problems: Vec<LeftOut>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    pub path: String,
    /// Of the file's bytes, in hexadecimal.
    pub sha256: String,
    pub rows: u64,
}

/// From the first to the last row's time, RFC 3339, UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTimeSpan {
    pub column: String,
    pub from: String,
    pub to: String,
}

/// A column that is not watched, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    pub column: String,
    pub reason: String,
}

/// One feature of a profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProfileFeature {
    #[serde(flatten)]
    pub reference: FeatureReference,
    /// The column's type in the file.
    pub data_type: String,
    /// What the buckets were made from; absent for a categorical feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built_with: Option<BuiltWith>,
    /// What a person should know about this feature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// The rule numeric edges came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "edges", rename_all = "lowercase", deny_unknown_fields)]
pub enum BuiltWith {
    Quantile { buckets: usize },
    Uniform { buckets: usize },
    Explicit,
}

impl From<&EdgeRule> for BuiltWith {
    fn from(rule: &EdgeRule) -> Self {
        match rule {
            EdgeRule::Quantile { buckets } => Self::Quantile { buckets: *buckets },
            EdgeRule::Uniform { buckets } => Self::Uniform { buckets: *buckets },
            EdgeRule::Explicit(_) => Self::Explicit,
        }
    }
}

impl std::fmt::Display for BuiltWith {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Quantile { buckets } => write!(f, "{buckets} quantile buckets"),
            Self::Uniform { buckets } => write!(f, "{buckets} uniform buckets"),
            Self::Explicit => f.write_str("explicit edges"),
        }
    }
}

impl Profile {
    /// Reads and checks a profile.
    ///
    /// # Errors
    /// The file is missing, is no profile, is of another version, or contradicts itself.
    pub fn load(path: &Path) -> Result<Self, ReferenceError> {
        let bytes = fs::read(path).map_err(|e| ReferenceError::unreadable(path, &e))?;
        Self::parse(path, &bytes)
    }

    /// Reads and checks a profile's bytes; `path` is for the error's text.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ReferenceError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: Option<u64>,
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        if is_rows(bytes) {
            return Err(ReferenceError::corrupt(path, "it holds rows as NDJSON"));
        }
        let what = |e: serde_json::Error| ReferenceError::profile(path, format!("is damaged: {e}"));
        match serde_json::from_slice::<Versioned>(bytes)
            .map_err(what)?
            .version
        {
            Some(version) if version == u64::from(PROFILE_VERSION) => {}
            Some(found) => {
                return Err(ReferenceError::Version {
                    path: path.to_owned(),
                    found,
                    supported: PROFILE_VERSION,
                });
            }
            None => {
                let what = "has no \"version\", so it is no profile of psiren";
                return Err(ReferenceError::profile(path, what));
            }
        }
        let profile: Self = serde_json::from_slice(bytes).map_err(what)?;
        profile_check::check(&profile).map_err(|what| ReferenceError::profile(path, what))?;
        Ok(profile)
    }

    /// The profile as JSON, ending in a newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut bytes = Vec::new();
        let mut serializer =
            serde_json::Serializer::with_formatter(&mut bytes, Readable::default());
        self.serialize(&mut serializer)
            .expect("strings, integers and finite floats always serialize");
        bytes.push(b'\n');
        String::from_utf8(bytes).expect("serde_json writes UTF-8")
    }

    /// Writes the profile; a file of that name is replaced in one step, a device is written to.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        replace(path, self.to_json().as_bytes())
    }

    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&ProfileFeature> {
        self.features.iter().find(|f| f.reference.name == name)
    }

    /// What the drift core needs of it.
    #[must_use]
    pub fn reference(&self) -> ReferenceProfile {
        ReferenceProfile {
            rows: self.rows,
            features: self.features.iter().map(|f| f.reference.clone()).collect(),
        }
    }
}

impl ProfileFeature {
    /// How this feature differs from what `rule` would build, in words; `None` when it does not.
    #[must_use]
    pub fn differs_from(&self, rule: &BinningConfig) -> Option<String> {
        match &self.reference.binning {
            Binning::Categorical { categories, pooled } => {
                let wanted = rule.max_categories.min(categories.len() + pooled.len());
                (categories.len() != wanted).then(|| {
                    format!(
                        "was built with {} categories, and max_categories = {} is configured",
                        categories.len(),
                        rule.max_categories
                    )
                })
            }
            Binning::Numeric {
                edges,
                closed,
                float32,
            } => {
                let wanted = BuiltWith::from(&rule.edges);
                if self.built_with.is_some_and(|built| built != wanted) {
                    let built = self.built_with.map(|b| b.to_string()).unwrap_or_default();
                    return Some(format!(
                        "was built with {built}, and {wanted} are configured"
                    ));
                }
                if let EdgeRule::Explicit(wanted) = &rule.edges
                    && super::build::explicit_edges(wanted, *float32).as_ref() != Ok(edges)
                {
                    return Some(format!(
                        "was built with edges {edges:?}, and {wanted:?} are configured"
                    ));
                }
                (*closed != rule.closed).then(|| {
                    format!(
                        "was built closed = {closed:?}, and {:?} is configured",
                        rule.closed
                    )
                    .to_lowercase()
                })
            }
        }
    }
}

/// Whether the first line is an object by itself and more follow: a profile has one object on many.
fn is_rows(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let is_object = |line: &[u8]| {
        let object = serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(line);
        object.is_ok()
    };
    let first = lines.next().is_some_and(is_object);
    first && lines.any(|line| !line.trim_ascii().is_empty())
}

/// JSON with one key a line and lists on one line.
#[derive(Default)]
struct Readable {
    objects: PrettyFormatter<'static>,
}

impl Formatter for Readable {
    fn begin_array_value<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        to.write_all(if first { b"" } else { b", " })
    }

    fn begin_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.objects.begin_object(to)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, to: &mut W, first: bool) -> io::Result<()> {
        self.objects.begin_object_key(to, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.objects.begin_object_value(to)
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.objects.end_object_value(to)
    }

    fn end_object<W: ?Sized + Write>(&mut self, to: &mut W) -> io::Result<()> {
        self.objects.end_object(to)
    }
}

#[cfg(test)]
#[path = "profile_tests.rs"]
mod tests;
