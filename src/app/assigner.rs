//! Finds the partitions of the watched topics, decides where each is read from, and hands them to
//! the workers. Asks the broker everything the consuming loop must not wait for.
//!
//! Start offsets come from stored state, never from the consumer group; group offsets are committed
//! for lag tools, with words that name this process.

mod logs;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::health::Health;
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::source::control::Control;
use crate::source::trouble::Trouble;
use crate::source::{SourceEvent, TopicPartition};
use crate::state::{StateStore, UnitKey, UnitState};

use super::messages::{Assignment, EvaluatorMessage, Positions, WorkerCommand};
use super::neighbour::Neighbour;
use super::start::{self, Begun};
use super::worker::restored_progress;

/// How often logs are looked at while catching up, and afterwards.
const SOON: Duration = Duration::from_millis(500);
const LATER: Duration = Duration::from_secs(5);
/// How long a worker may take to make a partition's counts durable.
const RELEASE: Duration = Duration::from_secs(6);
/// How often topics are looked at for new partitions.
const DISCOVERY: Duration = Duration::from_secs(30);
/// How long the ids of topics are waited for.
pub(crate) const IDS: Duration = Duration::from_secs(1);
/// The same when a partition is assigned, which a client's first connection may hold up.
const FIRST_IDS: Duration = Duration::from_secs(5);

pub(crate) enum AssignerCommand {
    /// Where these logs end now.
    Ends {
        topic: String,
        partitions: Vec<i32>,
        reply: oneshot::Sender<Option<BTreeMap<i32, i64>>>,
    },
    /// An offset of one of these fell out of its log: decide anew where they are read from.
    Again(Vec<TopicPartition>),
    /// A topic is not the one that was counted: look at them now.
    Look,
    Stop,
}

pub(crate) struct Assigner {
    pub control: Arc<Control>,
    pub commands: Receiver<AssignerCommand>,
    pub monitors: Vec<Arc<Monitor>>,
    pub workers: Vec<Sender<WorkerCommand>>,
    pub evaluators: HashMap<String, UnboundedSender<EvaluatorMessage>>,
    pub store: Arc<dyn StateStore>,
    pub positions: Positions,
    pub health: Health,
    pub metrics: Arc<Metrics>,
    pub neighbour: Neighbour,
    /// Partitions to decide about anew; none at first.
    pub again: BTreeSet<TopicPartition>,
    /// The ids of topics could not be had when they were last asked for.
    pub ids_missed: bool,
}

/// What is known of one topic.
#[derive(Default)]
struct Topic {
    /// All it has.
    partitions: Vec<i32>,
    /// Which worker reads each partition.
    assigned: BTreeMap<i32, usize>,
    stopped: BTreeSet<i32>,
    /// Its id, where brokers have one; of all that are assigned.
    log_id: Option<String>,
    /// Where each log ended when it was last looked at.
    ends: BTreeMap<i32, i64>,
    caught_up: bool,
    /// It is another one now, and its partitions are being taken from their workers.
    leaving: bool,
    /// Monitors that never counted anything of it, so `start` decides where they begin.
    newcomers: Option<BTreeSet<String>>,
}

impl Topic {
    /// Partitions that are neither read nor stopped.
    fn waiting(&self) -> Vec<i32> {
        let known = |p: &&i32| self.assigned.contains_key(*p) || self.stopped.contains(*p);
        let waiting = self.partitions.iter().filter(|p| !known(p));
        waiting.copied().collect()
    }

    fn is_complete(&self) -> bool {
        !self.partitions.is_empty() && self.waiting().is_empty()
    }
}

impl Assigner {
    /// Runs until told to stop.
    pub(crate) fn run(mut self) {
        let mut topics = self.topics();
        let mut discovered = Instant::now() - DISCOVERY;
        let mut looked = Instant::now() - LATER;
        loop {
            if !self.again.is_empty() {
                self.begin_again(&mut topics);
            }
            let complete = topics.values().all(Topic::is_complete);
            if discovered.elapsed() >= if complete { DISCOVERY } else { SOON } {
                self.discover(&mut topics);
                discovered = Instant::now();
            }
            let caught_up = topics.values().all(|t| t.caught_up);
            if looked.elapsed() >= if caught_up { LATER } else { SOON } {
                self.notice_other_logs(&mut topics);
                self.look(&mut topics);
                looked = Instant::now();
            }
            self.neighbour
                .beat(&self.control, &self.positions, &self.health);
            match self.commands.recv_timeout(SOON) {
                Ok(AssignerCommand::Ends {
                    topic,
                    partitions,
                    reply,
                }) => {
                    // An evaluator that no longer waits needs no answer.
                    let _ = reply.send(self.ends(&topic, &partitions));
                }
                Ok(AssignerCommand::Again(partitions)) => {
                    self.again.extend(partitions);
                }
                Ok(AssignerCommand::Look) => self.notice_other_logs(&mut topics),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(AssignerCommand::Stop) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.neighbour.leave(&self.control, &self.positions);
        // Dropping a client can hang with a dead broker (rust-rdkafka #509).
        std::thread::spawn(move || drop(self.control));
    }

    fn topics(&self) -> BTreeMap<String, Topic> {
        let names = self.monitors.iter().map(|m| m.config.topic.clone());
        names.map(|name| (name, Topic::default())).collect()
    }

    fn ends(&self, topic: &str, partitions: &[i32]) -> Option<BTreeMap<i32, i64>> {
        let end = |p: &i32| {
            let partition = partition_of(topic, *p);
            self.control
                .span(&partition)
                .ok()
                .map(|span| (*p, span.end))
        };
        partitions.iter().map(end).collect()
    }

    fn discover(&mut self, topics: &mut BTreeMap<String, Topic>) {
        for (name, topic) in topics.iter_mut() {
            let latch = format!("topic {name}");
            match self.control.partitions(name) {
                Ok(Some(partitions)) => {
                    self.health.release("broker");
                    self.health.release(&latch);
                    self.assign_new(name, topic, &partitions);
                }
                Ok(None) => {
                    self.health.release("broker");
                    let words = format!("topic {name:?} does not exist; waiting for it");
                    self.say_once(&latch, &words);
                }
                Err(error) => match error.downcast_ref() {
                    Some(trouble @ Trouble::Forbidden(_)) => {
                        self.say_once(&latch, &trouble.to_string());
                    }
                    _ => {
                        let words = format!("the Kafka brokers do not answer: {error:#}");
                        self.say_once("broker", &words);
                    }
                },
            }
        }
        if topics.values().all(Topic::is_complete) {
            self.health.release("partitions");
        }
        let count = |of: fn(&Topic) -> usize| topics.values().map(of).sum();
        self.metrics.partitions(&[
            ("assigned", count(|t| t.assigned.len())),
            ("stopped", count(|t| t.stopped.len())),
            ("paused", self.positions.paused()),
        ]);
    }

    fn say_once(&self, latch: &str, words: &str) {
        if self.health.held().get(latch).map(String::as_str) != Some(words) {
            tracing::warn!("{words}");
            self.health.hold(latch, words);
        }
    }

    fn monitors_of(&self, topic: &str) -> Vec<Arc<Monitor>> {
        let reads = |m: &&Arc<Monitor>| m.config.topic == topic;
        self.monitors.iter().filter(reads).cloned().collect()
    }

    fn assign_new(&mut self, name: &str, topic: &mut Topic, partitions: &[i32]) {
        let monitors = self.monitors_of(name);
        for monitor in &monitors {
            self.tell(monitor, EvaluatorMessage::Partitions(partitions.to_vec()));
        }
        topic.partitions = partitions.to_vec();
        if topic.is_complete() {
            return;
        }
        if let Err(error) = self.assign(name, topic, &monitors) {
            let words = format!("topic {name:?} cannot be started: {error:#}");
            self.say_once("partitions", &words);
        }
    }

    /// Begins every partition that can be begun; an error is that of one that cannot.
    fn assign(&mut self, name: &str, topic: &mut Topic, monitors: &[Arc<Monitor>]) -> Result<()> {
        let mut stored = self.stored(name, monitors)?;
        let newcomers = match topic.newcomers.take() {
            Some(newcomers) => newcomers,
            None => newcomers(&stored, monitors),
        };
        let all_or_none = !newcomers.is_empty();
        topic.newcomers = Some(newcomers);
        self.retire(name, topic, monitors, &stored)?;
        if topic.assigned.is_empty() {
            topic.log_id = self.log_ids(&[name], FIRST_IDS).remove(name);
        }
        let mut begun = Vec::new();
        let mut failed = None;
        for partition in topic.waiting() {
            let id = partition_of(name, partition);
            let stored = take_stored(&mut stored, &id, monitors);
            match self.decide(&id, topic, monitors, stored) {
                Ok(how) => begun.push((id, how)),
                // A partition that is left behind would not be taken for new any more.
                Err(error) if all_or_none => return Err(error),
                Err(error) => failed = Some(error),
            }
        }
        self.hand_out(topic, monitors, begun)?;
        topic.newcomers = Some(BTreeSet::new());
        failed.map_or(Ok(()), Err)
    }

    /// What is stored of a topic, over all its monitors.
    fn stored(&self, topic: &str, monitors: &[Arc<Monitor>]) -> Result<Stored> {
        let mut stored = Stored::new();
        for monitor in monitors {
            let units = self.store.units(&monitor.definition.monitor)?.into_iter();
            stored.extend(units.filter(|(key, _)| key.topic == topic));
        }
        Ok(stored)
    }

    fn decide(
        &self,
        id: &TopicPartition,
        topic: &Topic,
        monitors: &[Arc<Monitor>],
        stored: Vec<(UnitKey, Option<UnitState>)>,
    ) -> Result<Begun> {
        let none = BTreeSet::new();
        let newcomers = topic.newcomers.as_ref().unwrap_or(&none);
        let log_id = topic.log_id.as_deref();
        start::begin(&self.control, id, monitors, stored, newcomers, log_id)
            .with_context(|| format!("partition {id}"))
    }

    /// Makes the first offsets durable, then lets the workers read.
    fn hand_out(
        &mut self,
        topic: &mut Topic,
        monitors: &[Arc<Monitor>],
        mut begun: Vec<(TopicPartition, Begun)>,
    ) -> Result<()> {
        let mut first = Vec::new();
        for (id, how) in &mut begun {
            if let Begun::At {
                units, start_over, ..
            } = how
            {
                if !start_over.is_empty() {
                    self.metrics.log_changed(&id.topic);
                }
                for key in start_over {
                    let unit = units.iter_mut().find(|(k, _)| k == key);
                    let monitor = monitors.iter().find(|m| is_of(m, key));
                    if let (Some((_, fresh)), Some(monitor)) = (unit, monitor) {
                        self.start_over(monitor, key, fresh)?;
                    }
                }
                first.extend(units.iter().cloned());
            }
        }
        // The offsets are durable before the first record counts, else a crash under
        // `start = "latest"` would skip what came in between.
        self.store.checkpoint(&[], &first)?;
        for (id, how) in begun {
            match how {
                Begun::At { offset, units, .. } => {
                    self.send_out(topic, monitors, id, offset, units);
                }
                Begun::Stopped { reason, words } => self.stop(topic, &id, reason, words),
            }
        }
        Ok(())
    }

    fn send_out(
        &self,
        topic: &mut Topic,
        monitors: &[Arc<Monitor>],
        partition: TopicPartition,
        offset: i64,
        units: Vec<(UnitKey, UnitState)>,
    ) {
        let at = Instant::now();
        for (key, state) in &units {
            if let Some(monitor) = monitors.iter().find(|m| is_of(m, key)) {
                let progress = restored_progress(key, state, monitor, at);
                self.tell(monitor, EvaluatorMessage::Progress(Box::new(progress)));
            }
        }
        let number = partition.partition;
        let worker = number as usize % self.workers.len();
        let event = SourceEvent::Assigned(vec![Assignment {
            partition,
            offset,
            units,
            at,
        }]);
        // A worker that is gone ends the program; see the application.
        let _ = self.workers[worker].send(WorkerCommand::Source(event));
        topic.assigned.insert(number, worker);
    }

    fn stop(&self, topic: &mut Topic, id: &TopicPartition, reason: &'static str, words: String) {
        tracing::error!("{words}");
        self.metrics.log_changed(&id.topic);
        self.health.hold(&format!("partition {id}"), words);
        self.metrics
            .partition_stopped(&id.topic, id.partition, Some(reason));
        topic.stopped.insert(id.partition);
    }

    /// Decides anew for partitions that are read from outside their log. The client reads on in
    /// none of them by itself, wherever it stands. Those of which nothing can be told yet are asked
    /// about again later.
    fn begin_again(&mut self, topics: &mut BTreeMap<String, Topic>) {
        for id in std::mem::take(&mut self.again) {
            let Some(topic) = topics.get_mut(&id.topic) else {
                continue;
            };
            let Some(worker) = topic.assigned.get(&id.partition) else {
                continue;
            };
            match self.control.span(&id) {
                Ok(_) if self.released(*worker, &id) => {
                    topic.assigned.remove(&id.partition);
                }
                _ => drop(self.again.insert(id)),
            }
        }
    }

    /// Takes a partition from its worker; true once all that was counted of it is durable.
    fn released(&self, worker: usize, id: &TopicPartition) -> bool {
        let (done, is_done) = std::sync::mpsc::channel();
        let command = WorkerCommand::Release {
            partition: id.clone(),
            done,
        };
        self.workers[worker].send(command).is_ok() && is_done.recv_timeout(RELEASE).is_ok()
    }

    /// Compares every position with the end of its log: lag, and whether all is caught up.
    fn look(&mut self, topics: &mut BTreeMap<String, Topic>) {
        let positions = self.positions.all();
        self.metrics.paused(self.positions.paused());
        let mut replaced = BTreeSet::new();
        for (name, topic) in topics.iter_mut() {
            let mut caught_up = topic.is_complete() && !topic.assigned.is_empty();
            for partition in topic.assigned.keys() {
                let id = partition_of(name, *partition);
                let next = positions.get(&id).map_or(0, |p| p.next);
                let Ok(span) = self.control.span(&id) else {
                    caught_up = false;
                    self.say_once("broker", "the Kafka brokers do not answer");
                    continue;
                };
                self.health.release("broker");
                if span.end < next {
                    // The log was cut or replaced under us.
                    replaced.insert(id);
                    continue;
                }
                self.metrics.lag(name, *partition, (span.end - next).max(0));
                // Behind by no more than what came since the last look is caught up.
                let target = topic.ends.insert(*partition, span.end).unwrap_or(span.end);
                caught_up &= next >= target;
            }
            topic.caught_up = caught_up;
            for monitor in self.monitors_of(name) {
                self.tell(&monitor, EvaluatorMessage::CaughtUp(caught_up));
            }
        }
        self.again.extend(replaced);
    }

    fn tell(&self, monitor: &Monitor, message: EvaluatorMessage) {
        if let Some(evaluator) = self.evaluators.get(&monitor.definition.monitor) {
            // A stopped evaluator needs nothing more.
            let _ = evaluator.send(message);
        }
    }
}

pub(super) type Stored = BTreeMap<UnitKey, UnitState>;

/// The monitors that have never counted anything of the topic that `stored` is of: `start` is for
/// them.
fn newcomers(stored: &Stored, monitors: &[Arc<Monitor>]) -> BTreeSet<String> {
    let names = monitors.iter().map(|m| m.definition.monitor.clone());
    names
        .filter(|name| !stored.keys().any(|key| key.monitor == *name))
        .collect()
}

/// What is stored of one partition, per monitor.
fn take_stored(
    stored: &mut Stored,
    id: &TopicPartition,
    monitors: &[Arc<Monitor>],
) -> Vec<(UnitKey, Option<UnitState>)> {
    let key = |monitor: &Arc<Monitor>| UnitKey {
        monitor: monitor.definition.monitor.clone(),
        topic: id.topic.clone(),
        partition: id.partition,
    };
    let keys = monitors.iter().map(key);
    keys.map(|key| (key.clone(), stored.remove(&key))).collect()
}

fn is_of(monitor: &Monitor, unit: &UnitKey) -> bool {
    monitor.definition.monitor == unit.monitor
}

fn partition_of(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: topic.to_owned(),
        partition,
    }
}
