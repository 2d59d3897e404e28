//! Windows close by messages alone, so every rule is told in messages; instants are counted from one
//! base.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::drift::{Cell, Layout, Pane, PartitionPanes};
use crate::state::UnitKey;

const PANES: PaneSpec = PaneSpec {
    width_ms: 10,
    offset_ms: 0,
    lateness_ms: 0,
    max_future_skew_ms: i64::MAX,
};
const WINDOW: WindowSpec = WindowSpec {
    size_ms: 20,
    slide_ms: 10,
};
const IDLE: Duration = Duration::from_secs(10);

fn layout() -> Layout {
    Layout::new([1])
}

fn closing(partitions: &[i32]) -> Closing {
    closing_of(PANES, WINDOW, partitions)
}

fn closing_of(panes: PaneSpec, window: WindowSpec, partitions: &[i32]) -> Closing {
    let ring = WindowRing::new(layout(), panes, window);
    let mut closing = Closing::new(panes, window, ring, IDLE);
    closing.set_partitions(partitions);
    closing
}

fn counts(events: u64) -> PaneCounts {
    let mut counts = PaneCounts::zero(&layout());
    (0..events).for_each(|_| counts.record(&layout(), &[Cell::Bucket(0)]));
    counts
}

fn after(base: Instant, seconds: u64) -> Instant {
    base + Duration::from_secs(seconds)
}

/// What a partition says that was assigned at `at` and has read nothing.
fn assigned(partition: i32, at: Instant) -> Progress {
    Progress {
        key: UnitKey {
            monitor: "m".into(),
            topic: "t".into(),
            partition,
        },
        sealed: Vec::new(),
        sealed_before: None,
        greatest_ms: None,
        first_open: None,
        last_open: None,
        newest_record_ms: None,
        gaps: Gaps::default(),
        _on_the_way: None,
        stamps: Vec::new(),
        arrived: at,
        assigned: at,
    }
}

fn sealed(id: i64, events: u64) -> SealedPane {
    SealedPane {
        id: PaneId(id),
        pane: Pane {
            counts: counts(events),
            first_offset: 0,
            last_offset: 0,
        },
    }
}

fn stamp(before: i64, record_ms: i64, seen: Instant) -> SealStamp {
    SealStamp {
        before: PaneId(before),
        record_ms: Some(record_ms),
        seen,
    }
}

/// A partition that has sealed `panes` of one event each at `seen`, its newest event in `open`.
fn reached(partition: i32, panes: &[i64], open: i64, seen: Instant, at: Instant) -> Progress {
    Progress {
        sealed: panes.iter().map(|id| sealed(*id, 1)).collect(),
        sealed_before: Some(PaneId(open)),
        greatest_ms: Some(open * 10),
        first_open: Some(PaneId(open)),
        last_open: Some(PaneId(open)),
        newest_record_ms: Some(open * 10),
        stamps: vec![stamp(open, open * 10, seen)],
        arrived: seen,
        ..assigned(partition, at)
    }
}

fn ends(closing: &mut Closing) -> Vec<(i64, u64)> {
    let closed = std::iter::from_fn(|| closing.watermark());
    closed
        .map(|c| (c.snapshot.bounds.end_ms, c.snapshot.counts.events))
        .collect()
}

#[test]
fn a_window_closes_when_the_last_partition_has_sealed_its_panes() {
    let base = Instant::now();
    let mut closing = closing(&[0, 1]);
    closing.progress(assigned(1, base));
    closing.progress(reached(0, &[0, 1], 2, base, base));
    assert!(closing.watermark().is_none(), "partition 1 may still give");
    closing.progress(reached(1, &[0], 1, base, base));
    assert_eq!(ends(&mut closing), [(10, 2)]);
    closing.progress(reached(1, &[1], 2, base, base));
    assert_eq!(ends(&mut closing), [(20, 4)]);
}

#[test]
fn a_partition_nothing_is_known_of_holds_every_window() {
    let base = Instant::now();
    let mut closing = closing(&[0, 1]);
    closing.progress(reached(0, &[0, 1], 2, base, base));
    assert!(closing.watermark().is_none());
    assert_eq!(closing.idle(after(base, 3600)), None);
    assert_eq!(closing.skip_empty(), 0);
}

#[test]
fn a_restored_monitor_closes_nothing_before_its_partitions_are_known() {
    let ring = WindowRing::new(layout(), PANES, WINDOW);
    let mut ring = ring.resume(Some(PaneId(3)), Some(PaneId(0)));
    ring.add(PaneId(3), counts(1));
    let mut closing = Closing::new(PANES, WINDOW, ring, IDLE);
    assert!(closing.watermark().is_none());
    assert_eq!(closing.skip_empty(), 0);
}

#[test]
fn an_empty_partition_is_passed_over_once_the_others_have_waited_for_this_window() {
    let base = Instant::now();
    let mut closing = closing(&[0, 1]);
    closing.progress(assigned(1, base));
    let late = after(base, 100);
    closing.progress(reached(0, &[0], 1, late, base));
    assert_eq!(closing.idle(after(base, 109)), None);
    let behind = Some(Stragglers {
        partitions: vec![1],
    });
    assert_eq!(closing.idle(after(base, 110)), behind);
    assert!(closing.pass_over(&[], after(base, 110)).is_some());
    // The next window is waited for anew, from when it was sealed.
    let later = after(base, 200);
    closing.progress(reached(0, &[1], 2, later, base));
    assert_eq!(closing.idle(after(base, 209)), None);
    assert_eq!(closing.idle(after(base, 210)), behind);
}

#[test]
fn a_partition_that_was_just_assigned_is_not_idle() {
    let base = Instant::now();
    let mut closing = closing(&[0, 1]);
    closing.progress(reached(0, &[0], 1, base, base));
    closing.progress(assigned(1, after(base, 60)));
    assert_eq!(closing.idle(after(base, 69)), None);
    assert!(closing.idle(after(base, 70)).is_some());
    closing.progress(assigned(1, after(base, 75)));
    assert_eq!(
        closing.idle(after(base, 84)),
        None,
        "it was assigned once more"
    );
}

#[test]
fn a_window_takes_the_latest_of_the_others_as_the_beginning_of_the_wait() {
    let base = Instant::now();
    let mut closing = closing(&[0, 1, 2]);
    closing.progress(assigned(2, base));
    closing.progress(reached(0, &[0], 1, after(base, 20), base));
    closing.progress(reached(1, &[0], 1, after(base, 50), base));
    assert_eq!(closing.idle(after(base, 59)), None);
    assert!(closing.idle(after(base, 60)).is_some());
}

#[test]
fn silence_closes_up_to_the_window_with_the_last_event_and_no_further() {
    let base = Instant::now();
    let mut closing = closing(&[0]);
    // The newest event is at 10 ms, in pane 1.
    closing.progress(reached(0, &[0], 1, base, base));
    assert_eq!(ends(&mut closing), [(10, 1)]);
    assert_eq!(closing.idle(after(base, 9)), None);
    assert!(closing.idle(after(base, 10)).is_some());
    let open = [(PaneId(1), counts(5))];
    let closed = closing.pass_over(&open, after(base, 10)).unwrap();
    assert_eq!(closed.snapshot.bounds.end_ms, 20);
    assert_eq!(closed.snapshot.counts.events, 6);
    assert_eq!(closing.idle(after(base, 1_000_000)), None);
}

#[test]
fn silence_stands_in_for_event_time_no_faster_than_the_clock() {
    let base = Instant::now();
    let panes = PaneSpec {
        width_ms: 60_000,
        lateness_ms: 5_000,
        ..PANES
    };
    let window = WindowSpec {
        size_ms: 60_000,
        slide_ms: 60_000,
    };
    let mut closing = closing_of(panes, window, &[0]);
    closing.progress(Progress {
        greatest_ms: Some(1_000),
        first_open: Some(PaneId(0)),
        last_open: Some(PaneId(0)),
        sealed_before: Some(PaneId(-1)),
        ..assigned(0, base)
    });
    assert_eq!(closing.idle(after(base, 63)), None);
    assert!(closing.idle(after(base, 64)).is_some());
}

#[test]
fn windows_without_events_between_others_close_too() {
    let base = Instant::now();
    let mut closing = closing(&[0]);
    closing.progress(reached(0, &[0, 4], 5, base, base));
    let expected = [(10, 1), (20, 1), (30, 0), (40, 0), (50, 1)];
    assert_eq!(ends(&mut closing), expected);
}

#[test]
fn a_jump_of_event_time_is_skipped_only_as_far_as_every_partition_has_sealed() {
    let base = Instant::now();
    let mut closing = closing(&[0, 1]);
    closing.progress(reached(0, &[0, 100_000], 100_001, base, base));
    closing.progress(reached(1, &[0], 20_000, base, base));
    assert_eq!(closing.watermark().unwrap().snapshot.bounds.end_ms, 10);
    assert_eq!(closing.watermark().unwrap().snapshot.bounds.end_ms, 20);
    assert_eq!(closing.skip_empty(), 19_997);
    assert_eq!(ends(&mut closing), [(200_000, 0)]);
    closing.progress(reached(1, &[20_000], 100_001, base, base));
    assert_eq!(ends(&mut closing)[0], (200_010, 1));
}

#[test]
fn a_jump_of_event_time_is_skipped_past_an_empty_partition_up_to_what_is_open() {
    let base = Instant::now();
    let now = after(base, 10);
    let mut closing = closing(&[0, 1]);
    closing.progress(assigned(1, base));
    closing.progress(reached(0, &[0, 100_000], 100_001, base, base));
    let behind = closing.idle(now).unwrap();
    assert_eq!(closing.skip_empty_past(&behind), 0, "nothing is closed yet");
    for end in [10, 20] {
        assert_eq!(closing.skip_empty_past(&behind), 0, "pane 0 still counts");
        let closed = closing.pass_over(&[], now).unwrap();
        assert_eq!(closed.snapshot.bounds.end_ms, end);
    }
    assert_eq!(closing.skip_empty_past(&behind), 99_998);
    assert_eq!(closing.idle(now), Some(behind));
    let closed = closing.pass_over(&[], now).unwrap();
    assert_eq!(closed.snapshot.bounds.end_ms, 1_000_010);
    assert_eq!(closed.snapshot.counts.events, 1);
}

#[test]
fn each_window_knows_the_record_that_closed_it_even_when_a_checkpoint_spans_years() {
    let base = Instant::now();
    let mut closing = closing(&[0, 1]);
    let year = 31_536_000_000;
    let history = |partition, shift: i64| Progress {
        stamps: (1..=3).map(|k| stamp(k, k * year + shift, base)).collect(),
        newest_record_ms: Some(50 * year),
        ..reached(partition, &[0, 1, 2], 3, base, base)
    };
    closing.progress(history(0, 0));
    closing.progress(history(1, 7));
    let closed: Vec<_> = std::iter::from_fn(|| closing.watermark()).collect();
    let records: Vec<_> = closed.iter().map(|c| c.record_ms.unwrap()).collect();
    assert_eq!(records, [year + 7, 2 * year + 7, 3 * year + 7]);
}

#[test]
fn history_that_idleness_closes_is_as_old_as_the_records_that_sealed_it() {
    let base = Instant::now();
    let mut closing = closing(&[0, 1]);
    closing.progress(assigned(1, base));
    closing.progress(Progress {
        stamps: vec![stamp(1, 1_000, base), stamp(2, 2_000, base)],
        newest_record_ms: Some(9_000_000),
        ..reached(0, &[0, 1], 2, base, base)
    });
    let now = after(base, 11);
    assert!(closing.idle(now).is_some());
    assert_eq!(closing.pass_over(&[], now).unwrap().record_ms, Some(1_000));
    assert_eq!(closing.pass_over(&[], now).unwrap().record_ms, Some(2_000));
}

#[test]
fn a_window_that_silence_closes_is_as_old_as_its_last_record_was_when_it_came() {
    let base = Instant::now();
    let mut closing = closing(&[0]);
    closing.progress(Progress {
        newest_record_ms: Some(500),
        ..reached(0, &[], 1, base, base)
    });
    let closed = closing.pass_over(&[], after(base, 3600)).unwrap();
    assert_eq!(closed.record_ms, Some(3_600_500));
}

#[test]
fn panes_that_were_passed_over_count_once_in_each_later_window() {
    let base = Instant::now();
    let mut closing = closing(&[0, 1]);
    closing.progress(reached(0, &[0, 1], 2, base, base));
    closing.progress(Progress {
        first_open: Some(PaneId(0)),
        last_open: Some(PaneId(0)),
        greatest_ms: Some(5),
        sealed_before: Some(PaneId(0)),
        ..assigned(1, base)
    });
    let open = [(PaneId(0), counts(3))];
    let now = after(base, 10);
    assert_eq!(
        closing
            .pass_over(&open, now)
            .unwrap()
            .snapshot
            .counts
            .events,
        4
    );
    // One more event comes to pane 0 before partition 1 seals it; the next window has all of it.
    closing.progress(Progress {
        sealed: vec![sealed(0, 4)],
        ..reached(1, &[], 2, now, base)
    });
    assert_eq!(ends(&mut closing), [(20, 6)]);
}

#[test]
fn forgotten_panes_leave_the_windows_that_are_still_to_close() {
    let base = Instant::now();
    let mut closing = closing(&[0, 1]);
    closing.progress(reached(0, &[0, 1], 2, base, base));
    closing.progress(reached(1, &[0, 1], 1, base, base));
    assert_eq!(ends(&mut closing), [(10, 2)]);
    closing.progress(reached(0, &[2], 3, base, base));
    let mut gaps = Gaps::default();
    gaps.open(0, 19, 1000);
    closing.forget(1, &[sealed(0, 1), sealed(1, 1)], &gaps);
    assert!(closing.watermark().is_none(), "it is not heard of yet");
    closing.progress(assigned(1, after(base, 1)));
    assert!(closing.watermark().is_none(), "its new log begins anew");
    gaps.close(5);
    let again = Progress {
        gaps,
        ..reached(1, &[], 2, base, after(base, 1))
    };
    closing.progress(again);
    let closed = closing.watermark().unwrap().snapshot;
    assert_eq!((closed.bounds.end_ms, closed.counts.events), (20, 2));
    assert_eq!(closed.coverage, 0.0);
}

#[test]
fn what_is_missing_of_a_partition_that_is_no_more_stays_marked() {
    let base = Instant::now();
    let mut closing = closing(&[0, 1]);
    closing.progress(reached(0, &[0], 1, base, base));
    closing.progress(reached(1, &[0], 1, base, base));
    assert_eq!(ends(&mut closing), [(10, 2)]);
    closing.set_partitions(&[0]);
    let mut gaps = Gaps::default();
    gaps.open(0, 15, 15);
    closing.forget(1, &[], &gaps);
    closing.progress(reached(0, &[1, 2], 3, base, base));
    let covered: Vec<_> = std::iter::from_fn(|| closing.watermark())
        .map(|closed| closed.snapshot.coverage)
        .collect();
    assert_eq!(covered, [0.0, 0.5]);
}

/// One partition of the property test as the worker holds it.
#[derive(Default)]
struct Reader {
    panes: PartitionPanes,
    read: usize,
    stamps: Vec<SealStamp>,
}

/// Event time; the record was appended at 1,000 times its place in the log.
type Log = Vec<i64>;

impl Reader {
    fn read(&mut self, panes: &PaneSpec, log: &Log, most: usize, now: Instant) {
        for (i, event_ms) in log.iter().enumerate().skip(self.read).take(most) {
            let before = self.panes.sealed_before(panes);
            let cells = [Cell::Bucket(0)];
            self.panes
                .record(panes, &layout(), *event_ms, None, i as i64, &cells);
            let sealed = self.panes.sealed_before(panes);
            if sealed != before {
                self.stamps
                    .extend(sealed.map(|PaneId(b)| stamp(b, i as i64 * 1000, now)));
            }
            self.read = i + 1;
        }
    }

    fn progress(&mut self, panes: &PaneSpec, partition: i32, now: Instant) -> Progress {
        let sealed = self.panes.take_sealed(panes);
        Progress {
            sealed,
            sealed_before: self.panes.sealed_before(panes),
            greatest_ms: self.panes.greatest_ms(),
            first_open: self.panes.open().keys().next().copied(),
            last_open: self.panes.open().keys().next_back().copied(),
            newest_record_ms: self.read.checked_sub(1).map(|i| i as i64 * 1000),
            stamps: std::mem::take(&mut self.stamps),
            ..assigned(partition, now)
        }
    }
}

/// Window end, events, and when the closing record was appended, by counting everything at once.
fn brute_force(panes: &PaneSpec, window: &WindowSpec, logs: &[Log]) -> Vec<(i64, u64, i64)> {
    let mut accepted = BTreeMap::<i64, u64>::new();
    // Per partition: after which record every pane before the first figure is sealed.
    let mut clocks: Vec<Vec<(i64, i64)>> = Vec::new();
    for log in logs {
        let mut greatest = i64::MIN;
        let mut clock = Vec::new();
        for (i, t) in log.iter().enumerate() {
            let pane = t.div_euclid(10);
            if greatest >= (pane + 1) * 10 + panes.lateness_ms {
                continue;
            }
            *accepted.entry(pane).or_default() += 1;
            greatest = greatest.max(*t);
            clock.push((
                (greatest - panes.lateness_ms).div_euclid(10),
                i as i64 * 1000,
            ));
        }
        clocks.push(clock);
    }
    let (size, slide) = (window.size_ms / 10, window.slide_ms / 10);
    let Some(first) = accepted.keys().next() else {
        return Vec::new();
    };
    let mut end = (first + slide).div_euclid(slide) * slide;
    let mut windows = Vec::new();
    loop {
        let sealed_by = |clock: &Vec<(i64, i64)>| clock.iter().find(|c| c.0 >= end).map(|c| c.1);
        let Some(by) = clocks.iter().map(sealed_by).collect::<Option<Vec<_>>>() else {
            return windows;
        };
        let events = accepted.range(end - size..end).map(|(_, n)| n).sum();
        windows.push((end * 10, events, by.into_iter().max().unwrap_or(0)));
        end += slide;
    }
}

fn any_log() -> impl Strategy<Value = Log> {
    // Mostly ascending, with stragglers and gaps.
    prop::collection::vec((0i64..30, -60i64..20), 0..60).prop_map(|steps| {
        let mut now = 0;
        let step = |(forward, jitter): (i64, i64)| {
            now += forward;
            now + jitter
        };
        steps.into_iter().map(step).collect()
    })
}

proptest! {
    #[test]
    fn watermark_closings_are_the_brute_force_windows_whatever_the_interleaving(
        logs in prop::collection::vec(any_log(), 1..4),
        moves in prop::collection::vec((0usize..4, 0usize..12), 0..60),
        lateness_ms in 0i64..40,
        (slide, per_window) in (1i64..4, 1i64..5),
    ) {
        let base = Instant::now();
        let panes = PaneSpec { lateness_ms, ..PANES };
        let window = WindowSpec { slide_ms: slide * 10, size_ms: slide * per_window * 10 };
        let numbers: Vec<i32> = (0..logs.len() as i32).collect();
        let mut closing = closing_of(panes, window, &numbers);
        let mut readers: Vec<Reader> = logs.iter().map(|_| Reader::default()).collect();
        let mut closed = Vec::new();
        let rest = (0..logs.len()).map(|p| (p, usize::MAX));
        for (p, most) in moves.into_iter().map(|(p, n)| (p % logs.len(), n)).chain(rest) {
            readers[p].read(&panes, &logs[p], most, base);
            closing.progress(readers[p].progress(&panes, p as i32, base));
            while let Some(c) = closing.watermark() {
                let at = c.record_ms.unwrap_or(-1);
                closed.push((c.snapshot.bounds.end_ms, c.snapshot.counts.events, at));
            }
        }
        prop_assert_eq!(closed, brute_force(&panes, &window, &logs));
    }
}
