//! A small file system of its own, to be filled and made read-only.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::Guard;
use crate::wait;

const LIMIT: Duration = Duration::from_secs(20);
const FILLER: &str = "filler";

/// A tmpfs; unmounted with this value, or when this process dies.
pub(crate) struct Disk {
    path: PathBuf,
    _guard: Guard,
}

/// Why this machine cannot mount one, where it cannot.
pub(crate) fn refused() -> Option<String> {
    let folder = tempfile::TempDir::new().ok()?;
    let path = folder.path().to_owned();
    match mount(&path, 64) {
        true => {
            unmount(&path);
            None
        }
        false => Some("needs a tmpfs of its own, and mounting is refused here".to_owned()),
    }
}

impl Disk {
    /// Mounts one at `path`, which is made for it.
    pub(crate) fn mount(path: PathBuf, kilobytes: u32) -> Self {
        fs::create_dir(&path).expect("a mount point");
        assert!(mount(&path, kilobytes), "{} is not mounted", path.display());
        let guard = Guard::new(&["umount", "-l", &path.display().to_string()]);
        Self {
            path,
            _guard: guard.expect("a guard"),
        }
    }

    /// Writes until nothing more fits.
    pub(crate) fn fill(&self) {
        let mut filler = File::create(self.path.join(FILLER)).expect("a file");
        for size in [1 << 16, 1 << 12, 1] {
            let block = vec![0; size];
            while filler.write_all(&block).is_ok() {}
        }
    }

    pub(crate) fn empty(&self) {
        fs::remove_file(self.path.join(FILLER)).expect("the filler is removed");
    }

    /// The kernel refuses it while a file is open for writing.
    pub(crate) fn make_read_only(&self) {
        wait::until("no file open for writing", LIMIT, || self.remount("ro"));
    }

    pub(crate) fn make_writable(&self) {
        assert!(self.remount("rw"), "not writable again");
    }

    fn remount(&self, mode: &str) -> bool {
        let options = format!("remount,{mode}");
        let path = self.path.display().to_string();
        succeeds(Command::new("mount").args(["-o", &options, &path]))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        unmount(&self.path);
    }
}

fn mount(path: &Path, kilobytes: u32) -> bool {
    let size = format!("size={kilobytes}k");
    let path = path.display().to_string();
    succeeds(Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs", &path]))
}

/// Also while files are open.
fn unmount(path: &Path) {
    succeeds(Command::new("umount").arg("-l").arg(path));
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
