//! The arguments → the monitor to check by, and how the input is cut into windows.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use super::args::SmoothingArg;
use super::{CheckArgs, CheckError};
use crate::cli::words::pattern_of;
use crate::config::{
    Config, EdgeRule, Environment, FeatureConfig, MonitorConfig, Overrides, TimestampField,
    defaults, durations, field_path,
};
use crate::drift::{Smoothing, WindowSpec};

/// What to check, and by which rules.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) monitor: MonitorConfig,
    pub(super) input: PathBuf,
    /// False: the whole input is one window.
    pub(super) windows: bool,
    /// Features were chosen, so those left out need no mention.
    pub(super) chosen: bool,
    /// Nothing was said about buckets, so a profile keeps its own.
    pub(super) as_built: bool,
}

/// Stands for the window where there is none.
const WHOLE: WindowSpec = WindowSpec {
    size_ms: i64::MAX,
    slide_ms: i64::MAX,
};

pub(super) fn resolve(args: &CheckArgs) -> Result<Settings, CheckError> {
    let input = args.file.clone().or_else(|| args.input.clone());
    let input = input.ok_or_else(|| usage("name the file to check"))?;
    let mut monitor = match &args.config {
        Some(path) => from_config(args, path)?,
        None => {
            let reference = args.reference.clone().unwrap_or_default();
            MonitorConfig::new("check", "", reference, WHOLE)
        }
    };
    if let Some(reference) = &args.reference {
        monitor.reference.clone_from(reference);
    }
    if let Some(name) = &args.monitor {
        monitor.name.clone_from(name);
    }
    event_time(args, &mut monitor)?;
    let windows = windows(args, &mut monitor)?;
    choose_features(args, &mut monitor)?;
    binning(args, &mut monitor);
    verdict(args, &mut monitor)?;
    Ok(Settings {
        monitor,
        input,
        windows,
        as_built: args.config.is_none() && args.buckets.is_none() && args.edges.is_none(),
        chosen: !(args.features.is_empty() && args.include.is_empty()),
    })
}

fn usage(what: impl Into<String>) -> CheckError {
    CheckError::Usage(what.into())
}

fn from_config(args: &CheckArgs, path: &Path) -> Result<MonitorConfig, CheckError> {
    let overrides = Overrides::from(Environment::from_process()?);
    let config = Config::load(path, &overrides)?;
    let names: Vec<String> = config.monitors.iter().map(|m| m.name.clone()).collect();
    let mut monitors = config.monitors.into_iter();
    let found = match &args.monitor {
        Some(name) => monitors.find(|m| m.name == *name),
        None if names.len() == 1 => monitors.next(),
        None => None,
    };
    found.ok_or_else(|| {
        let names = names.join(", ");
        match &args.monitor {
            Some(name) => usage(format!(
                "--monitor: {} has no monitor {name:?}; its monitors are {names}",
                path.display()
            )),
            None => usage(format!(
                "{} has several monitors; choose one with --monitor: {names}",
                path.display()
            )),
        }
    })
}

fn event_time(args: &CheckArgs, monitor: &mut MonitorConfig) -> Result<(), CheckError> {
    let Some(field) = &args.timestamp else {
        return Ok(());
    };
    if field.split('.').any(str::is_empty) {
        return Err(usage(format!(
            "--timestamp: found {field:?}, expected the name of a field, like ts or payload.ts"
        )));
    }
    if let Some(zone) = &args.timezone
        && TimeZone::get(zone).is_err()
    {
        return Err(usage(format!(
            "--timezone: found {zone:?}, expected a name like UTC or Europe/Berlin"
        )));
    }
    monitor.timestamp = Some(TimestampField {
        path: field_path(field),
        unit: args.unit.map(Into::into),
        timezone: args.timezone.clone(),
    });
    Ok(())
}

/// Sets panes and window; false when the whole input is one window.
fn windows(args: &CheckArgs, monitor: &mut MonitorConfig) -> Result<bool, CheckError> {
    let timed = monitor.timestamp.is_some();
    if let Some(size_ms) = args.window {
        let slide_ms = args.slide.unwrap_or(size_ms);
        if size_ms <= 0 || slide_ms <= 0 {
            return Err(usage("--window and --slide must be longer than 0"));
        }
        if size_ms % slide_ms != 0 {
            return Err(usage(format!(
                "--slide {} does not divide --window {}; choose a slide that fits a whole number of \
                 times into the window",
                durations::show(slide_ms),
                durations::show(size_ms)
            )));
        }
        monitor.window = WindowSpec { size_ms, slide_ms };
        monitor.panes.width_ms = slide_ms;
        monitor.panes.offset_ms = args.offset.unwrap_or(monitor.panes.offset_ms);
        if !timed {
            return Err(usage(
                "--window needs --timestamp FIELD: rows of a file have no time but in a field",
            ));
        }
    } else if args.config.is_none() || !timed {
        monitor.window = WHOLE;
        return Ok(false);
    }
    if args.lateness.is_some_and(|ms| ms < 0) {
        return Err(usage("--lateness must not be negative"));
    }
    monitor.panes.lateness_ms = args.lateness.unwrap_or(i64::MAX);
    Ok(true)
}

fn choose_features(args: &CheckArgs, monitor: &mut MonitorConfig) -> Result<(), CheckError> {
    if !args.include.is_empty() {
        monitor.include.clone_from(&args.include);
    }
    if !args.exclude.is_empty() {
        monitor.exclude.clone_from(&args.exclude);
    }
    if args.features.is_empty() {
        return Ok(());
    }
    let twice = |(i, name): (usize, &String)| args.features[..i].contains(name);
    if let Some(at) = args.features.iter().enumerate().position(twice) {
        let name = &args.features[at];
        return Err(usage(format!(
            "--features names {name:?} twice; name it once"
        )));
    }
    let configured = std::mem::take(&mut monitor.features);
    let feature = |name: &String| {
        let own = configured.iter().find(|f| f.name == *name).cloned();
        own.unwrap_or_else(|| named(name))
    };
    monitor.features = args.features.iter().map(feature).collect();
    let columns = monitor.features.iter();
    // A name is no glob: `price [USD]` must not choose `price U` as well.
    let columns = columns.map(|f| pattern_of(f.column.as_deref().unwrap_or(&f.name)));
    monitor.include = columns.collect();
    monitor.exclude.clear();
    Ok(())
}

fn named(name: &str) -> FeatureConfig {
    FeatureConfig {
        name: name.to_owned(),
        ..FeatureConfig::default()
    }
}

fn binning(args: &CheckArgs, monitor: &mut MonitorConfig) {
    let buckets = args.buckets.map(usize::from);
    let rule = match (&args.edges, &monitor.binning.edges) {
        (Some(edges), _) => edges.rule(buckets.unwrap_or(defaults::BUCKETS)),
        (None, EdgeRule::Uniform { buckets: own }) => EdgeRule::Uniform {
            buckets: buckets.unwrap_or(*own),
        },
        (None, EdgeRule::Quantile { buckets: own }) => EdgeRule::Quantile {
            buckets: buckets.unwrap_or(*own),
        },
        (None, EdgeRule::Explicit(edges)) => match buckets {
            Some(buckets) => EdgeRule::Quantile { buckets },
            None => EdgeRule::Explicit(edges.clone()),
        },
    };
    if args.edges.is_some() || buckets.is_some() {
        for feature in &mut monitor.features {
            feature.edges = None;
        }
    }
    monitor.binning.edges = rule;
}

fn verdict(args: &CheckArgs, monitor: &mut MonitorConfig) -> Result<(), CheckError> {
    if args.smoothing.is_some() || args.epsilon.is_some() {
        monitor.smoothing = smoothing(args, monitor.smoothing)?;
    }
    for (flag, value) in [("possible", args.possible), ("likely", args.likely)] {
        if let Some(value) = value
            && !(value.is_finite() && value >= 0.0)
        {
            return Err(usage(format!(
                "--{flag}: found {value}, expected a PSI, 0 or more"
            )));
        }
    }
    let thresholds = &mut monitor.thresholds;
    thresholds.possible = args.possible.unwrap_or(thresholds.possible);
    thresholds.likely = args.likely.unwrap_or(thresholds.likely);
    if thresholds.possible > thresholds.likely {
        return Err(usage(format!(
            "possible drift ({}) must not begin above likely drift ({}); give both --possible and \
             --likely",
            thresholds.possible, thresholds.likely
        )));
    }
    monitor.min_events = args.min_events.or(monitor.min_events);
    monitor.missing = args.missing.map_or(monitor.missing, Into::into);
    for feature in &mut monitor.features {
        feature.possible = feature.possible.filter(|_| args.possible.is_none());
        feature.likely = feature.likely.filter(|_| args.likely.is_none());
        feature.min_events = feature.min_events.filter(|_| args.min_events.is_none());
        feature.missing = feature.missing.filter(|_| args.missing.is_none());
    }
    Ok(())
}

fn smoothing(args: &CheckArgs, configured: Smoothing) -> Result<Smoothing, CheckError> {
    let (rule, epsilon) = match configured {
        Smoothing::Clip(epsilon) => (SmoothingArg::Clip, epsilon),
        Smoothing::Replace(epsilon) => (SmoothingArg::Replace, epsilon),
        Smoothing::Add(epsilon) => (SmoothingArg::Add, epsilon),
        Smoothing::Half => (SmoothingArg::Half, defaults::EPSILON),
    };
    let epsilon = args.epsilon.unwrap_or(epsilon);
    if !(defaults::LEAST_EPSILON..1.0).contains(&epsilon) {
        return Err(usage(format!(
            "--epsilon: found {epsilon:?}, expected a share of at least 1e-100 and below 1"
        )));
    }
    Ok(match args.smoothing.unwrap_or(rule) {
        SmoothingArg::Clip => Smoothing::Clip(epsilon),
        SmoothingArg::Replace => Smoothing::Replace(epsilon),
        SmoothingArg::Add => Smoothing::Add(epsilon),
        SmoothingArg::Half => Smoothing::Half,
    })
}
