//! Stored counts under a changed configuration.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::drift::{Binning, Closed, Pane, PaneCounts, PaneId, SealedPane};
use crate::state::fixtures::{evaluator, key, unit};
use crate::state::identity::{CommonIdentity, CountsIdentity, FeatureIdentity};
use crate::state::local::{Adopted, LocalStore};
use crate::state::{ReportLog, StateError, StateStore, UnitState};

/// A feature with `buckets` buckets.
fn feature(name: &str, buckets: usize) -> FeatureIdentity {
    let binning = Binning::Numeric {
        edges: (1..buckets).map(|i| i as f64).collect(),
        closed: Closed::Right,
        float32: false,
    };
    FeatureIdentity::new(name, &[name.to_owned()], &binning)
}

fn identity(features: &[(&str, usize)]) -> CountsIdentity {
    CountsIdentity {
        common: CommonIdentity {
            topic: "flights".to_owned(),
            timestamp: "the record's timestamp".to_owned(),
            pane_width_ms: 1000,
            pane_offset_ms: 0,
            lateness_ms: 0,
            max_future_skew_ms: 0,
            filters: Vec::new(),
        },
        features: features.iter().map(|(n, b)| feature(n, *b)).collect(),
    }
}

fn pane(cells: &[u64]) -> Pane {
    let layout = crate::drift::Layout::new([cells.len() - 3]);
    Pane {
        counts: PaneCounts::from_cells(&layout, 9, cells.to_vec()).unwrap(),
        first_offset: 1,
        last_offset: 2,
    }
}

/// Stores one open and one sealed pane with these cells for monitor m and another one's for n.
fn filled(identity: &CountsIdentity, cells: &[u64]) -> LocalStore {
    let store = LocalStore::in_memory().unwrap();
    assert_eq!(store.adopt("m", identity).unwrap(), Adopted::New);
    let open = UnitState {
        open: BTreeMap::from([(PaneId(4), pane(cells))]),
        ..unit(3)
    };
    let sealed = SealedPane {
        id: PaneId(3),
        pane: pane(cells),
    };
    let other = SealedPane {
        id: PaneId(3),
        pane: pane(&[1, 1, 1, 1]),
    };
    store
        .checkpoint(
            &[(key("m", 0), sealed), (key("n", 0), other)],
            &[(key("m", 0), open), (key("n", 0), unit(1))],
        )
        .unwrap();
    store
}

/// The cells of the open and of the sealed pane; everything else is as it was.
fn cells(store: &LocalStore) -> (Vec<u64>, Vec<u64>) {
    let units = store.units("m").unwrap();
    let open = &units[0].1.open[&PaneId(4)];
    let sealed = &store.sealed("m").unwrap()[0].1;
    for pane in [open, &sealed.pane] {
        let offsets = (pane.first_offset, pane.last_offset);
        assert_eq!((pane.counts.events, offsets), (9, (1, 2)));
    }
    assert_eq!((units[0].1.next_offset, sealed.id), (3, PaneId(3)));
    assert_eq!(store.units("n").unwrap(), [(key("n", 0), unit(1))]);
    let other = &store.sealed("n").unwrap()[0].1;
    assert_eq!(other.pane.counts.cells(), [1, 1, 1, 1]);
    (
        open.counts.cells().to_vec(),
        sealed.pane.counts.cells().to_vec(),
    )
}

#[test]
fn features_that_stay_keep_their_cells() {
    let stored = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
    let store = filled(&identity(&[("a", 2), ("b", 3)]), &stored);
    let same = identity(&[("a", 2), ("b", 3)]);
    assert_eq!(store.adopt("m", &same).unwrap(), Adopted::Same);
    assert_eq!(cells(&store).0, stored);

    let after = identity(&[("c", 1), ("b", 3)]);
    let adopted = store.adopt("m", &after).unwrap();
    assert_eq!(
        adopted,
        Adopted::Remapped {
            added: vec!["c".to_owned()],
            removed: vec!["a".to_owned()],
        }
    );
    assert_eq!(adopted.changes().len(), 2);
    let expected = vec![0, 0, 0, 0, 6, 7, 8, 9, 10, 11];
    assert_eq!(cells(&store), (expected.clone(), expected.clone()));
    assert_eq!(store.adopt("m", &after).unwrap(), Adopted::Same);
    assert_eq!(cells(&store).1, expected);
}

#[test]
fn another_order_moves_the_cells_along() {
    let store = filled(&identity(&[("a", 1), ("b", 1)]), &[1, 2, 3, 4, 5, 6, 7, 8]);
    let adopted = store.adopt("m", &identity(&[("b", 1), ("a", 1)])).unwrap();
    assert_eq!(
        adopted,
        Adopted::Remapped {
            added: Vec::new(),
            removed: Vec::new()
        }
    );
    assert_eq!(cells(&store).0, [5, 6, 7, 8, 1, 2, 3, 4]);
}

#[test]
fn counts_of_another_meaning_are_refused_and_kept() {
    let before = identity(&[("a", 2)]);
    let store = filled(&before, &[1, 2, 3, 4, 5]);
    let mut topic = before.clone();
    topic.common.topic = "others".to_owned();
    for (changed, word) in [
        (identity(&[("a", 3)]), "edges"),
        (identity(&[("a", 3), ("b", 1)]), "edges"),
        (topic, "others"),
    ] {
        match store.adopt("m", &changed) {
            Err(StateError::OtherCounts { monitor, diff }) => {
                assert_eq!(monitor, "m");
                assert!(diff.contains(word), "{diff}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(cells(&store).0, [1, 2, 3, 4, 5]);
        assert_eq!(store.adopt("m", &before).unwrap(), Adopted::Same);
    }
}

#[test]
fn counts_that_do_not_fit_their_own_description_are_damage() {
    let store = filled(&identity(&[("a", 2)]), &[1, 2, 3, 4]);
    let refused = store.adopt("m", &identity(&[("b", 2)])).unwrap_err();
    assert!(matches!(refused, StateError::Damaged { .. }), "{refused}");
    assert_eq!(cells(&store).0, [1, 2, 3, 4], "nothing was changed");
}

#[test]
fn counts_without_a_description_are_refused() {
    let store = filled(&identity(&[("a", 1)]), &[1, 2, 3, 4]);
    let refused = store.adopt("n", &identity(&[("a", 1)])).unwrap_err();
    assert!(matches!(refused, StateError::OtherCounts { .. }));
}

#[test]
fn every_monitor_with_state_is_listed() {
    let store = LocalStore::in_memory().unwrap();
    assert_eq!(store.monitors().unwrap(), [""; 0]);
    store.adopt("b", &identity(&[("x", 2)])).unwrap();
    store.commit("a", &evaluator(1), &[], None).unwrap();
    store.commit("b", &evaluator(1), &[], None).unwrap();
    store.checkpoint(&[], &[(key("c", 3), unit(1))]).unwrap();
    assert_eq!(store.monitors().unwrap(), ["a", "b", "c"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Features come and go in any order; each that stays has the cells it had.
    #[test]
    fn remapping_equals_moving_features_by_name(
        before in Just(vec!["a", "b", "c", "d", "e"]).prop_shuffle(),
        after in Just(vec!["a", "b", "c", "d", "e"]).prop_shuffle(),
        kept_before in 0usize..6,
        kept_after in 0usize..6,
    ) {
        let buckets = |name: &str| usize::from(name.as_bytes()[0] - b'a') + 1;
        let with_buckets = |names: &[&'static str]| -> Vec<(&str, usize)> {
            names.iter().map(|n| (*n, buckets(n))).collect()
        };
        let (before, after) = (&before[..kept_before.max(1)], &after[..kept_after]);
        let cells_of = |name: &str| vec![u64::from(name.as_bytes()[0]); buckets(name) + 3];
        let stored: Vec<u64> = before.iter().flat_map(|n| cells_of(n)).collect();
        let store = filled(&identity(&with_buckets(before)), &stored);
        store.adopt("m", &identity(&with_buckets(after))).unwrap();
        let expected: Vec<u64> = after.iter().flat_map(|n| match before.contains(n) {
            true => cells_of(n),
            false => vec![0; buckets(n) + 3],
        }).collect();
        prop_assert_eq!(cells(&store), (expected.clone(), expected));
    }
}

#[test]
fn one_monitor_that_is_refused_keeps_the_others_as_they_were() {
    let before = identity(&[("a", 2)]);
    let store = filled(&before, &[1, 2, 3, 4, 5]);
    let other = identity(&[("a", 3)]);
    store.checkpoint(&[], &[(key("o", 0), unit(0))]).unwrap();
    let after = identity(&[("b", 2)]);
    let refused = store.adopt_all(&[("m", &after), ("o", &other)]);
    assert!(
        matches!(&refused, Err(StateError::OtherCounts { monitor, .. }) if monitor == "o"),
        "{refused:?}"
    );
    assert_eq!(store.adopt("m", &before).unwrap(), Adopted::Same);
    assert_eq!(cells(&store).0, [1, 2, 3, 4, 5]);
}

#[test]
fn panes_that_are_not_those_of_their_identity_are_refused() {
    let before = identity(&[("a", 2)]);
    let store = filled(&before, &[1, 2, 3, 4]);
    let refused = store.adopt("m", &before);
    let words = match &refused {
        Err(StateError::Damaged { what, .. }) => what,
        other => panic!("{other:?}"),
    };
    assert!(words.contains("4 counts, expected 5"), "{words}");
}
