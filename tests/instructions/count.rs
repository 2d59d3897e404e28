//! Instructions, as valgrind counts them.

use std::process::{Command, ExitCode, Stdio};

use crate::workloads;

/// Set for the child: the workload, and how many times.
const WORKLOAD: &str = "PSIREN_INSTRUCTIONS_OF";

/// In the child: does what it was started for.
pub(crate) fn play() -> Option<ExitCode> {
    let asked = std::env::var(WORKLOAD).ok()?;
    let (name, times) = asked.split_once(' ').expect("a name and a number");
    workloads::play(name, times.parse().expect("a number"));
    Some(ExitCode::SUCCESS)
}

/// Whether valgrind is there.
pub(crate) fn valgrind() -> Result<(), String> {
    let mut command = Command::new("valgrind");
    let status = command.arg("--version").stdout(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("valgrind ended with {status}")),
        Err(error) => Err(format!("valgrind: {error}; apt-get install valgrind")),
    }
}

/// What doing a workload one time more takes.
pub(crate) fn of_one(workload: &str) -> f64 {
    let times = workloads::times(workload);
    let count = |times| executed(workload, times) as f64;
    (count(2 * times) - count(times)) / times as f64
}

/// Instructions of a whole process.
fn executed(workload: &str, times: u64) -> u64 {
    let output = Command::new("valgrind")
        .args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ])
        .arg(std::env::current_exe().expect("this program"))
        .env(WORKLOAD, format!("{workload} {times}"))
        .output()
        .expect("valgrind starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{workload}: {said}");
    let total = said.lines().find_map(|line| {
        let (_, total) = line
            .split_once("I   refs:")
            .or(line.split_once("I refs:"))?;
        total.trim().replace(',', "").parse().ok()
    });
    total.unwrap_or_else(|| panic!("no count of instructions in {said}"))
}
