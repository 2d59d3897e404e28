//! The CSV file: one row per feature and window, final and manual, a projection of the report log.
//!
//! Rows are appended and synced before the cursor moves. What the cursor does not know of is found
//! in the file itself, so final rows are the same bytes whatever happened to the process. A file
//! that is renamed, deleted or truncated starts anew with the header and later rows.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use serde::{Deserialize, Serialize};

use self::files::{CsvError, Files};
use super::{SinkContext, SinkMetrics};
use crate::config::CsvConfig;
use crate::state::{LogBody, LogEntry};

pub mod file;
mod files;
pub mod row;
#[cfg(test)]
mod tests;

/// The name of the cursor, and of the sink in the log.
const NAME: &str = "csv";

/// How long rows that are in the report log may take to be written at shutdown.
const DRAIN: Duration = Duration::from_secs(2);

/// How far the log is in the files.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Cursor {
    seq: u64,
    /// Lengths of the files written last, by path.
    files: BTreeMap<String, u64>,
}

struct CsvSink {
    ctx: SinkContext,
    metrics: Arc<dyn SinkMetrics>,
    files: Arc<Mutex<Files>>,
    /// Everything up to here is in the files.
    seq: u64,
    /// The error that was logged last.
    told: Option<String>,
}

/// Writes rows until shutdown, and then those the log already holds, for two seconds at most.
pub async fn run_csv(ctx: SinkContext, config: CsvConfig, metrics: Arc<dyn SinkMetrics>) {
    let mut sink = CsvSink {
        ctx,
        metrics,
        files: Arc::new(Mutex::new(Files::new(config.path))),
        seq: 0,
        told: None,
    };
    if sink.open().await.is_none() || sink.follow().await.is_none() {
        // What is not written by then is written after the next start.
        let _ = tokio::time::timeout(DRAIN, sink.drain()).await;
    }
}

impl CsvSink {
    /// Finds out where to go on and begins the file.
    async fn open(&mut self) -> Option<()> {
        let cursor = self.ctx.cursor(NAME).await?;
        let cursor: Cursor = cursor
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        let files = Arc::clone(&self.files);
        self.seq = self
            .ctx
            .insist(NAME, move |log| {
                locked(&files).resume(cursor.seq, &cursor.files, log)
            })
            .await?;
        let begun = self.on_files(Files::begin).await;
        self.tell(&begun);
        Some(())
    }

    async fn follow(&mut self) -> Option<()> {
        loop {
            let entries = self.ctx.read(NAME, &mut self.seq).await?;
            if entries.is_empty() {
                self.ctx.grown(self.seq).await?;
                continue;
            }
            self.write(Arc::new(entries)).await?;
        }
    }

    /// Writes what the log holds, once and without waiting for anything.
    async fn drain(&mut self) -> Option<()> {
        loop {
            let entries = self.ctx.read(NAME, &mut self.seq).await?;
            if entries.is_empty() {
                return Some(());
            }
            self.try_write(&Arc::new(entries)).await.ok()?;
        }
    }

    /// Writes one batch, again and again until it succeeds.
    async fn write(&mut self, entries: Arc<Vec<(u64, LogEntry)>>) -> Option<()> {
        for pause in pauses() {
            if self.try_write(&entries).await.is_ok() {
                break;
            }
            self.ctx.pause(pause).await?;
        }
        Some(())
    }

    async fn try_write(&mut self, entries: &Arc<Vec<(u64, LogEntry)>>) -> Result<(), CsvError> {
        let batch = Arc::clone(entries);
        let written = self
            .on_files(move |files| {
                files.write(batch.iter().filter_map(|(_, entry)| match &entry.body {
                    LogBody::Report(report) => Some(report),
                    LogBody::Notice { .. } => None,
                }))
            })
            .await;
        self.tell(&written);
        self.metrics.csv_rows(written?);
        self.seq = entries.last().map_or(self.seq, |(seq, _)| *seq);
        let cursor = Cursor {
            seq: self.seq,
            files: locked(&self.files).lengths(),
        };
        // A cursor that shutdown keeps from being stored costs a second look at the file.
        let cursor = serde_json::to_vec(&cursor).unwrap_or_default();
        let _ = self.ctx.set_cursor(NAME, cursor).await;
        Ok(())
    }

    /// Runs a blocking call on a thread made for such.
    async fn on_files<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Files) -> Result<T, CsvError> + Send + 'static,
    ) -> Result<T, CsvError> {
        let files = Arc::clone(&self.files);
        tokio::task::spawn_blocking(move || call(&mut locked(&files)))
            .await
            .unwrap_or_else(|stopped| Err(locked(&self.files).stopped(stopped)))
    }

    /// Logs an error once per cause, and its end.
    fn tell<T>(&mut self, result: &Result<T, CsvError>) {
        let error = result.as_ref().err().map(ToString::to_string);
        self.metrics.csv_failing(error.is_some());
        match (&error, &self.told) {
            (None, None) => return,
            (None, Some(_)) => tracing::info!("the csv file can be written again"),
            (Some(new), old) => {
                self.metrics.csv_error();
                if old.as_ref() != Some(new) {
                    tracing::error!("{new}");
                }
            }
        }
        self.told = error;
    }
}

/// The files, also after a panic: they repair themselves when they are opened again.
fn locked(files: &Mutex<Files>) -> MutexGuard<'_, Files> {
    files.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How long to wait between attempts: from 0.2 to 10 seconds, for ever.
fn pauses() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(200))
        .with_max_delay(Duration::from_secs(10))
        .without_max_times()
        .build()
}

/// A row as one line. A line end inside a name becomes a space, so that a line is a row.
fn line(fields: [String; row::HEADER.len()]) -> Vec<u8> {
    let fields = fields.map(|field| field.replace(['\n', '\r'], " "));
    let mut writer = ::csv::WriterBuilder::new()
        .terminator(::csv::Terminator::Any(b'\n'))
        .from_writer(Vec::new());
    writer
        .write_record(&fields)
        .and_then(|()| writer.into_inner().map_err(|e| e.into_error().into()))
        .expect("writing to memory does not fail")
}
