//! What a feature's figures mean, in words that every surface uses.

use super::feature::FeatureKind;
use super::report::{FeatureDefinition, FeatureReport, MissingRule};
use super::status::DriftStatus;

/// A figure for people: four decimals at most.
#[must_use]
pub fn short(x: f64) -> String {
    let text = format!("{x:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl FeatureDefinition {
    /// What the bucket of term `i` holds, in words; `None` for a category whose name must not be
    /// shown.
    #[must_use]
    pub fn bucket_words(&self, i: usize) -> Option<String> {
        let binning = &self.reference.binning;
        let hidden = self.redact && binning.kind() == FeatureKind::Categorical;
        match i + 1 {
            last if last > binning.buckets() => Some("missing".to_owned()),
            last if last < binning.buckets() && hidden => None,
            _ => Some(binning.bucket_range(i)),
        }
    }

    /// Why `report` has its status.
    #[must_use]
    pub fn reason(&self, report: &FeatureReport, filling: bool) -> String {
        let judged = match self.missing {
            MissingRule::Exclude => report.values,
            MissingRule::Bucket => report.values + report.missing,
        };
        let (possible, likely) = (self.thresholds.possible, self.thresholds.likely);
        let why = match (report.psi, report.status) {
            (None, _) if report.records() > 0 => {
                "every value in the window is missing or has a wrong type".to_owned()
            }
            (None, _) => "no values in the window".to_owned(),
            (_, DriftStatus::InsufficientData) => {
                format!("{judged} of {} values needed", self.min_events)
            }
            (Some(psi), DriftStatus::NoDrift) => format!("PSI {} is below {possible}", short(psi)),
            (Some(psi), DriftStatus::PossibleDrift) => {
                format!("PSI {} lies between {possible} and {likely}", short(psi))
            }
            (Some(psi), DriftStatus::LikelyDrift) => {
                format!("PSI {} is above {likely}", short(psi))
            }
        };
        match filling {
            true => format!("{why}; the window reaches back before the first event"),
            false => why,
        }
    }
}
