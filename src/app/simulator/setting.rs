//! What every schedule shares: two monitors, their metrics, and the names of their units.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use crate::app::fixtures::{TOPIC, WIDTH, config, keep_only, monitor};
use crate::app::worker::Watched;
use crate::metrics::{Metrics, MonitorMetrics};
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

/// Those of one thread: two of them would be busy with the locks within.
pub(super) fn metrics() -> Arc<Metrics> {
    thread_local! {
        static METRICS: Arc<Metrics> = Metrics::new(&BTreeMap::new(), None);
    }
    METRICS.with(Arc::clone)
}

/// With frontiers of its own, so that no schedule holds up another.
pub(super) fn watched() -> Vec<Watched> {
    thread_local! {
        static METRICS: Vec<Arc<MonitorMetrics>> = {
            let monitors = monitors().iter();
            monitors.map(|m| metrics().monitor(&m.definition, TOPIC)).collect()
        };
    }
    let build = |(monitor, metrics): (&Arc<Monitor>, &Arc<MonitorMetrics>)| Watched {
        metrics: Arc::clone(metrics),
        monitor: Arc::clone(monitor),
        frontier: Arc::default(),
    };
    METRICS.with(|metrics| monitors().iter().zip(metrics).map(build).collect())
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
