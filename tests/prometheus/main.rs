//! The real `psiren` under the real Prometheus and Alertmanager, with the files that `grafana/` ships.
//!
//! This main owns the programs. They start with the first test, serve all of them, and end with this process, however
//! that ends. Where Prometheus or Alertmanager is not installed, the tests are ignored with the reason; under
//! `CI=true` that is a failure.

mod api;
mod cases;
mod grafana;
#[path = "../broker/http.rs"]
#[expect(dead_code, reason = "the tests on a broker need more of it")]
mod http;
#[path = "../broker/process.rs"]
#[expect(dead_code, reason = "the tests on a broker need more of it")]
mod process;
mod program;
mod replay;
mod stage;
#[path = "../broker/wait.rs"]
mod wait;
#[path = "../broker/webhook.rs"]
#[expect(dead_code, reason = "the tests on a broker need more of it")]
mod webhook;

use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::stage::Stage;

/// Programs of the packages of the same names; Debian calls Alertmanager so.
const PROGRAMS: [&str; 2] = ["prometheus", "prometheus-alertmanager"];

fn main() -> ExitCode {
    let stage = Arc::new(Mutex::new(None));
    let trials = cases::ALL.iter().map(|(name, case)| {
        let stage = Arc::clone(&stage);
        Trial::ignorable_test(*name, move || play(*case, &stage))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// Runs one test on the stage that all share, one at a time. It fails by a panic.
fn play(case: fn(&mut Stage), stage: &Mutex<Option<Stage>>) -> Result<Completion, Failed> {
    if let Some(reason) = PROGRAMS.iter().find_map(|program| lacking(program)) {
        return match std::env::var("CI").is_ok_and(|ci| ci == "true") {
            true => Err(reason.into()),
            false => Ok(Completion::ignored_with(reason)),
        };
    }
    // A test that failed has left the programs as they were.
    let mut stage = stage.lock().unwrap_or_else(PoisonError::into_inner);
    case(stage.get_or_insert_with(Stage::set));
    Ok(Completion::Completed)
}

fn lacking(program: &str) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null());
    let status = command.stderr(Stdio::null()).status();
    let error = status.err()?;
    Some(format!(
        "{program} cannot be run: {error}; install the package {program}"
    ))
}
