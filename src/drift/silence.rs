//! Silences: for a while, and for a reason, nobody is told of a feature's incidents.
//!
//! A silence changes no figure and no incident, only who hears of it. An incident that opens under
//! one is told when the silence is over, if it is still open then; if it has ended, nobody hears of
//! either. The end of an incident that was told is told, silence or not.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::incident::{ChangeKind, IncidentChange, OpenIncident, Reason};
use super::report::Definition;

/// One silence of a monitor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Counts up from 1 within a monitor; never used again.
    pub id: u64,
    /// `None`: the whole monitor, a silent topic included.
    pub feature: Option<String>,
    /// Wall clock, included.
    pub from_ms: i64,
    /// Wall clock, not included.
    pub until_ms: i64,
    /// Why, in the words of whoever asked for it.
    pub reason: String,
    /// Who asked for it, when that was said.
    pub by: Option<String>,
}

/// The silences of one monitor; durable between restarts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SilenceBook {
    last_id: u64,
    /// Ascending by id.
    silences: Vec<Silence>,
    /// Incidents that opened under a silence or in history, and that nobody has been told of.
    untold: BTreeSet<(String, Reason)>,
}

impl Silence {
    fn covers(&self, feature: &str, now_ms: i64) -> bool {
        let named = self.feature.as_deref().is_none_or(|f| f == feature);
        named && now_ms < self.until_ms
    }
}

impl SilenceBook {
    /// What is not over, ascending by id.
    #[must_use]
    pub fn silences(&self) -> &[Silence] {
        &self.silences
    }

    /// Adds a silence and gives it its number; the number of `asked` does not count.
    pub fn add(&mut self, asked: Silence) -> Silence {
        self.last_id += 1;
        let silence = Silence {
            id: self.last_id,
            ..asked
        };
        self.silences.push(silence.clone());
        silence
    }

    /// Ends a silence before its time. `None` when there is none with this number.
    pub fn end(&mut self, id: u64) -> Option<Silence> {
        let at = self.silences.iter().position(|s| s.id == id)?;
        Some(self.silences.remove(at))
    }

    /// Takes out the silences whose time is over.
    pub fn expire(&mut self, now_ms: i64) -> Vec<Silence> {
        let silences = self.silences.iter();
        if silences.clone().all(|s| now_ms < s.until_ms) {
            return Vec::new();
        }
        let over = |s: &&Silence| s.until_ms <= now_ms;
        let over: Vec<Silence> = silences.filter(over).cloned().collect();
        self.silences.retain(|s| now_ms < s.until_ms);
        over
    }

    /// Whether nobody is told of `feature` now; `""` stands for the topic.
    #[must_use]
    pub fn covers(&self, feature: &str, now_ms: i64) -> bool {
        self.silences.iter().any(|s| s.covers(feature, now_ms))
    }

    /// Marks those of `changes` that nobody is to be told of.
    pub fn hush(&mut self, changes: &mut [IncidentChange], now_ms: i64) {
        for change in changes {
            let incident = (change.feature.clone(), change.reason);
            change.silenced = match change.kind {
                ChangeKind::Opened if self.covers(&change.feature, now_ms) => {
                    self.untold.insert(incident);
                    true
                }
                ChangeKind::Opened => false,
                ChangeKind::Resolved => self.untold.remove(&incident),
            };
        }
    }

    /// Takes in `changes` of history, of which nobody is told one by one: until a summary
    /// [releases](Self::release) it, what opened there counts as untold.
    pub fn hush_history(&mut self, changes: &[IncidentChange]) {
        for change in changes {
            let incident = (change.feature.clone(), change.reason);
            match change.kind {
                ChangeKind::Opened => self.untold.insert(incident),
                ChangeKind::Resolved => self.untold.remove(&incident),
            };
        }
    }

    /// Those of `open` that people may be told of now.
    #[must_use]
    pub fn audible(&self, open: Vec<OpenIncident>, now_ms: i64) -> Vec<OpenIncident> {
        let audible = |incident: &OpenIncident| !self.covers(&incident.feature, now_ms);
        open.into_iter().filter(audible).collect()
    }

    /// The opening of those of `open` that nobody has been told of although no silence covers them
    /// any more. From now on they count as told.
    pub fn release(&mut self, open: &[OpenIncident], now_ms: i64) -> Vec<IncidentChange> {
        let mut due = Vec::new();
        for incident in open {
            let name = (incident.feature.clone(), incident.reason);
            if !self.covers(&incident.feature, now_ms) && self.untold.remove(&name) {
                // The figure of a silent topic is the time since; it has passed.
                let passed_s = match incident.reason {
                    Reason::Stale => (now_ms - incident.since_ms).max(0) as f64 / 1000.0,
                    _ => 0.0,
                };
                due.push(IncidentChange {
                    feature: incident.feature.clone(),
                    reason: incident.reason,
                    kind: ChangeKind::Opened,
                    value: incident.value + passed_s,
                    previous: None,
                    since_ms: incident.since_ms,
                    silenced: false,
                });
            }
        }
        due
    }

    /// Forgets incidents of features that are watched no more.
    pub fn retain(&mut self, definition: &Definition) {
        self.untold
            .retain(|(name, _)| name.is_empty() || definition.feature(name).is_some());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn silence(feature: Option<&str>, from_ms: i64, until_ms: i64) -> Silence {
        Silence {
            id: 0,
            feature: feature.map(str::to_owned),
            from_ms,
            until_ms,
            reason: "a release".to_owned(),
            by: None,
        }
    }

    fn change(feature: &str, kind: ChangeKind) -> IncidentChange {
        IncidentChange {
            feature: feature.to_owned(),
            reason: Reason::Psi,
            kind,
            value: 0.5,
            previous: None,
            since_ms: 0,
            silenced: false,
        }
    }

    fn open(feature: &str) -> OpenIncident {
        OpenIncident {
            feature: feature.to_owned(),
            reason: Reason::Psi,
            since_ms: 0,
            value: 0.5,
        }
    }

    /// Whether a change is told at that time.
    fn told(book: &mut SilenceBook, feature: &str, kind: ChangeKind, now_ms: i64) -> bool {
        let mut changes = [change(feature, kind)];
        book.hush(&mut changes, now_ms);
        !changes[0].silenced
    }

    use ChangeKind::{Opened, Resolved};

    #[test]
    fn a_silence_covers_its_feature_up_to_its_end_and_not_at_it() {
        let mut book = SilenceBook::default();
        book.add(silence(Some("a"), 0, 100));
        assert!(book.covers("a", 99) && !book.covers("a", 100) && !book.covers("b", 50));
        book.add(silence(None, 0, 50));
        assert!(book.covers("b", 49) && book.covers("", 49) && !book.covers("", 50));
    }

    #[test]
    fn what_opens_and_ends_under_a_silence_is_told_by_nobody() {
        let mut book = SilenceBook::default();
        book.add(silence(None, 0, 100));
        assert!(!told(&mut book, "a", Opened, 10));
        assert!(!told(&mut book, "a", Resolved, 20));
        assert!(told(&mut book, "a", Opened, 100));
    }

    #[test]
    fn the_end_of_what_was_told_is_told_under_a_silence_too() {
        let mut book = SilenceBook::default();
        assert!(told(&mut book, "a", Opened, 0));
        book.add(silence(Some("a"), 5, 100));
        assert!(told(&mut book, "a", Resolved, 10));
    }

    #[test]
    fn what_is_still_open_after_a_silence_is_told_once() {
        let mut book = SilenceBook::default();
        let first = book.add(silence(Some("a"), 0, 100));
        assert!(!told(&mut book, "a", Opened, 10));
        assert_eq!(book.release(&[open("a"), open("b")], 99), []);
        assert_eq!(book.end(first.id), Some(first.clone()));
        assert_eq!(book.end(first.id), None);
        let due = IncidentChange {
            previous: None,
            ..change("a", Opened)
        };
        assert_eq!(book.release(&[open("a"), open("b")], 20), [due]);
        assert_eq!(book.release(&[open("a"), open("b")], 20), []);
        assert!(told(&mut book, "a", Resolved, 30));
    }

    #[test]
    fn numbers_are_never_used_again() {
        let mut book = SilenceBook::default();
        let first = book.add(silence(None, 0, 1));
        assert_eq!(book.expire(1), [first]);
        assert_eq!(book.add(silence(None, 1, 2)).id, 2);
    }

    proptest! {
        /// However silences come and go, the messages about an incident alternate: it is told
        /// before its end is, and neither twice.
        #[test]
        fn an_incident_is_told_before_its_end_is(steps in proptest::collection::vec((0u8..4, 1i64..20), 1..60)) {
            let mut book = SilenceBook::default();
            let (mut now, mut is_open, mut known) = (0, false, false);
            for (step, span) in steps {
                now += span;
                match step {
                    0 => { book.add(silence(Some("a"), now, now + 3 * span)); }
                    1 if !is_open => {
                        is_open = true;
                        known = told(&mut book, "a", Opened, now);
                    }
                    2 if is_open => {
                        is_open = false;
                        prop_assert_eq!(told(&mut book, "a", Resolved, now), known);
                        known = false;
                    }
                    _ => {
                        book.expire(now);
                        let standing = if is_open { vec![open("a")] } else { vec![] };
                        if !book.release(&standing, now).is_empty() {
                            prop_assert!(!known);
                            known = true;
                        }
                        prop_assert!(known || !is_open || book.covers("a", now));
                    }
                }
            }
        }
    }
}
