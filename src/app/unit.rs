//! One unit: what one monitor counts of one partition. Owned by one worker, touched by nobody else.

use std::time::Instant;

use crate::config::Decoder;
use crate::drift::{Acceptance, Gaps, PaneId, PartitionPanes, SealedPane};
use crate::event::{Extractor, Outcome, Rejected};
use crate::metrics::Account;
use crate::monitor::Monitor;
use crate::source::Record;
use crate::state::{Splice, UnitKey, UnitState};

use super::tally::Tally;

/// A monitor as one worker sees it: its own extractor, and counts for the metrics of a batch.
pub(crate) struct Counter {
    pub monitor: std::sync::Arc<Monitor>,
    extractor: Extractor,
    pub tally: Tally,
}

impl Counter {
    pub(crate) fn new(
        monitor: std::sync::Arc<Monitor>,
        log_payloads: bool,
        decoder: Decoder,
    ) -> Self {
        Self {
            extractor: Extractor::with(&monitor.schema, decoder),
            tally: Tally::new(&monitor, log_payloads),
            monitor,
        }
    }
}

/// The moment a partition's event time sealed the panes before `before`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SealStamp {
    pub before: PaneId,
    /// When the record that sealed them was appended; `None` without a timestamp.
    pub record_ms: Option<i64>,
    pub seen: Instant,
}

pub(crate) struct Unit {
    pub key: UnitKey,
    /// Index of the monitor among the worker's counters.
    pub monitor: usize,
    panes: PartitionPanes,
    next_offset: i64,
    outcomes: [u64; Outcome::ALL.len()],
    splice: Option<Splice>,
    began_at: i64,
    absent: u64,
    lost: u64,
    gaps: Gaps,
    log_id: Option<String>,
    /// Sealed since the last checkpoint was handed over.
    pub sealed: Vec<SealedPane>,
    pub stamps: Vec<SealStamp>,
    /// Something changed since the last checkpoint was handed over.
    pub dirty: bool,
    pub last_counted: Option<Instant>,
}

impl Unit {
    pub(crate) fn restore(key: UnitKey, monitor: usize, state: UnitState) -> Self {
        let mut outcomes = [0; Outcome::ALL.len()];
        for (to, from) in outcomes.iter_mut().zip(&state.outcomes) {
            *to = *from;
        }
        Self {
            key,
            monitor,
            panes: PartitionPanes::restore(state.greatest_ms, state.open),
            next_offset: state.next_offset,
            outcomes,
            splice: state.splice,
            began_at: state.began_at,
            absent: state.absent,
            lost: state.lost,
            gaps: state.gaps,
            log_id: state.log_id,
            sealed: Vec::new(),
            stamps: Vec::new(),
            dirty: false,
            last_counted: None,
        }
    }

    /// The unit as it is made durable: counts and offset in one record.
    pub(crate) fn state(&self) -> UnitState {
        let state = UnitState {
            next_offset: self.next_offset,
            greatest_ms: self.panes.greatest_ms(),
            open: self.panes.open().clone(),
            outcomes: self.outcomes.to_vec(),
            splice: self.splice,
            began_at: self.began_at,
            absent: self.absent,
            lost: self.lost,
            gaps: self.gaps.clone(),
            log_id: self.log_id.clone(),
        };
        debug_assert_eq!(state.unaccounted(), 0, "{:?}", self.key);
        state
    }

    /// Offsets passed since the state began, and what became of them.
    pub(crate) fn account(&self) -> Account {
        Account {
            passed: self.next_offset - self.began_at,
            outcomes: self.outcomes,
            absent: self.absent,
            lost: self.lost,
        }
    }

    pub(crate) fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    pub(crate) fn panes(&self) -> &PartitionPanes {
        &self.panes
    }

    pub(crate) fn next_offset(&self) -> i64 {
        self.next_offset
    }

    pub(crate) fn splice(&self) -> Option<Splice> {
        self.splice
    }

    /// Takes in the records of `run` that were not taken in before; they are of this partition, in
    /// offset order. Says how many were counted in panes before `closed`, whose windows are closed.
    pub(crate) fn take(
        &mut self,
        run: &[Record<'_>],
        counter: &mut Counter,
        closed: PaneId,
        seen: Instant,
    ) -> u64 {
        let mut after_close = 0;
        let first = self.next_offset;
        let closed_ms = counter.monitor.definition.panes.start_ms(closed);
        for record in run {
            if record.offset < self.next_offset {
                continue;
            }
            let outcome = match self.count(record, counter, seen) {
                Ok(event_ms) => {
                    after_close += u64::from(event_ms < closed_ms);
                    Outcome::Counted
                }
                Err(outcome) => outcome,
            };
            self.outcomes[outcome as usize] += 1;
            counter.tally.outcome(outcome);
            self.absent += (record.offset - self.next_offset).unsigned_abs();
            self.next_offset = record.offset + 1;
        }
        // Only between runs can a checkpoint come, so only the last record has to be recognised.
        if let Some(last) = run.last()
            && first < self.next_offset
        {
            debug_assert_eq!(
                last.offset + 1,
                self.next_offset,
                "a run is in offset order"
            );
            self.splice = Some(splice_of(last));
            self.dirty = true;
        }
        after_close
    }

    /// The event time of a record that is counted.
    fn count(
        &mut self,
        record: &Record<'_>,
        counter: &mut Counter,
        seen: Instant,
    ) -> Result<i64, Outcome> {
        let Counter {
            monitor,
            extractor,
            tally,
        } = counter;
        let Some(payload) = record.payload else {
            return Err(Outcome::Tombstone);
        };
        let event = match extractor.extract(payload) {
            Ok(event) => event,
            Err(Rejected::Filtered) => return Err(Outcome::Filtered),
            Err(why @ Rejected::Invalid { reason, .. }) => {
                tally.invalid_record(record, reason, &why);
                return Err(Outcome::Invalid);
            }
        };
        let event_ms = match event.event_ms {
            Some(ms) => ms,
            None => tally.record_time(record).ok_or(Outcome::Invalid)?,
        };
        let spec = &monitor.definition.panes;
        let before = self.panes.sealed_before(spec);
        let accepted = self.panes.record(
            spec,
            &monitor.layout,
            event_ms,
            record.timestamp_ms,
            record.offset,
            event.cells,
        );
        if accepted != Acceptance::Counted {
            return Err(accepted.into());
        }
        tally.counted(event_ms, event.cells);
        self.gaps.close(event_ms);
        self.last_counted = Some(seen);
        let after = self.panes.sealed_before(spec);
        if after != before {
            self.stamp(after, record.timestamp_ms, seen);
            self.sealed.extend(self.panes.take_sealed(spec));
        }
        Ok(event_ms)
    }

    fn stamp(&mut self, before: Option<PaneId>, record_ms: Option<i64>, seen: Instant) {
        self.stamps.extend(before.map(|before| SealStamp {
            before,
            record_ms,
            seen,
        }));
    }
}

/// What is remembered of a record, to recognise its log again.
pub(crate) fn splice_of(record: &Record<'_>) -> Splice {
    Splice {
        offset: record.offset,
        timestamp_ms: record.timestamp_ms,
        hash: record.hash(),
    }
}

#[cfg(test)]
mod tests;
