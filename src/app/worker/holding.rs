//! What the loop holds in memory, and what it does when that becomes much: it pauses partitions
//! that are too far ahead, and takes no records while a checkpoint does not come back.

use std::time::Duration;

use super::{BATCH, Loop, Watched};
use crate::app::pausing::{Room, Stand, is_to_wait, pane_bytes};
use crate::source::{Source, TopicPartition};

/// Sealed panes that may wait for one checkpoint before the loop takes no more records: by number,
/// for the store's sake, and by bytes, for the memory's.
const MOST_PANES: usize = 10_000;
const MOST_BYTES: usize = 64 << 20;
/// A checkpoint is asked for when this part of it waits.
const MUCH: usize = 4;
/// In the worst case each record of a batch makes a pane of its own; all of them, over all
/// monitors, take no more than this.
const BATCH_BYTES: usize = 32 << 20;
const LEAST_BATCH: usize = 16;
/// A checkpoint that takes longer is told.
const SLOW: Duration = Duration::from_secs(30);

/// The bounds, by monitor where they differ.
pub(super) struct Holding {
    rooms: Vec<Room>,
    pane_bytes: Vec<usize>,
    batch: usize,
    /// What was told of a slow checkpoint.
    told: Option<bool>,
}

impl Holding {
    pub(super) fn new(watched: &[Watched]) -> Self {
        let monitors = watched.len();
        let pane_bytes: Vec<usize> = watched.iter().map(|w| pane_bytes(&w.monitor)).collect();
        let each_record = pane_bytes.iter().sum::<usize>().max(1);
        Self {
            rooms: watched
                .iter()
                .map(|w| Room::new(&w.monitor, monitors))
                .collect(),
            pane_bytes,
            batch: (BATCH_BYTES / each_record).clamp(LEAST_BATCH, BATCH),
            told: None,
        }
    }

    /// Records to take in one turn.
    pub(super) fn batch(&self) -> usize {
        self.batch
    }
}

/// Sealed panes that wait for a checkpoint.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Waiting {
    panes: usize,
    bytes: usize,
}

impl Waiting {
    pub(super) fn is_none(self) -> bool {
        self.panes == 0
    }

    pub(super) fn is_much(self) -> bool {
        self.panes >= MOST_PANES / MUCH || self.bytes >= MOST_BYTES / MUCH
    }

    fn is_too_much(self) -> bool {
        self.panes >= MOST_PANES || self.bytes >= MOST_BYTES
    }
}

impl<S: Source + 'static> Loop<S> {
    pub(super) fn sealed_waiting(&self) -> Waiting {
        let mut waiting = Waiting::default();
        for unit in self.partitions.iter().flat_map(|p| &p.units) {
            waiting.panes += unit.sealed.len();
            waiting.bytes += unit.sealed.len() * self.holding.pane_bytes[unit.monitor];
        }
        waiting
    }

    /// True while no more records are taken, because the store is slow, full or gone.
    pub(super) fn is_held_up(&self) -> bool {
        self.in_flight.is_some() && self.sealed_waiting().is_too_much()
    }

    /// Says when a checkpoint takes long, whether or not the store has given an error.
    pub(super) fn watch_the_store(&mut self) {
        let slow = self.in_flight.is_some() && self.checkpointed_at.elapsed() >= SLOW;
        let now = slow.then(|| self.is_held_up());
        if now == self.holding.told {
            return;
        }
        self.holding.told = now;
        let latch = format!("checkpoint of loop {}", self.worker.id);
        let Some(held_up) = now else {
            self.worker.health.release(&latch);
            tracing::info!("the checkpoint that took long is durable");
            return;
        };
        let seconds = SLOW.as_secs();
        let words = match held_up {
            false => format!("a checkpoint takes more than {seconds} s; counting goes on"),
            true => format!(
                "a checkpoint takes more than {seconds} s, so no more records are read: what is counted has to be durable first"
            ),
        };
        tracing::warn!("{words}");
        self.worker.health.hold(&latch, words);
    }

    /// Pauses the partitions that are too far ahead, and lets go on those that no longer are.
    pub(super) fn keep_in_step(&mut self) {
        for partition in &mut self.partitions {
            let stands = partition.units.iter().map(|unit| {
                let watched = &self.worker.watched[unit.monitor];
                let spec = &watched.monitor.definition.panes;
                let room = self.holding.rooms[unit.monitor];
                let before = unit.panes().sealed_before(spec);
                Stand::of(before, &watched.frontier, room, partition.paused)
            });
            let wait = is_to_wait(stands);
            if wait == partition.paused {
                continue;
            }
            let source = &mut self.worker.source;
            let done = match wait {
                true => source.pause(&partition.id),
                false => source.resume(&partition.id),
            };
            match done {
                Ok(()) => {
                    tracing::debug!(partition = %partition.id, paused = wait, "keeping in step");
                    partition.paused = wait;
                    partition.stuck = false;
                }
                // Tried again at each turn, told once.
                Err(_) if std::mem::replace(&mut partition.stuck, true) => {}
                Err(error) => {
                    tracing::warn!(partition = %partition.id, "cannot be paused or resumed: {error}");
                }
            }
        }
    }

    /// Undoes a pause before a partition goes away: the client would remember it.
    pub(super) fn let_go_on(&mut self, partition: &TopicPartition) {
        let paused = self
            .partitions
            .iter_mut()
            .find(|p| p.id == *partition && p.paused);
        if let Some(paused) = paused {
            paused.paused = false;
            // What cannot be resumed cannot be read either, and that is told.
            let _ = self.worker.source.resume(partition);
        }
        self.worker
            .positions
            .update(partition, |p| p.paused = false);
    }
}
