//! The documents, executed: each fenced block of shell, Python and JSON is a test, named by its document and first
//! line. docs/migrating.md is held against the numbers of what people come from.
//!
//! A shell block runs line by line in a folder of its own, on real programs: psiren, `psiren run` over an embedded
//! broker with the flights in it, and a receiver of messages. The few blocks that cannot run here stand in
//! [`not_run`], each with the reason. A block that is in neither place fails, and so does a reason without a block.

mod blocks;
mod broker;
mod cases;
mod folder;
mod migrating;
mod not_run;
#[expect(dead_code, reason = "the tests on a broker send other signals too")]
#[path = "../broker/process.rs"]
mod process;
mod program;
mod python;
mod shell;
#[path = "../broker/wait.rs"]
mod wait;
#[expect(dead_code, reason = "the tests on a broker need more of it")]
#[path = "../broker/webhook.rs"]
mod webhook;

use std::process::ExitCode;

use libtest_mimic::Arguments;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Most of the time a test waits for a psiren.
    arguments.test_threads.get_or_insert(4);
    libtest_mimic::run(&arguments, cases::all()).exit_code()
}
