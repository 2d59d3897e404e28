//! Spans of event time from which records of a partition are known to be missing: retention deleted
//! them before they were read, or the log they were in was replaced by another.
//!
//! What was lost had event times nobody knows. The rule: they lie between the newest pane that was
//! being counted when the loss was found and the first event that is counted after it, and not after
//! the loss was found, for a partition that no event comes to any more. Windows that
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
    open: Option<OpenGap>,
}

/// No event was counted after it yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct OpenGap {
    from_ms: i64,
    /// Where it ends at the earliest.
    at_least_ms: i64,
    /// Where it ends at the latest.
    at_most_ms: i64,
}

impl Gaps {
    /// Records went missing behind `from_ms`, at least up to `at_least_ms`, and no further than
    /// `at_most_ms`: what was lost was written before the loss was found. A gap that is still open
    /// grows.
    pub fn open(&mut self, from_ms: i64, at_least_ms: i64, at_most_ms: i64) {
        let new = OpenGap {
            from_ms,
            at_least_ms,
            at_most_ms: at_most_ms.max(at_least_ms),
        };
        let before = self.open.unwrap_or(new);
        self.open = Some(OpenGap {
            from_ms: new.from_ms.min(before.from_ms),
            at_least_ms: new.at_least_ms.max(before.at_least_ms),
            at_most_ms: new.at_most_ms.max(before.at_most_ms),
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
            through_ms: event_ms.clamp(gap.at_least_ms, gap.at_most_ms),
        });
    }

    /// Every gap; an open one reaches as far as it may.
    pub fn all(&self) -> impl Iterator<Item = Gap> {
        let open = self.open.map(|gap| Gap {
            from_ms: gap.from_ms,
            through_ms: gap.at_most_ms,
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
        gaps.open(10, 10, 99);
        assert_eq!(spans(&gaps), [(10, 99)]);
        gaps.close(30);
        gaps.close(40);
        assert_eq!(spans(&gaps), [(10, 30)]);
    }

    #[test]
    fn a_gap_that_is_open_grows_and_covers_at_least_what_was_said() {
        let mut gaps = Gaps::default();
        gaps.open(10, 20, 99);
        gaps.open(5, 15, 50);
        gaps.close(7);
        assert_eq!(spans(&gaps), [(5, 20)]);
    }

    #[test]
    fn a_gap_reaches_no_further_than_what_was_lost_can_be() {
        let mut gaps = Gaps::default();
        gaps.open(10, 10, 50);
        gaps.close(70);
        assert_eq!(spans(&gaps), [(10, 50)]);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let mut gaps = Gaps::default();
        for i in 0..20 {
            gaps.open(i, i, i);
            gaps.close(i);
        }
        assert_eq!(gaps.all().count(), MOST);
        assert_eq!(spans(&gaps)[0], (4, 4));
    }
}
