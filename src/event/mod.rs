//! One event's bytes → the cells its values count in, and its event time.
//!
//! Pure: no I/O and no clock. What is looked at is fixed by an [`EventSchema`]; everything else in
//! an event is skipped. What an event means, decided here once for every source:
//!
//! - A path leads through objects by key and through lists by index (`items.0.price`). Absent or
//!   null anywhere on the way is missing. A scalar where an object or list should be, or a list
//!   where a key is asked for, is invalid as what was found.
//! - A numeric feature takes JSON numbers only. A categorical one takes strings, booleans and
//!   integers by their text; a number with a fraction or exponent, or beyond 64 bits, is invalid.
//! - Of a repeated key the last occurrence counts, with all that is under it.
//! - `NaN`, `Infinity`, `-Infinity` and numbers beyond `f64` (`1e999`) are missing; JSON that has
//!   any other fault is an invalid record, whatever the filters say. `1e-400` is 0.
//! - Skipped values are checked for structure only: neither their depth, nor their surrogates, nor
//!   the size of their numbers is looked at. UTF-8 is checked in the whole payload. A value that
//!   is looked at may lie up to 127 levels deep.
//! - Filters come before the timestamp: a filtered record is never invalid for its event time.
//!
//! Two readers find this. `visit` is the reference: serde_json along the trie of configured paths; it
//! decides. `walk` is fast: it scans the bytes, predicts the order of keys, and leaves everything
//! unusual to the reference. Property tests, the fuzz target `event` and `benches/readers.rs` hold the
//! two equal; `[kafka] decoder = "reference"` does without the fast one.

mod decimal;
mod extract;
mod intake;
mod lenient;
mod order;
mod rfc3339;
mod scan;
mod timestamp;
mod trie;
mod visit;
mod walk;

pub use extract::{Extractor, Position, Rejected};
pub use intake::{Json, cell, event_time, passes};
pub use lenient::whole;
pub use timestamp::TimeReader;

use crate::config::{Filter, TimestampField};
use crate::drift::{Acceptance, Binning, Cell};

/// What to look at in an event.
#[derive(Debug, Clone)]
pub struct EventSchema {
    /// In layout order.
    pub features: Vec<FeatureField>,
    /// `None`: event time is the record's.
    pub timestamp: Option<TimestampField>,
    pub filters: Vec<Filter>,
}

#[derive(Debug, Clone)]
pub struct FeatureField {
    pub path: Vec<String>,
    pub binning: Binning,
}

/// What one event holds. `cells.len() == schema.features.len()`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extracted<'a> {
    pub cells: &'a [Cell],
    /// Milliseconds since the Unix epoch, rounded down; `None` when the schema names no field.
    pub event_ms: Option<i64>,
}

/// What became of one consumed record: the `outcome` label of `psiren_records_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    Counted,
    /// It did not pass a `where` filter.
    Filtered,
    Late,
    Future,
    /// It has no payload.
    Tombstone,
    /// It is no JSON object or has no valid event time; see [`InvalidRecord`].
    Invalid,
}

impl From<Acceptance> for Outcome {
    fn from(acceptance: Acceptance) -> Self {
        match acceptance {
            Acceptance::Counted => Self::Counted,
            Acceptance::Late => Self::Late,
            Acceptance::Future => Self::Future,
        }
    }
}

impl Outcome {
    pub const ALL: [Self; 6] = [
        Self::Counted,
        Self::Filtered,
        Self::Late,
        Self::Future,
        Self::Tombstone,
        Self::Invalid,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Filtered => "filtered",
            Self::Late => "late",
            Self::Future => "future",
            Self::Tombstone => "tombstone",
            Self::Invalid => "invalid",
        }
    }
}

/// Why a record is invalid: the `reason` label of `psiren_invalid_records_total`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InvalidRecord {
    Json,
    Utf8,
    NotAnObject,
    TimestampMissing,
    /// Not a number or text, or text that is no RFC 3339 time.
    TimestampFormat,
    /// Text without an offset, and no `timezone` is set.
    TimestampOffset,
    /// Before 1990 or after 2200.
    TimestampRange,
}

impl InvalidRecord {
    pub const ALL: [Self; 7] = [
        Self::Json,
        Self::Utf8,
        Self::NotAnObject,
        Self::TimestampMissing,
        Self::TimestampFormat,
        Self::TimestampOffset,
        Self::TimestampRange,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Utf8 => "utf8",
            Self::NotAnObject => "not_an_object",
            Self::TimestampMissing => "timestamp_missing",
            Self::TimestampFormat => "timestamp_format",
            Self::TimestampOffset => "timestamp_offset",
            Self::TimestampRange => "timestamp_range",
        }
    }

    /// In words, with what to do where that is known.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Json => "not JSON",
            Self::Utf8 => "not UTF-8",
            Self::NotAnObject => "not a JSON object",
            Self::TimestampMissing => "the timestamp field is absent or null",
            Self::TimestampFormat => {
                "the timestamp is neither an epoch number nor RFC 3339 text such as 2024-05-01T12:00:00Z"
            }
            Self::TimestampOffset => {
                "the timestamp text has no offset from UTC: set `timezone` for the timestamp field"
            }
            Self::TimestampRange => {
                "the timestamp is before 1990 or after 2200: set its `unit` if that is not what was meant"
            }
        }
    }
}
