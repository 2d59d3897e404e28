//! Gauges with timestamps, as `promtool tsdb create-blocks-from openmetrics` takes them.
//!
//! Names and meaning are those of `/metrics`: a feature that has too few values, or a window that
//! is still filling, has no `psiren_psi`. Each sample stands at the end of its window.

use std::io;

use super::Checked;
use crate::drift::{DriftReport, DriftStatus, FeatureReport};
use crate::monitor::Monitor;

/// Name, help and value of one gauge.
type Gauge = (
    &'static str,
    &'static str,
    fn(&DriftReport, &FeatureReport) -> Option<f64>,
);

const GAUGES: [Gauge; 5] = [
    (
        "psiren_psi",
        "Population stability index of the last window that closed.",
        |report, feature| {
            let judged = feature.status != DriftStatus::InsufficientData && !report.is_filling();
            feature.psi.filter(|_| judged)
        },
    ),
    (
        "psiren_status",
        "Verdict on the last window that closed: 0 no drift, 1 possible, 2 likely, -1 insufficient data.",
        |_, feature| Some(feature.status.code() as f64),
    ),
    (
        "psiren_window_events",
        "Values in the last window that closed.",
        |_, feature| Some(feature.values as f64),
    ),
    (
        "psiren_window_missing",
        "Events of the last closed window in which the feature was absent or null.",
        |_, feature| Some(feature.missing as f64),
    ),
    (
        "psiren_window_invalid",
        "Events of the last closed window in which the feature had a wrong type.",
        |_, feature| Some(feature.invalid as f64),
    ),
];

pub(super) fn render(monitor: &Monitor, checked: &Checked) -> io::Result<Vec<u8>> {
    let mut out = String::new();
    let name = escape(&monitor.definition.monitor);
    for (gauge, help, value) in GAUGES {
        out.push_str(&format!("# HELP {gauge} {help}\n# TYPE {gauge} gauge\n"));
        for (i, feature) in monitor.definition.features.iter().enumerate() {
            let feature = escape(feature.name());
            for report in &checked.reports {
                if let Some(value) = value(report, &report.features[i]) {
                    let at = seconds(report.window.end_ms);
                    out.push_str(&format!(
                        "{gauge}{{monitor=\"{name}\",feature=\"{feature}\"}} {value} {at}\n"
                    ));
                }
            }
        }
    }
    out.push_str("# EOF\n");
    Ok(out.into_bytes())
}

/// Seconds with as many decimals as needed.
fn seconds(ms: i64) -> String {
    match ms.rem_euclid(1000) {
        0 => (ms / 1000).to_string(),
        rest => format!("{}.{rest:03}", ms.div_euclid(1000)),
    }
}

fn escape(label: &str) -> String {
    label
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}
