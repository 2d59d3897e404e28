//! The records of one topic: mostly as they should be, and everything else that a topic may hold.

use std::collections::BTreeMap;

use jiff::Timestamp;
use psiren::drift::{Binning, FeatureReference};

use super::plan::{BEGIN_MS, FUTURE_SKEW_MS, Plan};
use crate::topic::Record;

const MINUTE_MS: i64 = 60_000;
/// What comes in stays as it is in the reference for so long, then drifts for so long.
const PHASE_MS: i64 = 30 * MINUTE_MS;
/// Records share few keys.
const KEYS: usize = 50;

/// Payloads that are no event, whatever is watched.
const BROKEN: [&[u8]; 8] = [
    b"{\"ts\": 1767225600000, \"type\": \"scored\", \"dep_delay\": 1",
    b"[1, 2]",
    b"\"scored\"",
    b"",
    b"NaN",
    b"{\"ts\": 1767225600000} {}",
    b"{\"type\": \"\xff\xfe\"}",
    b"{\"ts\": 1767225600000, \"type\": \"scored\", \"dep_delay\": 01}",
];

/// Event times that are none.
const TIMELESS: [&str; 7] = [
    "null",
    "true",
    "-1",
    "\"2026-01-01T00:00:00\"",
    "\"soon\"",
    "[1767225600000]",
    "99999999999999999",
];

/// Values that are of no use, or only to some features.
const ODD: [&str; 11] = [
    "null",
    "NaN",
    "-Infinity",
    "1e999",
    "true",
    "\"3.5\"",
    "\"\"",
    "[1]",
    "{}",
    "7",
    "-0.0",
];

/// Makes the records of one topic, in order, from a seed.
pub(super) struct Records {
    rng: fastrand::Rng,
    features: Vec<FeatureReference>,
    partitions: i32,
    total: u64,
    made: u64,
    span_ms: i64,
    closing_ms: i64,
}

impl Records {
    pub(super) fn new(plan: &Plan, topic: usize, total: u64) -> Self {
        let (topic_of, partitions) = &plan.topics[topic];
        let references = plan
            .watching(&topic_of.name)
            .flat_map(|monitor| &monitor.definition.features)
            .map(|feature| (feature.name().to_owned(), feature.reference.clone()));
        let features: BTreeMap<String, FeatureReference> = references.collect();
        Self {
            rng: fastrand::Rng::with_seed(plan.seed ^ (topic as u64 + 1)),
            features: features.into_values().collect(),
            partitions: *partitions,
            total,
            made: 0,
            span_ms: plan.span_ms,
            closing_ms: plan.closing_ms(),
        }
    }

    /// The next records, of which there are mostly one; `None` after the last.
    pub(super) fn next(&mut self) -> Option<Vec<Record>> {
        if self.made >= self.total {
            return None;
        }
        let progress = self.made as f64 / self.total as f64;
        let now_ms = BEGIN_MS + (self.span_ms as f64 * progress) as i64;
        let record = self.at(now_ms);
        // A producer that repeats itself is not noticed: both count.
        let repeated = self.rng.u32(0..100) == 0;
        let records = vec![record; 1 + usize::from(repeated)];
        self.made += records.len() as u64;
        Some(records)
    }

    /// One last record for each partition, which seals what the others filled.
    pub(super) fn closing(&mut self) -> Vec<Record> {
        let closing_ms = self.closing_ms;
        (0..self.partitions)
            .map(|partition| {
                let payload = self.event(closing_ms, &closing_ms.to_string(), "scored");
                Record::bytes(payload).at_ms(closing_ms).on(partition)
            })
            .collect()
    }

    fn at(&mut self, now_ms: i64) -> Record {
        let mut record_ms = now_ms - self.rng.i64(0..20_000);
        let mut event_ms = record_ms - self.rng.i64(0..20_000);
        let mut payload = None;
        match self.rng.u32(0..1000) {
            // Late by either time.
            0..30 => {
                record_ms -= self.rng.i64(MINUTE_MS..40 * MINUTE_MS);
                event_ms = record_ms;
            }
            // Late by the event's own time only.
            30..50 => event_ms -= self.rng.i64(MINUTE_MS..40 * MINUTE_MS),
            // As far ahead as is allowed, one more than that, and far ahead.
            50..52 => event_ms = record_ms + FUTURE_SKEW_MS,
            52..54 => event_ms = record_ms + FUTURE_SKEW_MS + 1,
            54..64 => event_ms = record_ms + FUTURE_SKEW_MS + self.rng.i64(1..3_000_000_000),
            // Dated before 1990.
            64..66 => record_ms = 1,
            66..76 => return self.addressed(Record::tombstone(), record_ms),
            76..96 => payload = Some(self.rng.choice(BROKEN).unwrap_or_default().to_vec()),
            96..116 => {
                let ts = self.rng.choice(TIMELESS).unwrap_or_default();
                payload = Some(self.event(event_ms, ts, "scored").into_bytes());
            }
            116..126 => payload = Some(b"{\"type\": \"scored\"}".to_vec()),
            126..160 => {
                let ts = event_ms.to_string();
                payload = Some(self.event(event_ms, &ts, "draft").into_bytes());
            }
            _ => {}
        }
        let payload = payload.unwrap_or_else(|| {
            let ts = self.time(event_ms);
            self.event(event_ms, &ts, "scored").into_bytes()
        });
        self.addressed(Record::bytes(payload), record_ms)
    }

    fn addressed(&mut self, record: Record, record_ms: i64) -> Record {
        record
            .at_ms(record_ms)
            .on(self.rng.i32(0..self.partitions))
            .key(format!("key {}", self.rng.usize(0..KEYS)))
    }

    /// An event time in one of the forms that are understood.
    fn time(&mut self, event_ms: i64) -> String {
        match self.rng.u32(0..10) {
            0 => (event_ms / 1000).to_string(),
            1 => (event_ms * 1000 + 7).to_string(),
            2 => (event_ms * 1_000_000).to_string(),
            3 => {
                let time = Timestamp::from_millisecond(event_ms).expect("an instant");
                format!("\"{time}\"")
            }
            _ => event_ms.to_string(),
        }
    }

    fn event(&mut self, event_ms: i64, ts: &str, kind: &str) -> String {
        let phase = (event_ms - BEGIN_MS).div_euclid(PHASE_MS);
        let mut event = format!("{{\"ts\":{ts},\"type\":\"{kind}\"");
        for i in 0..self.features.len() {
            let value = self.value(i, phase);
            let name = &self.features[i].name;
            let member = match (value, name.as_str()) {
                (None, _) => continue,
                (Some(value), "temp") => format!(",\"weather\":{{\"temp\":{value}}}"),
                (Some(value), _) => format!(",\"{name}\":{value}"),
            };
            // Of a repeated key the last counts.
            if self.rng.u32(0..200) == 0 {
                event.push_str(&format!(",\"{name}\":1,\"weather\":3"));
            }
            event.push_str(&member);
        }
        event.push('}');
        event
    }

    /// JSON of feature `i`; `None` where the event does not have it.
    fn value(&mut self, i: usize, phase: i64) -> Option<String> {
        let odd = self.rng.u32(0..100);
        // Features take turns to drift, to be missing and to have a wrong type.
        let turn = (phase + i as i64).rem_euclid(6);
        match turn {
            _ if odd < 2 => return self.rng.choice(ODD).map(str::to_owned),
            _ if odd < 4 => return None,
            3 if odd < 35 => return None,
            5 if odd < 35 => return Some("[]".to_owned()),
            _ => {}
        }
        let bucket = self.bucket(i, turn == 1);
        Some(self.in_bucket(i, bucket))
    }

    /// A bucket as often as the reference has it, or one of the first two when drifted.
    fn bucket(&mut self, i: usize, drifted: bool) -> usize {
        let counts = &self.features[i].counts;
        if drifted {
            return self.rng.usize(0..counts.len().min(2));
        }
        let mut nth = self.rng.u64(0..counts.iter().sum());
        let at = counts.iter().position(|count| {
            let here = nth < *count;
            nth = nth.saturating_sub(*count);
            here
        });
        at.unwrap_or_default()
    }

    fn in_bucket(&mut self, i: usize, bucket: usize) -> String {
        match &self.features[i].binning {
            Binning::Categorical { categories, .. } => match categories.get(bucket) {
                Some(category) => format!("\"{category}\""),
                None => "\"never seen\"".to_owned(),
            },
            Binning::Numeric { edges, .. } => {
                let upper = edges.get(bucket).copied();
                let lower = bucket.checked_sub(1).and_then(|i| edges.get(i)).copied();
                let lower = lower.unwrap_or_else(|| upper.unwrap_or(0.0) - 10.0);
                let upper = upper.unwrap_or(lower + 10.0);
                // On an edge now and then: it belongs to the bucket below it.
                let share = match self.rng.u32(0..10) {
                    0 => 1.0,
                    _ => self.rng.f64(),
                };
                (lower + (upper - lower) * share).to_string()
            }
        }
    }
}
