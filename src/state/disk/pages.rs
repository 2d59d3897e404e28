//! One file, read and written at offsets, as the embedded store does.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

use super::{Choose, Fuse};

/// A file that outlives the stores on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    file: Arc<Mutex<File>>,
    fuse: Fuse,
}

#[derive(Debug, Clone, Default)]
struct File {
    /// As a running process sees it.
    bytes: Vec<u8>,
    /// As it was when it was last synced.
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone)]
enum Change {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, file: &mut Vec<u8>, part: usize) {
        match self {
            Self::Length(length) => file.resize(*length, 0),
            Self::Bytes(at, bytes) => {
                let bytes = &bytes[..part.min(bytes.len())];
                if file.len() < at + bytes.len() {
                    file.resize(at + bytes.len(), 0);
                }
                file[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

impl Pages {
    /// The same file for another process.
    pub(crate) fn mount(&self, fuse: Fuse) -> Self {
        Self {
            file: Arc::clone(&self.file),
            fuse,
        }
    }

    /// Another file with the same content.
    pub(crate) fn copy(&self) -> Self {
        let file = self.lock().clone();
        Self {
            file: Arc::new(Mutex::new(file)),
            fuse: Fuse::default(),
        }
    }

    /// Any of the writes since the last sync get through, some of them only up to some byte.
    pub(crate) fn lose_power(&self, choose: Choose<'_>) {
        let mut file = self.lock();
        let File {
            bytes,
            durable,
            unsynced,
        } = &mut *file;
        for change in unsynced.drain(..) {
            match (choose(4), &change) {
                (0, _) => {}
                (1, Change::Bytes(_, bytes)) => change.apply(durable, choose(bytes.len() + 1)),
                _ => change.apply(durable, usize::MAX),
            }
        }
        bytes.clone_from(durable);
    }

    fn change(&self, change: Change) -> io::Result<()> {
        self.fuse.check()?;
        let burnt = self.fuse.burn();
        let part = match (&burnt, &change) {
            (Ok(()), _) => usize::MAX,
            (Err(_), Change::Bytes(_, bytes)) => bytes.len() / 2,
            (Err(_), Change::Length(_)) => return burnt,
        };
        let mut file = self.lock();
        change.apply(&mut file.bytes, part);
        if burnt.is_ok() {
            file.unsynced.push(change);
        } else if let Change::Bytes(at, mut bytes) = change {
            bytes.truncate(part);
            file.unsynced.push(Change::Bytes(at, bytes));
        }
        burnt
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageBackend for Pages {
    fn len(&self) -> io::Result<u64> {
        self.fuse.check()?;
        Ok(self.lock().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.fuse.check()?;
        let file = self.lock();
        let from = offset as usize;
        let found = file.bytes.get(from..from + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(len as usize))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.fuse.check()?;
        self.fuse.burn()?;
        let mut file = self.lock();
        let File {
            durable, unsynced, ..
        } = &mut *file;
        for change in unsynced.drain(..) {
            change.apply(durable, usize::MAX);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Bytes(offset as usize, data.to_vec()))
    }
}
