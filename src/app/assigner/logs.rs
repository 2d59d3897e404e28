//! Logs that are not the ones that were counted: noticed by the ids of their topics, set aside or
//! stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::super::clock::now_ms;
use super::super::messages::EvaluatorMessage;
use super::{Assigner, IDS, Stored, Topic, is_of, partition_of};
use crate::config::OnLogChange;
use crate::drift::PaneId;
use crate::monitor::Monitor;
use crate::state::{UnitKey, UnitState};

impl Assigner {
    /// Archives what was counted of a log that is another one now, and takes it out of the windows
    /// that are still to close: they are marked by a gap in `fresh`, which takes its place.
    pub(super) fn start_over(
        &self,
        monitor: &Monitor,
        key: &UnitKey,
        fresh: &mut UnitState,
    ) -> Result<()> {
        let sealed = self.store.sealed(&key.monitor)?.into_iter();
        let sealed: Vec<_> = sealed.filter(|(k, _)| k == key).map(|(_, p)| p).collect();
        let units = self.store.units(&key.monitor)?;
        let mut panes: BTreeSet<PaneId> = sealed.iter().map(|s| s.id).collect();
        if let Some((_, old)) = units.iter().find(|(k, _)| k == key) {
            panes.extend(old.open.keys());
            fresh.gaps = old.gaps.clone();
        }
        if let (Some(first), Some(last)) = (panes.first(), panes.last()) {
            let spec = &monitor.definition.panes;
            let at_most = now_ms().saturating_add(spec.max_future_skew_ms);
            let at_least = spec.end_ms(*last) - 1;
            fresh.gaps.open(spec.start_ms(*first), at_least, at_most);
        }
        self.store.set_aside(key, fresh, now_ms())?;
        let forget = EvaluatorMessage::Forget {
            partition: key.partition,
            sealed,
            gaps: fresh.gaps.clone(),
        };
        self.tell(monitor, forget);
        Ok(())
    }

    /// What was counted of partitions that the topic, of which `stored` is, no longer has: it was made
    /// anew, with fewer.
    pub(super) fn retire(
        &self,
        name: &str,
        topic: &mut Topic,
        monitors: &[Arc<Monitor>],
        stored: &Stored,
    ) -> Result<()> {
        for monitor in monitors {
            for (key, state) in stored.iter().filter(|(key, _)| is_of(monitor, key)) {
                let id = partition_of(&key.topic, key.partition);
                let is_there = topic.partitions.contains(&key.partition)
                    || topic.stopped.contains(&key.partition);
                if is_there || state.next_offset == state.began_at {
                    continue;
                }
                let words = format!(
                    "{id} is no more, though {} records of it were counted: the topic was made anew with {} partitions",
                    state.outcomes.iter().sum::<u64>(),
                    topic.partitions.len()
                );
                match monitor.config.on_log_change {
                    OnLogChange::Reset => {
                        self.metrics.log_changed(name);
                        tracing::warn!(
                            monitor = key.monitor,
                            "{words}; starting over as on_log_change says, the old counts are set aside"
                        );
                        self.start_over(monitor, key, &mut UnitState::fresh(0, None))?;
                    }
                    OnLogChange::Stop => {
                        let words = format!(
                            "{words}; set on_log_change = \"reset\" or start with --reset-state"
                        );
                        self.stop(topic, &id, "log_changed", words);
                    }
                }
            }
        }
        Ok(())
    }

    /// The ids of these topics now; those that cannot be told are left out, and then the last
    /// record that was counted has to tell its log.
    pub(super) fn log_ids(
        &mut self,
        topics: &[&str],
        patience: Duration,
    ) -> BTreeMap<String, String> {
        match self.control.topic_ids(topics, patience) {
            Ok(ids) => {
                self.ids_missed = false;
                ids
            }
            Err(error) => {
                if !std::mem::replace(&mut self.ids_missed, true) {
                    tracing::warn!(
                        "{error:#}; until they are told, a topic that is made anew is known by its last record only"
                    );
                }
                BTreeMap::new()
            }
        }
    }

    /// Takes the partitions of topics that were made anew, or whose id was not known when they were
    /// assigned, from their workers, so that it is decided anew about them. What was counted of
    /// another log since the last checkpoint is dropped by the checkpointer.
    pub(super) fn notice_other_logs(&mut self, topics: &mut BTreeMap<String, Topic>) {
        let read = topics
            .iter()
            .filter(|(_, topic)| !topic.assigned.is_empty());
        let names: Vec<&str> = read.map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            return;
        }
        for (name, now) in self.log_ids(&names, IDS) {
            let Some(topic) = topics.get_mut(&name) else {
                continue;
            };
            match &topic.log_id {
                Some(before) if *before == now => continue,
                Some(before) if !topic.leaving => tracing::error!(
                    "topic {name:?} was deleted and made anew (its id was {before} and is {now}); its partitions are looked at again"
                ),
                _ => {}
            }
            topic.leaving = true;
            topic.caught_up = false;
            topic.ends.clear();
            let assigned: Vec<_> = topic.assigned.iter().map(|(p, w)| (*p, *w)).collect();
            for (partition, worker) in assigned {
                // A worker that cannot write what it has is asked again at the next look.
                if !self.released(worker, &partition_of(&name, partition)) {
                    break;
                }
                topic.assigned.remove(&partition);
            }
            topic.leaving = !topic.assigned.is_empty();
        }
    }
}
