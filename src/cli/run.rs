//! `psiren run`: the sidecar.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use tokio_util::sync::CancellationToken;

use super::overrides::OverrideArgs;
use crate::app::{self, App, Options};
use crate::config::Config;
use crate::telemetry::{self, LogFormat};

/// The promise is ten seconds; what has not ended by then, restoring a large state for instance, is
/// left behind.
const END: Duration = Duration::from_millis(9500);

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  psiren run --config psiren.toml
  psiren run --config psiren.toml --listen 0.0.0.0:10774 --log-format json
  PSIREN_LOG=psiren=debug psiren run --config psiren.toml

SIGTERM and SIGINT save and end within ten seconds; SIGHUP reads the
configuration again.")]
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
    let token = shutdown.clone();
    let running = tokio::spawn(async move {
        let app = App::build(config, options).await?;
        match token.is_cancelled() {
            true => Ok(()),
            false => app.run(token).await,
        }
    });
    tokio::select! {
        ended = running => ended?,
        () = overdue(&shutdown) => bail!(
            "not everything ended in time; the next start goes on from the last checkpoint"
        ),
    }
}

async fn overdue(shutdown: &CancellationToken) {
    shutdown.cancelled().await;
    tokio::time::sleep(END).await;
}
