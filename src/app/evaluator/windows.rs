//! Closing windows: what watermarks and idleness allow becomes final reports.

use std::time::{Duration, Instant};

use crate::drift::{ClosedBy, DriftReport, PaneCounts, PaneId, Trigger, WindowSnapshot};
use crate::monitor::Monitor;
use crate::state::{LogBody, LogEntry};

use super::super::clock::now_ms;
use super::super::closing::Closed;
use super::super::messages::UnitSnapshot;
use super::{BATCH, Evaluator};

impl Evaluator {
    pub(in crate::app) fn close_by_watermark(&mut self) {
        loop {
            if !self.write() {
                return;
            }
            while self.unwritten.len() < BATCH {
                self.skip_empty();
                let Some(closed) = self.closing.watermark() else {
                    break;
                };
                self.conclude(closed, ClosedBy::Watermark);
            }
            if self.unwritten.is_empty() {
                return;
            }
        }
    }

    pub(super) fn skip_empty(&mut self) {
        let skipped = self.closing.skip_empty();
        self.tell_skipped(skipped);
    }

    pub(super) fn tell_skipped(&self, skipped: i64) {
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
    pub(super) async fn close_by_idleness(&mut self) {
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
                self.conclude(closed, ClosedBy::Idle);
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
    pub(super) fn open_panes(
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

    pub(super) fn conclude(&mut self, closed: Closed, closed_by: ClosedBy) {
        let began = Instant::now();
        let mut report = self.evaluate(closed.snapshot, Trigger::Final, closed_by, None);
        let changes = self
            .state
            .incidents
            .observe(&self.monitor.definition, &report);
        self.took.push(began.elapsed());
        let now = now_ms();
        let max_age = self.monitor.config.alert_max_age_ms;
        let news = closed.record_ms.is_none_or(|ms| now - ms <= max_age);
        if news {
            report.changes = self.judged(changes, now);
        } else {
            self.state.silences.hush_history(&changes);
            report.changes = changes;
            let catching_up = self.caught_up_since.is_none();
            self.state.owes_summary |= catching_up || !report.changes.is_empty();
        }
        self.unwritten.push(LogEntry {
            monitor: report.monitor.clone(),
            written_at_ms: now,
            news,
            body: LogBody::Report(report),
        });
    }

    pub(super) fn evaluate(
        &self,
        snapshot: WindowSnapshot,
        trigger: Trigger,
        closed_by: ClosedBy,
        at_ms: Option<i64>,
    ) -> DriftReport {
        let Monitor {
            definition,
            scoring,
            ..
        } = &*self.monitor;
        definition.evaluate(scoring, snapshot, trigger, closed_by, at_ms)
    }
}
