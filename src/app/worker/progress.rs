//! How far a unit has come, as its evaluator is told.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Watched;
use crate::app::messages::Progress;
use crate::app::pausing::OnTheWay;
use crate::app::unit::{SealStamp, Unit};
use crate::drift::PaneId;
use crate::monitor::Monitor;
use crate::state::UnitKey;

pub(super) fn progress_of(
    unit: &mut Unit,
    watched: &Watched,
    (assigned, arrived): (Instant, Instant),
) -> Progress {
    let definition = &watched.monitor.definition;
    let open = unit.panes().open();
    Progress {
        _on_the_way: Some(OnTheWay::new(&watched.frontier, unit.sealed.len())),
        first_open: open.keys().next().copied(),
        last_open: open.keys().next_back().copied(),
        sealed: unit.sealed.clone(),
        sealed_before: unit.panes().sealed_before(&definition.panes),
        greatest_ms: unit.panes().greatest_ms(),
        newest_record_ms: unit.splice().and_then(|s| s.timestamp_ms),
        gaps: unit.gaps().clone(),
        stamps: std::mem::take(&mut unit.stamps),
        arrived,
        assigned,
        key: unit.key.clone(),
    }
}

/// The progress a stored unit stands at, before anything new is read.
pub(crate) fn restored_progress(
    key: &UnitKey,
    state: &crate::state::UnitState,
    monitor: &Monitor,
    assigned: Instant,
) -> Progress {
    let panes = &monitor.definition.panes;
    let open: &BTreeMap<PaneId, _> = &state.open;
    let sealed_before = state.greatest_ms.map(|t| panes.sealed_before(t));
    let newest_record_ms = state.splice.and_then(|s| s.timestamp_ms);
    let stamp = |before| SealStamp {
        before,
        record_ms: newest_record_ms,
        seen: assigned,
    };
    Progress {
        key: key.clone(),
        sealed: Vec::new(),
        sealed_before,
        greatest_ms: state.greatest_ms,
        first_open: open.keys().next().copied(),
        last_open: open.keys().next_back().copied(),
        newest_record_ms,
        gaps: state.gaps.clone(),
        _on_the_way: None,
        stamps: sealed_before.map(stamp).into_iter().collect(),
        arrived: assigned,
        assigned,
    }
}
