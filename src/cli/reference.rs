//! `psiren reference build | inspect`: Parquet → profile, and a look at what is in it.
//!
//! A profile goes to standard output or a file; what a person should know goes to standard error.

mod table;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};

use super::progress::Progress;
use super::{is_same_file, say, terminal};
use crate::config::{Config, EdgeRule, FeatureConfig, MonitorConfig};
use crate::drift::{Closed, FeatureKind};
use crate::reference::{self, LoadOptions, Profile, ReferenceError};

/// Exit code for the configuration or a file it names.
const CONFIGURATION: u8 = 78;
const USAGE: u8 = 2;

/// Build a reference profile from Parquet, or look into one.
#[derive(Debug, Args)]
pub struct ReferenceArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Turn Parquet files into a profile: edges, categories and counts, as JSON
    Build(Box<BuildArgs>),
    /// Show features, buckets, problems and left-out columns of a profile or a Parquet file
    Inspect(InspectArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  psiren reference build training.parquet --output reference.json
  psiren reference build jan.parquet feb.parquet --exclude comment > ref.json
  psiren reference build training.parquet --edges km=1,10,50 -o reference.json
  psiren reference build --config psiren.toml --output reference.json")]
struct BuildArgs {
    /// Parquet files with the same columns; together they are the reference. Default: the monitor's reference
    #[arg(value_name = "FILE", required_unless_present = "config")]
    files: Vec<PathBuf>,
    /// Where to write the profile; standard output if left out
    #[arg(short, long, value_name = "PROFILE")]
    output: Option<PathBuf>,
    /// Buckets per numeric feature [default: 10]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=10_000))]
    buckets: Option<u32>,
    /// Where edges come from: `quantile`, `uniform`, a list such as `0,15,60` for every numeric feature, or `NAME=0,15,60` for one
    #[arg(long, value_name = "RULE", allow_hyphen_values = true)]
    edges: Vec<Edges>,
    /// Which side of a bucket belongs to it [default: right]
    #[arg(long, value_name = "SIDE")]
    closed: Option<Side>,
    /// Categories with a bucket of their own; the rarest above it share one [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_categories: Option<u32>,
    /// Integer columns to compare by name instead of by size
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    categorical: Vec<String>,
    /// Only columns these globs match; an exact name is watched in any case
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    include: Vec<String>,
    /// No columns these globs match
    #[arg(long, value_name = "GLOB", value_delimiter = ',')]
    exclude: Vec<String>,
    /// The column with the events' time: not watched, its span is kept
    #[arg(long, value_name = "COLUMN")]
    timestamp: Option<String>,
    /// Build as this configuration's monitor asks for; flags override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Which monitor of the configuration, where it has several
    #[arg(long, value_name = "NAME", requires = "config")]
    monitor: Option<String>,
    /// Fail when any feature cannot be watched
    #[arg(long)]
    strict: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  psiren reference inspect reference.json
  psiren reference inspect training.parquet --format json | jq .left_out")]
struct InspectArgs {
    /// A profile or a Parquet file
    #[arg(value_name = "PROFILE|PARQUET")]
    file: PathBuf,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Table,
    Json,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Side {
    Left,
    Right,
}

/// One `--edges`.
#[derive(Debug, Clone, PartialEq)]
enum Edges {
    Quantile,
    Uniform,
    All(Vec<f64>),
    One(String, Vec<f64>),
}

impl FromStr for Edges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "quantile" => return Ok(Self::Quantile),
            "uniform" => return Ok(Self::Uniform),
            _ => {}
        }
        let list = |text: &str| -> Result<Vec<f64>, String> {
            let number = |t: &str| t.trim().parse().map_err(|_| format!("{t:?} is no number"));
            let edges: Vec<f64> = text.split(',').map(number).collect::<Result<_, _>>()?;
            reference::build::explicit_edges(&edges, false)
        };
        match text.rsplit_once('=') {
            Some((name, edges)) => Ok(Self::One(name.to_owned(), list(edges)?)),
            None => Ok(Self::All(list(text)?)),
        }
    }
}

/// Runs the command; `load_config` reads a configuration file.
///
/// # Errors
/// The surroundings failed, or `load_config` did. What is wrong with a reference is printed, and
/// the exit code is 78.
pub fn run(
    args: ReferenceArgs,
    load_config: &dyn Fn(&Path) -> anyhow::Result<Config>,
) -> anyhow::Result<ExitCode> {
    let result = match args.command {
        Command::Build(args) => build(&args, load_config),
        Command::Inspect(args) => inspect(&args),
    };
    match result {
        Err(error) if error.is::<ReferenceError>() => {
            say::error(&error.to_string());
            Ok(ExitCode::from(CONFIGURATION))
        }
        other => other,
    }
}

fn build(
    args: &BuildArgs,
    load_config: &dyn Fn(&Path) -> anyhow::Result<Config>,
) -> anyhow::Result<ExitCode> {
    let config = args.config.as_deref().map(load_config).transpose()?;
    let monitor = match (&config, &args.config) {
        (Some(config), Some(path)) => match choose_monitor(config, path, args.monitor.as_deref()) {
            Ok(monitor) => Some(monitor),
            Err(what) => {
                say::error(&what);
                return Ok(ExitCode::from(CONFIGURATION));
            }
        },
        _ => None,
    };
    let files = match monitor {
        Some(monitor) if args.files.is_empty() => vec![monitor.reference.clone()],
        _ => args.files.clone(),
    };
    if let Some(output) = args.output.as_deref()
        && files.iter().any(|file| is_same_file(file, output))
    {
        say::error(&format!(
            "{} is both read and written; give --output another name",
            output.display()
        ));
        return Ok(ExitCode::from(USAGE));
    }
    let options = options(args, monitor);
    let reading = Progress::reference(true);
    let profile = reference::build(&files, &options)?;
    reading.done();
    if let Some(column) = &args.timestamp
        && profile.event_time.is_none()
    {
        let what =
            format!("--timestamp {column}: the reference has no column of times of that name");
        say::error(&what);
        return Ok(ExitCode::from(CONFIGURATION));
    }
    match &args.output {
        Some(path) => profile
            .save(path)
            .with_context(|| format!("cannot write the profile {}", path.display()))?,
        None => print(&profile.to_json())?,
    }
    write_to(
        &mut anstream::stderr(),
        &table::summary(&profile, args.output.as_deref()),
    )?;
    Ok(ExitCode::SUCCESS)
}

fn choose_monitor<'a>(
    config: &'a Config,
    path: &Path,
    name: Option<&str>,
) -> Result<&'a MonitorConfig, String> {
    let names = || {
        let names: Vec<_> = config.monitors.iter().map(|m| m.name.as_str()).collect();
        names.join(", ")
    };
    match (name, config.monitors.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(format!(
            "{} has several monitors ({}); choose one with --monitor",
            path.display(),
            names()
        )),
        (Some(name), monitors) => monitors.iter().find(|m| m.name == name).ok_or_else(|| {
            format!(
                "{} has no monitor {name:?}; it has {}",
                path.display(),
                names()
            )
        }),
    }
}

/// The monitor's options, or the defaults, with the flags on top.
fn options(args: &BuildArgs, monitor: Option<&MonitorConfig>) -> LoadOptions {
    let mut options = monitor.map(LoadOptions::from).unwrap_or_default();
    if !args.include.is_empty() {
        options.include.clone_from(&args.include);
    }
    if !args.exclude.is_empty() {
        options.exclude.clone_from(&args.exclude);
    }
    if args.timestamp.is_some() {
        options.timestamp_column.clone_from(&args.timestamp);
    }
    if let Some(n) = args.max_categories {
        options.binning.max_categories = n as usize;
    }
    if let Some(side) = args.closed {
        options.binning.closed = match side {
            Side::Left => Closed::Left,
            Side::Right => Closed::Right,
        };
    }
    for name in &args.categorical {
        feature(&mut options, name).kind = Some(FeatureKind::Categorical);
    }
    set_edges(args, &mut options);
    options.strict |= args.strict;
    options
}

fn set_edges(args: &BuildArgs, options: &mut LoadOptions) {
    let mut buckets = match options.binning.edges {
        EdgeRule::Quantile { buckets } | EdgeRule::Uniform { buckets } => buckets,
        EdgeRule::Explicit(_) => 10,
    };
    if let Some(n) = args.buckets {
        buckets = n as usize;
        options.binning.edges = match options.binning.edges {
            EdgeRule::Uniform { .. } => EdgeRule::Uniform { buckets },
            _ => EdgeRule::Quantile { buckets },
        };
    }
    for edges in &args.edges {
        match edges {
            Edges::Quantile => options.binning.edges = EdgeRule::Quantile { buckets },
            Edges::Uniform => options.binning.edges = EdgeRule::Uniform { buckets },
            Edges::All(edges) => options.binning.edges = EdgeRule::Explicit(edges.clone()),
            Edges::One(name, edges) => {
                feature(options, name).edges = Some(EdgeRule::Explicit(edges.clone()));
            }
        }
    }
}

/// The settings of the feature `name`, which are added if there are none.
fn feature<'a>(options: &'a mut LoadOptions, name: &str) -> &'a mut FeatureConfig {
    let features = &mut options.features;
    let at = features
        .iter()
        .position(|f| f.name == name)
        .unwrap_or(features.len());
    if at == features.len() {
        features.push(FeatureConfig {
            name: name.to_owned(),
            ..FeatureConfig::default()
        });
    }
    &mut features[at]
}

fn inspect(args: &InspectArgs) -> anyhow::Result<ExitCode> {
    let reading = Progress::reference(true);
    let profile: Profile = reference::inspect(&args.file)?;
    reading.done();
    match args.format {
        Format::Table => print(&table::render(&profile, &args.file, terminal::columns()))?,
        Format::Json => print(&profile.to_json())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> anyhow::Result<()> {
    write_to(&mut anstream::stdout(), text)
}

/// A reader that closes the pipe has seen enough.
fn write_to(to: &mut dyn Write, text: &str) -> anyhow::Result<()> {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => bail!("cannot write the output: {error}"),
        Ok(()) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_a_rule_or_a_list() {
        assert_eq!("uniform".parse(), Ok(Edges::Uniform));
        assert_eq!("-1, 2.5".parse(), Ok(Edges::All(vec![-1.0, 2.5])));
        assert_eq!("a=b=3".parse(), Ok(Edges::One("a=b".into(), vec![3.0])));
        assert_eq!("x=1,y".parse::<Edges>(), Err("\"y\" is no number".into()));
        assert!("2,1".parse::<Edges>().unwrap_err().contains("ascend"));
        assert!("".parse::<Edges>().is_err());
    }
}
