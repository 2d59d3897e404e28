//! What a feature is and what one event says about it.

use serde::{Deserialize, Serialize};

/// How the values of a feature are compared: by magnitude or by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FeatureKind {
    /// JSON numbers, widened to `f64`.
    Numeric,
    /// Strings, booleans and integers, by their text.
    Categorical,
}

/// What one event holds for one feature.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// Absent, null, or a number that is not finite (`NaN`, `Infinity`, `1e999`).
    Missing,
    /// Present, but of a type the feature cannot have.
    Invalid(Found),
    Number(f64),
    Text(&'a str),
}

/// The type that was found where another was expected; the `reason` label of invalid values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Found {
    String,
    Boolean,
    Number,
    Array,
    Object,
}

impl Found {
    pub const ALL: [Self; 5] = [
        Self::String,
        Self::Boolean,
        Self::Number,
        Self::Array,
        Self::Object,
    ];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::Array => "array",
            Self::Object => "object",
        }
    }
}
