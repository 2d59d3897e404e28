//! When counts are handed over to be made durable, and what is waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::progress::progress_of;
use super::{Loop, Unit};
use crate::app::messages::{Checkpoint, WorkerCommand};
use crate::source::Source;

impl<S: Source + 'static> Loop<S> {
    /// A checkpoint is due when its interval has passed, when somebody waits for durable counts,
    /// and, once there is nothing more to read, as soon as a pane is sealed.
    pub(super) fn checkpoint_when_due(&mut self, idle: bool) {
        if self.in_flight.is_some() {
            return;
        }
        let waiting = self.sealed_waiting();
        let due = !self.flushes.is_empty()
            || (idle && !waiting.is_none())
            || waiting.is_much()
            || self.checkpointed_at.elapsed() >= self.worker.checkpoint_interval;
        if due {
            self.checkpoint();
        }
    }

    fn checkpoint(&mut self) {
        self.checkpointed_at = Instant::now();
        let mut sealed = Vec::new();
        let mut units = Vec::new();
        let mut progress = Vec::new();
        self.durable.clear();
        for partition in &mut self.partitions {
            let durable = partition.units.iter().map(Unit::next_offset).min();
            self.durable
                .extend(durable.map(|offset| (partition.id.clone(), offset)));
            for unit in partition.units.iter_mut().filter(|u| u.dirty) {
                let watched = &self.worker.watched[unit.monitor];
                progress.push(progress_of(
                    unit,
                    watched,
                    (partition.assigned, partition.arrived),
                ));
                units.push((unit.key.clone(), unit.state()));
                let taken = std::mem::take(&mut unit.sealed);
                sealed.extend(taken.into_iter().map(|s| (unit.key.clone(), s)));
                unit.dirty = false;
            }
        }
        if units.is_empty() && self.flushes.is_empty() {
            return;
        }
        let sealed = Arc::new(sealed);
        self.in_flight = Some(Arc::clone(&sealed));
        let snapshots: Vec<(oneshot::Sender<_>, _)> = std::mem::take(&mut self.flushes)
            .into_iter()
            .map(|request| {
                let units = self.snapshot(&request.monitor);
                (request.reply, units)
            })
            .collect();
        let checkpoint = Checkpoint {
            worker: self.worker.id,
            sealed,
            units,
            progress,
            snapshots,
        };
        if !(self.worker.hand_over)(checkpoint) {
            self.stopping = true;
        }
    }

    pub(super) fn checkpointed(&mut self) {
        self.in_flight = None;
        for (partition, offset) in self.durable.drain(..) {
            self.worker
                .positions
                .update(&partition, |p| p.durable = offset);
        }
    }

    /// Waits until everything counted is durable; false when that takes longer than `limit`.
    pub(super) fn make_durable(&mut self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        self.await_checkpoint(deadline);
        if self.in_flight.is_none() {
            self.checkpoint();
            self.await_checkpoint(deadline);
        }
        self.in_flight.is_none()
    }

    pub(super) fn await_checkpoint(&mut self, deadline: Instant) {
        while self.in_flight.is_some() {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.worker.commands.recv_timeout(left) {
                Ok(WorkerCommand::Checkpointed) => self.checkpointed(),
                Ok(command) => {
                    let stop = matches!(command, WorkerCommand::Stop);
                    self.postponed.push_back(command);
                    if stop {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }
}
