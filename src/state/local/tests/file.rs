//! The state file: who may open it, and what becomes of a damaged one.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use redb::ReadableDatabase;

use crate::drift::SealedPane;
use crate::state::fixtures::{evaluator, key, report, sealed, unit};
use crate::state::local::{FILE_NAME, LocalOptions, LocalStore, tables};
use crate::state::{
    EvaluatorState, LogEntry, ReportLog, StateError, StateStore, UnitKey, UnitState,
};

fn open(dir: &Path) -> Result<LocalStore, StateError> {
    LocalStore::open(dir, LocalOptions::default())
}

fn fill(store: &LocalStore) {
    for n in 1..6 {
        store
            .checkpoint(
                &[(key("m", 0), sealed(n, n))],
                &[(key("m", 0), unit(n)), (key("m", 1), unit(n * 2))],
            )
            .unwrap();
        store
            .commit("m", &evaluator(n), &[report("m", n, n)], None)
            .unwrap();
    }
    store.set_cursor("csv", b"5").unwrap();
}

type Content = (
    Vec<(UnitKey, UnitState)>,
    Vec<(UnitKey, SealedPane)>,
    EvaluatorState,
    Vec<(u64, LogEntry)>,
    Vec<LogEntry>,
    Option<Vec<u8>>,
);

fn content(store: &LocalStore) -> Result<Content, StateError> {
    Ok((
        store.units("m")?,
        store.sealed("m")?,
        store.evaluator("m")?,
        ReportLog::read(store, 0, 100)?,
        store.history("m", 0, 100, 100)?,
        store.cursor("csv")?,
    ))
}

#[test]
fn a_second_opening_is_refused_while_the_first_lasts() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    let refused = open(dir.path()).err().unwrap();
    assert!(matches!(refused, StateError::Locked { .. }), "{refused}");
    assert!(refused.to_string().contains("psiren.redb"));
    drop(store);
    open(dir.path()).unwrap();
}

const HOLD: &str = "PSIREN_TEST_HOLD_STATE_IN";

/// The other process of the test below: commits for ever. Does nothing in a plain test run.
#[test]
fn commits_until_it_is_killed() {
    let Some(dir) = std::env::var_os(HOLD) else {
        return;
    };
    let store = open(Path::new(&dir)).unwrap();
    for n in 1.. {
        store
            .checkpoint(&[(key("m", 0), sealed(n, n))], &[(key("m", 0), unit(n))])
            .unwrap();
        store
            .commit("m", &evaluator(n), &[report("m", n, n)], None)
            .unwrap();
        if n == 20 {
            std::io::stdout().write_all(b"\nready\n").unwrap();
        }
    }
}

#[test]
fn a_killed_process_leaves_its_lock_and_half_a_transaction_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let _ = fs::remove_file(dir.path().join(FILE_NAME));
        let mut other = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture"])
            .arg("state::local::tests::file::commits_until_it_is_killed")
            .env(HOLD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(other.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "ready"));
        let refused = open(dir.path()).err().unwrap();
        assert!(matches!(refused, StateError::Locked { .. }), "{refused}");
        other.kill().unwrap();
        other.wait().unwrap();

        let store = open(dir.path()).unwrap();
        let log = ReportLog::read(&store, 0, usize::MAX).unwrap();
        let committed = log.len() as i64;
        assert!(committed >= 20);
        assert!(log.iter().map(|(seq, _)| *seq).eq(1..=log.len() as u64));
        assert_eq!(store.evaluator("m").unwrap(), evaluator(committed));
        let next = store.units("m").unwrap()[0].1.next_offset;
        assert!(next == committed || next == committed + 1);
        assert_eq!(store.sealed("m").unwrap().len() as i64, next);
    }
}

#[test]
fn what_is_no_state_file_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    fs::write(&path, "a text that somebody wrote here".repeat(400)).unwrap();
    let before = fs::read(&path).unwrap();
    let refused = open(dir.path()).err().unwrap();
    assert!(matches!(refused, StateError::Damaged { .. }), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), before);

    fs::remove_file(&path).unwrap();
    let other = redb::Database::create(&path).unwrap();
    let txn = other.begin_write().unwrap();
    let table = redb::TableDefinition::<u64, u64>::new("else");
    txn.open_table(table).unwrap().insert(1, 1).unwrap();
    txn.commit().unwrap();
    drop(other);
    let refused = open(dir.path()).err().unwrap();
    assert!(matches!(refused, StateError::Damaged { .. }), "{refused}");
}

#[test]
fn state_of_a_newer_program_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    let path = dir.path().join(FILE_NAME);
    let database = redb::Database::open(&path).unwrap();
    let txn = database.begin_write().unwrap();
    txn.open_table(tables::META)
        .unwrap()
        .insert(tables::META_FORMAT, tables::FORMAT + 1)
        .unwrap();
    txn.commit().unwrap();
    assert!(database.begin_read().is_ok());
    drop(database);
    let refused = open(dir.path()).err().unwrap();
    assert!(
        matches!(
            refused,
            StateError::Newer {
                found: 2,
                supported: 1,
                ..
            }
        ),
        "{refused}"
    );
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let refused = open(&dir.path().join("file/state")).err().unwrap();
    assert!(matches!(refused, StateError::Io { .. }), "{refused}");
    assert!(refused.to_string().contains("file/state/psiren.redb"));
}

/// Bytes that are damaged at rest end in an error or in the content as it was.
fn damaged_or_whole(good: &Content, bytes: &[u8], dir: &Path, what: &str) -> bool {
    fs::write(dir.join(FILE_NAME), bytes).unwrap();
    match open(dir).and_then(|store| content(&store)) {
        Ok(found) => {
            assert!(found == *good, "{what}: other content");
            false
        }
        Err(error) => {
            assert!(
                matches!(
                    error,
                    StateError::Damaged { .. } | StateError::Newer { .. } | StateError::Io { .. }
                ),
                "{what}: {error}"
            );
            true
        }
    }
}

#[test]
fn a_file_that_was_damaged_at_rest_gives_an_error_or_what_was_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).unwrap();
    fill(&store);
    let good = content(&store).unwrap();
    drop(store);
    let path = dir.path().join(FILE_NAME);
    let mut bytes = Vec::new();
    fs::File::open(&path)
        .unwrap()
        .read_to_end(&mut bytes)
        .unwrap();

    // Every bit of the header, and a sample of the rest.
    let header = (0..320 * 8).step_by(7);
    let rest = (320 * 8..bytes.len() * 8).step_by(bytes.len() * 8 / 301);
    let mut noticed = 0;
    for bit in header.chain(rest) {
        bytes[bit / 8] ^= 1 << (bit % 8);
        noticed += usize::from(damaged_or_whole(
            &good,
            &bytes,
            dir.path(),
            &format!("bit {bit}"),
        ));
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(noticed > 0);
    for cut in (0..16).map(|i| bytes.len() * i / 16 + 1) {
        assert!(damaged_or_whole(
            &good,
            &bytes[..cut],
            dir.path(),
            &format!("cut at {cut}")
        ));
    }
    assert!(!damaged_or_whole(&good, &bytes, dir.path(), "as it was"));
}
