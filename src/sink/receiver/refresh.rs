//! What is open, sent again and again: an Alertmanager expects it, and forgets what it does not hear.
//!
//! It says how things are, beside the messages, which say what changed: it moves no cursor, and where
//! it fails the next one makes it good. It runs between two attempts, never beside one, so that
//! nothing that was open before overtakes the message that it ended.

use std::pin::pin;
use std::sync::Arc;

use tokio::time::Instant;

use super::Receiver;
use crate::config::Channel;
use crate::drift::OpenIncident;
use crate::sink::notifier::NotifyConfig;
use crate::sink::{Delivery, alertmanager, channel, now_ms};

/// When the next one is due, and how the last one went.
pub(super) struct Refresh {
    due: Instant,
    /// Why the last one failed, in words.
    failing: Option<String>,
}

impl Refresh {
    pub(super) fn new(due: Instant) -> Self {
        Self { due, failing: None }
    }

    pub(super) fn is_due(&self) -> bool {
        Instant::now() >= self.due
    }
}

impl Receiver {
    /// Waits for `wait`, and refreshes meanwhile. `None` when psiren shuts down before.
    pub(super) async fn refreshing<T>(&mut self, wait: impl Future<Output = T>) -> Option<T> {
        let mut wait = pin!(wait);
        loop {
            tokio::select! {
                biased;
                done = &mut wait => return Some(done),
                () = tokio::time::sleep_until(self.refresh.due) => self.refresh().await?,
            }
        }
    }

    /// Sends everything that is open, where the channel wants that. `None` when psiren shuts down
    /// before.
    pub(super) async fn refresh(&mut self) -> Option<()> {
        self.refresh.due = Instant::now() + self.pace.refresh;
        let config = Arc::clone(&self.config.borrow());
        let Some(receiver) = config.receiver(&self.name) else {
            return Some(());
        };
        if !matches!(receiver.channel, Channel::Alertmanager { .. }) {
            return Some(());
        }
        let mut alerts = Vec::new();
        for monitor in config.monitors.keys() {
            let open = self.still_open(&config, monitor).await?;
            if let Some(around) = config.around(monitor) {
                alerts.extend(alertmanager::firing(&open, &around, now_ms()));
            }
        }
        if alerts.is_empty() {
            return Some(());
        }
        let post = channel::to(&receiver.channel, &alerts);
        let result = self.send(&post).await?;
        self.metrics.notified(&self.name, Delivery::of(&result));
        if result.is_ok() {
            self.outbox.refreshed();
        }
        self.refreshed(result.err().map(|failure| failure.to_string()));
        Some(())
    }

    /// What of a monitor this receiver is to hear again: nothing that is silenced, and while history
    /// is read nothing at all, as what is open may end in it, and a summary follows.
    async fn still_open(&self, config: &NotifyConfig, monitor: &str) -> Option<Vec<OpenIncident>> {
        if !config.wants(&self.name, monitor) {
            return Some(Vec::new());
        }
        let name = monitor.to_owned();
        let state = self
            .ctx
            .insist(&self.sink, move |log| log.evaluator(&name))
            .await?;
        Some(match state.owes_summary {
            true => Vec::new(),
            false => state.silences.audible(state.incidents.open(), now_ms()),
        })
    }

    /// Logs a failure once per cause.
    fn refreshed(&mut self, failure: Option<String>) {
        match &failure {
            Some(words) if failure != self.refresh.failing => tracing::warn!(
                receiver = self.name,
                "what is open could not be sent again: {words}; trying again"
            ),
            None if self.refresh.failing.is_some() => {
                tracing::info!(receiver = self.name, "what is open is sent again");
            }
            _ => {}
        }
        self.refresh.failing = failure;
    }
}
