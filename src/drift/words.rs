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

/// As [`short`], with as many decimals more as it takes to stay on its side of `limits`: 0.250001 is
/// above 0.25, and must not read 0.25.
fn telling(x: f64, limits: [f64; 2]) -> String {
    let same_side = |text: &str| {
        let shown = text.parse::<f64>().unwrap_or(f64::NAN);
        limits
            .iter()
            .all(|limit| shown.partial_cmp(limit) == x.partial_cmp(limit))
    };
    let texts = (5..18).map(|decimals| format!("{x:.decimals$}"));
    let mut texts = std::iter::once(short(x)).chain(texts);
    texts
        .find(|text| same_side(text))
        .unwrap_or_else(|| x.to_string())
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
            (Some(psi), status) => {
                let psi = telling(psi, [possible, likely]);
                match status {
                    DriftStatus::LikelyDrift => format!("PSI {psi} is above {likely}"),
                    DriftStatus::PossibleDrift => {
                        format!("PSI {psi} lies between {possible} and {likely}")
                    }
                    _ => format!("PSI {psi} is below {possible}"),
                }
            }
        };
        match filling {
            true => format!("{why}; the window reaches back before the first event"),
            false => why,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stays_on_its_side_of_a_threshold() {
        let shown = |x| telling(x, [0.1, 0.25]);
        assert_eq!(shown(0.250_001), "0.250001");
        assert_eq!(shown(0.099_999_9), "0.0999999");
        assert_eq!(
            [shown(0.25), shown(0.1), shown(2.675_43)],
            ["0.25", "0.1", "2.6754"]
        );
        assert_eq!(
            shown(f64::from_bits(0.25f64.to_bits() + 1)),
            "0.2500000000000001"
        );
    }
}
