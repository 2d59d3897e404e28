//! `psiren run`: the sidecar.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use tokio_util::sync::CancellationToken;

use crate::app::{self, App, Options};
use crate::config::{Config, Environment, Overrides};
use crate::telemetry::{self, LogFormat};

#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
    /// Where to listen for HTTP, in the place of `http.listen`
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// In the place of `kafka.bootstrap_servers`
    #[arg(long, value_name = "HOST:PORT,…")]
    pub bootstrap_servers: Option<String>,
    /// In the place of `state.dir`
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
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
    let config = load(&args)?;
    super::block_on(watch(config, args))?;
    Ok(ExitCode::SUCCESS)
}

async fn watch(config: Config, args: RunArgs) -> Result<()> {
    let shutdown = CancellationToken::new();
    app::cancel_on_signal(shutdown.clone())?;
    let options = Options {
        reset_state: args.reset_state,
        reread: Some(Box::new(move || {
            load(&args).map_err(|error| format!("{error:#}"))
        })),
    };
    App::build(config, options).await?.run(shutdown).await
}

fn load(args: &RunArgs) -> Result<Config> {
    let overrides = Overrides {
        bootstrap_servers: args.bootstrap_servers.clone(),
        listen: args.listen.clone(),
        state_dir: args.state_dir.clone(),
        ..Overrides::from(Environment::from_process()?)
    };
    Ok(Config::load(&args.config, &overrides)?)
}
