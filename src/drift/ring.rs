//! Sealed panes of one monitor, merged over its partitions, and the sliding sum over them.
//!
//! Closing a window costs one addition per pane that enters and one subtraction per pane that
//! leaves, whatever the window's length.

use std::collections::BTreeMap;

use super::counts::{Layout, PaneCounts};
use super::gaps::Gap;
use super::window::{PaneId, PaneSpec, WindowBounds, WindowSpec};

/// The counts of one window, as it closes or as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowSnapshot {
    pub bounds: WindowBounds,
    pub counts: PaneCounts,
    /// Share of the window after the first event's pane began and outside of gaps, in [0, 1]; below
    /// 1 the window is still filling, or records of it are known to be missing.
    pub coverage: f64,
}

/// Sealed panes and the sum over the window that closed last.
#[derive(Debug, Clone)]
pub struct WindowRing {
    layout: Layout,
    panes: PaneSpec,
    window: WindowSpec,
    sealed: BTreeMap<PaneId, PaneCounts>,
    /// Σ of `sealed` over `span`.
    sum: PaneCounts,
    /// First pane in the sum, first pane after it.
    span: Option<(PaneId, PaneId)>,
    /// The end of the last closed window, as the pane that starts there.
    closed_through: Option<PaneId>,
    /// The first pane that ever held an event.
    first: Option<PaneId>,
    /// Panes of which records are known to be missing: first and last of each run, ascending, apart.
    gaps: Vec<(PaneId, PaneId)>,
}

impl WindowRing {
    #[must_use]
    pub fn new(layout: Layout, panes: PaneSpec, window: WindowSpec) -> Self {
        let sum = PaneCounts::zero(&layout);
        Self {
            layout,
            panes,
            window,
            sealed: BTreeMap::new(),
            sum,
            span: None,
            closed_through: None,
            first: None,
            gaps: Vec::new(),
        }
    }

    /// Goes on behind windows that were closed earlier; sealed panes are added afterwards.
    #[must_use]
    pub fn resume(mut self, closed_through: Option<PaneId>, first: Option<PaneId>) -> Self {
        self.closed_through = closed_through;
        self.first = first;
        self
    }

    /// The spans of event time from which records are known to be missing, in any order; they take
    /// the place of those that were known before.
    pub fn set_gaps(&mut self, gaps: impl IntoIterator<Item = Gap>) {
        let pane = |ms| self.panes.pane(ms);
        let mut runs: Vec<_> = gaps
            .into_iter()
            .map(|gap| (pane(gap.from_ms), pane(gap.through_ms)))
            .collect();
        runs.sort_unstable();
        self.gaps.clear();
        for (from, through) in runs {
            match self.gaps.last_mut() {
                Some((_, last)) if from <= *last => *last = through.max(*last),
                _ => self.gaps.push((from, through)),
            }
        }
    }

    #[must_use]
    pub fn closed_through(&self) -> Option<PaneId> {
        self.closed_through
    }

    /// The first pane that ever held an event.
    #[must_use]
    pub fn first(&self) -> Option<PaneId> {
        self.first
    }

    /// The last sealed pane that holds an event and still matters.
    #[must_use]
    pub fn last(&self) -> Option<PaneId> {
        self.sealed.keys().next_back().copied()
    }

    /// How many sealed panes are held.
    #[must_use]
    pub fn panes(&self) -> usize {
        self.sealed.len()
    }

    /// Panes before this one belong to no window that is still to close.
    #[must_use]
    pub fn needed_from(&self) -> Option<PaneId> {
        let end = self.closed_through?;
        let next = end.0 + self.window.step(&self.panes);
        Some(PaneId(next - self.window.panes(&self.panes)))
    }

    /// Takes in a sealed pane of one partition. A pane that no window needs any more is dropped:
    /// that happens only to a partition that was passed over for longer than a window.
    pub fn add(&mut self, id: PaneId, counts: PaneCounts) {
        if counts.events == 0 {
            return;
        }
        self.first = Some(self.first.map_or(id, |f| f.min(id)));
        if self.needed_from().is_some_and(|from| id < from) {
            return;
        }
        if self.span.is_some_and(|(from, to)| from <= id && id < to) {
            self.sum.merge(&counts);
        }
        match self.sealed.get_mut(&id) {
            Some(pane) => pane.merge(&counts),
            None => {
                self.sealed.insert(id, counts);
            }
        }
    }

    /// Undoes an [`add`](Self::add): the log the pane came from is no more. Windows that are closed
    /// keep it.
    pub fn remove(&mut self, id: PaneId, counts: &PaneCounts) {
        let Some(pane) = self.sealed.get_mut(&id) else {
            return;
        };
        pane.subtract(counts);
        if pane.events == 0 {
            self.sealed.remove(&id);
        }
        if self.span.is_some_and(|(from, to)| from <= id && id < to) {
            self.sum.subtract(counts);
        }
    }

    /// The end of the next window to close, as the pane that starts there. `earliest_open` is the
    /// first pane known elsewhere that could come before the sealed ones. `None` before the first
    /// event.
    #[must_use]
    pub fn next_end(&self, earliest_open: Option<PaneId>) -> Option<PaneId> {
        if let Some(end) = self.closed_through {
            return Some(PaneId(end.0 + self.window.step(&self.panes)));
        }
        let sealed = self.sealed.keys().next().copied();
        let first = match (sealed, earliest_open) {
            (Some(a), Some(b)) => a.min(b),
            (a, b) => a.or(b)?,
        };
        Some(self.window.first_end_covering(&self.panes, first))
    }

    /// Closes the window that ends at `end` (from [`next_end`](Self::next_end)): its sealed panes
    /// plus `open`, the panes of partitions that are passed over, which are not kept.
    pub fn close<'a>(
        &mut self,
        end: PaneId,
        open: impl IntoIterator<Item = (PaneId, &'a PaneCounts)>,
    ) -> WindowSnapshot {
        let from = PaneId(end.0 - self.window.panes(&self.panes));
        self.slide_to(from, end);
        self.closed_through = Some(end);
        let mut counts = self.take_sum();
        for (id, pane) in open {
            if from <= id && id < end {
                counts.merge(pane);
                self.first = Some(self.first.map_or(id, |f| f.min(id)));
            }
        }
        self.snapshot(end, counts)
    }

    /// The window that ends at `end` as it stands, with `open` panes added. Closes nothing.
    pub fn peek<'a>(
        &self,
        end: PaneId,
        open: impl IntoIterator<Item = (PaneId, &'a PaneCounts)>,
    ) -> WindowSnapshot {
        let from = PaneId(end.0 - self.window.panes(&self.panes));
        let mut counts = self.sum.clone();
        move_sum(&mut counts, self.span, (from, end), &self.sealed);
        for (id, pane) in open {
            if from <= id && id < end {
                counts.merge(pane);
            }
        }
        self.snapshot(end, counts)
    }

    /// Passes over the empty windows before `end` when there are more than `most` of them, and
    /// says how many were left out. `reached` is how far every partition has sealed: no pane
    /// before it can still come.
    pub fn skip_empty(&mut self, reached: PaneId, most: i64) -> i64 {
        let Some(closed) = self.closed_through else {
            return 0;
        };
        let step = self.window.step(&self.panes);
        let next = PaneId(closed.0 + step);
        let target = match self.sealed.keys().next() {
            Some(pane) if *pane < next => return 0,
            Some(pane) => {
                self.window
                    .first_end_covering(&self.panes, *pane)
                    .min(reached)
                    .0
            }
            None => reached.0,
        };
        let empty = (target - next.0).div_euclid(step);
        if empty <= most {
            return 0;
        }
        self.closed_through = Some(PaneId(closed.0 + empty * step));
        self.span = None;
        self.sum.clear();
        empty
    }

    /// The sum recomputed from its panes; always equal to the sliding sum.
    #[must_use]
    pub fn recount(&self) -> PaneCounts {
        let mut counts = PaneCounts::zero(&self.layout);
        if let Some((from, to)) = self.span {
            for pane in self.sealed.range(from..to).map(|(_, pane)| pane) {
                counts.merge(pane);
            }
        }
        counts
    }

    fn slide_to(&mut self, from: PaneId, to: PaneId) {
        move_sum(&mut self.sum, self.span, (from, to), &self.sealed);
        self.span = Some((from, to));
        debug_assert_eq!(self.sum, self.recount());
    }

    /// The sum, in whose place comes what the next window keeps of it; the panes that it leaves
    /// behind are dropped.
    fn take_sum(&mut self) -> PaneCounts {
        let (Some(needed), Some((from, to))) = (self.needed_from(), self.span) else {
            return self.sum.clone();
        };
        let mut rest: Option<PaneCounts> = None;
        // Splitting the map would walk over all that stays.
        while let Some(first) = self
            .sealed
            .first_entry()
            .filter(|pane| *pane.key() < needed)
        {
            let (id, pane) = first.remove_entry();
            if !(from..to).contains(&id) {
                continue;
            }
            match &mut rest {
                Some(rest) => rest.subtract(&pane),
                None => rest = Some(pane.left_of(&self.sum)),
            }
        }
        self.span = Some((needed.clamp(from, to), to));
        let rest = rest.unwrap_or_else(|| self.sum.clone());
        std::mem::replace(&mut self.sum, rest)
    }

    fn snapshot(&self, end: PaneId, counts: PaneCounts) -> WindowSnapshot {
        let bounds = self.window.ending(&self.panes, end);
        let began = self.first.map_or(bounds.end_ms, |f| self.panes.start_ms(f));
        let began = began.clamp(bounds.start_ms, bounds.end_ms);
        let missing = self.gaps.iter().map(|(from, through)| {
            let from = self.panes.start_ms(*from).max(began);
            let to = self.panes.end_ms(*through).min(bounds.end_ms);
            (to - from).max(0)
        });
        let covered = bounds.end_ms - began - missing.sum::<i64>();
        WindowSnapshot {
            bounds,
            counts,
            coverage: covered as f64 / self.window.size_ms as f64,
        }
    }
}

/// Moves the sum over the panes of one span to another: by what enters and leaves where they
/// overlap, whatever their length.
fn move_sum(
    sum: &mut PaneCounts,
    span: Option<(PaneId, PaneId)>,
    (from, to): (PaneId, PaneId),
    sealed: &BTreeMap<PaneId, PaneCounts>,
) {
    let panes = |from: PaneId, to: PaneId| sealed.range(from..to).map(|(_, pane)| pane);
    match span {
        Some((old_from, old_to)) if old_from <= from && from <= old_to && old_to <= to => {
            panes(old_from, from).for_each(|pane| sum.subtract(pane));
            panes(old_to, to).for_each(|pane| sum.merge(pane));
        }
        _ => {
            sum.clear();
            panes(from, to).for_each(|pane| sum.merge(pane));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::drift::counts::Cell;

    const PANES: PaneSpec = PaneSpec {
        width_ms: 10,
        offset_ms: 0,
        lateness_ms: 0,
        max_future_skew_ms: 0,
    };

    fn window(size: i64, slide: i64) -> WindowSpec {
        WindowSpec {
            size_ms: size,
            slide_ms: slide,
        }
    }

    fn pane(layout: &Layout, events: u64) -> PaneCounts {
        let mut counts = PaneCounts::zero(layout);
        for _ in 0..events {
            counts.record(layout, &[Cell::Bucket(0)]);
        }
        counts
    }

    #[test]
    fn panes_of_which_records_are_missing_are_not_covered() {
        let layout = Layout::new([1]);
        let mut ring = WindowRing::new(layout.clone(), PANES, window(40, 10));
        ring.add(PaneId(0), pane(&layout, 1));
        let gap = |from_ms, through_ms| Gap {
            from_ms,
            through_ms,
        };
        ring.set_gaps([gap(75, 81), gap(60, 69), gap(62, 70)]);
        let coverages: Vec<f64> = (5..14).map(|e| ring.peek(PaneId(e), []).coverage).collect();
        assert_eq!(coverages, [1.0, 1.0, 0.75, 0.5, 0.25, 0.25, 0.5, 0.75, 1.0]);
        ring.set_gaps([gap(60, i64::MAX)]);
        assert_eq!(ring.peek(PaneId(20), []).coverage, 0.0);
        assert_eq!(ring.peek(PaneId(6), []).coverage, 1.0);
    }

    #[test]
    fn coverage_grows_until_the_window_is_full() {
        let layout = Layout::new([1]);
        let mut ring = WindowRing::new(layout.clone(), PANES, window(40, 10));
        ring.add(PaneId(5), pane(&layout, 1));
        let end = ring.next_end(None).unwrap();
        assert_eq!(end, PaneId(6));
        let coverages: Vec<f64> = (6..11)
            .map(|e| ring.close(PaneId(e), []).coverage)
            .collect();
        assert_eq!(coverages, [0.25, 0.5, 0.75, 1.0, 1.0]);
    }

    #[test]
    fn a_long_gap_is_skipped_to_the_next_pane_with_events() {
        let layout = Layout::new([1]);
        let mut ring = WindowRing::new(layout.clone(), PANES, window(20, 10));
        ring.add(PaneId(0), pane(&layout, 1));
        ring.add(PaneId(100_000), pane(&layout, 1));
        assert_eq!(ring.close(PaneId(1), []).counts.events, 1);
        assert_eq!(
            ring.skip_empty(PaneId(100_001), 10_000),
            0,
            "pane 0 still counts"
        );
        assert_eq!(ring.close(PaneId(2), []).counts.events, 1);
        assert_eq!(ring.skip_empty(PaneId(100_001), 10_000), 99_998);
        assert_eq!(ring.next_end(None), Some(PaneId(100_001)));
        assert_eq!(ring.close(PaneId(100_001), []).counts.events, 1);
    }

    #[test]
    fn panes_of_a_passed_over_partition_count_in_later_windows() {
        let layout = Layout::new([1]);
        let mut ring = WindowRing::new(layout.clone(), PANES, window(20, 10));
        ring.add(PaneId(0), pane(&layout, 1));
        let open = pane(&layout, 2);
        assert_eq!(ring.close(PaneId(1), [(PaneId(0), &open)]).counts.events, 3);
        ring.add(PaneId(0), pane(&layout, 5));
        assert_eq!(ring.close(PaneId(2), []).counts.events, 6);
        ring.add(PaneId(0), pane(&layout, 7));
        assert_eq!(ring.close(PaneId(3), []).counts.events, 0);
    }

    proptest! {
        /// Panes arrive in any order and time, in pieces, some of which are taken back after the next
        /// window has closed; every window equals the brute-force sum.
        #[test]
        fn the_ring_equals_brute_force(
            mut pieces in prop::collection::vec((0i64..30, 1u64..4, any::<bool>()), 1..60),
            size in 1i64..6,
            slide_in_panes in 1i64..4,
        ) {
            let size = size * slide_in_panes;
            let layout = Layout::new([1]);
            let mut ring = WindowRing::new(layout.clone(), PANES, window(size * 10, slide_in_panes * 10));
            pieces.sort_by_key(|(id, ..)| *id);
            let first = pieces[0].0;
            let mut coming = pieces.into_iter().peekable();
            let mut held = Vec::new();
            let mut end = (first + 1 + slide_in_panes - 1).div_euclid(slide_in_panes) * slide_in_panes;
            while end <= 30 {
                while let Some(piece) = coming.next_if(|(id, ..)| *id < end) {
                    ring.add(PaneId(piece.0), pane(&layout, piece.1));
                    held.push(piece);
                }
                prop_assert_eq!(ring.next_end(None), Some(PaneId(end)));
                let naive: u64 = held.iter()
                    .filter(|(id, ..)| (end - size..end).contains(id))
                    .map(|(_, n, _)| n).sum();
                prop_assert_eq!(ring.peek(PaneId(end), []).counts.events, naive);
                prop_assert_eq!(ring.close(PaneId(end), []).counts.events, naive);
                for (id, n, _) in held.extract_if(.., |(.., taken_back)| *taken_back) {
                    ring.remove(PaneId(id), &pane(&layout, n));
                }
                end += slide_in_panes;
            }
        }
    }
}
