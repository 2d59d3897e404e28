//! What a person should know besides the result, on standard error.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use super::engine::{Checked, Tally};
use crate::drift::{Binning, DriftReport, FeatureReport};
use crate::event::Rejected;
use crate::monitor::Monitor;

pub(super) fn tell(monitor: &Monitor, checked: &Checked, row_word: &str) {
    for (column, reason) in &monitor.problems {
        say("warning", &format!("{column:?} is not checked: {reason}"));
    }
    for line in invalid(&checked.tally, row_word) {
        say("warning", &line);
    }
    if checked.tally.late > 0 {
        let late = checked.tally.late;
        say(
            "warning",
            &format!(
                "{} too late for an open window, not counted",
                many(late, row_word)
            ),
        );
    }
    if checked.skipped_windows > 0 {
        let skipped = checked.skipped_windows;
        say(
            "warning",
            &format!("the event times leave gaps: {skipped} empty windows have no row"),
        );
    }
    for (i, feature) in monitor.definition.features.iter().enumerate() {
        let of = |report: &DriftReport| report.features[i].clone();
        let figures: Vec<FeatureReport> = checked.reports.iter().map(of).collect();
        if figures.is_empty() || figures.iter().any(|figure| figure.values > 0) {
            continue;
        }
        let name = feature.name();
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
        say(
            "warning",
            &format!("feature {name:?} has no value in any {row_word}; {hint}"),
        );
    }
}

/// What became of the rows, in one line.
pub(super) fn summary(tally: &Tally, row_word: &str) -> String {
    if tally.rows == 0 {
        return format!("it has no {row_word}s");
    }
    let mut parts = Vec::new();
    if tally.filtered > 0 {
        parts.push(format!("{} filtered out", tally.filtered));
    }
    if tally.late > 0 {
        parts.push(format!("{} too late", tally.late));
    }
    for (reason, count) in &tally.invalid {
        parts.push(format!("{count} invalid ({})", reason.words()));
    }
    format!("of {} {}", many(tally.rows, row_word), parts.join(", "))
}

fn invalid(tally: &Tally, row_word: &str) -> Vec<String> {
    let total: u64 = tally.invalid.values().sum();
    if total == 0 {
        return Vec::new();
    }
    let mut lines = vec![format!(
        "{total} of {} invalid and not counted",
        many(tally.rows, row_word)
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
        lines.push(format!("and {more} more"));
    }
    lines
}

/// `1 line`, `5 lines`.
fn many(count: u64, word: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {word}{s}")
}

/// One line on standard error. There is nowhere to report that it cannot be written.
pub(super) fn say(level: &str, text: &str) {
    let colour = match level {
        "error" => AnsiColor::Red,
        _ => AnsiColor::Yellow,
    };
    let style = Style::new().bold().fg_color(Some(colour.into()));
    let _ = writeln!(anstream::stderr(), "{style}{level}{style:#}: {text}");
}
