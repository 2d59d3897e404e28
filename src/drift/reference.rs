//! What the model was trained on, as far as drift needs it: edges or categories, and counts.

use serde::{Deserialize, Serialize};

use super::edges::Binning;

/// The reference of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureReference {
    pub name: String,
    /// The column of the reference it was built from.
    pub column: String,
    #[serde(flatten)]
    pub binning: Binning,
    /// Reference values per bucket, in bucket order; `counts.len() == binning.buckets()`.
    pub counts: Vec<u64>,
    /// Rows without a value (null, NaN, ±infinity).
    pub missing: u64,
    /// Least and greatest finite value; `None` for a categorical feature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

impl FeatureReference {
    /// Number of values, missing ones left out.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Share of rows without a value; 0 when there are no rows.
    #[must_use]
    pub fn missing_share(&self) -> f64 {
        let rows = self.values() + self.missing;
        if rows == 0 {
            0.0
        } else {
            self.missing as f64 / rows as f64
        }
    }
}

/// The reference of a monitor: its features in the order of the reference's columns.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ReferenceProfile {
    pub rows: u64,
    pub features: Vec<FeatureReference>,
}

impl ReferenceProfile {
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&FeatureReference> {
        self.features.iter().find(|f| f.name == name)
    }
}
