//! The panes, units and entries of step n.

use std::collections::BTreeMap;

use psiren::drift::{
    ClosedBy, DriftReport, DriftStatus, FeatureReport, Layout, Pane, PaneCounts, PaneId, Trigger,
    WindowBounds,
};
use psiren::state::{LogBody, LogEntry, NoticeKind, Splice, UnitKey, UnitState};

use crate::content::MONITOR;

const DAY_MS: i64 = 86_400_000;
/// 2013-03-01.
const START_MS: i64 = 1_362_096_000_000;

pub(crate) fn key(partition: i32) -> UnitKey {
    UnitKey {
        monitor: MONITOR.to_owned(),
        topic: "flights".to_owned(),
        partition,
    }
}

/// Counts that fill a few hundred bytes, none of them the same in two steps.
pub(crate) fn pane(n: i64, next_offset: i64) -> Pane {
    let layout = Layout::new([12, 20]);
    let cells = (0..layout.cells() as u64)
        .map(|cell| {
            cell.wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .wrapping_add(n as u64)
                >> 24
        })
        .collect();
    let counts = PaneCounts::from_cells(&layout, n as u64, cells);
    Pane {
        counts: counts.expect("one count per cell"),
        first_offset: next_offset - 10,
        last_offset: next_offset - 1,
    }
}

pub(crate) fn unit(n: i64, next_offset: i64) -> UnitState {
    UnitState {
        next_offset,
        greatest_ms: Some(START_MS + n * DAY_MS),
        open: BTreeMap::from([(PaneId(n + 1), pane(n + 1, next_offset + 5))]),
        outcomes: vec![next_offset as u64, 0, 1, 2, 3, 4],
        splice: Some(Splice {
            offset: next_offset - 1,
            timestamp_ms: Some(START_MS),
            hash: n as u64,
        }),
        ..UnitState::fresh(0, None)
    }
}

pub(crate) fn written_ms(n: i64) -> i64 {
    START_MS + n * 1000
}

/// What step `n` puts into the log: a report, and after every fifth one a notice.
pub(crate) fn entries(n: i64) -> Vec<LogEntry> {
    let mut bodies = vec![LogBody::Report(report(n))];
    if n % 5 == 0 {
        bodies.push(LogBody::Notice {
            kind: NoticeKind::Reminder,
            changes: Vec::new(),
            open: Vec::new(),
        });
    }
    bodies
        .into_iter()
        .map(|body| LogEntry {
            monitor: MONITOR.to_owned(),
            written_at_ms: written_ms(n),
            news: true,
            body,
        })
        .collect()
}

fn report(n: i64) -> DriftReport {
    let end_ms = START_MS + n * DAY_MS;
    DriftReport {
        monitor: MONITOR.to_owned(),
        segment: String::new(),
        trigger: Trigger::Final,
        window: WindowBounds {
            start_ms: end_ms - 7 * DAY_MS,
            end_ms,
        },
        closed_by: ClosedBy::Watermark,
        coverage: 1.0,
        events: n as u64,
        reference: "r".to_owned(),
        definition: "d".to_owned(),
        evaluated_at_ms: None,
        features: ["dep_delay", "carrier, \"x\""]
            .map(|name| feature(name, n))
            .to_vec(),
        changes: Vec::new(),
    }
}

fn feature(name: &str, n: i64) -> FeatureReport {
    FeatureReport {
        feature: name.into(),
        psi: Some(n as f64 / 7.0),
        status: DriftStatus::LikelyDrift,
        values: n as u64,
        missing: 1,
        invalid: 0,
        unseen: 0,
        buckets: vec![n as u64, 2, 3].into(),
    }
}
