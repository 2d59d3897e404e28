//! Thresholds and the verdict on one feature in one window.

use serde::{Deserialize, Serialize};

/// Below `possible` no drift; from there to `likely`, both included, possible; above it likely.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    pub possible: f64,
    pub likely: f64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            possible: 0.1,
            likely: 0.25,
        }
    }
}

/// The verdict on one feature in one window, ordered by severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DriftStatus {
    /// Too few values for a verdict; a PSI may still be given.
    InsufficientData,
    NoDrift,
    PossibleDrift,
    LikelyDrift,
}

impl DriftStatus {
    /// The verdict on `psi`, given `values` in the window and `min_events` needed for one.
    #[must_use]
    pub fn of(psi: Option<f64>, values: u64, min_events: u64, thresholds: Thresholds) -> Self {
        match psi {
            Some(_) if values < min_events => Self::InsufficientData,
            None => Self::InsufficientData,
            Some(psi) if psi > thresholds.likely => Self::LikelyDrift,
            Some(psi) if psi >= thresholds.possible => Self::PossibleDrift,
            Some(_) => Self::NoDrift,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InsufficientData => "insufficient_data",
            Self::NoDrift => "no_drift",
            Self::PossibleDrift => "possible_drift",
            Self::LikelyDrift => "likely_drift",
        }
    }

    /// In words, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::InsufficientData => "insufficient data",
            Self::NoDrift => "no drift",
            Self::PossibleDrift => "possible drift",
            Self::LikelyDrift => "likely drift",
        }
    }

    /// The value of the `psiren_status` gauge.
    #[must_use]
    pub fn code(self) -> i64 {
        match self {
            Self::InsufficientData => -1,
            Self::NoDrift => 0,
            Self::PossibleDrift => 1,
            Self::LikelyDrift => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_thresholds_belong_to_possible_drift() {
        let of = |psi| DriftStatus::of(Some(psi), 100, 100, Thresholds::default());
        assert_eq!(of(0.099_999), DriftStatus::NoDrift);
        assert_eq!(of(0.1), DriftStatus::PossibleDrift);
        assert_eq!(of(0.25), DriftStatus::PossibleDrift);
        assert_eq!(of(0.250_001), DriftStatus::LikelyDrift);
    }

    #[test]
    fn too_few_values_carry_no_verdict() {
        let of = |psi, n| DriftStatus::of(psi, n, 100, Thresholds::default());
        assert_eq!(of(Some(5.0), 99), DriftStatus::InsufficientData);
        assert_eq!(of(None, 1000), DriftStatus::InsufficientData);
    }
}
