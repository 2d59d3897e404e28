//! One monitor's evaluator: durable panes in, reports and incidents out, into the report log.
//!
//! It knows partitions only by messages, and everything it tells is durable first.

mod figures;
mod notices;
mod silences;
mod windows;

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::sync::{oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior};

use crate::drift::{DriftReport, Reason, Trigger};
use crate::health::Health;
use crate::http::state::{CheckOutcome, MonitorView, SilenceRequest};
use crate::metrics::MonitorMetrics;
use crate::monitor::Monitor;
use crate::state::{EvaluatorState, LogBody, LogEntry, ReportLog};

use super::closing::Closing;
use super::ends::Ends;
use super::messages::{EvaluatorMessage, WorkerCommand};
use super::pausing::Frontier;

/// Windows whose reports are stored in one transaction while catching up.
const BATCH: usize = 64;
const ANSWER: Duration = Duration::from_secs(10);
const NOT_STORED: &str = "the evaluation could not be stored; see /readyz";
const TICK: Duration = Duration::from_millis(250);

fn every(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

pub(crate) type CheckReply = oneshot::Sender<Result<CheckOutcome, String>>;

/// What an evaluator is connected to.
pub(crate) struct Wiring {
    pub mailbox: UnboundedReceiver<EvaluatorMessage>,
    pub checks: Receiver<CheckReply>,
    pub silences: Receiver<SilenceRequest>,
    pub workers: Vec<Sender<WorkerCommand>>,
    /// Asks the broker where logs end.
    pub ends: Ends,
    pub log: Arc<dyn ReportLog>,
    pub log_head: Arc<watch::Sender<u64>>,
    pub view: watch::Sender<Arc<MonitorView>>,
    pub metrics: Arc<MonitorMetrics>,
    pub frontier: Arc<Frontier>,
    pub health: Health,
}

pub(crate) struct Evaluator {
    monitor: Arc<Monitor>,
    wiring: Wiring,
    closing: Closing,
    state: EvaluatorState,
    /// Decided but not durable yet. What could not be stored is tried again as it is, nothing
    /// added: the store knows by its content what got through after all.
    unwritten: Vec<LogEntry>,
    /// How long each report among `unwritten` took to compute.
    took: Vec<Duration>,
    /// What the report log holds of silences is not what `state` does.
    silences_changed: bool,
    view: MonitorView,
    caught_up_since: Option<Instant>,
    /// Once at least since this evaluator began.
    was_caught_up: bool,
    began: Instant,
    /// When the last event was counted since then.
    counted_at: Option<Instant>,
    /// What the last live figures were computed from.
    live_seen: Vec<(i32, i64)>,
    idle_asked: Instant,
    complained: bool,
    stopping: bool,
}

impl Evaluator {
    pub(crate) fn new(
        monitor: Arc<Monitor>,
        wiring: Wiring,
        closing: Closing,
        state: EvaluatorState,
        last_final: Option<DriftReport>,
    ) -> Self {
        let now = Instant::now();
        let mut this = Self {
            monitor,
            closing,
            state,
            unwritten: Vec::new(),
            took: Vec::new(),
            silences_changed: false,
            view: MonitorView::default(),
            caught_up_since: None,
            was_caught_up: false,
            began: now,
            counted_at: None,
            live_seen: Vec::new(),
            idle_asked: now,
            complained: false,
            stopping: false,
            wiring,
        };
        if let Some(report) = last_final {
            this.wiring.metrics.show(&report);
            this.view.last_final = Some(Arc::new(report));
        }
        if let Some(end) = this.state.closed_through {
            this.wiring.frontier.close_through(end);
        }
        this.state.incidents.retain(&this.monitor.definition);
        this.state.silences.retain(&this.monitor.definition);
        this.view.silences = this.state.silences.silences().to_vec();
        this.wiring.metrics.silences(this.view.silences.len());
        this.view.incidents = this.state.incidents.open();
        this.wiring.metrics.incidents(&this.view.incidents);
        this.view.stale = this.state.incidents.is_open("", Reason::Stale);
        this.wiring.metrics.stale(this.view.stale);
        this.view.waiting_for = Some("the topic's partitions".to_owned());
        this.tell_the_workers();
        this.publish();
        this
    }

    /// Runs until told to stop.
    pub(crate) async fn run(mut self) {
        let mut tick = every(TICK);
        let mut live = every(self.live_interval());
        while !self.stopping {
            if live.period() != self.live_interval() {
                live = every(self.live_interval());
            }
            tokio::select! {
                message = self.wiring.mailbox.recv() => match message {
                    Some(message) => {
                        self.take(message);
                        self.drain_mailbox();
                        self.close_by_watermark();
                    }
                    None => self.stopping = true,
                },
                Some(reply) = self.wiring.checks.recv() => {
                    let outcome = self.check().await;
                    // Whoever asked may have gone.
                    let _ = reply.send(outcome);
                }
                Some(request) = self.wiring.silences.recv() => {
                    // Whoever has gone was told that nothing was done.
                    if !request.reply.is_closed() {
                        let outcome = self.change_silence(request.change);
                        let _ = request.reply.send(outcome);
                    }
                }
                _ = live.tick() => self.evaluate_live().await,
                _ = tick.tick() => self.tick().await,
            }
            self.tell_the_workers();
        }
        self.close_by_watermark();
    }

    fn live_interval(&self) -> Duration {
        Duration::from_millis(self.monitor.config.live_interval_ms.max(50) as u64)
    }

    pub(super) fn take(&mut self, message: EvaluatorMessage) {
        match message {
            EvaluatorMessage::Partitions(partitions) => {
                self.closing.set_partitions(&partitions);
                self.view.waiting_for = None;
            }
            EvaluatorMessage::Progress(progress) => self.closing.progress(*progress),
            EvaluatorMessage::Forget {
                partition,
                sealed,
                gaps,
            } => self.closing.forget(partition, &sealed, &gaps),
            EvaluatorMessage::CaughtUp(caught_up) => self.set_caught_up(caught_up),
            EvaluatorMessage::Redefine(monitor, metrics) => {
                self.monitor = monitor;
                self.wiring.metrics = metrics;
                self.wiring.metrics.caught_up(self.view.caught_up);
                self.wiring.metrics.stale(self.view.stale);
                self.wiring.metrics.incidents(&self.view.incidents);
                self.wiring.metrics.silences(self.view.silences.len());
                if let Some(report) = &self.view.last_final {
                    self.wiring.metrics.show(report);
                }
                self.live_seen.clear();
            }
            EvaluatorMessage::Stop => self.stopping = true,
        }
    }

    fn drain_mailbox(&mut self) {
        while let Ok(message) = self.wiring.mailbox.try_recv() {
            self.take(message);
        }
    }

    fn set_caught_up(&mut self, caught_up: bool) {
        self.caught_up_since = match (caught_up, self.caught_up_since) {
            (true, since) => since.or_else(|| Some(Instant::now())),
            (false, _) => None,
        };
        self.was_caught_up |= caught_up;
        if self.view.caught_up != caught_up {
            self.view.caught_up = caught_up;
            self.wiring.metrics.caught_up(caught_up);
            self.publish();
        }
    }

    /// Stores what was decided, then shows it. False: the store failed and this is tried again.
    fn write(&mut self) -> bool {
        if self.unwritten.is_empty() && !self.silences_changed {
            return true;
        }
        self.state.closed_through = self.closing.ring.closed_through();
        self.state.first = self.closing.ring.first();
        let name = &self.monitor.definition.monitor;
        let needed = self.closing.ring.needed_from();
        self.state.kept_from = needed;
        let stored = tokio::task::block_in_place(|| {
            self.wiring
                .log
                .commit(name, &self.state, &self.unwritten, needed)
        });
        let latch = format!("report log of {name}");
        match stored {
            Ok(head) => {
                self.silences_changed = false;
                if std::mem::take(&mut self.complained) {
                    self.wiring.health.release(&latch);
                }
                self.show(head);
                true
            }
            Err(error) => {
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::error!(
                        monitor = name,
                        "reports cannot be stored, trying again: {error}"
                    );
                    self.wiring.health.hold(&latch, error.to_string());
                }
                false
            }
        }
    }

    fn show(&mut self, head: u64) {
        if let Some(end) = self.state.closed_through {
            self.wiring.frontier.close_through(end);
        }
        self.tell_the_workers();
        let mut took = std::mem::take(&mut self.took).into_iter();
        for entry in std::mem::take(&mut self.unwritten) {
            let LogBody::Report(report) = entry.body else {
                continue;
            };
            let took = took.next().unwrap_or_default();
            self.wiring
                .metrics
                .report(&report, took, entry.written_at_ms);
            self.view.evaluated_at_ms = Some(entry.written_at_ms);
            if report.trigger == Trigger::Final {
                self.view.last_final = Some(Arc::new(report));
            }
        }
        self.view.incidents = self.state.incidents.open();
        self.view.silences = self.state.silences.silences().to_vec();
        self.wiring.metrics.incidents(&self.view.incidents);
        self.wiring.metrics.silences(self.view.silences.len());
        self.publish();
        self.wiring.log_head.send_if_modified(|known| {
            let grew = *known < head;
            *known = head.max(*known);
            grew
        });
    }

    /// How far the windows are and what is held for them, so that nobody reads too far ahead.
    fn tell_the_workers(&self) {
        let closing = &self.closing;
        let held = closing.ring.panes();
        self.wiring.frontier.hold(closing.next_end(), held);
    }

    fn publish(&self) {
        self.wiring.view.send_replace(Arc::new(self.view.clone()));
    }

    async fn tick(&mut self) {
        if !self.closing.knows_partitions() || !self.write() {
            return;
        }
        self.close_by_idleness().await;
        if !self.unwritten.is_empty() {
            return;
        }
        self.judge_staleness();
        self.end_silences();
        self.remind();
        self.summarise();
        self.write();
    }
}

#[cfg(test)]
mod tests;
