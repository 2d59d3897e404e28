//! Two monitors over the same partitions, read in any order, with their windows really closing.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::app::closing::Closing;
use crate::app::messages::Progress;
use crate::app::unit::SealStamp;
use crate::drift::{Cell, Layout, PaneCounts, PaneSpec, PartitionPanes, WindowRing, WindowSpec};
use crate::state::UnitKey;

const PANES: PaneSpec = PaneSpec {
    width_ms: 10,
    offset_ms: 0,
    lateness_ms: 0,
    max_future_skew_ms: i64::MAX,
};
const WINDOW: i64 = 3;
const ROOM: Room = Room {
    window: WINDOW,
    most: 2 * WINDOW as usize,
};

fn at(frontier: &Frontier, sealed_before: i64, paused: bool) -> Stand {
    Stand::of(Some(PaneId(sealed_before)), frontier, ROOM, paused)
}

#[test]
fn only_what_is_more_than_a_window_ahead_of_a_full_monitor_waits() {
    let frontier = Frontier::default();
    assert_eq!(
        at(&frontier, 1000, false),
        Stand::InStep,
        "before any event"
    );
    frontier.hold(Some(PaneId(100)), ROOM.most);
    assert_eq!(at(&frontier, 1000, false), Stand::InStep, "there is room");
    frontier.hold(Some(PaneId(100)), ROOM.most + 1);
    assert_eq!(at(&frontier, 100 + WINDOW, false), Stand::InStep);
    assert_eq!(at(&frontier, 101 + WINDOW, false), Stand::TooFarAhead);
    assert_eq!(at(&frontier, 99, false), Stand::Awaited);
    let untouched = Stand::of(None, &frontier, ROOM, false);
    assert_eq!(untouched, Stand::Awaited);
}

#[test]
fn a_paused_partition_goes_on_when_half_of_the_room_is_free_or_it_is_near() {
    let frontier = Frontier::default();
    frontier.hold(Some(PaneId(100)), ROOM.most / 2 + 1);
    assert_eq!(at(&frontier, 110, true), Stand::TooFarAhead);
    assert_eq!(at(&frontier, 101, true), Stand::InStep);
    frontier.hold(Some(PaneId(100)), ROOM.most / 2);
    assert_eq!(at(&frontier, 110, true), Stand::InStep);
}

#[test]
fn a_partition_that_another_monitor_waits_for_is_read() {
    use Stand::{Awaited, InStep, TooFarAhead};
    assert!(is_to_wait([InStep, TooFarAhead]));
    assert!(!is_to_wait([TooFarAhead, Awaited]));
    assert!(!is_to_wait([InStep]));
    assert!(!is_to_wait([]));
}

#[test]
fn panes_on_their_way_are_held_too() {
    let frontier = Arc::new(Frontier::default());
    frontier.hold(Some(PaneId(0)), 0);
    let on_the_way = OnTheWay::new(&frontier, ROOM.most + 1);
    let told = Arc::clone(&on_the_way);
    drop(on_the_way);
    assert_eq!(at(&frontier, 50, false), Stand::TooFarAhead);
    drop(told);
    assert_eq!(at(&frontier, 50, false), Stand::InStep);
}

/// One monitor: what it has of each partition, and its windows.
struct Side {
    panes: Vec<PartitionPanes>,
    closing: Closing,
    frontier: Frontier,
}

/// Logs of event times, one for each of two monitors.
struct World {
    logs: Vec<Vec<[i64; 2]>>,
    read: Vec<usize>,
    paused: Vec<bool>,
    sides: Vec<Side>,
    base: Instant,
    most_held: usize,
}

impl World {
    fn new(logs: Vec<Vec<[i64; 2]>>) -> Self {
        let partitions: Vec<i32> = (0..).take(logs.len()).collect();
        let window = WindowSpec {
            size_ms: WINDOW * PANES.width_ms,
            slide_ms: PANES.width_ms,
        };
        let side = || {
            let ring = WindowRing::new(Layout::new([1]), PANES, window);
            let mut closing = Closing::new(PANES, window, ring, Duration::from_secs(10));
            closing.set_partitions(&partitions);
            Side {
                panes: vec![PartitionPanes::default(); logs.len()],
                closing,
                frontier: Frontier::default(),
            }
        };
        let mut world = Self {
            read: vec![0; logs.len()],
            paused: vec![false; logs.len()],
            sides: vec![side(), side()],
            base: Instant::now(),
            most_held: 0,
            logs,
        };
        for partition in 0..world.logs.len() {
            world.tell(partition);
        }
        world.settle();
        world
    }

    fn is_at_end(&self, partition: usize) -> bool {
        self.read[partition] == self.logs[partition].len()
    }

    /// Reads up to `n` records of a partition, as one turn of the loop does.
    fn turn(&mut self, partition: usize, n: usize) {
        let from = self.read[partition];
        let to = (from + n).min(self.logs[partition].len());
        for offset in from..to {
            for (side, time) in self.sides.iter_mut().zip(self.logs[partition][offset]) {
                let layout = Layout::new([1]);
                let cells = [Cell::Bucket(0)];
                side.panes[partition].record(&PANES, &layout, time, None, offset as i64, &cells);
            }
        }
        self.read[partition] = to;
        self.tell(partition);
        self.settle();
    }

    fn tell(&mut self, partition: usize) {
        let base = self.base;
        for side in &mut self.sides {
            let panes = &mut side.panes[partition];
            let sealed = panes.take_sealed(&PANES);
            let sealed_before = panes.sealed_before(&PANES);
            let stamp = |before| SealStamp {
                before,
                record_ms: None,
                seen: base,
            };
            side.closing.progress(Progress {
                key: UnitKey {
                    monitor: "m".into(),
                    topic: "t".into(),
                    partition: partition as i32,
                },
                sealed,
                sealed_before,
                greatest_ms: panes.greatest_ms(),
                first_open: panes.open().keys().next().copied(),
                last_open: panes.open().keys().next_back().copied(),
                newest_record_ms: None,
                gaps: crate::drift::Gaps::default(),
                _on_the_way: None,
                stamps: sealed_before.map(stamp).into_iter().collect(),
                arrived: base,
                assigned: base,
            });
        }
    }

    /// Windows close as far as they can, an hour later, so that every silence has been waited for.
    fn settle(&mut self) {
        let later = self.base + Duration::from_secs(3600);
        let at_end: Vec<bool> = (0..self.logs.len()).map(|p| self.is_at_end(p)).collect();
        for side in &mut self.sides {
            loop {
                if side.closing.watermark().is_some() {
                    continue;
                }
                let Some(stragglers) = side.closing.idle(later) else {
                    break;
                };
                if !stragglers.partitions.iter().all(|p| at_end[*p as usize]) {
                    break;
                }
                let open = stragglers.partitions.iter();
                let open = open.flat_map(|p| side.panes[*p as usize].open().iter());
                let open: Vec<(PaneId, PaneCounts)> =
                    open.map(|(id, pane)| (*id, pane.counts.clone())).collect();
                side.closing.pass_over(&open, later);
            }
            let held = side.closing.ring.panes();
            side.frontier.hold(side.closing.next_end(), held);
            self.most_held = self.most_held.max(held);
        }
        for partition in 0..self.logs.len() {
            let stands = self.sides.iter().map(|side| {
                let before = side.panes[partition].sealed_before(&PANES);
                Stand::of(before, &side.frontier, ROOM, self.paused[partition])
            });
            self.paused[partition] = is_to_wait(stands);
        }
    }

    /// Reads everything, the partition chosen each time by the next of `choices`.
    fn read_all(&mut self, choices: &[usize], chunk: usize) {
        for choice in choices.iter().cycle() {
            let ready = (0..self.logs.len()).filter(|p| !self.paused[*p] && !self.is_at_end(*p));
            let ready: Vec<usize> = ready.collect();
            if ready.is_empty() {
                let unread = (0..self.logs.len()).filter(|p| !self.is_at_end(*p));
                assert_eq!(unread.count(), 0, "every partition with records is paused");
                return;
            }
            self.turn(ready[choice % ready.len()], chunk);
        }
    }
}

fn any_times() -> impl Strategy<Value = Vec<[i64; 2]>> {
    // Forward at any pace, sometimes by a jump, sometimes back, and for each monitor differently.
    let step = prop_oneof![12 => 0i64..15, 1 => 100i64..2_000, 1 => -300i64..0];
    let steps = prop::collection::vec([step.clone(), step], 0..120);
    (steps, [0i64..3_000, 0i64..3_000]).prop_map(|(steps, mut now)| {
        let place = |step: [i64; 2]| {
            now = [now[0] + step[0], now[1] + step[1]];
            now
        };
        steps.into_iter().map(place).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// However the event times of two monitors order the partitions, something can be read until
    /// everything is.
    #[test]
    fn nothing_waits_for_ever(
        logs in prop::collection::vec(any_times(), 1..5),
        choices in prop::collection::vec(0usize..5, 1..30),
        chunk in 1usize..20,
    ) {
        World::new(logs).read_all(&choices, chunk);
    }

    /// Where both monitors see the same times, what is held is bounded whatever is read first.
    #[test]
    fn what_is_held_is_bounded(
        lengths in prop::collection::vec(100usize..400, 2..4),
        choices in prop::collection::vec(0usize..2, 1..4),
        chunk in 1usize..5,
    ) {
        let log = |length: usize| (0..length as i64).map(|t| [t * 10, t * 10]).collect();
        let partitions = lengths.len();
        let mut world = World::new(lengths.into_iter().map(log).collect());
        world.read_all(&choices, chunk);
        let bound = ROOM.most + WINDOW as usize + partitions * chunk;
        prop_assert!(world.most_held <= bound, "{} panes of {bound}", world.most_held);
    }
}
