//! What a folder holds after the script: everything that is stored, and every byte of the files.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use psiren::drift::SealedPane;
use psiren::state::local::{LocalOptions, LocalStore};
use psiren::state::{
    EvaluatorState, LogEntry, ReportLog, StateError, StateStore, UnitKey, UnitState,
};

pub(crate) const MONITOR: &str = "flights";
/// In the script's folder.
pub(crate) const STATE: &str = "state";
pub(crate) const STATE_FILE: &str = "state/psiren.redb";
/// What the state file is called until it is whole.
pub(crate) const UNFINISHED: &str = "state/psiren.redb.new";
pub(crate) const CSV: &str = "psi.csv";
/// A file of somebody else under the name of ours: it is set aside.
pub(crate) const FOREIGN: &str = "other,columns\n1,2\n";

#[derive(Debug, PartialEq)]
pub(crate) struct Content {
    units: Vec<(UnitKey, UnitState)>,
    sealed: Vec<(UnitKey, SealedPane)>,
    evaluator: EvaluatorState,
    log: Vec<(u64, LogEntry)>,
    history: Vec<LogEntry>,
    head: u64,
    cursors: [Option<Vec<u8>>; 2],
    /// Name, with a date in it replaced, to content; the state file left out.
    files: BTreeMap<String, String>,
}

impl Content {
    pub(crate) fn of(folder: &Path) -> Result<Self, StateError> {
        let store = LocalStore::open(&folder.join(STATE), LocalOptions::default())?;
        Ok(Self {
            units: store.units(MONITOR)?,
            sealed: store.sealed(MONITOR)?,
            evaluator: store.evaluator(MONITOR)?,
            log: store.read(0, usize::MAX)?,
            history: store.history(MONITOR, i64::MIN, i64::MAX, usize::MAX)?,
            head: store.head()?,
            cursors: [store.cursor("csv")?, store.cursor("slack")?],
            files: files(folder),
        })
    }

    /// The final rows, in the order of the file.
    pub(crate) fn csv(&self) -> &str {
        &self.files[CSV]
    }
}

fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for (prefix, place) in [("", folder.to_owned()), ("state/", folder.join(STATE))] {
        for entry in fs::read_dir(place).expect("the folder is there") {
            let path = entry.expect("a file").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() || name == psiren::state::local::FILE_NAME {
                continue;
            }
            let name = match name.starts_with("psi.2") {
                true => "psi.DATE.csv".to_owned(),
                false => format!("{prefix}{name}"),
            };
            let text = fs::read_to_string(&path).expect("a text file");
            assert_eq!(files.insert(name.clone(), text), None, "{name} twice");
        }
    }
    files
}
