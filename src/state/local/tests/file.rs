//! The state file: who may open it, and what becomes of a damaged one.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use redb::ReadableDatabase;

use crate::state::fixtures::{evaluator, key, report, sealed, unit};
use crate::state::local::begin::UNFINISHED;
use crate::state::local::{FILE_NAME, LocalOptions, LocalStore, tables};
use crate::state::{ReportLog, StateError, StateStore};

fn open(dir: &Path) -> Result<LocalStore, StateError> {
    LocalStore::open(dir, LocalOptions::default())
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

#[test]
fn a_file_that_lost_its_content_is_no_new_one() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()).unwrap());
    fs::write(dir.path().join(FILE_NAME), "").unwrap();
    let refused = open(dir.path()).err().unwrap();
    assert!(matches!(refused, StateError::Damaged { .. }), "{refused}");
}

#[test]
fn what_a_crash_left_of_the_first_start_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let unfinished = dir.path().join(UNFINISHED);
    fs::write(&unfinished, [0; 5000]).unwrap();
    drop(open(dir.path()).unwrap());
    assert!(!unfinished.exists());

    fs::remove_file(dir.path().join(FILE_NAME)).unwrap();
    let other = redb::Database::create(&unfinished).unwrap();
    let refused = open(dir.path()).err().unwrap();
    assert!(matches!(refused, StateError::Locked { .. }), "{refused}");
    drop(other);
    open(dir.path()).unwrap();
}
