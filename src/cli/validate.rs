//! `psiren validate`: everything `run` would refuse, without running, as a checklist.
//!
//! Files first, then the machine, then Kafka. Nothing is changed: stored state is looked at in a
//! copy, no consumer group is joined, no offset committed, no message sent. Every look at the
//! outside ends within ten seconds. No value of an event is shown unless `log_payloads` is set.

mod broker;
mod files;
mod machine;
mod outlook;
mod sample;
mod shares;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::checklist::{Blame, Checklist};
use super::overrides::OverrideArgs;
use crate::config::Config;
use crate::text::counted;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  psiren validate --config psiren.toml
  psiren validate --config psiren.toml --no-environment
  psiren validate --config psiren.toml --show > effective.toml

Exits with 0 when nothing failed, with 78 for the configuration or a file it
names, with 1 for the surroundings.")]
pub struct ValidateArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Stop after the files: ask neither Kafka nor the network, and take a state or CSV folder
    /// that cannot be used on this machine for a warning
    #[arg(long)]
    pub no_environment: bool,
    /// Print the effective configuration with secrets masked; the checklist then goes to standard
    /// error
    #[arg(long)]
    pub show: bool,
    #[command(flatten)]
    pub overrides: OverrideArgs,
}

/// Goes through the checklist. What is wrong is printed and told by the exit code: 78 for the
/// configuration or a file, 1 for the surroundings.
///
/// # Errors
/// When the output cannot be written.
pub fn run(args: ValidateArgs) -> Result<ExitCode> {
    let mut list = Checklist::new(args.show);
    match args.overrides.load(&args.config) {
        Ok(config) => check(&config, &args, &mut list)?,
        Err(error) => list.failed(Blame::Configuration, "configuration", [error.to_string()])?,
    }
    list.finish()
}

fn check(config: &Config, args: &ValidateArgs, list: &mut Checklist) -> Result<()> {
    if args.show {
        list.print_aside(&config.to_toml())?;
    }
    let count = counted(config.monitors.len() as u64, "monitor");
    let title = format!("configuration {}: {count}", args.config.display());
    list.ok(title, [])?;
    let monitors = files::monitors(config, list)?;
    files::receivers(config, list)?;
    let on_this_machine = !args.no_environment;
    let in_use = machine::state(config, &monitors, on_this_machine, list)?;
    machine::csv(config, on_this_machine, list)?;
    if on_this_machine {
        machine::port(config, in_use, list)?;
        broker::check(config, &monitors, list)?;
    }
    Ok(())
}
