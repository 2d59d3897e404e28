//! What holds where nothing is configured.

use std::path::PathBuf;

use super::{BinningConfig, MonitorConfig, OnLogChange, StartPosition};
use crate::drift::{IncidentRules, MissingRule, PaneSpec, Smoothing, Thresholds, WindowSpec};

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

pub const GROUP_ID: &str = "psiren";
pub const LISTEN: &str = "127.0.0.1:10774";
pub const STATE_DIR: &str = "psiren-state";
/// The receiver that `SLACK_WEBHOOK_URL` makes.
pub const SLACK_RECEIVER: &str = "slack";
pub const EPSILON: f64 = 1e-4;
/// Far above what has no logarithm, far below any share.
pub const LEAST_EPSILON: f64 = 1e-100;
pub const BUCKETS: usize = 10;
pub const CHECKPOINT_INTERVAL_MS: i64 = 5 * SECOND;
pub const HISTORY_MS: i64 = 30 * DAY;
/// Lateness is the slide, but not more than this.
pub const LATENESS_AT_MOST_MS: i64 = 5 * MINUTE;

impl MonitorConfig {
    /// A monitor with the default of every key; panes as wide as the slide.
    #[must_use]
    pub fn new(name: &str, topic: &str, reference: PathBuf, window: WindowSpec) -> Self {
        Self {
            name: name.to_owned(),
            topic: topic.to_owned(),
            timestamp: None,
            reference,
            filters: Vec::new(),
            include: vec!["*".to_owned()],
            exclude: Vec::new(),
            panes: PaneSpec {
                width_ms: window.slide_ms,
                offset_ms: 0,
                lateness_ms: window.slide_ms.min(LATENESS_AT_MOST_MS),
                max_future_skew_ms: 5 * MINUTE,
            },
            window,
            smoothing: Smoothing::Clip(EPSILON),
            binning: BinningConfig::default(),
            thresholds: Thresholds::default(),
            min_events: None,
            missing: MissingRule::default(),
            incidents: IncidentRules::default(),
            repeat_after_ms: 12 * HOUR,
            alert_max_age_ms: HOUR,
            idle_timeout_ms: 10 * SECOND,
            live_interval_ms: 500,
            stale_after_ms: 15 * MINUTE,
            notify: Vec::new(),
            heartbeat_url: None,
            start: StartPosition::Earliest,
            on_log_change: OnLogChange::Stop,
            strict: false,
            features: Vec::new(),
        }
    }
}
