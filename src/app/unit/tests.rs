//! One unit and the records of its partition.

use super::*;
use crate::app::fixtures::{START, Scripted, WIDTH, config, keep_only, monitor};

struct Counting {
    unit: Unit,
    counter: Counter,
}

impl Counting {
    fn from(next_offset: i64) -> Self {
        let mut config = config("m");
        config.filters = vec![keep_only()];
        Self::with(&config, next_offset)
    }

    fn with(config: &crate::config::MonitorConfig, next_offset: i64) -> Self {
        let key = UnitKey {
            monitor: config.name.clone(),
            topic: config.topic.clone(),
            partition: 0,
        };
        let state = UnitState::fresh(next_offset, None);
        Self {
            unit: Unit::restore(key, 0, state),
            counter: Counter::new(monitor(config), false, Decoder::Fast),
        }
    }

    /// Whether it was counted.
    fn take(&mut self, record: &Scripted) -> bool {
        self.take_all(std::slice::from_ref(record)) == 1
    }

    /// How many were counted.
    fn take_all(&mut self, records: &[Scripted]) -> u64 {
        let run: Vec<_> = records.iter().map(|r| r.record(0)).collect();
        let every = PaneId(i64::MAX);
        let now = Instant::now();
        self.unit.take(&run, &mut self.counter, every, now)
    }

    fn outcome(&self, outcome: Outcome) -> u64 {
        self.unit.state().outcomes[outcome as usize]
    }
}

fn event(offset: i64, ms: i64) -> Scripted {
    Scripted::event(offset, START + ms, 5.0, "keep")
}

fn text(offset: i64, payload: &str) -> Scripted {
    Scripted {
        payload: Some(payload.to_owned()),
        ..event(offset, 0)
    }
}

#[test]
fn a_record_that_was_taken_before_is_skipped() {
    let mut counting = Counting::from(7);
    assert!(!counting.take(&event(6, 0)));
    assert!(!counting.unit.dirty);
    assert_eq!(counting.unit.state().outcomes, [0; 6]);
    assert!(counting.take(&event(7, 0)));
    assert!(!counting.take(&event(7, 0)));
    assert_eq!(counting.outcome(Outcome::Counted), 1);
}

#[test]
fn every_outcome_moves_the_offset_and_outcomes_add_up_to_the_records_taken() {
    let mut counting = Counting::from(0);
    let records = [
        (event(0, 5_000), Outcome::Counted),
        (event(1, 0), Outcome::Late),
        (event(4, 100_000_000), Outcome::Future),
        (
            Scripted {
                payload: None,
                ..event(5, 0)
            },
            Outcome::Tombstone,
        ),
        (text(6, "{"), Outcome::Invalid),
        (text(7, "[1]"), Outcome::Invalid),
        (text(8, r#"{"x":1,"k":"keep"}"#), Outcome::Invalid),
        (Scripted::event(11, START, 1.0, "drop"), Outcome::Filtered),
        (event(12, 5_001), Outcome::Counted),
    ];
    for (record, outcome) in &records {
        let before = counting.outcome(*outcome);
        let counted = counting.take(record);
        assert_eq!(counting.outcome(*outcome), before + 1, "{record:?}");
        assert_eq!(counted, *outcome == Outcome::Counted, "{record:?}");
        assert_eq!(counting.unit.next_offset(), record.offset + 1);
        let splice = counting.unit.splice().unwrap();
        assert_eq!(splice.offset, record.offset);
        assert_eq!(splice.hash, record.record(0).hash());
    }
    let outcomes: u64 = counting.unit.state().outcomes.iter().sum();
    assert_eq!(outcomes, records.len() as u64);
    assert_eq!(counting.unit.panes().greatest_ms(), Some(START + 5_001));
}

#[test]
fn every_offset_is_an_outcome_or_absent() {
    let mut c = Counting::from(10);
    c.take_all(&[
        event(10, 0),
        event(13, 0),
        text(14, "no event"),
        event(20, 0),
    ]);
    let account = c.unit.account();
    assert_eq!((account.passed, account.absent, account.lost), (11, 7, 0));
    assert_eq!(account.outcomes.iter().sum::<u64>(), 4);
    assert_eq!(c.unit.state().unaccounted(), 0);
}

#[test]
fn a_gap_ends_with_the_first_event_that_is_counted() {
    let mut c = Counting::from(0);
    let mut state = c.unit.state();
    state.gaps.open(START, START, START + 60_000);
    c.unit = Unit::restore(c.unit.key.clone(), 0, state);
    c.take(&text(0, "no event"));
    assert_eq!(
        c.unit.gaps().all().next().unwrap().through_ms,
        START + 60_000
    );
    c.take_all(&[event(1, 700), event(2, 900)]);
    let gaps: Vec<_> = c.unit.gaps().all().collect();
    assert_eq!(gaps.len(), 1);
    assert_eq!((gaps[0].from_ms, gaps[0].through_ms), (START, START + 700));
}

#[test]
fn sealed_panes_hold_the_offsets_they_came_from_and_the_record_that_sealed_them() {
    let mut counting = Counting::from(0);
    for record in [event(3, 0), event(5, 999), event(6, 1_100), event(8, 500)] {
        counting.take(&record);
    }
    assert!(counting.unit.sealed.is_empty(), "lateness is 300 ms");
    let mut sealing = event(9, 1_300);
    sealing.timestamp_ms = Some(START + 77);
    counting.take(&sealing);
    counting.take(&event(10, 10));
    assert_eq!(counting.outcome(Outcome::Late), 1);
    let [sealed] = &counting.unit.sealed[..] else {
        panic!("{:?}", counting.unit.sealed);
    };
    assert_eq!(sealed.id, PaneId(START / WIDTH));
    assert_eq!((sealed.pane.first_offset, sealed.pane.last_offset), (3, 8));
    assert_eq!(sealed.pane.counts.events, 3);
    let stamp = counting.unit.stamps.last().unwrap();
    assert_eq!(stamp.before, PaneId(START / WIDTH + 1));
    assert_eq!(stamp.record_ms, Some(START + 77));
    let open = counting.unit.state().open;
    assert_eq!(
        open.keys().collect::<Vec<_>>(),
        [&PaneId(START / WIDTH + 1)]
    );
}

#[test]
fn a_restored_unit_goes_on_as_if_it_had_never_stopped() {
    let records: Vec<_> = (0..40).map(|i| event(i, (i * 377) % 6_000)).collect();
    let mut whole = Counting::from(0);
    whole.take_all(&records);
    for cut in 0..records.len() {
        let mut first = Counting::from(0);
        first.take_all(&records[..cut]);
        let mut second = Counting::from(0);
        second.unit = Unit::restore(first.unit.key.clone(), 0, first.unit.state());
        second.take_all(&records);
        assert_eq!(second.unit.state(), whole.unit.state());
        let sealed = [first.unit.sealed, second.unit.sealed].concat();
        assert_eq!(sealed, whole.unit.sealed);
    }
}

#[test]
fn a_run_counts_as_its_records_do_one_by_one() {
    let records: Vec<_> = (0..40).map(|i| event(3 * i, (i * 377) % 6_000)).collect();
    let mut single = Counting::from(5);
    let counted = records.iter().filter(|r| single.take(r)).count();
    for cut in 0..=records.len() {
        let mut runs = Counting::from(5);
        let (before, after) = records.split_at(cut);
        let taken = runs.take_all(before) + runs.take_all(after);
        assert_eq!(taken, counted as u64);
        assert_eq!(runs.unit.state(), single.unit.state());
        assert_eq!(runs.unit.sealed, single.unit.sealed);
        assert_eq!(runs.unit.stamps.len(), single.unit.stamps.len());
    }
}

#[test]
fn only_what_is_counted_before_the_closed_panes_is_said() {
    let mut counting = Counting::from(0);
    let run: Vec<_> = [0, 1_100, 900]
        .iter()
        .zip(0..)
        .map(|(ms, i)| event(i, *ms))
        .collect();
    let run: Vec<_> = run.iter().map(|r| r.record(0)).collect();
    let closed = PaneId(START / WIDTH + 1);
    let after_close = counting
        .unit
        .take(&run, &mut counting.counter, closed, Instant::now());
    assert_eq!(after_close, 2);
}

#[test]
fn a_records_own_timestamp_is_event_time_only_within_sense() {
    let mut config = config("m");
    config.timestamp = None;
    let mut counting = Counting::with(&config, 0);
    for (offset, timestamp_ms, counted) in [
        (0, Some(START), true),
        (1, None, false),
        (2, Some(0), false),
        (3, Some(1_600_000_000), false),
    ] {
        let record = Scripted {
            timestamp_ms,
            ..event(offset, 0)
        };
        assert_eq!(counting.take(&record), counted, "{record:?}");
    }
    assert_eq!(counting.outcome(Outcome::Invalid), 3);
    assert_eq!(counting.unit.panes().greatest_ms(), Some(START));
}
