//! What time alone brings: silence, reminders, and the summary after history was read.

use std::time::{Duration, Instant};

use crate::drift::{IncidentChange, OpenIncident, Reason};
use crate::state::{LogBody, LogEntry, NoticeKind};

use super::super::clock::now_ms;
use super::{Evaluator, TICK};

impl Evaluator {
    pub(super) fn judge_staleness(&mut self) {
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
            let changes = self.judged(vec![change], now);
            self.notice(NoticeKind::Stale, changes);
        }
    }

    /// `changes` as they are told: those under a silence are marked, for the others the time to the
    /// next reminder begins.
    pub(super) fn judged(
        &mut self,
        mut changes: Vec<IncidentChange>,
        now: i64,
    ) -> Vec<IncidentChange> {
        self.state.silences.hush(&mut changes, now);
        if changes.iter().any(|change| !change.silenced) {
            self.state.told_at_ms = Some(now);
        }
        changes
    }

    /// Waits until history is read: what is open may end in it.
    pub(super) fn remind(&mut self) {
        let Some(told) = self.state.told_at_ms.filter(|_| self.history_read()) else {
            return;
        };
        let now = now_ms();
        if self.state.incidents.open().is_empty() {
            self.state.told_at_ms = None;
        } else if now - told >= self.monitor.config.repeat_after_ms {
            self.state.told_at_ms = Some(now);
            if !self.audible(now).is_empty() {
                self.notice(NoticeKind::Reminder, Vec::new());
            }
        }
    }

    pub(super) fn history_read(&self) -> bool {
        self.was_caught_up && !self.state.owes_summary
    }

    /// Once history is read, one message says what it left open. It waits until windows that only
    /// idleness closes have had their time.
    pub(super) fn summarise(&mut self) {
        let wait = Duration::from_millis(self.monitor.config.idle_timeout_ms.max(0) as u64);
        let settled = self
            .caught_up_since
            .is_some_and(|s| s.elapsed() >= wait + 2 * TICK);
        if !self.state.owes_summary || !settled || self.closing.idle(Instant::now()).is_some() {
            return;
        }
        self.state.owes_summary = false;
        let (now, open) = (now_ms(), self.state.incidents.open());
        // The summary tells of these; of what is silenced the end of its silence does.
        self.state.silences.release(&open, now);
        let all_silenced = !open.is_empty() && self.audible(now).is_empty();
        // What was told before may be over without a word.
        let nothing = open.is_empty() && self.state.told_at_ms.is_none();
        if nothing || all_silenced {
            return;
        }
        self.state.told_at_ms = Some(now);
        self.notice(NoticeKind::CaughtUp, Vec::new());
    }

    /// What is open and covered by no silence.
    fn audible(&self, now: i64) -> Vec<OpenIncident> {
        let open = self.state.incidents.open();
        self.state.silences.audible(open, now)
    }

    pub(super) fn notice(&mut self, kind: NoticeKind, changes: Vec<IncidentChange>) {
        let now = now_ms();
        self.unwritten.push(LogEntry {
            monitor: self.monitor.definition.monitor.clone(),
            written_at_ms: now,
            news: true,
            body: LogBody::Notice {
                kind,
                changes,
                open: self.audible(now),
            },
        });
    }
}
