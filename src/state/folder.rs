//! Units, panes and reports as one record per file, in a folder that several processes share.
//!
//! It stands for the compacted topic of many replicas: the same encoded records, the same rules.
//! A record has a [`Name`], its key and the offset it reaches, and is never replaced by one that
//! reaches less far: readers keep the greatest that they can decode, and writers drop what is
//! below a record of theirs once that is durable. So a process that was overtaken and writes late
//! does no harm, and neither does a record that was torn when power was lost.
//!
//! What is read may have been written by a process that died before it was durable. Who goes on
//! from a record makes it durable first: [`StateStore::checkpoint`] with the units that were read,
//! and [`ReportLog::evaluator`].

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::codec::{self, Form, Record};
use super::disk::{Content, Files, Mounted};
use super::{
    EvaluatorState, LogBody, LogEntry, ReportLog, StateError, StateStore, UnitKey, UnitState,
};
use crate::drift::{Pane, PaneId, SealedPane};

/// The name of a file. Records of one key stand together, the furthest last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    key: Key,
    reaches: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Pane(UnitKey, PaneId),
    Unit(UnitKey),
    /// By monitor.
    Evaluated(String),
    /// By sink.
    Cursor(String),
    /// A cursor that is to take the place of another.
    FreshCursor(String),
}

impl Key {
    fn reaching(self, reaches: i64) -> Arc<Name> {
        Arc::new(Name { key: self, reaches })
    }
}

/// A folder as one process uses it.
pub(crate) struct FolderStore {
    folder: Mounted<Name>,
    /// By monitor: how far the record of evaluations reached that this process goes on from.
    goes_on_from: Mutex<BTreeMap<String, Option<i64>>>,
}

/// Reports, and where the evaluator stands after them, in one record: neither is there without the
/// other.
#[derive(Debug, Serialize, Deserialize)]
struct Evaluated {
    state: EvaluatorState,
    entries: Vec<LogEntry>,
    /// How many entries there are with these.
    head: u64,
}

impl Record for Evaluated {
    const FORM: Form = Form::Json;
}

impl FolderStore {
    pub(crate) fn new(folder: Mounted<Name>) -> Self {
        Self {
            folder,
            goes_on_from: Mutex::default(),
        }
    }

    /// Makes a record durable but for its name. One that is there already is kept: to write it
    /// again would put it at risk.
    fn put<R>(&self, name: &Arc<Name>, record: &R) -> Result<(), StateError>
    where
        R: Record + Send + Sync + 'static,
    {
        let there = self.folder.read(name).ok();
        if there.is_none_or(|there| decoded::<R>(&there).is_none()) {
            let bytes = codec::encode(record).map_err(|e| failed(io::Error::other(e)))?;
            self.folder.write(name, &bytes).map_err(failed)?;
        }
        self.folder.sync(name).map_err(failed)
    }

    fn drop_below(&self, reached: &[Arc<Name>]) -> Result<(), StateError> {
        let is_below = |name: &Name| {
            let above = |r: &Arc<Name>| name.reaches < r.reaches && name.key == r.key;
            reached.iter().any(above)
        };
        self.remove(is_below)
    }

    fn remove(&self, wanted: impl Fn(&Name) -> bool) -> Result<(), StateError> {
        for (name, _) in self.files(wanted)? {
            self.folder.remove(&name).map_err(failed)?;
        }
        Ok(())
    }

    fn files(&self, wanted: impl Fn(&Name) -> bool) -> Result<Files<Name>, StateError> {
        self.folder.files(wanted).map_err(failed)
    }

    fn sync_folder(&self) -> Result<(), StateError> {
        self.folder.sync_folder().map_err(failed)
    }

    /// Every `wanted` record that can be decoded, by name.
    fn records<R>(&self, wanted: impl Fn(&Key) -> bool) -> Result<Records<R>, StateError>
    where
        R: Record + Send + Sync + 'static,
    {
        let files = self.files(|name| wanted(&name.key))?.into_iter();
        let records = files.filter_map(|(name, content)| Some((name, decoded(&content)?)));
        Ok(records.collect())
    }

    /// The record of each `wanted` key that reaches furthest.
    fn furthest<R>(&self, wanted: impl Fn(&Key) -> bool) -> Result<Records<R>, StateError>
    where
        R: Record + Send + Sync + 'static,
    {
        let mut records = self.records(wanted)?;
        records.reverse();
        records.dedup_by(|(less, _), (furthest, _)| less.key == furthest.key);
        records.reverse();
        Ok(records)
    }

    fn stored(&self, monitor: &str) -> Result<Records<UnitState>, StateError> {
        self.furthest(|key| matches!(key, Key::Unit(unit) if unit.monitor == monitor))
    }

    /// What the evaluators of `monitor` wrote, in that order.
    fn evaluated(&self, monitor: &str) -> Result<Records<Evaluated>, StateError> {
        self.records(|key| matches!(key, Key::Evaluated(of) if of == monitor))
    }

    fn goes_on_from(&self) -> MutexGuard<'_, BTreeMap<String, Option<i64>>> {
        let held = self.goes_on_from.lock();
        held.unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateStore for FolderStore {
    fn checkpoint(
        &self,
        sealed: &[(UnitKey, SealedPane)],
        units: &[(UnitKey, UnitState)],
    ) -> Result<(), StateError> {
        let pane = |(unit, SealedPane { id, pane }): &(UnitKey, SealedPane)| {
            Key::Pane(unit.clone(), *id).reaching(pane.last_offset)
        };
        let unit = |(unit, state): &(UnitKey, UnitState)| {
            Key::Unit(unit.clone()).reaching(state.next_offset)
        };
        let panes: Vec<_> = sealed.iter().map(pane).collect();
        let reached: Vec<_> = units.iter().map(unit).collect();
        for (name, (_, sealed)) in panes.iter().zip(sealed) {
            self.put(name, &sealed.pane)?;
        }
        if !sealed.is_empty() {
            self.sync_folder()?;
        }
        for (name, (_, state)) in reached.iter().zip(units) {
            self.put(name, state)?;
        }
        self.sync_folder()?;
        self.drop_below(&[panes, reached].concat())
    }

    /// Refused: names by offset do not tell a log from the one that took its place.
    fn set_aside(&self, _: &UnitKey, _: &UnitState, _: i64) -> Result<bool, StateError> {
        Err(refused("it keeps the counts of one log only"))
    }

    fn units(&self, monitor: &str) -> Result<Vec<(UnitKey, UnitState)>, StateError> {
        let units = self.stored(monitor)?.into_iter();
        let units = units.filter_map(|(name, state)| match &name.key {
            Key::Unit(unit) => Some((unit.clone(), UnitState::clone(&state))),
            _ => None,
        });
        Ok(units.collect())
    }

    /// Those that their units have let go of. The others are there because power was lost before
    /// the unit was durable that has: they are still open in the stored one, and will be sealed
    /// again.
    fn sealed(&self, monitor: &str) -> Result<Vec<(UnitKey, SealedPane)>, StateError> {
        let units = self.stored(monitor)?;
        let stored = |of: &UnitKey| {
            let is = |name: &Name| matches!(&name.key, Key::Unit(unit) if unit == of);
            units.iter().find(|(name, _)| is(name))
        };
        let of_monitor = |key: &Key| matches!(key, Key::Pane(unit, _) if unit.monitor == monitor);
        let mut sealed = Vec::new();
        for (name, pane) in self.furthest::<Pane>(of_monitor)? {
            if let Key::Pane(unit, id) = &name.key
                && let Some((_, state)) = stored(unit)
                && pane.first_offset < state.next_offset
                && !state.open.contains_key(id)
            {
                let (id, pane) = (*id, Pane::clone(&pane));
                sealed.push((unit.clone(), SealedPane { id, pane }));
            }
        }
        sealed.sort_by_key(|(_, pane)| pane.id);
        Ok(sealed)
    }
}

impl ReportLog for FolderStore {
    /// Gives the number of the last entry among those of `monitor`.
    ///
    /// Refused to an evaluator that was overtaken, which has not read the last record: its successor
    /// has dropped panes that it never saw, so nothing it finds out can be trusted, not even windows
    /// that nobody has closed.
    fn commit(
        &self,
        monitor: &str,
        state: &EvaluatorState,
        entries: &[LogEntry],
        needed_from: Option<PaneId>,
    ) -> Result<u64, StateError> {
        if entries.iter().any(|entry| window_end(entry).is_none()) {
            return Err(refused("it keeps the reports of windows, nothing else"));
        }
        let last = self.evaluated(monitor)?.pop();
        let reached = last.as_ref().map(|(name, _)| name.reaches);
        if self.goes_on_from().get(monitor) != Some(&reached) {
            return Err(refused("another evaluator has gone on from there"));
        }
        let record = Evaluated {
            state: state.clone(),
            entries: entries.to_vec(),
            head: last.map_or(0, |(_, last)| last.head) + entries.len() as u64,
        };
        let reaches = state.closed_through.map_or(i64::MIN, |end| end.0);
        let name = Key::Evaluated(monitor.to_owned()).reaching(reaches);
        self.put(&name, &record)?;
        self.sync_folder()?;
        self.goes_on_from()
            .insert(monitor.to_owned(), Some(reaches));
        self.remove(|name| match &name.key {
            Key::Pane(unit, id) => unit.monitor == monitor && Some(*id) < needed_from,
            _ => false,
        })?;
        Ok(record.head)
    }

    fn evaluator(&self, monitor: &str) -> Result<EvaluatorState, StateError> {
        let evaluated = |name: &Name| matches!(&name.key, Key::Evaluated(of) if of == monitor);
        for (name, _) in self.files(evaluated)? {
            self.folder.sync(&name).map_err(failed)?;
        }
        self.sync_folder()?;
        let last = self.evaluated(monitor)?.pop();
        let reached = last.as_ref().map(|(name, _)| name.reaches);
        self.goes_on_from().insert(monitor.to_owned(), reached);
        Ok(last.map_or_else(EvaluatorState::default, |(_, last)| last.state.clone()))
    }

    fn head(&self) -> Result<u64, StateError> {
        Ok(ReportLog::read(self, 0, usize::MAX)?.len() as u64)
    }

    /// One monitor after the other: numbers hold as long as only one of them writes.
    fn read(&self, after: u64, limit: usize) -> Result<Vec<(u64, LogEntry)>, StateError> {
        let records = self.records::<Evaluated>(|key| matches!(key, Key::Evaluated(_)))?;
        let entries = records.iter().flat_map(|(_, record)| &record.entries);
        let numbered = (1..)
            .zip(entries.cloned())
            .skip_while(|(number, _)| *number <= after);
        Ok(numbered.take(limit).collect())
    }

    fn history(
        &self,
        monitor: &str,
        from_ms: i64,
        to_ms: i64,
        limit: usize,
    ) -> Result<Vec<LogEntry>, StateError> {
        let within = |e: &&LogEntry| window_end(e).is_some_and(|ms| from_ms <= ms && ms <= to_ms);
        let records = self.evaluated(monitor)?;
        let entries = records.iter().flat_map(|(_, record)| &record.entries);
        let last = entries.filter(within).rev().take(limit);
        let mut last: Vec<LogEntry> = last.cloned().collect();
        last.reverse();
        Ok(last)
    }

    fn cursor(&self, sink: &str) -> Result<Option<Vec<u8>>, StateError> {
        let cursor = self.folder.read(&Key::Cursor(sink.to_owned()).reaching(0));
        Ok(cursor.ok().map(|cursor| cursor.bytes.clone()))
    }

    fn set_cursor(&self, sink: &str, cursor: &[u8]) -> Result<(), StateError> {
        let fresh = Key::FreshCursor(sink.to_owned()).reaching(0);
        let name = Key::Cursor(sink.to_owned()).reaching(0);
        self.folder.write(&fresh, cursor).map_err(failed)?;
        self.folder.sync(&fresh).map_err(failed)?;
        self.folder.rename(&fresh, &name).map_err(failed)?;
        self.sync_folder()
    }

    /// Keeps everything.
    fn expire(&self, _: i64) -> Result<u64, StateError> {
        Ok(0)
    }
}

type Records<R> = Vec<(Arc<Name>, Arc<R>)>;

/// The record that a file holds, if it was not torn.
fn decoded<R: Record + Send + Sync + 'static>(content: &Content) -> Option<Arc<R>> {
    let decode = |bytes: &[u8]| codec::decode::<R>(bytes).ok().map(Arc::new);
    content.meaning(decode).clone()
}

fn failed(error: io::Error) -> StateError {
    StateError::Io {
        path: "folder".to_owned(),
        what: error.to_string(),
    }
}

fn refused(why: &str) -> StateError {
    failed(io::Error::other(why))
}

fn window_end(entry: &LogEntry) -> Option<i64> {
    match &entry.body {
        LogBody::Report(report) => Some(report.window.end_ms),
        LogBody::Notice { .. } => None,
    }
}

#[cfg(test)]
mod tests;
