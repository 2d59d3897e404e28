//! What outlives the process: counts per partition, sealed panes, and the report log.
//!
//! State at offset X is a pure function of (configuration, reference, log prefix up to X), so a
//! unit is written as one record that holds counts and offset together; they cannot disagree.

pub mod codec;
#[cfg(test)]
pub(crate) mod disk;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
pub(crate) mod folder;
pub mod identity;
pub mod local;
mod older;
pub mod rehearse;
pub mod reset;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::drift::{
    DriftReport, Gaps, IncidentBook, IncidentChange, OpenIncident, Pane, PaneId, SealedPane,
    SilenceBook,
};

pub use identity::CountsIdentity;

/// Names one unit: what one monitor has counted of one partition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct UnitKey {
    pub monitor: String,
    pub topic: String,
    pub partition: i32,
}

/// The durable state of one unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitState {
    /// The next offset to read; everything below is counted, everything from it on is not.
    pub next_offset: i64,
    /// Greatest accepted event time.
    pub greatest_ms: Option<i64>,
    pub open: BTreeMap<PaneId, Pane>,
    /// Records per outcome since the state began, in the order of `Outcome::ALL`; what is not there
    /// is 0.
    pub outcomes: Vec<u64>,
    /// The last record that was read, to recognise the log again.
    pub splice: Option<Splice>,
    /// The offset the state began at.
    pub began_at: i64,
    /// Offsets since then without a record to read: markers of transactions, aborted records, what
    /// compaction took.
    pub absent: u64,
    /// Offsets since then that retention deleted before they were read.
    pub lost: u64,
    /// Where lost records may have belonged.
    pub gaps: Gaps,
    /// The id of the topic when it was last assigned; `None` where brokers have none.
    pub log_id: Option<String>,
}

impl UnitState {
    /// A unit that has counted nothing and begins at `offset` of the log `log_id`.
    #[must_use]
    pub fn fresh(offset: i64, log_id: Option<String>) -> Self {
        Self {
            next_offset: offset,
            greatest_ms: None,
            open: BTreeMap::new(),
            outcomes: Vec::new(),
            splice: None,
            began_at: offset,
            absent: 0,
            lost: 0,
            gaps: Gaps::default(),
            log_id,
        }
    }

    /// Offsets passed since the state began that are neither counted as an outcome nor known to be
    /// absent or lost. Always 0: every record is accounted for.
    #[must_use]
    pub fn unaccounted(&self) -> i64 {
        let accounted = self.outcomes.iter().sum::<u64>() + self.absent + self.lost;
        self.next_offset - self.began_at - accounted as i64
    }
}

/// What a record looked like, so that a log that was replaced is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splice {
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    /// Hash of key and payload.
    pub hash: u64,
}

/// Units and sealed panes. One implementation is [`local`], on an embedded store.
///
/// All calls block; they are made from threads of their own, never from the consuming loop.
pub trait StateStore: Send + Sync {
    /// Makes `sealed` durable, then `units`: a unit that no longer holds a pane is never durable
    /// before the pane is. A stored unit is replaced only by one with a greater or equal
    /// `next_offset`.
    fn checkpoint(
        &self,
        sealed: &[(UnitKey, SealedPane)],
        units: &[(UnitKey, UnitState)],
    ) -> Result<(), StateError>;

    /// Takes a unit and its sealed panes out of use, keeps them under `at_ms` (wall clock), and puts
    /// `fresh` in its place, all at once, so that it starts over, at a lower offset too. False, and
    /// nothing is done, when there is no such unit.
    fn set_aside(&self, unit: &UnitKey, fresh: &UnitState, at_ms: i64) -> Result<bool, StateError>;

    /// The units of one monitor.
    fn units(&self, monitor: &str) -> Result<Vec<(UnitKey, UnitState)>, StateError>;

    /// The sealed panes of one monitor that some window still needs, ascending by pane.
    fn sealed(&self, monitor: &str) -> Result<Vec<(UnitKey, SealedPane)>, StateError>;
}

/// Where a monitor's evaluator stands.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct EvaluatorState {
    /// The end of the last closed window, as the pane that starts there.
    pub closed_through: Option<PaneId>,
    /// The first pane that ever held an event.
    pub first: Option<PaneId>,
    /// Sealed panes before this one are gone: no window of the definition at that time needed them.
    pub kept_from: Option<PaneId>,
    pub incidents: IncidentBook,
    /// Wall clock of the last message-worthy entry while incidents are open, for reminders.
    pub told_at_ms: Option<i64>,
    /// A window closed since the last news was history: one summary is owed once caught up.
    pub owes_summary: bool,
    pub silences: SilenceBook,
}

/// One entry of the report log, in the order it became durable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    pub monitor: String,
    /// Wall clock.
    pub written_at_ms: i64,
    /// False while old records are read: its changes are recorded, not sent.
    pub news: bool,
    pub body: LogBody,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum LogBody {
    /// A final or manual evaluation.
    Report(DriftReport),
    /// Something to tell that is no evaluation.
    Notice {
        kind: NoticeKind,
        changes: Vec<IncidentChange>,
        /// What was open at that time, as far as no silence covered it.
        open: Vec<OpenIncident>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NoticeKind {
    /// The topic fell silent or spoke again: `changes` says which.
    Stale,
    /// Incidents are still open after `repeat_after`.
    Reminder,
    /// History was read; this is what is open now.
    CaughtUp,
    /// A silence is over; `changes` is what opened under it and has not ended.
    Unsilenced,
}

/// The durable report log: history and outbox at once. Sinks read it, each with its own cursor.
pub trait ReportLog: Send + Sync {
    /// Appends `entries`, which may be none, and stores `state` in one transaction, and drops sealed
    /// panes before `needed_from`. Gives the sequence number of the last entry in the log, 0 when empty;
    /// numbers start at 1 and have no gaps.
    fn commit(
        &self,
        monitor: &str,
        state: &EvaluatorState,
        entries: &[LogEntry],
        needed_from: Option<PaneId>,
    ) -> Result<u64, StateError>;

    fn evaluator(&self, monitor: &str) -> Result<EvaluatorState, StateError>;

    /// The sequence number of the last entry, 0 when there was never one.
    fn head(&self) -> Result<u64, StateError>;

    /// Up to `limit` entries with a sequence number > `after`, ascending.
    fn read(&self, after: u64, limit: usize) -> Result<Vec<(u64, LogEntry)>, StateError>;

    /// Reports of `monitor` whose window ends in `[from_ms, to_ms]`, ascending by sequence number;
    /// the last `limit` of them.
    fn history(
        &self,
        monitor: &str,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> Result<Vec<LogEntry>, StateError>;

    /// The bytes a sink stored as its cursor.
    fn cursor(&self, sink: &str) -> Result<Option<Vec<u8>>, StateError>;

    fn set_cursor(&self, sink: &str, cursor: &[u8]) -> Result<(), StateError>;

    /// Drops entries written before `before_ms` (wall clock).
    fn expire(&self, before_ms: i64) -> Result<u64, StateError>;
}

/// Why stored state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    #[error(
        "the state in {path} is in use by another process; stop it, or give this one another state.dir"
    )]
    Locked { path: String },
    #[error(
        "the state in {path} cannot be trusted: {what}; keep it for inspection and start with --reset-state"
    )]
    Damaged { path: String, what: String },
    #[error(
        "the state in {path} was written by a newer psiren (format {found}, this one reads up to {supported}); use that version, or start with --reset-state"
    )]
    Newer {
        path: String,
        found: u32,
        supported: u32,
    },
    #[error(
        "the counts stored for monitor {monitor:?} belong to another configuration:\n{diff}\nundo the change, or start with --reset-state, which keeps the old state under a dated name"
    )]
    OtherCounts { monitor: String, diff: String },
    #[error("state in {path}: {what}")]
    Io { path: String, what: String },
}
