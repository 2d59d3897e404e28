//! What every schedule shares: two monitors, their metrics, and the names of their units.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::app::fixtures::{TOPIC, WIDTH, config, keep_only, monitor};
use crate::app::worker::Watched;
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::source::TopicPartition;
use crate::state::UnitKey;

/// One takes every event, a little late; the other only some, never late, in longer windows.
pub(super) fn monitors() -> &'static [Arc<Monitor>; 2] {
    static MONITORS: OnceLock<[Arc<Monitor>; 2]> = OnceLock::new();
    MONITORS.get_or_init(|| {
        let mut picky = config("picky");
        picky.filters = vec![keep_only()];
        picky.panes.lateness_ms = 0;
        picky.window.size_ms = 4 * WIDTH;
        picky.window.slide_ms = 2 * WIDTH;
        [monitor(&config("all")), monitor(&picky)]
    })
}

pub(super) fn metrics() -> Arc<Metrics> {
    static METRICS: OnceLock<Arc<Metrics>> = OnceLock::new();
    Arc::clone(METRICS.get_or_init(|| Metrics::new(&BTreeMap::new(), None)))
}

pub(super) fn watched() -> Vec<Watched> {
    static WATCHED: OnceLock<Vec<Watched>> = OnceLock::new();
    let build = |monitor: &Arc<Monitor>| Watched {
        metrics: metrics().monitor(&monitor.definition, TOPIC),
        monitor: Arc::clone(monitor),
        frontier: Arc::default(),
    };
    WATCHED
        .get_or_init(|| monitors().iter().map(build).collect())
        .clone()
}

pub(super) fn name(monitor: &Monitor) -> &str {
    &monitor.definition.monitor
}

pub(super) fn unit_key(monitor: &Monitor, partition: i32) -> UnitKey {
    UnitKey {
        monitor: name(monitor).to_owned(),
        topic: TOPIC.into(),
        partition,
    }
}

pub(super) fn monitor_of(key: &UnitKey) -> &'static Arc<Monitor> {
    let named = |m: &&Arc<Monitor>| name(m) == key.monitor;
    monitors().iter().find(named).unwrap()
}

pub(super) fn place(partition: i32) -> TopicPartition {
    TopicPartition {
        topic: TOPIC.into(),
        partition,
    }
}
