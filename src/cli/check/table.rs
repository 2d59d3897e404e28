//! The last window as a table for people, the worst feature first, and what the other windows held.
//!
//! On a terminal that is too narrow for all of its columns, those that say least are left out.

use std::cmp::Ordering;
use std::fmt::Write;
use std::io;

use anstyle::Style;
use jiff::Timestamp;

use super::Checked;
use super::settings::Settings;
use super::why;
use crate::cli::terminal::{
    QUIET, TITLE, left, printable, psi, right, severity, shortened, style, width,
};
use crate::config::durations;
use crate::drift::{DriftReport, DriftStatus, FeatureReport};
use crate::monitor::Monitor;
use crate::text::{counted, grouped};

/// Columns that are left out and named.
const LEFT_OUT: usize = 5;
/// A name is cut to no less than this.
const LEAST_NAME: usize = 12;
/// No feature needs more of a terminal for its name.
const MOST_NAME: usize = 48;

/// `columns`: how wide the terminal is; `None`: nobody looks at a terminal, so nothing is cut.
pub(super) fn render(
    settings: &Settings,
    monitor: &Monitor,
    checked: &Checked,
    columns: Option<usize>,
) -> io::Result<Vec<u8>> {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, settings, monitor, checked, columns);
    Ok(out.into_bytes())
}

fn write(
    out: &mut String,
    settings: &Settings,
    monitor: &Monitor,
    checked: &Checked,
    columns: Option<usize>,
) -> std::fmt::Result {
    let Some(last) = checked.reports.last() else {
        return Ok(());
    };
    write_head(out, settings, last)?;
    let mut features: Vec<(usize, &FeatureReport)> = last.features.iter().enumerate().collect();
    features.sort_by(|(_, a), (_, b)| by_severity(b, a));
    let mut table = Table::new(checked, &features);
    if let Some(columns) = columns {
        table.fit(columns);
    }
    table.write(out)?;
    let order: Vec<usize> = features.iter().map(|(i, _)| *i).collect();
    why::write(out, monitor, last, &order, columns)?;
    write_foot(out, settings, monitor, checked)
}

fn by_severity(a: &FeatureReport, b: &FeatureReport) -> Ordering {
    severity((a.status, a.psi), (b.status, b.psi))
}

fn write_head(out: &mut String, settings: &Settings, last: &DriftReport) -> std::fmt::Result {
    let name = printable(&settings.monitor.name);
    write!(out, "{TITLE}{name}{TITLE:#}  ")?;
    let span = time(last.window.start_ms).zip(time(last.window.end_ms));
    out.push_str(match (settings.windows, &span) {
        (true, _) => "window ",
        (false, Some(_)) => "whole input, ",
        (false, None) => "whole input",
    });
    if let Some((start, end)) = span {
        write!(out, "{start} to {end} UTC")?;
    }
    write!(out, ", {}", counted(last.events, "event"))?;
    if last.is_filling() {
        write!(out, ", {:.0} % covered", last.coverage * 100.0)?;
    }
    out.push_str("\n\n");
    Ok(())
}

/// In UTC, as short as it can be: `2013-10-21`, `2013-10-21 06:00`; `None` for an end of an unbounded
/// window.
fn time(ms: i64) -> Option<String> {
    const DAY: i64 = 86_400_000;
    const MINUTE: i64 = 60_000;
    let format = match (ms % DAY, ms % MINUTE, ms % 1_000) {
        (0, _, _) => "%Y-%m-%d",
        (_, 0, _) => "%Y-%m-%d %H:%M",
        (_, _, 0) => "%Y-%m-%d %H:%M:%S",
        _ => "%Y-%m-%d %H:%M:%S%.3f",
    };
    let at = Timestamp::from_millisecond(ms).ok()?;
    Some(at.strftime(format).to_string())
}

/// One cell: its text and its style.
type Styled = (String, Style);

fn plain(text: impl Into<String>) -> Styled {
    (text.into(), Style::new())
}

/// One column: its title, and a cell for each feature.
struct Column {
    title: &'static str,
    cells: Vec<Styled>,
    /// Text stands to the left, figures to the right.
    text: bool,
    /// Left out in this order on a terminal that is too narrow; 0: never.
    leaves: u8,
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|(text, _)| width(text));
        cells.chain([width(self.title)]).max().unwrap_or(0)
    }
}

struct Table(Vec<Column>);

impl Table {
    fn new(checked: &Checked, features: &[(usize, &FeatureReport)]) -> Self {
        let column = |title, leaves, cell: &dyn Fn(&FeatureReport) -> Styled| Column {
            title,
            cells: features.iter().map(|(_, feature)| cell(feature)).collect(),
            text: ["feature", "status"].contains(&title),
            leaves,
        };
        let mut columns = vec![
            column("feature", 0, &|f| plain(printable(&f.feature))),
            column("status", 0, &|f| {
                (f.status.words().to_owned(), style(f.status))
            }),
            column("PSI", 0, &|f| (psi(f.psi), style(f.status))),
            column("values", 3, &|f| plain(grouped(f.values))),
            column("missing", 2, &|f| plain(share(f.missing, f.records()))),
        ];
        if features.iter().any(|(_, feature)| feature.invalid > 0) {
            columns.push(column("invalid", 4, &|f| {
                plain(share(f.invalid, f.records()))
            }));
        }
        if checked.reports.len() > 1 {
            columns.extend(history(checked, features));
        }
        Self(columns)
    }

    fn width(&self) -> usize {
        let widths = self.0.iter().map(Column::width);
        widths.sum::<usize>() + 2 * self.0.len().saturating_sub(1)
    }

    /// Leaves out what says least until the rest fits into `columns`, and cuts long names.
    fn fit(&mut self, columns: usize) {
        self.cut_names(MOST_NAME);
        while self.width() > columns {
            let leaving = self.0.iter().enumerate().filter(|(_, c)| c.leaves > 0);
            let Some((at, _)) = leaving.min_by_key(|(_, column)| column.leaves) else {
                break;
            };
            self.0.remove(at);
        }
        let over = self.width().saturating_sub(columns);
        let names = self.0[0].width();
        self.cut_names(names.saturating_sub(over).max(LEAST_NAME));
    }

    fn cut_names(&mut self, most: usize) {
        for (name, _) in &mut self.0[0].cells {
            *name = shortened(name, most);
        }
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let widths: Vec<usize> = self.0.iter().map(Column::width).collect();
        let rows = self.0.first().map_or(0, |column| column.cells.len());
        for row in 0..=rows {
            for (i, (column, width)) in self.0.iter().zip(&widths).enumerate() {
                let title = || (column.title.to_owned(), QUIET);
                let cell = row.checked_sub(1).map(|row| column.cells[row].clone());
                let (text, style) = cell.unwrap_or_else(title);
                let last = i + 1 == widths.len();
                let aligned = match (column.text, last) {
                    (true, true) => text,
                    (true, false) => left(&text, *width),
                    (false, _) => right(&text, *width),
                };
                let gap = if i == 0 { "" } else { "  " };
                write!(out, "{gap}{style}{aligned}{style:#}")?;
            }
            out.push('\n');
        }
        Ok(())
    }
}

/// What all full windows with a verdict held: how many were likely drift, the worst and when it ended.
fn history(checked: &Checked, features: &[(usize, &FeatureReport)]) -> [Column; 3] {
    let mut columns =
        [("likely in", 6), ("worst", 5), ("ended", 1)].map(|(title, leaves)| Column {
            title,
            cells: Vec::new(),
            text: false,
            leaves,
        });
    for (i, _) in features {
        let judged: Vec<(&DriftReport, &FeatureReport)> = checked
            .reports
            .iter()
            .filter(|report| !report.is_filling())
            .map(|report| (report, &report.features[*i]))
            .filter(|(_, feature)| feature.status != DriftStatus::InsufficientData)
            .collect();
        let likely = judged
            .iter()
            .filter(|(_, f)| f.status == DriftStatus::LikelyDrift);
        let count = format!("{} of {}", likely.count(), judged.len());
        let worst = judged.iter().max_by(|(_, a), (_, b)| by_severity(a, b));
        let cells = match worst {
            None => ["–"; 3].map(plain),
            Some((report, feature)) => [
                plain(count),
                (psi(feature.psi), style(feature.status)),
                plain(time(report.window.end_ms).unwrap_or_default()),
            ],
        };
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.cells.push(cell);
        }
    }
    columns
}

fn share(part: u64, of: u64) -> String {
    match part {
        0 => "0".to_owned(),
        part => format!("{:.1} %", part as f64 / of as f64 * 100.0),
    }
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
            "{QUIET}{} windows of {} every {}, {} of them full; --format csv has them all{QUIET:#}",
            grouped(checked.reports.len() as u64),
            durations::show(settings.monitor.window.size_ms),
            durations::show(settings.monitor.window.slide_ms),
            grouped(full as u64),
        )?;
    }
    writeln!(
        out,
        "{QUIET}possible drift from {}, likely above {}{QUIET:#}",
        thresholds.possible, thresholds.likely
    )?;
    if settings.chosen {
        return Ok(());
    }
    for (column, reason) in monitor.left_out.iter().take(LEFT_OUT) {
        writeln!(
            out,
            "{QUIET}{} is left out: {}{QUIET:#}",
            printable(column),
            printable(reason)
        )?;
    }
    if let Some(more @ 1..) = monitor.left_out.len().checked_sub(LEFT_OUT) {
        let more = grouped(more as u64);
        writeln!(
            out,
            "{QUIET}and so are {more} more; `psiren reference inspect` lists them{QUIET:#}"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(names: &[&str]) -> Table {
        let column = |title, cell: &str, leaves| Column {
            title,
            cells: names.iter().map(|_| plain(cell)).collect(),
            text: false,
            leaves,
        };
        let feature = Column {
            title: "feature",
            cells: names.iter().map(|name| plain(*name)).collect(),
            text: true,
            leaves: 0,
        };
        Table(vec![
            feature,
            column("PSI", "0.1234", 0),
            column("values", "1,362", 3),
            column("missing", "0", 2),
            column("ended", "2013-10-21", 1),
        ])
    }

    fn lines(table: &Table) -> Vec<String> {
        let mut out = String::new();
        table.write(&mut out).unwrap();
        let plain = anstream::adapter::strip_str(&out).to_string();
        plain.lines().map(str::to_owned).collect()
    }

    #[test]
    fn wide_and_combining_names_keep_the_columns_straight() {
        let found = lines(&table(&["价格", "e\u{301}te\u{301}", "distance"]));
        let widths: Vec<usize> = found.iter().map(|line| width(line)).collect();
        assert_eq!(widths, [widths[0]; 4], "{found:#?}");
    }

    #[test]
    fn a_narrow_terminal_loses_what_says_least_and_then_the_ends_of_names() {
        let long = "a_feature_with_a_very_long_name_indeed_that_nobody_types_twice";
        for (columns, titles) in [
            (200, "feature PSI values missing ended"),
            (80, "feature PSI values missing"),
            (70, "feature PSI values"),
            (60, "feature PSI"),
            (30, "feature PSI"),
        ] {
            let mut table = table(&[long, "x"]);
            table.fit(columns);
            let found = lines(&table);
            let head: Vec<&str> = found[0].split_whitespace().collect();
            let widest = found.iter().map(|line| width(line)).max().unwrap();
            assert_eq!(head.join(" "), titles, "{columns}");
            assert!(widest <= columns, "{widest} of {columns}");
        }
    }

    #[test]
    fn times_are_as_short_as_they_can_be() {
        let midnight = 1_382_313_600_000;
        let shown = [0, 21_600_000, 1_000, 1].map(|ms| time(midnight + ms).unwrap());
        let expected = [
            "2013-10-21",
            "2013-10-21 06:00",
            "2013-10-21 00:00:01",
            "2013-10-21 00:00:00.001",
        ];
        assert_eq!(shown, expected);
        assert_eq!(time(i64::MAX), None);
    }
}
