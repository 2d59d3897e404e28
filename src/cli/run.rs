//! `psiren run`: the sidecar.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::overrides::OverrideArgs;
use crate::app::{self, App, Options};
use crate::config::Config;
use crate::telemetry::{self, LogFormat};

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    #[command(flatten)]
    pub overrides: OverrideArgs,
    /// Set the stored state aside under a dated name and begin anew
    #[arg(long)]
    pub reset_state: bool,
    /// How log lines are written; `PSIREN_LOG` chooses which, such as `psiren=debug`
    #[arg(long, value_enum, default_value_t)]
    pub log_format: LogFormat,
}

/// # Errors
/// Everything that keeps the program from starting, and a part of it that ended by itself.
pub fn run(args: RunArgs) -> Result<ExitCode> {
    telemetry::init(args.log_format, "info");
    let config = args.overrides.load(&args.config)?;
    super::block_on(watch(config, args))?;
    Ok(ExitCode::SUCCESS)
}

async fn watch(config: Config, args: RunArgs) -> Result<()> {
    let shutdown = CancellationToken::new();
    app::cancel_on_signal(shutdown.clone())?;
    let options = Options {
        reset_state: args.reset_state,
        reread: Some(Box::new(move || {
            let reread = args.overrides.load(&args.config);
            reread.map_err(|error| format!("{error:#}"))
        })),
    };
    App::build(config, options).await?.run(shutdown).await
}
