//! What the state lies on.

use std::sync::OnceLock;

use crate::state::disk::{Choose, Folder, Fuse, Pages};
use crate::state::folder::{FolderStore, Name};
use crate::state::local::LocalStore;
use crate::state::{ReportLog, StateError, StateStore};

/// A disk with a store on it.
pub(super) trait Medium {
    type Store: StateStore + ReportLog + 'static;
    /// Several processes may use it at once.
    const SHARED: bool;

    /// After what is done once, before anything fails.
    fn begin() -> Self;

    fn open(&self, fuse: Fuse) -> Result<Self::Store, StateError>;

    /// To be called when no process that dies with the power uses it any more.
    fn lose_power(&self, choose: Choose<'_>);
}

impl Medium for Folder<Name> {
    type Store = FolderStore;
    const SHARED: bool = true;

    fn begin() -> Self {
        Self::default()
    }

    fn open(&self, fuse: Fuse) -> Result<FolderStore, StateError> {
        Ok(FolderStore::new(self.mount(fuse)))
    }

    fn lose_power(&self, choose: Choose<'_>) {
        Self::lose_power(self, choose);
    }
}

impl Medium for Pages {
    type Store = LocalStore;
    const SHARED: bool = false;

    /// The first start of all is left in peace: a file that it began and did not finish is no state,
    /// and the next start says so. It is the same every time.
    fn begin() -> Self {
        static FIRST: OnceLock<Pages> = OnceLock::new();
        let first = FIRST.get_or_init(|| {
            let pages = Self::default();
            LocalStore::on(&pages).unwrap();
            pages
        });
        first.copy()
    }

    fn open(&self, fuse: Fuse) -> Result<LocalStore, StateError> {
        LocalStore::on(&self.mount(fuse))
    }

    fn lose_power(&self, choose: Choose<'_>) {
        Self::lose_power(self, choose);
    }
}
