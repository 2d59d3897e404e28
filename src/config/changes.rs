//! What differs between two configurations, and whether it can come into force at once.
//!
//! At once: what judges and tells (thresholds, incident rules, receivers, labels, ages). A restart:
//! what is read, from where, and how it is counted.

use std::collections::BTreeMap;

use super::entries::{self, Entry};
use super::show::dotted;
use super::{Config, MonitorConfig};

/// One difference between two configurations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// As in the file: `monitor.flights.thresholds.likely`. Values are not told: some are secrets.
    pub key: String,
    pub needs_restart: bool,
}

const LIVE_IN_MONITOR: &[&str] = &[
    "thresholds",
    "min_events",
    "alert_on",
    "for_windows",
    "resolve_below",
    "resolve_windows",
    "repeat_after",
    "alert_max_age",
    "missing_above",
    "invalid_above",
    "notify",
    "heartbeat_url",
    "stale_after",
    "live_interval",
];
const LIVE_IN_FEATURE: &[&str] = &["possible", "likely", "min_events"];

impl Config {
    /// What changed from `old` to `new`, by key, in the order of `new`; what only `old` has comes
    /// last. Which features there are, and their order, is one key, `monitor.NAME.features`; what a
    /// monitor or feature has that only one of the two knows needs a restart as it does.
    #[must_use]
    pub fn changes(old: &Self, new: &Self) -> Vec<Change> {
        let (before, after) = (comparable(old), comparable(new));
        let values: BTreeMap<_, _> = before.iter().map(|e| (path(e), &e.value)).collect();
        let kept: BTreeMap<_, _> = after.iter().map(|e| (path(e), &e.value)).collect();
        let differs = |e: &&Entry| values.get(&path(e)) != Some(&&e.value);
        let gone = |e: &&Entry| !kept.contains_key(&path(e));
        after
            .iter()
            .filter(differs)
            .chain(before.iter().filter(gone))
            .map(|entry| {
                let path = path(entry);
                Change {
                    needs_restart: !(is_live(&path) && knows(old, &path) && knows(new, &path)),
                    key: dotted(&path),
                }
            })
            .collect()
    }

    /// Takes over from `new` what [`changes`](Self::changes) says may come into force at once.
    pub fn take_what_needs_no_restart(&mut self, new: &Self) {
        self.labels.clone_from(&new.labels);
        self.receivers.clone_from(&new.receivers);
        for monitor in &mut self.monitors {
            if let Some(new) = new.monitors.iter().find(|m| m.name == monitor.name) {
                take_from_monitor(monitor, new);
            }
        }
    }
}

fn take_from_monitor(monitor: &mut MonitorConfig, new: &MonitorConfig) {
    monitor.thresholds = new.thresholds;
    monitor.min_events = new.min_events;
    monitor.incidents = new.incidents;
    monitor.repeat_after_ms = new.repeat_after_ms;
    monitor.alert_max_age_ms = new.alert_max_age_ms;
    monitor.stale_after_ms = new.stale_after_ms;
    monitor.live_interval_ms = new.live_interval_ms;
    monitor.notify.clone_from(&new.notify);
    monitor.heartbeat_url.clone_from(&new.heartbeat_url);
    for feature in &mut monitor.features {
        if let Some(new) = new.features.iter().find(|f| f.name == feature.name) {
            feature.possible = new.possible;
            feature.likely = new.likely;
            feature.min_events = new.min_events;
        }
    }
}

/// Whether the configuration has the monitor and the feature that the key is part of, if any.
fn knows(config: &Config, path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let ["monitor", name, rest @ ..] = path.as_slice() else {
        return true;
    };
    let monitor = config.monitors.iter().find(|m| m.name == *name);
    monitor.is_some_and(|monitor| match rest {
        ["features", feature, ..] => monitor.features.iter().any(|f| f.name == *feature),
        _ => true,
    })
}

fn path(entry: &Entry) -> Vec<String> {
    [entry.table.as_slice(), entry.key.as_slice()].concat()
}

/// The entries with the names of each monitor's features as one value, so that an added, removed
/// or moved feature is a change of its own.
fn comparable(config: &Config) -> Vec<Entry> {
    let mut entries = entries::of(config);
    entries.retain(|entry| !matches!(&entry.value, toml::Value::Table(t) if t.is_empty()));
    for monitor in &config.monitors {
        let names: Vec<&str> = monitor.features.iter().map(|f| f.name.as_str()).collect();
        entries.push(Entry {
            table: vec!["monitor".to_owned(), monitor.name.clone()],
            key: vec!["features".to_owned()],
            value: names.into(),
            secret: false,
        });
    }
    entries
}

fn is_live(path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        ["labels" | "notify", ..] => true,
        ["monitor", _, "features", _, key] => LIVE_IN_FEATURE.contains(key),
        ["monitor", _, key, ..] => LIVE_IN_MONITOR.contains(key),
        _ => false,
    }
}
