//! A look at the topic, without a group and without a trace: up to 1,000 of its newest records, and
//! the first of each partition.

use anyhow::{Result, anyhow, bail};

use super::events::Events;
use crate::cli::records::Log;
use crate::config::KafkaConfig;
use crate::source::probe::Probe;

/// What to do when the topic cannot be looked at.
const ADVICE: &str = "--bootstrap-servers names other brokers; --offline writes the configuration \
                      without a look at the topic";

/// What was found.
pub(super) struct Looked {
    pub(super) partitions: usize,
    /// Up to so many are in the log.
    pub(super) log: u64,
    /// Records between the first and the last that were looked at, as far as is known.
    pub(super) between: u64,
    pub(super) events: Events,
    /// Partitions that did not answer.
    pub(super) silent: Vec<String>,
}

/// # Errors
/// No broker answers, the topic is not there or may not be read.
pub(super) fn look(kafka: &KafkaConfig, topic: &str) -> Result<Looked> {
    let servers = &kafka.bootstrap_servers;
    let unseen = |why: anyhow::Error| {
        anyhow!("cannot look at the topic {topic:?} at {servers}: {why:#}\n  {ADVICE}")
    };
    let probe = Probe::new(kafka).map_err(|error| unseen(error.into()))?;
    let looked = ask(&probe, topic).map_err(unseen);
    probe.leave();
    looked
}

fn ask(probe: &Probe, topic: &str) -> Result<Looked> {
    let Some(partitions) = probe.partitions(topic)? else {
        bail!(
            "there is none of that name; {}",
            nearest(topic, &probe.topics())
        );
    };
    let log = Log::ask(probe, topic, &partitions);
    if let ([], [first, ..]) = (&log.spans[..], &log.silent[..]) {
        bail!("no partition answers; {first}");
    }
    let mut events = Events::default();
    let pieces = log.near_the_end();
    let read = probe.read(topic, &pieces, &mut |record| events.take(record))?;
    let first = log.at_the_beginning(&pieces);
    let begun =
        first.is_empty() || probe.read(topic, &first, &mut |record| events.begin(record))?;
    Ok(Looked {
        partitions: partitions.len(),
        log: log.records(),
        between: match read && begun && log.silent.is_empty() {
            true => log.records(),
            false => events.records,
        },
        events,
        silent: log.silent,
    })
}

/// The topic most like `wanted`, when one is like it.
fn nearest(wanted: &str, topics: &[String]) -> String {
    let likeness = |topic: &String| strsim::jaro_winkler(wanted, topic);
    let likely = topics.iter().map(|topic| (likeness(topic), topic));
    let likely = likely.filter(|(likeness, _)| *likeness > 0.75);
    match likely.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((_, topic)) => format!("did you mean {topic:?}?"),
        None => "is it spelt as the producer spells it?".to_owned(),
    }
}
