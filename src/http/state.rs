//! What the HTTP handlers know of the running program.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::{HttpConfig, MonitorConfig};
use crate::drift::{Definition, DriftReport, OpenIncident, Silence};
use crate::health::Health;
use crate::state::ReportLog;

/// Shared by all handlers; cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub config: Arc<HttpConfig>,
    /// Replaced by a reload.
    pub monitors: watch::Receiver<Arc<Vec<MonitorHandle>>>,
    pub log: Arc<dyn ReportLog>,
    pub health: Health,
    pub metrics: Arc<crate::metrics::Metrics>,
    /// Changes whenever the report log grows; holds the last sequence number.
    pub log_head: watch::Receiver<u64>,
    pub reload: mpsc::Sender<oneshot::Sender<ReloadOutcome>>,
}

/// One monitor as the handlers see it.
#[derive(Clone)]
pub struct MonitorHandle {
    pub config: Arc<MonitorConfig>,
    pub definition: Arc<Definition>,
    /// Columns of the reference that are not watched, with the reason.
    pub left_out: Arc<Vec<(String, String)>>,
    pub view: watch::Receiver<Arc<MonitorView>>,
    pub checks: mpsc::Sender<oneshot::Sender<Result<CheckOutcome, String>>>,
    pub silences: mpsc::Sender<SilenceRequest>,
}

/// Where a monitor stands; replaced as a whole after every evaluation.
#[derive(Debug, Clone, Default)]
pub struct MonitorView {
    pub last_final: Option<Arc<DriftReport>>,
    /// The window up to the newest event, open panes included.
    pub live: Option<Arc<DriftReport>>,
    pub incidents: Vec<OpenIncident>,
    /// Those that are not over.
    pub silences: Vec<Silence>,
    /// Every partition was read to its end.
    pub caught_up: bool,
    pub stale: bool,
    /// Wall clock of the last evaluation of any sort.
    pub evaluated_at_ms: Option<i64>,
    /// Wall clock of the last counted event.
    pub last_counted_at_ms: Option<i64>,
    /// Why there is no figure yet, in words; `None` when there is one.
    pub waiting_for: Option<String>,
}

/// Asks for a silence, or for the end of one. Answered once that is durable: with the silence, with
/// `None` when there is none of that number, or with why it could not be stored.
pub struct SilenceRequest {
    pub change: SilenceChange,
    pub reply: oneshot::Sender<Result<Option<Silence>, String>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SilenceChange {
    /// Its number does not count.
    Add(Silence),
    End(u64),
}

/// What a manual check found.
#[derive(Debug, Clone)]
pub struct CheckOutcome {
    pub last_final: Option<Arc<DriftReport>>,
    /// The manual evaluation that was written: the live figures.
    pub live: Option<Arc<DriftReport>>,
}

/// What a reload did.
#[derive(Debug, Clone)]
pub enum ReloadOutcome {
    /// What changed and is in force now, and what changed and waits for a restart.
    Applied {
        applied: Vec<String>,
        needs_restart: Vec<String>,
    },
    /// The configuration was refused; the old one stays in force.
    Refused(String),
}
