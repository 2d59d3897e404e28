//! The power fails: what was written and not synced is there in part, in any order, or not at all.
//!
//! strace gives every write of an undisturbed run with its bytes. From them this builds the files
//! as a disk may hold them at any moment: what was synced, and of what was written since a random
//! part. Sectors of 512 bytes are whole; a file that only grows keeps a prefix of its end, as file
//! systems that order data before lengths do. A disk that says it synced and did not is not here.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

use crate::content::{CSV, STATE_FILE};
use crate::points::{completes, cores, each};
use crate::strace::Stage;
use crate::torture::sized;

const SECTOR: usize = 512;

/// One call, with the number of the file descriptor.
enum Call {
    Open {
        fd: u32,
        path: String,
    },
    Write {
        fd: u32,
        at: Option<usize>,
        bytes: Vec<u8>,
    },
    Truncate {
        fd: u32,
        len: usize,
    },
    Sync {
        fd: u32,
    },
}

/// A file on a disk with a cache.
#[derive(Clone, Default)]
struct Cached {
    synced: Vec<u8>,
    written: Vec<Change>,
    /// Of what the program sees.
    len: usize,
}

#[derive(Clone)]
enum Change {
    Bytes { at: usize, bytes: Vec<u8> },
    Appended(Vec<u8>),
    Len(usize),
}

impl Cached {
    fn write(&mut self, at: Option<usize>, bytes: Vec<u8>) {
        let end = at.unwrap_or(self.len) + bytes.len();
        self.len = self.len.max(end);
        self.written.push(match at {
            Some(at) => Change::Bytes { at, bytes },
            None => Change::Appended(bytes),
        });
    }

    fn truncate(&mut self, len: usize) {
        self.len = len;
        self.written.push(Change::Len(len));
    }

    fn sync(&mut self) {
        let mut all = Dice::always();
        self.synced = self.after_power_loss(&mut all);
        self.written.clear();
    }

    fn after_power_loss(&self, dice: &mut Dice) -> Vec<u8> {
        let mut disk = self.synced.clone();
        let mut grows = true;
        for change in &self.written {
            match change {
                Change::Len(len) if dice.keeps() => disk.resize(*len, 0),
                Change::Len(_) => {}
                Change::Appended(bytes) if grows => {
                    let kept = dice.part_of(bytes.len());
                    grows = kept == bytes.len();
                    disk.extend(&bytes[..kept]);
                }
                Change::Appended(_) => {}
                Change::Bytes { at, bytes } => {
                    for (i, sector) in bytes.chunks(SECTOR).enumerate() {
                        let from = at + i * SECTOR;
                        let to = from + sector.len();
                        // What lies behind the end was written to a file that did not grow.
                        if dice.keeps() && to <= disk.len() {
                            disk[from..to].copy_from_slice(sector);
                        }
                    }
                }
            }
        }
        disk
    }
}

/// Which parts of what was not synced are there.
enum Dice {
    Always,
    Random { seed: u64, thrown: u64 },
}

impl Dice {
    fn always() -> Self {
        Self::Always
    }

    fn keeps(&mut self) -> bool {
        match self {
            Self::Always => true,
            Self::Random { .. } => self.throw() & 1 == 1,
        }
    }

    fn part_of(&mut self, len: usize) -> usize {
        match self {
            Self::Always => len,
            Self::Random { .. } => self.throw() as usize % (len + 1),
        }
    }

    fn throw(&mut self) -> u64 {
        let Self::Random { seed, thrown } = self else {
            return 0;
        };
        *thrown += 1;
        BuildHasherDefault::<DefaultHasher>::default().hash_one((*seed, *thrown)) >> 7
    }
}

pub(crate) fn the_power_fails_at_every_call() {
    let calls = calls(&Stage::new().trace());
    let disks = disks(calls);
    let step = sized(disks.len().div_ceil(12), 2, 1);
    let throws = sized(1, 1, 20);
    let points: Vec<(usize, u64)> = (0..disks.len())
        .step_by(step)
        .flat_map(|point| (0..throws).map(move |throw| (point, throw)))
        .collect();
    each(&points, cores(), |(point, throw)| {
        let what = format!("power lost at call {point}, throw {throw}");
        let stage = Stage::new();
        let mut dice = Dice::Random {
            seed: *point as u64 * 1000 + throw,
            thrown: 0,
        };
        for (name, file) in &disks[*point] {
            let path = stage.folder().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, file.after_power_loss(&mut dice)).expect("the file is written");
        }
        stage.aside();
        completes(&stage, &what);
    });
}

type Disk = BTreeMap<&'static str, Cached>;

/// The disk before each call, from the first row in the CSV file on: by then both files have their
/// names.
fn disks(calls: Vec<Call>) -> Vec<Disk> {
    let mut disk = Disk::new();
    let mut open: BTreeMap<u32, &'static str> = BTreeMap::new();
    let mut disks = Vec::new();
    let mut rows = 0;
    for call in calls {
        if rows > 1 {
            disks.push(disk.clone());
        }
        let fd = match &call {
            Call::Open { fd, path } => {
                let name = match path {
                    path if path.ends_with(CSV) => Some(CSV),
                    path if path.contains(STATE_FILE) => Some(STATE_FILE),
                    _ => None,
                };
                match name {
                    Some(name) => open.insert(*fd, name),
                    None => open.remove(fd),
                };
                continue;
            }
            Call::Write { fd, .. } | Call::Truncate { fd, .. } | Call::Sync { fd } => fd,
        };
        let Some(file) = open
            .get(fd)
            .copied()
            .map(|name| disk.entry(name).or_default())
        else {
            continue;
        };
        match call {
            Call::Write { at, bytes, .. } => {
                rows += usize::from(at.is_none());
                file.write(at, bytes);
            }
            Call::Truncate { len, .. } => file.truncate(len),
            Call::Sync { .. } => file.sync(),
            Call::Open { .. } => {}
        }
    }
    disks
}

fn calls(trace: &str) -> Vec<Call> {
    trace.lines().filter_map(call).collect()
}

/// A line such as `17 pwrite64(9, "\x72\x65", 2, 4096) = 2`; `None` for what changes no file.
fn call(line: &str) -> Option<Call> {
    let (head, result) = line.rsplit_once(" = ")?;
    let result = result.split_whitespace().next()?;
    let (name, rest) = head.split_once(' ')?.1.trim_start().split_once('(')?;
    let arguments = rest.trim_end().strip_suffix(')')?;
    let fd = || arguments.split(',').next()?.parse().ok();
    let last = || arguments.rsplit(", ").next()?.parse().ok();
    Some(match name {
        "openat" => Call::Open {
            fd: result.parse().ok()?,
            path: String::from_utf8(quoted(arguments)?).ok()?,
        },
        "write" => Call::Write {
            fd: fd()?,
            at: None,
            bytes: quoted(arguments)?,
        },
        "pwrite64" => Call::Write {
            fd: fd()?,
            at: Some(last()?),
            bytes: quoted(arguments)?,
        },
        "ftruncate" => Call::Truncate {
            fd: fd()?,
            len: last()?,
        },
        "fsync" | "fdatasync" => Call::Sync { fd: fd()? },
        _ => return None,
    })
}

/// The bytes of the first string, each of them spelt `\x..`.
fn quoted(arguments: &str) -> Option<Vec<u8>> {
    let (_, rest) = arguments.split_once('"')?;
    let (text, after) = rest.split_once('"')?;
    assert!(!after.starts_with("..."), "strace cut the bytes");
    text.split("\\x")
        .skip(1)
        .map(|hex| u8::from_str_radix(hex, 16).ok())
        .collect()
}
