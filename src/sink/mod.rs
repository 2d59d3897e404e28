//! Readers of the report log, isolated from each other and from counting.
//!
//! Each sink follows the log at its own pace with a durable cursor of its own, so one that is
//! slow, down or renamed away holds up nobody and catches up later. Nothing here decides what is
//! news; the entries of the log say so.
//!
//! ```text
//! ReportLog ─ follow ─▶ csv::run_csv ─ append ─▶ file
//!                    ├▶ run_notifier ─ Outbox ─ message ─ POST ─▶ Slack, webhook, Alertmanager
//!                    └▶ run_heartbeats ─ GET ─▶ whoever waits for the call
//! ```

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::state::{LogEntry, ReportLog, StateError};

mod alertmanager;
mod channel;
pub mod csv;
mod facts;
mod heartbeat;
pub mod notifier;
mod outbox;
mod receiver;
mod send;
mod slack;
#[cfg(test)]
pub(crate) mod testing;
mod webhook;

pub use csv::run_csv;
pub use heartbeat::{Ready, run_heartbeats};
pub use notifier::{MonitorNotify, NotifyConfig, run_notifier, send_test};
pub use send::Failure;

/// What a sink reads from and when it stops. Cheap to clone.
#[derive(Clone)]
pub struct SinkContext {
    pub log: Arc<dyn ReportLog>,
    /// The last sequence number of the log, from the moment the context is made.
    pub head: watch::Receiver<u64>,
    pub shutdown: CancellationToken,
}

/// What the sinks count.
pub trait SinkMetrics: Send + Sync {
    /// One attempt to deliver a message to the receiver `channel`.
    fn notified(&self, channel: &str, result: Delivery);
    /// Rows that are in the file and durable.
    fn csv_rows(&self, rows: u64);
    /// Rows could not be written; they wait and are tried again.
    fn csv_error(&self);
    /// Whether rows wait because of an error.
    fn csv_failing(&self, failing: bool);
}

/// What became of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    Delivered,
    /// It will be tried again: 429, 5xx, a timeout, no connection.
    Retried,
    /// The receiver refused it for good; it waits for a reload or a restart.
    Refused,
}

impl Delivery {
    pub const ALL: [Self; 3] = [Self::Delivered, Self::Retried, Self::Refused];

    fn of(result: &Result<(), Failure>) -> Self {
        match result {
            Ok(()) => Self::Delivered,
            Err(Failure::Temporary { .. }) => Self::Retried,
            Err(Failure::Refused { .. }) => Self::Refused,
        }
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::Refused => "refused",
        }
    }
}

/// Entries read from the log in one go.
const BATCH: usize = 64;

/// How long a sink waits after the state could not be read or written.
const STATE_PAUSE: Duration = Duration::from_secs(1);

/// What attempts are counted by: the receivers, and whom the monitors call.
#[must_use]
pub fn channels(config: &Config) -> Vec<String> {
    let receivers = config.receivers.iter().map(|r| r.name.clone());
    let calling = config.monitors.iter().filter(|m| m.heartbeat_url.is_some());
    let heartbeats = calling.map(|m| heartbeat::channel(&m.name));
    receivers.chain(heartbeats).collect()
}

/// Wall clock.
fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

impl SinkContext {
    /// Runs a blocking call on a thread made for such.
    async fn blocking<T: Send + 'static>(
        &self,
        call: impl FnOnce(&dyn ReportLog) -> Result<T, StateError> + Send + 'static,
    ) -> Result<T, StateError> {
        let log = Arc::clone(&self.log);
        tokio::task::spawn_blocking(move || call(log.as_ref()))
            .await
            .unwrap_or_else(|stopped| {
                Err(StateError::Io {
                    path: "report log".to_owned(),
                    what: stopped.to_string(),
                })
            })
    }

    /// As [`blocking`](Self::blocking), again and again until it succeeds; the first failure is
    /// logged. `None` when psiren shuts down before.
    async fn insist<T: Send + 'static>(
        &self,
        sink: &str,
        call: impl Fn(&dyn ReportLog) -> Result<T, StateError> + Clone + Send + 'static,
    ) -> Option<T> {
        let mut told = false;
        loop {
            match self.blocking(call.clone()).await {
                Ok(value) => return Some(value),
                Err(error) if !told => {
                    told = true;
                    tracing::error!(sink, %error, "the report log does not answer; trying again");
                }
                Err(_) => {}
            }
            self.pause(STATE_PAUSE).await?;
        }
    }

    /// Waits. `None` when psiren shuts down before.
    async fn pause(&self, time: Duration) -> Option<()> {
        self.shutdown
            .run_until_cancelled(tokio::time::sleep(time))
            .await
    }

    /// What the log holds after `after` now, a batch at most. Where it holds nothing, `after`
    /// moves to the head: those entries have expired.
    async fn read(&self, sink: &str, after: &mut u64) -> Option<Vec<(u64, LogEntry)>> {
        let head = *self.head.borrow();
        let from = *after;
        let entries = self.insist(sink, move |log| log.read(from, BATCH)).await?;
        if entries.is_empty() {
            *after = head.max(from);
        }
        Some(entries)
    }

    async fn cursor(&self, sink: &str) -> Option<Option<Vec<u8>>> {
        let name = sink.to_owned();
        self.insist(sink, move |log| log.cursor(&name)).await
    }

    async fn set_cursor(&self, sink: &str, cursor: Vec<u8>) -> Option<()> {
        let name = sink.to_owned();
        self.insist(sink, move |log| log.set_cursor(&name, &cursor))
            .await
    }

    /// Waits until the log may hold entries after `after`. `None` when psiren shuts down before.
    async fn grown(&mut self, after: u64) -> Option<()> {
        let Self { head, shutdown, .. } = self;
        let grown = async {
            if head.wait_for(|head| *head > after).await.is_err() {
                // Nobody appends any more; what is left is to be told to stop.
                std::future::pending::<()>().await;
            }
        };
        shutdown.run_until_cancelled(grown).await
    }
}
