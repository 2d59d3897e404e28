//! Panes and windows on the event-time axis, in milliseconds since the Unix epoch, UTC.
//!
//! A pane covers `[k·width, (k+1)·width)` plus `offset`; the window ending at E covers
//! `[E − size, E)` and is made of whole panes.

use serde::{Deserialize, Serialize};

/// The number k of a pane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaneId(pub i64);

/// How event time is cut into panes and what a partition accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaneSpec {
    /// > 0.
    pub width_ms: i64,
    pub offset_ms: i64,
    /// A pane is sealed once the partition's greatest event time ≥ its end + lateness.
    /// `i64::MAX` means unlimited: panes are sealed only at the end of the input.
    pub lateness_ms: i64,
    /// An event dated more than this after its own record is refused. Negative is never.
    pub max_future_skew_ms: i64,
}

impl PaneSpec {
    /// The pane that holds `event_ms`.
    #[must_use]
    pub fn pane(&self, event_ms: i64) -> PaneId {
        PaneId(
            event_ms
                .saturating_sub(self.offset_ms)
                .div_euclid(self.width_ms),
        )
    }

    /// First instant of the pane.
    #[must_use]
    pub fn start_ms(&self, pane: PaneId) -> i64 {
        pane.0
            .saturating_mul(self.width_ms)
            .saturating_add(self.offset_ms)
    }

    /// First instant after the pane.
    #[must_use]
    pub fn end_ms(&self, pane: PaneId) -> i64 {
        self.start_ms(PaneId(pane.0.saturating_add(1)))
    }

    /// The first pane that is not sealed when the greatest event time is `greatest_ms`: every
    /// pane before it is. `i64::MIN` when lateness is unlimited.
    #[must_use]
    pub fn sealed_before(&self, greatest_ms: i64) -> PaneId {
        if self.lateness_ms == i64::MAX {
            return PaneId(i64::MIN);
        }
        self.pane(greatest_ms.saturating_sub(self.lateness_ms))
    }
}

/// A hopping window: `size` is a whole multiple of `slide`, `slide` of the pane width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSpec {
    pub size_ms: i64,
    pub slide_ms: i64,
}

impl WindowSpec {
    /// Panes in a window.
    #[must_use]
    pub fn panes(&self, panes: &PaneSpec) -> i64 {
        self.size_ms / panes.width_ms
    }

    /// Panes from one window end to the next.
    #[must_use]
    pub fn step(&self, panes: &PaneSpec) -> i64 {
        self.slide_ms / panes.width_ms
    }

    /// The least window end, as the pane that follows it, at or after the end of `pane`. Window
    /// ends are multiples of the slide since the epoch, plus the offset.
    #[must_use]
    pub fn first_end_covering(&self, panes: &PaneSpec, pane: PaneId) -> PaneId {
        let step = self.step(panes).max(1);
        let end = pane.0.saturating_add(1);
        PaneId(
            end.saturating_add(step - 1)
                .div_euclid(step)
                .saturating_mul(step),
        )
    }

    /// The window that ends where the pane `end` starts.
    #[must_use]
    pub fn ending(&self, panes: &PaneSpec, end: PaneId) -> WindowBounds {
        let end_ms = panes.start_ms(end);
        WindowBounds {
            start_ms: end_ms.saturating_sub(self.size_ms),
            end_ms,
        }
    }
}

/// `[start_ms, end_ms)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WindowBounds {
    pub start_ms: i64,
    pub end_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn spec(offset_ms: i64) -> PaneSpec {
        PaneSpec {
            width_ms: 24 * HOUR,
            offset_ms,
            lateness_ms: HOUR,
            max_future_skew_ms: 0,
        }
    }

    #[test]
    fn an_offset_moves_the_start_of_the_day() {
        let spec = spec(5 * HOUR);
        assert_eq!(spec.pane(5 * HOUR - 1), PaneId(-1));
        assert_eq!(spec.pane(5 * HOUR), PaneId(0));
        assert_eq!(spec.start_ms(PaneId(1)), 29 * HOUR);
    }

    #[test]
    fn a_pane_is_sealed_when_time_reaches_its_end_plus_lateness() {
        let spec = spec(0);
        assert_eq!(spec.sealed_before(25 * HOUR - 1), PaneId(0));
        assert_eq!(spec.sealed_before(25 * HOUR), PaneId(1));
    }

    #[test]
    fn window_ends_lie_on_multiples_of_the_slide() {
        let window = WindowSpec {
            size_ms: 4 * HOUR,
            slide_ms: 2 * HOUR,
        };
        let panes = PaneSpec {
            width_ms: HOUR,
            ..spec(0)
        };
        assert_eq!(window.first_end_covering(&panes, PaneId(0)), PaneId(2));
        assert_eq!(window.first_end_covering(&panes, PaneId(1)), PaneId(2));
        assert_eq!(window.first_end_covering(&panes, PaneId(2)), PaneId(4));
        assert_eq!(window.first_end_covering(&panes, PaneId(-1)), PaneId(0));
        let bounds = window.ending(&panes, PaneId(2));
        assert_eq!((bounds.start_ms, bounds.end_ms), (-2 * HOUR, 2 * HOUR));
    }
}
