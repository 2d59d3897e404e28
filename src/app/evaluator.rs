//! One monitor's evaluator: durable panes in, reports and incidents out, into the report log.
//!
//! It knows partitions only by messages, and everything it tells is durable first.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{Receiver, UnboundedReceiver};
use tokio::sync::{oneshot, watch};
use tokio::time::MissedTickBehavior;

use crate::drift::{ClosedBy, DriftReport, PaneCounts, PaneId, Reason, Trigger, WindowSnapshot};
use crate::health::Health;
use crate::http::state::{CheckOutcome, MonitorView};
use crate::metrics::MonitorMetrics;
use crate::monitor::Monitor;
use crate::state::{EvaluatorState, LogBody, LogEntry, NoticeKind, ReportLog};

use super::clock::now_ms;
use super::closing::{Closed, Closing};
use super::ends::Ends;
use super::messages::{EvaluatorMessage, SnapshotRequest, UnitSnapshot, WorkerCommand};

/// Windows whose reports are stored in one transaction while catching up.
const BATCH: usize = 64;
const ANSWER: Duration = Duration::from_secs(10);
const NOT_STORED: &str = "the evaluation could not be stored; see /readyz";
const TICK: Duration = Duration::from_millis(250);

pub(crate) type CheckReply = oneshot::Sender<Result<CheckOutcome, String>>;

/// What an evaluator is connected to.
pub(crate) struct Wiring {
    pub mailbox: UnboundedReceiver<EvaluatorMessage>,
    pub checks: Receiver<CheckReply>,
    pub workers: Vec<Sender<WorkerCommand>>,
    /// Asks the broker where logs end.
    pub ends: Ends,
    pub log: Arc<dyn ReportLog>,
    pub log_head: Arc<watch::Sender<u64>>,
    pub view: watch::Sender<Arc<MonitorView>>,
    pub metrics: Arc<MonitorMetrics>,
    pub closed_through: Arc<AtomicI64>,
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
            this.wiring.closed_through.store(end.0, Ordering::Relaxed);
        }
        this.state.incidents.retain(&this.monitor.definition);
        this.view.incidents = this.state.incidents.open();
        this.wiring.metrics.incidents(&this.view.incidents);
        this.view.stale = this.state.incidents.is_open("", Reason::Stale);
        this.wiring.metrics.stale(this.view.stale);
        this.view.waiting_for = Some("the topic's partitions".to_owned());
        this.publish();
        this
    }

    /// Runs until told to stop.
    pub(crate) async fn run(mut self) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut live = tokio::time::interval(self.live_interval());
        live.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.stopping {
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
                _ = live.tick() => self.evaluate_live().await,
                _ = tick.tick() => self.tick().await,
            }
        }
        self.close_by_watermark();
    }

    fn live_interval(&self) -> Duration {
        Duration::from_millis(self.monitor.config.live_interval_ms.max(50) as u64)
    }

    fn take(&mut self, message: EvaluatorMessage) {
        match message {
            EvaluatorMessage::Partitions(partitions) => {
                self.closing.set_partitions(&partitions);
                self.view.waiting_for = None;
            }
            EvaluatorMessage::Progress(progress) => self.closing.progress(progress),
            EvaluatorMessage::Forget(sealed) => self.closing.forget(&sealed),
            EvaluatorMessage::CaughtUp(caught_up) => self.set_caught_up(caught_up),
            EvaluatorMessage::Redefine(monitor, metrics) => {
                self.monitor = monitor;
                self.wiring.metrics = metrics;
                self.wiring.metrics.caught_up(self.view.caught_up);
                self.wiring.metrics.stale(self.view.stale);
                self.wiring.metrics.incidents(&self.view.incidents);
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

    // Closing windows.

    fn close_by_watermark(&mut self) {
        loop {
            if !self.write() {
                return;
            }
            while self.unwritten.len() < BATCH {
                self.skip_empty();
                let Some(closed) = self.closing.watermark() else {
                    break;
                };
                self.conclude(&closed, ClosedBy::Watermark);
            }
            if self.unwritten.is_empty() {
                return;
            }
        }
    }

    fn skip_empty(&mut self) {
        let skipped = self.closing.skip_empty();
        self.tell_skipped(skipped);
    }

    fn tell_skipped(&self, skipped: i64) {
        if skipped > 0 {
            tracing::warn!(
                monitor = self.monitor.definition.monitor,
                windows = skipped,
                "event time jumped: this many empty windows have no row"
            );
            self.wiring.metrics.add_windows_skipped(skipped as u64);
        }
    }

    /// Passes over partitions that hold up the next window and have nothing more to give.
    async fn close_by_idleness(&mut self) {
        if self.closing.idle(Instant::now()).is_none()
            || self.idle_asked.elapsed() < Duration::from_secs(1)
        {
            return;
        }
        let Some(snapshots) = self.snapshots(true).await else {
            self.idle_asked = Instant::now();
            return;
        };
        self.drain_mailbox();
        self.close_by_watermark();
        let topic = self.monitor.config.topic.clone();
        while self.unwritten.is_empty()
            && let Some(stragglers) = self.closing.idle(Instant::now())
        {
            let Some(ends) = self.wiring.ends.ask(&topic, &stragglers.partitions).await else {
                break;
            };
            let read_to_end = |p: &i32| {
                let read = snapshots.iter().find(|s| s.partition == *p);
                read.zip(ends.get(p))
                    .is_some_and(|(s, end)| s.position >= *end)
            };
            if !stragglers.partitions.iter().all(read_to_end) {
                break;
            }
            let open = self.open_panes(&snapshots, &stragglers.partitions);
            let mut closed_any = false;
            while self.unwritten.len() < BATCH
                && self.closing.idle(Instant::now()).as_ref() == Some(&stragglers)
            {
                let skipped = self.closing.skip_empty_past(&stragglers);
                self.tell_skipped(skipped);
                if skipped > 0 {
                    // The window behind the gap is waited for like any other.
                    continue;
                }
                let Some(closed) = self.closing.pass_over(&open, Instant::now()) else {
                    break;
                };
                self.conclude(&closed, ClosedBy::Idle);
                closed_any = true;
            }
            if !closed_any || !self.write() {
                break;
            }
            self.close_by_watermark();
        }
        self.idle_asked = Instant::now();
    }

    /// The panes of `partitions` that the ring does not hold.
    fn open_panes(
        &self,
        snapshots: &[UnitSnapshot],
        partitions: &[i32],
    ) -> Vec<(PaneId, PaneCounts)> {
        let mut open = Vec::new();
        for unit in snapshots
            .iter()
            .filter(|s| partitions.contains(&s.partition))
        {
            let durable = self.closing.sealed_before(unit.partition);
            let fresh = |(id, _): &&(PaneId, PaneCounts)| durable.is_none_or(|d| *id >= d);
            open.extend(unit.panes.iter().filter(fresh).cloned());
        }
        open
    }

    fn conclude(&mut self, closed: &Closed, closed_by: ClosedBy) {
        let began = Instant::now();
        let mut report = self.evaluate(&closed.snapshot, Trigger::Final, closed_by, None);
        let changes = self
            .state
            .incidents
            .observe(&self.monitor.definition, &report);
        self.took.push(began.elapsed());
        report.changes = changes;
        let now = now_ms();
        let max_age = self.monitor.config.alert_max_age_ms;
        let news = closed.record_ms.is_none_or(|ms| now - ms <= max_age);
        if !news {
            let catching_up = self.caught_up_since.is_none();
            self.state.owes_summary |= catching_up || !report.changes.is_empty();
        } else if !report.changes.is_empty() {
            self.state.told_at_ms = Some(now);
        }
        self.unwritten.push(LogEntry {
            monitor: report.monitor.clone(),
            written_at_ms: now,
            news,
            body: LogBody::Report(report),
        });
    }

    fn evaluate(
        &self,
        snapshot: &WindowSnapshot,
        trigger: Trigger,
        closed_by: ClosedBy,
        at_ms: Option<i64>,
    ) -> DriftReport {
        let Monitor {
            definition, layout, ..
        } = &*self.monitor;
        definition.evaluate(layout, snapshot, trigger, closed_by, at_ms)
    }

    /// Stores what was decided, then shows it. False: the store failed and this is tried again.
    fn write(&mut self) -> bool {
        if self.unwritten.is_empty() {
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
            self.wiring.closed_through.store(end.0, Ordering::Relaxed);
        }
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
        self.wiring.metrics.incidents(&self.view.incidents);
        self.publish();
        self.wiring.log_head.send_if_modified(|known| {
            let grew = *known < head;
            *known = head.max(*known);
            grew
        });
    }

    fn publish(&self) {
        self.wiring.view.send_replace(Arc::new(self.view.clone()));
    }

    // Live and manual evaluations.

    /// The panes of every partition that are not sealed and durable, from all workers.
    async fn snapshots(&mut self, durable: bool) -> Option<Vec<UnitSnapshot>> {
        let mut replies = Vec::new();
        for worker in &self.wiring.workers {
            let (reply, answer) = oneshot::channel();
            let monitor = self.monitor.definition.monitor.clone();
            let request = SnapshotRequest {
                monitor,
                durable,
                reply,
            };
            worker.send(WorkerCommand::Snapshot(request)).ok()?;
            replies.push(answer);
        }
        let mut units = Vec::new();
        for answer in replies {
            units.extend(tokio::time::timeout(ANSWER, answer).await.ok()?.ok()?);
        }
        self.drain_mailbox();
        let counted = units.iter().filter_map(|u| u.last_counted).max();
        if let Some(counted) = counted.filter(|c| Some(*c) > self.counted_at) {
            self.counted_at = Some(counted);
            self.view.last_counted_at_ms = Some(now_ms() - counted.elapsed().as_millis() as i64);
        }
        Some(units)
    }

    /// The window up to the newest event, open panes included; `None` before the first event.
    fn live_report(
        &self,
        snapshots: &[UnitSnapshot],
        trigger: Trigger,
        at_ms: Option<i64>,
    ) -> Option<DriftReport> {
        let all: Vec<i32> = snapshots.iter().map(|s| s.partition).collect();
        let open = self.open_panes(snapshots, &all);
        let newest = open.iter().map(|(id, _)| *id).max();
        let newest = newest.max(self.closing.ring.last())?;
        let definition = &self.monitor.definition;
        let end = definition
            .window
            .first_end_covering(&definition.panes, newest);
        // A window that is closed has left its first panes behind.
        let end = self.closing.next_end().map_or(end, |next| end.max(next));
        let open = open.iter().map(|(id, counts)| (*id, counts));
        let snapshot = self.closing.ring.peek(end, open);
        Some(self.evaluate(&snapshot, trigger, ClosedBy::Open, at_ms))
    }

    async fn evaluate_live(&mut self) {
        let Some(snapshots) = self.snapshots(false).await else {
            return;
        };
        let seen: Vec<(i32, i64)> = snapshots
            .iter()
            .map(|s| (s.partition, s.next_offset))
            .collect();
        if seen == self.live_seen {
            return;
        }
        let began = Instant::now();
        if let Some(report) = self.live_report(&snapshots, Trigger::Live, Some(now_ms())) {
            let now = now_ms();
            self.wiring.metrics.report(&report, began.elapsed(), now);
            self.view.evaluated_at_ms = report.evaluated_at_ms;
            self.view.live = Some(Arc::new(report));
        }
        self.live_seen = seen;
        self.publish();
    }

    async fn check(&mut self) -> Result<CheckOutcome, String> {
        let snapshots = self.snapshots(false).await;
        let snapshots = snapshots.ok_or("the consuming loop did not answer within 10 s")?;
        self.close_by_watermark();
        if !self.unwritten.is_empty() {
            return Err(NOT_STORED.to_owned());
        }
        let began = Instant::now();
        let now = now_ms();
        let Some(mut report) = self.live_report(&snapshots, Trigger::Manual, Some(now)) else {
            return Ok(CheckOutcome {
                last_final: self.view.last_final.clone(),
                live: None,
            });
        };
        let definition = &self.monitor.definition;
        report.changes = self.state.incidents.observe_manual(definition, &report);
        self.took.push(began.elapsed());
        if !report.changes.is_empty() {
            self.state.told_at_ms = Some(now);
        }
        self.unwritten.push(LogEntry {
            monitor: report.monitor.clone(),
            written_at_ms: now,
            news: true,
            body: LogBody::Report(report.clone()),
        });
        if !self.write() {
            return Err(NOT_STORED.to_owned());
        }
        let report = Arc::new(report);
        self.view.live = Some(Arc::clone(&report));
        self.publish();
        Ok(CheckOutcome {
            last_final: self.view.last_final.clone(),
            live: Some(report),
        })
    }

    // What time alone brings.

    async fn tick(&mut self) {
        if !self.closing.knows_partitions() || !self.write() {
            return;
        }
        self.close_by_idleness().await;
        if !self.unwritten.is_empty() {
            return;
        }
        self.judge_silence();
        self.remind();
        self.summarise();
        self.write();
    }

    fn judge_silence(&mut self) {
        let silent = self.counted_at.unwrap_or(self.began).elapsed();
        // What was silent before a restart is so until an event is counted.
        let still = self.counted_at.is_none() && self.state.incidents.is_open("", Reason::Stale);
        let stale = still || silent.as_millis() as i64 >= self.monitor.config.stale_after_ms;
        if stale != self.view.stale {
            self.view.stale = stale;
            self.wiring.metrics.stale(stale);
            self.publish();
        }
        let now = now_ms();
        let change = self
            .state
            .incidents
            .set_stale(stale, silent.as_secs_f64(), now);
        if let Some(change) = change {
            self.state.told_at_ms = Some(now);
            self.notice(NoticeKind::Stale, vec![change]);
        }
    }

    /// Waits until history is read: what is open may end in it.
    fn remind(&mut self) {
        let Some(told) = self.state.told_at_ms.filter(|_| self.history_read()) else {
            return;
        };
        let now = now_ms();
        if self.state.incidents.open().is_empty() {
            self.state.told_at_ms = None;
        } else if now - told >= self.monitor.config.repeat_after_ms {
            self.state.told_at_ms = Some(now);
            self.notice(NoticeKind::Reminder, Vec::new());
        }
    }

    fn history_read(&self) -> bool {
        self.was_caught_up && !self.state.owes_summary
    }

    /// Once history is read, one message says what it left open. It waits until windows that only
    /// idleness closes have had their time.
    fn summarise(&mut self) {
        let wait = Duration::from_millis(self.monitor.config.idle_timeout_ms.max(0) as u64);
        let settled = self
            .caught_up_since
            .is_some_and(|s| s.elapsed() >= wait + 2 * TICK);
        if !self.state.owes_summary || !settled || self.closing.idle(Instant::now()).is_some() {
            return;
        }
        self.state.owes_summary = false;
        // What was told before may be over without a word.
        if self.state.incidents.open().is_empty() && self.state.told_at_ms.is_none() {
            return;
        }
        self.state.told_at_ms = Some(now_ms());
        self.notice(NoticeKind::CaughtUp, Vec::new());
    }

    fn notice(&mut self, kind: NoticeKind, changes: Vec<crate::drift::IncidentChange>) {
        self.unwritten.push(LogEntry {
            monitor: self.monitor.definition.monitor.clone(),
            written_at_ms: now_ms(),
            news: true,
            body: LogBody::Notice {
                kind,
                changes,
                open: self.state.incidents.open(),
            },
        });
    }
}

#[cfg(test)]
mod tests;
