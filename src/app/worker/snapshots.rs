//! What an evaluator is shown of the units: the panes that are not both sealed and durable.

use super::{Loop, Unit};
use crate::app::messages::UnitSnapshot;
use crate::drift::{PaneCounts, PaneId};
use crate::source::Source;

impl<S: Source + 'static> Loop<S> {
    pub(super) fn snapshot(&self, monitor: &str) -> Vec<UnitSnapshot> {
        let mut snapshots = Vec::new();
        for partition in &self.partitions {
            for unit in partition.units.iter().filter(|u| u.key.monitor == monitor) {
                snapshots.push(UnitSnapshot {
                    partition: unit.key.partition,
                    panes: self.panes_of(unit),
                    position: self.position(partition),
                    next_offset: unit.next_offset(),
                    last_counted: unit.last_counted,
                });
            }
        }
        snapshots
    }

    fn panes_of(&self, unit: &Unit) -> Vec<(PaneId, PaneCounts)> {
        let in_flight = self.in_flight.iter().flat_map(|sealed| sealed.iter());
        let in_flight = in_flight
            .filter(|(key, _)| *key == unit.key)
            .map(|(_, s)| s);
        let sealed = in_flight.chain(&unit.sealed);
        let open = unit.panes().open().iter();
        sealed
            .map(|s| (s.id, s.pane.counts.clone()))
            .chain(open.map(|(id, pane)| (*id, pane.counts.clone())))
            .collect()
    }
}
