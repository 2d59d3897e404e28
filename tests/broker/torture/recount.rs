//! The oracle: a single-threaded recount of a topic's log by the rules of `docs/semantics.md`.
//!
//! It shares no counting code with psiren and takes only edges, categories and settings from its monitors. Records
//! stream through it; what it keeps are panes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use psiren::config::{Filter, FilterTest, Scalar};
use psiren::drift::Binning;
use psiren::monitor::Monitor;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use crate::kafka::Kafka;
use crate::wait;

const LIMIT: Duration = Duration::from_secs(30);
/// 1990-01-01 and 2201-01-01: what lies outside is no event time.
const TIMES_MS: std::ops::Range<i64> = 631_152_000_000..7_289_654_400_000;

/// What one monitor should have counted of one partition.
#[derive(Debug, Default)]
pub(super) struct Recount {
    pub(super) next_offset: i64,
    pub(super) greatest_ms: Option<i64>,
    /// By name; those that never came are not there.
    pub(super) outcomes: BTreeMap<&'static str, u64>,
    /// By number of the pane, sealed and open.
    pub(super) panes: BTreeMap<i64, Pane>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pane {
    pub(super) events: u64,
    /// Buckets, unseen, missing, invalid of each feature in turn.
    pub(super) cells: Vec<u64>,
    pub(super) first_offset: i64,
    pub(super) last_offset: i64,
}

/// Counts `topic` for each of `monitors`; the result has their order, then that of the partitions.
pub(super) fn recount(
    kafka: &Kafka,
    topic: &str,
    partitions: i32,
    monitors: &[&Arc<Monitor>],
) -> Vec<BTreeMap<i32, Recount>> {
    let mut counts: Vec<BTreeMap<i32, Recount>> =
        monitors.iter().map(|_| BTreeMap::new()).collect();
    for_each(kafka, topic, partitions, |message| {
        let event = message.payload().map(parse);
        for (monitor, counts) in monitors.iter().zip(&mut counts) {
            let recount = counts.entry(message.partition()).or_default();
            recount.take(monitor, message, event.as_ref());
        }
    });
    counts
}

/// The first pane that is not sealed when `greatest_ms` is the greatest event time.
pub(super) fn sealed_before(monitor: &Monitor, greatest_ms: i64) -> i64 {
    let panes = &monitor.config.panes;
    // A pane is sealed from its end plus lateness on.
    (greatest_ms - panes.lateness_ms - panes.offset_ms).div_euclid(panes.width_ms)
}

impl Recount {
    fn take(
        &mut self,
        monitor: &Monitor,
        message: &BorrowedMessage<'_>,
        event: Option<&Option<Value>>,
    ) {
        let outcome = self.outcome(monitor, message, event);
        *self.outcomes.entry(outcome).or_default() += 1;
        self.next_offset = message.offset() + 1;
    }

    fn outcome(
        &mut self,
        monitor: &Monitor,
        message: &BorrowedMessage<'_>,
        event: Option<&Option<Value>>,
    ) -> &'static str {
        let event = match event {
            None => return "tombstone",
            Some(Some(event)) if event.is_object() => event,
            Some(_) => return "invalid",
        };
        if !monitor.config.filters.iter().all(|f| passes(f, event)) {
            return "filtered";
        }
        let record_ms = message.timestamp().to_millis();
        let event_ms = match &monitor.config.timestamp {
            Some(field) => at(event, &field.path).ok().and_then(time),
            None => record_ms,
        };
        let Some(event_ms) = event_ms.filter(|ms| TIMES_MS.contains(ms)) else {
            return "invalid";
        };
        let panes = &monitor.config.panes;
        if record_ms.is_some_and(|ms| event_ms > ms + panes.max_future_skew_ms) {
            return "future";
        }
        let pane = (event_ms - panes.offset_ms).div_euclid(panes.width_ms);
        let end_ms = (pane + 1) * panes.width_ms + panes.offset_ms;
        if self
            .greatest_ms
            .is_some_and(|greatest| greatest >= end_ms + panes.lateness_ms)
        {
            return "late";
        }
        self.greatest_ms = self.greatest_ms.max(Some(event_ms));
        let pane = self.panes.entry(pane).or_insert_with(|| Pane {
            first_offset: message.offset(),
            ..Pane::default()
        });
        pane.last_offset = message.offset();
        pane.count(monitor, event);
        "counted"
    }
}

impl Pane {
    fn count(&mut self, monitor: &Monitor, event: &Value) {
        self.events += 1;
        let mut start = 0;
        for feature in &monitor.schema.features {
            let buckets = match &feature.binning {
                Binning::Numeric { edges, .. } => edges.len() + 1,
                Binning::Categorical { categories, .. } => categories.len() + 1,
            };
            let end = start + buckets + 3;
            self.cells.resize(self.cells.len().max(end), 0);
            for cell in cells(at(event, &feature.path), &feature.binning, buckets) {
                self.cells[start + cell] += 1;
            }
            start = end;
        }
    }
}

/// Where a value counts: a bucket, the last bucket and unseen, missing, or invalid.
fn cells(value: Result<&Value, ()>, binning: &Binning, buckets: usize) -> Vec<usize> {
    let (unseen, missing, invalid) = (buckets, buckets + 1, buckets + 2);
    let value = match value {
        Ok(Value::Null) => return vec![missing],
        Ok(value) => value,
        Err(()) => return vec![invalid],
    };
    match binning {
        Binning::Numeric { edges, float32, .. } => {
            let Some(number) = value.as_f64() else {
                return vec![invalid];
            };
            assert!(!float32, "the reference of these tests is of doubles");
            vec![edges.iter().filter(|edge| **edge < number).count()]
        }
        Binning::Categorical { categories, pooled } => {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Bool(is) => is.to_string(),
                Value::Number(number) if !number.is_f64() => number.to_string(),
                _ => return vec![invalid],
            };
            match categories.iter().position(|category| *category == text) {
                Some(bucket) => vec![bucket],
                None if pooled.contains(&text) => vec![buckets - 1],
                None => vec![buckets - 1, unseen],
            }
        }
    }
}

/// The JSON of a payload; what Python writes for numbers that JSON does not know is null.
fn parse(payload: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(payload).ok()?;
    serde_json::from_str(text).ok().or_else(|| {
        let known = ["-Infinity", "NaN", "1e999"]
            .iter()
            .fold(text.to_owned(), |text, word| text.replace(word, "null"));
        serde_json::from_str(&known).ok()
    })
}

/// The value at a path of keys, null where there is none; an error where the way is blocked.
fn at<'a>(event: &'a Value, path: &[String]) -> Result<&'a Value, ()> {
    path.iter().try_fold(event, |value, key| match value {
        Value::Object(members) => Ok(members.get(key).unwrap_or(&Value::Null)),
        Value::Null => Ok(&Value::Null),
        _ => Err(()),
    })
}

fn passes(filter: &Filter, event: &Value) -> bool {
    let FilterTest::In(wanted) = &filter.test else {
        panic!("these tests have no such filter: {filter:?}");
    };
    let found = at(event, &filter.path).ok().and_then(Value::as_str);
    wanted
        .iter()
        .any(|scalar| matches!(scalar, Scalar::Text(text) if Some(text.as_str()) == found))
}

/// Epoch numbers of every unit, and RFC 3339.
fn time(value: &Value) -> Option<i64> {
    if let Some(text) = value.as_str() {
        let time: Timestamp = text.parse().ok()?;
        return Some(time.as_millisecond());
    }
    let number = value.as_i64()?;
    Some(match number.unsigned_abs() {
        0..100_000_000_000 => number * 1000,
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number.div_euclid(1000),
        _ => number.div_euclid(1_000_000),
    })
}

/// Reads a whole topic with a consumer of its own.
fn for_each(
    kafka: &Kafka,
    topic: &str,
    partitions: i32,
    mut work: impl FnMut(&BorrowedMessage<'_>),
) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka.address())
        .set("group.id", "recount")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "10")
        .create()
        .expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    let mut left = BTreeMap::new();
    for partition in 0..partitions {
        let (low, high) = wait::some("the ends of the log", LIMIT, || {
            consumer.fetch_watermarks(topic, partition, LIMIT).ok()
        });
        assert_eq!(low, 0, "the log of {topic}/{partition} lost its beginning");
        left.insert(partition, high);
        assignment
            .add_partition_offset(topic, partition, Offset::Beginning)
            .expect("an offset");
    }
    consumer.assign(&assignment).expect("assigned");
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    while left.iter().any(|(p, end)| next.get(p).unwrap_or(&0) < end) {
        let message = wait::some("the next record", LIMIT, || {
            consumer.poll(Duration::from_secs(1))
        });
        let message = message.expect("a record");
        next.insert(message.partition(), message.offset() + 1);
        work(&message);
    }
}
