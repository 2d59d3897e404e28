//! The rows of the CSV sink, with two more columns for counts when asked for.

use std::io;

use super::Checked;
use crate::drift::{FeatureDefinition, FeatureReport, MissingRule};
use crate::monitor::Monitor;
use crate::sink::csv::row::{HEADER, rows};

pub(super) fn render(monitor: &Monitor, checked: &Checked, counts: bool) -> io::Result<Vec<u8>> {
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new());
    let mut header = HEADER.to_vec();
    if counts {
        header.extend(["reference_counts", "production_counts"]);
    }
    writer.write_record(header)?;
    for report in &checked.reports {
        let definitions = &monitor.definition.features;
        for ((row, feature), definition) in rows(report).zip(&report.features).zip(definitions) {
            let mut row = row.to_vec();
            if counts {
                row.push(spaced(&definition.reference_counts()));
                row.push(spaced(&production_counts(definition, feature)));
            }
            writer.write_record(row)?;
        }
    }
    writer.into_inner().map_err(|error| error.into_error())
}

/// Production counts in the order of the PSI's terms.
pub(super) fn production_counts(
    definition: &FeatureDefinition,
    feature: &FeatureReport,
) -> Vec<u64> {
    let mut counts = feature.buckets.to_vec();
    if definition.missing == MissingRule::Bucket {
        counts.push(feature.missing);
    }
    counts
}

fn spaced(counts: &[u64]) -> String {
    let counts: Vec<String> = counts.iter().map(u64::to_string).collect();
    counts.join(" ")
}
