//! The first state file of a directory.
//!
//! It is made under another name and gets its own only when it is whole. So a crash on the way
//! leaves no file that looks damaged, and a state file that is empty is one that lost its content,
//! never one that is about to begin.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use redb::Builder;
use tempfile::TempPath;

use super::failure::Failure;
use super::{FILE_NAME, tables};
use crate::state::StateError;
use crate::state::reset::lock;

/// The name of a file that is not whole yet.
pub(super) const UNFINISHED: &str = "psiren.redb.new";

/// Makes an empty state in `dir`, unless there is one.
pub(super) fn begin(dir: &Path, builder: &Builder) -> Result<(), Failure> {
    fs::create_dir_all(dir)?;
    let path = dir.join(FILE_NAME);
    if !path.try_exists()? {
        make(&path, dir.join(UNFINISHED), builder)?;
    }
    Ok(sync_directory(dir)?)
}

fn make(path: &Path, unfinished: PathBuf, builder: &Builder) -> Result<(), Failure> {
    remove_unfinished(&unfinished)?;
    let database = builder.create(&unfinished)?;
    // Removed when something fails from here on.
    let unfinished = TempPath::try_from_path(unfinished)?;
    let txn = database.begin_write()?;
    tables::create(&txn)?;
    txn.commit()?;
    drop(database);
    match unfinished.persist_noclobber(path) {
        Ok(()) => Ok(()),
        // Another process was faster. Whether it is still here is found out by opening.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // Another process took the unfinished file for one that a crash had left, and is at work.
        Err(error) if error.error.kind() == io::ErrorKind::NotFound => Err(locked(path)),
        Err(error) => Err(error.error.into()),
    }
}

fn locked(path: &Path) -> Failure {
    Failure::State(StateError::Locked {
        path: path.display().to_string(),
    })
}

/// Removes what a crash left, unless a process is at work on it.
fn remove_unfinished(path: &Path) -> Result<(), Failure> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let Some(_lock) = lock(file)? else {
        return Err(locked(path));
    };
    match fs::remove_file(path) {
        // It was finished, and has got its name, since it was opened here.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => Ok(removed?),
    }
}

/// Makes the name of the file as durable as its content.
fn sync_directory(dir: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::local::{LocalOptions, LocalStore};

    #[test]
    fn of_many_first_starts_at_once_some_begin_and_the_others_are_told_so() {
        for _ in 0..20 {
            let dir = tempfile::tempdir().unwrap();
            let open = || LocalStore::open(dir.path(), LocalOptions::default());
            let opened: Vec<_> = std::thread::scope(|scope| {
                let starts: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
                starts.into_iter().map(|s| s.join().unwrap()).collect()
            });
            let refused = opened.iter().filter_map(|o| o.as_ref().err());
            for error in refused {
                assert!(matches!(error, StateError::Locked { .. }), "{error}");
            }
            drop(opened);
            LocalStore::open(dir.path(), LocalOptions::default()).unwrap();
        }
    }
}
