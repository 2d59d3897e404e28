//! Finds the partitions of the watched topics, decides where each is read from, and hands them to
//! the workers. Asks the broker everything the consuming loop must not wait for.
//!
//! Start offsets come from stored state, never from the consumer group; group offsets are committed
//! for lag tools, with words that name this process.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use crate::health::Health;
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::source::control::Control;
use crate::source::{SourceEvent, TopicPartition};
use crate::state::{StateStore, UnitKey, UnitState};

use super::clock::now_ms;
use super::messages::{Assignment, EvaluatorMessage, Positions, WorkerCommand};
use super::neighbour::Neighbour;
use super::start::{self, Begun};
use super::worker::restored_progress;

/// How often logs are looked at while catching up, and afterwards.
const SOON: Duration = Duration::from_millis(500);
const LATER: Duration = Duration::from_secs(5);
/// How often topics are looked at for new partitions.
const DISCOVERY: Duration = Duration::from_secs(30);

pub(crate) enum AssignerCommand {
    /// Where these logs end now.
    Ends {
        topic: String,
        partitions: Vec<i32>,
        reply: oneshot::Sender<Option<BTreeMap<i32, i64>>>,
    },
    /// An offset of one of these fell out of its log: decide anew where they are read from.
    Again(Vec<TopicPartition>),
    Stop,
}

pub(crate) struct Assigner {
    pub control: Control,
    pub commands: Receiver<AssignerCommand>,
    pub monitors: Vec<Arc<Monitor>>,
    pub workers: Vec<Sender<WorkerCommand>>,
    pub evaluators: HashMap<String, UnboundedSender<EvaluatorMessage>>,
    pub store: Arc<dyn StateStore>,
    pub positions: Positions,
    pub health: Health,
    pub metrics: Arc<Metrics>,
    pub neighbour: Neighbour,
}

/// What is known of one topic.
#[derive(Default)]
struct Topic {
    /// Which worker reads each partition.
    assigned: BTreeMap<i32, usize>,
    stopped: BTreeSet<i32>,
    /// Where each log ended when it was last looked at.
    ends: BTreeMap<i32, i64>,
    caught_up: bool,
    /// Nothing of it was ever counted, so `start` decides where to begin.
    first_time: bool,
}

impl Assigner {
    /// Runs until told to stop.
    pub(crate) fn run(mut self) {
        let mut topics = self.topics();
        let mut discovered = Instant::now() - DISCOVERY;
        let mut looked = Instant::now() - LATER;
        loop {
            let complete = topics.values().all(|t| !t.assigned.is_empty());
            if discovered.elapsed() >= if complete { DISCOVERY } else { SOON } {
                self.discover(&mut topics);
                discovered = Instant::now();
            }
            let caught_up = topics.values().all(|t| t.caught_up);
            if looked.elapsed() >= if caught_up { LATER } else { SOON } {
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
                    self.begin_again(&mut topics, partitions);
                    discovered = Instant::now() - DISCOVERY;
                }
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
        names
            .map(|name| {
                (
                    name,
                    Topic {
                        first_time: true,
                        ..Topic::default()
                    },
                )
            })
            .collect()
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
                Err(error) => {
                    let words = format!("the Kafka brokers do not answer: {error:#}");
                    self.say_once("broker", &words);
                }
            }
        }
        if topics.values().all(|t| !t.assigned.is_empty()) {
            self.health.release("partitions");
        }
        let count = |of: fn(&Topic) -> usize| topics.values().map(of).sum();
        self.metrics.partitions(&[
            ("assigned", count(|t| t.assigned.len())),
            ("stopped", count(|t| t.stopped.len())),
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
        for partition in partitions {
            if topic.assigned.contains_key(partition) || topic.stopped.contains(partition) {
                continue;
            }
            if let Err(error) = self.assign(name, topic, *partition, &monitors) {
                let words = format!("{name}/{partition} cannot be started: {error:#}");
                self.say_once("partitions", &words);
                return;
            }
        }
        topic.first_time = false;
    }

    fn assign(
        &mut self,
        name: &str,
        topic: &mut Topic,
        partition: i32,
        monitors: &[Arc<Monitor>],
    ) -> Result<()> {
        let id = partition_of(name, partition);
        let stored = self.stored(&id, monitors, topic)?;
        let begun = start::begin(&self.control, &id, monitors, stored, topic.first_time)?;
        let (offset, units) = match begun {
            Begun::At {
                offset,
                units,
                over,
            } => {
                self.start_over(monitors, &over)?;
                (offset, units)
            }
            Begun::Stopped { reason, words } => {
                tracing::error!("{words}");
                self.health.hold(&format!("partition {id}"), words);
                self.metrics
                    .partition_stopped(&id.topic, id.partition, Some(reason));
                topic.stopped.insert(partition);
                return Ok(());
            }
        };
        // The offsets are durable before the first record counts, else a crash under
        // `start = "latest"` would skip what came in between.
        self.store.checkpoint(&[], &units)?;
        for (key, state) in &units {
            if let Some(monitor) = monitors
                .iter()
                .find(|m| m.definition.monitor == key.monitor)
            {
                let progress = restored_progress(key, state, monitor);
                self.tell(monitor, EvaluatorMessage::Progress(progress));
            }
        }
        let worker = topic.assigned.get(&partition).copied();
        let worker = worker.unwrap_or(partition as usize % self.workers.len());
        let assignment = Assignment {
            partition: id,
            offset,
            units,
        };
        let event = SourceEvent::Assigned(vec![assignment]);
        // A worker that is gone ends the program; see the application.
        let _ = self.workers[worker].send(WorkerCommand::Source(event));
        topic.assigned.insert(partition, worker);
        Ok(())
    }

    /// Sets the stored state of these units aside and takes their panes back from the windows.
    fn start_over(&self, monitors: &[Arc<Monitor>], units: &[UnitKey]) -> Result<()> {
        for key in units {
            let sealed = self.store.sealed(&key.monitor)?;
            let of_unit = sealed.into_iter().filter(|(k, _)| k == key);
            let sealed = of_unit.map(|(_, pane)| pane).collect();
            self.store.set_aside(key, now_ms())?;
            let named = |m: &&Arc<Monitor>| m.definition.monitor == key.monitor;
            if let Some(monitor) = monitors.iter().find(named) {
                self.tell(monitor, EvaluatorMessage::StartedOver(sealed));
            }
        }
        Ok(())
    }

    fn stored(
        &self,
        id: &TopicPartition,
        monitors: &[Arc<Monitor>],
        topic: &mut Topic,
    ) -> Result<Vec<(UnitKey, Option<UnitState>)>> {
        let mut stored = Vec::new();
        for monitor in monitors {
            let name = &monitor.definition.monitor;
            let units = self.store.units(name)?;
            topic.first_time &= !units.iter().any(|(key, _)| key.topic == id.topic);
            let key = UnitKey {
                monitor: name.clone(),
                topic: id.topic.clone(),
                partition: id.partition,
            };
            let found = units.into_iter().find(|(k, _)| *k == key);
            stored.push((key, found.map(|(_, state)| state)));
        }
        Ok(stored)
    }

    /// Decides anew for partitions that are read from outside their log; the others are left alone.
    fn begin_again(
        &mut self,
        topics: &mut BTreeMap<String, Topic>,
        partitions: Vec<TopicPartition>,
    ) {
        let positions = self.positions.all();
        for id in partitions {
            let Some(topic) = topics.get_mut(&id.topic) else {
                continue;
            };
            let (Ok(span), Some(position)) = (self.control.span(&id), positions.get(&id)) else {
                continue;
            };
            if span.start <= position.next && position.next <= span.end {
                continue;
            }
            if let Some(worker) = topic.assigned.remove(&id.partition) {
                let event = SourceEvent::Revoked(vec![id]);
                let _ = self.workers[worker].send(WorkerCommand::Source(event));
            }
        }
    }

    /// Compares every position with the end of its log: lag, and whether all is caught up.
    fn look(&mut self, topics: &mut BTreeMap<String, Topic>) {
        let positions = self.positions.all();
        for (name, topic) in topics.iter_mut() {
            let mut caught_up = !topic.assigned.is_empty();
            for partition in topic.assigned.keys() {
                let id = partition_of(name, *partition);
                let next = positions.get(&id).map_or(0, |p| p.next);
                let Ok(span) = self.control.span(&id) else {
                    caught_up = false;
                    self.say_once("broker", "the Kafka brokers do not answer");
                    continue;
                };
                self.health.release("broker");
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
    }

    fn tell(&self, monitor: &Monitor, message: EvaluatorMessage) {
        if let Some(evaluator) = self.evaluators.get(&monitor.definition.monitor) {
            // A stopped evaluator needs nothing more.
            let _ = evaluator.send(message);
        }
    }
}

fn partition_of(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: topic.to_owned(),
        partition,
    }
}
