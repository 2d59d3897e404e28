//! A whole state file: any bytes, and any edit of a good one, are refused with words or hold what
//! was written.
//!
//! The input is the file itself; and, four bytes each, edits of the golden file: three of a place,
//! one that is laid over it by exclusive or. What is left over at the end is where the file is cut.

use std::collections::BTreeMap;
use std::fs;
use std::panic;
use std::path::Path;
use std::sync::{LazyLock, Once};

use psiren::drift::{DriftReport, Layout, Pane, PaneCounts, PaneId, SealedPane, Trigger};
use psiren::state::local::{FILE_NAME, LocalOptions, LocalStore};
use psiren::state::{
    EvaluatorState, LogBody, LogEntry, ReportLog, Splice, StateError, StateStore, UnitKey,
    UnitState,
};

use super::sample::report;

const GOLDEN: &[u8] = include_bytes!("../../../fixtures/fuzz/golden.redb.zst");

const MONITOR: &str = "flights";

pub fn judge(bytes: &[u8]) {
    quiet_store();
    judge_file(bytes);
    judge_file(&edited(bytes));
}

/// redb panics over some damage, and the store makes an error of it: under libFuzzer, whose own hook
/// ends the process at once, it would not come to that.
fn quiet_store() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map_or("", |at| at.file());
            if !place.contains("/redb-") {
                report(info);
            }
        }));
    });
}

fn golden() -> Vec<u8> {
    zstd::decode_all(GOLDEN).expect("the golden file is whole")
}

fn edited(edits: &[u8]) -> Vec<u8> {
    let mut file = golden();
    let (edits, cut) = edits.as_chunks::<4>();
    for [a, b, c, over] in edits {
        let place = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
        let len = file.len();
        file[place % len] ^= over;
    }
    if !cut.is_empty() {
        let at = cut.iter().fold(0, |at, byte| at << 8 | usize::from(*byte));
        file.truncate(at % file.len());
    }
    file
}

fn judge_file(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder for the state");
    fs::write(folder.path().join(FILE_NAME), bytes).expect("the file can be written");
    match content(folder.path()) {
        Ok(content) => assert!(written().contains(&content), "{content:?}"),
        Err(error) => {
            let words = error.to_string();
            assert!(words.contains(FILE_NAME), "{words}");
            assert!(!matches!(error, StateError::Locked { .. }), "{words}");
        }
    }
}

/// All that the program reads of a state when it starts.
#[derive(Debug, PartialEq)]
struct Content {
    monitors: Vec<String>,
    units: Vec<(UnitKey, UnitState)>,
    sealed: Vec<(UnitKey, SealedPane)>,
    evaluator: EvaluatorState,
    head: u64,
    log: Vec<(u64, LogEntry)>,
    history: Vec<LogEntry>,
    cursor: Option<Vec<u8>>,
}

impl Content {
    fn of(store: &LocalStore) -> Result<Self, StateError> {
        Ok(Self {
            monitors: store.monitors()?,
            units: store.units(MONITOR)?,
            sealed: store.sealed(MONITOR)?,
            evaluator: store.evaluator(MONITOR)?,
            head: store.head()?,
            log: store.read(0, usize::MAX)?,
            history: store.history(MONITOR, i64::MIN, i64::MAX, usize::MAX)?,
            cursor: store.cursor("csv")?,
        })
    }
}

/// What the state in `folder` holds, before and after it is written to.
fn content(folder: &Path) -> Result<Content, StateError> {
    let store = LocalStore::open(folder, LocalOptions::default())?;
    let content = Content::of(&store)?;
    store.checkpoint(&[], &[(key(), unit(100))])?;
    let units = store.units(MONITOR)?;
    assert_eq!(units, [(key(), unit(100))]);
    Ok(content)
}

/// What the golden state held from its beginning on: a damaged last step may take it back to the
/// one before, which the log is then read again from.
fn written() -> &'static [Content] {
    static WRITTEN: LazyLock<Vec<Content>> = LazyLock::new(|| {
        let store = LocalStore::in_memory().expect("a store in memory");
        let content = || Content::of(&store).expect("it can be read");
        let mut written = vec![content()];
        for step in STEPS {
            step(&store).expect("it can be written");
            written.push(content());
        }
        written
    });
    &WRITTEN
}

type Step = fn(&LocalStore) -> Result<(), StateError>;

const STEPS: [Step; 4] = [
    |store| store.checkpoint(&[], &[(key(), unit(5))]),
    |store| store.checkpoint(&[(key(), sealed())], &[(key(), unit(9))]),
    |store| {
        let state = EvaluatorState {
            closed_through: Some(PaneId(7)),
            first: Some(PaneId(3)),
            ..EvaluatorState::default()
        };
        let entry = LogEntry {
            monitor: MONITOR.to_owned(),
            written_at_ms: 5,
            news: true,
            body: LogBody::Report(golden_report()),
        };
        store.commit(MONITOR, &state, &[entry], None).map(drop)
    },
    |store| store.set_cursor("csv", b"1"),
];

/// The report in the golden file, whose last digit is that of another logarithm.
fn golden_report() -> DriftReport {
    let mut report = report(Trigger::Final, 1.0);
    report.features[0].psi = Some(3.126046646235414);
    report
}

fn key() -> UnitKey {
    UnitKey {
        monitor: MONITOR.to_owned(),
        topic: "flights".to_owned(),
        partition: 3,
    }
}

fn unit(next_offset: i64) -> UnitState {
    UnitState {
        next_offset,
        greatest_ms: Some(next_offset * 1_000),
        open: BTreeMap::from([(PaneId(7), pane(next_offset))]),
        outcomes: vec![next_offset as u64; 6],
        splice: Some(Splice {
            offset: next_offset - 1,
            timestamp_ms: Some(5),
            hash: u64::MAX,
        }),
        // What the golden file's units, of the first version, are taken for.
        began_at: -5 * next_offset,
        ..UnitState::fresh(0, None)
    }
}

fn sealed() -> SealedPane {
    SealedPane {
        id: PaneId(6),
        pane: pane(4),
    }
}

fn pane(next_offset: i64) -> Pane {
    let layout = Layout::new([3, 2]);
    let cells = (0..layout.cells() as u64).map(|i| i * 3).collect();
    Pane {
        counts: PaneCounts::from_cells(&layout, 9, cells).expect("as many as the layout has"),
        first_offset: 0,
        last_offset: next_offset - 1,
    }
}

/// Writes the golden file anew, for a new format.
pub fn write_golden() {
    let folder = tempfile::tempdir().expect("a folder for the state");
    let store = LocalStore::open(folder.path(), LocalOptions::default()).expect("a new state");
    for step in STEPS {
        step(&store).expect("it can be written");
    }
    drop(store);
    let bytes = fs::read(folder.path().join(FILE_NAME)).expect("the file can be read");
    let packed = zstd::bulk::compress(&bytes, 19).expect("memory can be compressed");
    fs::write("fixtures/fuzz/golden.redb.zst", packed).expect("the golden file can be written");
}
