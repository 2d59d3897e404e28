//! What is stored of one partition, filled with counts.

use psiren::drift::{Layout, Pane, PaneCounts, PaneId};
use psiren::state::UnitState;

/// Two open panes of so many features of 20 buckets.
pub(crate) fn unit(features: usize) -> UnitState {
    let layout = Layout::new(vec![20; features]);
    let pane = |last_offset| Pane {
        counts: filled(&layout),
        first_offset: 0,
        last_offset,
    };
    UnitState {
        open: [(PaneId(1), pane(500)), (PaneId(2), pane(1000))].into(),
        ..UnitState::fresh(0, None)
    }
}

/// Counts of some thousand events, spread unevenly.
pub(crate) fn filled(layout: &Layout) -> PaneCounts {
    let cells = (0..layout.cells() as u64).map(|i| i * 7919 % 1000);
    PaneCounts::from_cells(layout, 5000, cells.collect()).expect("a count per cell")
}
