//! `psiren explain`: asks a running psiren for one feature in one window, and shows its PSI as a sum
//! that a person can do again.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::client::Target;
use super::sum::{self, Bucket, Sum};
use super::terminal;
use crate::drift::{DriftStatus, Smoothing};
use crate::text::{encode, rfc3339};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  psiren explain dep_delay
  psiren explain dep_delay --monitor flights --live
  psiren explain dep_delay --end 2026-03-01T00:00:00Z

To explain a figure of a file instead of a running psiren:
  psiren check week.csv -r reference.json --feature dep_delay --format explain")]
pub struct ExplainArgs {
    /// The feature whose PSI to explain
    feature: String,
    /// The monitor that watches it; may be left out where only one does
    #[arg(long, value_name = "NAME")]
    monitor: Option<String>,
    /// The window up to the newest event, instead of the last that closed
    #[arg(long, conflicts_with = "end")]
    live: bool,
    /// The window that ended then: RFC 3339, or milliseconds since the Unix epoch
    #[arg(long, value_name = "TIME", value_parser = instant)]
    end: Option<i64>,
    #[command(flatten)]
    target: Target,
}

fn instant(text: &str) -> Result<i64, String> {
    let rfc3339 = || text.parse::<Timestamp>().ok();
    let ms = text.parse().ok();
    ms.or_else(|| Some(rfc3339()?.as_millisecond()))
        .ok_or_else(|| "expected RFC 3339 like 2026-03-01T00:00:00Z, or milliseconds".to_owned())
}

#[derive(Deserialize)]
struct Status {
    monitors: Vec<MonitorStatus>,
}

#[derive(Deserialize)]
struct MonitorStatus {
    monitor: String,
    features: Vec<Named>,
}

#[derive(Deserialize)]
struct Named {
    feature: String,
}

#[derive(Deserialize)]
struct Monitor {
    definition: Definition,
}

#[derive(Deserialize)]
struct Definition {
    smoothing: String,
    epsilon: Option<f64>,
}

#[derive(Deserialize)]
struct Detail {
    /// Of the reference, the missing values last where they are a bucket.
    buckets: Vec<ReferenceBucket>,
    last_final: Option<FeatureWindow>,
    live: Option<FeatureWindow>,
}

#[derive(Deserialize)]
struct ReferenceBucket {
    bucket: String,
    range: Option<String>,
    events: u64,
}

#[derive(Deserialize)]
struct FeatureWindow {
    window: Bounds,
    #[serde(flatten)]
    figures: Figures,
}

#[derive(Deserialize)]
struct Bounds {
    start: Option<String>,
    end: Option<String>,
}

#[derive(Deserialize)]
struct Figures {
    status: DriftStatus,
    reason: String,
    bucket_events: Option<Vec<u64>>,
    missing: Option<u64>,
    invalid: Option<u64>,
}

#[derive(Deserialize)]
struct History {
    evaluations: Vec<Evaluation>,
}

#[derive(Deserialize)]
struct Evaluation {
    trigger: String,
    window: Bounds,
    features: Vec<Figures>,
}

/// # Errors
/// psiren does not answer, or has no such monitor, feature or window.
pub fn run(args: ExplainArgs) -> Result<ExitCode> {
    super::show(&explain(args)?)
}

/// What [`run`] prints, with its styles.
///
/// # Errors
/// As [`run`].
pub fn explain(args: ExplainArgs) -> Result<String> {
    let monitor = match &args.monitor {
        Some(name) => name.clone(),
        None => only_monitor(&args)?,
    };
    let place = ["monitors", &monitor];
    let judged: Monitor = args.ask(&place, &[])?;
    let mut detail: Detail = args.ask(&["monitors", &monitor, "features", &args.feature], &[])?;
    let window = match args.end {
        Some(end) => args.ended_at(&monitor, end)?,
        None if args.live => detail.live.take(),
        None => detail.last_final.take(),
    };
    let window = window.with_context(|| args.lacking(&monitor))?;
    let sum = Sum {
        window: title(&monitor, &window.window),
        smoothing: judged.definition.smoothing()?,
        buckets: buckets(&detail, &window.figures),
        beside: beside(&detail, &window.figures),
        verdict: window.figures.status,
        reason: window.figures.reason,
        feature: args.feature,
    };
    Ok(sum::render(&sum, terminal::columns()))
}

impl ExplainArgs {
    fn ask<T: DeserializeOwned>(&self, place: &[&str], query: &[(&str, &str)]) -> Result<T> {
        let body = self.target.get(&resource(place, query))?.success()?;
        T::deserialize(body)
            .context("psiren answered in an unknown shape; are both of one version?")
    }

    fn lacking(&self, monitor: &str) -> String {
        match self.end.map(rfc3339) {
            Some(end) => format!(
                "no window of {monitor:?} that is kept ended at {}; /api/v1/history lists those that are",
                end.as_deref().unwrap_or("that time")
            ),
            None => {
                format!("{monitor:?} has no such window yet; /api/v1/status says what it waits for")
            }
        }
    }

    /// The feature in the final evaluation of the window that ended at `end_ms`.
    fn ended_at(&self, monitor: &str, end_ms: i64) -> Result<Option<FeatureWindow>> {
        let end = &end_ms.to_string();
        let query = [
            ("monitor", monitor),
            ("feature", &self.feature),
            ("from", end),
            ("to", end),
            ("format", "json"),
        ];
        let history: History = self.ask(&["history"], &query)?;
        let mut closed = history.evaluations.into_iter();
        let closed = closed.find(|evaluation| evaluation.trigger == "final");
        Ok(closed.and_then(|evaluation| {
            Some(FeatureWindow {
                window: evaluation.window,
                figures: evaluation.features.into_iter().next()?,
            })
        }))
    }
}

/// The one monitor with this feature.
fn only_monitor(args: &ExplainArgs) -> Result<String> {
    let status: Status = args.ask(&["status"], &[])?;
    let has = |m: &&MonitorStatus| m.features.iter().any(|f| f.feature == args.feature);
    let names: Vec<&str> = status
        .monitors
        .iter()
        .filter(has)
        .map(|m| m.monitor.as_str())
        .collect();
    match names[..] {
        [name] => Ok(name.to_owned()),
        [] => {
            let all = status.monitors.iter().flat_map(|m| &m.features);
            let all: Vec<&str> = all.map(|f| f.feature.as_str()).collect();
            bail!(
                "no monitor watches {:?}; watched are {}",
                args.feature,
                all.join(", ")
            )
        }
        _ => bail!(
            "{:?} is watched by {}; choose one with --monitor",
            args.feature,
            names.join(", ")
        ),
    }
}

/// A path of the interface with its query, both encoded.
fn resource(place: &[&str], query: &[(&str, &str)]) -> String {
    let place: Vec<String> = place.iter().map(|segment| encode(segment)).collect();
    let query = query
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)));
    let query: Vec<String> = query.collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("/api/v1/{}{mark}{}", place.join("/"), query.join("&"))
}

impl Definition {
    fn smoothing(&self) -> Result<Smoothing> {
        Ok(match (self.smoothing.as_str(), self.epsilon) {
            ("clip", Some(epsilon)) => Smoothing::Clip(epsilon),
            ("replace", Some(epsilon)) => Smoothing::Replace(epsilon),
            ("add", Some(epsilon)) => Smoothing::Add(epsilon),
            ("half", _) => Smoothing::Half,
            (other, _) => bail!(
                "psiren smooths by {other:?}, which this version does not know; ask with the version that runs"
            ),
        })
    }
}

fn title(monitor: &str, window: &Bounds) -> String {
    let start = window.start.as_deref().unwrap_or("…");
    let end = window.end.as_deref().unwrap_or("…");
    format!("{monitor} · {start} to {end}")
}

fn buckets(detail: &Detail, figures: &Figures) -> Vec<Bucket> {
    let counted = figures.bucket_events.iter().flatten();
    let production = counted.chain(figures.missing.iter()).copied();
    let pairs = detail.buckets.iter().zip(production);
    let bucket = |(reference, production): (&ReferenceBucket, u64)| Bucket {
        range: reference
            .range
            .clone()
            .unwrap_or_else(|| reference.bucket.clone()),
        reference: reference.events,
        production,
    };
    pairs.map(bucket).collect()
}

fn beside(detail: &Detail, figures: &Figures) -> Vec<(u64, &'static str)> {
    let is_bucket = detail.buckets.last().is_some_and(|b| b.bucket == "missing");
    let missing = figures.missing.filter(|_| !is_bucket).unwrap_or(0);
    vec![
        (missing, "missing"),
        (figures.invalid.unwrap_or(0), "of a wrong type"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_times_are_encoded() {
        let path = resource(&["monitors", "a/b", "features", "ü?"], &[("end", "1+1")]);
        assert_eq!(path, "/api/v1/monitors/a%2Fb/features/%C3%BC%3F?end=1%2B1");
    }
}
