//! The script as a child process under strace, which kills it or makes a system call fail.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::content::{CSV, Content, FOREIGN, STATE, STATE_FILE, UNFINISHED};
use crate::script::PATIENCE;

/// Set for the child.
pub(crate) const PLAY: &str = "PSIREN_CRASH_PLAY";

/// The calls that change a file or its name, and those that make a change durable. One that the
/// script does not use has no points.
pub(crate) const CALLS: [&str; 14] = [
    "openat",
    "write",
    "pwrite64",
    "writev",
    "pwritev",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fallocate",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "mkdir",
];

/// The folder of one run of the script, with a foreign file under the name of the CSV file.
pub(crate) struct Stage {
    folder: PathBuf,
    /// Removes the folder when it is ours.
    _ours: Option<TempDir>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        // In memory where that can be had: what a killed process wrote is there all the same.
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => TempDir::new_in(memory),
            false => TempDir::new(),
        };
        let folder = folder.expect("a temporary folder");
        let stage = Self::in_folder(folder.path());
        Self {
            _ours: Some(folder),
            ..stage
        }
    }

    pub(crate) fn in_folder(folder: &Path) -> Self {
        fs::write(folder.join(CSV), FOREIGN).expect("the foreign file is written");
        Self {
            folder: folder.to_owned(),
            _ours: None,
        }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The script, undisturbed, with this much patience; its standard error is piped.
    pub(crate) fn start(&self, patience: u32) -> Child {
        self.child(Command::new(program()))
            .env(PATIENCE, patience.to_string())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the child can be started")
    }

    pub(crate) fn csv(&self) -> PathBuf {
        self.folder().join(CSV)
    }

    /// The script to its end, undisturbed.
    pub(crate) fn play(&self) -> Played {
        Played::of(&mut self.child(Command::new(program())))
    }

    /// The script under strace with these injections, such as `fsync:error=EIO:when=3`.
    pub(crate) fn disturbed(&self, injections: &[String], patience: u32) -> Played {
        let mut strace = self.strace("/dev/null");
        for injection in injections {
            strace.arg("-e").arg(format!("inject={injection}"));
        }
        strace.arg(program());
        Played::of(self.child(strace).env(PATIENCE, patience.to_string()))
    }

    /// How often the script, played to its end, makes each of [`CALLS`] on its files.
    pub(crate) fn count(&self) -> BTreeMap<&'static str, usize> {
        let text = self.trace();
        let of = |call: &str| text.matches(&format!(" {call}(")).count();
        CALLS.into_iter().map(|call| (call, of(call))).collect()
    }

    /// What the script, played to its end, calls on its files, with every byte as `\x..`.
    pub(crate) fn trace(&self) -> String {
        let trace = self.folder().join("trace");
        let mut strace = self.strace(trace.to_str().expect("a path in UTF-8"));
        strace.args(["-xx", "-s", "1000000"]).arg(program());
        Played::of(&mut self.child(strace)).expect_end();
        let text = fs::read_to_string(&trace).expect("strace writes its output");
        fs::remove_file(trace).expect("the trace can be removed");
        text
    }

    /// Counts and kills only what touches the files of the script: neither the loader's calls nor
    /// those on standard error.
    fn strace(&self, output: &str) -> Command {
        let mut strace = Command::new("strace");
        // Not --seccomp-bpf: with it strace 6.1 sends no signals.
        strace.args(["-f", "-o", output]);
        strace.args(["-e", &format!("trace={}", CALLS.join(","))]);
        for name in [CSV, STATE, STATE_FILE, UNFINISHED] {
            let full = self.folder().join(name);
            strace.args(["-P", name, "-P", full.to_str().expect("a path in UTF-8")]);
        }
        strace
    }

    fn child(&self, mut command: Command) -> Command {
        command
            .env(PLAY, "1")
            .current_dir(self.folder())
            .stdin(Stdio::null());
        command
    }

    /// Puts the foreign file where the script moves it.
    pub(crate) fn aside(&self) {
        let aside = self.folder().join("psi.2026-01-01T000000Z.csv");
        fs::write(aside, FOREIGN).expect("the foreign file is written");
    }

    /// What is there now, after the script has been played to its end.
    pub(crate) fn content(&self) -> Content {
        Content::of(self.folder()).expect("the state can be read")
    }
}

fn program() -> PathBuf {
    std::env::current_exe().expect("this test has a path")
}

/// How a child ended, and what it said.
pub(crate) struct Played {
    output: Output,
}

impl Played {
    fn of(command: &mut Command) -> Self {
        let output = command.output().expect("the child can be started");
        Self { output }
    }

    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// True when it was killed by SIGKILL, which strace passes on to itself.
    pub(crate) fn killed(&self) -> bool {
        use std::os::unix::process::ExitStatusExt as _;
        self.output.status.signal() == Some(9)
    }

    /// # Panics
    /// Unless the script was played to its end.
    pub(crate) fn expect_end(&self) {
        assert_eq!(self.code(), Some(0), "{}", self.said());
    }
}
