//! `psiren alert test`: a message that says it is a test, to each receiver, through the code that
//! delivers the others.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use super::terminal::{FAILED, OK, printable};
use crate::config::{Config, ReceiverConfig};
use crate::sink;

/// Look after the receivers of messages.
#[derive(Debug, Args)]
pub struct AlertArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Send a message that says it is a test, and print what each receiver answers
    Test(TestArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Exits with 0 when every message was delivered, with 1 when one was not.")]
struct TestArgs {
    /// The configuration with the receivers
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Send to these only
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    receiver: Vec<String>,
}

/// # Errors
/// The configuration cannot be used, or has no such receiver.
pub fn run(args: AlertArgs) -> Result<ExitCode> {
    let Command::Test(args) = args.command;
    let config = super::load_config(&args.config)?;
    let receivers = chosen(&config, &args.receiver)?;
    let delivered = super::block_on(send(&config, &receivers))?;
    Ok(if delivered {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::SURROUNDINGS)
    })
}

fn chosen<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a ReceiverConfig>> {
    let all: Vec<&str> = config.receivers.iter().map(|r| r.name.as_str()).collect();
    if all.is_empty() {
        bail!(
            "no receiver is configured; add a [notify.…] table with an address, or set SLACK_WEBHOOK_URL"
        );
    }
    if let Some(unknown) = names.iter().find(|name| !all.contains(&name.as_str())) {
        bail!(
            "no receiver is called {unknown:?}; there are {}",
            all.join(", ")
        );
    }
    let wanted = |r: &&ReceiverConfig| names.is_empty() || names.contains(&r.name);
    Ok(config.receivers.iter().filter(wanted).collect())
}

/// One after the other; true when all were delivered.
async fn send(config: &Config, receivers: &[&ReceiverConfig]) -> Result<bool> {
    let mut all = true;
    for receiver in receivers {
        let began = Instant::now();
        let answer = sink::send_test(receiver, &config.labels).await;
        let name = printable(&receiver.name);
        let took = began.elapsed().as_millis();
        super::show(&match &answer {
            Ok(()) => format!("{OK}delivered{OK:#}      {name}, in {took} ms\n"),
            Err(failure) => format!("{FAILED}not delivered{FAILED:#}  {name}: {failure}\n"),
        })?;
        all &= answer.is_ok();
    }
    Ok(all)
}
