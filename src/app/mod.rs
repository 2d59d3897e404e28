//! The running program: configuration → build → run → drain.
//!
//! ```text
//! assigner ─ Assigned ─▶ worker ─ Checkpoint ─▶ checkpointer ─ Progress ─▶ evaluator ─ LogEntry ─▶ report log
//!                          ▲                                                  │                       │
//!                          └──────────────── Snapshot ────────────────────────┘          csv, notifications, HTTP
//! ```
//! Workers, the checkpointer and the assigner are threads, because they block; evaluators, sinks
//! and HTTP are tasks.

mod assigner;
mod checkpointer;
mod clock;
mod closing;
mod ends;
mod evaluator;
#[cfg(test)]
mod fixtures;
mod messages;
mod neighbour;
mod pausing;
mod reload;
#[cfg(test)]
mod simulator;
mod sink_metrics;
mod start;
mod tally;
mod unit;
mod watchdog;
mod wiring;
mod worker;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::drift::Definition;
use crate::monitor::Monitor;
use crate::state::ReportLog;
use crate::state::local::{Adopted, LocalOptions, LocalStore};
use crate::state::reset::reset_state;

pub(crate) use clock::now_ms;
pub use reload::Reread;
pub use watchdog::STUCK;

/// Threads and sinks have this long to finish after the loop has stopped.
const DRAIN: Duration = Duration::from_secs(9);

/// Everything a run needs; the world comes in as arguments, so that tests own it.
pub struct App {
    config: Config,
    monitors: Vec<Arc<Monitor>>,
    store: Arc<LocalStore>,
    listener: TcpListener,
    reread: Option<Reread>,
}

/// What was asked for on the command line.
#[derive(Default)]
pub struct Options {
    /// Set the stored state aside under a dated name and begin anew.
    pub reset_state: bool,
    /// How a reload reads the configuration again; `None` refuses reloads.
    pub reread: Option<Reread>,
}

impl App {
    /// Builds the monitors, opens the state and binds the port. Nothing is read from Kafka yet.
    ///
    /// # Errors
    /// Everything that `run` refuses: a reference that cannot be watched, a state that belongs to
    /// another configuration, a port in use.
    pub async fn build(config: Config, options: Options) -> Result<Self> {
        let monitors = build_monitors(&config)?;
        let store = open_store(&config.state.dir, options.reset_state)?;
        let identities: Vec<_> = monitors
            .iter()
            .map(|m| (m.definition.monitor.as_str(), &m.identity))
            .collect();
        for ((name, _), adopted) in identities.iter().zip(store.adopt_all(&identities)?) {
            if let Adopted::Remapped { added, removed } = adopted {
                tracing::info!(
                    monitor = name,
                    ?added,
                    ?removed,
                    "the features changed; the others go on"
                );
            }
        }
        let listen = config.http.listen;
        let listener = TcpListener::bind(listen).await.with_context(|| {
            format!("cannot listen on {listen}: choose another http.listen or stop what uses it")
        })?;
        Ok(Self {
            config,
            monitors,
            store: Arc::new(store),
            listener,
            reread: options.reread,
        })
    }

    /// The address of the page.
    ///
    /// # Errors
    /// When the socket cannot tell.
    pub fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Where reports are kept.
    #[must_use]
    pub fn report_log(&self) -> Arc<dyn ReportLog> {
        self.store.clone()
    }

    /// How the monitors judge, in the order of the configuration.
    pub fn definitions(&self) -> impl Iterator<Item = &Definition> {
        self.monitors.iter().map(|m| &m.definition)
    }

    /// Runs until `shutdown` is cancelled or a part of the program fails, then drains: state is
    /// durable when this returns `Ok`.
    ///
    /// # Errors
    /// When a part of the program ended by itself, or not everything could be made durable in time.
    pub async fn run(self, shutdown: CancellationToken) -> Result<()> {
        tracing::info!("listening on http://{}", self.address()?);
        let running = wiring::start(self, &shutdown)?;
        let failed = running.until(&shutdown).await;
        shutdown.cancel();
        let drained = tokio::time::timeout(DRAIN, running.drain()).await;
        if let Some(part) = failed {
            anyhow::bail!("{part} ended by itself; see the log above");
        }
        anyhow::ensure!(
            drained == Ok(true),
            "not everything could be saved in time; the next start goes on from the last checkpoint"
        );
        Ok(())
    }
}

/// The monitors of a configuration, with what is wrong or left out said in the log.
///
/// # Errors
/// The first monitor whose reference cannot be watched.
pub fn build_monitors(config: &Config) -> Result<Vec<Arc<Monitor>>> {
    let mut monitors = Vec::new();
    for monitor in &config.monitors {
        let built =
            Monitor::build(monitor).with_context(|| format!("monitor {:?}", monitor.name))?;
        for (column, reason) in &built.left_out {
            tracing::info!(monitor = monitor.name, column, "not watched: {reason}");
        }
        for (column, problem) in &built.problems {
            tracing::warn!(
                monitor = monitor.name,
                column,
                "cannot be watched: {problem}"
            );
        }
        monitors.push(Arc::new(built));
    }
    Ok(monitors)
}

fn open_store(dir: &Path, reset: bool) -> Result<LocalStore> {
    if reset && let Some(kept) = reset_state(dir, now_ms())? {
        tracing::warn!("the state was set aside as {}", kept.display());
    }
    Ok(LocalStore::open(dir, LocalOptions::default())?)
}

/// Waits for SIGINT or SIGTERM, then cancels `shutdown`; a second signal ends the process at once.
///
/// # Errors
/// When signals cannot be listened for.
pub fn cancel_on_signal(shutdown: CancellationToken) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if shutdown.is_cancelled() {
                std::process::exit(1);
            }
            tracing::info!("stopping; a second signal stops at once");
            shutdown.cancel();
        }
    });
    Ok(())
}

/// Somebody waits for an answer to a request to reload.
pub(crate) type ReloadReply = oneshot::Sender<crate::http::state::ReloadOutcome>;
