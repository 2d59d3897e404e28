//! What a start would do with the stored state, without doing it: the rehearsal is on a copy.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;

use super::local::{Adopted, FILE_NAME, LocalOptions, LocalStore};
use super::reset::lock;
use super::{CountsIdentity, StateError};

/// What [`LocalStore::adopt_all`] would say to `monitors`, names and identities, about the
/// state in `dir`; `None` when there is no state. The state itself is not changed.
///
/// # Errors
/// Those of opening and adopting, `Locked` among them while a process has the state open, and
/// `Io` when it cannot be copied.
pub fn rehearse(
    dir: &Path,
    monitors: &[(&str, &CountsIdentity)],
) -> Result<Option<Vec<Adopted>>, StateError> {
    let path = dir.join(FILE_NAME);
    let failed = |error: io::Error| StateError::Io {
        path: path.display().to_string(),
        what: error.to_string(),
    };
    let file = match OpenOptions::new().read(true).write(true).open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // Nobody writes while the copy is made.
    let Some(held) = lock(file).map_err(failed)? else {
        return Err(StateError::Locked {
            path: path.display().to_string(),
        });
    };
    let copy = tempfile::tempdir().map_err(failed)?;
    fs::copy(&path, copy.path().join(FILE_NAME)).map_err(failed)?;
    drop(held);
    LocalStore::open(copy.path(), LocalOptions::default())
        .and_then(|store| store.adopt_all(monitors))
        .map(Some)
        .map_err(|error| renamed(error, &path))
}

/// The error with the name of the file that was copied in the place of the copy's.
fn renamed(error: StateError, original: &Path) -> StateError {
    let path = original.display().to_string();
    match error {
        StateError::Locked { .. } => StateError::Locked { path },
        StateError::Damaged { what, .. } => StateError::Damaged { path, what },
        StateError::Newer {
            found, supported, ..
        } => StateError::Newer {
            path,
            found,
            supported,
        },
        StateError::Io { what, .. } => StateError::Io { path, what },
        error @ StateError::OtherCounts { .. } => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_state_there_is_nothing_to_adopt() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(rehearse(dir.path(), &[]).unwrap(), None);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_state_is_left_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        drop(LocalStore::open(dir.path(), LocalOptions::default()).unwrap());
        let before = fs::read(dir.path().join(FILE_NAME)).unwrap();
        assert_eq!(rehearse(dir.path(), &[]).unwrap(), Some(Vec::new()));
        assert_eq!(fs::read(dir.path().join(FILE_NAME)).unwrap(), before);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn state_in_use_is_told_from_damaged_state_under_its_own_name() {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path(), LocalOptions::default()).unwrap();
        let locked = rehearse(dir.path(), &[]);
        assert!(matches!(locked, Err(StateError::Locked { .. })));
        drop(store);
        fs::write(dir.path().join(FILE_NAME), b"no state at all").unwrap();
        let Err(StateError::Damaged { path, .. }) = rehearse(dir.path(), &[]) else {
            panic!("expected damage");
        };
        assert!(path.starts_with(dir.path().to_str().unwrap()), "{path}");
    }
}
