//! Why the features of a table have their verdicts: the reason in words, the shares of the buckets
//! before and now, and the bucket that moved most. Pure.

use std::fmt::Write;

use super::csv::production_counts;
use crate::cli::terminal::{QUIET, TITLE, columns_of, left, printable, shortened, style, width};
use crate::drift::{DriftReport, DriftStatus, FeatureDefinition, FeatureReport, psi};
use crate::monitor::Monitor;
use crate::text::grouped;

/// Features that are explained, the worst first.
const EXPLAINED: usize = 10;
/// More buckets than this make no picture.
const BUCKETS: usize = 30;
const NAME: usize = 24;
const RANGE: usize = 28;

/// Of the features in `order` those that are not without drift.
pub(super) fn write(
    out: &mut String,
    monitor: &Monitor,
    report: &DriftReport,
    order: &[usize],
    columns: Option<usize>,
) -> std::fmt::Result {
    let pairs: Vec<(&FeatureDefinition, &FeatureReport)> = order
        .iter()
        .map(|i| (&monitor.definition.features[*i], &report.features[*i]))
        .filter(|(_, feature)| feature.status != DriftStatus::NoDrift)
        .collect();
    if pairs.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{TITLE}why{TITLE:#}  {QUIET}shares of the buckets in the reference → in the window{QUIET:#}"
    )?;
    let names: Vec<String> = pairs.iter().map(|(_, f)| printable(&f.feature)).collect();
    let names: Vec<String> = names.iter().map(|n| shortened(n, NAME)).collect();
    let shown = names.iter().take(EXPLAINED);
    let widest = shown.map(|name| width(name)).max().unwrap_or(0);
    for ((definition, feature), name) in pairs.iter().zip(&names).take(EXPLAINED) {
        let style = style(feature.status);
        let reason = definition.reason(feature, report.is_filling());
        let name = left(name, widest);
        writeln!(out, "{style}{name}{style:#}  {}", printable(&reason))?;
        let counts = production_counts(definition, feature);
        let Some(moved) = Moved::new(definition, &counts, monitor) else {
            continue;
        };
        let room = columns.map(|columns| columns.saturating_sub(widest + 2));
        for line in moved.lines(room) {
            writeln!(out, "{:widest$}  {line}", "")?;
        }
    }
    if let Some(more @ 1..) = pairs.len().checked_sub(EXPLAINED) {
        writeln!(
            out,
            "{QUIET}and {} more; --feature NAME --format explain shows any of them{QUIET:#}",
            grouped(more as u64)
        )?;
    }
    Ok(())
}

/// The shares of a feature's buckets before and now.
struct Moved {
    picture: Option<String>,
    /// The bucket with the greatest term, and its shares.
    most: String,
}

impl Moved {
    /// `None` where there is no PSI that could be explained.
    fn new(definition: &FeatureDefinition, counts: &[u64], monitor: &Monitor) -> Option<Self> {
        let reference = definition.reference_counts();
        let sum = psi(&reference, counts, monitor.definition.smoothing)?;
        let (at, _) = sum.greatest().filter(|(_, term)| *term > 0.0)?;
        let (before, now) = (shares(&reference), shares(counts));
        let greatest = before.iter().chain(&now).copied().fold(0.0, f64::max);
        let picture = (before.len() <= BUCKETS).then(|| {
            format!(
                "{} → {}",
                columns_of(&before, greatest),
                columns_of(&now, greatest)
            )
        });
        let range = definition.bucket_words(at);
        let range = range.unwrap_or_else(|| "one of its values".to_owned());
        let most = format!(
            "most: {}, {} → {}",
            shortened(&printable(&range), RANGE),
            percent(before[at]),
            percent(now[at])
        );
        Some(Self { picture, most })
    }

    /// One line where there is room for it, else two.
    fn lines(&self, room: Option<usize>) -> Vec<String> {
        let Some(picture) = &self.picture else {
            return vec![self.most.clone()];
        };
        let line = format!("{picture}  {}", self.most);
        match room.is_none_or(|room| width(&line) <= room) {
            true => vec![line],
            false => vec![picture.clone(), self.most.clone()],
        }
    }
}

fn shares(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>().max(1) as f64;
    counts.iter().map(|n| *n as f64 / total).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}
