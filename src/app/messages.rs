//! What the parts of the running program say to each other.
//!
//! Assigner → worker: partitions and their state. Worker → checkpointer: counts to make durable.
//! Checkpointer → evaluator: only what is durable. Evaluator → worker: snapshots of open panes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::drift::{Gaps, PaneCounts, PaneId, SealedPane};
use crate::metrics::MonitorMetrics;
use crate::monitor::Monitor;
use crate::source::{SourceEvent, TopicPartition};
use crate::state::{UnitKey, UnitState};

use super::pausing::OnTheWay;
use super::unit::SealStamp;

/// A partition to read, with the state it goes on from.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub partition: TopicPartition,
    /// The least `next_offset` of its units, or where its log begins.
    pub offset: i64,
    pub units: Vec<(UnitKey, UnitState)>,
    pub at: Instant,
}

pub(crate) enum WorkerCommand {
    Source(SourceEvent<Assignment>),
    /// Make durable what was counted of a partition, then stop to read it. Not answered when that
    /// takes too long; then it is read on.
    Release {
        partition: TopicPartition,
        done: std::sync::mpsc::Sender<()>,
    },
    Snapshot(SnapshotRequest),
    /// The checkpoint in flight is durable.
    Checkpointed,
    Stop,
}

/// Asks a worker for the panes of one monitor that are not known to be durable and sealed.
pub(crate) struct SnapshotRequest {
    pub monitor: String,
    /// Answer only once everything in the answer is durable.
    pub durable: bool,
    pub reply: oneshot::Sender<Vec<UnitSnapshot>>,
}

/// One unit as it stands.
#[derive(Debug, Clone)]
pub(crate) struct UnitSnapshot {
    pub partition: i32,
    /// Open panes and those whose seal is not durable yet.
    pub panes: Vec<(PaneId, PaneCounts)>,
    /// The offset the consumer would read next.
    pub position: i64,
    pub next_offset: i64,
    pub last_counted: Option<Instant>,
}

/// Counts on their way to the store.
pub(crate) struct Checkpoint {
    pub worker: usize,
    pub sealed: Arc<Vec<(UnitKey, SealedPane)>>,
    pub units: Vec<(UnitKey, UnitState)>,
    pub progress: Vec<Progress>,
    /// Answered once this is durable.
    pub snapshots: Vec<(oneshot::Sender<Vec<UnitSnapshot>>, Vec<UnitSnapshot>)>,
}

/// How far one unit has come, durably.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub key: UnitKey,
    pub sealed: Vec<SealedPane>,
    /// Counts what is sealed until it has been taken in, or is lost.
    pub _on_the_way: Option<Arc<OnTheWay>>,
    /// The first pane that is not sealed.
    pub sealed_before: Option<PaneId>,
    pub greatest_ms: Option<i64>,
    pub first_open: Option<PaneId>,
    pub last_open: Option<PaneId>,
    /// When the newest record was appended.
    pub newest_record_ms: Option<i64>,
    /// Where records of it are known to be missing.
    pub gaps: Gaps,
    pub stamps: Vec<SealStamp>,
    /// When a record last arrived, or when the partition was assigned.
    pub arrived: Instant,
    pub assigned: Instant,
}

pub(crate) enum EvaluatorMessage {
    /// The partitions the topic has now.
    Partitions(Vec<i32>),
    Progress(Box<Progress>),
    /// What was counted of a partition is of a log that is no more.
    Forget {
        partition: i32,
        sealed: Vec<SealedPane>,
        /// Where it is missed now.
        gaps: Gaps,
    },
    /// Every partition was read to where its log ended a moment ago.
    CaughtUp(bool),
    /// Other thresholds, rules or labels; the counts stay.
    Redefine(Arc<Monitor>, Arc<MonitorMetrics>),
    /// Nothing more will come: close what can be closed and stop.
    Stop,
}

/// Where each partition is read and how far its state is durable; shared by workers and assigner.
#[derive(Debug, Clone, Default)]
pub(crate) struct Positions(Arc<Mutex<BTreeMap<TopicPartition, Position>>>);

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Position {
    /// The offset the consumer would read next.
    pub next: i64,
    /// The offset that is durable for every monitor.
    pub durable: i64,
    /// Nothing is read of it for now.
    pub paused: bool,
}

impl Positions {
    pub(crate) fn update(&self, partition: &TopicPartition, change: impl FnOnce(&mut Position)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(position) = all.get_mut(partition) {
            change(position);
        } else {
            change(all.entry(partition.clone()).or_default());
        }
    }

    /// How many partitions wait.
    pub(crate) fn paused(&self) -> usize {
        self.all().values().filter(|p| p.paused).count()
    }

    pub(crate) fn all(&self) -> BTreeMap<TopicPartition, Position> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
