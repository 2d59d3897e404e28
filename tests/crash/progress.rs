//! How far the CSV sink is: a report log that tells when the sink's cursor moves, and metrics that
//! tell when it fails.

use std::sync::Arc;
use std::time::Duration;

use psiren::drift::PaneId;
use psiren::sink::{Delivery, SinkMetrics};
use psiren::state::local::LocalStore;
use psiren::state::{EvaluatorState, LogEntry, ReportLog, StateError};
use serde_json::Value;
use tokio::sync::watch;

/// One unit of patience.
const PATIENCE: Duration = Duration::from_millis(250);

pub(crate) struct Progress {
    store: Arc<LocalStore>,
    head: watch::Sender<u64>,
    csv: watch::Sender<Csv>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Csv {
    /// Every entry up to here is in the file, and the cursor says so.
    seq: u64,
    failing: bool,
}

impl Progress {
    pub(crate) fn new(store: Arc<LocalStore>, head: u64) -> Arc<Self> {
        let seq = store.cursor("csv").ok().flatten().map_or(0, |c| seq(&c));
        Arc::new(Self {
            store,
            head: watch::Sender::new(head),
            csv: watch::Sender::new(Csv {
                seq,
                failing: false,
            }),
        })
    }

    pub(crate) fn head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    pub(crate) fn grown(&self, head: u64) {
        self.head.send_replace(head);
    }

    /// Waits until the sink has written everything or cannot, for as long as `patience` says.
    pub(crate) async fn csv_has_done_what_it_can(&self, patience: u32) {
        let head = *self.head.borrow();
        let mut csv = self.csv.subscribe();
        let done = csv.wait_for(|csv| csv.seq >= head || csv.failing);
        // A sink that waits for the state is no reason to wait: psiren goes on without it.
        let _ = tokio::time::timeout(PATIENCE * patience, done).await;
    }

    /// Waits until the sink has written everything, for as long as `patience` says.
    pub(crate) async fn csv_has_all(&self, patience: u32) -> Result<(), String> {
        let head = *self.head.borrow();
        let mut csv = self.csv.subscribe();
        let all = csv.wait_for(|csv| csv.seq >= head);
        match tokio::time::timeout(PATIENCE * patience, all).await {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("rows wait: {:?}", *self.csv.borrow())),
        }
    }
}

fn seq(cursor: &[u8]) -> u64 {
    let cursor: Value = serde_json::from_slice(cursor).expect("a cursor is JSON");
    cursor["seq"].as_u64().expect("a cursor has a number")
}

impl SinkMetrics for Progress {
    fn notified(&self, _: &str, _: Delivery) {}

    fn csv_rows(&self, _: u64) {}

    fn csv_error(&self) {}

    fn csv_failing(&self, failing: bool) {
        self.csv.send_modify(|csv| csv.failing = failing);
    }
}

impl ReportLog for Progress {
    fn commit(
        &self,
        monitor: &str,
        state: &EvaluatorState,
        entries: &[LogEntry],
        needed_from: Option<PaneId>,
    ) -> Result<u64, StateError> {
        self.store.commit(monitor, state, entries, needed_from)
    }

    fn evaluator(&self, monitor: &str) -> Result<EvaluatorState, StateError> {
        self.store.evaluator(monitor)
    }

    fn head(&self) -> Result<u64, StateError> {
        self.store.head()
    }

    fn read(&self, after: u64, limit: usize) -> Result<Vec<(u64, LogEntry)>, StateError> {
        self.store.read(after, limit)
    }

    fn history(
        &self,
        monitor: &str,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> Result<Vec<LogEntry>, StateError> {
        self.store.history(monitor, from_ms, to_ms, limit)
    }

    fn cursor(&self, sink: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.store.cursor(sink)
    }

    fn set_cursor(&self, sink: &str, cursor: &[u8]) -> Result<(), StateError> {
        self.store.set_cursor(sink, cursor)?;
        self.csv.send_modify(|csv| csv.seq = seq(cursor));
        Ok(())
    }

    fn expire(&self, before_ms: i64) -> Result<u64, StateError> {
        self.store.expire(before_ms)
    }
}
