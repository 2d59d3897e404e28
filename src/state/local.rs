//! The state of one process in one file: an embedded ACID store (redb).
//!
//! Every call is one transaction, durable when it returns. The file is locked, so a second process
//! is refused; the kernel drops the lock when a process dies, however it dies.
//!
//! redb refuses all work after a failed read or write. The store is then closed and opened again at
//! the next use, so a disk that was full or read-only does no harm once it is not; `write.rs` says
//! what becomes of the transaction that met it.
//!
//! The whole file is checked whenever it is opened, and redb's panics on damage are caught, which
//! needs panics that unwind.

mod adopt;
mod begin;
mod checkpoint;
mod failure;
mod report_log;
mod tables;
#[cfg(test)]
mod tests;
mod write;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, DatabaseError, ReadTransaction, ReadableDatabase};

pub use self::adopt::Adopted;
use self::failure::Failure;
use self::write::Writer;
use super::StateError;
use super::codec::{self, Record};

/// The name of the state file in the state directory.
pub const FILE_NAME: &str = "psiren.redb";

/// How the local store uses the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalOptions {
    /// Memory for pages of the file.
    pub cache_bytes: usize,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 64 << 20,
        }
    }
}

type Opener = Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>;

/// Units, sealed panes and the report log in one file.
pub struct LocalStore {
    /// For error messages.
    path: String,
    /// Opens what exists; never makes a new, empty store in its place.
    open_again: Opener,
    /// `None` after a failure, until the next use.
    database: RwLock<Option<Database>>,
    writer: Mutex<Writer>,
}

impl LocalStore {
    /// Opens the state in `dir`, or begins one there.
    ///
    /// # Errors
    /// [`StateError::Locked`] while another process has it open, `Damaged` when its content is not
    /// what was written, `Newer` when a newer psiren wrote it, `Io` for everything about the disk.
    pub fn open(dir: &Path, options: LocalOptions) -> Result<Self, StateError> {
        let path = dir.join(FILE_NAME);
        let shown = path.display().to_string();
        guarded(|| begin::begin(dir, &builder(options))).map_err(|failure| failure.at(&shown))?;
        let store = Self::of(shown, None, move || builder(options).open(&path));
        drop(store.opened()?);
        Ok(store)
    }

    /// A state that ends with the process.
    ///
    /// # Errors
    /// As [`open`](Self::open), though none is expected.
    pub fn in_memory() -> Result<Self, StateError> {
        Self::with(
            "memory".to_owned(),
            || Builder::new().create_with_backend(InMemoryBackend::new()),
            || Err(std::io::Error::other("a state in memory cannot be opened again").into()),
        )
    }

    /// The state on a file in memory that outlives this process.
    #[cfg(test)]
    pub(crate) fn on(pages: &super::disk::Pages) -> Result<Self, StateError> {
        let open = |pages: super::disk::Pages| {
            move || builder(LocalOptions::default()).create_with_backend(pages.clone())
        };
        Self::with("pages".to_owned(), open(pages.clone()), open(pages.clone()))
    }

    /// A store on a database that begins where it is empty.
    fn with(
        path: String,
        begin: impl FnOnce() -> Result<Database, DatabaseError>,
        open_again: impl Fn() -> Result<Database, DatabaseError> + Send + Sync + 'static,
    ) -> Result<Self, StateError> {
        let database = guarded(|| {
            let database = begin()?;
            if !tables::exists(&database.begin_read()?, &path)? {
                let txn = database.begin_write()?;
                tables::create(&txn)?;
                txn.commit()?;
            }
            Ok(database)
        })
        .map_err(|failure| failure.at(&path))?;
        Ok(Self::of(path, Some(database), open_again))
    }

    fn of(
        path: String,
        database: Option<Database>,
        open_again: impl Fn() -> Result<Database, DatabaseError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            path,
            open_again: Box::new(open_again),
            database: RwLock::new(database),
            writer: Mutex::default(),
        }
    }

    /// Runs `work` on one consistent view.
    fn read<T>(
        &self,
        work: impl FnOnce(&ReadTransaction) -> Result<T, Failure>,
    ) -> Result<T, StateError> {
        self.using(|database| work(&database.begin_read()?))
    }

    /// Runs `work` on the database, opening it again first where a failure closed it.
    fn using<T>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, Failure>,
    ) -> Result<T, StateError> {
        let opened = self.opened()?;
        let result = match &*opened {
            Some(database) => guarded(|| work(database)),
            None => Err(redb::StorageError::DatabaseClosed.into()),
        };
        drop(opened);
        result.map_err(|failure| {
            if failure.breaks_database() {
                self.close();
            }
            failure.at(&self.path)
        })
    }

    fn opened(&self) -> Result<RwLockReadGuard<'_, Option<Database>>, StateError> {
        let opened = self.database.read().unwrap_or_else(PoisonError::into_inner);
        if opened.is_some() {
            return Ok(opened);
        }
        drop(opened);
        let mut slot = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if slot.is_none() {
            let database = guarded(|| {
                let database = (self.open_again)()?;
                match tables::exists(&database.begin_read()?, &self.path)? {
                    true => Ok(database),
                    false => Err(Failure::Damaged("its content is gone".to_owned())),
                }
            });
            *slot = Some(database.map_err(|failure| failure.at(&self.path))?);
        }
        drop(slot);
        Ok(self.database.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn close(&self) {
        let mut slot = self
            .database
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let database = slot.take();
        // A database that has just panicked may do so again; it is of no further use either way.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
    }
}

/// Decodes a stored value; `which` names it in an error.
fn stored<R: Record>(bytes: &[u8], which: impl FnOnce() -> String) -> Result<R, Failure> {
    codec::decode(bytes).map_err(|error| Failure::Stored(which(), error))
}

fn encoded<R: Record>(record: &R) -> Result<Vec<u8>, Failure> {
    codec::encode(record).map_err(Failure::Unfit)
}

/// Runs `work`, with a panic as a failure. Nothing that `work` leaves half done is looked at again:
/// the database is closed, and an unfinished transaction is none.
fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Failure::panicked(panic.as_ref())))
}

fn builder(options: LocalOptions) -> Builder {
    let mut builder = Builder::new();
    builder
        .set_cache_size(options.cache_bytes)
        .set_check_integrity_on_open(true);
    builder
}
