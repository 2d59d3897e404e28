//! The evaluators of one process, told by hand.

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::app::ends::Ends;
use crate::app::evaluator::{Evaluator, Wiring};
use crate::app::messages::{EvaluatorMessage, Progress};
use crate::app::wiring::restore;
use crate::health::Health;
use crate::state::{ReportLog, StateStore};

use super::setting::{monitors, name, watched};

/// The evaluators of all monitors, going on from where the store says they stood.
pub(super) struct Judge {
    evaluators: Vec<Evaluator>,
    health: Health,
}

impl Judge {
    pub(super) fn begin<S>(store: &Arc<S>, partitions: Range<i32>) -> Result<Self>
    where
        S: StateStore + ReportLog + 'static,
    {
        let (mut evaluators, health) = (Vec::new(), Health::default());
        for watched in watched() {
            let wiring = Wiring {
                mailbox: mpsc::unbounded_channel().1,
                checks: mpsc::channel(1).1,
                silences: mpsc::channel(1).1,
                workers: vec![],
                ends: Ends {
                    commands: std::sync::mpsc::channel().0,
                    shutdown: CancellationToken::new(),
                },
                log: Arc::clone(store) as Arc<dyn ReportLog>,
                log_head: Arc::new(watch::Sender::new(0)),
                view: watch::Sender::new(Arc::default()),
                metrics: watched.metrics,
                frontier: Arc::default(),
                health: health.clone(),
            };
            let mut evaluator = restore(&watched.monitor, &**store, wiring)?;
            evaluator.take(EvaluatorMessage::Partitions(partitions.clone().collect()));
            evaluators.push(evaluator);
        }
        Ok(Self { evaluators, health })
    }

    pub(super) fn hear(&mut self, progress: Progress) {
        let named = monitors()
            .iter()
            .position(|m| name(m) == progress.key.monitor);
        self.evaluators[named.unwrap()].take(EvaluatorMessage::Progress(Box::new(progress)));
    }

    pub(super) fn close(&mut self) {
        for evaluator in &mut self.evaluators {
            evaluator.close_by_watermark();
        }
    }

    /// Whether something could not be written.
    pub(super) fn is_refused(&self) -> bool {
        !self.health.held().is_empty()
    }
}
