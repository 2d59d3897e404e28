//! One source partition: its open panes, its event-time clock, and what it accepts.
//!
//! Acceptance is a pure function of the partition's own log: no wall clock and no other partition
//! takes part, so replaying the log gives the same panes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counts::{Cell, Layout, PaneCounts};
use super::window::{PaneId, PaneSpec};

/// The counts of one pane and the offsets of the first and last record they came from (closed).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pane {
    pub counts: PaneCounts,
    pub first_offset: i64,
    pub last_offset: i64,
}

/// A pane that will never change again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPane {
    pub id: PaneId,
    pub pane: Pane,
}

/// What became of one record with a valid event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acceptance {
    Counted,
    /// Its pane was sealed before it came.
    Late,
    /// Dated too far after its own record.
    Future,
}

/// The open panes of one partition for one monitor.
#[derive(Debug, Clone, Default)]
pub struct PartitionPanes {
    greatest_ms: Option<i64>,
    open: BTreeMap<PaneId, Pane>,
    /// Where the last event was counted, and the first pane that is not sealed.
    last: Option<Located>,
    first_open: Option<Located>,
}

/// A pane that was found by its time. The times that follow mostly lie in it, and dividing for each
/// of them would cost more than counting a value.
#[derive(Debug, Clone, Copy)]
struct Located {
    spec: PaneSpec,
    id: PaneId,
    start_ms: i64,
    end_ms: i64,
}

impl Located {
    fn at(spec: &PaneSpec, ms: i64) -> Self {
        let id = spec.pane(ms);
        Self {
            spec: *spec,
            id,
            start_ms: spec.start_ms(id),
            end_ms: spec.end_ms(id),
        }
    }

    fn holds(&self, spec: &PaneSpec, ms: i64) -> bool {
        self.start_ms <= ms && ms < self.end_ms && self.spec == *spec
    }
}

impl PartitionPanes {
    /// The panes and clock as they were stored.
    #[must_use]
    pub fn restore(greatest_ms: Option<i64>, open: BTreeMap<PaneId, Pane>) -> Self {
        Self {
            greatest_ms,
            open,
            ..Self::default()
        }
    }

    /// The greatest accepted event time; `None` before the first accepted event.
    #[must_use]
    pub fn greatest_ms(&self) -> Option<i64> {
        self.greatest_ms
    }

    #[must_use]
    pub fn open(&self) -> &BTreeMap<PaneId, Pane> {
        &self.open
    }

    /// The first pane that is not sealed; `None` before the first accepted event.
    #[must_use]
    pub fn sealed_before(&self, spec: &PaneSpec) -> Option<PaneId> {
        let greatest_ms = self.greatest_ms?;
        let ms = greatest_ms.saturating_sub(spec.lateness_ms);
        let found = self.first_open.filter(|f| f.holds(spec, ms));
        Some(found.map_or_else(|| spec.sealed_before(greatest_ms), |f| f.id))
    }

    /// The pane of `event_ms`.
    fn find(&mut self, spec: &PaneSpec, event_ms: i64) -> PaneId {
        match self.last {
            Some(last) if last.holds(spec, event_ms) => last.id,
            _ => self.last.insert(Located::at(spec, event_ms)).id,
        }
    }

    /// Moves the clock on to `event_ms`, unless it is there already.
    fn advance(&mut self, spec: &PaneSpec, event_ms: i64) {
        if self
            .greatest_ms
            .is_some_and(|greatest| event_ms <= greatest)
        {
            return;
        }
        self.greatest_ms = Some(event_ms);
        let ms = event_ms.saturating_sub(spec.lateness_ms);
        if spec.lateness_ms < i64::MAX && !self.first_open.is_some_and(|f| f.holds(spec, ms)) {
            self.first_open = Some(Located::at(spec, ms));
        }
    }

    /// Counts one record in the pane of its event time, unless that pane is sealed or the event
    /// is dated more than `max_future_skew` after its own record (`record_ms`; `None` when the
    /// record has no timestamp, which guards nothing).
    pub fn record(
        &mut self,
        spec: &PaneSpec,
        layout: &Layout,
        event_ms: i64,
        record_ms: Option<i64>,
        offset: i64,
        cells: &[Cell],
    ) -> Acceptance {
        if record_ms.is_some_and(|r| event_ms > r.saturating_add(spec.max_future_skew_ms)) {
            return Acceptance::Future;
        }
        let id = self.find(spec, event_ms);
        if self
            .sealed_before(spec)
            .is_some_and(|first_open| id < first_open)
        {
            return Acceptance::Late;
        }
        let pane = self.open.entry(id).or_insert_with(|| Pane {
            counts: PaneCounts::zero(layout),
            first_offset: offset,
            last_offset: offset,
        });
        pane.counts.record(layout, cells);
        pane.last_offset = offset;
        self.advance(spec, event_ms);
        Acceptance::Counted
    }

    /// True when [`take_sealed`](Self::take_sealed) would give something.
    #[must_use]
    pub fn has_sealed(&self, spec: &PaneSpec) -> bool {
        match (self.sealed_before(spec), self.open.keys().next()) {
            (Some(first_open), Some(id)) => *id < first_open,
            _ => false,
        }
    }

    /// Removes the panes that are sealed, in ascending order.
    pub fn take_sealed(&mut self, spec: &PaneSpec) -> Vec<SealedPane> {
        let Some(first_open) = self.sealed_before(spec) else {
            return Vec::new();
        };
        let still_open = self.open.split_off(&first_open);
        std::mem::replace(&mut self.open, still_open)
            .into_iter()
            .map(|(id, pane)| SealedPane { id, pane })
            .collect()
    }

    /// Removes every pane: the end of a file seals them all.
    pub fn take_all(&mut self) -> Vec<SealedPane> {
        std::mem::take(&mut self.open)
            .into_iter()
            .map(|(id, pane)| SealedPane { id, pane })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn spec(lateness_ms: i64) -> PaneSpec {
        PaneSpec {
            width_ms: 10,
            offset_ms: 0,
            lateness_ms,
            max_future_skew_ms: 5,
        }
    }

    fn record(p: &mut PartitionPanes, spec: &PaneSpec, event_ms: i64, offset: i64) -> Acceptance {
        let layout = Layout::new([1]);
        p.record(spec, &layout, event_ms, None, offset, &[Cell::Bucket(0)])
    }

    #[test]
    fn an_event_is_late_only_when_its_pane_was_sealed_before_it_came() {
        let spec = spec(3);
        let mut p = PartitionPanes::default();
        assert_eq!(record(&mut p, &spec, 5, 0), Acceptance::Counted);
        assert_eq!(record(&mut p, &spec, 12, 1), Acceptance::Counted);
        assert_eq!(record(&mut p, &spec, 9, 2), Acceptance::Counted);
        assert!(!p.has_sealed(&spec));
        assert_eq!(record(&mut p, &spec, 13, 3), Acceptance::Counted);
        assert_eq!(record(&mut p, &spec, 9, 4), Acceptance::Late);
        let sealed = p.take_sealed(&spec);
        assert_eq!(sealed.len(), 1);
        assert_eq!(sealed[0].pane.counts.events, 2);
        assert_eq!(
            (sealed[0].pane.first_offset, sealed[0].pane.last_offset),
            (0, 2)
        );
    }

    #[test]
    fn a_future_event_moves_nothing() {
        let spec = spec(0);
        let layout = Layout::new([1]);
        let mut p = PartitionPanes::default();
        let cells = [Cell::Bucket(0)];
        let far = p.record(&spec, &layout, 106, Some(100), 0, &cells);
        assert_eq!((far, p.greatest_ms()), (Acceptance::Future, None));
        let near = p.record(&spec, &layout, 105, Some(100), 1, &cells);
        assert_eq!((near, p.greatest_ms()), (Acceptance::Counted, Some(105)));
    }

    #[test]
    fn unlimited_lateness_seals_nothing_before_the_end() {
        let spec = spec(i64::MAX);
        let mut p = PartitionPanes::default();
        record(&mut p, &spec, 1_000_000, 0);
        assert_eq!(record(&mut p, &spec, 0, 1), Acceptance::Counted);
        assert!(!p.has_sealed(&spec));
        assert_eq!(p.take_all().len(), 2);
    }

    proptest! {
        /// Wherever sealed panes are taken in between, the log alone decides what they hold.
        #[test]
        fn panes_equal_a_naive_recount_of_the_log(
            times in prop::collection::vec(0i64..200, 1..200),
            lateness in 0i64..30,
            take_every in 1usize..20,
        ) {
            let spec = spec(lateness);
            let mut p = PartitionPanes::default();
            let mut taken: BTreeMap<i64, u64> = BTreeMap::new();
            let mut naive: BTreeMap<i64, u64> = BTreeMap::new();
            let mut greatest = i64::MIN;
            for (i, t) in times.iter().enumerate() {
                let late = greatest >= (t / 10 + 1) * 10 + lateness;
                if !late {
                    *naive.entry(t / 10).or_default() += 1;
                    greatest = greatest.max(*t);
                }
                let got = record(&mut p, &spec, *t, i as i64);
                prop_assert_eq!(got == Acceptance::Late, late);
                if i % take_every == 0 {
                    for s in p.take_sealed(&spec) {
                        prop_assert!(taken.insert(s.id.0, s.pane.counts.events).is_none());
                    }
                }
            }
            for s in p.take_all() {
                prop_assert!(taken.insert(s.id.0, s.pane.counts.events).is_none());
            }
            prop_assert_eq!(taken, naive);
        }
    }
}
