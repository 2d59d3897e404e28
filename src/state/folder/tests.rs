//! One rule at a time; all of them together are in the simulator.

use super::*;
use crate::state::disk::{Folder, Fuse};
use crate::state::fixtures::{end_of, evaluator, key, pane, report, sealed, unit};

fn on(folder: &Folder<Name>) -> FolderStore {
    FolderStore::new(folder.mount(Fuse::default()))
}

/// Everything that is not synced is lost, down to the last byte.
fn lose_power(folder: &Folder<Name>) {
    folder.lose_power(&mut |n| n - 1);
}

#[test]
fn what_was_checkpointed_is_there_after_power_was_lost() {
    let folder = Folder::default();
    let units = [(key("m", 0), unit(5)), (key("m", 1), unit(6))];
    let panes = [(key("m", 1), sealed(3, 2)), (key("m", 0), sealed(4, 1))];
    on(&folder).checkpoint(&panes, &units).unwrap();
    lose_power(&folder);
    assert_eq!(on(&folder).units("m").unwrap(), units);
    assert_eq!(on(&folder).sealed("m").unwrap(), panes);
    assert_eq!(on(&folder).units("mm").unwrap(), []);
}

#[test]
fn a_late_checkpoint_of_an_overtaken_process_changes_nothing() {
    let folder = Folder::default();
    let store = on(&folder);
    let good = (key("m", 0), unit(20));
    let stored = [(key("m", 0), sealed(3, 9))];
    store
        .checkpoint(&stored, std::slice::from_ref(&good))
        .unwrap();
    let late = [(key("m", 0), sealed(3, 5))];
    on(&folder)
        .checkpoint(&late, &[(key("m", 0), unit(19))])
        .unwrap();
    assert_eq!(store.units("m").unwrap(), [good]);
    assert_eq!(store.sealed("m").unwrap(), stored);
}

#[test]
fn a_process_may_die_in_every_operation_of_a_checkpoint() {
    let panes = [(key("m", 0), sealed(3, 4))];
    let mut open = unit(5);
    open.open.insert(PaneId(3), pane(1, 4));
    let (before, after) = ((key("m", 0), open), (key("m", 0), unit(9)));
    for operations in 0.. {
        let folder = Folder::default();
        on(&folder)
            .checkpoint(&[], std::slice::from_ref(&before))
            .unwrap();
        let fuse = Fuse::default();
        fuse.set(operations);
        let store = FolderStore::new(folder.mount(fuse));
        let done = store
            .checkpoint(&panes, std::slice::from_ref(&after))
            .is_ok();
        for _ in 0..2 {
            let found = on(&folder).units("m").unwrap();
            let sealed = on(&folder).sealed("m").unwrap();
            match &found[..] {
                [unit] if *unit == after => assert_eq!(sealed, panes),
                [unit] => assert!(!done && *unit == before && sealed.is_empty()),
                found => panic!("{found:?}"),
            }
            lose_power(&folder);
        }
        if done {
            assert!(operations > 5);
            return;
        }
    }
}

#[test]
fn a_torn_record_is_passed_over() {
    let folder = Folder::default();
    on(&folder)
        .checkpoint(&[], &[(key("m", 0), unit(5))])
        .unwrap();
    let bytes = codec::encode(&unit(9)).unwrap();
    let raw = folder.mount(Fuse::default());
    for length in 0..bytes.len() {
        let name = Key::Unit(key("m", 0)).reaching(9);
        raw.write(&name, &bytes[..length]).unwrap();
        assert_eq!(on(&folder).units("m").unwrap()[0].1, unit(5));
    }
    on(&folder)
        .checkpoint(&[], &[(key("m", 0), unit(9))])
        .unwrap();
    lose_power(&folder);
    assert_eq!(on(&folder).units("m").unwrap()[0].1, unit(9));
}

#[test]
fn a_pane_counts_as_sealed_only_once_its_unit_has_let_go_of_it() {
    let folder = Folder::default();
    let store = on(&folder);
    let still_open = SealedPane {
        id: PaneId(7),
        pane: pane(2, 4),
    };
    let panes = [(key("m", 0), still_open), (key("m", 1), sealed(3, 4))];
    store.checkpoint(&panes, &[(key("m", 0), unit(5))]).unwrap();
    assert_eq!(store.sealed("m").unwrap(), []);
    store.checkpoint(&[], &[(key("m", 1), unit(5))]).unwrap();
    assert_eq!(store.sealed("m").unwrap(), panes[1..]);
}

#[test]
fn reports_and_what_they_close_are_there_together_and_once() {
    let folder = Folder::default();
    let store = on(&folder);
    let panes: Vec<_> = (1..5).map(|id| (key("m", 0), sealed(id, 4))).collect();
    store.checkpoint(&panes, &[(key("m", 0), unit(5))]).unwrap();
    let commit = |store: &FolderStore, end: i64| {
        let entries = [report("m", end, 0)];
        store.commit("m", &evaluator(end), &entries, Some(PaneId(end)))
    };
    let overtaken = on(&folder);
    for store in [&store, &overtaken] {
        assert_eq!(store.evaluator("m").unwrap(), EvaluatorState::default());
    }
    assert_eq!(commit(&store, 2).unwrap(), 1);
    assert_eq!(commit(&store, 3).unwrap(), 2);
    let why = commit(&overtaken, 4).unwrap_err().to_string();
    assert!(why.contains("another evaluator"), "{why}");
    assert_eq!(store.sealed("m").unwrap(), panes[2..]);
    lose_power(&folder);
    assert_eq!(store.evaluator("m").unwrap(), evaluator(3));
    let ends = ReportLog::read(&store, 0, 9).unwrap();
    let ends: Vec<_> = ends.iter().map(|(n, e)| (*n, end_of(e))).collect();
    assert_eq!(ends, [(1, 2), (2, 3)]);
    assert_eq!(store.head().unwrap(), 2);
    assert_eq!(store.history("m", 3, 9, 9).unwrap().len(), 1);
}

#[test]
fn a_log_that_changed_is_refused() {
    let store = on(&Folder::default());
    store.checkpoint(&[], &[(key("m", 0), unit(5))]).unwrap();
    let refused = store.set_aside(&key("m", 0), &unit(0), 1).unwrap_err();
    assert!(refused.to_string().contains("one log only"), "{refused}");
    assert_eq!(store.units("m").unwrap(), [(key("m", 0), unit(5))]);
}

#[test]
fn cursors_are_replaced_whole() {
    let folder = Folder::default();
    let store = on(&folder);
    assert_eq!(store.cursor("csv").unwrap(), None);
    for cursor in [b"1", b"2"] {
        store.set_cursor("csv", cursor).unwrap();
        lose_power(&folder);
        assert_eq!(store.cursor("csv").unwrap().as_deref(), Some(&cursor[..]));
    }
}
