//! The figures of an evaluation as JSON: RFC 3339 times, `null` where there is no value, verdicts
//! in words.

use serde::Serialize;
use utoipa::ToSchema;

use crate::drift::words::short;
use crate::drift::{
    Definition, DriftReport, DriftStatus, FeatureDefinition, FeatureKind, FeatureReport,
    OpenIncident, Reason, WindowBounds,
};
use crate::text::rfc3339;

/// Event time, UTC: start included, end not.
#[derive(Serialize, ToSchema)]
pub(super) struct Window {
    #[schema(format = DateTime)]
    start: Option<String>,
    #[schema(format = DateTime)]
    end: Option<String>,
}

/// Where statuses begin: below `possible` no drift, above `likely` likely drift.
#[derive(Serialize, ToSchema)]
pub(super) struct ThresholdBody {
    possible: f64,
    likely: f64,
}

/// One feature in one window.
#[derive(Serialize, ToSchema)]
pub(super) struct FeatureFigures {
    pub(super) feature: String,
    /// `numeric` or `categorical`.
    kind: &'static str,
    /// `null` without values.
    pub(super) psi: Option<f64>,
    /// `insufficient_data`, `no_drift`, `possible_drift` or `likely_drift`.
    pub(super) status: &'static str,
    pub(super) status_text: &'static str,
    /// Why it has this status, in words.
    pub(super) reason: String,
    /// Values in the window: neither missing nor invalid; `null` before there is a window.
    pub(super) events: Option<u64>,
    pub(super) missing: Option<u64>,
    invalid: Option<u64>,
    /// Values whose category the reference does not have.
    unseen: Option<u64>,
    /// Values per bucket, in the order of the reference's buckets.
    bucket_events: Option<Vec<u64>>,
    /// Values a verdict needs.
    min_events: u64,
    thresholds: ThresholdBody,
}

/// One evaluation of a monitor.
#[derive(Serialize, ToSchema)]
pub(super) struct Evaluation {
    monitor: String,
    /// `final` (the window closed), `live` or `manual` (it has not).
    trigger: &'static str,
    window: Window,
    /// Share of the window after the first event; below 1 it is filling and carries no incident.
    coverage: f64,
    filling: bool,
    /// `watermark`, `idle`, `end` or `open`.
    closed_by: &'static str,
    /// Records counted in the window.
    events: u64,
    /// The worst feature's.
    status: &'static str,
    status_text: &'static str,
    reference: String,
    definition: String,
    /// Wall clock; manual evaluations only.
    #[schema(format = DateTime)]
    evaluated_at: Option<String>,
    features: Vec<FeatureFigures>,
}

/// Something that is wrong since some time.
#[derive(Serialize, ToSchema)]
pub(super) struct Incident {
    /// Empty for `stale`, which is about the whole topic.
    pub(super) feature: String,
    /// `psi`, `missing`, `invalid` or `stale`.
    pub(super) reason: &'static str,
    /// In words.
    text: String,
    #[schema(format = DateTime)]
    since: Option<String>,
    /// A PSI, a share in [0, 1], or seconds of silence.
    value: f64,
}

impl Window {
    pub(super) fn of(bounds: WindowBounds) -> Self {
        Self {
            start: rfc3339(bounds.start_ms),
            end: rfc3339(bounds.end_ms),
        }
    }

    /// For people: start and end.
    pub(super) fn bounds(&self) -> (&str, &str) {
        let start = self.start.as_deref().unwrap_or("…");
        (start, self.end.as_deref().unwrap_or("…"))
    }
}

impl FeatureFigures {
    /// `report` and whether its window is filling; `None` before there is a window.
    pub(super) fn of(feature: &FeatureDefinition, report: Option<(&FeatureReport, bool)>) -> Self {
        let status = report.map_or(DriftStatus::InsufficientData, |(r, _)| r.status);
        let counts = report.map(|(r, _)| r);
        Self {
            feature: feature.name().to_owned(),
            kind: match feature.reference.binning.kind() {
                FeatureKind::Numeric => "numeric",
                FeatureKind::Categorical => "categorical",
            },
            psi: counts.and_then(|r| r.psi),
            status: status.as_str(),
            status_text: status.words(),
            reason: report.map_or_else(
                || "no window has closed yet".to_owned(),
                |(report, filling)| feature.reason(report, filling),
            ),
            events: counts.map(|r| r.values),
            missing: counts.map(|r| r.missing),
            invalid: counts.map(|r| r.invalid),
            unseen: counts.map(|r| r.unseen),
            bucket_events: counts.map(|r| r.buckets.to_vec()),
            min_events: feature.min_events,
            thresholds: ThresholdBody {
                possible: feature.thresholds.possible,
                likely: feature.thresholds.likely,
            },
        }
    }
}

impl Evaluation {
    /// Features of a report that the definition no longer has are left out, as are those
    /// that `only` does not name.
    pub(super) fn of(definition: &Definition, report: &DriftReport, only: Option<&str>) -> Self {
        let status = worst(report);
        let named = |f: &&FeatureReport| only.is_none_or(|only| *f.feature == *only);
        let figures = |judged: &FeatureReport| {
            let feature = definition.feature(&judged.feature)?;
            Some(FeatureFigures::of(
                feature,
                Some((judged, report.is_filling())),
            ))
        };
        Self {
            monitor: report.monitor.clone(),
            trigger: report.trigger.as_str(),
            window: Window::of(report.window),
            coverage: report.coverage,
            filling: report.is_filling(),
            closed_by: report.closed_by.as_str(),
            events: report.events,
            status: status.as_str(),
            status_text: status.words(),
            reference: report.reference.clone(),
            definition: report.definition.clone(),
            evaluated_at: report.evaluated_at_ms.and_then(rfc3339),
            features: report
                .features
                .iter()
                .filter(named)
                .filter_map(figures)
                .collect(),
        }
    }
}

impl Incident {
    pub(super) fn of(incident: &OpenIncident) -> Self {
        let percent = 100.0 * incident.value;
        let text = match incident.reason {
            Reason::Psi => format!("PSI {}", short(incident.value)),
            Reason::Missing => format!("{percent:.0} % of the values are missing"),
            Reason::Invalid => format!("{percent:.0} % of the values have a wrong type"),
            Reason::Stale => format!("no event was counted for {:.0} s", incident.value),
        };
        Self {
            feature: incident.feature.clone(),
            reason: incident.reason.as_str(),
            text,
            since: rfc3339(incident.since_ms),
            value: incident.value,
        }
    }
}

/// The worst status in a report.
pub(super) fn worst(report: &DriftReport) -> DriftStatus {
    let statuses = report.features.iter().map(|feature| feature.status);
    statuses.max().unwrap_or(DriftStatus::InsufficientData)
}
