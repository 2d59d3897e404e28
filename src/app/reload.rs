//! Reading the configuration again while running: what may change at once does, the rest is named.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::mpsc::{Receiver, UnboundedSender};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::http::state::{MonitorHandle, ReloadOutcome};
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::sink::NotifyConfig;

use super::ReloadReply;
use super::messages::EvaluatorMessage;
use super::wiring::notify_config;

/// Reads the configuration again; the error is in words for people.
pub type Reread = Box<dyn Fn() -> Result<Config, String> + Send + Sync>;

pub(crate) struct Reloader {
    pub config: Arc<Config>,
    pub monitors: Vec<Arc<Monitor>>,
    pub reread: Option<Reread>,
    pub evaluators: HashMap<String, UnboundedSender<EvaluatorMessage>>,
    pub handles: watch::Sender<Arc<Vec<MonitorHandle>>>,
    pub notify: watch::Sender<Arc<NotifyConfig>>,
    pub metrics: Arc<Metrics>,
    pub requests: Receiver<ReloadReply>,
}

impl Reloader {
    /// Serves requests and SIGHUP until `shutdown`.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        use tokio::signal::unix::{SignalKind, signal};
        let mut hangup = match signal(SignalKind::hangup()) {
            Ok(hangup) => hangup,
            Err(error) => return tracing::error!("SIGHUP cannot be listened for: {error}"),
        };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = hangup.recv() => {
                    tokio::task::block_in_place(|| self.reload());
                }
                request = self.requests.recv() => match request {
                    None => return,
                    Some(reply) => {
                        // Whoever asked may have gone.
                        let _ = reply.send(tokio::task::block_in_place(|| self.reload()));
                    }
                },
            }
        }
    }

    fn reload(&mut self) -> ReloadOutcome {
        match self.try_reload() {
            Ok((applied, needs_restart)) => {
                tracing::info!(?applied, ?needs_restart, "configuration read again");
                ReloadOutcome::Applied {
                    applied,
                    needs_restart,
                }
            }
            Err(words) => {
                tracing::error!("configuration refused, the old one stays in force: {words}");
                ReloadOutcome::Refused(words)
            }
        }
    }

    fn try_reload(&mut self) -> Result<(Vec<String>, Vec<String>), String> {
        let reread = self.reread.as_ref();
        let new = reread.ok_or("this program was started without a configuration file")?()?;
        let changes = Config::changes(&self.config, &new);
        let (restart, at_once): (Vec<_>, Vec<_>) =
            changes.into_iter().partition(|change| change.needs_restart);
        let merged = self.merge(&new);
        let monitors = merged.monitors.iter().zip(&self.monitors);
        let monitors = monitors
            .map(|(config, old)| Arc::new(old.redefine(config)))
            .collect();
        self.swap(merged, monitors);
        let keys =
            |changes: Vec<crate::config::Change>| changes.into_iter().map(|c| c.key).collect();
        Ok((keys(at_once), keys(restart)))
    }

    /// The running configuration with everything of `new` that may change at once.
    fn merge(&self, new: &Config) -> Config {
        let mut merged = (*self.config).clone();
        merged.take_what_needs_no_restart(new);
        merged
    }

    fn swap(&mut self, config: Config, monitors: Vec<Arc<Monitor>>) {
        for monitor in &monitors {
            let name = &monitor.definition.monitor;
            let metrics = self
                .metrics
                .monitor(&monitor.definition, &monitor.config.topic);
            if let Some(evaluator) = self.evaluators.get(name) {
                let message = EvaluatorMessage::Redefine(Arc::clone(monitor), metrics);
                // A stopped evaluator needs nothing more.
                let _ = evaluator.send(message);
            }
        }
        self.handles.send_modify(|handles| {
            let renewed = handles
                .iter()
                .zip(&monitors)
                .map(|(handle, monitor)| MonitorHandle {
                    config: Arc::new(monitor.config.clone()),
                    definition: Arc::new(monitor.definition.clone()),
                    ..handle.clone()
                });
            *handles = Arc::new(renewed.collect());
        });
        self.notify
            .send_replace(Arc::new(notify_config(&config, &monitors)));
        self.config = Arc::new(config);
        self.monitors = monitors;
    }
}
