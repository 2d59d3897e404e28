//! What has to hold of a store at any moment, and at the end.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::app::fixtures::WIDTH;
use crate::app::messages::Progress;
use crate::drift::{ClosedBy, DriftReport, Pane, PaneCounts, PaneId, Trigger};
use crate::monitor::Monitor;
use crate::state::{LogBody, ReportLog, StateStore, UnitState};

use super::script::{Recount, Script};
use super::setting::{monitor_of, monitors, name, unit_key};
use super::witness::{Promised, Promises};

/// One closed window: everything in its report that comes from counts.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    end_ms: i64,
    events: u64,
    buckets: Vec<u64>,
    unseen_missing_invalid: [u64; 3],
    coverage: f64,
}

pub(super) struct Oracle {
    /// By monitor: the windows that close, in order.
    rows: BTreeMap<String, Vec<Row>>,
}

impl Oracle {
    pub(super) fn new(script: &Script) -> Self {
        let rows = monitors().iter();
        let rows = rows.map(|m| (name(m).to_owned(), rows_of(script, m)));
        Self {
            rows: rows.collect(),
        }
    }

    /// The windows that close in all.
    pub(super) fn windows(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }

    /// Every unit is a point of its sequence, with all panes that it let go of and some window
    /// needs; the reports are the first of those that have to come, each once; and nothing is
    /// missing that was once said to be durable. With `finished`, all of it is there.
    pub(super) fn check<S>(&self, store: &S, script: &Script, promises: &Promises, finished: bool)
    where
        S: StateStore + ReportLog,
    {
        let promised = promises.lock();
        let written = self.check_reports(store, &promised, finished);
        for monitor in monitors() {
            let needed = written.get(name(monitor)).map(|end| needed(monitor, *end));
            check_units(store, script, monitor, &promised, needed, finished);
        }
    }

    /// Gives the end of the last window of each monitor.
    fn check_reports<S: ReportLog>(
        &self,
        store: &S,
        promised: &Promised,
        finished: bool,
    ) -> BTreeMap<String, PaneId> {
        let mut written: BTreeMap<String, Vec<Row>> = BTreeMap::new();
        for (_, entry) in ReportLog::read(store, 0, usize::MAX).unwrap() {
            let LogBody::Report(report) = entry.body else {
                panic!("nothing but reports is written here");
            };
            let rows = written.entry(report.monitor.clone()).or_default();
            rows.push(row_of(&report));
        }
        for (monitor, rows) in &written {
            let expected = &self.rows[monitor];
            let first = &expected[..rows.len().min(expected.len())];
            assert_eq!(rows, first, "the reports of {monitor}");
        }
        let count = |m: &str| written.get(m).map_or(0, Vec::len);
        if finished {
            for (monitor, rows) in &self.rows {
                assert_eq!(count(monitor), rows.len(), "the reports of {monitor}");
            }
        }
        let end = |rows: &Vec<Row>| PaneId(rows.last().unwrap().end_ms / WIDTH);
        let ends: BTreeMap<_, _> = written.iter().map(|(m, r)| (m.clone(), end(r))).collect();
        for (monitor, promised) in &promised.closed_through {
            assert!(
                ends.get(monitor) >= Some(promised),
                "a report of {monitor} that was said to be durable is gone"
            );
        }
        ends
    }
}

/// Panes before this one belong to no window after the one that ends at `end`.
fn needed(monitor: &Monitor, end: PaneId) -> PaneId {
    let window = monitor.definition.window;
    PaneId(end.0 + (window.slide_ms - window.size_ms) / WIDTH)
}

fn check_units<S: StateStore>(
    store: &S,
    script: &Script,
    monitor: &'static Monitor,
    promised: &Promised,
    needed: Option<PaneId>,
    finished: bool,
) {
    let units: BTreeMap<_, _> = store.units(name(monitor)).unwrap().into_iter().collect();
    let sealed = store.sealed(name(monitor)).unwrap();
    for partition in script.partitions() {
        let key = unit_key(monitor, partition);
        let before = promised.units.get(&key);
        let Some(unit) = units.get(&key) else {
            assert!(before.is_none() && !finished, "{key:?} is gone");
            continue;
        };
        let of_this = sealed.iter().filter(|(k, _)| *k == key);
        let of_this: BTreeMap<_, _> = of_this.map(|(_, s)| (&s.id, &s.pane)).collect();
        let recount = script.recount(monitor, partition, unit.next_offset);
        check_unit(monitor, unit, &of_this, &recount, needed);
        if let Some(before) = before {
            assert!(
                unit.next_offset >= before.next_offset,
                "{key:?} went back from {} to {}",
                before.next_offset,
                unit.next_offset
            );
        }
        if finished {
            assert_eq!(unit.next_offset, script.end(partition), "{key:?}");
        }
    }
    let kept = sealed.iter().map(|(k, s)| ((k, s.id), &s.pane));
    let kept: BTreeMap<_, _> = kept.collect();
    let of_this = promised.panes.iter();
    for ((key, id), pane) in of_this.filter(|((k, _), _)| k.monitor == name(monitor)) {
        let is_needed = needed.is_none_or(|needed| *id >= needed);
        assert!(
            !is_needed || kept.get(&(key, *id)) == Some(&pane),
            "sealed pane {} of {key:?} is gone or changed",
            id.0
        );
    }
}

fn check_unit(
    monitor: &Monitor,
    unit: &UnitState,
    sealed: &BTreeMap<&PaneId, &Pane>,
    recount: &Recount,
    needed: Option<PaneId>,
) {
    let mut outcomes = unit.outcomes.clone();
    outcomes.resize(recount.outcomes.len(), 0);
    assert_eq!(outcomes, recount.outcomes);
    assert_eq!((unit.began_at, unit.lost, unit.unaccounted()), (0, 0, 0));
    assert_eq!(unit.greatest_ms, recount.greatest_ms);
    assert!(!unit.open.keys().any(|id| recount.seals(monitor, *id)));
    assert!(sealed.keys().all(|id| recount.seals(monitor, **id)));
    // Those before may be there or not, until the next window closes.
    let is_needed = |(id, _): &(&PaneId, &Pane)| needed.is_none_or(|needed| **id >= needed);
    let sealed = sealed.iter().map(|(id, pane)| (*id, *pane));
    let found: BTreeMap<_, _> = sealed.chain(&unit.open).filter(is_needed).collect();
    let expected: BTreeMap<_, _> = recount.panes.iter().filter(is_needed).collect();
    assert_eq!(found, expected, "at offset {}", unit.next_offset);
}

/// What is told to an evaluator must have been durable before.
pub(super) fn check_told(progress: &Progress, promises: &Promises) {
    let promised = promises.lock();
    for sealed in &progress.sealed {
        let durable = promised.panes.get(&(progress.key.clone(), sealed.id));
        assert_eq!(durable, Some(&sealed.pane), "told before it was durable");
    }
    let panes = &monitor_of(&progress.key).definition.panes;
    let durable = promised.units.get(&progress.key);
    let durable = durable.and_then(|unit| unit.greatest_ms);
    let durable = durable.map(|greatest| panes.sealed_before(greatest));
    assert!(
        progress.sealed_before <= durable,
        "told before it was durable"
    );
}

/// The windows of one monitor, from the events that its partitions accept: no order in which they
/// are read, and no window that slides.
fn rows_of(script: &Script, monitor: &'static Monitor) -> Vec<Row> {
    let partitions = script.partitions();
    let counted: Vec<Rc<Recount>> = partitions
        .map(|p| script.recount(monitor, p, i64::MAX))
        .collect();
    let sealed = counted.iter().map(|r| r.sealed_before(monitor));
    let panes: Vec<_> = counted.iter().flat_map(|r| &r.panes).collect();
    let (Some(sealed), Some(first)) = (sealed.min().flatten(), panes.iter().map(|p| p.0).min())
    else {
        return Vec::new();
    };
    let window = monitor.definition.window;
    let (size, slide) = (window.size_ms / WIDTH, window.slide_ms / WIDTH);
    let mut rows = Vec::new();
    let mut end = (first.0 + 1 + slide - 1).div_euclid(slide) * slide;
    while end <= sealed.0 {
        let mut counts = PaneCounts::zero(&monitor.layout);
        let within = panes
            .iter()
            .filter(|(id, _)| end - size <= id.0 && id.0 < end);
        within.for_each(|(_, pane)| counts.merge(&pane.counts));
        let covered = end - first.0.clamp(end - size, end);
        rows.push(Row {
            end_ms: end * WIDTH,
            events: counts.events,
            buckets: counts.cells()[..3].to_vec(),
            unseen_missing_invalid: [3, 4, 5].map(|i| counts.cells()[i]),
            coverage: covered as f64 / size as f64,
        });
        end += slide;
    }
    rows
}

fn row_of(report: &DriftReport) -> Row {
    assert_eq!(report.trigger, Trigger::Final);
    assert_eq!(report.closed_by, ClosedBy::Watermark);
    let feature = &report.features[0];
    Row {
        end_ms: report.window.end_ms,
        events: report.events,
        buckets: feature.buckets.to_vec(),
        unseen_missing_invalid: [feature.unseen, feature.missing, feature.invalid],
        coverage: report.coverage,
    }
}
