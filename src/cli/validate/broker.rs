//! The brokers: names, connection, topics and partitions, and a sample of the records.

use std::net::ToSocketAddrs;
use std::sync::mpsc;

use anyhow::Result;

use super::outlook;
use super::sample::Sample;
use crate::app::now_ms;
use crate::cli::checklist::{Blame, Checklist};
use crate::cli::records::{ANSWER, Log};
use crate::config::Config;
use crate::monitor::Monitor;
use crate::source::probe::{Piece, Probe};
use crate::source::trouble::Trouble;
use crate::text::{counted, grouped};

const DEFAULT_PORT: u16 = 9092;

/// Goes through the brokers and the topics of `monitors`.
pub(super) fn check(config: &Config, monitors: &[Monitor], list: &mut Checklist) -> Result<()> {
    names(&config.kafka.bootstrap_servers, list)?;
    let title = format!("Kafka at {}", config.kafka.bootstrap_servers);
    let probe = match Probe::new(&config.kafka) {
        Ok(probe) => probe,
        Err(error) => return list.failed(Blame::Configuration, title, [error.to_string()]),
    };
    let found = topics(&probe, config, monitors, list);
    let found = found.and_then(|found| {
        let counted = found
            .iter()
            .flatten()
            .find(|(_, partitions)| *partitions > 0);
        if let Some((topic, _)) = counted {
            group(&probe, config, topic, list)?;
        }
        Ok(found)
    });
    probe.leave();
    let Some(found) = found? else {
        return Ok(());
    };
    let partitions = |m: &Monitor| found.iter().find(|(t, _)| *t == m.config.topic);
    let sized: Vec<_> = monitors
        .iter()
        .map(|m| (m, partitions(m).map_or(0, |(_, n)| *n)))
        .collect();
    match sized.is_empty() {
        true => Ok(()),
        false => outlook::series(config, &sized, list),
    }
}

/// Topics with their numbers of partitions; `None` when no broker could be reached.
fn topics<'a>(
    probe: &Probe,
    config: &'a Config,
    monitors: &[Monitor],
    list: &mut Checklist,
) -> Result<Option<Vec<(&'a str, usize)>>> {
    let title = format!("Kafka at {}", config.kafka.bootstrap_servers);
    let mut topics: Vec<&str> = Vec::new();
    for topic in config.monitors.iter().map(|m| m.topic.as_str()) {
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    let mut found = Vec::new();
    for (i, topic) in topics.into_iter().enumerate() {
        let answer = probe.partitions(topic);
        if i == 0 && !matches!(answer, Err(ref error) if is_unreached(error)) {
            list.ok(format!("{title}: reached{}", secured(config)), [])?;
        }
        match answer {
            Ok(partitions) => {
                let read = topic_check(probe, config, topic, partitions, monitors, list)?;
                found.push((topic, read));
            }
            Err(error) if is_unreached(&error) => {
                // What holds for one topic holds for all.
                list.failed(Blame::Surroundings, title, [error.to_string()])?;
                return Ok(None);
            }
            Err(error) => {
                let title = format!("topic {topic:?}");
                list.failed(Blame::Surroundings, title, [error.to_string()])?;
            }
        }
    }
    Ok(Some(found))
}

fn is_unreached(error: &Trouble) -> bool {
    !error.is_forbidden()
}

/// Whether offsets can be committed: psiren runs without, and lag tools see nothing.
fn group(probe: &Probe, config: &Config, topic: &str, list: &mut Checklist) -> Result<()> {
    let title = format!("group {:?}", config.kafka.group_id);
    match probe.group(topic, 0) {
        Ok(()) => list.ok(title, []),
        Err(error) => list.warning(
            title,
            [
                error.to_string(),
                "`run` counts all the same; but lag tools show nothing, and a second process for this group goes unnoticed".to_owned(),
            ],
        ),
    }
}

fn secured(config: &Config) -> String {
    let plain = |key: &str| match config.kafka.properties.get(key) {
        Some(crate::config::Property::Plain(value)) => Some(value.as_str()),
        _ => None,
    };
    match (plain("security.protocol"), plain("sasl.mechanism")) {
        (None, _) => String::new(),
        (Some(protocol), None) => format!(" by {protocol}"),
        (Some(protocol), Some(mechanism)) => {
            format!(" by {protocol}, authenticated with {mechanism}")
        }
    }
}

/// Whether the names of the bootstrap servers are known; one of them is enough.
fn names(servers: &str, list: &mut Checklist) -> Result<()> {
    let mut unknown = Vec::new();
    let mut known = 0;
    for server in servers.split(',').map(str::trim).filter(|s| !s.is_empty()) {
        match resolve(server) {
            Ok(()) => known += 1,
            Err(why) => unknown.push(format!("{server}: {why}")),
        }
    }
    let title = format!("names of {servers}");
    match (known, unknown.is_empty()) {
        (_, true) => list.ok(title, []),
        (0, false) => list.failed(Blame::Surroundings, title, unknown),
        (_, false) => list.warning(title, unknown),
    }
}

/// The system's resolver has no deadline, so it is asked on a thread that may be left behind.
fn resolve(server: &str) -> Result<(), String> {
    let (host, port) = host_and_port(server);
    let (send, answer) = mpsc::channel();
    std::thread::spawn(move || {
        let found = (host.as_str(), port).to_socket_addrs();
        let found = found.map_err(|error| error.to_string());
        // The asker may have given up.
        let _ = send.send(found.map(|mut addresses| addresses.next().is_some()));
    });
    match answer.recv_timeout(ANSWER) {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err("it has no address".to_owned()),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(format!("no answer within {} s", ANSWER.as_secs())),
    }
}

/// The host without brackets, and the port.
fn host_and_port(server: &str) -> (String, u16) {
    let address = server.split_once("://").map_or(server, |(_, rest)| rest);
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
        _ => (address, None),
    };
    let host = host.trim_matches(['[', ']']).to_owned();
    (host, port.unwrap_or(DEFAULT_PORT))
}

/// Looks at one topic and gives its number of partitions.
fn topic_check(
    probe: &Probe,
    config: &Config,
    topic: &str,
    partitions: Option<Vec<i32>>,
    monitors: &[Monitor],
    list: &mut Checklist,
) -> Result<usize> {
    let title = format!("topic {topic:?}");
    let Some(partitions) = partitions else {
        let why = "there is none of that name; `run` waits for it and is not ready meanwhile";
        list.warning(title, [why.to_owned()])?;
        return Ok(0);
    };
    let title = format!("{title}: {}", counted(partitions.len() as u64, "partition"));
    let log = Log::ask(probe, topic, &partitions);
    match (log.spans.is_empty(), log.silent.is_empty()) {
        (true, _) => list.failed(Blame::Surroundings, title, log.silent.clone())?,
        (false, false) => list.warning(title, log.silent.clone())?,
        (false, true) => {
            let records = grouped(log.records());
            list.ok(format!("{title}, up to {records} records"), [])?;
        }
    }
    let monitors = monitors.iter().filter(|m| m.config.topic == topic);
    let samples = monitors
        .map(|m| Sample::new(m, config.log_payloads))
        .collect();
    sample(probe, topic, &log, samples, list)?;
    Ok(partitions.len())
}

fn sample(
    probe: &Probe,
    topic: &str,
    log: &Log,
    mut samples: Vec<Sample<'_>>,
    list: &mut Checklist,
) -> Result<()> {
    if samples.is_empty() || log.spans.is_empty() {
        return Ok(());
    }
    let mut pieces = log.near_the_end();
    if pieces.is_empty() {
        // Whether an empty topic may be read is known once it was tried.
        let end = log.spans.iter().map(|(partition, span)| Piece {
            partition: *partition,
            offset: span.end,
            most: 1,
        });
        pieces.extend(end.take(1));
    }
    let read = probe.read(topic, &pieces, &mut |record| {
        samples.iter_mut().for_each(|sample| sample.take(record));
    });
    // A log that fits into the sample has no other beginning.
    let first = log.at_the_beginning(&pieces);
    let begun = match (&read, first.is_empty()) {
        (Ok(_), false) => probe.read(topic, &first, &mut |record| {
            samples.iter_mut().for_each(|sample| sample.begin(record));
        }),
        _ => Ok(true),
    };
    match read.and(begun) {
        Err(error) => {
            let title = format!("records of topic {topic:?}");
            return list.failed(Blame::Surroundings, title, [error.to_string()]);
        }
        Ok(true) => {}
        Ok(false) => list.warning(
            format!("records of topic {topic:?}"),
            [format!(
                "not all that were asked for came within {} s",
                ANSWER.as_secs()
            )],
        )?,
    }
    if samples.iter().all(|s| s.records() == 0) {
        let why = "no record to look at; features and timestamps stay unchecked";
        return list.warning(format!("records of topic {topic:?}"), [why.to_owned()]);
    }
    for sample in &samples {
        sample.tell(now_ms(), list)?;
        outlook::first_verdict(sample.monitor(), sample, list)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_split_as_librdkafka_does() {
        let split = |text| host_and_port(text);
        assert_eq!(split("kafka:19092"), ("kafka".to_owned(), 19092));
        assert_eq!(split("SSL://kafka"), ("kafka".to_owned(), 9092));
        assert_eq!(split("[::1]:1"), ("::1".to_owned(), 1));
        assert_eq!(split("[::1]"), ("::1".to_owned(), 9092));
    }

    #[test]
    fn a_name_nobody_knows_is_told() {
        assert!(resolve("127.0.0.1:1").is_ok());
        assert!(resolve("no such host:1").is_err());
    }
}
