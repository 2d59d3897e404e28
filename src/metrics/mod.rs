//! The program's own metrics, in the Prometheus text format.
//!
//! `families` declares each once, `monitor` fills those of one monitor, `summary` is the one metric
//! type the `prometheus` crate lacks. Nothing here decides anything: figures come in as reports.

mod families;
mod monitor;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus::{Registry, TextEncoder};

use crate::drift::Definition;
use crate::event::Outcome;
use families::Families;

pub use families::Description;
pub use monitor::MonitorMetrics;
pub use summary::Summary;

/// Above this many series of buckets they are left out unless asked for.
const MOST_BUCKET_SERIES: usize = 2000;

/// All metrics of the program.
pub struct Metrics {
    registry: Registry,
    families: Arc<Families>,
    /// The configured labels, under names that Prometheus accepts.
    labels: BTreeMap<String, String>,
    /// `http.bucket_metrics`.
    bucket_metrics: Option<bool>,
    /// Series of buckets per monitor.
    bucket_series: Mutex<BTreeMap<String, usize>>,
    stopped: Mutex<BTreeSet<[String; 3]>>,
    record_processing: Summary,
}

/// Offsets of a partition since its state began, and what became of them:
/// `passed == Σ outcomes + absent + lost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub passed: i64,
    /// In the order of [`Outcome::ALL`].
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Without a record to read: markers of transactions, aborted records, what compaction took.
    pub absent: u64,
    /// Deleted by retention before they were read.
    pub lost: u64,
}

impl Metrics {
    /// `labels` are the configured ones, carried by `psiren_monitor_info`; `bucket_metrics` says
    /// whether buckets have series: `None` leaves them out when they are too many.
    ///
    /// # Panics
    /// Never for any input: the declarations are constants and a test registers them.
    #[must_use]
    pub fn new(labels: &BTreeMap<String, String>, bucket_metrics: Option<bool>) -> Arc<Self> {
        let registry = Registry::new();
        let labels = accepted_labels(labels);
        let names: Vec<String> = labels.keys().cloned().collect();
        let families = Families::register(&registry, &names)
            .expect("the declarations are constants and label names are made acceptable");
        register_process(&registry);
        let metrics = Self {
            record_processing: families.record_processing_seconds.with(&[]),
            families: Arc::new(families),
            registry,
            labels,
            bucket_metrics,
            bucket_series: Mutex::default(),
            stopped: Mutex::default(),
        };
        metrics.start_at_zero();
        Arc::new(metrics)
    }

    /// Every metric of the program, in the order of the documentation; those of the process
    /// (`process_*`) are not among them.
    #[must_use]
    pub fn describe() -> &'static [Description] {
        families::DESCRIPTIONS
    }

    /// The metrics of one monitor. Counters begin at 0, or go on when the monitor is known; series
    /// of features that `definition` no longer has are dropped.
    pub fn monitor(&self, definition: &Definition, topic: &str) -> Arc<MonitorMetrics> {
        let with_buckets = self.take_bucket_series(definition);
        let families = Arc::clone(&self.families);
        self.counter(&families.log_changes_total, &[topic], 0);
        Arc::new(MonitorMetrics::new(
            families,
            definition,
            topic,
            &self.labels,
            with_buckets,
        ))
    }

    /// Drops every series of a monitor that is no more.
    pub fn forget_monitor(&self, monitor: &str) {
        self.bucket_series
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(monitor);
        self.families
            .prune(&|labels| labels.get("monitor") == Some(&monitor));
    }

    /// Records between our position and the end of a partition.
    pub fn lag(&self, topic: &str, partition: i32, records: i64) {
        self.families
            .consumer_lag_records
            .with_label_values(&[topic, &partition.to_string()])
            .set(records as f64);
    }

    /// Greatest accepted event time of a partition, in milliseconds since the Unix epoch.
    pub fn watermark(&self, monitor: &str, topic: &str, partition: i32, ms: i64) {
        self.families
            .watermark_timestamp_seconds
            .with_label_values(&[monitor, topic, &partition.to_string()])
            .set(seconds(ms));
    }

    /// What became of the offsets of a partition.
    pub fn account(&self, monitor: &str, topic: &str, partition: i32, account: &Account) {
        let partition = partition.to_string();
        let offsets = &self.families.partition_offsets;
        offsets
            .with_label_values(&[monitor, topic, &partition])
            .set(account.passed as f64);
        let outcomes = Outcome::ALL.into_iter().map(Outcome::as_str);
        let outcomes = outcomes.zip(account.outcomes);
        let others = [("absent", account.absent), ("lost", account.lost)];
        for (outcome, n) in outcomes.chain(others) {
            self.families
                .partition_records
                .with_label_values(&[monitor, topic, &partition, outcome])
                .set(n as f64);
        }
    }

    /// A partition holds another log than the one that was counted.
    pub fn log_changed(&self, topic: &str) {
        self.counter(&self.families.log_changes_total, &[topic], 1);
    }

    /// How many partitions are in each state; a state that is not named loses its series.
    pub fn partitions(&self, states: &[(&str, usize)]) {
        let named = |state: Option<&&str>| states.iter().any(|(name, _)| state == Some(name));
        for (state, partitions) in states {
            let gauge = self.families.partitions.with_label_values(&[state]);
            gauge.set(*partitions as f64);
        }
        families::Family::prune(&self.families.partitions, &|labels| {
            !named(labels.get("state"))
        });
    }

    /// How many partitions wait, for slower ones or for the store.
    pub fn paused(&self, partitions: usize) {
        let gauge = self.families.partitions.with_label_values(&["paused"]);
        gauge.set(partitions as f64);
    }

    /// A partition is not read any more, for a `reason` such as `log_changed`; `None`: it is read.
    pub fn partition_stopped(&self, topic: &str, partition: i32, reason: Option<&str>) {
        let mut stopped = self.stopped();
        let partition = partition.to_string();
        let family = &self.families.partition_stopped;
        stopped.retain(|labels| {
            let other = labels[0] != topic || labels[1] != partition;
            if !other {
                // It can only be gone already.
                let _ = family.remove_label_values(labels);
            }
            other
        });
        if let Some(reason) = reason {
            let labels = [topic.to_owned(), partition, reason.to_owned()];
            family.with_label_values(&labels).set(1.0);
            stopped.insert(labels);
        }
    }

    /// Where people reach the page.
    pub fn page(&self, url: &str) {
        let info = &self.families.page_info;
        info.with_label_values(&[url]).set(1.0);
    }

    pub fn rebalance(&self) {
        self.counter(&self.families.rebalances_total, &[], 1);
    }

    /// A checkpoint was written, or could not be. `now_ms` is wall clock.
    pub fn checkpoint(&self, ok: bool, now_ms: i64) {
        self.counter(&self.families.checkpoints_total, &[result(ok)], 1);
        if ok {
            self.unlabelled(&self.families.checkpoint_timestamp_seconds, seconds(now_ms));
        }
    }

    /// Where the consuming loop puts how long records took.
    #[must_use]
    pub fn record_processing(&self) -> Summary {
        self.record_processing.clone()
    }

    /// Lets the counters of a receiver begin at 0.
    pub fn channel(&self, channel: &str) {
        for result in ["ok", "error", "refused"] {
            self.counter(&self.families.notifications_total, &[channel, result], 0);
        }
    }

    /// An attempt to deliver a message to a receiver, by result: `ok`, `error` (it will be
    /// tried again) or `refused`.
    pub fn notified(&self, channel: &str, result: &str) {
        self.counter(&self.families.notifications_total, &[channel, result], 1);
    }

    pub fn csv_rows(&self, rows: u64) {
        self.counter(&self.families.csv_rows_total, &[], rows);
    }

    pub fn csv_error(&self) {
        self.counter(&self.families.csv_errors_total, &[], 1);
    }

    /// Whether rows wait for the CSV file because of an error.
    pub fn csv_failing(&self, failing: bool) {
        self.unlabelled(&self.families.csv_failing, f64::from(u8::from(failing)));
    }

    pub fn ready(&self, ready: bool) {
        self.unlabelled(&self.families.ready, f64::from(u8::from(ready)));
    }

    /// The text format, version 0.0.4, families by name, series by label.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string fails only for a family without series, and those are left out.
        if let Err(error) = TextEncoder::new().encode_utf8(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "metrics cannot be written in full");
        }
        // The encoder writes Rust's word for infinity; the format's is another.
        text.replace(" inf\n", " +Inf\n")
    }

    fn start_at_zero(&self) {
        let families = &self.families;
        self.counter(&families.rebalances_total, &[], 0);
        self.counter(&families.csv_rows_total, &[], 0);
        self.counter(&families.csv_errors_total, &[], 0);
        for ok in [true, false] {
            self.counter(&families.checkpoints_total, &[result(ok)], 0);
        }
        let build = [
            env!("CARGO_PKG_VERSION"),
            std::env::consts::OS,
            std::env::consts::ARCH,
        ];
        families.build_info.with_label_values(&build).set(1.0);
    }

    /// Whether the buckets of a monitor have series, as long as there is room for them.
    fn take_bucket_series(&self, definition: &Definition) -> bool {
        let terms = definition.features.iter().map(|f| f.bucket_names().len());
        let own = 3 * terms.sum::<usize>();
        let mut taken = self
            .bucket_series
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.remove(&definition.monitor);
        let series = own + taken.values().sum::<usize>();
        let fits = series <= MOST_BUCKET_SERIES;
        if !fits && self.bucket_metrics.is_none() {
            tracing::warn!(
                monitor = definition.monitor,
                "the buckets of this monitor are left out of the metrics: they would bring them to {series} series by bucket, above {MOST_BUCKET_SERIES}; set http.bucket_metrics = true to have them all the same, or false to silence this",
            );
        }
        let with_buckets = self.bucket_metrics.unwrap_or(fits);
        if with_buckets {
            taken.insert(definition.monitor.clone(), own);
        }
        with_buckets
    }

    fn counter(&self, family: &prometheus::IntCounterVec, labels: &[&str], n: u64) {
        family.with_label_values(labels).inc_by(n);
    }

    fn unlabelled(&self, family: &prometheus::GaugeVec, value: f64) {
        family.with_label_values::<&str>(&[]).set(value);
    }

    fn stopped(&self) -> std::sync::MutexGuard<'_, BTreeSet<[String; 3]>> {
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

#[cfg(target_os = "linux")]
fn register_process(registry: &Registry) {
    let collector = prometheus::process_collector::ProcessCollector::for_self();
    if let Err(error) = registry.register(Box::new(collector)) {
        tracing::warn!(%error, "no metrics of the process");
    }
}

#[cfg(not(target_os = "linux"))]
fn register_process(_: &Registry) {}

/// The labels under names that Prometheus accepts and that no metric uses itself.
fn accepted_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let accepted = |name: &str| {
        let name: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
            .collect();
        let taken = ["monitor", "topic", "le", "quantile"].contains(&name.as_str());
        let odd = name.starts_with("__")
            || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if taken || odd {
            format!("label_{name}")
        } else {
            name
        }
    };
    labels
        .iter()
        .map(|(name, value)| (accepted(name), value.clone()))
        .collect()
}

/// The `result` label.
fn result(ok: bool) -> &'static str {
    if ok { "ok" } else { "error" }
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_names_are_made_acceptable() {
        let labels = ["env", "data-centre", "topic", "9", "__name__", "größe"];
        let labels = labels
            .iter()
            .map(|l| ((*l).to_owned(), "x".to_owned()))
            .collect();
        let names: Vec<String> = accepted_labels(&labels).into_keys().collect();
        let expected = [
            "data_centre",
            "env",
            "gr__e",
            "label_9",
            "label___name__",
            "label_topic",
        ];
        assert_eq!(names, expected);
        let _ = Metrics::new(&labels, None);
    }

    #[test]
    fn a_state_that_is_not_named_loses_its_series() {
        let metrics = Metrics::new(&BTreeMap::new(), None);
        metrics.partitions(&[("consuming", 3), ("stopped", 1)]);
        metrics.partitions(&[("consuming", 4)]);
        let text = metrics.render();
        assert!(
            text.contains("psiren_partitions{state=\"consuming\"} 4"),
            "{text}"
        );
        assert!(!text.contains("stopped"), "{text}");
    }

    #[test]
    fn a_partition_that_goes_on_loses_its_reason() {
        let metrics = Metrics::new(&BTreeMap::new(), None);
        metrics.partition_stopped("t", 1, Some("log_changed"));
        metrics.partition_stopped("t", 1, None);
        assert!(!metrics.render().contains("partition_stopped"));
    }
}
