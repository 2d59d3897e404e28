//! A call after each healthy evaluation, so that somebody else notices when psiren is dead.
//!
//! What waits for the call raises the alarm when none comes, so it is made only where all is well:
//! the evaluation is durable and no history, psiren is ready, the monitor has events. It is worth
//! nothing later, so no cursor remembers it: what failed is made good by the next evaluation.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBackoff;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::notifier::{NotifyConfig, Pace};
use super::send::{Failure, Sender};
use super::{Delivery, SinkContext, SinkMetrics};
use crate::drift::{Reason, Trigger};
use crate::state::{LogBody, LogEntry};

const ATTEMPTS: usize = 3;
/// Between two looks whether psiren is ready.
const READY_PAUSE: Duration = Duration::from_secs(1);
/// What this reader of the log is called when the log does not answer.
const SINK: &str = "heartbeat";

/// Says whether psiren is ready.
pub type Ready = Arc<dyn Fn() -> bool + Send + Sync>;

/// The name under which calls for `monitor` are counted. No receiver has it: names of receivers
/// hold no slash.
pub(super) fn channel(monitor: &str) -> String {
    format!("heartbeat/{monitor}")
}

/// Calls until shutdown. Evaluations count from the head of the log as it is when this is called.
pub fn run_heartbeats(
    ctx: SinkContext,
    config: watch::Receiver<Arc<NotifyConfig>>,
    ready: Ready,
    metrics: Arc<dyn SinkMetrics>,
) -> impl Future<Output = ()> + Send {
    heartbeats(Pace::default(), ctx, config, ready, metrics)
}

fn heartbeats(
    pace: Pace,
    ctx: SinkContext,
    config: watch::Receiver<Arc<NotifyConfig>>,
    ready: Ready,
    metrics: Arc<dyn SinkMetrics>,
) -> impl Future<Output = ()> + Send {
    let head = *ctx.head.borrow();
    let mut callers = Callers {
        ctx,
        config,
        ready,
        metrics,
        pace,
        running: BTreeMap::new(),
    };
    async move {
        let _ = callers.follow(head).await;
        for caller in callers.running.into_values() {
            if let Err(error) = caller.task.await {
                tracing::error!(%error, "a caller of heartbeats stopped by itself");
            }
        }
    }
}

/// One caller for each monitor, so that an address that hangs holds up no other.
struct Callers {
    ctx: SinkContext,
    config: watch::Receiver<Arc<NotifyConfig>>,
    ready: Ready,
    metrics: Arc<dyn SinkMetrics>,
    pace: Pace,
    running: BTreeMap<String, Running>,
}

struct Running {
    /// The last healthy evaluation, by its place in the log.
    healthy: watch::Sender<u64>,
    task: JoinHandle<()>,
}

impl Callers {
    async fn follow(&mut self, mut read: u64) -> Option<Infallible> {
        loop {
            let entries = self.ctx.read(SINK, &mut read).await?;
            if entries.is_empty() {
                self.ctx.grown(read).await?;
            }
            for (seq, entry) in entries {
                read = seq;
                if is_healthy(&entry) {
                    self.caller(&entry.monitor).healthy.send_replace(seq);
                }
            }
        }
    }

    fn caller(&mut self, monitor: &str) -> &Running {
        self.running.entry(monitor.to_owned()).or_insert_with(|| {
            let (healthy, evaluations) = watch::channel(0);
            let caller = Caller {
                monitor: monitor.to_owned(),
                channel: channel(monitor),
                evaluations,
                ctx: self.ctx.clone(),
                config: self.config.clone(),
                ready: Arc::clone(&self.ready),
                metrics: Arc::clone(&self.metrics),
                sender: Sender::new(self.pace.deadline),
                pace: self.pace,
                failing: None,
            };
            let task = tokio::spawn(caller.run());
            Running { healthy, task }
        })
    }
}

/// A window that closed over records of now. While history is read nothing is told, so nobody is
/// told that all is well either.
fn is_healthy(entry: &LogEntry) -> bool {
    let closed = matches!(&entry.body, LogBody::Report(r) if r.trigger == Trigger::Final);
    closed && entry.news
}

/// Calls for one monitor.
struct Caller {
    monitor: String,
    channel: String,
    evaluations: watch::Receiver<u64>,
    ctx: SinkContext,
    config: watch::Receiver<Arc<NotifyConfig>>,
    ready: Ready,
    metrics: Arc<dyn SinkMetrics>,
    sender: Sender,
    pace: Pace,
    /// Why the last call failed, in words.
    failing: Option<String>,
}

impl Caller {
    async fn run(mut self) {
        let _ = self.calls().await;
    }

    /// Evaluations that come while psiren is not ready are one call; those that come during a call
    /// are one more.
    async fn calls(&mut self) -> Option<Infallible> {
        loop {
            let Self {
                ctx, evaluations, ..
            } = self;
            ctx.shutdown
                .run_until_cancelled(evaluations.changed())
                .await?
                .ok()?;
            self.until_ready().await?;
            self.evaluations.borrow_and_update();
            if self.url().is_some() && !self.is_stale().await? {
                self.call().await?;
            }
        }
    }

    fn url(&self) -> Option<SecretString> {
        let config = self.config.borrow();
        config.monitors.get(&self.monitor)?.heartbeat_url.clone()
    }

    async fn until_ready(&self) -> Option<()> {
        while !(self.ready)() {
            self.ctx.pause(READY_PAUSE).await?;
        }
        Some(())
    }

    async fn is_stale(&self) -> Option<bool> {
        let monitor = self.monitor.clone();
        let state = self.ctx.insist(SINK, move |log| log.evaluator(&monitor));
        Some(state.await?.incidents.is_open("", Reason::Stale))
    }

    async fn call(&mut self) -> Option<()> {
        let mut pauses: ExponentialBackoff = self.pace.pauses();
        for attempt in 1..=ATTEMPTS {
            // A reload may have brought another one, or none.
            let Some(url) = self.url() else {
                break;
            };
            let call = self.sender.call(&url);
            let result = self.ctx.shutdown.run_until_cancelled(call).await?;
            self.metrics.notified(&self.channel, Delivery::of(&result));
            let again = self.took(&result);
            let pause = pauses.next().unwrap_or(self.pace.longest);
            match again {
                Some(after) if attempt < ATTEMPTS => {
                    let pause = after.map_or(pause, |after| after.max(pause));
                    self.ctx.pause(pause.min(self.pace.longest)).await?;
                }
                _ => break,
            }
        }
        Some(())
    }

    /// Logs a failure once per cause. Says whether another attempt makes sense, and after what time
    /// at least.
    fn took(&mut self, result: &Result<(), Failure>) -> Option<Option<Duration>> {
        let failure = match result {
            Err(failure) => failure,
            Ok(()) => {
                if self.failing.take().is_some() {
                    tracing::info!(monitor = self.monitor, "the heartbeat arrives again");
                }
                return None;
            }
        };
        let words = failure.to_string();
        if self.failing.as_ref() != Some(&words) {
            tracing::warn!(
                monitor = self.monitor,
                "the heartbeat did not arrive: {words}; the next evaluation calls again"
            );
        }
        self.failing = Some(words);
        match failure {
            Failure::Temporary { after, .. } => Some(*after),
            Failure::Refused { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
