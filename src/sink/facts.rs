//! What a figure is held against, and which bucket moved it, as numbers. Pure.

use super::outbox::Evaluation;
use crate::drift::incident::ChangeKind;
use crate::drift::{Definition, DriftStatus, FeatureDefinition, IncidentChange, Reason};

/// The bucket with the greatest term of a PSI.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Moved {
    /// Its place among those that enter the PSI.
    pub(super) bucket: usize,
    /// What it holds; `None` for a category that must not be shown.
    pub(super) words: Option<String>,
    /// Shares in [0, 1].
    pub(super) reference: f64,
    pub(super) production: f64,
}

/// What an incident's figure went above to open: for one that ended, the bar for likely drift.
/// `None` for `stale`, and for a feature that is no longer watched.
pub(super) fn threshold(change: &IncidentChange, definition: &Definition) -> Option<f64> {
    let feature = definition.feature(&change.feature)?;
    let rules = &definition.incidents;
    match change.reason {
        Reason::Psi => {
            let bars = feature.thresholds;
            let possible = rules.alert_on == DriftStatus::PossibleDrift
                && change.kind == ChangeKind::Opened
                && change.value <= bars.likely;
            Some(if possible { bars.possible } else { bars.likely })
        }
        Reason::Missing => Some(feature.reference.missing_share() + rules.missing_above),
        Reason::Invalid => Some(rules.invalid_above),
        Reason::Stale => None,
    }
}

/// The bucket that moved most. `None` when the counts belong to another reference than the one at
/// hand.
pub(super) fn moved(
    evaluation: &Evaluation,
    feature: &FeatureDefinition,
    definition: &Definition,
) -> Option<Moved> {
    let report = evaluation.feature.as_ref()?;
    let buckets = feature.reference.binning.buckets();
    if evaluation.reference != definition.reference_id || report.buckets.len() != buckets {
        return None;
    }
    let figures = feature.psi(&report.buckets, report.missing, definition.smoothing)?;
    let (i, _) = figures.greatest()?;
    let reference = feature.reference_counts();
    let mut production = report.buckets.to_vec();
    if reference.len() > production.len() {
        production.push(report.missing);
    }
    Some(Moved {
        bucket: i,
        words: feature.bucket_words(i),
        reference: share(&reference, i),
        production: share(&production, i),
    })
}

fn share(counts: &[u64], i: usize) -> f64 {
    let total: u64 = counts.iter().sum();
    counts[i] as f64 / total.max(1) as f64
}
