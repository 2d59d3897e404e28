//! `psiren health`: is a running psiren ready? For container checks, where there is no shell.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::Value;

use super::client::Target;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  psiren health
  psiren health --url http://127.0.0.1:10774/prefix

Exits with 0 when ready, with 1 when not or when nothing answers.")]
pub struct HealthArgs {
    #[command(flatten)]
    target: Target,
}

/// 0 when ready; 1 with the reasons when not, or when nothing answers.
pub fn run(args: HealthArgs) -> Result<ExitCode> {
    let answer = args.target.get("/readyz")?;
    if answer.status.is_success() {
        anstream::println!("ready");
        return Ok(ExitCode::SUCCESS);
    }
    anstream::println!("not ready");
    let reasons = answer.body.get("reasons").and_then(Value::as_object);
    for (latch, reason) in reasons.into_iter().flatten() {
        anstream::println!("  {latch}: {}", reason.as_str().unwrap_or_default());
    }
    Ok(ExitCode::FAILURE)
}
