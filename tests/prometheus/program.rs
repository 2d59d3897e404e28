//! One of the programs: a child process, its log, and where it listens.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::Process;
use crate::wait;

const START_LIMIT: Duration = Duration::from_secs(60);

/// It ends with this value, and with the test process however that ends.
pub(crate) struct Program {
    process: Process,
    log: PathBuf,
    /// `host:port`.
    pub(crate) address: String,
}

impl Program {
    /// Starts `command` and waits until its log, written to `log`, holds `before` the address it listens on. Programs
    /// choose the port themselves (port 0), so that no other process can take it in between.
    pub(crate) fn start(command: &mut Command, log: PathBuf, before: &str) -> Self {
        let file = File::create(&log).expect("a log file");
        command
            .stdout(Stdio::from(file.try_clone().expect("a log file")))
            .stderr(Stdio::from(file));
        let process = Process::spawn(command).expect("the program starts");
        let mut program = Self {
            process,
            log,
            address: String::new(),
        };
        program.address = wait::some("the address it listens on", START_LIMIT, || {
            if let Some(status) = program.process.exit_within(Duration::ZERO) {
                panic!("it ended with {status}");
            }
            address_after(&program.said(), before)
        });
        program
    }

    fn said(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Program {
    /// A test that fails shows what the program said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Nobody may be there to read it.
            let _ = writeln!(
                std::io::stderr(),
                "{} said:\n{}",
                self.log.display(),
                self.said()
            );
        }
    }
}

/// The `host:port` after `before`, on a line that is written in full.
fn address_after(log: &str, before: &str) -> Option<String> {
    let whole = &log[..=log.rfind('\n')?];
    let (_, after) = whole.split_once(before)?;
    let end = after.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')?;
    Some(after[..end].to_owned())
}
