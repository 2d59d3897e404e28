//! What a person should know besides the result, on standard error.

use super::engine::{Checked, Tally};
use crate::cli::say::warning;
use crate::drift::{Binning, DriftReport, FeatureReport};
use crate::event::Rejected;
use crate::monitor::Monitor;
use crate::text::{counted, grouped};

/// Features without values that are told one by one, and those whose names are listed.
const NAMED: usize = 5;
const LISTED: usize = 20;

pub(super) fn tell(monitor: &Monitor, checked: &Checked, row_word: &str) {
    for (column, reason) in &monitor.problems {
        warning(&format!("{column:?} is not checked: {reason}"));
    }
    for line in invalid(&checked.tally, row_word) {
        warning(&line);
    }
    if checked.tally.late > 0 {
        let late = counted(checked.tally.late, row_word);
        warning(&format!("{late} too late for an open window, not counted"));
    }
    if checked.skipped_windows > 0 {
        let skipped = grouped(checked.skipped_windows.unsigned_abs());
        warning(&format!(
            "the event times leave gaps: {skipped} empty windows have no row"
        ));
    }
    let lacking = lacking(monitor, checked);
    for (name, hint) in lacking.iter().take(NAMED) {
        warning(&format!(
            "feature {name:?} has no value in any {row_word}; {hint}"
        ));
    }
    if let Some(rest) = lacking.get(NAMED..).filter(|rest| !rest.is_empty()) {
        let names: Vec<&str> = rest.iter().take(LISTED).map(|(name, _)| *name).collect();
        let dots = if rest.len() > LISTED { ", …" } else { "" };
        warning(&format!(
            "and so have {} more: {}{dots}",
            grouped(rest.len() as u64),
            names.join(", ")
        ));
    }
}

/// Features without a value in any window, each with where to look.
fn lacking<'m>(monitor: &'m Monitor, checked: &Checked) -> Vec<(&'m str, String)> {
    let mut lacking = Vec::new();
    for (i, feature) in monitor.definition.features.iter().enumerate() {
        let of = |report: &DriftReport| report.features[i].clone();
        let figures: Vec<FeatureReport> = checked.reports.iter().map(of).collect();
        if figures.is_empty() || figures.iter().any(|figure| figure.values > 0) {
            continue;
        }
        let hint = if figures.iter().any(|figure| figure.invalid > 0) {
            match feature.reference.binning {
                Binning::Numeric { .. } => "found others, expected numbers".to_owned(),
                Binning::Categorical { .. } => {
                    "found others, expected text, booleans or whole numbers".to_owned()
                }
            }
        } else {
            format!(
                "is {:?} where it is?",
                monitor.schema.features[i].path.join(".")
            )
        };
        lacking.push((feature.name(), hint));
    }
    lacking
}

/// What became of the rows, in one line.
pub(super) fn summary(tally: &Tally, row_word: &str) -> String {
    if tally.rows == 0 {
        return format!("it has no {row_word}s; was it written to its end?");
    }
    let mut parts = Vec::new();
    if tally.filtered > 0 {
        parts.push(format!("{} filtered out", grouped(tally.filtered)));
    }
    if tally.late > 0 {
        parts.push(format!("{} too late", grouped(tally.late)));
    }
    for (reason, count) in &tally.invalid {
        parts.push(format!("{} invalid ({})", grouped(*count), reason.words()));
    }
    format!("of {} {}", counted(tally.rows, row_word), parts.join(", "))
}

fn invalid(tally: &Tally, row_word: &str) -> Vec<String> {
    let total: u64 = tally.invalid.values().sum();
    if total == 0 {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{} of {} invalid and not counted",
        grouped(total),
        counted(tally.rows, row_word)
    )];
    for (row, rejected) in &tally.examples {
        let Rejected::Invalid { reason, position } = rejected else {
            continue;
        };
        let column = position.map(|p| format!(" column {}", p.column));
        let column = column.unwrap_or_default();
        lines.push(format!("{row_word} {row}{column}: {}", reason.words()));
    }
    let more = total - tally.examples.len() as u64;
    if more > 0 {
        lines.push(format!("and {} more", grouped(more)));
    }
    lines
}
