//! Makes counts durable, one checkpoint after the other, and only then tells the evaluators.
//!
//! Before that it asks whether the topics are still those that were counted. A topic that was deleted
//! and made anew in the meantime may have been read on where the old one ended; what was counted
//! since the last checkpoint is then of nobody knows which log, and is left out. A broker that does
//! not answer says nothing against a log; see `docs/decisions/0004-topic-ids.md`.
//!
//! A checkpoint that fails is tried again until it succeeds: the counts stay where they are, psiren
//! is unready meanwhile, and the loop stops taking offsets when too much waits.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::health::Health;
use crate::metrics::Metrics;
use crate::state::{StateStore, UnitKey};

use super::clock::now_ms;
use super::messages::{Checkpoint, EvaluatorMessage, WorkerCommand};

const RETRY: Duration = Duration::from_secs(1);

/// By topic.
pub(crate) type TopicIds = Box<dyn Fn(&[&str]) -> Option<BTreeMap<String, String>> + Send>;

pub(crate) struct Checkpointer {
    pub store: Arc<dyn StateStore>,
    pub checkpoints: Receiver<Checkpoint>,
    pub workers: Vec<Sender<WorkerCommand>>,
    /// By monitor.
    pub evaluators: HashMap<String, UnboundedSender<EvaluatorMessage>>,
    pub health: Health,
    pub metrics: Arc<Metrics>,
    /// The ids of topics now; `None` when they cannot be told.
    pub topic_ids: TopicIds,
    /// Told when a topic is another one, so that its partitions are looked at again.
    pub other_log: Box<dyn Fn() + Send>,
    /// Ends the retries when the program has to stop.
    pub give_up: CancellationToken,
}

impl Checkpointer {
    /// Runs until every worker is gone.
    pub(crate) fn run(self) {
        while let Ok(checkpoint) = self.checkpoints.recv() {
            self.serve(checkpoint);
        }
    }

    /// Makes one checkpoint durable and tells of it.
    pub(crate) fn serve(&self, mut checkpoint: Checkpoint) {
        if self.store_until_durable(&mut checkpoint) {
            self.announce(checkpoint);
        }
    }

    /// Leaves out the units whose topic has another id now than when it was assigned.
    fn leave_out_other_logs(&self, checkpoint: &mut Checkpoint) {
        // At the end there is no time to wait for an answer; the next start asks.
        if self.give_up.is_cancelled() {
            return;
        }
        let known = checkpoint.units.iter().filter(|(_, u)| u.log_id.is_some());
        let topics: BTreeSet<&str> = known.map(|(key, _)| key.topic.as_str()).collect();
        let topics: Vec<&str> = topics.into_iter().collect();
        let Some(ids) = (!topics.is_empty())
            .then(|| (self.topic_ids)(&topics))
            .flatten()
        else {
            return;
        };
        let units = checkpoint.units.iter();
        let others = units.filter(|(key, unit)| {
            let now = ids.get(&key.topic);
            now.is_some_and(|now| unit.log_id.as_ref().is_some_and(|id| id != now))
        });
        let others: BTreeSet<UnitKey> = others.map(|(key, _)| key.clone()).collect();
        if others.is_empty() {
            return;
        }
        checkpoint.units.retain(|(key, _)| !others.contains(key));
        Arc::make_mut(&mut checkpoint.sealed).retain(|(key, _)| !others.contains(key));
        checkpoint.progress.retain(|p| !others.contains(&p.key));
        // Whoever waits for durable counts asks again.
        checkpoint.snapshots.clear();
        (self.other_log)();
    }

    fn store_until_durable(&self, checkpoint: &mut Checkpoint) -> bool {
        let mut complained = false;
        loop {
            self.leave_out_other_logs(checkpoint);
            match self.store.checkpoint(&checkpoint.sealed, &checkpoint.units) {
                Ok(()) => {
                    self.metrics.checkpoint(true, now_ms());
                    if complained {
                        self.health.release("state");
                        tracing::info!("checkpoints succeed again");
                    }
                    return true;
                }
                Err(error) => {
                    self.metrics.checkpoint(false, now_ms());
                    if !complained {
                        tracing::error!("checkpoint failed, trying again every second: {error}");
                        self.health
                            .hold("state", format!("checkpoints fail: {error}"));
                        complained = true;
                    }
                    if self.give_up.is_cancelled() {
                        return false;
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// The evaluators first: a worker must not answer a snapshot without panes that an evaluator
    /// was not told of yet.
    fn announce(&self, checkpoint: Checkpoint) {
        for progress in checkpoint.progress {
            if let Some(evaluator) = self.evaluators.get(&progress.key.monitor) {
                // A stopped evaluator needs nothing more.
                let _ = evaluator.send(EvaluatorMessage::Progress(Box::new(progress)));
            }
        }
        for (reply, units) in checkpoint.snapshots {
            let _ = reply.send(units);
        }
        if let Some(worker) = self.workers.get(checkpoint.worker) {
            let _ = worker.send(WorkerCommand::Checkpointed);
        }
    }
}
