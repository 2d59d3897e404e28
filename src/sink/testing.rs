//! A report log in memory, metrics that can be waited for, and reports.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{Delivery, SinkContext, SinkMetrics};
use crate::drift::incident::ChangeKind;
use crate::drift::{
    Binning, Closed, ClosedBy, Definition, DriftReport, DriftStatus, FeatureDefinition,
    FeatureReference, FeatureReport, IncidentChange, IncidentRules, MissingRule, PaneSpec, Reason,
    Smoothing, Thresholds, Trigger, WindowBounds, WindowSpec,
};
use crate::state::local::LocalStore;
use crate::state::{EvaluatorState, LogBody, LogEntry, ReportLog};

pub(crate) const DAY: i64 = 86_400_000;
/// 2013-03-01.
pub(crate) const START: i64 = 1_362_096_000_000;

/// A report log of the real kind, in memory, with its head.
pub(crate) struct MemoryLog {
    store: Arc<LocalStore>,
    head: watch::Sender<u64>,
}

impl MemoryLog {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            store: Arc::new(LocalStore::in_memory().unwrap()),
            head: watch::Sender::new(0),
        })
    }

    pub(crate) fn push(&self, entry: LogEntry) {
        self.push_with(&EvaluatorState::default(), entry);
    }

    /// As [`push`](Self::push); `state` is where the monitor's evaluator stands then.
    pub(crate) fn push_with(&self, state: &EvaluatorState, entry: LogEntry) {
        let entries = std::slice::from_ref(&entry);
        let head = self.store.commit(&entry.monitor, state, entries, None);
        self.head.send_replace(head.unwrap());
    }

    pub(crate) fn cursor(&self, sink: &str) -> Option<Vec<u8>> {
        self.store.cursor(sink).unwrap()
    }

    pub(crate) fn set_cursor(&self, sink: &str, cursor: &[u8]) {
        self.store.set_cursor(sink, cursor).unwrap();
    }

    pub(crate) fn context(&self) -> SinkContext {
        SinkContext {
            log: Arc::clone(&self.store) as Arc<dyn ReportLog>,
            head: self.head.subscribe(),
            shutdown: CancellationToken::new(),
        }
    }
}

/// Counts, and lets a test wait for a count.
#[derive(Default)]
pub(crate) struct CountingMetrics {
    counts: watch::Sender<BTreeMap<String, u64>>,
}

impl CountingMetrics {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    fn add(&self, what: &str, n: u64) {
        self.counts
            .send_modify(|counts| *counts.entry(what.to_owned()).or_default() += n);
    }

    pub(crate) fn get(&self, what: &str) -> u64 {
        self.counts.borrow().get(what).copied().unwrap_or(0)
    }

    pub(crate) async fn until(&self, what: &str, at_least: u64) {
        let mut counts = self.counts.subscribe();
        let reached = counts.wait_for(|counts| counts.get(what).copied().unwrap_or(0) >= at_least);
        tokio::time::timeout(Duration::from_secs(20), reached)
            .await
            .unwrap_or_else(|_| panic!("{what} did not reach {at_least}: {:?}", self.counts))
            .unwrap();
    }
}

impl SinkMetrics for CountingMetrics {
    fn notified(&self, channel: &str, result: Delivery) {
        self.add(result.as_str(), 1);
        self.add(&format!("{channel} {}", result.as_str()), 1);
    }

    fn csv_rows(&self, rows: u64) {
        self.add("rows", rows);
        self.add("batches", 1);
    }

    fn csv_error(&self) {
        self.add("errors", 1);
    }

    fn csv_failing(&self, failing: bool) {
        self.add(if failing { "failing" } else { "working" }, 1);
    }
}

pub(crate) fn feature_report(name: &str, psi: f64, buckets: &[u64]) -> FeatureReport {
    FeatureReport {
        feature: name.into(),
        psi: Some(psi),
        status: DriftStatus::LikelyDrift,
        values: buckets.iter().sum(),
        missing: 0,
        invalid: 0,
        unseen: 0,
        buckets: buckets.to_vec().into(),
    }
}

/// The final report on the seven days that end `day` days after 2013-03-01.
pub(crate) fn report(monitor: &str, day: i64, features: Vec<FeatureReport>) -> DriftReport {
    let end_ms = START + day * DAY;
    DriftReport {
        monitor: monitor.to_owned(),
        segment: String::new(),
        trigger: Trigger::Final,
        window: WindowBounds {
            start_ms: end_ms - 7 * DAY,
            end_ms,
        },
        closed_by: ClosedBy::Watermark,
        coverage: 1.0,
        events: 1000,
        reference: "ref1".to_owned(),
        definition: "def1".to_owned(),
        evaluated_at_ms: None,
        features,
        changes: Vec::new(),
    }
}

/// Tells a task to stop, which it does within two seconds.
pub(crate) async fn ended(shutdown: &CancellationToken, task: JoinHandle<()>) {
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(2), task)
        .await
        .expect("it stops within two seconds")
        .unwrap();
}

pub(crate) fn change(feature: &str, kind: ChangeKind, value: f64) -> IncidentChange {
    IncidentChange {
        feature: feature.to_owned(),
        reason: Reason::Psi,
        kind,
        value,
        previous: Some(0.08),
        since_ms: START,
        silenced: false,
    }
}

pub(crate) fn entry(body: LogBody) -> LogEntry {
    let monitor = match &body {
        LogBody::Report(report) => report.monitor.clone(),
        LogBody::Notice { .. } => "flights".to_owned(),
    };
    LogEntry {
        monitor,
        written_at_ms: START,
        news: true,
        body,
    }
}

/// A numeric feature with edges 0 and 32.
pub(crate) fn numeric(name: &str) -> FeatureDefinition {
    let binning = Binning::Numeric {
        edges: vec![0.0, 32.0],
        closed: Closed::Right,
        float32: false,
    };
    feature_definition(name, binning, vec![500, 400, 100])
}

pub(crate) fn categorical(name: &str) -> FeatureDefinition {
    let binning = Binning::Categorical {
        categories: vec!["AA".to_owned(), "UA".to_owned()],
        pooled: Vec::new(),
    };
    feature_definition(name, binning, vec![500, 490, 10])
}

fn feature_definition(name: &str, binning: Binning, counts: Vec<u64>) -> FeatureDefinition {
    FeatureDefinition {
        reference: FeatureReference {
            name: name.to_owned(),
            column: name.to_owned(),
            binning,
            counts,
            missing: 10,
            min: None,
            max: None,
        },
        thresholds: Thresholds::default(),
        min_events: 100,
        missing: MissingRule::Exclude,
        redact: false,
    }
}

pub(crate) fn definition(monitor: &str, features: Vec<FeatureDefinition>) -> Definition {
    Definition {
        monitor: monitor.to_owned(),
        features,
        panes: PaneSpec {
            width_ms: DAY,
            offset_ms: 0,
            lateness_ms: 0,
            max_future_skew_ms: 0,
        },
        window: WindowSpec {
            size_ms: 7 * DAY,
            slide_ms: DAY,
        },
        smoothing: Smoothing::default(),
        incidents: IncidentRules::default(),
        reference_id: "ref1".to_owned(),
        definition_id: "def1".to_owned(),
    }
}
