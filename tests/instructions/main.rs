//! What the hot paths cost, in instructions: a guard against getting slower that no noisy machine disturbs.
//!
//! This program is its own child: under valgrind it does a [workload](workloads) n times, and then 2n times. The
//! difference, divided by n, is what one time takes, without what it takes to begin. It is held against
//! `baseline.toml`, both ways: what has become cheaper is recorded, so that it stays cheap. With
//! `PSIREN_UPDATE_INSTRUCTIONS=1` the baseline is written anew.
//!
//! The baseline is that of the build of `.ci/torture`, and of one processor: valgrind shows programs AVX2 where the
//! machine has it, and some libraries (memchr, simdutf8, crc32fast, zstd, the C library) choose their code by that.
//! Without the build, or without valgrind, the tests are ignored with the reason; under `CI=true` a missing valgrind is
//! a failure.

mod baseline;
mod count;
#[path = "../support/definition.rs"]
mod definition;
#[path = "../../benches/kafka/events.rs"]
mod events;
#[path = "../support/stored.rs"]
mod stored;
#[expect(
    dead_code,
    reason = "the tests of the library use the same file, and all of it"
)]
#[path = "../support/torture.rs"]
mod torture;
mod workloads;

use std::io::{self, Write as _};
use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::baseline::Baseline;
use crate::workloads::{CLOSINGS, RECORDED};

/// How much more a window may cost for being 168 times as long.
const SAME: f64 = 0.03;

fn main() -> ExitCode {
    if let Some(played) = count::play() {
        return played;
    }
    if std::env::var_os("PSIREN_UPDATE_INSTRUCTIONS").is_some_and(|set| set == "1") {
        return record();
    }
    let recorded = RECORDED.iter().map(|&workload| {
        let name = format!("{workload}_costs_what_is_recorded");
        Trial::ignorable_test(name, move || unless_lacking(|| as_recorded(workload)))
    });
    let closing = Trial::ignorable_test("a_longer_window_closes_at_the_same_cost", || {
        unless_lacking(the_same_for_each_length)
    });
    let trials = recorded.chain([closing]).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn record() -> ExitCode {
    let lacking = another_build()
        .or_else(another_processor)
        .map(str::to_owned);
    if let Some(reason) = lacking.or_else(|| count::valgrind().err()) {
        // Without a standard error there is still the exit code.
        let _ = writeln!(io::stderr(), "nothing is recorded: {reason}");
        return ExitCode::FAILURE;
    }
    Baseline::record(RECORDED.map(|workload| (workload, count::of_one(workload))));
    ExitCode::SUCCESS
}

fn unless_lacking(run: impl FnOnce() -> Result<(), Failed>) -> Result<Completion, Failed> {
    if let Some(reason) = another_build().or_else(another_processor) {
        return Ok(Completion::ignored_with(reason));
    }
    match count::valgrind() {
        Ok(()) => run().map(|()| Completion::Completed),
        Err(reason) if std::env::var("CI").is_ok_and(|ci| ci == "true") => Err(reason.into()),
        Err(reason) => Ok(Completion::ignored_with(reason)),
    }
}

/// Why nothing is recorded for this build.
fn another_build() -> Option<&'static str> {
    let words = "takes an optimised build and some minutes: run .ci/torture";
    let here = std::env::current_exe().expect("this program");
    let is_dev = here.iter().any(|part| part == "debug");
    match cfg!(debug_assertions) || !is_dev {
        true => Some(words),
        false => torture::sized(Some(words), None, None),
    }
}

/// Why what is recorded says nothing on this processor: UTF-8 is checked, and memory compared, by what it has.
fn another_processor() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let same = std::arch::is_x86_feature_detected!("avx2");
    #[cfg(not(target_arch = "x86_64"))]
    let same = false;
    (!same).then_some("recorded on x86-64 with AVX2")
}

fn as_recorded(workload: &str) -> Result<(), Failed> {
    let found = count::of_one(workload);
    Baseline::load()
        .judge(workload, found)
        .map_err(Failed::from)
}

fn the_same_for_each_length() -> Result<(), Failed> {
    let costs = CLOSINGS.map(|workload| (workload, count::of_one(workload)));
    let least = costs
        .map(|(_, cost)| cost)
        .into_iter()
        .fold(f64::MAX, f64::min);
    match costs.iter().all(|(_, cost)| *cost <= least * (1.0 + SAME)) {
        true => Ok(()),
        false => Err(format!("instructions per window that closes: {costs:?}").into()),
    }
}
