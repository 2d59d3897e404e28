//! Messages about incidents, to named receivers.
//!
//! Each receiver is a task with a cursor of its own: one that hangs holds up no other. What is news
//! is decided where the report log is written; here it is put into words and delivered, however
//! long that takes. A message is never lost; where a crash or a lost answer leaves open whether one
//! arrived, it is sent again and says that it may repeat.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::channel::{self, Around};
use super::receiver::Receiver;
use super::send::{Failure, Sender};
use super::{SinkContext, SinkMetrics, now_ms};
use crate::config::ReceiverConfig;
use crate::drift::Definition;

/// What the notifier needs of the configuration; replaced as a whole on reload.
#[derive(Debug, Clone, Default)]
pub struct NotifyConfig {
    pub receivers: Vec<ReceiverConfig>,
    pub labels: BTreeMap<String, String>,
    /// By name of the monitor.
    pub monitors: BTreeMap<String, MonitorNotify>,
    /// Where people reach the page.
    pub public_url: Option<String>,
    /// Where people reach the dashboard.
    pub dashboard_url: Option<String>,
}

/// Who hears of a monitor, and what puts its figures into words.
#[derive(Debug, Clone)]
pub struct MonitorNotify {
    /// Names of receivers.
    pub receivers: Vec<String>,
    pub definition: Arc<Definition>,
    /// Called after each healthy evaluation.
    pub heartbeat_url: Option<SecretString>,
}

impl NotifyConfig {
    pub(super) fn receiver(&self, name: &str) -> Option<&ReceiverConfig> {
        self.receivers.iter().find(|r| r.name == name)
    }

    pub(super) fn wants(&self, receiver: &str, monitor: &str) -> bool {
        let monitor = self.monitors.get(monitor);
        self.receiver(receiver).is_some()
            && monitor.is_some_and(|m| m.receivers.iter().any(|name| name == receiver))
    }

    pub(super) fn around(&self, monitor: &str) -> Option<Around<'_>> {
        Some(Around {
            definition: &self.monitors.get(monitor)?.definition,
            labels: &self.labels,
            public_url: self.public_url.as_deref(),
            dashboard_url: self.dashboard_url.as_deref(),
        })
    }
}

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Of one attempt.
    pub deadline: Duration,
    /// Between two attempts, growing from the one to the other.
    pub shortest: Duration,
    pub longest: Duration,
    /// For the attempt in flight at shutdown.
    pub grace: Duration,
    /// Between two times that everything open is sent to an Alertmanager.
    pub refresh: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            grace: Duration::from_millis(1800),
            refresh: Duration::from_secs(60),
        }
    }
}

/// Delivers messages until shutdown. Receivers come and go with `config`; one that is new begins
/// at the head of the log as it is when this is called, so call it before the first evaluation.
pub fn run_notifier(
    ctx: SinkContext,
    config: watch::Receiver<Arc<NotifyConfig>>,
    metrics: Arc<dyn SinkMetrics>,
) -> impl Future<Output = ()> + Send {
    run_notifier_at(Pace::default(), ctx, config, metrics)
}

/// Sends one message that says it is a test, through the same code as the others.
///
/// # Errors
/// Why it was not delivered, without the URL.
pub async fn send_test(
    receiver: &ReceiverConfig,
    labels: &BTreeMap<String, String>,
) -> Result<(), Failure> {
    let post = channel::test_post(&receiver.channel, labels, now_ms());
    Sender::new(Pace::default().deadline).post(&post).await
}

/// A receiver's task.
struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// As [`run_notifier`], at another pace.
pub fn run_notifier_at(
    pace: Pace,
    ctx: SinkContext,
    mut config: watch::Receiver<Arc<NotifyConfig>>,
    metrics: Arc<dyn SinkMetrics>,
) -> impl Future<Output = ()> + Send {
    let mut first = *ctx.head.borrow();
    async move {
        let mut running: BTreeMap<String, Running> = BTreeMap::new();
        loop {
            let current = Arc::clone(&config.borrow_and_update());
            let (kept, gone): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut running)
                .into_iter()
                .partition(|(name, _)| current.receiver(name).is_some());
            running = kept;
            for receiver in gone.into_values() {
                receiver.stop().await;
            }
            for receiver in &current.receivers {
                running.entry(receiver.name.clone()).or_insert_with(|| {
                    let mut ctx = ctx.clone();
                    ctx.shutdown = ctx.shutdown.child_token();
                    let stop = ctx.shutdown.clone();
                    let (config, metrics) = (config.clone(), Arc::clone(&metrics));
                    let receiver = Receiver::new(&receiver.name, ctx, config, metrics, pace);
                    let task = tokio::spawn(receiver.run(first));
                    Running { stop, task }
                });
            }
            let reloaded = ctx.shutdown.run_until_cancelled(config.changed()).await;
            first = *ctx.head.borrow();
            match reloaded {
                Some(Ok(())) => {}
                Some(Err(_)) => {
                    ctx.shutdown.cancelled().await;
                    break;
                }
                None => break,
            }
        }
        for receiver in running.into_values() {
            receiver.stop().await;
        }
    }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a receiver of messages stopped by itself");
        }
    }
}

#[cfg(test)]
mod tests;
