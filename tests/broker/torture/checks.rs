//! What must be equal at the end of a round, whatever happened in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

use psiren::drift::{DriftReport, PaneId, Trigger};
use psiren::event::Outcome;
use psiren::monitor::Monitor;
use psiren::state::local::{LocalOptions, LocalStore};
use psiren::state::{LogBody, LogEntry, ReportLog, StateStore, UnitState};

use super::recount::{Pane, Recount, sealed_before};
use crate::psiren::{Home, Psiren};

/// What should have been counted, by monitor and partition.
pub(super) type Recounts = BTreeMap<String, BTreeMap<i32, Recount>>;

/// The state that a psiren left when it stopped.
pub(super) fn open(home: &Home) -> LocalStore {
    LocalStore::open(&home.path("state"), LocalOptions::default()).expect("the state opens")
}

/// Units, sealed panes and reports equal the recount, integer for integer.
pub(super) fn expect_counts(who: &str, home: &Home, monitors: &[Arc<Monitor>], counts: &Recounts) {
    let store = open(home);
    let entries = entries(&store);
    for monitor in monitors {
        let name = &monitor.config.name;
        let who = format!("{who}, monitor {name}");
        let counts = &counts[name];
        expect_units(&who, &store, monitor, counts);
        expect_sealed(&who, &store, monitor, counts);
        expect_reports(&who, &reports(&entries, name), monitor, counts);
    }
}

/// Both have the same final rows of each monitor, in the same order, and the same reports.
pub(super) fn expect_same(who: &str, home: &Home, uninterrupted: &Home, monitors: &[Arc<Monitor>]) {
    let (all, expected) = (rows(home), rows(uninterrupted));
    let distinct: BTreeSet<&String> = all.iter().collect();
    assert_eq!(distinct.len(), all.len(), "{who}: psi.csv repeats rows");
    let (log, log_expected) = (entries(&open(home)), entries(&open(uninterrupted)));
    for monitor in monitors {
        let name = &monitor.config.name;
        // The third column; no name in these tests needs quotes.
        let is_own = |row: &&String| row.split(',').nth(2) == Some(name);
        let of = |rows: &[String]| -> Vec<String> { rows.iter().filter(is_own).cloned().collect() };
        expect_equal(&format!("{who}: rows of {name}"), &of(&all), &of(&expected));
        expect_equal(
            &format!("{who}: reports of {name}"),
            &reports(&log, name),
            &reports(&log_expected, name),
        );
    }
}

/// Each row of the file as it stands there. None was asked for by hand, so all are final.
fn rows(home: &Home) -> Vec<String> {
    let text = fs::read_to_string(home.path("psi.csv")).expect("the file is there");
    assert!(text.ends_with('\n'), "the last row is cut off");
    text.lines().skip(1).map(str::to_owned).collect()
}

/// The outcomes of each monitor add up to what it consumed.
pub(super) fn expect_conservation(psiren: &Psiren, monitors: &[Arc<Monitor>]) {
    for monitor in monitors {
        let labels = [("monitor", monitor.config.name.as_str())];
        let consumed = psiren.metric("psiren_records_consumed_total", &labels);
        let outcomes = psiren.metric("psiren_records_total", &labels);
        assert!(consumed.is_some(), "{labels:?} has no series");
        assert_eq!(outcomes, consumed, "{labels:?}");
    }
}

/// The ends of the windows that close by watermark, as panes.
pub(super) fn window_ends(monitor: &Monitor, counts: &BTreeMap<i32, Recount>) -> Vec<i64> {
    let step = monitor.config.window.slide_ms / monitor.config.panes.width_ms;
    let first = counts.values().filter_map(|c| c.panes.keys().next()).min();
    let sealed = counts
        .values()
        .filter_map(|c| c.greatest_ms)
        .map(|greatest| sealed_before(monitor, greatest));
    let (Some(first), Some(sealed)) = (first, sealed.min()) else {
        return Vec::new();
    };
    (first + 1..=sealed).filter(|end| end % step == 0).collect()
}

/// Every entry of the report log, in order.
pub(super) fn entries(log: &LocalStore) -> Vec<LogEntry> {
    let mut entries = Vec::new();
    loop {
        let after = entries.len() as u64;
        let more = log.read(after, 1000).expect("the report log is read");
        if more.is_empty() {
            return entries;
        }
        entries.extend(more.into_iter().map(|(_, entry)| entry));
    }
}

fn reports(entries: &[LogEntry], monitor: &str) -> Vec<DriftReport> {
    let own = entries.iter().filter(|entry| entry.monitor == monitor);
    own.filter_map(|entry| match &entry.body {
        LogBody::Report(report) if report.trigger == Trigger::Final => Some(report.clone()),
        _ => None,
    })
    .collect()
}

fn expect_units(who: &str, store: &LocalStore, monitor: &Monitor, counts: &BTreeMap<i32, Recount>) {
    let units = store.units(&monitor.config.name).expect("units");
    let partitions: Vec<i32> = units.iter().map(|(key, _)| key.partition).collect();
    let expected: Vec<i32> = counts.keys().copied().collect();
    assert_eq!(partitions, expected, "{who}: partitions");
    for (key, unit) in &units {
        let who = format!("{who}, partition {}", key.partition);
        let count = &counts[&key.partition];
        assert_eq!(key.topic, monitor.config.topic, "{who}: topic");
        assert_eq!(unit.next_offset, count.next_offset, "{who}: next offset");
        assert_eq!(unit.greatest_ms, count.greatest_ms, "{who}: event time");
        assert_eq!(outcomes(unit), count.outcomes, "{who}: outcomes");
        let open = unit.open.iter().map(|(id, pane)| (id.0, plain(pane)));
        expect_panes(&format!("{who}: open"), open, count, |pane| {
            !is_sealed(monitor, count, pane)
        });
    }
}

fn expect_sealed(
    who: &str,
    store: &LocalStore,
    monitor: &Monitor,
    counts: &BTreeMap<i32, Recount>,
) {
    let name = &monitor.config.name;
    let state = store.evaluator(name).expect("an evaluator's state");
    let end = window_ends(monitor, counts).last().copied().map(PaneId);
    assert_eq!(state.closed_through, end, "{who}: windows closed");
    let (window, width_ms) = (&monitor.config.window, monitor.config.panes.width_ms);
    let kept_from = end.map(|end| end.0 + (window.slide_ms - window.size_ms) / width_ms);
    assert_eq!(state.kept_from, kept_from.map(PaneId), "{who}: panes kept");
    let sealed = store.sealed(name).expect("sealed panes");
    for (partition, count) in counts {
        let own = sealed.iter().filter(|(key, _)| key.partition == *partition);
        let own = own.map(|(_, sealed)| (sealed.id.0, plain(&sealed.pane)));
        let own = own.filter(|(pane, _)| Some(*pane) >= kept_from);
        let who = format!("{who}, partition {partition}: sealed");
        expect_panes(&who, own, count, |pane| {
            is_sealed(monitor, count, pane) && Some(pane) >= kept_from
        });
    }
}

fn expect_panes(
    who: &str,
    found: impl Iterator<Item = (i64, Pane)>,
    count: &Recount,
    wanted: impl Fn(i64) -> bool,
) {
    let found: Vec<(i64, Pane)> = found.collect();
    let expected = count.panes.iter().filter(|(pane, _)| wanted(**pane));
    let expected: Vec<(i64, Pane)> = expected.map(|(id, pane)| (*id, pane.clone())).collect();
    expect_equal(&format!("{who} panes"), &found, &expected);
}

/// Each window's report holds the sum of the recounted panes of all partitions.
fn expect_reports(
    who: &str,
    reports: &[DriftReport],
    monitor: &Monitor,
    counts: &BTreeMap<i32, Recount>,
) {
    let panes = &monitor.config.panes;
    let size = monitor.config.window.size_ms / panes.width_ms;
    let ends = window_ends(monitor, counts);
    let found: Vec<i64> = reports.iter().map(|report| report.window.end_ms).collect();
    let expected = ends
        .iter()
        .map(|end| end * panes.width_ms + panes.offset_ms);
    let expected: Vec<i64> = expected.collect();
    expect_equal(&format!("{who}: window ends"), &found, &expected);
    let merged = merged(counts);
    for (report, end) in reports.iter().zip(ends) {
        let mut expected = Pane::default();
        for pane in merged.range(end - size..end).map(|(_, pane)| pane) {
            expected.add(pane);
        }
        let cells: Vec<u64> = report
            .features
            .iter()
            .flat_map(|f| f.buckets.iter().chain([&f.unseen, &f.missing, &f.invalid]))
            .copied()
            .collect();
        expected.cells.resize(cells.len(), 0);
        let at = report.window.end_ms;
        assert_eq!(
            report.events, expected.events,
            "{who}: window ending at {at}"
        );
        assert_eq!(cells, expected.cells, "{who}: window ending at {at}");
    }
}

/// The panes of all partitions, added up.
fn merged(counts: &BTreeMap<i32, Recount>) -> BTreeMap<i64, Pane> {
    let mut merged: BTreeMap<i64, Pane> = BTreeMap::new();
    for (id, pane) in counts.values().flat_map(|count| &count.panes) {
        merged.entry(*id).or_default().add(pane);
    }
    merged
}

impl Pane {
    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.cells.resize(other.cells.len(), 0);
        for (sum, cell) in self.cells.iter_mut().zip(&other.cells) {
            *sum += cell;
        }
    }
}

fn is_sealed(monitor: &Monitor, count: &Recount, pane: i64) -> bool {
    count
        .greatest_ms
        .is_some_and(|greatest| pane < sealed_before(monitor, greatest))
}

fn plain(pane: &psiren::drift::Pane) -> Pane {
    Pane {
        events: pane.counts.events,
        cells: pane.counts.cells().to_vec(),
        first_offset: pane.first_offset,
        last_offset: pane.last_offset,
    }
}

fn outcomes(unit: &UnitState) -> BTreeMap<&'static str, u64> {
    let named = Outcome::ALL.iter().map(|outcome| outcome.as_str());
    named
        .zip(unit.outcomes.iter().copied())
        .filter(|(_, records)| *records > 0)
        .collect()
}

/// Shows the first difference only: the lists are long.
fn expect_equal<T: PartialEq + std::fmt::Debug>(what: &str, found: &[T], expected: &[T]) {
    let differing = found.iter().zip(expected).position(|(a, b)| a != b);
    if let Some(i) = differing {
        let (found, expected) = (&found[i], &expected[i]);
        panic!("{what}: number {i} is\n{found:?}\nexpected\n{expected:?}");
    }
    let (found, expected) = (found.len(), expected.len());
    assert_eq!(found, expected, "{what}: how many");
}
