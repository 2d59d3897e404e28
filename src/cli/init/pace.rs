//! How fast events come, and the window that follows from it. Pure; the law behind it is in
//! docs/choosing.md.

use super::events::Span;
use crate::cli::words::{span, time};
use crate::drift::WindowSpec;
use crate::text::{counted, grouped};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// A window should hold so many times what most features need.
const TIMES: u64 = 3;

/// Records between two event times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Pace {
    records: u64,
    span: Span,
}

impl Pace {
    /// `None` when that says nothing.
    pub(super) fn new(records: u64, span: Span) -> Option<Self> {
        (records > 1 && span.to_ms > span.from_ms).then_some(Self { records, span })
    }

    /// Events that a window holds.
    fn held(self, window: WindowSpec) -> u64 {
        let per_ms = self.records as f64 / (self.span.to_ms - self.span.from_ms) as f64;
        (per_ms * window.size_ms as f64).round() as u64
    }
}

/// A window, and the reasons for it, one sentence each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Proposal {
    pub(super) window: WindowSpec,
    pub(super) reasons: Vec<String>,
    /// It holds enough for a verdict on each feature, as far as is known.
    pub(super) enough: bool,
}

/// The shortest window of whole days that holds enough for every feature, and several times what most
/// of them need; `needed` is what each one needs for a verdict.
pub(super) fn propose(pace: Option<Pace>, needed: &[u64]) -> Proposal {
    let window = |size_ms, slide_ms| WindowSpec { size_ms, slide_ms };
    let ladder = [
        window(DAY, HOUR),
        window(7 * DAY, DAY),
        window(28 * DAY, DAY),
    ];
    let need = Need::of(needed);
    let verdict = match need.typical == need.most {
        true => format!("A verdict needs {} values.", grouped(need.most)),
        false => format!(
            "A verdict needs {} values on most features, and up to {}.",
            grouped(need.typical),
            grouped(need.most)
        ),
    };
    let Some(pace) = pace else {
        return Proposal {
            window: ladder[1],
            reasons: vec![
                verdict,
                "How many events come was not measured; `psiren validate` says what a window holds."
                    .to_owned(),
            ],
            enough: true,
        };
    };
    let plenty = |window: &&WindowSpec| need.is_met(pace.held(**window));
    let chosen = *ladder.iter().find(plenty).unwrap_or(&ladder[2]);
    let held = pace.held(chosen);
    let (from, to) = (time(pace.span.from_ms), time(pace.span.to_ms));
    let mut reasons = vec![
        format!(
            "Measured: {} between {from} and {to}, about {} in {}.",
            counted(pace.records, "record"),
            grouped(held),
            span(chosen.size_ms)
        ),
        verdict,
    ];
    let few = needed.iter().filter(|needed| **needed > held).count();
    if few > 0 {
        reasons.push(format!(
            "Too few for {}: choose a longer window, or fewer buckets for them.",
            counted(few as u64, "feature")
        ));
    } else if !need.is_met(held) {
        reasons.push("With so few values some windows read 0.1 by chance.".to_owned());
    } else if chosen == ladder[0] {
        reasons.push(
            "Where weekends differ from other days, 7d with a slide of 1d compares better."
                .to_owned(),
        );
    }
    Proposal {
        window: chosen,
        reasons,
        enough: few == 0,
    }
}

/// What features need for a verdict.
struct Need {
    typical: u64,
    most: u64,
}

impl Need {
    fn of(needed: &[u64]) -> Self {
        let mut sorted = needed.to_vec();
        sorted.sort_unstable();
        let middle = sorted.len().saturating_sub(1) / 2;
        Self {
            typical: sorted.get(middle).copied().unwrap_or(0),
            most: sorted.last().copied().unwrap_or(0),
        }
    }

    fn is_met(&self, held: u64) -> bool {
        held >= self.most && held >= TIMES * self.typical
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `records` in a day.
    fn daily(records: u64) -> Option<Pace> {
        let span = Span {
            from_ms: 0,
            to_ms: DAY,
        };
        Pace::new(records, span)
    }

    fn size(pace: Option<Pace>, needed: &[u64]) -> i64 {
        propose(pace, needed).window.size_ms / DAY
    }

    #[test]
    fn the_shortest_window_of_whole_days_with_enough_events_is_proposed() {
        let needed = [279, 867, 279];
        let sizes = [100_000, 867, 866, 124, 123].map(|n| size(daily(n), &needed));
        assert_eq!(sizes, [1, 1, 7, 7, 28]);
        assert_eq!(size(daily(836), &[279]), 7, "three times 279 are 837");
        assert_eq!(size(None, &needed), 7);
    }

    #[test]
    fn a_pace_that_is_too_slow_says_for_how_many_features() {
        let proposal = propose(daily(20), &[279, 867, 900]);
        assert!(!proposal.enough);
        let last = proposal.reasons.last().unwrap();
        assert!(last.starts_with("Too few for 2 features"), "{last}");
    }

    #[test]
    fn one_instant_is_no_pace() {
        let span = Span {
            from_ms: 5,
            to_ms: 5,
        };
        assert_eq!(Pace::new(1_000, span), None);
    }
}
