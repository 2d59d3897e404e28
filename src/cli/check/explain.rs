//! The one feature's PSI in the last window as a sum.

use super::Checked;
use super::settings::Settings;
use crate::cli::sum::{self, Bucket, Sum};
use crate::drift::{DriftReport, FeatureDefinition, FeatureReport, MissingRule};
use crate::monitor::Monitor;
use crate::text::rfc3339;

/// Nothing without a feature or a window.
pub(super) fn render(
    settings: &Settings,
    monitor: &Monitor,
    checked: &Checked,
    columns: Option<usize>,
) -> Vec<u8> {
    let Some(feature) = monitor.definition.features.first() else {
        return Vec::new();
    };
    let Some(last) = checked.reports.last() else {
        return Vec::new();
    };
    let sum = last.feature(feature.name()).map(|judged| Sum {
        feature: feature.name().to_owned(),
        window: window(settings, last),
        smoothing: monitor.definition.smoothing,
        buckets: buckets(feature, judged),
        verdict: judged.status,
        reason: feature.reason(judged, last.is_filling()),
        beside: vec![
            (
                match feature.missing {
                    MissingRule::Exclude => judged.missing,
                    MissingRule::Bucket => 0,
                },
                "missing",
            ),
            (judged.invalid, "of a wrong type"),
        ],
    });
    sum.map(|sum| sum::render(&sum, columns).into_bytes())
        .unwrap_or_default()
}

fn window(settings: &Settings, report: &DriftReport) -> String {
    let name = &settings.monitor.name;
    let bounds = [report.window.start_ms, report.window.end_ms].map(rfc3339);
    match bounds {
        [Some(start), Some(end)] if settings.windows => format!("{name} · {start} to {end}"),
        _ => format!("{name} · the whole input"),
    }
}

fn buckets(feature: &FeatureDefinition, judged: &FeatureReport) -> Vec<Bucket> {
    let names = feature.bucket_names();
    let production = judged.buckets.iter().chain([&judged.missing]);
    let pairs = feature.reference_counts().into_iter().zip(production);
    pairs
        .zip(names)
        .enumerate()
        .map(|(i, ((reference, production), name))| Bucket {
            range: feature.bucket_words(i).unwrap_or(name),
            reference,
            production: *production,
        })
        .collect()
}
