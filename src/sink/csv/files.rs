//! The files that `csv.path` names: one, or one per date of the window's end.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::super::BATCH;
use super::file::CsvFile;
use super::{line, row};
use crate::drift::DriftReport;
use crate::state::{LogBody, ReportLog, StateError};
use crate::text::rfc3339;

/// Files kept open at a time.
const OPEN: usize = 8;

const DATE: &str = "{date}";

/// What stands in the place of the date where a window has no end.
const UNDATED: &str = "undated";

/// Why rows could not be written.
#[derive(Debug, thiserror::Error)]
#[error("the csv file {path} cannot be written: {source}; {advice}; its rows wait in the report log", path = path.display(), advice = advice(path, source))]
pub(super) struct CsvError {
    path: PathBuf,
    source: io::Error,
}

/// The files of one sink.
#[derive(Debug)]
pub(super) struct Files {
    template: PathBuf,
    open: BTreeMap<PathBuf, CsvFile>,
}

impl Files {
    pub(super) fn new(template: PathBuf) -> Self {
        Self {
            template,
            open: BTreeMap::new(),
        }
    }

    /// Begins or repairs the file, so that one that cannot be written is noticed before there are
    /// rows. Where there is one per date, the first row will tell.
    pub(super) fn begin(&mut self) -> Result<(), CsvError> {
        if is_dated(&self.template) {
            return Ok(());
        }
        let path = self.template.clone();
        self.current(&path)
            .map(|_| ())
            .map_err(|source| CsvError { path, source })
    }

    /// Writes the rows of `reports` that the files lack; gives their number.
    pub(super) fn write<'a>(
        &mut self,
        reports: impl Iterator<Item = &'a DriftReport>,
    ) -> Result<u64, CsvError> {
        let mut lines: BTreeMap<PathBuf, Vec<Vec<u8>>> = BTreeMap::new();
        for report in reports {
            let rows = lines.entry(self.path_of(report)).or_default();
            rows.extend(row::rows(report).map(line));
        }
        let mut written = 0;
        for (path, lines) in lines {
            written += self
                .append(&path, &lines)
                .map_err(|source| CsvError { path, source })?;
        }
        Ok(written)
    }

    /// The error of a call that did not come to its end.
    pub(super) fn stopped(&self, why: tokio::task::JoinError) -> CsvError {
        CsvError {
            path: self.template.clone(),
            source: io::Error::other(why),
        }
    }

    fn append(&mut self, path: &Path, lines: &[Vec<u8>]) -> io::Result<u64> {
        let appended = self.current(path)?.append(lines);
        if appended.is_err() {
            self.open.remove(path);
        }
        appended
    }

    /// The open file of that name; opened anew when it was renamed, deleted or truncated.
    fn current(&mut self, path: &Path) -> io::Result<&mut CsvFile> {
        if self.open.get(path).is_some_and(|file| !file.is_current()) {
            self.open.remove(path);
        }
        if !self.open.contains_key(path) && self.open.len() >= OPEN {
            self.open.pop_first();
        }
        match self.open.entry(path.to_owned()) {
            std::collections::btree_map::Entry::Occupied(open) => Ok(open.into_mut()),
            std::collections::btree_map::Entry::Vacant(free) => {
                Ok(free.insert(CsvFile::open(path)?))
            }
        }
    }

    fn path_of(&self, report: &DriftReport) -> PathBuf {
        if !is_dated(&self.template) {
            return self.template.clone();
        }
        let end = rfc3339(report.window.end_ms);
        let date = end.as_deref().and_then(|end| end.split_once('T'));
        let date = date.map_or(UNDATED, |(date, _)| date);
        PathBuf::from(self.template.to_string_lossy().replace(DATE, date))
    }

    /// Names and lengths of the files that are open.
    pub(super) fn lengths(&self) -> BTreeMap<String, u64> {
        self.open
            .iter()
            .map(|(path, file)| (path.to_string_lossy().into_owned(), file.len()))
            .collect()
    }

    /// Where to go on: `seq`, unless a file has become shorter than it was while nobody looked.
    /// Then it is from the entry of the last line that it still has.
    pub(super) fn resume(
        &self,
        seq: u64,
        lengths: &BTreeMap<String, u64>,
        log: &dyn ReportLog,
    ) -> Result<u64, StateError> {
        let mut from = seq;
        for (path, len) in lengths {
            let path = Path::new(path);
            if !path.exists() || !self.names(path) {
                continue;
            }
            // A file that cannot be opened says so when rows are written.
            let Ok(file) = CsvFile::open(path) else {
                continue;
            };
            if let (true, Some(last)) = (file.len() < *len, file.last()) {
                let found = locate(log, seq, last)?;
                from = from.min(found.map_or(seq, |entry| entry - 1));
            }
        }
        Ok(from)
    }

    /// Whether the template gives that path for some date.
    fn names(&self, path: &Path) -> bool {
        let (template, path) = (self.template.to_string_lossy(), path.to_string_lossy());
        match template.split_once(DATE) {
            None => template == path,
            Some((before, _)) => path
                .strip_prefix(before)
                .and_then(|rest| rest.get(..10).or(rest.get(..UNDATED.len())))
                .is_some_and(|date| template.replace(DATE, date) == path),
        }
    }
}

fn is_dated(template: &Path) -> bool {
    template.to_string_lossy().contains(DATE)
}

/// The entry up to `seq` that has `wanted` among its rows.
fn locate(log: &dyn ReportLog, seq: u64, wanted: &[u8]) -> Result<Option<u64>, StateError> {
    let mut after = 0;
    while after < seq {
        let entries = log.read(after, BATCH)?;
        let Some((last, _)) = entries.last() else {
            break;
        };
        after = *last;
        for (entry, body) in &entries {
            if let LogBody::Report(report) = &body.body
                && row::rows(report).map(line).any(|line| line == wanted)
            {
                return Ok(Some(*entry));
            }
        }
    }
    Ok(None)
}

fn advice(path: &Path, error: &io::Error) -> String {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("create the folder {folder}"),
        io::ErrorKind::PermissionDenied => {
            format!("let psiren's user write to it and to the folder {folder}")
        }
        io::ErrorKind::ReadOnlyFilesystem => "set csv.path to a writable place".to_owned(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space".to_owned(),
        _ => "set csv.path to a file that can be written".to_owned(),
    }
}
