//! `psiren bench`: how fast this machine reads and counts the configured topics.
//!
//! The first records of each topic are read three times: so that the brokers have them at hand,
//! then as a bare consumer reads them, and then through all monitors of the topic, down to their
//! panes. Nothing is changed: no state is opened, no consumer group joined, no offset committed.

mod count;
mod read;
mod words;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::records::Log;
use crate::config::{Config, Environment, KafkaConfig, Overrides};
use crate::monitor::Monitor;
use crate::source::probe::Probe;
use count::Counts;
use read::Stretch;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  psiren bench --config psiren.toml
  psiren bench --config psiren.toml --seconds 30

Each topic is read from its beginning, three times, for at most so many seconds
the first time. Neither state nor committed offsets change.")]
pub struct BenchArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// How long the first reading of a topic may take; the others read the same records
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// In the place of `kafka.bootstrap_servers`
    #[arg(long, value_name = "HOST:PORT,…")]
    pub bootstrap_servers: Option<String>,
}

/// # Errors
/// What is wrong with the configuration or a reference, brokers that do not answer, a topic that
/// is not there or empty.
pub fn run(args: BenchArgs) -> Result<ExitCode> {
    let overrides = Overrides {
        bootstrap_servers: args.bootstrap_servers,
        ..Overrides::from(Environment::from_process()?)
    };
    let config = Config::load(&args.config, &overrides)?;
    let monitors = config.monitors.iter().map(|monitor| {
        Monitor::build(monitor).with_context(|| format!("monitor {}", monitor.name))
    });
    let monitors = monitors.collect::<Result<Vec<_>>>()?;
    let mut topics: Vec<&str> = monitors.iter().map(|m| m.config.topic.as_str()).collect();
    topics.sort_unstable();
    topics.dedup();
    for topic in topics {
        let watching = monitors.iter().filter(|m| m.config.topic == topic);
        let watching: Vec<&Monitor> = watching.collect();
        let limit = Duration::from_secs(args.seconds);
        super::show(&measure(&config.kafka, topic, &watching, limit)?)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What there is to say of one topic.
fn measure(
    kafka: &KafkaConfig,
    topic: &str,
    monitors: &[&Monitor],
    limit: Duration,
) -> Result<String> {
    let whole = stretches(kafka, topic)?;
    let first = read::read(kafka, topic, &whole, Some(limit), &mut |_| {})
        .with_context(|| format!("topic {topic}"))?;
    let again = first.stretches;
    let plain = read::read(kafka, topic, &again, None, &mut |_| {})?;
    let mut counts = Counts::new(monitors, kafka.decoder);
    let counted = read::read(kafka, topic, &again, None, &mut |record| {
        counts.take(record);
    })?;
    Ok(words::table(
        topic,
        &plain,
        &counted,
        &counts,
        kafka.threads,
    ))
}

/// The records that each partition holds now.
fn stretches(kafka: &KafkaConfig, topic: &str) -> Result<Vec<Stretch>> {
    let probe = Probe::new(kafka)?;
    let partitions = probe.partitions(topic)?;
    let log = partitions.map(|partitions| Log::ask(&probe, topic, &partitions));
    probe.leave();
    let Some(log) = log else {
        bail!("topic {topic:?} does not exist; look at `topic` in the configuration");
    };
    if let Some(silent) = log.silent.first() {
        bail!("topic {topic:?}, {silent}");
    }
    let spans = log
        .spans
        .into_iter()
        .filter(|(_, span)| span.start < span.end);
    let stretches: Vec<_> = spans
        .map(|(partition, span)| Stretch {
            partition,
            from: span.start,
            to: span.end,
        })
        .collect();
    if stretches.is_empty() {
        bail!("topic {topic:?} holds no records; `psiren produce` puts some on it");
    }
    Ok(stretches)
}
