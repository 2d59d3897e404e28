//! Stored types as earlier versions of the program wrote them, and what they stand for today.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Splice, UnitState};
use crate::drift::{Gaps, Pane, PaneId};

/// [`UnitState`] of codec version 1. It knew of no lost records and of no ids of topics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct UnitStateV1 {
    pub(super) next_offset: i64,
    pub(super) greatest_ms: Option<i64>,
    pub(super) open: BTreeMap<PaneId, Pane>,
    pub(super) outcomes: Vec<u64>,
    pub(super) splice: Option<Splice>,
}

impl From<UnitStateV1> for UnitState {
    /// Where the state began is not known any more: as far back as there are records, as if there
    /// had been nothing but records.
    fn from(old: UnitStateV1) -> Self {
        let counted = old.outcomes.iter().sum::<u64>();
        Self {
            began_at: old.next_offset.saturating_sub_unsigned(counted),
            next_offset: old.next_offset,
            greatest_ms: old.greatest_ms,
            open: old.open,
            outcomes: old.outcomes,
            splice: old.splice,
            absent: 0,
            lost: 0,
            gaps: Gaps::default(),
            log_id: None,
        }
    }
}
