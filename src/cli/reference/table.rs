//! A profile as text for people. Pure; styles are ANSI codes that the writer strips where they do
//! not belong. Names from files are shown without their control characters.

use std::fmt::Write as _;
use std::path::Path;

use anstyle::{AnsiColor, Style};

use crate::cli::terminal::{QUIET, TITLE, bar, left, shortened, width};
use crate::drift::FeatureReference;
use crate::drift::edges::number_text;
use crate::reference::profile::BuiltWith;
use crate::reference::{LeftOut, Profile, ProfileFeature};
use crate::text::{counted, grouped};

const BAR: Style = AnsiColor::Cyan.on_default();
const NOTE: Style = AnsiColor::Yellow.on_default();
pub(super) const PROBLEM: Style = AnsiColor::Red.on_default().bold();

/// Cells of the longest bar, where there is room for it.
const BAR_CELLS: usize = 24;
const LEAST_BAR: usize = 4;
const LABEL_CELLS: usize = 28;

/// Everything in `profile`, which was read from `path`. `columns`: how wide the terminal is.
pub(super) fn render(profile: &Profile, path: &Path, columns: Option<usize>) -> String {
    let mut out = String::new();
    head(&mut out, profile, path);
    for feature in &profile.features {
        out.push('\n');
        render_feature(&mut out, feature, columns);
    }
    out.push_str(&unwatched(profile));
    out
}

/// What was built, in a line, and what was not.
pub(super) fn summary(profile: &Profile, output: Option<&Path>) -> String {
    let mut out = String::new();
    let place = output
        .map(|p| format!("{}: ", p.display()))
        .unwrap_or_default();
    let _ = writeln!(
        out,
        "{place}{} from {} rows",
        counted(profile.features.len() as u64, "feature"),
        grouped(profile.rows)
    );
    for feature in &profile.features {
        for note in &feature.notes {
            let _ = writeln!(
                out,
                "  {NOTE}{}{NOTE:#}: {note}",
                clean(&feature.reference.name)
            );
        }
    }
    out.push_str(&unwatched(profile));
    out
}

fn head(out: &mut String, profile: &Profile, path: &Path) {
    let _ = writeln!(
        out,
        "{TITLE}{}{TITLE:#}  {} · {} rows",
        path.display(),
        counted(profile.features.len() as u64, "feature"),
        grouped(profile.rows)
    );
    let _ = writeln!(
        out,
        "{QUIET}built {} by psiren {}{QUIET:#}",
        profile.built_at, profile.psiren
    );
    for source in &profile.sources {
        let hash: String = source.sha256.chars().take(12).collect();
        let _ = writeln!(
            out,
            "{QUIET}from {} · {} rows · sha256 {hash}…{QUIET:#}",
            clean(&source.path),
            grouped(source.rows)
        );
    }
    if let Some(span) = &profile.event_time {
        let _ = writeln!(
            out,
            "{QUIET}{} from {} to {}{QUIET:#}",
            clean(&span.column),
            span.from,
            span.to
        );
    }
}

fn render_feature(out: &mut String, feature: &ProfileFeature, columns: Option<usize>) {
    let reference = &feature.reference;
    let _ = write!(out, "{TITLE}{}{TITLE:#}  ", clean(&reference.name));
    if reference.column != reference.name {
        let _ = write!(out, "column {} · ", clean(&reference.column));
    }
    let _ = writeln!(out, "{}", facts(feature));
    for note in &feature.notes {
        let _ = writeln!(out, "  {NOTE}note{NOTE:#}: {note}");
    }
    buckets(out, reference, columns);
}

fn facts(feature: &ProfileFeature) -> String {
    let reference = &feature.reference;
    let mut facts = vec![
        format!("{:?}", reference.binning.kind()).to_lowercase(),
        clean(&feature.data_type),
        format!("{} values", grouped(reference.values())),
    ];
    if reference.missing > 0 {
        facts.push(format!(
            "{} missing ({:.1} %)",
            grouped(reference.missing),
            100.0 * reference.missing_share()
        ));
    }
    if let (Some(min), Some(max)) = (reference.min, reference.max) {
        facts.push(format!("{} to {}", number_text(&min), number_text(&max)));
    }
    if let Some(rule) = feature.built_with {
        let merged = match rule {
            BuiltWith::Quantile { buckets } | BuiltWith::Uniform { buckets } => {
                buckets.saturating_sub(reference.counts.len())
            }
            BuiltWith::Explicit => 0,
        };
        facts.push(match merged {
            0 => rule.to_string(),
            n => format!("{rule}, {n} of them merged"),
        });
    }
    facts.join(" · ")
}

fn buckets(out: &mut String, reference: &FeatureReference, columns: Option<usize>) {
    let total = reference.values().max(1) as f64;
    let most = reference.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
    let labels: Vec<String> = (0..reference.counts.len())
        .map(|i| label(&clean(&reference.binning.bucket_range(i))))
        .collect();
    let widest = labels.iter().map(|l| width(l)).max().unwrap_or(0);
    let digits = grouped(most as u64).len();
    let before_bars = "    100.0 %    ".len() + widest + digits;
    let room = columns.map_or(BAR_CELLS, |columns| columns.saturating_sub(before_bars));
    let longest = room.clamp(LEAST_BAR, BAR_CELLS) as f64;
    for (label, count) in labels.iter().zip(&reference.counts) {
        let share = 100.0 * *count as f64 / total;
        let bar = bar(*count as f64 / most, longest);
        let count = grouped(*count);
        let label = left(label, widest);
        let _ = write!(out, "  {label}  {count:>digits$}  {share:>5.1} %");
        let _ = match bar.as_str() {
            "" => writeln!(out),
            bar => writeln!(out, "  {BAR}{bar}{BAR:#}"),
        };
    }
}

fn unwatched(profile: &Profile) -> String {
    let mut out = String::new();
    for (title, style, list) in [
        ("cannot be watched", PROBLEM, &profile.problems),
        ("left out", QUIET, &profile.left_out),
    ] {
        if !list.is_empty() {
            let _ = writeln!(out, "\n{style}{title}{style:#}");
            reasons(&mut out, list);
        }
    }
    out
}

fn reasons(out: &mut String, list: &[LeftOut]) {
    for entry in list {
        let _ = writeln!(
            out,
            "  {TITLE}{}{TITLE:#}: {}",
            clean(&entry.column),
            clean(&entry.reason)
        );
    }
}

/// Without anything a terminal would act on.
fn clean(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

fn label(text: &str) -> String {
    match text {
        "" => "(empty)".to_owned(),
        text => shortened(text, LABEL_CELLS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::{LoadOptions, build};

    #[test]
    fn flights_as_a_table() {
        let path = Path::new("fixtures/flights/reference.parquet");
        let options = LoadOptions {
            include: ["ts", "origin", "dep_delay", "precip"]
                .map(String::from)
                .to_vec(),
            timestamp_column: Some("ts".into()),
            ..LoadOptions::default()
        };
        let mut profile = build(&[path.to_owned()], &options).unwrap();
        profile.built_at = "2024-01-01T00:00:00Z".into();
        let text = anstream::adapter::strip_str(&render(&profile, path, None)).to_string();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn bars_are_as_long_as_a_narrow_terminal_lets_them_be() {
        let path = Path::new("fixtures/flights/reference.parquet");
        let options = LoadOptions {
            include: ["carrier", "distance"].map(String::from).to_vec(),
            ..LoadOptions::default()
        };
        let profile = build(&[path.to_owned()], &options).unwrap();
        for columns in [40, 50] {
            let text = render(&profile, path, Some(columns));
            let text = anstream::adapter::strip_str(&text).to_string();
            let bars = text.lines().filter(|line| line.contains('█'));
            let widest = bars.map(width).max().unwrap();
            assert_eq!(widest, columns, "{text}");
        }
    }

    #[test]
    fn hostile_names_cannot_drive_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(width(&label(&"x".repeat(99))), LABEL_CELLS);
    }
}
