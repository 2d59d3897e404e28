//! The report log, its history and the cursors.

use proptest::prelude::*;

use crate::state::fixtures::{end_of, evaluator, notice, report};
use crate::state::local::{LocalOptions, LocalStore};
use crate::state::{EvaluatorState, ReportLog};

fn open(dir: &tempfile::TempDir) -> LocalStore {
    LocalStore::open(dir.path(), LocalOptions::default()).unwrap()
}

fn ends(store: &LocalStore, monitor: &str, from: i64, to: i64, limit: usize) -> Vec<i64> {
    let history = store.history(monitor, from, to, limit).unwrap();
    history.iter().map(end_of).collect()
}

#[test]
fn a_store_without_a_monitor_says_so_by_defaults() {
    let store = LocalStore::in_memory().unwrap();
    assert_eq!(store.evaluator("m").unwrap(), EvaluatorState::default());
    assert_eq!(store.cursor("csv").unwrap(), None);
    assert_eq!(ReportLog::read(&store, 0, 10).unwrap(), []);
    assert_eq!(store.expire(i64::MAX).unwrap(), 0);
}

#[test]
fn entries_are_numbered_from_1_without_gaps_over_restarts_and_expiry() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(&dir);
    assert_eq!(store.commit("m", &evaluator(1), &[], None).unwrap(), 0);
    let two = [report("m", 10, 100), notice("m", 101)];
    assert_eq!(store.commit("m", &evaluator(2), &two, None).unwrap(), 2);
    drop(store);
    let store = open(&dir);
    assert_eq!(store.evaluator("m").unwrap(), evaluator(2));
    let third = report("n", 20, 102);
    assert_eq!(
        store
            .commit("n", &evaluator(3), std::slice::from_ref(&third), None)
            .unwrap(),
        3
    );
    assert_eq!(store.expire(i64::MAX).unwrap(), 3);
    assert_eq!(store.commit("m", &evaluator(4), &[], None).unwrap(), 3);
    drop(store);
    let store = open(&dir);
    assert_eq!(
        store
            .commit("n", &evaluator(5), std::slice::from_ref(&third), None)
            .unwrap(),
        4
    );
    assert_eq!(ReportLog::read(&store, 0, 10).unwrap(), [(4, third)]);
}

#[test]
fn a_reader_goes_on_behind_what_it_has() {
    let store = LocalStore::in_memory().unwrap();
    let entries: Vec<_> = (1..=5).map(|i| report("m", i * 10, i)).collect();
    store.commit("m", &evaluator(1), &entries, None).unwrap();
    let read = |after, limit| ReportLog::read(&store, after, limit).unwrap();
    assert_eq!(
        read(3, 10),
        [(4, entries[3].clone()), (5, entries[4].clone())]
    );
    assert_eq!(read(0, 1), [(1, entries[0].clone())]);
    assert_eq!(read(5, 10), []);
    assert_eq!(read(u64::MAX, 10), []);
    assert_eq!(read(0, 0), []);
}

#[test]
fn history_gives_the_last_reports_between_both_ends() {
    let store = LocalStore::in_memory().unwrap();
    let entries = [
        report("m", 10, 1),
        report("m", 30, 2),
        notice("m", 2),
        report("mm", 20, 2),
        report("m", 20, 3),
        report("m", 30, 4),
    ];
    store.commit("m", &evaluator(1), &entries, None).unwrap();
    assert_eq!(ends(&store, "m", 10, 30, 10), [10, 30, 20, 30]);
    assert_eq!(ends(&store, "m", 11, 29, 10), [20]);
    assert_eq!(ends(&store, "m", i64::MIN, i64::MAX, 2), [20, 30]);
    assert_eq!(ends(&store, "mm", 0, 100, 10), [20]);
    assert_eq!(ends(&store, "m", 30, 10, 10), [0; 0]);
    assert_eq!(ends(&store, "m", 0, 100, 0), [0; 0]);
}

#[test]
fn expiry_drops_entries_from_the_log_and_the_history() {
    let store = LocalStore::in_memory().unwrap();
    let entries = [
        report("m", 10, 100),
        notice("m", 101),
        report("m", 20, 200),
        report("m", 30, 150),
    ];
    store.commit("m", &evaluator(1), &entries, None).unwrap();
    assert_eq!(store.expire(100).unwrap(), 0);
    assert_eq!(store.expire(180).unwrap(), 2, "the third keeps the fourth");
    assert_eq!(ends(&store, "m", 0, 100, 10), [20, 30]);
    assert_eq!(ReportLog::read(&store, 0, 10).unwrap()[0].0, 3);
}

#[test]
fn a_cursor_is_the_last_one_that_was_set() {
    let store = LocalStore::in_memory().unwrap();
    store.set_cursor("csv", b"one").unwrap();
    store.set_cursor("slack", b"").unwrap();
    store.set_cursor("csv", &[0, 255]).unwrap();
    assert_eq!(store.cursor("csv").unwrap(), Some(vec![0, 255]));
    assert_eq!(store.cursor("slack").unwrap(), Some(Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn history_equals_a_search_through_the_whole_log(
        ends_ms in prop::collection::vec((any::<bool>(), 0i64..20), 0..30),
        from in 0i64..20, to in 0i64..20, limit in 0usize..10,
    ) {
        let store = LocalStore::in_memory().unwrap();
        let name = |other| if other { "b" } else { "a" };
        for (other, end) in &ends_ms {
            store.commit(name(*other), &evaluator(*end), &[report(name(*other), *end, 0)], None).unwrap();
        }
        let mut expected: Vec<i64> = ends_ms.iter()
            .filter(|(other, end)| !other && (from..=to).contains(end))
            .map(|(_, end)| *end).collect();
        expected.drain(..expected.len().saturating_sub(limit));
        prop_assert_eq!(ends(&store, "a", from, to, limit), expected);
    }
}
