//! When windows close, decided from messages alone: no Kafka, no store, no clock of its own.
//!
//! A window closes when every partition has sealed its panes before the window's end; partitions
//! that have nothing more to give are passed over. See [`Closing::watermark`] and
//! [`Closing::idle`].

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::drift::{
    Gap, Gaps, PaneCounts, PaneId, PaneSpec, SealedPane, WindowRing, WindowSnapshot, WindowSpec,
};

use super::messages::Progress;
use super::unit::SealStamp;

/// Empty windows in a row above which they are passed over with one warning.
const MOST_EMPTY: i64 = 10_000;

/// A window that closed, and when the record that closed it was appended.
#[derive(Debug, Clone)]
pub(crate) struct Closed {
    pub snapshot: WindowSnapshot,
    pub record_ms: Option<i64>,
}

/// Partitions that could be passed over now, if the broker says that they were read to their end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stragglers {
    pub partitions: Vec<i32>,
}

pub(crate) struct Closing {
    panes: PaneSpec,
    window: WindowSpec,
    pub ring: WindowRing,
    idle_timeout: Duration,
    /// Every partition of the topic; `None` until something durable is known of it.
    partitions: BTreeMap<i32, Option<Reached>>,
    /// What is missing of partitions that are no more.
    retired: Vec<Gap>,
}

/// How far one partition has come.
#[derive(Debug, Clone)]
struct Reached {
    sealed_before: Option<PaneId>,
    greatest_ms: Option<i64>,
    first_open: Option<PaneId>,
    last_open: Option<PaneId>,
    newest_record_ms: Option<i64>,
    gaps: Gaps,
    stamps: VecDeque<SealStamp>,
    arrived: Instant,
    /// When this partition was assigned: a fresh one is not idle.
    assigned: Instant,
}

impl Reached {
    fn has_sealed(&self, end: PaneId) -> bool {
        self.sealed_before.is_some_and(|before| before >= end)
    }

    fn stamp(&self, end: PaneId) -> Option<&SealStamp> {
        self.stamps.iter().find(|s| s.before >= end)
    }
}

impl Closing {
    pub(crate) fn new(
        panes: PaneSpec,
        window: WindowSpec,
        ring: WindowRing,
        idle_timeout: Duration,
    ) -> Self {
        Self {
            panes,
            window,
            ring,
            idle_timeout,
            partitions: BTreeMap::new(),
            retired: Vec::new(),
        }
    }

    /// The partitions the topic has. Until each is heard of, no window closes by watermark. One that
    /// is no more is forgotten: the topic was made anew.
    pub(crate) fn set_partitions(&mut self, partitions: &[i32]) {
        self.partitions
            .retain(|known, _| partitions.contains(known));
        for partition in partitions {
            self.partitions.entry(*partition).or_insert(None);
        }
    }

    pub(crate) fn knows_partitions(&self) -> bool {
        !self.partitions.is_empty()
    }

    pub(crate) fn progress(&mut self, progress: Progress) {
        for sealed in progress.sealed {
            self.ring.add(sealed.id, sealed.pane.counts);
        }
        let entry = self.partitions.entry(progress.key.partition).or_default();
        let before = entry.take().filter(|r| r.assigned == progress.assigned);
        let mut stamps = before.map_or_else(VecDeque::new, |r| r.stamps);
        stamps.extend(progress.stamps);
        if let Some(end) = self.ring.closed_through() {
            while stamps.front().is_some_and(|s| s.before <= end) {
                stamps.pop_front();
            }
        }
        *entry = Some(Reached {
            sealed_before: progress.sealed_before,
            greatest_ms: progress.greatest_ms,
            first_open: progress.first_open,
            last_open: progress.last_open,
            newest_record_ms: progress.newest_record_ms,
            gaps: progress.gaps,
            stamps,
            arrived: progress.arrived,
            assigned: progress.assigned,
        });
        self.mark_gaps();
    }

    /// Takes panes of a partition out of the windows that are still to close, and holds these until
    /// it is heard of again. One that is no more leaves its gaps behind.
    pub(crate) fn forget(&mut self, partition: i32, sealed: &[SealedPane], gaps: &Gaps) {
        for sealed in sealed {
            self.ring.remove(sealed.id, &sealed.pane.counts);
        }
        match self.partitions.get_mut(&partition) {
            Some(reached) => *reached = None,
            None => self.retired.extend(gaps.all()),
        }
        self.mark_gaps();
    }

    fn mark_gaps(&mut self) {
        let reached = self.partitions.values().flatten();
        let gaps = reached.flat_map(|r| r.gaps.all());
        self.ring.set_gaps(gaps.chain(self.retired.iter().copied()));
    }

    /// The first pane of `partition` that is not known to be sealed and durable.
    pub(crate) fn sealed_before(&self, partition: i32) -> Option<PaneId> {
        self.partitions.get(&partition)?.as_ref()?.sealed_before
    }

    fn reached(&self) -> impl Iterator<Item = &Reached> {
        self.partitions.values().flatten()
    }

    pub(crate) fn next_end(&self) -> Option<PaneId> {
        let earliest_open = self.reached().filter_map(|r| r.first_open).min();
        self.ring.next_end(earliest_open)
    }

    /// The last pane that is known to hold an event.
    pub(crate) fn last_pane(&self) -> Option<PaneId> {
        let open = self.reached().filter_map(|r| r.last_open).max();
        open.max(self.ring.last())
    }

    /// Closes the next window if every partition has sealed its panes before its end. As long as it
    /// is not known which partitions there are, none of them can have.
    pub(crate) fn watermark(&mut self) -> Option<Closed> {
        let end = self.next_end().filter(|_| self.knows_partitions())?;
        let all_sealed = |r: &Option<Reached>| r.as_ref().is_some_and(|r| r.has_sealed(end));
        if !self.partitions.values().all(all_sealed) {
            return None;
        }
        let record_ms = self.sealed_by(end);
        Some(Closed {
            snapshot: self.ring.close(end, []),
            record_ms,
        })
    }

    /// When the record was appended that made the last partition seal the panes before `end`.
    fn sealed_by(&self, end: PaneId) -> Option<i64> {
        let by = |r: &Reached| r.stamp(end).map_or(r.newest_record_ms, |s| s.record_ms);
        let sealed = self.reached().filter(|r| r.has_sealed(end));
        sealed.filter_map(by).max()
    }

    /// Passes over a long run of empty windows and says how many they are.
    pub(crate) fn skip_empty(&mut self) -> i64 {
        let all = self.partitions.values();
        let reached = all.map(|r| r.as_ref().and_then(|r| r.sealed_before)).min();
        match reached.flatten() {
            Some(reached) => self.ring.skip_empty(reached, MOST_EMPTY),
            None => 0,
        }
    }

    /// As [`skip_empty`](Self::skip_empty), when `stragglers` are passed over: an open pane of theirs
    /// is as far as that may go, and one that has none holds up nothing.
    pub(crate) fn skip_empty_past(&mut self, stragglers: &Stragglers) -> i64 {
        let bound = |(partition, reached): (&i32, &Option<Reached>)| {
            let reached = reached.as_ref()?;
            match stragglers.partitions.contains(partition) {
                true => reached.first_open,
                false => reached.sealed_before,
            }
        };
        match self.partitions.iter().filter_map(bound).min() {
            Some(bound) => self.ring.skip_empty(bound, MOST_EMPTY),
            None => 0,
        }
    }

    /// The partitions that hold up the next window, when they may be passed over: the others have
    /// waited `idle_timeout` for this window, or, when all of them are silent, the wall clock
    /// since the last arrival stands in for event time and has reached the window's end.
    pub(crate) fn idle(&self, now: Instant) -> Option<Stragglers> {
        let end = self.next_end()?;
        let mut behind = Vec::new();
        let mut sealed_at: Option<Instant> = None;
        for (partition, reached) in &self.partitions {
            let reached = reached.as_ref()?;
            if reached.has_sealed(end) {
                let at = reached.stamp(end).map_or(reached.assigned, |s| s.seen);
                sealed_at = Some(sealed_at.map_or(at, |s| s.max(at)));
            } else if now.duration_since(reached.assigned) < self.idle_timeout {
                return None;
            } else {
                behind.push(*partition);
            }
        }
        let due = match sealed_at {
            Some(at) => now.duration_since(at) >= self.idle_timeout,
            None => self.silence_closes(end, now),
        };
        (due && !behind.is_empty()).then_some(Stragglers { partitions: behind })
    }

    fn silence_closes(&self, end: PaneId, now: Instant) -> bool {
        let greatest = self.reached().filter_map(|r| r.greatest_ms).max();
        let (Some(silent), Some(greatest), Some(last)) =
            (self.silent(now), greatest, self.last_pane())
        else {
            return false;
        };
        let clock = greatest.saturating_add(silent.as_millis() as i64);
        silent >= self.idle_timeout
            && self.panes.sealed_before(clock) >= end
            && end <= self.window.first_end_covering(&self.panes, last)
    }

    /// How long no partition has had a record.
    fn silent(&self, now: Instant) -> Option<Duration> {
        let arrived = self.reached().map(|r| r.arrived).max()?;
        Some(now.duration_since(arrived))
    }

    /// When a record would have been appended that closes a window in the place of silence: the
    /// silence is no older than it was watched, so that the last window of the day is news.
    fn silent_from(&self, now: Instant) -> Option<i64> {
        let newest = self.reached().filter_map(|r| r.newest_record_ms).max()?;
        let silent = self.silent(now)?.as_millis();
        Some(newest.saturating_add(i64::try_from(silent).unwrap_or(i64::MAX)))
    }

    /// Closes the next window over the sealed panes and the `open` ones of the partitions that are
    /// passed over.
    pub(crate) fn pass_over(
        &mut self,
        open: &[(PaneId, PaneCounts)],
        now: Instant,
    ) -> Option<Closed> {
        let end = self.next_end()?;
        let record_ms = self.sealed_by(end).or_else(|| self.silent_from(now));
        let open = open.iter().map(|(id, counts)| (*id, counts));
        Some(Closed {
            snapshot: self.ring.close(end, open),
            record_ms,
        })
    }
}

#[cfg(test)]
mod tests;
