//! What the evaluators of one process hold, and that it is neither more nor less than was counted.

use std::collections::BTreeMap;

use crate::app::messages::{Progress, UnitSnapshot};
use crate::drift::{PaneCounts, PaneId};
use crate::monitor::Monitor;
use crate::state::{ReportLog, StateError, StateStore, UnitKey};

use super::script::Script;
use super::setting::{monitors, name, unit_key};

/// Sealed panes that were stored at the start, or told since.
#[derive(Default)]
pub(super) struct Told {
    panes: BTreeMap<(UnitKey, PaneId), PaneCounts>,
    sealed_before: BTreeMap<UnitKey, PaneId>,
    /// By monitor: panes before this one may have been dropped before the start.
    kept_from: BTreeMap<String, PaneId>,
}

impl Told {
    pub(super) fn begin(store: &(impl StateStore + ReportLog)) -> Result<Self, StateError> {
        let mut this = Self::default();
        for monitor in monitors() {
            let name = name(monitor);
            for (key, pane) in store.sealed(name)? {
                this.panes.insert((key, pane.id), pane.pane.counts);
            }
            if let Some(kept_from) = store.evaluator(name)?.kept_from {
                this.kept_from.insert(name.to_owned(), kept_from);
            }
        }
        Ok(this)
    }

    pub(super) fn hear(&mut self, progress: &Progress) {
        for sealed in &progress.sealed {
            let pane = (progress.key.clone(), sealed.id);
            let before = self.panes.insert(pane, sealed.pane.counts.clone());
            assert_eq!(before, None, "pane {:?} was told twice", sealed.id);
        }
        if let Some(before) = progress.sealed_before {
            self.sealed_before.insert(progress.key.clone(), before);
        }
    }

    /// What was told and what is open together are what was counted, each pane once.
    pub(super) fn check(&self, script: &Script, monitor: &'static Monitor, open: UnitSnapshot) {
        let key = unit_key(monitor, open.partition);
        let told = self.panes.range((key.clone(), PaneId(i64::MIN))..);
        let told = told.take_while(|((k, _), _)| *k == key);
        let told = told.map(|((_, id), counts)| (*id, counts.clone()));
        let durable = self.sealed_before.get(&key);
        let open_panes = open.panes.into_iter();
        let open_panes = open_panes.filter(|(id, _)| durable.is_none_or(|d| id >= d));
        let mut held = BTreeMap::new();
        for (id, counts) in told.chain(open_panes) {
            assert_eq!(held.insert(id, counts), None, "pane {id:?} is there twice");
        }
        let counted = script.recount(monitor, open.partition, open.next_offset);
        let counted = counted.panes.iter();
        let mut counted: BTreeMap<_, _> = counted
            .map(|(id, pane)| (*id, pane.counts.clone()))
            .collect();
        if let Some(kept_from) = self.kept_from.get(name(monitor)) {
            held.retain(|id, _| id >= kept_from);
            counted.retain(|id, _| id >= kept_from);
        }
        assert_eq!(held, counted);
    }
}
