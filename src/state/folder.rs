//! Units, panes and reports as one record per file, in a folder that several processes share.
//!
//! It stands for the compacted topic of many replicas: the same encoded records, the same rules.
//! A record is named by its key and the offset it reaches, and is never replaced by one that
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
use super::disk::{Content, Mounted};
use super::{
    EvaluatorState, LogBody, LogEntry, ReportLog, StateError, StateStore, UnitKey, UnitState,
};
use crate::drift::{Pane, PaneId, SealedPane};

/// A folder as one process uses it.
pub(crate) struct FolderStore {
    folder: Mounted,
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
    pub(crate) fn new(folder: Mounted) -> Self {
        Self {
            folder,
            goes_on_from: Mutex::default(),
        }
    }

    /// Makes a record durable but for its name. One that is there already is kept: to write it
    /// again would put it at risk.
    fn put<R: Record + Send + Sync + 'static>(
        &self,
        key: &str,
        reaches: i64,
        record: &R,
    ) -> Result<(), StateError> {
        let name = named(key, reaches);
        let there = self.folder.read(&name).ok();
        if there.is_none_or(|there| decoded::<R>(&there).is_none()) {
            let bytes = codec::encode(record).map_err(|e| failed(io::Error::other(e)))?;
            self.folder.write(&name, &bytes).map_err(failed)?;
        }
        self.folder.sync(&name).map_err(failed)
    }

    fn drop_below(&self, key: &str, reaches: i64) -> Result<(), StateError> {
        for (name, _) in self.files(&format!("{key} "))? {
            if split(&name).is_some_and(|(of, at)| of == key && at < reaches) {
                self.folder.remove(&name).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn files(&self, prefix: &str) -> Result<Vec<(Arc<str>, Arc<Content>)>, StateError> {
        self.folder.files(prefix).map_err(failed)
    }

    fn sync_folder(&self) -> Result<(), StateError> {
        self.folder.sync_folder().map_err(failed)
    }

    /// Every record with a key under `prefix` that can be decoded, with how far it reaches.
    fn records<R>(&self, prefix: &str) -> Result<Vec<(String, i64, Arc<R>)>, StateError>
    where
        R: Record + Send + Sync + 'static,
    {
        let mut records = Vec::new();
        for (name, content) in self.files(prefix)? {
            if let (Some((key, at)), Some(record)) = (split(&name), decoded(&content)) {
                records.push((key.to_owned(), at, record));
            }
        }
        Ok(records)
    }

    /// The record of each key that reaches furthest.
    fn furthest<R>(&self, prefix: &str) -> Result<BTreeMap<String, Arc<R>>, StateError>
    where
        R: Record + Send + Sync + 'static,
    {
        let mut furthest: BTreeMap<String, (i64, Arc<R>)> = BTreeMap::new();
        for (key, at, record) in self.records(prefix)? {
            if furthest.get(&key).is_none_or(|(before, _)| *before < at) {
                furthest.insert(key, (at, record));
            }
        }
        Ok(furthest.into_iter().map(|(k, (_, r))| (k, r)).collect())
    }

    /// What the evaluators of `monitor` wrote, in that order, and how far each record reaches.
    fn evaluated(&self, monitor: &str) -> Result<Vec<(i64, Arc<Evaluated>)>, StateError> {
        let records = self.records::<Evaluated>(&format!("evaluated {monitor} "))?;
        let records = records.into_iter().map(|(_, at, record)| (at, record));
        let mut records: Vec<_> = records.collect();
        records.sort_by_key(|(at, _)| *at);
        Ok(records)
    }

    /// The units of `monitor` as they are stored.
    fn stored(&self, monitor: &str) -> Result<BTreeMap<UnitKey, Arc<UnitState>>, StateError> {
        let units = self.furthest(&format!("unit {monitor} "))?.into_iter();
        let units = units.filter_map(|(key, state)| Some((parse(&key)?.0, state)));
        Ok(units.collect())
    }

    fn goes_on_from(&self) -> MutexGuard<'_, BTreeMap<String, Option<i64>>> {
        let held = self.goes_on_from.lock();
        held.unwrap_or_else(PoisonError::into_inner)
    }

    fn monitors(&self) -> Result<Vec<String>, StateError> {
        let files = self.files("evaluated ")?;
        let monitors = files.iter().filter_map(|(name, _)| name.split(' ').nth(1));
        let mut monitors: Vec<String> = monitors.map(str::to_owned).collect();
        monitors.dedup();
        Ok(monitors)
    }
}

impl StateStore for FolderStore {
    fn checkpoint(
        &self,
        sealed: &[(UnitKey, SealedPane)],
        units: &[(UnitKey, UnitState)],
    ) -> Result<(), StateError> {
        for (unit, SealedPane { id, pane }) in sealed {
            self.put(&pane_key(unit, *id), pane.last_offset, pane)?;
        }
        if !sealed.is_empty() {
            self.sync_folder()?;
        }
        for (unit, state) in units {
            self.put(&unit_key(unit), state.next_offset, state)?;
        }
        self.sync_folder()?;
        for (unit, SealedPane { id, pane }) in sealed {
            self.drop_below(&pane_key(unit, *id), pane.last_offset)?;
        }
        for (unit, state) in units {
            self.drop_below(&unit_key(unit), state.next_offset)?;
        }
        Ok(())
    }

    /// Refused: names by offset do not tell a log from the one that took its place.
    fn set_aside(&self, _: &UnitKey, _: &UnitState, _: i64) -> Result<bool, StateError> {
        Err(refused("it keeps the counts of one log only"))
    }

    fn units(&self, monitor: &str) -> Result<Vec<(UnitKey, UnitState)>, StateError> {
        let units = self.stored(monitor)?.into_iter();
        let units = units.map(|(key, state)| (key, UnitState::clone(&state)));
        Ok(units.collect())
    }

    /// Those that their units have let go of. The others are there because power was lost before
    /// the unit was durable that has: they are still open in the stored one, and will be sealed
    /// again.
    fn sealed(&self, monitor: &str) -> Result<Vec<(UnitKey, SealedPane)>, StateError> {
        let units = self.stored(monitor)?;
        let mut sealed = Vec::new();
        for (key, pane) in self.furthest::<Pane>(&format!("pane {monitor} "))? {
            if let Some((unit, Some(id))) = parse(&key)
                && let Some(state) = units.get(&unit)
                && pane.first_offset < state.next_offset
                && !state.open.contains_key(&id)
            {
                let pane = Pane::clone(&pane);
                sealed.push((unit, SealedPane { id, pane }));
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
        let reached = last.as_ref().map(|(at, _)| *at);
        if self.goes_on_from().get(monitor) != Some(&reached) {
            return Err(refused("another evaluator has gone on from there"));
        }
        let record = Evaluated {
            state: state.clone(),
            entries: entries.to_vec(),
            head: last.map_or(0, |(_, last)| last.head) + entries.len() as u64,
        };
        let reaches = state.closed_through.map_or(i64::MIN, |end| end.0);
        self.put(&format!("evaluated {monitor}"), reaches, &record)?;
        self.sync_folder()?;
        self.goes_on_from()
            .insert(monitor.to_owned(), Some(reaches));
        for (name, _) in self.files(&format!("pane {monitor} "))? {
            let id = split(&name).and_then(|(key, _)| parse(key)?.1);
            if id < needed_from {
                self.folder.remove(&name).map_err(failed)?;
            }
        }
        Ok(record.head)
    }

    fn evaluator(&self, monitor: &str) -> Result<EvaluatorState, StateError> {
        for (name, _) in self.files(&format!("evaluated {monitor} "))? {
            self.folder.sync(&name).map_err(failed)?;
        }
        self.sync_folder()?;
        let last = self.evaluated(monitor)?.pop();
        let reached = last.as_ref().map(|(at, _)| *at);
        self.goes_on_from().insert(monitor.to_owned(), reached);
        Ok(last.map_or_else(EvaluatorState::default, |(_, last)| last.state.clone()))
    }

    fn head(&self) -> Result<u64, StateError> {
        Ok(ReportLog::read(self, 0, usize::MAX)?.len() as u64)
    }

    /// One monitor after the other: numbers hold as long as only one of them writes.
    fn read(&self, after: u64, limit: usize) -> Result<Vec<(u64, LogEntry)>, StateError> {
        let mut records = Vec::new();
        for monitor in self.monitors()? {
            records.extend(self.evaluated(&monitor)?);
        }
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
        let cursor = self.folder.read(&format!("cursor {sink}"));
        Ok(cursor.ok().map(|cursor| cursor.bytes.clone()))
    }

    fn set_cursor(&self, sink: &str, cursor: &[u8]) -> Result<(), StateError> {
        let (fresh, name) = (format!("fresh cursor {sink}"), format!("cursor {sink}"));
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

fn place(unit: &UnitKey) -> String {
    format!("{} {} {}", unit.monitor, unit.topic, unit.partition)
}

fn unit_key(unit: &UnitKey) -> String {
    format!("unit {}", place(unit))
}

fn pane_key(unit: &UnitKey, id: PaneId) -> String {
    format!("pane {} {}", place(unit), id.0)
}

fn named(key: &str, reaches: i64) -> String {
    format!("{key} {reaches}")
}

/// Key and reach of a file's name.
fn split(name: &str) -> Option<(&str, i64)> {
    let (key, reaches) = name.rsplit_once(' ')?;
    Some((key, reaches.parse().ok()?))
}

/// The unit of a key, and the pane when it is a pane's.
fn parse(key: &str) -> Option<(UnitKey, Option<PaneId>)> {
    let mut words = key.split(' ').skip(1);
    let unit = UnitKey {
        monitor: words.next()?.to_owned(),
        topic: words.next()?.to_owned(),
        partition: words.next()?.parse().ok()?,
    };
    let pane = words.next().and_then(|word| word.parse().ok());
    Some((unit, pane.map(PaneId)))
}

#[cfg(test)]
mod tests;
