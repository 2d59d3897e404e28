//! Units and sealed panes.

use proptest::prelude::*;

use crate::drift::{PaneId, SealedPane};
use crate::state::fixtures::{evaluator, key, pane, sealed, unit};
use crate::state::local::{LocalOptions, LocalStore};
use crate::state::{ReportLog, StateStore, UnitKey, UnitState};

fn panes(store: &LocalStore, monitor: &str) -> Vec<(i64, i32)> {
    let sealed = store.sealed(monitor).unwrap();
    sealed
        .iter()
        .map(|(unit, pane)| (pane.id.0, unit.partition))
        .collect()
}

#[test]
fn what_was_checkpointed_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let units = [
        (key("a", 0), unit(5)),
        (key("a", 1), unit(6)),
        (key("ab", 0), unit(7)),
    ];
    let sealed = [
        (key("a", 1), sealed(3, 2)),
        (key("a", 0), sealed(-2, 1)),
        (key("ab", 0), sealed(0, 1)),
    ];
    let store = LocalStore::open(dir.path(), LocalOptions::default()).unwrap();
    store.checkpoint(&sealed, &units).unwrap();
    drop(store);
    let store = LocalStore::open(dir.path(), LocalOptions::default()).unwrap();
    assert_eq!(store.units("a").unwrap(), units[..2]);
    assert_eq!(store.units("ab").unwrap(), units[2..]);
    assert_eq!(store.units("b").unwrap(), []);
    assert_eq!(
        store.sealed("a").unwrap(),
        [sealed[1].clone(), sealed[0].clone()]
    );
    assert_eq!(store.sealed("").unwrap(), []);
}

#[test]
fn a_late_checkpoint_of_an_overtaken_process_changes_nothing() {
    let store = LocalStore::in_memory().unwrap();
    let good = [(key("m", 0), unit(20)), (key("m", 1), unit(20))];
    store
        .checkpoint(&[(key("m", 0), sealed(3, 9))], &good)
        .unwrap();
    store
        .checkpoint(
            &[
                (key("m", 0), sealed(3, 5)),
                (key("m", 0), sealed(2, 4)),
                (key("m", 1), sealed(4, 21)),
            ],
            &[(key("m", 0), unit(19)), (key("m", 1), unit(22))],
        )
        .unwrap();
    let units = store.units("m").unwrap();
    assert_eq!(units[0], good[0]);
    assert_eq!(units[1].1, unit(22), "the other unit goes on");
    let stored = store.sealed("m").unwrap();
    assert_eq!(
        stored,
        [(key("m", 0), sealed(3, 9)), (key("m", 1), sealed(4, 21))]
    );
}

#[test]
fn a_sealed_pane_is_replaced_only_by_one_that_reaches_as_far() {
    let store = LocalStore::in_memory().unwrap();
    let put = |events, last_offset| {
        let id = PaneId(1);
        let pane = pane(events, last_offset);
        store
            .checkpoint(&[(key("m", 0), SealedPane { id, pane })], &[])
            .unwrap();
        store.sealed("m").unwrap()[0].1.pane.counts.events
    };
    assert_eq!(put(1, 10), 1);
    assert_eq!(put(2, 9), 1);
    assert_eq!(put(3, 10), 3);
    assert_eq!(put(4, 11), 4);
}

#[test]
fn panes_that_no_window_needs_are_dropped_for_that_monitor_only() {
    let store = LocalStore::in_memory().unwrap();
    let all: Vec<(UnitKey, SealedPane)> = ["a", "b"]
        .iter()
        .flat_map(|m| (-2..4).map(|id| (key(m, (id & 1) as i32), sealed(id, id + 10))))
        .collect();
    store.checkpoint(&all, &[]).unwrap();
    store.commit("a", &evaluator(4), &[], None).unwrap();
    assert_eq!(panes(&store, "a").len(), 6);
    store
        .commit("a", &evaluator(4), &[], Some(PaneId(2)))
        .unwrap();
    assert_eq!(panes(&store, "a"), [(2, 0), (3, 1)]);
    assert_eq!(panes(&store, "b").len(), 6);
}

#[test]
fn a_unit_that_was_set_aside_starts_over_at_a_lower_offset() {
    let store = LocalStore::in_memory().unwrap();
    let others = [(key("m", 1), unit(30)), (key("mm", 0), unit(30))];
    store
        .checkpoint(
            &[
                (key("m", 0), sealed(3, 9)),
                (key("m", 1), sealed(3, 9)),
                (key("m", 0), sealed(4, 20)),
                (key("mm", 0), sealed(3, 9)),
            ],
            &[
                (key("m", 0), unit(30)),
                others[0].clone(),
                others[1].clone(),
            ],
        )
        .unwrap();
    let fresh = UnitState::fresh(1, None);
    assert!(store.set_aside(&key("m", 0), &fresh, 1).unwrap());
    assert!(!store.set_aside(&key("m", 7), &fresh, 2).unwrap());
    let units = [(key("m", 0), fresh), others[0].clone()];
    assert_eq!(store.units("m").unwrap(), units);
    assert_eq!(panes(&store, "m"), [(3, 1)]);
    assert_eq!(panes(&store, "mm"), [(3, 0)]);
    store
        .checkpoint(&[(key("m", 0), sealed(3, 1))], &[(key("m", 0), unit(2))])
        .unwrap();
    assert_eq!(store.units("m").unwrap()[0].1, unit(2));
    assert_eq!(panes(&store, "m"), [(3, 0), (3, 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// In whatever order checkpoints of several processes arrive, the one that read furthest stays.
    #[test]
    fn the_furthest_unit_stays(offsets in prop::collection::vec((0i32..3, 0i64..20), 1..30)) {
        let store = LocalStore::in_memory().unwrap();
        for (partition, next_offset) in &offsets {
            store.checkpoint(&[], &[(key("m", *partition), unit(*next_offset))]).unwrap();
        }
        for (key, state) in store.units("m").unwrap() {
            let furthest = offsets.iter().filter(|(p, _)| *p == key.partition).map(|(_, o)| *o).max();
            prop_assert_eq!(Some(state.next_offset), furthest);
        }
    }
}
