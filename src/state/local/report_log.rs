//! The report log, evaluator states and cursors in the local store.

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::checkpoint::prune;
use super::failure::Failure;
use super::tables::{self, CURSORS, EVALUATORS, HISTORY, LOG, META, META_LAST_ENTRY};
use super::{LocalStore, encoded, stored};
use crate::drift::PaneId;
use crate::state::{EvaluatorState, LogBody, LogEntry, ReportLog, StateError};

impl ReportLog for LocalStore {
    fn commit(
        &self,
        monitor: &str,
        state: &EvaluatorState,
        entries: &[LogEntry],
        needed_from: Option<PaneId>,
    ) -> Result<u64, StateError> {
        self.write_once(
            monitor,
            || content(state, entries),
            |txn| tables::meta(&txn.open_table(META)?, META_LAST_ENTRY),
            |txn| {
                let last = append(txn, entries)?;
                txn.open_table(EVALUATORS)?
                    .insert(monitor, encoded(state)?.as_slice())?;
                if let Some(needed_from) = needed_from {
                    prune(txn, monitor, needed_from)?;
                }
                Ok(last)
            },
        )
    }

    fn evaluator(&self, monitor: &str) -> Result<EvaluatorState, StateError> {
        self.read(|txn| match txn.open_table(EVALUATORS)?.get(monitor)? {
            Some(bytes) => stored(bytes.value(), || {
                format!("evaluator state of monitor {monitor:?}")
            }),
            None => Ok(EvaluatorState::default()),
        })
    }

    fn head(&self) -> Result<u64, StateError> {
        LocalStore::read(self, |txn| {
            tables::meta(&txn.open_table(META)?, META_LAST_ENTRY)
        })
    }

    fn read(&self, after: u64, limit: usize) -> Result<Vec<(u64, LogEntry)>, StateError> {
        let Some(from) = after.checked_add(1) else {
            return Ok(Vec::new());
        };
        LocalStore::read(self, |txn| {
            let log = txn.open_table(LOG)?;
            let mut entries = Vec::new();
            for row in log.range(from..)?.take(limit) {
                let (seq, bytes) = row?;
                entries.push((seq.value(), entry(seq.value(), bytes.value())?));
            }
            Ok(entries)
        })
    }

    fn history(
        &self,
        monitor: &str,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> Result<Vec<LogEntry>, StateError> {
        if from_ms > to_ms {
            return Ok(Vec::new());
        }
        LocalStore::read(self, |txn| {
            let mut seqs = reports_between(txn, monitor, from_ms, to_ms)?;
            seqs.sort_unstable();
            let log = txn.open_table(LOG)?;
            let skipped = seqs.len().saturating_sub(limit);
            seqs.into_iter()
                .skip(skipped)
                .map(|seq| match log.get(seq)? {
                    Some(bytes) => entry(seq, bytes.value()),
                    None => Err(Failure::Damaged(format!(
                        "report {seq} is in the history but not in the log"
                    ))),
                })
                .collect()
        })
    }

    fn cursor(&self, sink: &str) -> Result<Option<Vec<u8>>, StateError> {
        LocalStore::read(self, |txn| {
            let cursor = txn.open_table(CURSORS)?.get(sink)?;
            Ok(cursor.map(|bytes| bytes.value().to_vec()))
        })
    }

    fn set_cursor(&self, sink: &str, cursor: &[u8]) -> Result<(), StateError> {
        self.write(|txn| {
            txn.open_table(CURSORS)?.insert(sink, cursor)?;
            Ok(())
        })
    }

    /// Entries go in the order they came, so one that is young enough keeps all after it, even
    /// where the clock was set back in between.
    fn expire(&self, before_ms: i64) -> Result<u64, StateError> {
        // Looked up first: mostly there is nothing to drop, and that should cost no transaction.
        let through = LocalStore::read(self, |txn| expired_through(txn, before_ms))?;
        match through {
            Some(through) => self.write(|txn| drop_through(txn, through)),
            None => Ok(0),
        }
    }
}

/// Appends `entries` and gives the last sequence number.
fn append(txn: &WriteTransaction, entries: &[LogEntry]) -> Result<u64, Failure> {
    let mut meta = txn.open_table(META)?;
    let mut log = txn.open_table(LOG)?;
    let mut history = txn.open_table(HISTORY)?;
    let mut last = tables::meta(&meta, META_LAST_ENTRY)?;
    for entry in entries {
        last += 1;
        log.insert(last, encoded(entry)?.as_slice())?;
        if let LogBody::Report(report) = &entry.body {
            history.insert((entry.monitor.as_str(), report.window.end_ms, last), ())?;
        }
    }
    meta.insert(META_LAST_ENTRY, last)?;
    Ok(last)
}

/// What makes two commits of a monitor the same: a repeated one may have been written by another clock.
fn content(state: &EvaluatorState, entries: &[LogEntry]) -> Vec<u8> {
    let bodies: Vec<&LogBody> = entries.iter().map(|entry| &entry.body).collect();
    let (through, silences) = (state.closed_through, &state.silences);
    format!("{through:?} {silences:?} {bodies:?}").into_bytes()
}

fn reports_between(
    txn: &ReadTransaction,
    monitor: &str,
    from_ms: i64,
    to_ms: i64,
) -> Result<Vec<u64>, Failure> {
    let history = txn.open_table(HISTORY)?;
    let mut seqs = Vec::new();
    for row in history.range((monitor, from_ms, 0)..=(monitor, to_ms, u64::MAX))? {
        seqs.push(row?.0.value().2);
    }
    Ok(seqs)
}

fn expired_through(txn: &ReadTransaction, before_ms: i64) -> Result<Option<u64>, Failure> {
    let mut through = None;
    for row in txn.open_table(LOG)?.iter()? {
        let (seq, bytes) = row?;
        if entry(seq.value(), bytes.value())?.written_at_ms >= before_ms {
            break;
        }
        through = Some(seq.value());
    }
    Ok(through)
}

/// Drops entries up to and including `through`, and gives their number.
fn drop_through(txn: &WriteTransaction, through: u64) -> Result<u64, Failure> {
    let mut log = txn.open_table(LOG)?;
    let mut history = txn.open_table(HISTORY)?;
    let mut dropped = 0;
    for row in log.extract_from_if(..=through, |_, _| true)? {
        let (seq, bytes) = row?;
        let seq = seq.value();
        let entry = entry(seq, bytes.value())?;
        if let LogBody::Report(report) = &entry.body {
            history.remove((entry.monitor.as_str(), report.window.end_ms, seq))?;
        }
        dropped += 1;
    }
    Ok(dropped)
}

fn entry(seq: u64, bytes: &[u8]) -> Result<LogEntry, Failure> {
    stored(bytes, || format!("entry {seq} of the report log"))
}
