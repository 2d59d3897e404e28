//! The command line: one file per command, exit codes in one place.
//!
//! 0 ok · 1 the surroundings failed (broker, port, disk) · 2 usage · 3 `--fail-on` reached · 78 the
//! configuration or a file it names.

pub mod alert;
pub mod bench;
pub mod check;
mod checklist;
mod client;
pub mod demo;
pub mod explain;
pub mod health;
pub mod init;
mod memory;
mod overrides;
pub mod produce;
mod progress;
mod records;
pub mod reference;
pub mod run;
mod say;
mod sum;
mod terminal;
pub mod trigger;
pub mod validate;
mod words;

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, ConfigError, Environment, Overrides};
use crate::reference::ReferenceError;
use crate::source::file::FileError;
use crate::source::leave_at_exit;
use crate::state::StateError;

/// The surroundings failed.
pub const SURROUNDINGS: u8 = 1;
/// The command line makes no sense.
pub const USAGE: u8 = 2;
/// `--fail-on` was reached.
pub const DRIFTED: u8 = 3;
/// The configuration, or a file it names, cannot be used (`EX_CONFIG`).
pub const CONFIG: u8 = 78;

/// The drift alarm beside a Kafka topic: PSI against a reference, counted exactly once, in sliding
/// windows.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Examples:
  psiren demo
  psiren check last-week.parquet --reference training.parquet
  psiren init --topic flights --reference training.parquet
  psiren run --config psiren.toml

Start with `psiren demo`; it needs neither Kafka nor Docker. The help of each
command has more examples.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show everything in one process: an embedded broker, real data, the page
    Demo(demo::DemoArgs),
    /// Write a commented configuration from a topic and a reference
    Init(init::InitArgs),
    /// Watch Kafka topics as the configuration says
    Run(run::RunArgs),
    /// Compute PSI over a file with the same engine
    Check(Box<check::CheckArgs>),
    /// Build a reference profile, or look into one
    Reference(reference::ReferenceArgs),
    /// Put the rows of a file on a topic
    Produce(produce::ProduceArgs),
    /// Say everything `run` would refuse, without running
    Validate(validate::ValidateArgs),
    /// Say how fast this machine reads and counts the configured topics
    Bench(bench::BenchArgs),
    /// Look after the receivers of messages
    Alert(alert::AlertArgs),
    /// Show one PSI of a running psiren as a sum to do again by hand
    Explain(explain::ExplainArgs),
    /// Ask a running psiren to evaluate now
    Trigger(trigger::TriggerArgs),
    /// Ask a running psiren whether it is ready
    Health(health::HealthArgs),
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page
    Man,
}

/// Runs the command and says how it went.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    memory::close();
    leave_at_exit();
    let done = match cli.command {
        Command::Demo(args) => demo::run(args),
        Command::Init(args) => init::run(args),
        Command::Run(args) => run::run(args),
        Command::Check(args) => check::run(*args),
        Command::Reference(args) => reference::run(args, &load_config),
        Command::Produce(args) => produce::run(args),
        Command::Validate(args) => validate::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Alert(args) => alert::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Trigger(args) => trigger::run(args),
        Command::Health(args) => health::run(args),
        Command::Completions { shell } => completions(shell),
        Command::Man => man(),
    };
    done.unwrap_or_else(|error| {
        say::error(&format!("{error:#}"));
        ExitCode::from(exit_code(&error))
    })
}

/// The exit code an error stands for.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let is_config = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<ConfigError>()
            || cause.is::<ReferenceError>()
            || cause.is::<FileError>()
            || matches!(
                cause.downcast_ref::<StateError>(),
                Some(
                    StateError::OtherCounts { .. }
                        | StateError::Newer { .. }
                        | StateError::Damaged { .. }
                )
            )
    };
    if error.chain().any(is_config) {
        CONFIG
    } else {
        SURROUNDINGS
    }
}

/// Whether two names lead to one file that exists.
fn is_same_file(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// Runs `future` on a runtime of its own, which is left behind: a thread that hangs in a Kafka
/// client must not keep the process.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(future);
    runtime.shutdown_background();
    done
}

/// The configuration in `path`, under the environment and nothing else.
fn load_config(path: &Path) -> anyhow::Result<Config> {
    let overrides = Overrides::from(Environment::from_process()?);
    Ok(Config::load(path, &overrides)?)
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "psiren", &mut script);
    print(&script)
}

fn man() -> anyhow::Result<ExitCode> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    print(&page)
}

/// `text` with its styles, where standard output takes them.
fn show(text: &str) -> anyhow::Result<ExitCode> {
    let mut out = anstream::stdout().lock();
    done(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

fn print(text: &[u8]) -> anyhow::Result<ExitCode> {
    let mut out = io::stdout().lock();
    done(out.write_all(text).and_then(|()| out.flush()))
}

/// A reader that closes the pipe has seen enough.
fn done(written: io::Result<()>) -> anyhow::Result<ExitCode> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}
