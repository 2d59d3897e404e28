//! Logging: to stderr, as text on a terminal and in files, as JSON where asked for.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Starts logging for the whole process. `PSIREN_LOG` chooses what is logged, in the syntax of
/// `tracing_subscriber`'s `EnvFilter`; `default` stands where it is not set.
pub fn init(format: LogFormat, default: &str) {
    let filter = EnvFilter::try_from_env("PSIREN_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    // A second start, as in tests, leaves the first one in place.
    let _ = match format {
        LogFormat::Text => registry.with(layer).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
}
