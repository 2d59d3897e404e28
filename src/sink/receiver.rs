//! The loop of one receiver: log → outbox → message → channel, with a durable cursor.
//!
//! The cursor says before each attempt that it is made and after it how it went, so a message is
//! lost by nothing and repeated only where its arrival is unknown; then it says so.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use tokio::sync::watch;
use tokio::time::Instant;

use super::channel::{self, Post};
use super::notifier::{NotifyConfig, Pace};
use super::outbox::{Attempt, Cursor, Outbox};
use super::send::{Failure, Sender};
use super::{Delivery, SinkContext, SinkMetrics, now_ms};
use crate::state::LogEntry;

mod refresh;

use self::refresh::Refresh;

pub(super) struct Receiver {
    name: String,
    /// The name of the cursor.
    sink: String,
    ctx: SinkContext,
    config: watch::Receiver<Arc<NotifyConfig>>,
    metrics: Arc<dyn SinkMetrics>,
    pace: Pace,
    sender: Sender,
    outbox: Outbox,
    /// Entries that are read and not yet in the outbox.
    ahead: VecDeque<(u64, LogEntry)>,
    /// The last entry that was read.
    read: u64,
    /// What the cursor says.
    stored: Cursor,
    /// The last attempt failed: what comes meanwhile is merged.
    failing: Option<Failing>,
    refresh: Refresh,
}

struct Failing {
    words: String,
    pauses: ExponentialBackoff,
}

impl Receiver {
    pub(super) fn new(
        name: &str,
        ctx: SinkContext,
        config: watch::Receiver<Arc<NotifyConfig>>,
        metrics: Arc<dyn SinkMetrics>,
        pace: Pace,
    ) -> Self {
        Self {
            name: name.to_owned(),
            // Whatever the channel: with another name an upgrade, or another channel for the same
            // receiver, would lose or repeat what waits.
            sink: format!("slack.{name}"),
            ctx,
            config,
            metrics,
            pace,
            sender: Sender::new(pace.deadline),
            outbox: Outbox::default(),
            ahead: VecDeque::new(),
            read: 0,
            stored: Cursor::default(),
            failing: None,
            refresh: Refresh::new(Instant::now() + pace.refresh),
        }
    }

    /// Delivers until shutdown. `first` is where a receiver without a cursor begins.
    pub(super) async fn run(mut self, first: u64) {
        let _ = self.deliver(first).await;
    }

    async fn deliver(&mut self, first: u64) -> Option<Infallible> {
        self.resume(first).await?;
        while !self.ctx.shutdown.is_cancelled() {
            self.gather().await?;
            let config = Arc::clone(&self.config.borrow_and_update());
            self.outbox
                .retain(|monitor| config.wants(&self.name, monitor));
            if let Some((attempt, post)) = self.message(&config) {
                match post {
                    Some(post) => self.attempt(attempt, &post).await?,
                    None => self.outbox.delivered(&attempt),
                }
            }
            if self.refresh.is_due() && !self.ctx.shutdown.is_cancelled() {
                self.refresh().await?;
            }
        }
        None
    }

    /// Goes on where the cursor says. What was on its way then becomes one message again.
    async fn resume(&mut self, first: u64) -> Option<()> {
        let stored = self.ctx.cursor(&self.sink).await?;
        let known = stored.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        self.stored = match known {
            Some(cursor) => cursor,
            None => self.begin(first).await?,
        };
        self.outbox = Outbox::resume(&self.stored);
        self.read = self.stored.done;
        if let Some(attempt) = self.stored.attempting.clone() {
            self.restore(&attempt).await?;
        }
        Some(())
    }

    async fn begin(&mut self, first: u64) -> Option<Cursor> {
        let cursor = Cursor {
            done: first,
            ..Cursor::default()
        };
        self.write(&cursor).await?;
        Some(cursor)
    }

    async fn restore(&mut self, attempt: &Attempt) -> Option<()> {
        while let Some((seq, entry)) = self.next().await? {
            if seq > attempt.through {
                self.ahead.push_front((seq, entry));
                break;
            }
            self.absorb(seq, &entry);
        }
        self.outbox.uncertain(attempt);
        Some(())
    }

    /// Waits until there is something to tell. A healthy receiver gets one entry at a time.
    async fn gather(&mut self) -> Option<()> {
        while self.failing.is_some() || self.outbox.is_empty() {
            if let Some((seq, entry)) = self.next().await? {
                self.absorb(seq, &entry);
                continue;
            }
            if !self.outbox.is_empty() {
                break;
            }
            let cursor = self.outbox.cursor(None);
            self.store(cursor).await?;
            let (mut ctx, read) = (self.ctx.clone(), self.read);
            self.refreshing(ctx.grown(read)).await??;
        }
        Some(())
    }

    /// The next entry of the log, if it has one.
    async fn next(&mut self) -> Option<Option<(u64, LogEntry)>> {
        if self.ahead.is_empty() {
            self.ahead = self.ctx.read(&self.sink, &mut self.read).await?.into();
            self.read = self.ahead.back().map_or(self.read, |(seq, _)| *seq);
        }
        Some(self.ahead.pop_front())
    }

    fn absorb(&mut self, seq: u64, entry: &LogEntry) {
        let wanted = self.config.borrow().wants(&self.name, &entry.monitor);
        self.outbox.absorb(seq, entry, wanted);
    }

    /// What to tell next, and the request that does, where the channel needs one.
    fn message(&self, config: &NotifyConfig) -> Option<(Attempt, Option<Post>)> {
        let (attempt, pending) = self.outbox.next()?;
        let channel = &config.receiver(&self.name)?.channel;
        let around = config.around(&attempt.monitor)?;
        let post = channel::post(channel, &attempt, pending, &around, now_ms());
        Some((attempt, post))
    }

    async fn attempt(&mut self, attempt: Attempt, post: &Post) -> Option<()> {
        let cursor = self.outbox.cursor(Some(attempt.clone()));
        self.store(cursor).await?;
        let result = self.send(post).await?;
        let delivery = Delivery::of(&result);
        match &result {
            Ok(()) => self.outbox.delivered(&attempt),
            Err(Failure::Temporary {
                may_have_arrived: true,
                ..
            }) => self.outbox.uncertain(&attempt),
            Err(_) => {}
        }
        let unknown = self.outbox.is_uncertain(&attempt).then_some(attempt);
        let cursor = self.outbox.cursor(unknown);
        let stored = self.store(cursor).await;
        self.metrics.notified(&self.name, delivery);
        stored?;
        match result {
            Ok(()) => self.recovered(),
            Err(failure) => self.failed(failure).await?,
        }
        Some(())
    }

    /// One attempt; at shutdown it has a little time left. `None` when it was abandoned.
    async fn send(&mut self, post: &Post) -> Option<Result<(), Failure>> {
        let post = self.sender.post(post);
        let shutdown = async {
            self.ctx.shutdown.cancelled().await;
            tokio::time::sleep(self.pace.grace).await;
        };
        tokio::select! {
            biased;
            result = post => Some(result),
            () = shutdown => None,
        }
    }

    fn recovered(&mut self) {
        if self.failing.take().is_some() {
            tracing::info!(receiver = self.name, "messages are delivered again");
        }
    }

    /// Logs a failure once per cause and waits until another attempt makes sense.
    async fn failed(&mut self, failure: Failure) -> Option<()> {
        let words = failure.to_string();
        let failing = self.failing.get_or_insert_with(|| Failing {
            words: String::new(),
            pauses: self.pace.pauses(),
        });
        let news = failing.words != words;
        failing.words.clone_from(&words);
        let pause = failing.pauses.next().unwrap_or(self.pace.longest);
        match failure {
            Failure::Temporary { after, .. } => {
                if news {
                    tracing::warn!(
                        receiver = self.name,
                        "a message waits: {words}; trying again"
                    );
                }
                self.wait(Some(after.map_or(pause, |after| after.max(pause))))
                    .await
            }
            Failure::Refused { .. } => {
                if news {
                    tracing::error!(
                        receiver = self.name,
                        "a message was refused: {words}; it waits for a reload or a restart with another address"
                    );
                }
                self.wait(None).await
            }
        }
    }

    /// Waits for a reload, and for `pause` at most when there is one.
    async fn wait(&mut self, pause: Option<Duration>) -> Option<()> {
        let (mut config, shutdown) = (self.config.clone(), self.ctx.shutdown.clone());
        let reload = async move {
            if config.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let until = async {
            match pause {
                Some(pause) => tokio::time::timeout(pause, reload).await.unwrap_or(()),
                None => reload.await,
            }
        };
        self.refreshing(shutdown.run_until_cancelled(until)).await?
    }

    async fn store(&mut self, cursor: Cursor) -> Option<()> {
        if cursor != self.stored {
            self.write(&cursor).await?;
            self.stored = cursor;
        }
        Some(())
    }

    async fn write(&self, cursor: &Cursor) -> Option<()> {
        let bytes = serde_json::to_vec(cursor).unwrap_or_default();
        self.ctx.set_cursor(&self.sink, bytes).await
    }
}

impl Pace {
    pub(super) fn pauses(&self) -> ExponentialBackoff {
        ExponentialBuilder::default()
            .with_min_delay(self.shortest)
            .with_max_delay(self.longest)
            .with_jitter()
            .without_max_times()
            .build()
    }
}
