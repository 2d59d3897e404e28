//! The consuming loop: one thread owns a consumer, its partitions and all that is counted of them.
//!
//! No channel, lock or clock is used per record. A checkpoint is handed over and the loop goes on;
//! one is in flight at a time, and when that one does not come back, the loop stops to take
//! offsets rather than let sealed panes pile up. See [`holding`] for what is held and who waits.

mod checkpointing;
mod holding;
mod progress;
mod snapshots;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use crate::config::Decoder;
use crate::drift::{PaneId, SealedPane};
use crate::health::{Health, Heartbeat};
use crate::metrics::{Metrics, MonitorMetrics, Summary};
use crate::monitor::Monitor;
use crate::source::{Drained, Record, Source, SourceError, SourceEvent, TopicPartition};
use crate::state::UnitKey;

use super::clock::now_ms;
use super::messages::{Assignment, Checkpoint, Positions, SnapshotRequest, WorkerCommand};
use super::pausing::Frontier;
use super::unit::{Counter, Unit};
use holding::Holding;
pub(crate) use progress::restored_progress;

const BATCH: usize = 4096;
const WAIT: Duration = Duration::from_millis(20);
const LAST_CHECKPOINT: Duration = Duration::from_secs(7);
/// How long a partition that goes away may wait for its counts to be durable.
const RELEASE: Duration = Duration::from_secs(5);

/// One monitor as the workers share it.
#[derive(Clone)]
pub(crate) struct Watched {
    pub monitor: Arc<Monitor>,
    pub metrics: Arc<MonitorMetrics>,
    pub frontier: Arc<Frontier>,
}

pub(crate) struct Worker<S> {
    pub id: usize,
    pub source: S,
    pub watched: Vec<Watched>,
    pub commands: Receiver<WorkerCommand>,
    /// Takes a checkpoint to make it durable, sooner or later; false when nobody does.
    pub hand_over: Box<dyn Fn(Checkpoint) -> bool + Send>,
    pub positions: Positions,
    pub metrics: Arc<Metrics>,
    pub checkpoint_interval: Duration,
    pub heartbeat: Heartbeat,
    pub health: Health,
    pub log_payloads: bool,
    pub decoder: Decoder,
    /// Told when an offset fell out of the log, so that the partitions are looked at again.
    pub out_of_range: Box<dyn Fn(Vec<TopicPartition>) + Send>,
}

struct Partition {
    id: TopicPartition,
    units: Vec<Unit>,
    /// When a record last arrived, or when it was assigned.
    arrived: Instant,
    assigned: Instant,
    assigned_offset: i64,
    /// It waits for slower ones.
    paused: bool,
    /// The last attempt to pause or resume it failed.
    stuck: bool,
}

pub(super) struct Loop<S> {
    worker: Worker<S>,
    counters: Vec<Counter>,
    partitions: Vec<Partition>,
    in_flight: Option<Arc<Vec<(UnitKey, SealedPane)>>>,
    /// Durable offsets to publish when the checkpoint in flight comes back.
    durable: Vec<(TopicPartition, i64)>,
    flushes: Vec<SnapshotRequest>,
    /// Commands that came while the loop waited for a checkpoint.
    postponed: VecDeque<WorkerCommand>,
    checkpointed_at: Instant,
    positioned_at: Instant,
    processing: Summary,
    /// The last trouble that was told, until records come again.
    complained: Option<String>,
    holding: Holding,
    stopping: bool,
}

impl<S: Source + 'static> Worker<S> {
    /// Runs until told to stop; says whether everything counted is durable then.
    pub(crate) fn run(self) -> bool {
        let mut this = Loop::new(self);
        while !this.stopping {
            this.turn();
        }
        let durable = this.finish();
        this.let_go();
        durable
    }
}

impl<S: Source + 'static> Loop<S> {
    pub(super) fn new(worker: Worker<S>) -> Self {
        let watched = worker.watched.iter();
        let now = Instant::now();
        Self {
            counters: watched
                .map(|w| Counter::new(Arc::clone(&w.monitor), worker.log_payloads, worker.decoder))
                .collect(),
            processing: worker.metrics.record_processing(),
            holding: Holding::new(&worker.watched),
            worker,
            partitions: Vec::new(),
            in_flight: None,
            durable: Vec::new(),
            flushes: Vec::new(),
            postponed: VecDeque::new(),
            checkpointed_at: now,
            positioned_at: now,
            complained: None,
            stopping: false,
        }
    }

    pub(super) fn turn(&mut self) {
        self.serve_commands();
        self.watch_the_store();
        if self.is_held_up() {
            self.worker.heartbeat.beat();
            self.publish_positions();
            std::thread::sleep(WAIT);
            return;
        }
        let most = self.holding.batch();
        let idle = match self.consume(most) {
            Ok(drained) => !drained.more,
            Err(error) => {
                self.complain(&error);
                true
            }
        };
        self.keep_in_step();
        self.publish_positions();
        self.checkpoint_when_due(idle);
    }

    /// Takes up to `most` records. The loop has turned when it took some, or when there were none:
    /// see the watchdog.
    fn consume(&mut self, most: usize) -> Result<Drained, SourceError> {
        let began = Instant::now();
        let (partitions, counters) = (&mut self.partitions, &mut self.counters);
        let closed: Vec<PaneId> = self
            .worker
            .watched
            .iter()
            .map(|w| w.frontier.closed_through())
            .collect();
        let mut after_close = vec![0; closed.len()];
        let mut first_at = None;
        let mut handed_over = 0;
        let drained = self.worker.source.drain(WAIT, most, &mut |run| {
            let now = *first_at.get_or_insert_with(Instant::now);
            let is = |p: &&mut Partition| {
                let of = |r: &Record<'_>| p.id.partition == r.partition && p.id.topic == r.topic;
                run.first().is_some_and(of)
            };
            let Some(partition) = partitions.iter_mut().find(is) else {
                return;
            };
            partition.arrived = now;
            handed_over += run.len();
            for unit in &mut partition.units {
                let i = unit.monitor;
                after_close[i] += unit.take(run, &mut counters[i], closed[i], now);
            }
        });
        if first_at.is_some() || !self.worker.source.has_queued() {
            self.worker.heartbeat.beat();
        }
        if let Some(first_at) = first_at {
            if self.complained.take().is_some() {
                self.worker.health.release(&self.latch());
            }
            let spent = first_at.max(began).elapsed();
            self.processed(handed_over, spent);
            let now = now_ms();
            for ((counter, watched), after) in self
                .counters
                .iter_mut()
                .zip(&self.worker.watched)
                .zip(after_close)
            {
                counter.tally.flush(&watched.metrics, now);
                watched.metrics.add_after_close(after);
            }
        }
        drained
    }

    /// Spreads the time of a batch evenly over its records: a clock reading per record would cost
    /// more than some of them.
    fn processed(&self, records: usize, spent: Duration) {
        if records > 0 {
            let each = spent / u32::try_from(records).unwrap_or(u32::MAX);
            self.processing.record_many([(each, records as u64)]);
        }
    }

    fn complain(&mut self, error: &SourceError) {
        match error {
            SourceError::OutOfRange => {
                tracing::error!("{error}: looking at the start and end of each partition again");
                let all = self.partitions.iter().map(|p| p.id.clone()).collect();
                (self.worker.out_of_range)(all);
            }
            SourceError::Transient(words) | SourceError::Refused(words)
                if self.complained.as_ref() == Some(words) => {}
            SourceError::Transient(words) => {
                tracing::warn!("{words}; going on");
                self.complained = Some(words.clone());
            }
            SourceError::Refused(words) => {
                tracing::error!("{words}");
                self.worker.health.hold(&self.latch(), words.clone());
                self.complained = Some(words.clone());
            }
        }
    }

    /// Held while Kafka refuses to hand over records, until one comes.
    fn latch(&self) -> String {
        format!("worker {}", self.worker.id)
    }

    pub(super) fn serve_commands(&mut self) {
        loop {
            if let Some(command) = self.postponed.pop_front() {
                self.obey(command);
                continue;
            }
            match self.worker.commands.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Disconnected) => {
                    self.stopping = true;
                    return;
                }
            }
        }
    }

    fn obey(&mut self, command: WorkerCommand) {
        match command {
            WorkerCommand::Source(SourceEvent::Assigned(assignments)) => {
                for assignment in assignments {
                    self.begin(assignment);
                }
            }
            WorkerCommand::Source(SourceEvent::Revoked(gone)) => {
                if !self.make_durable(RELEASE) {
                    tracing::warn!("partitions were taken away before their counts were durable");
                }
                gone.iter().for_each(|partition| self.end(partition));
            }
            WorkerCommand::Source(SourceEvent::Lost(gone)) => {
                gone.iter().for_each(|partition| self.end(partition));
            }
            WorkerCommand::Release { partition, done } => {
                // An assigner that no longer waits asks again, and it is read on until then.
                if self.make_durable(RELEASE) && done.send(()).is_ok() {
                    self.end(&partition);
                }
            }
            WorkerCommand::Snapshot(request) if request.durable => self.flushes.push(request),
            WorkerCommand::Snapshot(request) => {
                let units = self.snapshot(&request.monitor);
                // An evaluator that no longer waits needs no answer.
                let _ = request.reply.send(units);
            }
            WorkerCommand::Checkpointed => self.checkpointed(),
            WorkerCommand::Stop => self.stopping = true,
        }
    }

    fn begin(&mut self, assignment: Assignment) {
        let Assignment {
            partition,
            offset,
            units,
            at,
        } = assignment;
        self.end(&partition);
        if let Err(error) = self.worker.source.assign(&partition, offset) {
            tracing::error!(%partition, offset, "cannot be assigned, trying again: {error}");
            (self.worker.out_of_range)(vec![partition]);
            return;
        }
        let index = |name: &str| {
            let named = |w: &Watched| w.monitor.definition.monitor == name;
            self.worker.watched.iter().position(named)
        };
        let units = units
            .into_iter()
            .filter_map(|(key, state)| {
                Some(Unit::restore(key.clone(), index(&key.monitor)?, state))
            })
            .collect();
        self.worker.positions.update(&partition, |p| {
            p.next = offset;
            p.durable = offset;
        });
        self.partitions.push(Partition {
            id: partition,
            units,
            arrived: at,
            assigned: at,
            assigned_offset: offset,
            paused: false,
            stuck: false,
        });
    }

    fn end(&mut self, partition: &TopicPartition) {
        self.let_go_on(partition);
        let before = self.partitions.len();
        self.partitions.retain(|p| p.id != *partition);
        if self.partitions.len() < before
            && let Err(error) = self.worker.source.unassign(partition)
        {
            tracing::warn!(%partition, "cannot be unassigned: {error}");
        }
    }

    fn publish_positions(&mut self) {
        if self.positioned_at.elapsed() < Duration::from_millis(200) {
            return;
        }
        self.positioned_at = Instant::now();
        let held_up = self.is_held_up();
        for partition in &self.partitions {
            let next = self.position(partition);
            let paused = partition.paused || held_up;
            self.worker.positions.update(&partition.id, |p| {
                p.next = next;
                p.paused = paused;
            });
        }
        for partition in &self.partitions {
            for unit in &partition.units {
                let watched = &self.worker.watched[unit.monitor];
                let name = &watched.monitor.definition.monitor;
                let UnitKey {
                    monitor: _,
                    topic,
                    partition,
                } = &unit.key;
                let metrics = &self.worker.metrics;
                metrics.account(name, topic, *partition, &unit.account());
                if let Some(ms) = unit.panes().greatest_ms() {
                    metrics.watermark(name, topic, *partition, ms);
                }
            }
        }
    }

    fn position(&self, partition: &Partition) -> i64 {
        self.worker
            .source
            .position(&partition.id)
            .unwrap_or(0)
            .max(partition.assigned_offset)
    }

    /// Makes everything durable that was counted; false when that takes too long.
    pub(super) fn finish(&mut self) -> bool {
        let durable = self.make_durable(LAST_CHECKPOINT);
        if !durable {
            tracing::error!(
                "stopped before the last checkpoint was durable; the next start reads those records again"
            );
        }
        durable
    }

    /// Lets the consumer go, on a thread of its own because that can hang with a dead broker
    /// (rust-rdkafka #509).
    fn let_go(self) {
        let source = self.worker.source;
        std::thread::spawn(move || drop(source));
    }
}

#[cfg(test)]
mod tests;
