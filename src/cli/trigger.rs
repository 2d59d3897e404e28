//! `psiren trigger`: asks a running psiren to evaluate now and shows what it found.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use serde::Deserialize;
use serde_json::json;

use super::client::{Target, Token};
use super::terminal::{TITLE, left, printable, psi, severity, style, width};
use crate::drift::DriftStatus;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  psiren trigger
  psiren trigger --monitor flights --fail-on likely
  psiren trigger --url https://psiren.example.com --token-file token")]
pub struct TriggerArgs {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    token: Token,
    /// Check this monitor; without it, all of them
    #[arg(long)]
    monitor: Option<String>,
    /// How to show what was found
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Exit with 3 when a feature has drifted so far in a window with enough events and full coverage
    #[arg(long, value_enum)]
    fail_on: Option<Level>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    #[default]
    Table,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Level {
    Possible,
    Likely,
}

/// The part of the answer that the table shows.
#[derive(Deserialize)]
struct Found {
    monitors: Vec<Monitor>,
}

#[derive(Deserialize)]
struct Monitor {
    monitor: String,
    last_final: Option<Evaluation>,
    live: Option<Evaluation>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Evaluation {
    window: Window,
    coverage: f64,
    events: u64,
    features: Vec<Feature>,
}

#[derive(Deserialize)]
struct Window {
    start: Option<String>,
    end: Option<String>,
}

#[derive(Deserialize)]
struct Feature {
    feature: String,
    psi: Option<f64>,
    status: DriftStatus,
    reason: String,
}

/// 0 when checked, 3 when `--fail-on` is reached.
pub fn run(args: TriggerArgs) -> Result<ExitCode> {
    let token = args.token.read()?;
    let request = args
        .monitor
        .map_or_else(|| json!({}), |name| json!({ "monitor": name }));
    let answer = args
        .target
        .post("/api/v1/check", &request, token.as_ref())?;
    let body = answer.success()?;
    let found = Found::deserialize(&body).context("psiren answered in an unknown shape")?;
    match args.format {
        Format::Json => super::show(&format!("{}\n", serde_json::to_string_pretty(&body)?))?,
        Format::Table => super::show(&found.monitors.iter().map(text).collect::<String>())?,
    };
    if args.fail_on.is_some_and(|level| found.reaches(level)) {
        return Ok(ExitCode::from(super::DRIFTED));
    }
    // Some monitors were checked and this one could not be.
    let failed = found.monitors.iter().any(|monitor| monitor.error.is_some());
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

impl Found {
    fn reaches(&self, level: Level) -> bool {
        let least = match level {
            Level::Possible => DriftStatus::PossibleDrift,
            Level::Likely => DriftStatus::LikelyDrift,
        };
        let evaluations = self
            .monitors
            .iter()
            .flat_map(|m| m.last_final.iter().chain(&m.live));
        evaluations
            .filter(|evaluation| evaluation.coverage >= 1.0)
            .flat_map(|evaluation| &evaluation.features)
            .any(|feature| feature.status >= least)
    }
}

/// What a table says of a monitor.
fn text(monitor: &Monitor) -> String {
    let name = printable(&monitor.monitor);
    if let Some(error) = &monitor.error {
        return format!("{name}: not checked: {}\n", printable(error));
    }
    let evaluations = [
        ("last closed window", &monitor.last_final),
        ("now", &monitor.live),
    ];
    let texts = evaluations
        .iter()
        .map(|(what, evaluation)| match evaluation {
            Some(evaluation) => table(&name, what, evaluation),
            None => format!("{name} · {what}: none yet\n"),
        });
    texts.collect()
}

/// One window, the worst feature first.
fn table(monitor: &str, what: &str, evaluation: &Evaluation) -> String {
    let start = evaluation.window.start.as_deref().unwrap_or("…");
    let end = evaluation.window.end.as_deref().unwrap_or("…");
    let mut text = format!(
        "{TITLE}{monitor} · {what}{TITLE:#} · {start} to {end} · {} events{}\n",
        evaluation.events,
        filling(evaluation.coverage),
    );
    let mut features: Vec<&Feature> = evaluation.features.iter().collect();
    features.sort_by(|a, b| severity((b.status, b.psi), (a.status, a.psi)));
    let names: Vec<String> = features.iter().map(|f| printable(&f.feature)).collect();
    let widest = names.iter().map(|name| width(name)).max().unwrap_or(0);
    for (name, feature) in names.iter().zip(features) {
        let style = style(feature.status);
        let psi = psi(feature.psi);
        text += &format!(
            "  {}  {style}{:17}{style:#}  {psi:>8}  {}\n",
            left(name, widest),
            feature.status.words(),
            printable(&feature.reason),
        );
    }
    text
}

fn filling(coverage: f64) -> String {
    match coverage < 1.0 {
        true => format!(" · filling, {:.0} % covered", 100.0 * coverage),
        false => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(status: &str, coverage: f64) -> Found {
        let evaluation = json!({
            "window": {"start": null, "end": null}, "coverage": coverage, "events": 1,
            "features": [{"feature": "x", "psi": 1.0, "status": status, "reason": ""}],
        });
        let body = json!({"monitors": [
            {"monitor": "m", "last_final": null, "live": evaluation, "error": null}
        ]});
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn a_level_is_reached_by_what_is_as_bad_or_worse() {
        assert!(found("likely_drift", 1.0).reaches(Level::Likely));
        assert!(found("likely_drift", 1.0).reaches(Level::Possible));
        assert!(!found("possible_drift", 1.0).reaches(Level::Likely));
        assert!(!found("insufficient_data", 1.0).reaches(Level::Possible));
    }

    #[test]
    fn a_window_that_is_filling_reaches_nothing() {
        assert!(!found("likely_drift", 0.99).reaches(Level::Possible));
    }
}
