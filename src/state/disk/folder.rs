//! The files of one folder: contents and names, each durable only once synced.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::{Choose, Fuse};

/// A folder that outlives the processes that use it, with files whose names are of type `N`.
#[derive(Debug)]
pub(crate) struct Folder<N>(Arc<Mutex<Inner<N>>>);

#[derive(Debug)]
struct Inner<N> {
    files: Vec<File>,
    /// As every running process sees them.
    names: Names<N>,
    /// As they are certain to be after power was lost.
    durable: Names<N>,
    /// Changes of names since the folder was last synced.
    unsynced: Vec<Change<N>>,
}

pub(crate) type Files<N> = Vec<(Arc<N>, Arc<Content>)>;

type Names<N> = BTreeMap<Arc<N>, usize>;

#[derive(Debug)]
struct File {
    content: Arc<Content>,
    synced: bool,
}

/// What a file holds until it is written again.
#[derive(Debug)]
pub(crate) struct Content {
    pub bytes: Vec<u8>,
    meaning: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Content {
    fn new(bytes: Vec<u8>) -> Arc<Self> {
        let meaning = OnceLock::new();
        Arc::new(Self { bytes, meaning })
    }

    /// What `read` makes of the bytes. It is asked once: they do not change.
    pub(crate) fn meaning<T: Any + Send + Sync>(&self, read: impl FnOnce(&[u8]) -> T) -> &T {
        let meaning = self.meaning.get_or_init(|| Box::new(read(&self.bytes)));
        let expected = "a file is always read as one type";
        meaning.downcast_ref().expect(expected)
    }
}

#[derive(Debug)]
enum Change<N> {
    Name(Arc<N>, usize),
    Rename(Arc<N>, Arc<N>, usize),
    Remove(Arc<N>),
}

impl<N: Ord> Change<N> {
    fn apply(&self, names: &mut Names<N>) {
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

impl<N> Default for Folder<N> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            files: Vec::new(),
            names: BTreeMap::new(),
            durable: BTreeMap::new(),
            unsynced: Vec::new(),
        })))
    }
}

impl<N: Ord> Folder<N> {
    /// The folder as one process uses it.
    pub(crate) fn mount(&self, fuse: Fuse) -> Mounted<N> {
        Mounted {
            folder: Self(Arc::clone(&self.0)),
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
            let mut bytes = file.content.bytes.clone();
            tear(&mut bytes, choose);
            file.content = Content::new(bytes);
            file.synced = true;
        }
        names.clone_from(durable);
    }

    fn lock(&self) -> MutexGuard<'_, Inner<N>> {
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
pub(crate) struct Mounted<N> {
    folder: Folder<N>,
    fuse: Fuse,
}

impl<N: Ord> Mounted<N> {
    /// Puts `bytes` in the place of the file's content, or begins a file.
    pub(crate) fn write(&self, name: &Arc<N>, bytes: &[u8]) -> io::Result<()> {
        let burnt = self.before_death(|inner| inner.put(name, &bytes[..bytes.len() / 2]));
        burnt?;
        self.folder.lock().put(name, bytes);
        Ok(())
    }

    pub(crate) fn sync(&self, name: &N) -> io::Result<()> {
        self.fuse.burn()?;
        let mut inner = self.folder.lock();
        let file = inner.file(name)?;
        inner.files[file].synced = true;
        Ok(())
    }

    pub(crate) fn sync_folder(&self) -> io::Result<()> {
        self.fuse.burn()?;
        let mut inner = self.folder.lock();
        let Inner {
            durable, unsynced, ..
        } = &mut *inner;
        for change in unsynced.drain(..) {
            change.apply(durable);
        }
        Ok(())
    }

    /// In one step, over what had the name before.
    pub(crate) fn rename(&self, from: &Arc<N>, to: &Arc<N>) -> io::Result<()> {
        self.fuse.burn()?;
        let mut inner = self.folder.lock();
        let file = inner.file(from)?;
        inner.change(Change::Rename(Arc::clone(from), Arc::clone(to), file));
        Ok(())
    }

    pub(crate) fn remove(&self, name: &Arc<N>) -> io::Result<()> {
        self.fuse.burn()?;
        let mut inner = self.folder.lock();
        inner.file(name)?;
        inner.change(Change::Remove(Arc::clone(name)));
        Ok(())
    }

    pub(crate) fn read(&self, name: &N) -> io::Result<Arc<Content>> {
        self.fuse.check()?;
        let inner = self.folder.lock();
        let file = inner.file(name)?;
        Ok(Arc::clone(&inner.files[file].content))
    }

    /// The files that are `wanted`, by name.
    pub(crate) fn files(&self, wanted: impl Fn(&N) -> bool) -> io::Result<Files<N>> {
        self.fuse.check()?;
        let inner = self.folder.lock();
        let names = inner.names.iter().filter(|(name, _)| wanted(name));
        let file = |(name, file): (&Arc<N>, &usize)| {
            (Arc::clone(name), Arc::clone(&inner.files[*file].content))
        };
        Ok(names.map(file).collect())
    }

    /// Burns one operation; the one the process dies in leaves `last` behind.
    fn before_death(&self, last: impl FnOnce(&mut Inner<N>)) -> io::Result<()> {
        self.fuse.check()?;
        self.fuse
            .burn()
            .inspect_err(|_| last(&mut self.folder.lock()))
    }
}

impl<N: Ord> Inner<N> {
    fn file(&self, name: &N) -> io::Result<usize> {
        let file = self.names.get(name).copied();
        file.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn put(&mut self, name: &Arc<N>, bytes: &[u8]) {
        let file = File {
            content: Content::new(bytes.to_vec()),
            synced: false,
        };
        match self.names.get(name) {
            Some(number) => self.files[*number] = file,
            None => {
                self.files.push(file);
                self.change(Change::Name(Arc::clone(name), self.files.len() - 1));
            }
        }
    }

    fn change(&mut self, change: Change<N>) {
        change.apply(&mut self.names);
        self.unsynced.push(change);
    }
}
