//! Spans of event time from which records of a partition are known to be missing: retention deleted
//! them before they were read, or the log they were in was replaced by another.
//!
//! What was lost had event times nobody knows. The rule: they lie between the newest pane that was
//! being counted when the loss was found and the first event that is counted after it. Windows that
//! overlap a gap have a coverage below 1, so they neither open nor end an incident.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// Gaps that are remembered; the oldest go first.
const MOST: usize = 16;

/// A span of event time in milliseconds since the Unix epoch, closed at both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub from_ms: i64,
    pub through_ms: i64,
}

/// The gaps of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Gaps {
    closed: VecDeque<Gap>,
    /// No event was counted after it yet: it goes on from `from_ms`, at least to `through_ms`.
    open: Option<Gap>,
}

impl Gaps {
    /// Records went missing behind `from_ms`, at least up to `through_ms`. A gap that is still open
    /// grows.
    pub fn open(&mut self, from_ms: i64, through_ms: i64) {
        let before = self.open.unwrap_or(Gap {
            from_ms,
            through_ms,
        });
        self.open = Some(Gap {
            from_ms: from_ms.min(before.from_ms),
            through_ms: through_ms.max(before.through_ms),
        });
    }

    /// An event is counted: an open gap ends there.
    pub fn close(&mut self, event_ms: i64) {
        let Some(gap) = self.open.take() else {
            return;
        };
        if self.closed.len() >= MOST {
            self.closed.pop_front();
        }
        self.closed.push_back(Gap {
            from_ms: gap.from_ms,
            through_ms: gap.through_ms.max(event_ms),
        });
    }

    /// Every gap; an open one reaches to the end of time.
    pub fn all(&self) -> impl Iterator<Item = Gap> {
        let open = self.open.map(|gap| Gap {
            through_ms: i64::MAX,
            ..gap
        });
        self.closed.iter().copied().chain(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(gaps: &Gaps) -> Vec<(i64, i64)> {
        gaps.all().map(|g| (g.from_ms, g.through_ms)).collect()
    }

    #[test]
    fn a_gap_reaches_from_the_loss_to_the_first_event_after_it() {
        let mut gaps = Gaps::default();
        gaps.close(5);
        assert_eq!(spans(&gaps), []);
        gaps.open(10, 10);
        assert_eq!(spans(&gaps), [(10, i64::MAX)]);
        gaps.close(30);
        gaps.close(40);
        assert_eq!(spans(&gaps), [(10, 30)]);
    }

    #[test]
    fn a_gap_that_is_open_grows_and_covers_at_least_what_was_said() {
        let mut gaps = Gaps::default();
        gaps.open(10, 20);
        gaps.open(5, 15);
        gaps.close(7);
        assert_eq!(spans(&gaps), [(5, 20)]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut gaps = Gaps::default();
        for i in 0..20 {
            gaps.open(i, i);
            gaps.close(i);
        }
        assert_eq!(gaps.all().count(), MOST);
        assert_eq!(spans(&gaps)[0], (4, 4));
    }
}
