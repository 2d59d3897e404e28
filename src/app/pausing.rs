//! Which partitions wait for the slower ones, so that the sealed panes between them stay bounded.
//!
//! A partition seals panes at the pace it is read; windows close at the pace of the slowest, and of
//! the evaluator. What lies between is held in memory. When a monitor holds too much, the
//! partitions that are more than one window ahead of its next window are paused.
//!
//! A partition that the next window of *any* monitor waits for is never paused. So every window
//! that is waited for has its partitions read, however differently the event times of two monitors
//! order them; and a partition that is silent, or at its end, is passed over as ever. How much is
//! held is asked of the evaluator, which has it from the store after a restart; before the first
//! window has closed, the window that will be the first is the one to be ahead of.
//!
//! One window is the least that may be held, not the most: pausing costs what the client has
//! fetched ahead, up to `queued.max.messages.kbytes` each time, and where panes are small that is
//! many windows' worth.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};

use crate::drift::PaneId;
use crate::monitor::Monitor;

/// Bytes of panes, over all monitors, that may be held in any case.
const HELD: usize = 64 << 20;
/// What a pane takes beside its cells.
const OVERHEAD: usize = 128;
/// Stands for "none yet".
const NONE: i64 = i64::MIN;

/// How far the windows of one monitor have closed, and what is held behind them. Its evaluator
/// writes it, the workers read it.
#[derive(Debug)]
pub(crate) struct Frontier {
    closed_through: AtomicI64,
    next_end: AtomicI64,
    /// Panes in the evaluator's windows.
    held: AtomicUsize,
    /// Panes that are on their way to the evaluator.
    coming: AtomicUsize,
}

impl Default for Frontier {
    fn default() -> Self {
        Self {
            closed_through: AtomicI64::new(NONE),
            next_end: AtomicI64::new(NONE),
            held: AtomicUsize::new(0),
            coming: AtomicUsize::new(0),
        }
    }
}

impl Frontier {
    /// The end of the last closed window; before the first one, a pane before all others.
    pub(crate) fn closed_through(&self) -> PaneId {
        PaneId(self.closed_through.load(Relaxed))
    }

    pub(crate) fn close_through(&self, end: PaneId) {
        self.closed_through.store(end.0, Relaxed);
    }

    /// The next window ends at `next_end`, and this many panes are held.
    pub(crate) fn hold(&self, next_end: Option<PaneId>, panes: usize) {
        self.next_end
            .store(next_end.map_or(NONE, |end| end.0), Relaxed);
        self.held.store(panes, Relaxed);
    }

    fn next_end(&self) -> Option<PaneId> {
        Some(PaneId(self.next_end.load(Relaxed))).filter(|end| end.0 != NONE)
    }

    fn panes(&self) -> usize {
        self.held.load(Relaxed) + self.coming.load(Relaxed)
    }
}

/// Sealed panes between a partition and its evaluator; they have arrived, or are lost, when this is
/// dropped.
#[derive(Debug)]
pub(crate) struct OnTheWay {
    frontier: Arc<Frontier>,
    panes: usize,
}

impl OnTheWay {
    pub(crate) fn new(frontier: &Arc<Frontier>, panes: usize) -> Arc<Self> {
        frontier.coming.fetch_add(panes, Relaxed);
        Arc::new(Self {
            frontier: Arc::clone(frontier),
            panes,
        })
    }
}

impl Drop for OnTheWay {
    fn drop(&mut self) {
        self.frontier.coming.fetch_sub(self.panes, Relaxed);
    }
}

/// How many panes one monitor may hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// In a window.
    window: i64,
    most: usize,
}

impl Room {
    /// For one of `monitors` that share the memory: that, or the window and one more.
    pub(crate) fn new(monitor: &Monitor, monitors: usize) -> Self {
        let definition = &monitor.definition;
        let window = definition.window.panes(&definition.panes).max(1);
        let two = usize::try_from(window.saturating_mul(2)).unwrap_or(usize::MAX);
        let memory = HELD / monitors.max(1) / pane_bytes(monitor);
        Self {
            window,
            most: two.max(memory),
        }
    }
}

/// What a pane of this monitor takes in memory.
pub(crate) fn pane_bytes(monitor: &Monitor) -> usize {
    monitor.layout.cells() * size_of::<u64>() + OVERHEAD
}

/// Where one partition stands for one monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    /// The next window waits for it.
    Awaited,
    InStep,
    /// More than a window ahead, and more is held than may be.
    TooFarAhead,
}

impl Stand {
    /// `sealed_before` is the partition's first pane that is not sealed. One that is paused goes on
    /// only once half of the room is free again, so that it is not paused and resumed in turns.
    pub(crate) fn of(
        sealed_before: Option<PaneId>,
        frontier: &Frontier,
        room: Room,
        paused: bool,
    ) -> Self {
        let Some(next_end) = frontier.next_end() else {
            return Self::InStep;
        };
        let Some(lead) = sealed_before.map(|before| before.0.saturating_sub(next_end.0)) else {
            return Self::Awaited;
        };
        let (most, window) = match paused {
            true => (room.most / 2, room.window / 2),
            false => (room.most, room.window),
        };
        if lead < 0 {
            Self::Awaited
        } else if lead > window && frontier.panes() > most {
            Self::TooFarAhead
        } else {
            Self::InStep
        }
    }
}

/// Whether a partition is to be paused, by where it stands for each of its monitors.
pub(crate) fn is_to_wait(stands: impl IntoIterator<Item = Stand>) -> bool {
    let mut too_far = false;
    for stand in stands {
        match stand {
            Stand::Awaited => return false,
            Stand::InStep => {}
            Stand::TooFarAhead => too_far = true,
        }
    }
    too_far
}

#[cfg(test)]
mod tests;
