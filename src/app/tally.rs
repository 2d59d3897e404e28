//! What a batch of records did, added up beside the loop and handed to the metrics once per batch.

use std::sync::Arc;

use crate::drift::{Cell, Found};
use crate::event::{InvalidRecord, Outcome, TimeReader};
use crate::metrics::MonitorMetrics;
use crate::monitor::Monitor;
use crate::source::Record;

/// Invalid records that are logged in each period; the rest are only counted.
const LOGGED: u64 = 3;
/// Bytes of a payload that are logged where that is allowed.
const EXCERPT: usize = 200;
const PERIOD_MS: i64 = 10_000;

pub(crate) struct Tally {
    monitor: String,
    outcomes: [u64; Outcome::ALL.len()],
    invalid_records: [u64; InvalidRecord::ALL.len()],
    /// `[feature][found]`.
    invalid_values: Vec<[u64; Found::ALL.len()]>,
    unseen: Vec<u64>,
    event_times: Vec<i64>,
    /// Payloads may appear in the log.
    log_payloads: bool,
    /// Invalid records since the period began.
    logged: u64,
    period_ms: i64,
}

impl Tally {
    pub(crate) fn new(monitor: &Monitor, log_payloads: bool) -> Self {
        let features = monitor.definition.features.len();
        Self {
            monitor: monitor.definition.monitor.clone(),
            outcomes: [0; Outcome::ALL.len()],
            invalid_records: [0; InvalidRecord::ALL.len()],
            invalid_values: vec![[0; Found::ALL.len()]; features],
            unseen: vec![0; features],
            event_times: Vec::new(),
            log_payloads,
            logged: 0,
            period_ms: 0,
        }
    }

    pub(crate) fn outcome(&mut self, outcome: Outcome) {
        self.outcomes[outcome as usize] += 1;
    }

    /// `why` holds no value of the payload.
    pub(crate) fn invalid_record(
        &mut self,
        record: &Record<'_>,
        reason: InvalidRecord,
        why: &dyn std::fmt::Display,
    ) {
        self.invalid_records[reason as usize] += 1;
        self.log(record, why);
    }

    /// The record's own timestamp as event time; `None` when it is none, which is counted.
    pub(crate) fn record_time(&mut self, record: &Record<'_>) -> Option<i64> {
        let Some(ms) = record.timestamp_ms else {
            let why = "the record has no timestamp; name a field of the event in `timestamp`";
            self.invalid_record(record, InvalidRecord::TimestampMissing, &why);
            return None;
        };
        TimeReader::milliseconds(ms)
            .inspect_err(|reason| {
                let why = "the record's timestamp is before 1990 or after 2200; is the producer's in milliseconds?";
                self.invalid_record(record, *reason, &why);
            })
            .ok()
    }

    fn log(&mut self, record: &Record<'_>, why: &dyn std::fmt::Display) {
        if self.logged < LOGGED {
            let payload = self.log_payloads.then(|| excerpt(record));
            tracing::warn!(
                monitor = self.monitor,
                topic = record.topic,
                partition = record.partition,
                offset = record.offset,
                payload,
                "invalid record: {why}"
            );
        }
        self.logged += 1;
    }

    pub(crate) fn counted(&mut self, event_ms: i64, cells: &[Cell]) {
        self.event_times.push(event_ms);
        for (feature, cell) in cells.iter().enumerate() {
            match cell {
                Cell::Bucket(_) | Cell::Missing => {}
                Cell::Unseen => self.unseen[feature] += 1,
                Cell::Invalid(found) => self.invalid_values[feature][*found as usize] += 1,
            }
        }
    }

    /// Hands everything over and starts again at zero.
    pub(crate) fn flush(&mut self, metrics: &Arc<MonitorMetrics>, now_ms: i64) {
        for (outcome, n) in Outcome::ALL.into_iter().zip(&mut self.outcomes) {
            flush(n, |n| metrics.add_outcome(outcome, n));
        }
        for (reason, n) in InvalidRecord::ALL
            .into_iter()
            .zip(&mut self.invalid_records)
        {
            flush(n, |n| metrics.add_invalid_record(reason, n));
        }
        for (feature, found) in self.invalid_values.iter_mut().enumerate() {
            for (what, n) in Found::ALL.into_iter().zip(found) {
                flush(n, |n| metrics.add_invalid_value(feature, what, n));
            }
        }
        for (feature, n) in self.unseen.iter_mut().enumerate() {
            flush(n, |n| metrics.add_unseen(feature, n));
        }
        metrics.event_delays(self.event_times.drain(..).map(|t| (now_ms - t, 1)));
        if now_ms - self.period_ms >= PERIOD_MS {
            let more = self.logged.saturating_sub(LOGGED);
            if more > 0 {
                tracing::warn!(monitor = self.monitor, more, "more invalid records");
            }
            self.logged = 0;
            self.period_ms = now_ms;
        }
    }
}

/// The first bytes of a payload, as text.
fn excerpt(record: &Record<'_>) -> String {
    let payload = record.payload.unwrap_or_default();
    String::from_utf8_lossy(&payload[..payload.len().min(EXCERPT)]).into_owned()
}

fn flush(n: &mut u64, add: impl FnOnce(u64)) {
    let n = std::mem::take(n);
    if n > 0 {
        add(n);
    }
}
