//! The logs as a consumer: batches of any size, records that come twice, a log whose beginning goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::app::fixtures::Logs;
use crate::source::{Drained, Record, Source, SourceError, TopicPartition};

/// Where each log begins; retention moves it.
#[derive(Debug, Clone, Default)]
pub(super) struct Starts(Arc<Mutex<BTreeMap<i32, i64>>>);

impl Starts {
    pub(super) fn of(&self, partition: i32) -> i64 {
        let starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        starts.get(&partition).copied().unwrap_or(0)
    }

    pub(super) fn raise(&self, partition: i32, to: i64) {
        let mut starts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let start = starts.entry(partition).or_default();
        *start = to.max(*start);
    }
}

pub(super) struct Feed {
    pub logs: Logs,
    pub starts: Starts,
    /// Records that the next batch goes back, so that they are delivered again.
    pub again: Arc<AtomicI64>,
    /// The last batch was empty.
    pub idle: Arc<AtomicBool>,
    pub batch: usize,
    positions: BTreeMap<i32, i64>,
    paused: BTreeSet<i32>,
    turn: usize,
}

impl Feed {
    pub(super) fn new(logs: Logs, starts: Starts, batch: usize) -> Self {
        Self {
            logs,
            starts,
            again: Arc::default(),
            idle: Arc::default(),
            batch,
            positions: BTreeMap::new(),
            paused: BTreeSet::new(),
            turn: 0,
        }
    }

    fn go_back(&mut self, records: i64) {
        if records == 0 {
            return;
        }
        for (partition, position) in &mut self.positions {
            let read = self.logs[partition].iter().map(|r| r.offset);
            let read: Vec<i64> = read.take_while(|offset| offset < position).collect();
            let before = read.len().saturating_sub(records as usize);
            let back = read.get(before).copied().unwrap_or(*position);
            *position = back.max(self.starts.of(*partition)).min(*position);
        }
    }
}

impl Source for Feed {
    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), SourceError> {
        self.positions.insert(partition.partition, offset);
        Ok(())
    }

    fn unassign(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        self.positions.remove(&partition.partition);
        Ok(())
    }

    fn drain(
        &mut self,
        _: Duration,
        most: usize,
        take: &mut dyn FnMut(&[Record<'_>]),
    ) -> Result<Drained, SourceError> {
        let again = self.again.swap(0, Ordering::Relaxed);
        self.go_back(again);
        let (mut handed, most) = (0, most.min(self.batch));
        self.turn += 1;
        let assigned = self.positions.len();
        for i in 0..assigned {
            let turn = (self.turn + i) % assigned;
            let Some((partition, position)) = self.positions.iter_mut().nth(turn) else {
                break;
            };
            if self.paused.contains(partition) {
                continue;
            }
            if *position < self.starts.of(*partition) {
                return Err(SourceError::OutOfRange);
            }
            let log = &self.logs[partition];
            let from = log.partition_point(|r| r.offset < *position);
            for scripted in log[from..].iter().take(most - handed) {
                take(&[scripted.record(*partition)]);
                *position = scripted.offset + 1;
                handed += 1;
            }
        }
        self.idle.store(handed == 0, Ordering::Relaxed);
        Ok(Drained {
            records: handed,
            more: handed == most,
        })
    }

    fn pause(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        self.paused.insert(partition.partition);
        Ok(())
    }

    fn resume(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        self.paused.remove(&partition.partition);
        Ok(())
    }

    fn has_queued(&self) -> bool {
        false
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.positions.get(&partition.partition).copied()
    }
}
