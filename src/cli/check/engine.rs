//! The rows of a file → one report per window.

use std::collections::BTreeMap;

use crate::drift::{
    Acceptance, Cell, ClosedBy, DriftReport, PaneCounts, PaneId, PartitionPanes, SealedPane,
    Trigger, WindowBounds, WindowRing, WindowSnapshot,
};
use crate::event::{Extracted, InvalidRecord, Rejected};
use crate::monitor::Monitor;
use crate::source::file::{FileError, RowFile, RowNumber};

/// A gap of more windows than this is passed over with a warning.
const MOST_EMPTY_WINDOWS: i64 = 10_000;
/// Invalid rows that are named one by one.
const EXAMPLES: usize = 5;

/// The result of a check.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// By ascending end of window; empty when no row was counted.
    pub reports: Vec<DriftReport>,
    pub tally: Tally,
    /// Empty windows that were passed over.
    pub skipped_windows: i64,
}

/// What became of the rows.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub rows: u64,
    pub counted: u64,
    pub filtered: u64,
    pub late: u64,
    pub invalid: BTreeMap<InvalidRecord, u64>,
    /// The first few invalid rows.
    pub examples: Vec<(RowNumber, Rejected)>,
    /// Least and greatest event time of the counted rows, when they have one.
    pub span: Option<(i64, i64)>,
}

/// Reads `file` to its end; `progress` is told the number of rows read so far.
pub(super) fn check(
    file: RowFile,
    monitor: &Monitor,
    windows: bool,
    progress: impl Fn(u64),
) -> Result<Checked, FileError> {
    let mut counter = Counter::new(monitor, windows);
    file.read(&monitor.schema, |row, result| {
        counter.row(row, result);
        progress(counter.tally.rows);
    })?;
    Ok(counter.finish())
}

/// Counts rows, in panes or all in one.
struct Counter<'m> {
    monitor: &'m Monitor,
    tally: Tally,
    counts: Counts,
}

enum Counts {
    Whole(PaneCounts),
    Panes {
        open: PartitionPanes,
        ring: Box<WindowRing>,
    },
}

impl<'m> Counter<'m> {
    fn new(monitor: &'m Monitor, windows: bool) -> Self {
        let definition = &monitor.definition;
        let counts = match windows {
            false => Counts::Whole(PaneCounts::zero(&monitor.layout)),
            true => Counts::Panes {
                open: PartitionPanes::default(),
                ring: Box::new(WindowRing::new(
                    monitor.layout.clone(),
                    definition.panes,
                    definition.window,
                )),
            },
        };
        Self {
            monitor,
            tally: Tally::default(),
            counts,
        }
    }

    fn row(&mut self, row: RowNumber, result: Result<Extracted<'_>, Rejected>) {
        self.tally.rows += 1;
        let accepted = match result {
            Ok(Extracted { cells, event_ms }) => self.count(row, cells, event_ms),
            Err(Rejected::Filtered) => return self.tally.filtered += 1,
            Err(rejected @ Rejected::Invalid { reason, .. }) => {
                *self.tally.invalid.entry(reason).or_default() += 1;
                if self.tally.examples.len() < EXAMPLES {
                    self.tally.examples.push((row, rejected));
                }
                return;
            }
        };
        match accepted {
            Acceptance::Counted => self.tally.counted += 1,
            Acceptance::Late | Acceptance::Future => self.tally.late += 1,
        }
    }

    fn count(&mut self, row: RowNumber, cells: &[Cell], event_ms: Option<i64>) -> Acceptance {
        let Self {
            monitor,
            tally,
            counts,
        } = self;
        let acceptance = match (counts, event_ms) {
            (Counts::Whole(counts), _) => {
                counts.record(&monitor.layout, cells);
                Acceptance::Counted
            }
            (Counts::Panes { open, ring }, Some(event_ms)) => {
                let spec = &monitor.definition.panes;
                let offset = i64::try_from(row).unwrap_or(i64::MAX);
                let acceptance = open.record(spec, &monitor.layout, event_ms, None, offset, cells);
                if open.has_sealed(spec) {
                    add(ring, open.take_sealed(spec));
                }
                acceptance
            }
            // Windows are cut only where the schema has a timestamp, and then every row has one.
            (Counts::Panes { .. }, None) => Acceptance::Late,
        };
        if let (Acceptance::Counted, Some(ms)) = (acceptance, event_ms) {
            let (from, to) = tally.span.unwrap_or((ms, ms));
            tally.span = Some((from.min(ms), to.max(ms)));
        }
        acceptance
    }

    fn finish(self) -> Checked {
        let mut checked = Checked {
            tally: self.tally,
            ..Checked::default()
        };
        if checked.tally.counted == 0 {
            return checked;
        }
        let monitor = self.monitor;
        match self.counts {
            Counts::Whole(counts) => {
                let (start_ms, end_ms) = checked.tally.span.unwrap_or((i64::MIN, i64::MAX));
                let snapshot = WindowSnapshot {
                    bounds: WindowBounds { start_ms, end_ms },
                    counts,
                    coverage: 1.0,
                };
                checked.reports.push(evaluate(monitor, snapshot));
            }
            Counts::Panes { mut open, mut ring } => {
                add(&mut ring, open.take_all());
                close_all(monitor, &mut ring, &mut checked);
            }
        }
        checked
    }
}

fn add(ring: &mut WindowRing, sealed: Vec<SealedPane>) {
    for SealedPane { id, pane } in sealed {
        ring.add(id, pane.counts);
    }
}

/// Closes every window from the end of the first pane with an event to the end of the last one.
fn close_all(monitor: &Monitor, ring: &mut WindowRing, checked: &mut Checked) {
    let definition = &monitor.definition;
    let Some(last) = ring.last() else {
        return;
    };
    let last_end = definition
        .window
        .first_end_covering(&definition.panes, last);
    while let Some(end) = ring.next_end(None).filter(|end| *end <= last_end) {
        let snapshot = ring.close(end, []);
        checked.reports.push(evaluate(monitor, snapshot));
        checked.skipped_windows += ring.skip_empty(PaneId(last.0 + 1), MOST_EMPTY_WINDOWS);
    }
}

fn evaluate(monitor: &Monitor, snapshot: WindowSnapshot) -> DriftReport {
    let definition = &monitor.definition;
    definition.evaluate(
        &monitor.scoring,
        snapshot,
        Trigger::Final,
        ClosedBy::End,
        None,
    )
}
