//! The state file and the CSV file under a process that is killed, and under a disk that fails, at
//! every system call.
//!
//! This program is its own child: [`script`] is a fixed sequence of checkpoints, commits and CSV
//! appends, played in a folder under [`strace`], which kills it at the n-th call of a kind or lets
//! that call fail. Then the script is started again, undisturbed, and must end in the same counts,
//! the same report log and the same bytes as one that was never disturbed.
//!
//! Where strace is missing, or may not trace, these tests are ignored with the reason; under
//! `CI=true` that is a failure. With `PSIREN_TORTURE=ci` every fault
//! takes every call, but for a loss of power, which takes every second; with `long` that does, too. The
//! small form takes some.

mod content;
mod points;
mod power;
mod progress;
mod script;
mod small_disk;
mod strace;
#[expect(
    dead_code,
    reason = "the tests of the library use the same file, and all of it"
)]
#[path = "../support/torture.rs"]
mod torture;
mod values;

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::strace::PLAY;

fn main() -> ExitCode {
    if std::env::var_os(PLAY).is_some() {
        return script::play();
    }
    let mut trials: Vec<Trial> = points::cases()
        .into_iter()
        .map(|(name, run)| Trial::ignorable_test(name, move || needing(traces(), run)))
        .collect();
    trials.extend(
        small_disk::cases()
            .into_iter()
            .map(|(name, run)| Trial::ignorable_test(name, move || run_here(run))),
    );
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A test that may find that it cannot run here: then it says why.
type Run = fn() -> Result<(), String>;

fn run_here(run: Run) -> Result<Completion, Failed> {
    match run() {
        Ok(()) => Ok(Completion::Completed),
        // Only root may mount; that is no program to install.
        Err(reason) => Ok(Completion::ignored_with(reason)),
    }
}

fn needing(tool: Result<(), String>, run: fn()) -> Result<Completion, Failed> {
    match tool {
        Ok(()) => {
            run();
            Ok(Completion::Completed)
        }
        Err(reason) => missing(reason),
    }
}

fn missing(reason: String) -> Result<Completion, Failed> {
    if std::env::var("CI").is_ok_and(|ci| ci == "true") {
        return Err(reason.into());
    }
    Ok(Completion::ignored_with(reason))
}

/// Whether strace is there and may trace.
fn traces() -> Result<(), String> {
    let tried = Command::new("strace")
        .args(["-f", "-o", "/dev/null", "true"])
        .output();
    match tried {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "strace cannot trace here: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("strace: {error}; apt-get install strace")),
    }
}
