//! Putting stored state aside, so that the next start begins anew. Nothing is deleted.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use redb::StorageBackend;
use redb::backends::FileBackend;

use super::StateError;
use super::local::FILE_NAME;

/// Moves the state file in `dir` to a name dated `now_ms` (wall clock, UTC) beside it and gives
/// that name; `None` when there is no state. The content is not looked at, it may be damaged.
///
/// # Errors
/// [`StateError::Locked`] while a process has the state open, `Io` when it cannot be moved.
pub fn reset_state(dir: &Path, now_ms: i64) -> Result<Option<PathBuf>, StateError> {
    let path = dir.join(FILE_NAME);
    let shown = || path.display().to_string();
    let failed = |error: io::Error| StateError::Io {
        path: shown(),
        what: error.to_string(),
    };
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Held until the file has its new name.
    let Some(_lock) = lock(file).map_err(failed)? else {
        return Err(StateError::Locked { path: shown() });
    };
    let aside = free_name(dir, now_ms);
    fs::rename(&path, &aside).map_err(failed)?;
    if cfg!(unix) {
        File::open(dir)
            .and_then(|dir| dir.sync_all())
            .map_err(failed)?;
    }
    Ok(Some(aside))
}

/// The lock that an open store holds, in the store's own way of locking; `None` when it is taken.
pub(super) fn lock(file: File) -> io::Result<Option<FileBackend>> {
    let backend = FileBackend::new(file).map_err(io::Error::other)?;
    match backend.try_lock_range(Bound::Unbounded, Bound::Unbounded) {
        Ok(true) => Ok(Some(backend)),
        Ok(false) => Ok(None),
        Err(error) => Err(io::Error::other(error)),
    }
}

fn free_name(dir: &Path, now_ms: i64) -> PathBuf {
    let date = Timestamp::from_millisecond(now_ms)
        .map(|now| now.strftime("%Y-%m-%dT%H-%M-%SZ").to_string())
        .unwrap_or_else(|_| now_ms.to_string());
    let numbered = (1..).map(|n| dir.join(format!("{FILE_NAME}.{date}.{n}")));
    std::iter::once(dir.join(format!("{FILE_NAME}.{date}")))
        .chain(numbered)
        .find(|path| !path.exists())
        .unwrap_or_else(|| dir.join(format!("{FILE_NAME}.{date}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateStore;
    use crate::state::fixtures::{key, unit};
    use crate::state::local::{LocalOptions, LocalStore};

    #[test]
    fn state_is_put_aside_under_a_dated_name_and_never_over_another() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(reset_state(dir.path(), 0).unwrap(), None);
        let mut names = Vec::new();
        for n in 1..=3 {
            let store = LocalStore::open(dir.path(), LocalOptions::default()).unwrap();
            assert_eq!(store.units("m").unwrap(), []);
            store.checkpoint(&[], &[(key("m", 0), unit(n))]).unwrap();
            drop(store);
            let aside = reset_state(dir.path(), 1_764_504_000_000).unwrap().unwrap();
            names.push(aside.file_name().unwrap().to_str().unwrap().to_owned());
        }
        let first = "psiren.redb.2025-11-30T12-00-00Z";
        assert_eq!(
            names,
            [first.to_owned(), format!("{first}.1"), format!("{first}.2")]
        );
        fs::rename(dir.path().join(&names[1]), dir.path().join(FILE_NAME)).unwrap();
        let store = LocalStore::open(dir.path(), LocalOptions::default()).unwrap();
        assert_eq!(store.units("m").unwrap()[0].1, unit(2));
    }

    #[test]
    fn state_in_use_stays_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let _store = LocalStore::open(dir.path(), LocalOptions::default()).unwrap();
        assert!(matches!(
            reset_state(dir.path(), 0),
            Err(StateError::Locked { .. })
        ));
        assert!(dir.path().join(FILE_NAME).exists());
    }

    #[test]
    fn a_damaged_file_can_be_put_aside() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE_NAME), b"no state at all").unwrap();
        let aside = reset_state(dir.path(), 0).unwrap().unwrap();
        assert_eq!(fs::read(aside).unwrap(), b"no state at all");
    }
}
