//! `GET /api/v1/monitors/{monitor}/features/{feature}`: reference against production by bucket.

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use utoipa::ToSchema;

use super::Site;
use super::body::Checked;
use super::error::{ApiError, ErrorBody};
use super::figures::{FeatureFigures, Window};
use super::monitors::{feature_of, find};
use crate::drift::{Binning, Definition, DriftReport, FeatureDefinition, FeatureReport, Psi};

/// One feature, bucket by bucket.
#[derive(Serialize, ToSchema)]
pub(super) struct FeatureDetail {
    monitor: String,
    feature: String,
    /// The column of the reference.
    column: String,
    /// Category names are not shown.
    redacted: bool,
    /// The reference's values and rows without one.
    reference_events: u64,
    reference_missing: u64,
    /// Least and greatest value of the reference; numeric features only.
    reference_min: Option<f64>,
    reference_max: Option<f64>,
    /// The last window that closed.
    last_final: Option<FeatureWindow>,
    /// The window up to the newest event.
    live: Option<FeatureWindow>,
    /// Each bucket of the reference, before there is a window too.
    buckets: Vec<ReferenceBucket>,
}

/// A feature in one window. The terms add up to the PSI.
#[derive(Serialize, ToSchema)]
struct FeatureWindow {
    window: Window,
    coverage: f64,
    #[serde(flatten)]
    figures: FeatureFigures,
    /// In the order of the reference's buckets.
    buckets: Vec<WindowBucket>,
}

#[derive(Serialize, ToSchema)]
struct ReferenceBucket {
    /// `00`, `01`, …, `other`, `missing`; the `bucket` label of the metrics.
    bucket: String,
    /// What the bucket holds, in words; `null` for a category that is not shown.
    range: Option<String>,
    /// Lower and upper end; `null` where open or not numeric.
    lower: Option<f64>,
    upper: Option<f64>,
    events: u64,
    /// Unsmoothed; `null` without values.
    share: Option<f64>,
}

#[derive(Serialize, ToSchema)]
struct WindowBucket {
    bucket: String,
    events: u64,
    /// Unsmoothed; `null` without values.
    share: Option<f64>,
    /// What the bucket adds to the PSI; `null` without a PSI.
    term: Option<f64>,
}

impl FeatureDetail {
    fn of(definition: &Definition, feature: &FeatureDefinition) -> Self {
        let reference = &feature.reference;
        Self {
            monitor: definition.monitor.clone(),
            feature: feature.name().to_owned(),
            column: reference.column.clone(),
            redacted: feature.redact,
            reference_events: reference.values(),
            reference_missing: reference.missing,
            reference_min: reference.min,
            reference_max: reference.max,
            last_final: None,
            live: None,
            buckets: reference_buckets(feature),
        }
    }
}

impl FeatureWindow {
    fn of(
        definition: &Definition,
        feature: &FeatureDefinition,
        report: &DriftReport,
    ) -> Option<Self> {
        let judged = report.feature(feature.name())?;
        let psi = feature.psi(&judged.buckets, judged.missing, definition.smoothing);
        Some(Self {
            window: Window::of(report.window),
            coverage: report.coverage,
            figures: FeatureFigures::of(feature, Some((judged, report.is_filling()))),
            buckets: window_buckets(feature, judged, psi.as_ref()),
        })
    }
}

fn reference_buckets(feature: &FeatureDefinition) -> Vec<ReferenceBucket> {
    let counts = feature.reference_counts();
    let total = counts.iter().sum();
    let named = feature.bucket_names().into_iter().zip(counts).enumerate();
    named
        .map(|(i, (bucket, events))| {
            let (lower, upper) = ends(&feature.reference.binning, i);
            ReferenceBucket {
                range: feature.bucket_words(i),
                share: share(events, total),
                bucket,
                lower,
                upper,
                events,
            }
        })
        .collect()
}

fn window_buckets(
    feature: &FeatureDefinition,
    judged: &FeatureReport,
    psi: Option<&Psi>,
) -> Vec<WindowBucket> {
    let names = feature.bucket_names();
    let counts = judged.buckets.iter().chain([&judged.missing]);
    let counts: Vec<u64> = counts.take(names.len()).copied().collect();
    let total = counts.iter().sum();
    let named = names.into_iter().zip(counts).enumerate();
    named
        .map(|(i, (bucket, events))| WindowBucket {
            bucket,
            events,
            share: share(events, total),
            term: psi.and_then(|psi| psi.terms.get(i)).copied(),
        })
        .collect()
}

fn ends(binning: &Binning, i: usize) -> (Option<f64>, Option<f64>) {
    match binning {
        Binning::Numeric { edges, .. } if i <= edges.len() => {
            let lower = i.checked_sub(1).and_then(|below| edges.get(below));
            (lower.copied(), edges.get(i).copied())
        }
        _ => (None, None),
    }
}

fn share(events: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| events as f64 / total as f64)
}

#[utoipa::path(
    get,
    path = "/api/v1/monitors/{monitor}/features/{feature}",
    tag = "figures",
    params(
        ("monitor" = String, Path, description = "name of the monitor"),
        ("feature" = String, Path, description = "name of the feature"),
    ),
    responses(
        (status = 200, description = "reference against production by bucket", body = FeatureDetail),
        (status = 404, description = "no such monitor or feature", body = ErrorBody),
    ),
)]
pub(super) async fn detail(
    State(site): State<Site>,
    Checked(Path((monitor, feature))): Checked<Path<(String, String)>>,
) -> Result<Json<FeatureDetail>, ApiError> {
    let handle = find(&site, &monitor)?;
    let definition = &handle.definition;
    let found = feature_of(handle, &feature)?;
    let view = handle.view.borrow().clone();
    let window = |report: Option<&DriftReport>| FeatureWindow::of(definition, found, report?);
    Ok(Json(FeatureDetail {
        last_final: window(view.last_final.as_deref()),
        live: window(view.live.as_deref()),
        ..FeatureDetail::of(definition, found)
    }))
}
