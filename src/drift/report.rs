//! A window's counts → the report every sink receives.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::counts::{BucketCounts, Layout, PaneCounts};
use super::incident::{IncidentChange, IncidentRules};
use super::psi::{Psi, Shares, Smoothing, psi};
use super::reference::FeatureReference;
use super::ring::WindowSnapshot;
use super::status::{DriftStatus, Thresholds};
use super::window::{PaneSpec, WindowBounds, WindowSpec};

/// What a missing value does to the PSI. It is counted either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MissingRule {
    /// It enters neither side.
    #[default]
    Exclude,
    /// It is one more bucket, the last one, on both sides.
    Bucket,
}

/// How one feature is judged.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureDefinition {
    pub reference: FeatureReference,
    pub thresholds: Thresholds,
    /// Values a window needs for a verdict.
    pub min_events: u64,
    pub missing: MissingRule,
    /// Category names of this feature must not be shown.
    pub redact: bool,
}

impl FeatureDefinition {
    #[must_use]
    pub fn name(&self) -> &str {
        &self.reference.name
    }

    /// Reference counts in the order of the PSI's terms.
    #[must_use]
    pub fn reference_counts(&self) -> Vec<u64> {
        self.with_missing(&self.reference.counts, self.reference.missing)
    }

    fn with_missing(&self, buckets: &[u64], missing: u64) -> Vec<u64> {
        let mut counts = buckets.to_vec();
        if self.missing == MissingRule::Bucket {
            counts.push(missing);
        }
        counts
    }

    /// The PSI of a report's counts with its terms; the same figure as the report's.
    #[must_use]
    pub fn psi(&self, buckets: &[u64], missing: u64, smoothing: Smoothing) -> Option<Psi> {
        psi(
            &self.reference_counts(),
            &self.with_missing(buckets, missing),
            smoothing,
        )
    }

    /// The report on the `i`th feature of `counts`.
    fn judge(
        &self,
        scoring: &FeatureScoring,
        counts: &Arc<PaneCounts>,
        layout: &Layout,
        i: usize,
    ) -> FeatureReport {
        let buckets = BucketCounts::of(counts, layout, i);
        let missing = counts.missing(layout, i);
        let values: u64 = buckets.iter().sum();
        let (last, judged) = match self.missing {
            MissingRule::Exclude => (None, values),
            MissingRule::Bucket => (Some(missing), values + missing),
        };
        let reference = scoring.reference.as_ref();
        let psi = reference.and_then(|shares| shares.psi_total(&buckets, last, judged));
        FeatureReport {
            feature: Arc::clone(&scoring.name),
            psi,
            status: DriftStatus::of(psi, judged, self.min_events, self.thresholds),
            values,
            missing,
            invalid: counts.invalid(layout, i),
            unseen: counts.unseen(layout, i),
            buckets,
        }
    }

    /// Names of the PSI's terms: the buckets', then `missing` when that is a bucket.
    #[must_use]
    pub fn bucket_names(&self) -> Vec<String> {
        let mut names = self.reference.binning.bucket_names();
        if self.missing == MissingRule::Bucket {
            names.push("missing".to_owned());
        }
        names
    }
}

/// Everything that turns a window's counts into a verdict.
#[derive(Debug, Clone)]
pub struct Definition {
    pub monitor: String,
    /// In the order of the configuration, then of the reference's columns.
    pub features: Vec<FeatureDefinition>,
    pub panes: PaneSpec,
    pub window: WindowSpec,
    pub smoothing: Smoothing,
    pub incidents: IncidentRules,
    /// Names the reference in every row: a hash of its edges and counts.
    pub reference_id: String,
    /// Names smoothing, thresholds and window size: what may change without new counts.
    pub definition_id: String,
}

/// What all evaluations by one [`Definition`] have in common.
#[derive(Debug, Clone)]
pub struct Scoring {
    layout: Layout,
    features: Vec<FeatureScoring>,
}

#[derive(Debug, Clone)]
struct FeatureScoring {
    name: Arc<str>,
    /// `None` of a reference without values.
    reference: Option<Shares>,
}

/// What asked for an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// The window closed.
    Final,
    /// The live interval passed; includes open panes and is never stored.
    Live,
    /// Somebody asked; includes open panes.
    Manual,
}

impl Trigger {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Live => "live",
            Self::Manual => "manual",
        }
    }
}

/// What closed a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClosedBy {
    /// Every partition sealed its panes before the window's end.
    Watermark,
    /// Some partition was passed over because it had nothing more to give.
    Idle,
    /// The input ended.
    End,
    /// It has not closed.
    Open,
}

impl ClosedBy {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Watermark => "watermark",
            Self::Idle => "idle",
            Self::End => "end",
            Self::Open => "open",
        }
    }
}

/// One feature in one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureReport {
    #[serde(with = "name")]
    pub feature: Arc<str>,
    /// Finite; `None` without values.
    pub psi: Option<f64>,
    pub status: DriftStatus,
    /// Values in the window: neither missing nor invalid.
    pub values: u64,
    pub missing: u64,
    pub invalid: u64,
    /// Values whose category the reference does not have; they are in `other` too.
    pub unseen: u64,
    /// Their sum is `values`.
    pub buckets: BucketCounts,
}

/// A shared name, written as a text. serde's feature `rc` would do it for every `Arc` of the program.
mod name {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(name: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(name)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Arc<str>, D::Error> {
        String::deserialize(from).map(Arc::from)
    }
}

impl FeatureReport {
    /// Records that were looked at for this feature.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.values + self.missing + self.invalid
    }
}

/// One evaluation of one monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftReport {
    pub monitor: String,
    /// Empty: the whole topic.
    pub segment: String,
    pub trigger: Trigger,
    pub window: WindowBounds,
    pub closed_by: ClosedBy,
    /// In [0, 1]; below 1 the window reaches back before the first event.
    pub coverage: f64,
    /// Records counted in the window.
    pub events: u64,
    pub reference: String,
    pub definition: String,
    /// Wall clock, for manual evaluations only: a final one is a function of log and configuration.
    pub evaluated_at_ms: Option<i64>,
    /// In the order of the definition.
    pub features: Vec<FeatureReport>,
    /// Incidents that opened or ended with this evaluation.
    pub changes: Vec<IncidentChange>,
}

impl DriftReport {
    #[must_use]
    pub fn is_filling(&self) -> bool {
        self.coverage < 1.0
    }

    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&FeatureReport> {
        self.features.iter().find(|f| *f.feature == *name)
    }
}

impl Definition {
    /// The layout of this monitor's counts.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::new(self.features.iter().map(|f| f.reference.binning.buckets()))
    }

    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&FeatureDefinition> {
        self.features.iter().find(|f| f.name() == name)
    }

    /// What [`evaluate`](Self::evaluate) needs of this definition, found once.
    #[must_use]
    pub fn scoring(&self) -> Scoring {
        let feature = |f: &FeatureDefinition| FeatureScoring {
            name: f.name().into(),
            reference: Shares::of(&f.reference_counts(), self.smoothing),
        };
        Scoring {
            layout: self.layout(),
            features: self.features.iter().map(feature).collect(),
        }
    }

    /// The report on one window. `scoring` is [`scoring`](Self::scoring).
    #[must_use]
    pub fn evaluate(
        &self,
        scoring: &Scoring,
        snapshot: WindowSnapshot,
        trigger: Trigger,
        closed_by: ClosedBy,
        evaluated_at_ms: Option<i64>,
    ) -> DriftReport {
        debug_assert_eq!(self.features.len(), scoring.features.len());
        let counts = Arc::new(snapshot.counts);
        let features = self.features.iter().zip(&scoring.features).enumerate();
        let features = features
            .map(|(i, (feature, scored))| feature.judge(scored, &counts, &scoring.layout, i))
            .collect();
        DriftReport {
            monitor: self.monitor.clone(),
            segment: String::new(),
            trigger,
            window: snapshot.bounds,
            closed_by,
            coverage: snapshot.coverage,
            events: counts.events,
            reference: self.reference_id.clone(),
            definition: self.definition_id.clone(),
            evaluated_at_ms,
            features,
            changes: Vec::new(),
        }
    }
}
