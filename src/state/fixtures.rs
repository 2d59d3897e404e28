//! Units, panes and entries for the tests of this module.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::{EvaluatorState, LogBody, LogEntry, NoticeKind, Splice, UnitKey, UnitState};
use crate::drift::{
    ClosedBy, DriftReport, DriftStatus, FeatureReport, Gaps, Layout, Pane, PaneCounts, PaneId,
    SealedPane, Trigger, WindowBounds,
};

/// Two features, of 3 and 2 buckets.
pub(crate) fn layout() -> Layout {
    Layout::new([3, 2])
}

pub(crate) fn pane(events: u64, last_offset: i64) -> Pane {
    let cells = (0..layout().cells() as u64).map(|i| i * events).collect();
    Pane {
        counts: PaneCounts::from_cells(&layout(), events, cells).unwrap(),
        first_offset: 0,
        last_offset,
    }
}

pub(crate) fn key(monitor: &str, partition: i32) -> UnitKey {
    UnitKey {
        monitor: monitor.to_owned(),
        topic: "flights".to_owned(),
        partition,
    }
}

pub(crate) fn unit(next_offset: i64) -> UnitState {
    UnitState {
        next_offset,
        greatest_ms: Some(next_offset * 1000),
        open: BTreeMap::from([(PaneId(7), pane(2, next_offset - 1))]),
        outcomes: vec![next_offset as u64, 0, 0, 0, 0, 0],
        splice: Some(Splice {
            offset: next_offset - 1,
            timestamp_ms: Some(5),
            hash: u64::MAX,
        }),
        log_id: Some("zFyfYUxqQ1m2D1MXeSj6Jg".to_owned()),
        ..UnitState::fresh(0, None)
    }
}

pub(crate) fn sealed(id: i64, last_offset: i64) -> SealedPane {
    SealedPane {
        id: PaneId(id),
        pane: pane(1, last_offset),
    }
}

pub(crate) fn evaluator(closed_through: i64) -> EvaluatorState {
    EvaluatorState {
        closed_through: Some(PaneId(closed_through)),
        first: Some(PaneId(1)),
        ..EvaluatorState::default()
    }
}

pub(crate) fn report(monitor: &str, end_ms: i64, written_at_ms: i64) -> LogEntry {
    LogEntry {
        monitor: monitor.to_owned(),
        written_at_ms,
        news: true,
        body: LogBody::Report(DriftReport {
            monitor: monitor.to_owned(),
            segment: String::new(),
            trigger: Trigger::Final,
            window: WindowBounds {
                start_ms: end_ms - 10,
                end_ms,
            },
            closed_by: ClosedBy::Watermark,
            coverage: 0.1 + 0.2,
            events: 3,
            reference: "r".to_owned(),
            definition: "d".to_owned(),
            evaluated_at_ms: None,
            features: vec![FeatureReport {
                feature: "dep_delay".into(),
                psi: Some(f64::MIN_POSITIVE),
                status: DriftStatus::NoDrift,
                values: 3,
                missing: 0,
                invalid: 0,
                unseen: 0,
                buckets: vec![1, 2, 0].into(),
            }],
            changes: Vec::new(),
        }),
    }
}

pub(crate) fn notice(monitor: &str, written_at_ms: i64) -> LogEntry {
    LogEntry {
        monitor: monitor.to_owned(),
        written_at_ms,
        news: false,
        body: LogBody::Notice {
            kind: NoticeKind::CaughtUp,
            changes: Vec::new(),
            open: Vec::new(),
        },
    }
}

/// The window end of a report.
pub(crate) fn end_of(entry: &LogEntry) -> i64 {
    match &entry.body {
        LogBody::Report(report) => report.window.end_ms,
        LogBody::Notice { .. } => panic!("no report"),
    }
}

pub(crate) fn any_pane() -> impl Strategy<Value = Pane> {
    let cells = prop::collection::vec(any::<u64>(), layout().cells());
    (any::<u64>(), cells, any::<i64>(), any::<i64>()).prop_map(
        |(events, cells, first_offset, last_offset)| Pane {
            counts: PaneCounts::from_cells(&layout(), events, cells).unwrap(),
            first_offset,
            last_offset,
        },
    )
}

pub(crate) fn any_unit() -> impl Strategy<Value = UnitState> {
    let open = prop::collection::btree_map(any::<i64>().prop_map(PaneId), any_pane(), 0..4);
    let splice = (any::<i64>(), any::<Option<i64>>(), any::<u64>()).prop_map(
        |(offset, timestamp_ms, hash)| Splice {
            offset,
            timestamp_ms,
            hash,
        },
    );
    let outcomes = prop::collection::vec(any::<u64>(), 0..7);
    let account = (any::<i64>(), any::<u64>(), any::<u64>(), outcomes);
    let gap = (any::<i64>(), any::<i64>(), any::<bool>());
    let gaps = prop::collection::vec(gap, 0..20).prop_map(|all| {
        let mut gaps = Gaps::default();
        for (from_ms, through_ms, closes) in all {
            gaps.open(from_ms, through_ms, i64::MAX);
            if closes {
                gaps.close(through_ms);
            }
        }
        gaps
    });
    let log = (prop::option::of(splice), prop::option::of(".{0,30}"), gaps);
    (any::<i64>(), any::<Option<i64>>(), open, account, log).prop_map(
        |(
            next_offset,
            greatest_ms,
            open,
            (began_at, absent, lost, outcomes),
            (splice, log_id, gaps),
        )| UnitState {
            next_offset,
            greatest_ms,
            open,
            outcomes,
            splice,
            began_at,
            absent,
            lost,
            gaps,
            log_id,
        },
    )
}
