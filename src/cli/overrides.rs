//! What `run` and `validate` share: flags that stand in the place of single settings.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use crate::config::{Config, Environment, Overrides};

#[derive(Debug, Args)]
pub struct OverrideArgs {
    /// Where to listen for HTTP, in the place of `http.listen`
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// In the place of `kafka.bootstrap_servers`
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
    /// In the place of `state.dir`
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl OverrideArgs {
    /// The configuration in `path` under these flags and the environment.
    ///
    /// # Errors
    /// [`ConfigError`](crate::config::ConfigError).
    pub(super) fn load(&self, path: &Path) -> Result<Config> {
        let overrides = Overrides {
            bootstrap_servers: self.bootstrap_servers.clone(),
            listen: self.listen.clone(),
            state_dir: self.state_dir.clone(),
            ..Overrides::from(Environment::from_process()?)
        };
        Ok(Config::load(path, &overrides)?)
    }
}
