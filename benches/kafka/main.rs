//! psiren beside bare consumers and plain monitors: `cargo bench --bench kafka`, with `-- --help` for what can be
//! changed.
//!
//! A real broker serves one topic, and each contestant reads all of it, one after the other and again; what counts is
//! the ratio of two of them in one run, for absolute figures are the machine's. The plain monitor counts the same: its
//! windows are held against psiren's, value by value. The broker comes from where the tests on a broker have theirs.

mod contestants;
mod events;
#[path = "../../tests/broker/http.rs"]
mod http;
#[path = "../../tests/broker/kafka/mod.rs"]
#[expect(dead_code, reason = "the tests on a broker need more of it")]
mod kafka;
mod latency;
mod load;
#[path = "../../tests/broker/process.rs"]
mod process;
#[path = "../../tests/broker/psiren.rs"]
#[expect(dead_code, reason = "the tests on a broker need more of it")]
mod psiren;
mod report;
#[path = "../../tests/broker/row.rs"]
#[expect(dead_code, reason = "the tests on a broker need more of it")]
mod row;
mod settings;
#[path = "../../tests/broker/topic.rs"]
#[expect(dead_code, reason = "the tests on a broker need more of it")]
mod topic;
#[path = "../../tests/broker/wait.rs"]
mod wait;
#[path = "../../tests/broker/webhook.rs"]
#[expect(dead_code, reason = "the tests on a broker need more of it")]
mod webhook;

use std::fs;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use tempfile::TempDir;

use crate::contestants::Sidecar;
use crate::kafka::Kafka;
use crate::report::Results;
use crate::settings::{Command, Contestant, Settings};
use crate::webhook::Webhook;

const REFERENCE_ROWS: usize = 20_000;

fn main() -> ExitCode {
    let command = Command::parse();
    let settings = command.settings.evened();
    if let (Some(part), Some(config)) = (command.part.part, command.part.config) {
        contestants::play(part, &config, &settings);
        return ExitCode::SUCCESS;
    }
    match Kafka::provide() {
        Ok(kafka) => {
            measure(&kafka, settings);
            ExitCode::SUCCESS
        }
        Err(reason) => {
            say(&reason);
            ExitCode::FAILURE
        }
    }
}

fn measure(kafka: &Kafka, mut settings: Settings) {
    leave_out_python(&mut settings);
    if cfg!(debug_assertions) {
        say("built with debug assertions: only a release build says anything");
    }
    let folder = TempDir::new().expect("a temporary folder");
    let reference = folder.path().join("reference.parquet");
    settings.shape().write_reference(&reference, REFERENCE_ROWS);
    say(&format!(
        "{} records of {} bytes on {} partitions of {}",
        settings.records,
        settings.bytes,
        settings.partitions,
        kafka.version()
    ));
    let topic = load::fill(kafka, &settings, &settings.pool());
    let slack = Webhook::start([]);
    let text =
        |topic: &str| Sidecar::config(&settings, kafka.address(), topic, &reference, &slack.url);
    let config = folder.path().join("psiren.toml");
    fs::write(&config, text(&topic.name)).expect("the configuration is written");

    let mut results: Vec<_> = settings
        .contestants
        .iter()
        .map(|c| (*c, Vec::new()))
        .collect();
    for round in 1..=settings.rounds {
        for (contestant, runs) in &mut results {
            let run = contestants::run(*contestant, &config, &settings);
            say(&format!(
                "{round}/{} {}: {:.0} records/s, {:.2} us CPU, {:.0} MiB",
                settings.rounds,
                contestant.name(),
                run.rate,
                run.cpu_us,
                run.peak_mib
            ));
            runs.push(run);
        }
    }
    let results = Results(results);
    say(&format!("\n{}\n{}", results.table(), results.targets()));
    topic.delete();
    if let Some(rate) = results.rate(Contestant::Psiren)
        && settings.latency_seconds > 0
    {
        say(&latency::measure(kafka, &settings, text, rate / 2.0));
    }
}

fn leave_out_python(settings: &mut Settings) {
    let is_python = |c: &Contestant| matches!(c, Contestant::Python | Contestant::Naive);
    if settings.contestants.iter().any(is_python)
        && let Some(reason) = contestants::python_lacks()
    {
        say(&format!("without Python: {reason}"));
        settings.contestants.retain(|c| !is_python(c));
    }
}

/// A reader that closes the pipe has seen enough.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
