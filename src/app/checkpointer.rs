//! Makes counts durable, one checkpoint after the other, and only then tells the evaluators.
//!
//! A checkpoint that fails is tried again until it succeeds: the counts stay where they are, psiren
//! is unready meanwhile, and the loop stops taking offsets when too much waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use crate::health::Health;
use crate::metrics::Metrics;
use crate::state::StateStore;

use super::clock::now_ms;
use super::messages::{Checkpoint, EvaluatorMessage, WorkerCommand};

const RETRY: Duration = Duration::from_secs(1);

pub(crate) struct Checkpointer {
    pub store: Arc<dyn StateStore>,
    pub checkpoints: Receiver<Checkpoint>,
    pub workers: Vec<Sender<WorkerCommand>>,
    /// By monitor.
    pub evaluators: HashMap<String, UnboundedSender<EvaluatorMessage>>,
    pub health: Health,
    pub metrics: Arc<Metrics>,
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
    pub(crate) fn serve(&self, checkpoint: Checkpoint) {
        if self.store_until_durable(&checkpoint) {
            self.announce(checkpoint);
        }
    }

    fn store_until_durable(&self, checkpoint: &Checkpoint) -> bool {
        let mut complained = false;
        loop {
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
                let _ = evaluator.send(EvaluatorMessage::Progress(progress));
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
