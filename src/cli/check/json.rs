//! One JSON document: the windows, their features, and each bucket with its part in the PSI.

use std::io;

use serde::Serialize;

use super::Checked;
use super::csv::production_counts;
use super::settings::Settings;
use crate::drift::{DriftReport, FeatureDefinition, FeatureReport, Smoothing};
use crate::monitor::Monitor;
use crate::text::rfc3339;

#[derive(Serialize)]
struct Document<'a> {
    monitor: &'a str,
    reference: &'a str,
    definition: &'a str,
    rows: Rows,
    skipped_windows: i64,
    windows: Vec<Window<'a>>,
}

#[derive(Serialize)]
struct Rows {
    read: u64,
    counted: u64,
    filtered: u64,
    late: u64,
    invalid: Vec<Invalid>,
}

#[derive(Serialize)]
struct Invalid {
    reason: &'static str,
    rows: u64,
}

#[derive(Serialize)]
struct Window<'a> {
    start: Option<String>,
    end: Option<String>,
    coverage: f64,
    closed_by: &'static str,
    events: u64,
    features: Vec<Feature<'a>>,
}

#[derive(Serialize)]
struct Feature<'a> {
    feature: &'a str,
    psi: Option<f64>,
    status: &'static str,
    possible: f64,
    likely: f64,
    min_events: u64,
    events: u64,
    missing: u64,
    invalid: u64,
    unseen: u64,
    buckets: Vec<Bucket>,
}

#[derive(Serialize)]
struct Bucket {
    bucket: String,
    /// Absent where category names must not be shown.
    range: Option<String>,
    reference: u64,
    production: u64,
    reference_share: Option<f64>,
    production_share: Option<f64>,
    /// The bucket's part in the PSI; the shares it comes from are smoothed.
    term: Option<f64>,
}

pub(super) fn render(
    settings: &Settings,
    monitor: &Monitor,
    checked: &Checked,
) -> io::Result<Vec<u8>> {
    let tally = &checked.tally;
    let invalid = tally.invalid.iter().map(|(reason, rows)| Invalid {
        reason: reason.as_str(),
        rows: *rows,
    });
    let document = Document {
        monitor: &settings.monitor.name,
        reference: &monitor.definition.reference_id,
        definition: &monitor.definition.definition_id,
        rows: Rows {
            read: tally.rows,
            counted: tally.counted,
            filtered: tally.filtered,
            late: tally.late,
            invalid: invalid.collect(),
        },
        skipped_windows: checked.skipped_windows,
        windows: checked.reports.iter().map(|r| window(monitor, r)).collect(),
    };
    let mut out = serde_json::to_vec_pretty(&document)?;
    out.push(b'\n');
    Ok(out)
}

fn window<'a>(monitor: &Monitor, report: &'a DriftReport) -> Window<'a> {
    let smoothing = monitor.definition.smoothing;
    let features = report.features.iter().zip(&monitor.definition.features);
    Window {
        start: rfc3339(report.window.start_ms),
        end: rfc3339(report.window.end_ms),
        coverage: report.coverage,
        closed_by: report.closed_by.as_str(),
        events: report.events,
        features: features.map(|(f, d)| feature(f, d, smoothing)).collect(),
    }
}

fn feature<'a>(
    report: &'a FeatureReport,
    definition: &FeatureDefinition,
    smoothing: Smoothing,
) -> Feature<'a> {
    Feature {
        feature: &report.feature,
        psi: report.psi,
        status: report.status.as_str(),
        possible: definition.thresholds.possible,
        likely: definition.thresholds.likely,
        min_events: definition.min_events,
        events: report.values,
        missing: report.missing,
        invalid: report.invalid,
        unseen: report.unseen,
        buckets: buckets(report, definition, smoothing),
    }
}

fn buckets(
    report: &FeatureReport,
    definition: &FeatureDefinition,
    smoothing: Smoothing,
) -> Vec<Bucket> {
    let psi = definition.psi(&report.buckets, report.missing, smoothing);
    let reference = definition.reference_counts();
    let production = production_counts(definition, report);
    let of = |counts: &[u64], i: usize| {
        let total: u64 = counts.iter().sum();
        (total > 0).then(|| counts[i] as f64 / total as f64)
    };
    let bucket = |(i, name): (usize, String)| Bucket {
        range: range(definition, i),
        bucket: name,
        reference: reference[i],
        production: production[i],
        reference_share: of(&reference, i),
        production_share: of(&production, i),
        term: psi.as_ref().map(|psi| psi.terms[i]),
    };
    let names = definition.bucket_names().into_iter().enumerate();
    names.map(bucket).collect()
}

fn range(definition: &FeatureDefinition, i: usize) -> Option<String> {
    let binning = &definition.reference.binning;
    if i >= binning.buckets() {
        return Some("missing".to_owned());
    }
    (!definition.redact).then(|| binning.bucket_range(i))
}
