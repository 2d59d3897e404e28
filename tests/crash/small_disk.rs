//! A real file system that is full: a tmpfs with a ballast that is thrown out once the script has
//! met the end of its space. Needs the right to mount.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::Run;
use crate::strace::Stage;
use crate::torture::sized;

pub(crate) fn cases() -> Vec<(&'static str, Run)> {
    vec![("a_real_disk_that_is_full_for_a_while", full_for_a_while)]
}

const KIB: usize = 1024;
const SIZE: usize = 4 * KIB * KIB;

/// A file system of its own.
struct SmallDisk {
    mounted: TempDir,
}

impl SmallDisk {
    fn mount() -> Result<Self, String> {
        let mounted = TempDir::new().map_err(|error| error.to_string())?;
        let done = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={SIZE}"), "tmpfs"])
            .arg(mounted.path())
            .output()
            .map_err(|error| format!("mount: {error}"))?;
        match done.status.success() {
            true => Ok(Self { mounted }),
            false => Err(format!(
                "a tmpfs cannot be mounted here: {}",
                String::from_utf8_lossy(&done.stderr).trim()
            )),
        }
    }

    fn path(&self) -> &Path {
        self.mounted.path()
    }

    /// Fills the disk but for `room` bytes.
    fn fill(&self, room: usize) -> PathBuf {
        let ballast = self.path().join("ballast");
        let mut file = fs::File::create(&ballast).expect("an empty file fits");
        let page = [1; 4 * KIB];
        // Until it is full.
        while file.write_all(&page).is_ok() {}
        let full = file.metadata().expect("it is there").len();
        file.set_len(full - room as u64).expect("it can be cut");
        ballast
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What stays mounted is in memory only; the folder below it is removed after this.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn full_for_a_while() -> Result<(), String> {
    // Whether this may run at all.
    drop(SmallDisk::mount()?);
    let undisturbed = Stage::new();
    undisturbed.play().expect_end();
    let expected = undisturbed.content();
    let rooms = (4..=160).step_by(sized(52, 4, 4));
    let mut met = 0;
    for room in rooms {
        let disk = SmallDisk::mount()?;
        let stage = Stage::in_folder(disk.path());
        let ballast = disk.fill(room * KIB);
        let mut child = stage.start(1000);
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let mut said = String::new();
        for line in stderr.lines() {
            let line = line.expect("text");
            if line.contains("No space left") && ballast.exists() {
                met += 1;
                fs::remove_file(&ballast).expect("the ballast can be removed");
            }
            said += &format!("{line}\n");
        }
        let status = child.wait().expect("the child ends");
        assert_eq!(status.code(), Some(0), "{room} KiB of room: {said}");
        drop(fs::remove_file(&ballast));
        assert!(stage.content() == expected, "{room} KiB of room: {said}");
    }
    assert!(met > 1, "the disk was never full");
    Ok(())
}
