//! Disks in memory that lose power, and processes that die in the middle of what they do to them.
//!
//! [`Folder`] keeps files of a folder and promises what POSIX does; [`Pages`] is one file under the
//! local store. Where chance decides, `choose` is asked for a number below its argument, so that
//! whoever owns the seed owns every crash.

mod folder;
mod pages;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

pub(crate) use self::folder::{Content, Files, Folder, Mounted};
pub(crate) use self::pages::Pages;

/// Gives a number in `0..n`.
pub(crate) type Choose<'a> = &'a mut dyn FnMut(usize) -> usize;

/// How many operations on a disk a process still lives to see. It dies in the one after them: that
/// one is done in part, and nothing it tries afterwards has any effect.
#[derive(Debug, Clone)]
pub(crate) struct Fuse(Arc<AtomicI64>);

impl Default for Fuse {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MAX)))
    }
}

impl Fuse {
    pub(crate) fn set(&self, operations: i64) {
        self.0.store(operations, Ordering::SeqCst);
    }

    pub(crate) fn is_blown(&self) -> bool {
        self.0.load(Ordering::SeqCst) < 0
    }

    fn burn(&self) -> io::Result<()> {
        match self.0.fetch_sub(1, Ordering::SeqCst) {
            left if left > 0 => Ok(()),
            _ => Err(self.dead()),
        }
    }

    /// Refuses what needs no operation of its own, once it is blown.
    fn check(&self) -> io::Result<()> {
        match self.is_blown() {
            false => Ok(()),
            true => Err(self.dead()),
        }
    }

    fn dead(&self) -> io::Error {
        self.0.store(-1, Ordering::SeqCst);
        io::Error::other("the process is dead")
    }
}
