//! One reading of a stretch of each partition, with the time it took.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::config::KafkaConfig;
use crate::source::{Record, Source as _, TopicPartition, kafka as client};

const BATCH: usize = 4096;
const WAIT: Duration = Duration::from_millis(20);
/// Brokers that say nothing for so long will not say more.
const PATIENCE: Duration = Duration::from_secs(15);
/// Clock ticks in a second, as `/proc` counts them on every Linux.
const TICKS: f64 = 100.0;

/// The offsets of one partition that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) partition: i32,
    pub(super) from: i64,
    /// The first offset that is not.
    pub(super) to: i64,
}

/// What one reading took.
#[derive(Debug)]
pub(super) struct Reading {
    /// What was read.
    pub(super) stretches: Vec<Stretch>,
    pub(super) records: u64,
    /// Of payloads.
    pub(super) bytes: u64,
    pub(super) seconds: f64,
    /// CPU time of the process meanwhile; `None` where the system does not say.
    pub(super) cpu_seconds: Option<f64>,
}

/// Reads `stretches`, or what of them is read within `limit`. The clock runs from the first record
/// on: what it takes to connect is no part of a rate.
pub(super) fn read(
    kafka: &KafkaConfig,
    topic: &str,
    stretches: &[Stretch],
    limit: Option<Duration>,
    each: &mut dyn FnMut(&Record<'_>),
) -> Result<Reading> {
    let mut source = client::open(kafka)?;
    let mut open = BTreeMap::new();
    for stretch in stretches {
        source.assign(&of(topic, stretch.partition), stretch.from)?;
        open.insert(stretch.partition, *stretch);
    }
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    let (mut records, mut bytes) = (0, 0);
    let mut began: Option<(Instant, Option<f64>)> = None;
    let mut heard = Instant::now();
    while !open.is_empty() {
        if began.is_some_and(|(at, _)| limit.is_some_and(|limit| at.elapsed() >= limit)) {
            break;
        }
        if heard.elapsed() > PATIENCE {
            bail!("no record came for {} s; try again", PATIENCE.as_secs());
        }
        let drained = source.drain(WAIT, BATCH, &mut |run| {
            let Some(stretch) = run.first().and_then(|r| open.get(&r.partition)) else {
                return;
            };
            let run = &run[..run.partition_point(|record| record.offset < stretch.to)];
            let Some(last) = run.last() else {
                return;
            };
            began.get_or_insert_with(|| (Instant::now(), cpu_seconds()));
            next.insert(last.partition, last.offset + 1);
            records += run.len() as u64;
            for record in run {
                bytes += record.payload.map_or(0, <[u8]>::len) as u64;
                each(record);
            }
        })?;
        if drained.records > 0 {
            heard = Instant::now();
        }
        // The position is past the marker of a transaction, too, which may be the last offset.
        let position = |partition| source.position(&of(topic, partition));
        let done = open
            .values()
            .filter(|s| position(s.partition).is_some_and(|p| p >= s.to));
        for partition in done.map(|s| s.partition).collect::<Vec<_>>() {
            source.unassign(&of(topic, partition))?;
            if let Some(stretch) = open.remove(&partition) {
                next.insert(partition, stretch.to);
            }
        }
    }
    let (at, cpu) = began.unwrap_or_else(|| (Instant::now(), cpu_seconds()));
    let (seconds, now) = (at.elapsed().as_secs_f64(), cpu_seconds());
    // Closing can hang with a dead broker (rust-rdkafka #509).
    std::thread::spawn(move || drop(source));
    let read = stretches.iter().filter_map(|stretch| {
        let to = *next.get(&stretch.partition)?;
        Some(Stretch { to, ..*stretch })
    });
    Ok(Reading {
        stretches: read.collect(),
        records,
        bytes,
        seconds,
        cpu_seconds: now.zip(cpu).map(|(now, then)| now - then),
    })
}

fn of(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: topic.to_owned(),
        partition,
    }
}

/// CPU time of this process so far, user and system.
fn cpu_seconds() -> Option<f64> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold anything; what follows begins with field 3.
    let (_, after) = stat.rsplit_once(')')?;
    let mut fields = after.split_whitespace().skip(14 - 3);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}
