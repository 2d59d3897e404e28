//! The files of one folder: contents and names, each durable only once synced.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Choose, Fuse};

/// A folder that outlives the processes that use it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Folder(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    files: Vec<File>,
    /// As every running process sees them.
    names: BTreeMap<String, usize>,
    /// As they are certain to be after power was lost.
    durable: BTreeMap<String, usize>,
    /// Changes of names since the folder was last synced.
    unsynced: Vec<Change>,
}

#[derive(Debug, Clone, Default)]
struct File {
    bytes: Vec<u8>,
    synced: bool,
}

#[derive(Debug)]
enum Change {
    Name(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Name(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Folder {
    /// The folder as one process uses it.
    pub(crate) fn mount(&self, fuse: Fuse) -> Mounted {
        Mounted {
            folder: self.clone(),
            fuse,
        }
    }

    /// What was not synced is lost, whole or in part: any of the changed names, and any part of a
    /// file's content.
    pub(crate) fn lose_power(&self, choose: Choose<'_>) {
        let mut inner = self.lock();
        let Inner {
            files,
            names,
            durable,
            unsynced,
        } = &mut *inner;
        for change in unsynced.drain(..) {
            if choose(2) == 0 {
                change.apply(durable);
            }
        }
        for file in files.iter_mut().filter(|f| !f.synced) {
            tear(&mut file.bytes, choose);
            file.synced = true;
        }
        names.clone_from(durable);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tear(bytes: &mut Vec<u8>, choose: Choose<'_>) {
    let at = choose(bytes.len() + 1);
    match choose(4) {
        0 => {}
        1 => bytes.truncate(at),
        // The length got through before the content did.
        2 => bytes[at..].fill(0),
        _ => bytes[..at].fill(0),
    }
}

/// The folder in the hands of one process.
#[derive(Debug)]
pub(crate) struct Mounted {
    folder: Folder,
    fuse: Fuse,
}

impl Mounted {
    /// Puts `bytes` in the place of the file's content, or begins a file.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let burnt = self.before_death(|inner| inner.put(name, &bytes[..bytes.len() / 2]));
        burnt?;
        self.folder.lock().put(name, bytes);
        Ok(())
    }

    pub(crate) fn sync(&self, name: &str) -> io::Result<()> {
        self.fuse.burn()?;
        let mut inner = self.folder.lock();
        let file = inner.file(name)?;
        inner.files[file].synced = true;
        Ok(())
    }

    pub(crate) fn sync_folder(&self) -> io::Result<()> {
        self.fuse.burn()?;
        let mut inner = self.folder.lock();
        inner.unsynced.clear();
        inner.durable = inner.names.clone();
        Ok(())
    }

    /// In one step, over what had the name before.
    pub(crate) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.fuse.burn()?;
        let mut inner = self.folder.lock();
        let file = inner.file(from)?;
        inner.change(Change::Rename(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    pub(crate) fn remove(&self, name: &str) -> io::Result<()> {
        self.fuse.burn()?;
        let mut inner = self.folder.lock();
        inner.file(name)?;
        inner.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    pub(crate) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.fuse.check()?;
        let inner = self.folder.lock();
        Ok(inner.files[inner.file(name)?].bytes.clone())
    }

    /// The names that begin with `prefix`, ascending.
    pub(crate) fn names(&self, prefix: &str) -> io::Result<Vec<String>> {
        self.fuse.check()?;
        let inner = self.folder.lock();
        let names = inner.names.range(prefix.to_owned()..).map(|(name, _)| name);
        let names = names.take_while(|name| name.starts_with(prefix));
        Ok(names.cloned().collect())
    }

    /// Burns one operation; the one the process dies in leaves `last` behind.
    fn before_death(&self, last: impl FnOnce(&mut Inner)) -> io::Result<()> {
        self.fuse.check()?;
        self.fuse
            .burn()
            .inspect_err(|_| last(&mut self.folder.lock()))
    }
}

impl Inner {
    fn file(&self, name: &str) -> io::Result<usize> {
        let file = self.names.get(name).copied();
        file.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no file {name:?}")))
    }

    fn put(&mut self, name: &str, bytes: &[u8]) {
        let file = File {
            bytes: bytes.to_vec(),
            synced: false,
        };
        match self.names.get(name) {
            Some(number) => self.files[*number] = file,
            None => {
                self.files.push(file);
                self.change(Change::Name(name.to_owned(), self.files.len() - 1));
            }
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }
}
