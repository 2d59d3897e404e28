//! A psiren that goes on beside the commands of a block.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::Process;
use crate::wait;

const START: Duration = Duration::from_secs(60);
/// SIGTERM ends it within ten seconds.
const STOP: Duration = Duration::from_secs(20);

/// It ends with this value at the latest.
pub(crate) struct Program {
    process: Process,
    log: PathBuf,
    /// Where it listens.
    pub(crate) url: String,
}

impl Program {
    /// Starts `command` in `folder` and waits until a window has closed, so that there is something to ask for.
    pub(crate) fn start(command: &mut Command, folder: &Path, csv: &str) -> Self {
        let log = folder.join("psiren.log");
        let file = File::create(&log).expect("a log file");
        command
            .stdout(Stdio::from(file.try_clone().expect("a log file")))
            .stderr(Stdio::from(file));
        let mut program = Self {
            process: Process::spawn(command).expect("the program starts"),
            log,
            url: String::new(),
        };
        program.url = wait::some("the address psiren listens on", START, || {
            program.expect_alive();
            url_in(&fs::read_to_string(&program.log).ok()?)
        });
        wait::until("a closed window in the CSV", START, || {
            program.expect_alive();
            fs::read_to_string(folder.join(csv)).is_ok_and(|csv| csv.lines().count() > 1)
        });
        program
    }

    fn expect_alive(&mut self) {
        if let Some(status) = self.process.exit_within(Duration::ZERO) {
            panic!("psiren ended with {status}: {}", self.said());
        }
    }

    /// Ends it as a supervisor does.
    pub(crate) fn stop(mut self) {
        self.process.signal("TERM");
        let status = self.process.exit_within(STOP);
        let ended_well = status.is_some_and(|status| status.success());
        assert!(ended_well, "{status:?}: {}", self.said());
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

/// The first address in `log`, on a line that is written in full.
fn url_in(log: &str) -> Option<String> {
    let whole = &log[..=log.rfind('\n')?];
    let start = whole.find("http://127.0.0.1:")?;
    let rest = &whole[start + "http://".len()..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':')?;
    Some(format!("http://{}", &rest[..end]))
}
