//! What one receiver has not been told yet: pure, and a function of log and cursor.
//!
//! While the receiver is healthy an entry becomes a message of its own. While it is not, later
//! entries of the same monitor are merged into the message that waits: an incident that opened and
//! ended meanwhile cancels out, unless an earlier attempt may have told of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::drift::incident::ChangeKind;
use crate::drift::{
    DriftReport, FeatureReport, IncidentChange, OpenIncident, Trigger, WindowBounds,
};
use crate::state::{LogBody, LogEntry, NoticeKind};

/// How far a receiver has been told; durable.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Cursor {
    /// Every entry up to here has been told or needs no telling.
    pub(super) done: u64,
    /// Monitors that are further than `done`.
    pub(super) monitors: BTreeMap<String, u64>,
    /// Set while it is not known whether a message arrived.
    pub(super) attempting: Option<Attempt>,
}

/// A message on its way: everything of `monitor` up to entry `through`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Attempt {
    pub(super) monitor: String,
    pub(super) through: u64,
}

/// A change with the evaluation that brought it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Change {
    pub(super) change: IncidentChange,
    /// `None` for a notice.
    pub(super) evaluation: Option<Evaluation>,
    /// An attempt with this incident's news may have arrived: it cannot cancel out any more.
    told: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Evaluation {
    pub(super) window: WindowBounds,
    pub(super) trigger: Trigger,
    pub(super) reference: String,
    pub(super) definition: String,
    pub(super) feature: Option<FeatureReport>,
}

/// A reminder or a summary.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Notice {
    pub(super) kind: NoticeKind,
    pub(super) open: Vec<OpenIncident>,
}

/// One message to be.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pending {
    first: u64,
    through: u64,
    pub(super) changes: Vec<Change>,
    pub(super) notice: Option<Notice>,
    /// An earlier attempt may have arrived.
    pub(super) may_repeat: bool,
}

/// What waits, by monitor.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pending: BTreeMap<String, Pending>,
    /// Every entry up to here has been looked at.
    read: u64,
    /// How far each monitor has been told.
    told: BTreeMap<String, u64>,
}

impl Outbox {
    pub(super) fn resume(cursor: &Cursor) -> Self {
        Self {
            pending: BTreeMap::new(),
            read: cursor.done,
            told: cursor.monitors.clone(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes in the entry `seq`; `wanted` says whether this receiver hears of the monitor.
    pub(super) fn absorb(&mut self, seq: u64, entry: &LogEntry, wanted: bool) {
        self.read = seq;
        let told = self.told.get(&entry.monitor).copied().unwrap_or(0);
        if !entry.news || !wanted || seq <= told {
            return;
        }
        let pending = self.pending.entry(entry.monitor.clone()).or_default();
        if pending.is_empty() {
            pending.first = seq;
        }
        pending.through = seq;
        pending.absorb(&entry.body);
        if pending.is_empty() {
            self.pending.remove(&entry.monitor);
        }
    }

    /// The message that has waited longest.
    pub(super) fn next(&self) -> Option<(Attempt, &Pending)> {
        let (monitor, pending) = self.pending.iter().min_by_key(|(_, p)| p.first)?;
        let attempt = Attempt {
            monitor: monitor.clone(),
            through: pending.through,
        };
        Some((attempt, pending))
    }

    /// The message arrived.
    pub(super) fn delivered(&mut self, attempt: &Attempt) {
        self.pending.remove(&attempt.monitor);
        self.told.insert(attempt.monitor.clone(), attempt.through);
    }

    /// The message may have arrived.
    pub(super) fn uncertain(&mut self, attempt: &Attempt) {
        if let Some(pending) = self.pending.get_mut(&attempt.monitor) {
            pending.may_repeat = true;
            for change in &mut pending.changes {
                change.told = true;
            }
        }
    }

    /// What is open was told beside the messages: what waits of it cannot cancel out any more.
    pub(super) fn refreshed(&mut self) {
        for change in self.pending.values_mut().flat_map(|p| &mut p.changes) {
            change.told = true;
        }
    }

    /// Whether some attempt with this message may have arrived.
    pub(super) fn is_uncertain(&self, attempt: &Attempt) -> bool {
        self.pending
            .get(&attempt.monitor)
            .is_some_and(|pending| pending.may_repeat)
    }

    /// Drops what waits for monitors that this receiver no longer hears of.
    pub(super) fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.pending.retain(|monitor, _| wanted(monitor));
    }

    pub(super) fn cursor(&self, attempting: Option<Attempt>) -> Cursor {
        let waiting = self.pending.values().map(|p| p.first - 1).min();
        let done = waiting.unwrap_or(self.read);
        let mut monitors = self.told.clone();
        monitors.retain(|_, told| *told > done);
        Cursor {
            done,
            monitors,
            attempting,
        }
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.changes.is_empty() && self.notice.is_none()
    }

    fn absorb(&mut self, body: &LogBody) {
        match body {
            LogBody::Report(report) => {
                for change in report.changes.iter().filter(|c| !c.silenced) {
                    self.change(change, Some(Evaluation::of(report, &change.feature)));
                }
            }
            LogBody::Notice {
                kind,
                changes,
                open,
            } => {
                for change in changes.iter().filter(|c| !c.silenced) {
                    self.change(change, None);
                }
                if matches!(kind, NoticeKind::Reminder | NoticeKind::CaughtUp) {
                    self.notice = Some(Notice {
                        kind: *kind,
                        open: open.clone(),
                    });
                }
            }
        }
    }

    fn change(&mut self, change: &IncidentChange, evaluation: Option<Evaluation>) {
        if change.kind == ChangeKind::Resolved {
            self.forget_open(change);
        }
        let mut new = Change {
            change: change.clone(),
            evaluation,
            told: false,
        };
        let same =
            |c: &Change| (&c.change.feature, c.change.reason) == (&change.feature, change.reason);
        match self.changes.iter().position(same) {
            None => self.changes.push(new),
            Some(i) if self.changes[i].told || self.changes[i].change.kind == change.kind => {
                new.told = self.changes[i].told;
                self.changes[i] = new;
            }
            Some(i) => {
                self.changes.remove(i);
            }
        }
    }

    /// A reminder that waits lists no incident that has ended since.
    fn forget_open(&mut self, ended: &IncidentChange) {
        let Some(notice) = &mut self.notice else {
            return;
        };
        notice
            .open
            .retain(|open| (&open.feature, open.reason) != (&ended.feature, ended.reason));
        if notice.open.is_empty() && notice.kind == NoticeKind::Reminder {
            self.notice = None;
        }
    }
}

impl Evaluation {
    fn of(report: &DriftReport, feature: &str) -> Self {
        Self {
            window: report.window,
            trigger: report.trigger,
            reference: report.reference.clone(),
            definition: report.definition.clone(),
            feature: report.feature(feature).cloned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{change, entry, report};
    use super::*;
    use crate::drift::Reason;

    fn changed(monitor: &str, feature: &str, kind: ChangeKind) -> LogEntry {
        let mut report = report(monitor, 0, Vec::new());
        report.changes = vec![change(feature, kind, 0.5)];
        entry(LogBody::Report(report))
    }

    fn waiting(outbox: &Outbox) -> Vec<(String, ChangeKind)> {
        let pending = outbox.pending.values().flat_map(|p| &p.changes);
        pending
            .map(|c| (c.change.feature.clone(), c.change.kind))
            .collect()
    }

    use ChangeKind::{Opened, Resolved};

    #[test]
    fn what_opened_and_ended_while_undelivered_cancels_out() {
        let mut outbox = Outbox::default();
        outbox.absorb(1, &changed("m", "a", Opened), true);
        outbox.absorb(2, &changed("m", "b", Opened), true);
        outbox.absorb(3, &changed("m", "a", Resolved), true);
        assert_eq!(waiting(&outbox), [("b".to_owned(), Opened)]);
        outbox.absorb(4, &changed("m", "b", Resolved), true);
        assert!(outbox.is_empty());
        assert_eq!(outbox.cursor(None).done, 4);
    }

    #[test]
    fn what_may_have_been_told_does_not_cancel_out() {
        let mut outbox = Outbox::default();
        outbox.absorb(1, &changed("m", "a", Opened), true);
        let attempt = outbox.next().unwrap().0;
        outbox.uncertain(&attempt);
        outbox.absorb(2, &changed("m", "a", Resolved), true);
        assert_eq!(waiting(&outbox), [("a".to_owned(), Resolved)]);
        outbox.absorb(3, &changed("m", "a", Opened), true);
        assert_eq!(waiting(&outbox), [("a".to_owned(), Opened)]);
        assert!(outbox.next().unwrap().1.may_repeat);
    }

    #[test]
    fn the_cursor_stops_before_the_first_entry_that_waits() {
        let mut outbox = Outbox::default();
        outbox.absorb(1, &changed("a", "x", Opened), true);
        outbox.absorb(2, &changed("b", "x", Opened), true);
        outbox.absorb(3, &changed("b", "y", Opened), true);
        let told_b = Attempt {
            monitor: "b".to_owned(),
            through: 3,
        };
        outbox.delivered(&told_b);
        let cursor = outbox.cursor(None);
        assert_eq!(cursor.done, 0);
        let mut again = Outbox::resume(&cursor);
        for (seq, monitor) in [(1, "a"), (2, "b"), (3, "b")] {
            again.absorb(seq, &changed(monitor, "x", Opened), true);
        }
        assert_eq!(again.pending.keys().collect::<Vec<_>>(), ["a"]);
        let attempt = again.next().unwrap().0;
        again.delivered(&attempt);
        assert_eq!(again.cursor(None).done, 3);
        assert!(again.cursor(None).monitors.is_empty());
    }

    #[test]
    fn history_and_other_receivers_monitors_are_not_told() {
        let mut outbox = Outbox::default();
        let mut history = changed("m", "a", Opened);
        history.news = false;
        outbox.absorb(1, &history, true);
        outbox.absorb(2, &changed("other", "a", Opened), false);
        assert!(outbox.is_empty());
        assert_eq!(outbox.cursor(None).done, 2);
    }

    #[test]
    fn a_reminder_that_waits_lists_only_what_is_still_open() {
        let open = OpenIncident {
            feature: "a".to_owned(),
            reason: Reason::Psi,
            since_ms: 0,
            value: 0.5,
        };
        let mut reminder = changed("m", "a", Opened);
        reminder.body = LogBody::Notice {
            kind: NoticeKind::Reminder,
            changes: Vec::new(),
            open: vec![open],
        };
        let mut outbox = Outbox::default();
        outbox.absorb(1, &reminder, true);
        outbox.absorb(2, &changed("m", "a", Resolved), true);
        let (_, pending) = outbox.next().unwrap();
        assert_eq!(pending.notice, None);
        assert_eq!(waiting(&outbox), [("a".to_owned(), Resolved)]);
    }
}
