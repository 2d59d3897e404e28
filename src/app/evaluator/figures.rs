//! Live and manual evaluations: the window up to the newest event, open panes included.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::drift::{ClosedBy, DriftReport, Trigger};
use crate::http::state::CheckOutcome;
use crate::state::{LogBody, LogEntry};

use super::super::clock::now_ms;
use super::super::messages::{SnapshotRequest, UnitSnapshot, WorkerCommand};
use super::{ANSWER, Evaluator, NOT_STORED};

impl Evaluator {
    /// The panes of every partition that are not sealed and durable, from all workers.
    pub(super) async fn snapshots(&mut self, durable: bool) -> Option<Vec<UnitSnapshot>> {
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
    pub(super) fn live_report(
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
        Some(self.evaluate(snapshot, trigger, ClosedBy::Open, at_ms))
    }

    pub(super) async fn evaluate_live(&mut self) {
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

    pub(super) async fn check(&mut self) -> Result<CheckOutcome, String> {
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
        let changes = self.state.incidents.observe_manual(definition, &report);
        self.took.push(began.elapsed());
        report.changes = self.judged(changes, now);
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
}
