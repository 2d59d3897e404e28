//! The report log's final evaluations in columns: what charts ask for again and again.
//!
//! Decoding a thousand evaluations of hundreds of features takes longer than drawing them. So
//! their PSI is kept here, bounded; whoever asks extends it from the log's tail first. The log
//! stays the only truth: what it drops is dropped here, and nothing is here that it has not said.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::drift::incident::ChangeKind;
use crate::drift::{DriftReport, DriftStatus, IncidentChange, Reason, Trigger};
use crate::state::{LogBody, LogEntry, ReportLog, StateError};

/// Bounds for each monitor; 2 million figures are 18 MB.
const MOST_WINDOWS: usize = 10_000;
const MOST_FIGURES: usize = 2_000_000;
const MOST_INCIDENTS: usize = 10_000;
/// Entries that are decoded at once.
const BATCH: usize = 64;

/// The columns of every monitor, for all requests.
#[derive(Default)]
pub(super) struct Cache(Mutex<Columns>);

impl Cache {
    /// Shows `work` the columns of a monitor as the log has them now. It blocks.
    pub(super) fn with<T>(
        &self,
        log: &dyn ReportLog,
        monitor: &str,
        work: impl FnOnce(&MonitorColumns) -> T,
    ) -> Result<T, StateError> {
        let mut columns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        columns.extend(log)?;
        let nothing = MonitorColumns::default();
        Ok(work(columns.monitors.get(monitor).unwrap_or(&nothing)))
    }
}

#[derive(Default)]
struct Columns {
    /// The sequence number of the last entry that was taken in.
    through: u64,
    monitors: BTreeMap<String, MonitorColumns>,
}

/// What the log says of one monitor.
#[derive(Default)]
pub(super) struct MonitorColumns {
    /// Every feature that was ever evaluated, in the order of a row's figures.
    names: Vec<String>,
    places: BTreeMap<String, usize>,
    /// In the order of the log.
    rows: VecDeque<Row>,
    /// Incidents that have ended, in the order of the log.
    past: VecDeque<(u64, PastIncident)>,
}

/// One window that closed.
pub(super) struct Row {
    seq: u64,
    pub(super) end_ms: i64,
    pub(super) events: u64,
    pub(super) coverage: f64,
    /// By place of the feature, shorter where features came later. To six significant digits, NaN
    /// without values.
    psi: Vec<f64>,
    /// Whether there were values enough for a verdict.
    judged: Vec<bool>,
}

/// One feature in one window.
#[derive(Clone, Copy)]
pub(super) struct Figure {
    pub(super) psi: f64,
    pub(super) judged: bool,
}

/// An incident that has ended.
pub(super) struct PastIncident {
    pub(super) feature: String,
    pub(super) reason: Reason,
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

impl Columns {
    fn extend(&mut self, log: &dyn ReportLog) -> Result<(), StateError> {
        let head = log.head()?;
        if head < self.through {
            *self = Self::default();
        }
        let oldest = log.read(0, 1)?.first().map_or(head + 1, |(seq, _)| *seq);
        for monitor in self.monitors.values_mut() {
            monitor.forget_before(oldest);
        }
        while self.through < head {
            let entries = log.read(self.through, BATCH)?;
            let Some((last, _)) = entries.last() else {
                break;
            };
            self.through = *last;
            for (seq, entry) in entries {
                let monitor = self.monitors.entry(entry.monitor.clone()).or_default();
                monitor.take(seq, entry);
            }
        }
        Ok(())
    }
}

impl MonitorColumns {
    /// The windows that end in `[from_ms, to_ms]`, each end once and ascending. A topic that was
    /// made anew may close a window again; the later evaluation counts.
    pub(super) fn windows(&self, from_ms: i64, to_ms: i64) -> Vec<&Row> {
        let asked = self.rows.iter();
        let asked = asked.filter(|row| (from_ms..=to_ms).contains(&row.end_ms));
        let by_end: BTreeMap<i64, &Row> = asked.map(|row| (row.end_ms, row)).collect();
        by_end.into_values().collect()
    }

    /// Where a row has the figure of `feature`; `None` when it was never evaluated.
    pub(super) fn place(&self, feature: &str) -> Option<usize> {
        self.places.get(feature).copied()
    }

    pub(super) fn past(&self) -> impl Iterator<Item = &PastIncident> {
        self.past.iter().map(|(_, incident)| incident)
    }

    fn take(&mut self, seq: u64, entry: LogEntry) {
        match entry.body {
            LogBody::Report(report) => {
                self.end(seq, &report.changes, report.window.end_ms);
                if report.trigger == Trigger::Final {
                    self.add(seq, &report);
                }
            }
            // What no window decides, such as silence, goes by the wall clock.
            LogBody::Notice { changes, .. } => self.end(seq, &changes, entry.written_at_ms),
        }
    }

    fn add(&mut self, seq: u64, report: &DriftReport) {
        let (mut psi, mut judged) = (Vec::new(), Vec::new());
        for (i, feature) in report.features.iter().enumerate() {
            let place = self.placed(i, &feature.feature);
            if place >= psi.len() {
                psi.resize(place + 1, f64::NAN);
                judged.resize(place + 1, false);
            }
            psi[place] = feature.psi.map_or(f64::NAN, six_digits);
            judged[place] = feature.status != DriftStatus::InsufficientData;
        }
        self.rows.push_back(Row {
            seq,
            end_ms: report.window.end_ms,
            events: report.events,
            coverage: report.coverage,
            psi,
            judged,
        });
        let most = MOST_WINDOWS.min(MOST_FIGURES / self.names.len().max(1));
        while self.rows.len() > most {
            self.rows.pop_front();
        }
    }

    /// The place of `feature`, which mostly is the one it has in the report.
    fn placed(&mut self, likely: usize, feature: &str) -> usize {
        if self.names.get(likely).is_some_and(|name| name == feature) {
            return likely;
        }
        if let Some(place) = self.place(feature) {
            return place;
        }
        self.names.push(feature.to_owned());
        self.places.insert(feature.to_owned(), self.names.len() - 1);
        self.names.len() - 1
    }

    /// A change that ends an incident says when that began, so openings need not be kept.
    fn end(&mut self, seq: u64, changes: &[IncidentChange], to_ms: i64) {
        let ended = changes.iter().filter(|c| c.kind == ChangeKind::Resolved);
        self.past.extend(ended.map(|change| {
            let incident = PastIncident {
                feature: change.feature.clone(),
                reason: change.reason,
                from_ms: change.since_ms,
                to_ms,
            };
            (seq, incident)
        }));
        while self.past.len() > MOST_INCIDENTS {
            self.past.pop_front();
        }
    }

    fn forget_before(&mut self, oldest: u64) {
        while self.rows.front().is_some_and(|row| row.seq < oldest) {
            self.rows.pop_front();
        }
        while self.past.front().is_some_and(|(seq, _)| *seq < oldest) {
            self.past.pop_front();
        }
    }
}

impl Row {
    /// `None` without a PSI.
    pub(super) fn figure(&self, place: Option<usize>) -> Option<Figure> {
        let place = place?;
        let psi = *self.psi.get(place)?;
        let judged = *self.judged.get(place)?;
        (!psi.is_nan()).then_some(Figure { psi, judged })
    }
}

fn six_digits(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}
