//! A report log in memory.

use std::collections::BTreeMap;
use std::sync::Mutex;

use psiren::drift::PaneId;
use psiren::state::{EvaluatorState, LogBody, LogEntry, ReportLog, StateError};

/// Keeps everything, forgets nothing before the process ends.
#[derive(Default)]
pub(crate) struct MemoryLog {
    entries: Mutex<Vec<LogEntry>>,
    cursors: Mutex<BTreeMap<String, Vec<u8>>>,
    states: Mutex<BTreeMap<String, EvaluatorState>>,
}

impl ReportLog for MemoryLog {
    fn commit(
        &self,
        monitor: &str,
        state: &EvaluatorState,
        entries: &[LogEntry],
        _: Option<PaneId>,
    ) -> Result<u64, StateError> {
        let mut states = self.states.lock().unwrap();
        states.insert(monitor.to_owned(), state.clone());
        let mut log = self.entries.lock().unwrap();
        log.extend_from_slice(entries);
        Ok(log.len() as u64)
    }

    fn evaluator(&self, monitor: &str) -> Result<EvaluatorState, StateError> {
        let states = self.states.lock().unwrap();
        Ok(states.get(monitor).cloned().unwrap_or_default())
    }

    fn read(&self, after: u64, limit: usize) -> Result<Vec<(u64, LogEntry)>, StateError> {
        let log = self.entries.lock().unwrap();
        let numbered = (1..).zip(log.iter().cloned());
        Ok(numbered.skip(after as usize).take(limit).collect())
    }

    fn history(
        &self,
        monitor: &str,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> Result<Vec<LogEntry>, StateError> {
        let within = |entry: &&LogEntry| match &entry.body {
            LogBody::Report(report) => {
                entry.monitor == monitor && (from_ms..=to_ms).contains(&report.window.end_ms)
            }
            LogBody::Notice { .. } => false,
        };
        let log = self.entries.lock().unwrap();
        let found: Vec<LogEntry> = log.iter().filter(within).cloned().collect();
        Ok(found[found.len().saturating_sub(limit)..].to_vec())
    }

    fn cursor(&self, sink: &str) -> Result<Option<Vec<u8>>, StateError> {
        Ok(self.cursors.lock().unwrap().get(sink).cloned())
    }

    fn set_cursor(&self, sink: &str, cursor: &[u8]) -> Result<(), StateError> {
        let mut cursors = self.cursors.lock().unwrap();
        cursors.insert(sink.to_owned(), cursor.to_vec());
        Ok(())
    }

    fn expire(&self, before_ms: i64) -> Result<u64, StateError> {
        let mut log = self.entries.lock().unwrap();
        let before = log.len();
        log.retain(|entry| entry.written_at_ms >= before_ms);
        Ok((before - log.len()) as u64)
    }
}
