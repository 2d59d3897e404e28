//! What can be typed after `psiren check`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::config::{EdgeRule, TimeUnit, durations};
use crate::drift::{DriftStatus, MissingRule};

/// Compare a file with a reference: PSI per feature, over the whole file or over sliding windows
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  A file as a whole, and as a gate for CI, which fails with exit code 3:
    psiren check week.parquet -r training.parquet
    psiren check week.parquet -r reference.json --fail-on likely
  In sliding windows: the last one, and every window as a row:
    psiren check year.csv -r ref.json --timestamp ts --window 7d --slide 1d
    psiren check year.csv -r ref.json --timestamp ts --window 1d --format csv
  One feature: its PSI as a number, and as the sum it is:
    psiren check week.csv -r reference.json --feature dep_delay --format value
    psiren check week.csv -r reference.json --feature dep_delay --format explain
  As a monitor of a configuration judges:
    zstdcat week.ndjson.zst | psiren check - --config psiren.toml")]
pub struct CheckArgs {
    /// Rows to check: Parquet, NDJSON, CSV (the latter two also gzipped), or - for NDJSON on
    /// standard input
    #[arg(
        value_name = "FILE",
        required_unless_present = "input",
        conflicts_with = "input"
    )]
    pub file: Option<PathBuf>,
    /// The same as FILE
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// What to compare with: Parquet, or a profile from `psiren reference build`
    #[arg(long, short, value_name = "FILE", required_unless_present = "config")]
    pub reference: Option<PathBuf>,
    /// Take everything from a monitor of this configuration; other options overrule it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The monitor of the configuration, or the name to write in the rows
    #[arg(long, value_name = "NAME")]
    pub monitor: Option<String>,

    /// Length of a window, like 7d; without it the whole input is one window
    #[arg(long, value_name = "DURATION", value_parser = duration, help_heading = "Windows")]
    pub window: Option<i64>,
    /// From one window to the next, like 1d [default: the window]
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "window", help_heading = "Windows")]
    pub slide: Option<i64>,
    /// Move the start of windows from midnight UTC, like 5h
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true, requires = "window", help_heading = "Windows")]
    pub offset: Option<i64>,
    /// Leave out rows that come later than this after their window's end; unlimited by default
    #[arg(long, value_name = "DURATION", value_parser = duration, requires = "window", help_heading = "Windows")]
    pub lateness: Option<i64>,
    /// Field or column with the event time; dots lead into objects
    #[arg(long, value_name = "FIELD", help_heading = "Windows")]
    pub timestamp: Option<String>,
    /// Unit of a numeric event time [default: by magnitude]
    #[arg(long, value_enum, requires = "timestamp", help_heading = "Windows")]
    pub unit: Option<UnitArg>,
    /// For event times without an offset, like Europe/Berlin
    #[arg(
        long,
        value_name = "ZONE",
        requires = "timestamp",
        help_heading = "Windows"
    )]
    pub timezone: Option<String>,

    /// Check these features only, in this order
    #[arg(
        long,
        visible_alias = "feature",
        value_name = "A,B",
        value_delimiter = ',',
        help_heading = "Features"
    )]
    pub features: Vec<String>,
    /// Globs over the reference's columns to check
    #[arg(
        long,
        value_name = "GLOB,…",
        value_delimiter = ',',
        help_heading = "Features"
    )]
    pub include: Vec<String>,
    /// Globs over the reference's columns to leave out
    #[arg(
        long,
        value_name = "GLOB,…",
        value_delimiter = ',',
        help_heading = "Features"
    )]
    pub exclude: Vec<String>,
    /// Buckets per numeric feature [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..), help_heading = "Features")]
    pub buckets: Option<u16>,
    /// Edges of numeric features: quantile, uniform, or numbers like 0,10,50
    #[arg(long, value_name = "RULE", value_parser = edges, allow_hyphen_values = true, help_heading = "Features")]
    pub edges: Option<EdgesArg>,

    /// What keeps an empty bucket finite [default: clip]
    #[arg(long, value_enum, help_heading = "Verdict")]
    pub smoothing: Option<SmoothingArg>,
    /// The share an empty bucket gets [default: 0.0001]
    #[arg(long, value_name = "SHARE", help_heading = "Verdict")]
    pub epsilon: Option<f64>,
    /// PSI from which drift is possible [default: 0.1]
    #[arg(long, value_name = "PSI", help_heading = "Verdict")]
    pub possible: Option<f64>,
    /// PSI above which drift is likely [default: 0.25]
    #[arg(long, value_name = "PSI", help_heading = "Verdict")]
    pub likely: Option<f64>,
    /// Values a window needs for a verdict [default: by the number of buckets]
    #[arg(long, value_name = "N", help_heading = "Verdict")]
    pub min_events: Option<u64>,
    /// Leave missing values out, or make them a bucket [default: exclude]
    #[arg(long, value_enum, help_heading = "Verdict")]
    pub missing: Option<MissingArg>,
    /// Exit with 3 when a full window with enough values is at least this
    #[arg(long, value_enum, help_heading = "Verdict")]
    pub fail_on: Option<FailOn>,

    #[arg(long, value_enum, default_value_t, help_heading = "Output")]
    pub format: OutputFormat,
    /// With --format csv: two more columns, reference and production counts per bucket
    #[arg(long, help_heading = "Output")]
    pub counts: bool,
    /// Write here instead of to standard output
    #[arg(long, short, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Show no progress on standard error
    #[arg(long, help_heading = "Output")]
    pub no_progress: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// For people: the last window, the worst first
    #[default]
    Table,
    /// One document with all windows, features and buckets
    Json,
    /// One row per feature and window, as `run` writes them
    Csv,
    /// One number: the PSI of one feature in the last window
    Value,
    /// The sum behind that number, bucket by bucket, to do again by hand
    Explain,
    /// Gauges with timestamps, to load into Prometheus as history
    Openmetrics,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    Likely,
    Possible,
}

impl From<FailOn> for DriftStatus {
    fn from(bar: FailOn) -> Self {
        match bar {
            FailOn::Likely => Self::LikelyDrift,
            FailOn::Possible => Self::PossibleDrift,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum UnitArg {
    S,
    Ms,
    Us,
    Ns,
}

impl From<UnitArg> for TimeUnit {
    fn from(unit: UnitArg) -> Self {
        match unit {
            UnitArg::S => Self::Seconds,
            UnitArg::Ms => Self::Milliseconds,
            UnitArg::Us => Self::Microseconds,
            UnitArg::Ns => Self::Nanoseconds,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SmoothingArg {
    /// max(share, ε)
    Clip,
    /// ε in the place of 0
    Replace,
    /// share + ε
    Add,
    /// ½ added to every count
    Half,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MissingArg {
    Exclude,
    Bucket,
}

impl From<MissingArg> for MissingRule {
    fn from(missing: MissingArg) -> Self {
        match missing {
            MissingArg::Exclude => Self::Exclude,
            MissingArg::Bucket => Self::Bucket,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum EdgesArg {
    Quantile,
    Uniform,
    Explicit(Vec<f64>),
}

impl EdgesArg {
    /// The rule, with `buckets` where it has any.
    #[must_use]
    pub fn rule(&self, buckets: usize) -> EdgeRule {
        match self {
            Self::Quantile => EdgeRule::Quantile { buckets },
            Self::Uniform => EdgeRule::Uniform { buckets },
            Self::Explicit(edges) => EdgeRule::Explicit(edges.clone()),
        }
    }
}

fn duration(text: &str) -> Result<i64, String> {
    durations::parse(text)
}

fn edges(text: &str) -> Result<EdgesArg, String> {
    match text {
        "quantile" => return Ok(EdgesArg::Quantile),
        "uniform" => return Ok(EdgesArg::Uniform),
        _ => {}
    }
    let numbers: Result<Vec<f64>, _> = text.split(',').map(|n| n.trim().parse()).collect();
    let numbers =
        numbers.map_err(|_| "expected quantile, uniform or numbers like 0,10,50".to_owned())?;
    let ascending = numbers.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || numbers.iter().any(|n| !n.is_finite()) {
        return Err("expected finite numbers, each greater than the one before".to_owned());
    }
    Ok(EdgesArg::Explicit(numbers))
}
