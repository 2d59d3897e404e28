//! A small monitor, and a log in memory to read instead of Kafka.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{
    BinningConfig, Filter, FilterTest, MonitorConfig, OnLogChange, Scalar, StartPosition, TimeUnit,
    TimestampField,
};
use crate::drift::{
    Binning, Closed, FeatureReference, IncidentRules, MissingRule, PaneSpec, Smoothing, Thresholds,
    WindowSpec,
};
use crate::monitor::Monitor;
use crate::reference::Profile;
use crate::reference::profile::ProfileFeature;
use crate::source::{Drained, Record, Source, SourceError, TopicPartition};

/// A valid event time and the start of a pane of every width used here.
pub(crate) const START: i64 = 1_600_000_000_000;
pub(crate) const WIDTH: i64 = 1_000;
pub(crate) const TOPIC: &str = "t";

/// One feature `x` with edges 0 and 10, event time in `t`, panes of a second, windows of two.
pub(crate) fn config(name: &str) -> MonitorConfig {
    MonitorConfig {
        name: name.into(),
        topic: TOPIC.into(),
        timestamp: Some(TimestampField {
            path: vec!["t".into()],
            unit: Some(TimeUnit::Milliseconds),
            timezone: None,
        }),
        reference: PathBuf::from("reference.parquet"),
        filters: vec![],
        include: vec!["*".into()],
        exclude: vec![],
        panes: PaneSpec {
            width_ms: WIDTH,
            offset_ms: 0,
            lateness_ms: 300,
            max_future_skew_ms: 60_000,
        },
        window: WindowSpec {
            size_ms: 2 * WIDTH,
            slide_ms: WIDTH,
        },
        smoothing: Smoothing::default(),
        binning: BinningConfig::default(),
        thresholds: Thresholds::default(),
        min_events: Some(1),
        missing: MissingRule::Exclude,
        incidents: IncidentRules::default(),
        repeat_after_ms: 3_600_000,
        alert_max_age_ms: 3_600_000,
        idle_timeout_ms: 10_000,
        live_interval_ms: 3_600_000,
        stale_after_ms: 3_600_000,
        notify: vec![],
        heartbeat_url: None,
        start: StartPosition::Earliest,
        on_log_change: OnLogChange::Stop,
        strict: false,
        features: vec![],
    }
}

/// Only events whose `k` is `keep`.
pub(crate) fn keep_only() -> Filter {
    Filter {
        path: vec!["k".into()],
        test: FilterTest::In(vec![Scalar::Text("keep".into())]),
    }
}

pub(crate) fn monitor(config: &MonitorConfig) -> Arc<Monitor> {
    let reference = FeatureReference {
        name: "x".into(),
        column: "x".into(),
        binning: Binning::Numeric {
            edges: vec![0.0, 10.0],
            closed: Closed::default(),
            float32: false,
        },
        counts: vec![100, 100, 100],
        missing: 0,
        min: Some(-5.0),
        max: Some(15.0),
    };
    let profile = Profile {
        version: 1,
        psiren: "0".into(),
        built_at: "2020-01-01T00:00:00Z".into(),
        rows: 300,
        sources: vec![],
        event_time: None,
        features: vec![ProfileFeature {
            reference,
            data_type: "Float64".into(),
            built_with: None,
            notes: vec![],
        }],
        left_out: vec![],
        problems: vec![],
    };
    Arc::new(Monitor::with_profile(config, profile))
}

/// One record of a scripted log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Scripted {
    pub offset: i64,
    pub timestamp_ms: Option<i64>,
    pub payload: Option<String>,
}

impl Scripted {
    pub(crate) fn event(offset: i64, event_ms: i64, x: f64, k: &str) -> Self {
        Self {
            offset,
            timestamp_ms: Some(START + 1_000_000),
            payload: Some(format!(r#"{{"t":{event_ms},"x":{x},"k":"{k}"}}"#)),
        }
    }

    pub(crate) fn record(&self, partition: i32) -> Record<'_> {
        Record {
            topic: TOPIC,
            partition,
            offset: self.offset,
            timestamp_ms: self.timestamp_ms,
            key: None,
            payload: self.payload.as_deref().map(str::as_bytes),
        }
    }
}

pub(crate) type Logs = Arc<BTreeMap<i32, Vec<Scripted>>>;

/// Hands over scripted logs, `batch` records at a time at the most, one partition after the other.
pub(crate) struct Replay {
    logs: Logs,
    batch: usize,
    positions: BTreeMap<i32, i64>,
    pub paused: BTreeSet<i32>,
    turn: usize,
}

impl Replay {
    pub(crate) fn new(logs: Logs, batch: usize) -> Self {
        Self {
            logs,
            batch,
            positions: BTreeMap::new(),
            paused: BTreeSet::new(),
            turn: 0,
        }
    }
}

impl Source for Replay {
    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), SourceError> {
        self.positions.insert(partition.partition, offset);
        Ok(())
    }

    fn unassign(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        self.positions.remove(&partition.partition);
        Ok(())
    }

    fn drain(
        &mut self,
        _: Duration,
        most: usize,
        take: &mut dyn FnMut(&[Record<'_>]),
    ) -> Result<Drained, SourceError> {
        let mut handed = 0;
        self.turn += 1;
        let assigned = self.positions.len().max(1);
        for i in 0..assigned {
            let turn = (self.turn + i) % assigned;
            let Some((partition, position)) = self.positions.iter_mut().nth(turn) else {
                break;
            };
            if self.paused.contains(partition) {
                continue;
            }
            let ahead = self.logs[partition].iter();
            let ahead: Vec<_> = ahead.filter(|r| r.offset >= *position).collect();
            for scripted in ahead.into_iter().take(most.min(self.batch) - handed) {
                take(&[scripted.record(*partition)]);
                *position = scripted.offset + 1;
                handed += 1;
            }
        }
        Ok(Drained {
            records: handed,
            more: handed == most.min(self.batch),
        })
    }

    fn pause(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        assert!(self.paused.insert(partition.partition), "paused twice");
        Ok(())
    }

    fn resume(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        assert!(self.paused.remove(&partition.partition), "was not paused");
        Ok(())
    }

    fn has_queued(&self) -> bool {
        false
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.positions.get(&partition.partition).copied()
    }
}
