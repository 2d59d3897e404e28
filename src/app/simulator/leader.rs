//! One process of many that holds the evaluators, and learns from the store alone how far the
//! others have come, as the leader of replicas will from the state topic.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;

use crate::app::messages::Progress;
use crate::app::worker::restored_progress;
use crate::drift::{PaneId, SealedPane};
use crate::state::disk::Fuse;
use crate::state::{ReportLog, StateError, StateStore, UnitKey, UnitState};

use super::judge::Judge;
use super::setting::{monitor_of, monitors, name};

pub(super) struct Leader<S> {
    store: Arc<S>,
    pub fuse: Fuse,
    pub judge: Judge,
    /// How far each unit was when it was last looked at.
    seen: BTreeMap<UnitKey, UnitState>,
    began: Instant,
}

impl<S: StateStore + ReportLog + 'static> Leader<S> {
    pub(super) fn begin(store: Arc<S>, fuse: Fuse, partitions: Range<i32>) -> Result<Self> {
        let judge = Judge::begin(&store, partitions)?;
        let mut this = Self {
            store,
            fuse,
            judge,
            seen: BTreeMap::new(),
            began: Instant::now(),
        };
        for monitor in monitors() {
            for (key, state) in this.store.units(name(monitor))? {
                this.tell(&key, &state, Vec::new());
                this.seen.insert(key, state);
            }
        }
        Ok(this)
    }

    /// Tells the evaluators of every unit that has come further, with the panes it let go of
    /// meanwhile: they were durable before the unit was.
    pub(super) fn look(&mut self) -> Result<(), StateError> {
        for monitor in monitors() {
            let mut units = self.store.units(name(monitor))?;
            let seen = |key: &UnitKey| self.seen.get(key).map(|before| before.next_offset);
            units.retain(|(key, state)| seen(key) < Some(state.next_offset));
            if units.is_empty() {
                continue;
            }
            let sealed = self.store.sealed(name(monitor))?;
            for (key, state) in units {
                let before = self.seen.get(&key);
                let told = before.and_then(|before| sealed_before(&key, before));
                let news = |(k, pane): &&(UnitKey, SealedPane)| {
                    *k == key && told.is_none_or(|told| pane.id >= told)
                };
                let news = sealed.iter().filter(news).map(|(_, pane)| pane.clone());
                self.tell(&key, &state, news.collect());
                self.seen.insert(key, state);
            }
        }
        Ok(())
    }

    fn tell(&mut self, key: &UnitKey, state: &UnitState, sealed: Vec<SealedPane>) {
        self.judge.hear(Progress {
            sealed,
            ..restored_progress(key, state, monitor_of(key), self.began)
        });
    }
}

fn sealed_before(key: &UnitKey, state: &UnitState) -> Option<PaneId> {
    let panes = &monitor_of(key).definition.panes;
    state
        .greatest_ms
        .map(|greatest| panes.sealed_before(greatest))
}
