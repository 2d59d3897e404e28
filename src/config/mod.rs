//! What the configuration means: resolved, cross-checked, durations in milliseconds, paths made
//! relative to the file's folder, secrets read and wrapped.
//!
//! `raw.rs` holds what was typed; this file what it means; `resolve` is the way from the one to the
//! other. Nothing here opens a reference, a socket or a state directory; files of secrets are read.
//!
//! A value is taken from a flag, else from the environment (or `.env`), else from the file, else it
//! is the default.

mod changes;
pub mod defaults;
pub mod durations;
mod entries;
mod env;
mod error;
pub mod properties;
mod raw;
mod resolve;
mod serde_text;
mod show;
mod suggest;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::drift::{
    Closed, FeatureKind, IncidentRules, MissingRule, PaneSpec, Smoothing, Thresholds, WindowSpec,
};

pub use changes::Change;
pub use env::Environment;
pub use error::{ConfigError, Place, Problem};

/// What stands above the file: flags of the command line and the environment.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    pub environment: Environment,
    pub bootstrap_servers: Option<String>,
    pub group_id: Option<String>,
    pub listen: Option<String>,
    /// Relative to the working directory, as is `csv_path`.
    pub state_dir: Option<PathBuf>,
    pub csv_path: Option<PathBuf>,
}

impl From<Environment> for Overrides {
    fn from(environment: Environment) -> Self {
        Self {
            environment,
            ..Self::default()
        }
    }
}

/// The keys that lead to a field of an event: `payload.items.0` has three.
#[must_use]
pub fn field_path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

impl Config {
    /// The configuration in the file `path`.
    ///
    /// # Errors
    /// A file that cannot be read, and everything [`Config::parse`] refuses.
    pub fn load(path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, &error))?;
        Self::parse(&text, path, overrides)
    }

    /// The configuration in `text`, which came from the file `path`: its folder is what paths are
    /// relative to, its name is in the errors.
    ///
    /// # Errors
    /// The first key or type that is wrong; where all are right, everything that does not fit
    /// together. Secrets are not repeated.
    pub fn parse(text: &str, path: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let raw = toml::from_str(text).map_err(|e| ConfigError::from_toml(path, text, &e))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        resolve::resolve(&raw, folder, overrides)
            .map_err(|faults| ConfigError::new(path, text, faults))
    }
}

/// A whole configuration.
#[derive(Debug, Clone)]
pub struct Config {
    pub kafka: KafkaConfig,
    /// In every message and in `psiren_monitor_info`.
    pub labels: BTreeMap<String, String>,
    /// In the order of the file; names are unique.
    pub monitors: Vec<MonitorConfig>,
    pub csv: Option<CsvConfig>,
    /// Named receivers; a `SLACK_WEBHOOK_URL` from the environment alone is one named `slack`,
    /// used by every monitor that names none.
    pub receivers: Vec<ReceiverConfig>,
    pub http: HttpConfig,
    pub state: StateConfig,
    /// Payload values may appear in the log.
    pub log_payloads: bool,
}

#[derive(Debug, Clone)]
pub struct KafkaConfig {
    pub bootstrap_servers: String,
    pub group_id: String,
    /// Names this process in the committed offsets.
    pub instance_id: String,
    /// Consumers in this process; the partitions are split over them. At least 1.
    pub threads: usize,
    pub consumer: ConsumerKind,
    pub decoder: Decoder,
    /// librdkafka properties from `[kafka.sasl]`, `[kafka.tls]` and `[kafka.options]`, allow-listed.
    pub properties: BTreeMap<String, Property>,
}

/// How messages are taken from librdkafka. Both hand over the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConsumerKind {
    /// Many in one call, from a queue of psiren's own.
    #[default]
    Batch,
    /// One by one, by the Rust client.
    Poll,
}

/// What reads events. Both give the same; the fast one leaves what is unusual to the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decoder {
    #[default]
    Fast,
    Reference,
}

/// The value of a librdkafka property.
#[derive(Debug, Clone)]
pub enum Property {
    Plain(String),
    Secret(SecretString),
}

#[derive(Debug, Clone)]
pub struct MonitorConfig {
    pub name: String,
    pub topic: String,
    /// `None`: the Kafka record timestamp.
    pub timestamp: Option<TimestampField>,
    /// A Parquet file or a profile.
    pub reference: PathBuf,
    /// Records that do not pass every filter are `filtered`.
    pub filters: Vec<Filter>,
    /// Globs over the reference's columns.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
    pub panes: PaneSpec,
    pub window: WindowSpec,
    pub smoothing: Smoothing,
    /// Defaults for every feature.
    pub binning: BinningConfig,
    pub thresholds: Thresholds,
    /// `None`: χ²(B−1, 0.999)/0.1 per feature.
    pub min_events: Option<u64>,
    pub missing: MissingRule,
    pub incidents: IncidentRules,
    pub repeat_after_ms: i64,
    pub alert_max_age_ms: i64,
    pub idle_timeout_ms: i64,
    pub live_interval_ms: i64,
    pub stale_after_ms: i64,
    /// Names of receivers.
    pub notify: Vec<String>,
    /// Called after each healthy evaluation. Whoever knows it can call it too.
    pub heartbeat_url: Option<SecretString>,
    pub start: StartPosition,
    pub on_log_change: OnLogChange,
    /// One feature that cannot be watched stops the monitor.
    pub strict: bool,
    /// What `[monitor.NAME.features]` overrides or adds, in its order. It never restricts.
    pub features: Vec<FeatureConfig>,
}

/// How reference values become buckets.
#[derive(Debug, Clone, PartialEq)]
pub struct BinningConfig {
    pub edges: EdgeRule,
    pub closed: Closed,
    /// Above this many categories the rarest pool into `other`.
    pub max_categories: usize,
}

impl Default for BinningConfig {
    fn default() -> Self {
        Self {
            edges: EdgeRule::Quantile { buckets: 10 },
            closed: Closed::Right,
            max_categories: 50,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum EdgeRule {
    /// Interior edges at the i/B quantiles of the reference.
    Quantile { buckets: usize },
    /// B buckets of equal width over the reference's range.
    Uniform { buckets: usize },
    /// Interior edges as given: finite, strictly ascending.
    Explicit(Vec<f64>),
}

/// What one feature has of its own; `None` takes the monitor's.
#[derive(Debug, Clone, Default)]
pub struct FeatureConfig {
    pub name: String,
    /// Where it is in the event; `None`: a top-level field of the feature's name.
    pub path: Option<Vec<String>>,
    /// The reference's column; `None`: the feature's name.
    pub column: Option<String>,
    pub kind: Option<FeatureKind>,
    pub edges: Option<EdgeRule>,
    pub closed: Option<Closed>,
    pub max_categories: Option<usize>,
    pub possible: Option<f64>,
    pub likely: Option<f64>,
    pub min_events: Option<u64>,
    pub missing: Option<MissingRule>,
    pub redact: bool,
}

/// Event time from a field of the event.
#[derive(Debug, Clone, PartialEq)]
pub struct TimestampField {
    pub path: Vec<String>,
    /// `None`: by magnitude.
    pub unit: Option<TimeUnit>,
    /// For text without an offset, an IANA name; `None`: such text is invalid.
    pub timezone: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// A condition on one field of the event.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    pub path: Vec<String>,
    pub test: FilterTest,
}

#[derive(Debug, Clone, PartialEq)]
pub enum FilterTest {
    /// The field is one of these scalars.
    In(Vec<Scalar>),
    /// The field is there and not null (`true`), or absent or null (`false`).
    Exists(bool),
}

/// A scalar as written in the configuration. `Number(1.0)` equals the JSON numbers 1 and 1.0.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    Text(String),
    Number(f64),
    Boolean(bool),
}

/// Where a partition without state begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartPosition {
    Earliest,
    Latest,
    /// Record time now − size − lateness.
    Window,
    /// The first record at or after this time.
    At {
        ms: i64,
    },
    /// The first record not older than this.
    Ago {
        ms: i64,
    },
}

/// What a recreated topic does to its partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLogChange {
    Stop,
    Reset,
}

#[derive(Debug, Clone)]
pub struct CsvConfig {
    /// May hold `{date}` of the window's end.
    pub path: PathBuf,
}

#[derive(Debug, Clone)]
pub struct ReceiverConfig {
    pub name: String,
    pub channel: Channel,
}

/// How a receiver is told.
#[derive(Debug, Clone)]
pub enum Channel {
    /// An incoming webhook of Slack's.
    Slack {
        webhook_url: SecretString,
        /// Put in front of a message that opens an incident, as Slack markup.
        mention: Option<String>,
    },
    /// Any address that takes psiren's own JSON.
    Webhook {
        url: SecretString,
        bearer_token: Option<SecretString>,
    },
    /// The API of an Alertmanager, version 2.
    Alertmanager {
        /// Without the path of the API.
        url: String,
        bearer_token: Option<SecretString>,
    },
}

#[derive(Debug, Clone)]
pub struct HttpConfig {
    pub listen: SocketAddr,
    pub token: Option<SecretString>,
    /// Host names besides the listen address's own that requests may be addressed to.
    pub allowed_hosts: Vec<String>,
    /// Where people reach the page; its path is the prefix the program is served under.
    pub public_url: Option<String>,
    /// Where people reach the Grafana dashboard.
    pub dashboard_url: Option<String>,
    /// Export one series per bucket even above 2,000 of them.
    pub bucket_metrics: Option<bool>,
}

#[derive(Debug, Clone)]
pub struct StateConfig {
    pub dir: PathBuf,
    pub checkpoint_interval_ms: u64,
    /// How long reports stay in the report log.
    pub history_ms: i64,
}
