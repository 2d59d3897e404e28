//! The last window as a table for people, the worst feature first, and what the other windows held.

use std::cmp::Ordering;
use std::fmt::Write;
use std::io;

use anstyle::Style;

use super::Checked;
use super::settings::Settings;
use crate::cli::terminal::{QUIET, TITLE, printable, psi, severity, style};
use crate::config::durations;
use crate::drift::{DriftReport, DriftStatus, FeatureReport};
use crate::monitor::Monitor;
use crate::text::rfc3339;

pub(super) fn render(
    settings: &Settings,
    monitor: &Monitor,
    checked: &Checked,
) -> io::Result<Vec<u8>> {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, settings, monitor, checked);
    Ok(out.into_bytes())
}

fn write(
    out: &mut String,
    settings: &Settings,
    monitor: &Monitor,
    checked: &Checked,
) -> std::fmt::Result {
    let Some(last) = checked.reports.last() else {
        return Ok(());
    };
    write_head(out, settings, last)?;
    let several = checked.reports.len() > 1;
    let mut features: Vec<(usize, &FeatureReport)> = last.features.iter().enumerate().collect();
    features.sort_by(|(_, a), (_, b)| by_severity(b, a));
    let mut rows = vec![header(several)];
    rows.extend(features.into_iter().map(|(i, feature)| {
        let mut row = row(feature);
        if several {
            row.extend(history(checked, i));
        }
        row
    }));
    write_aligned(out, &rows)?;
    write_foot(out, settings, monitor, checked)
}

fn by_severity(a: &FeatureReport, b: &FeatureReport) -> Ordering {
    severity((a.status, a.psi), (b.status, b.psi))
}

fn write_head(out: &mut String, settings: &Settings, last: &DriftReport) -> std::fmt::Result {
    let (start, end) = (time(last.window.start_ms), time(last.window.end_ms));
    let events = last.events;
    let name = &settings.monitor.name;
    write!(out, "{TITLE}{name}{TITLE:#}  ")?;
    match (settings.windows, start.is_empty()) {
        (true, _) => write!(out, "window {start} – {end}")?,
        (false, false) => write!(out, "whole input, {start} – {end}")?,
        (false, true) => write!(out, "whole input")?,
    }
    write!(out, ", {events} events")?;
    if last.is_filling() {
        write!(out, ", {:.0} % covered", last.coverage * 100.0)?;
    }
    out.push_str("\n\n");
    Ok(())
}

/// Empty for an end of an unbounded window.
fn time(ms: i64) -> String {
    rfc3339(ms).unwrap_or_default()
}

/// One cell: its text and its style.
type Styled = (String, Style);

fn plain(text: impl Into<String>) -> Styled {
    (text.into(), Style::new())
}

fn header(several: bool) -> Vec<Styled> {
    let mut names = vec!["feature", "status", "PSI", "values", "missing", "invalid"];
    if several {
        names.extend(["likely in", "worst", "worst window ends"]);
    }
    names.into_iter().map(|n| (n.to_owned(), QUIET)).collect()
}

fn row(feature: &FeatureReport) -> Vec<Styled> {
    vec![
        plain(printable(&feature.feature)),
        (feature.status.words().to_owned(), style(feature.status)),
        (psi(feature.psi), style(feature.status)),
        plain(feature.values.to_string()),
        plain(share(feature.missing, feature.records())),
        plain(share(feature.invalid, feature.records())),
    ]
}

/// What all full windows with a verdict held: how many were likely drift, the worst and when.
fn history(checked: &Checked, i: usize) -> Vec<Styled> {
    let judged: Vec<(&DriftReport, &FeatureReport)> = checked
        .reports
        .iter()
        .filter(|report| !report.is_filling())
        .map(|report| (report, &report.features[i]))
        .filter(|(_, feature)| feature.status != DriftStatus::InsufficientData)
        .collect();
    let likely = judged
        .iter()
        .filter(|(_, f)| f.status == DriftStatus::LikelyDrift);
    let count = format!("{} of {}", likely.count(), judged.len());
    let worst = judged.iter().max_by(|(_, a), (_, b)| by_severity(a, b));
    match worst {
        None => vec![plain("–"), plain("–"), plain("–")],
        Some((report, feature)) => vec![
            plain(count),
            (psi(feature.psi), style(feature.status)),
            plain(time(report.window.end_ms)),
        ],
    }
}

fn share(part: u64, of: u64) -> String {
    match (part, of) {
        (0, _) => "0".to_owned(),
        _ => format!("{part} ({:.1} %)", part as f64 / of as f64 * 100.0),
    }
}

/// Text to the left, figures to the right.
fn write_aligned(out: &mut String, rows: &[Vec<Styled>]) -> std::fmt::Result {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].0.chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        for (column, ((text, style), width)) in row.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            let fill = " ".repeat(width - text.chars().count());
            let cell = format!("{style}{text}{style:#}");
            let last = column + 1 == columns;
            match column {
                0 | 1 if last => write!(out, "{gap}{cell}")?,
                0 | 1 => write!(out, "{gap}{cell}{fill}")?,
                _ => write!(out, "{gap}{fill}{cell}")?,
            }
        }
        out.push('\n');
    }
    Ok(())
}

fn write_foot(
    out: &mut String,
    settings: &Settings,
    monitor: &Monitor,
    checked: &Checked,
) -> std::fmt::Result {
    let thresholds = settings.monitor.thresholds;
    out.push('\n');
    if checked.reports.len() > 1 {
        let full = checked.reports.iter().filter(|r| !r.is_filling()).count();
        writeln!(
            out,
            "{QUIET}{} windows of {} every {}, {full} of them full; --format csv has them all{QUIET:#}",
            checked.reports.len(),
            durations::show(settings.monitor.window.size_ms),
            durations::show(settings.monitor.window.slide_ms),
        )?;
    }
    writeln!(
        out,
        "{QUIET}possible drift from {}, likely above {}{QUIET:#}",
        thresholds.possible, thresholds.likely
    )?;
    let left_out = monitor.left_out.iter().filter(|_| !settings.chosen);
    for (column, reason) in left_out {
        writeln!(
            out,
            "{QUIET}{} is left out: {reason}{QUIET:#}",
            printable(column)
        )?;
    }
    Ok(())
}
