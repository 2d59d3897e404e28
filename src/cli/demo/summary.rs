//! What the demo says at the end: which features drifted, for how long, and how far.

use std::fmt::Write as _;

use anyhow::Result;

use crate::drift::{Definition, DriftReport, DriftStatus, Trigger};
use crate::state::{LogBody, ReportLog};

/// All final reports of the demo's monitor, in order.
pub(super) fn final_reports(log: &dyn ReportLog) -> Result<Vec<DriftReport>> {
    let entries = log.history(super::TOPIC, i64::MIN, i64::MAX, usize::MAX)?;
    let reports = entries.into_iter().filter_map(|entry| match entry.body {
        LogBody::Report(report) if report.trigger == Trigger::Final => Some(report),
        _ => None,
    });
    Ok(reports.collect())
}

struct Line {
    feature: String,
    likely: usize,
    possible: usize,
    worst: f64,
    worst_end_ms: i64,
}

/// A table over full windows, the features in the order of the definition.
pub(super) fn render(definition: &Definition, reports: &[DriftReport]) -> String {
    let full: Vec<&DriftReport> = reports.iter().filter(|r| !r.is_filling()).collect();
    let lines = definition.features.iter().map(|f| line(f.name(), &full));
    let mut text = format!(
        "\n{} windows of 7 days against January and February\n\n{:<12} {:>6} {:>9} {:>10}   worst week ended\n",
        full.len(),
        "feature",
        "likely",
        "possible",
        "worst PSI",
    );
    for line in lines {
        let day = jiff::Timestamp::from_millisecond(line.worst_end_ms)
            .map(|at| at.strftime("%-d %B").to_string())
            .unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<12} {:>6} {:>9} {:>10.3}   {day}",
            line.feature, line.likely, line.possible, line.worst
        );
    }
    text
}

fn line(feature: &str, reports: &[&DriftReport]) -> Line {
    let mut line = Line {
        feature: feature.to_owned(),
        likely: 0,
        possible: 0,
        worst: 0.0,
        worst_end_ms: 0,
    };
    for report in reports {
        let Some(judged) = report.feature(feature) else {
            continue;
        };
        match judged.status {
            DriftStatus::LikelyDrift => line.likely += 1,
            DriftStatus::PossibleDrift => line.possible += 1,
            DriftStatus::NoDrift => {}
            DriftStatus::InsufficientData => continue,
        }
        if let Some(psi) = judged.psi.filter(|psi| *psi >= line.worst) {
            line.worst = psi;
            line.worst_end_ms = report.window.end_ms;
        }
    }
    line
}
