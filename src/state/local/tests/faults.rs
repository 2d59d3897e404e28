//! Disks that fail, at every single operation.

use std::io;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use crate::state::fixtures::{evaluator, key, report, unit};
use crate::state::local::{LocalOptions, LocalStore, builder};
use crate::state::{ReportLog, StateError, StateStore};

/// A disk in memory that outlives the stores on it.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bytes: Mutex<Vec<u8>>,
    /// Writes and syncs that still work; the one after them fails.
    works: AtomicI64,
    /// How many fail before the disk is well again.
    fails: AtomicI64,
    /// A sync that fails, fails after the data got through.
    syncs_only: bool,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            bytes: Mutex::default(),
            works: AtomicI64::new(i64::MAX),
            fails: AtomicI64::new(0),
            syncs_only: false,
        }
    }
}

impl Disk {
    fn new(syncs_only: bool) -> Self {
        Self(Arc::new(Inner {
            syncs_only,
            ..Inner::default()
        }))
    }

    fn break_after(&self, works: i64, fails: i64) {
        self.0.fails.store(fails, Ordering::SeqCst);
        self.0.works.store(works, Ordering::SeqCst);
    }

    /// True when no fault was met.
    fn mend(&self) -> bool {
        self.0.works.swap(i64::MAX, Ordering::SeqCst) >= 0
    }

    fn step(&self) -> io::Result<()> {
        if self.0.works.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Ok(());
        }
        if self.0.fails.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "no space left"));
        }
        Ok(())
    }

    fn store(&self) -> Result<LocalStore, StateError> {
        let open =
            |disk: Disk| move || builder(LocalOptions::default()).create_with_backend(disk.clone());
        LocalStore::with("disk".to_owned(), open(self.clone()), open(self.clone()))
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.bytes.lock().unwrap();
        let from = offset as usize;
        let found = bytes.get(from..from + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if !self.0.syncs_only {
            self.step()?;
        }
        self.0.bytes.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.step()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if !self.0.syncs_only {
            self.step()?;
        }
        let from = offset as usize;
        self.0.bytes.lock().unwrap()[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}

/// Breaks the disk at the n-th operation of a commit, for every n, and commits until it works.
/// Gives how many faults were met.
fn every_commit_is_there_once(syncs_only: bool, fails: i64) -> usize {
    let mut met = 0;
    for works in 0.. {
        let disk = Disk::new(syncs_only);
        let store = disk.store().unwrap();
        let commit = |n: i64| store.commit("m", &evaluator(n), &[report("m", n, n)], None);
        store.checkpoint(&[], &[(key("m", 0), unit(1))]).unwrap();
        assert_eq!(commit(1).unwrap(), 1);

        disk.break_after(works, fails);
        let first = commit(2);
        // The fault is still there for a second try, and the clock has moved on since.
        let second = store.commit("m", &evaluator(2), &[report("m", 2, 99)], None);
        if disk.mend() {
            return met;
        }
        met += 1;
        match (first, second) {
            (Ok(2), second) => assert!(!matches!(second, Ok(n) if n != 3), "{second:?}"),
            (Err(StateError::Io { what, .. }), second) => {
                assert!(what.contains("no space left"), "{what}");
                match second {
                    Ok(seq) => assert_eq!(seq, 2, "works {works}"),
                    Err(_) => assert_eq!(commit(2).unwrap(), 2, "works {works}"),
                }
                assert_eq!(store.evaluator("m").unwrap(), evaluator(2));
                assert_eq!(ReportLog::read(&store, 0, 10).unwrap().len(), 2);
            }
            (first, _) => panic!("works {works}: {first:?}"),
        }
        assert_eq!(store.units("m").unwrap(), [(key("m", 0), unit(1))]);
        let seqs: Vec<u64> = ReportLog::read(&store, 0, 10)
            .unwrap()
            .iter()
            .map(|e| e.0)
            .collect();
        assert!(seqs == [1, 2] || seqs == [1, 2, 3], "{seqs:?}");
        drop(store);
        let store = disk.store().unwrap();
        assert_eq!(store.evaluator("m").unwrap(), evaluator(2));
    }
    met
}

#[test]
fn a_commit_that_met_a_full_disk_is_there_once_after_it_was_repeated() {
    assert!(every_commit_is_there_once(false, 1) >= 2);
    assert!(every_commit_is_there_once(false, i64::MAX) >= 2);
}

#[test]
fn a_commit_that_got_through_although_its_sync_failed_is_not_repeated() {
    assert!(every_commit_is_there_once(true, 1) >= 1);
    assert!(every_commit_is_there_once(true, i64::MAX) >= 1);
}

#[test]
fn reading_goes_on_once_the_disk_is_well() {
    let disk = Disk::new(false);
    let store = disk.store().unwrap();
    store.checkpoint(&[], &[(key("m", 0), unit(1))]).unwrap();
    disk.break_after(0, i64::MAX);
    let failed = store.checkpoint(&[], &[(key("m", 0), unit(2))]);
    assert!(matches!(failed, Err(StateError::Io { .. })), "{failed:?}");
    assert!(store.units("m").is_err(), "it cannot even be opened");
    disk.mend();
    assert_eq!(store.units("m").unwrap(), [(key("m", 0), unit(1))]);
    store.checkpoint(&[], &[(key("m", 0), unit(2))]).unwrap();
    assert_eq!(store.units("m").unwrap(), [(key("m", 0), unit(2))]);
}

#[test]
fn other_work_in_between_does_not_hide_that_a_commit_got_through() {
    for works in 0..100 {
        let disk = Disk::new(true);
        let store = disk.store().unwrap();
        let commit = |m: &str, n: i64| store.commit(m, &evaluator(n), &[report(m, n, n)], None);
        disk.break_after(works, i64::MAX);
        let failed = commit("a", 1).is_err();
        let other_failed = commit("b", 1).is_err();
        if disk.mend() {
            assert!(works > 0);
            return;
        }
        store.checkpoint(&[], &[(key("a", 0), unit(1))]).unwrap();
        if other_failed {
            commit("b", 1).unwrap();
        }
        store.checkpoint(&[], &[(key("a", 0), unit(2))]).unwrap();
        if failed {
            commit("a", 1).unwrap();
        }
        assert_eq!(commit("a", 2).unwrap(), 3, "works {works}");
        assert_eq!(ReportLog::read(&store, 0, 10).unwrap().len(), 3);
    }
}
