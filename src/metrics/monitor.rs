//! The metrics of one monitor: plain handles for the consuming loop, gauges set by reports.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus::IntCounter;

use super::families::Families;
use super::summary::Summary;
use super::{result, seconds};
use crate::drift::{
    Binning, Definition, DriftReport, FeatureDefinition, FeatureReport, Found, OpenIncident,
    Reason, Trigger,
};
use crate::event::{InvalidRecord, Outcome};

/// The value of the status gauge when the topic is silent.
const STALE: f64 = -2.0;

/// One monitor's metrics. Adding to a counter is one atomic instruction.
pub struct MonitorMetrics {
    families: Arc<Families>,
    monitor: String,
    /// In the order of the definition.
    features: Vec<FeatureMetrics>,
    consumed: IntCounter,
    outcomes: [IntCounter; Outcome::ALL.len()],
    invalid_records: [IntCounter; InvalidRecord::ALL.len()],
    after_close: IntCounter,
    windows_skipped: IntCounter,
    event_delay: Summary,
    evaluation_duration: Summary,
    standing: Mutex<Standing>,
}

struct FeatureMetrics {
    name: String,
    unseen: IntCounter,
    invalid: [IntCounter; Found::ALL.len()],
    /// Names of the buckets that have series; empty when they have none.
    buckets: Vec<String>,
}

/// What the monitor's own status is made of.
#[derive(Default)]
struct Standing {
    worst: Option<i64>,
    stale: bool,
}

impl MonitorMetrics {
    pub(super) fn new(
        families: Arc<Families>,
        definition: &Definition,
        topic: &str,
        labels: &BTreeMap<String, String>,
        with_buckets: bool,
    ) -> Self {
        let monitor = definition.monitor.as_str();
        drop_former(&families, definition);
        set_constants(&families, definition, topic, labels, with_buckets);
        let feature = |feature| FeatureMetrics::new(&families, monitor, feature, with_buckets);
        let counter = |vec: &prometheus::IntCounterVec| vec.with_label_values(&[monitor]);
        Self {
            features: definition.features.iter().map(feature).collect(),
            consumed: counter(&families.records_consumed_total),
            outcomes: Outcome::ALL.map(|outcome| {
                let labels = [monitor, outcome.as_str()];
                families.records_total.with_label_values(&labels)
            }),
            invalid_records: InvalidRecord::ALL.map(|reason| {
                let labels = [monitor, reason.as_str()];
                families.invalid_records_total.with_label_values(&labels)
            }),
            after_close: counter(&families.records_after_close_total),
            windows_skipped: counter(&families.windows_skipped_total),
            event_delay: families.event_delay_seconds.with(&[monitor]),
            evaluation_duration: families.evaluation_duration_seconds.with(&[monitor]),
            standing: Mutex::default(),
            monitor: monitor.to_owned(),
            families,
        }
    }

    /// `n` records were consumed and this became of them.
    pub fn add_outcome(&self, outcome: Outcome, n: u64) {
        self.consumed.inc_by(n);
        self.outcomes[outcome as usize].inc_by(n);
    }

    /// Why records of [`Outcome::Invalid`] are invalid.
    pub fn add_invalid_record(&self, reason: InvalidRecord, n: u64) {
        self.invalid_records[reason as usize].inc_by(n);
    }

    /// Values of a wrong type; `feature` is an index into the definition's features.
    pub fn add_invalid_value(&self, feature: usize, found: Found, n: u64) {
        if let Some(feature) = self.features.get(feature) {
            feature.invalid[found as usize].inc_by(n);
        }
    }

    /// Values of unknown categories; `feature` is an index into the definition's features.
    pub fn add_unseen(&self, feature: usize, n: u64) {
        if let Some(feature) = self.features.get(feature) {
            feature.unseen.inc_by(n);
        }
    }

    /// Wall clock minus event time of `n` counted events, in milliseconds; negative counts as 0.
    pub fn event_delay(&self, ms: i64, n: u64) {
        self.event_delays([(ms, n)]);
    }

    /// As [`event_delay`](Self::event_delay), for a whole batch at once.
    pub fn event_delays(&self, delays: impl IntoIterator<Item = (i64, u64)>) {
        self.event_delay.record_many(
            delays
                .into_iter()
                .map(|(ms, n)| (Duration::from_millis(u64::try_from(ms).unwrap_or(0)), n)),
        );
    }

    pub fn add_after_close(&self, n: u64) {
        self.after_close.inc_by(n);
    }

    pub fn add_windows_skipped(&self, n: u64) {
        self.windows_skipped.inc_by(n);
    }

    /// An evaluation was made: counts it and shows its figures. `now_ms` is wall clock.
    pub fn report(&self, report: &DriftReport, took: Duration, now_ms: i64) {
        self.count_evaluation(report.trigger, true);
        self.evaluation_duration.record(took);
        self.families
            .last_evaluation_timestamp_seconds
            .with_label_values(&[&self.monitor])
            .set(seconds(now_ms));
        self.show(report);
    }

    /// An evaluation could not be made or written.
    pub fn report_failed(&self, trigger: Trigger) {
        self.count_evaluation(trigger, false);
    }

    /// Shows the figures of a report without counting an evaluation: after a restart, the last
    /// final one of the report log.
    pub fn show(&self, report: &DriftReport) {
        match report.trigger {
            Trigger::Final => self.show_final(report),
            Trigger::Live | Trigger::Manual => self.show_live(report),
        }
    }

    /// Sets which incidents are open, and since when; the others are not.
    pub fn incidents(&self, open: &[OpenIncident]) {
        self.each_incident(|feature, reason| {
            let mut open = open.iter();
            open.find(|incident| incident.feature == feature && incident.reason == reason)
        });
    }

    /// How many silences are in force.
    pub fn silences(&self, n: usize) {
        let own = [self.monitor.as_str()];
        self.families.silences.with_label_values(&own).set(n as f64);
    }

    pub fn caught_up(&self, caught_up: bool) {
        self.families
            .caught_up
            .with_label_values(&[&self.monitor])
            .set(f64::from(u8::from(caught_up)));
    }

    /// Whether the topic is silent; the monitor's status says so, its features keep theirs.
    pub fn stale(&self, stale: bool) {
        self.stand(|standing| standing.stale = stale);
    }

    fn show_final(&self, report: &DriftReport) {
        let families = &self.families;
        let own = [self.monitor.as_str()];
        let end = seconds(report.window.end_ms);
        families
            .window_end_timestamp_seconds
            .with_label_values(&own)
            .set(end);
        families
            .window_coverage_ratio
            .with_label_values(&own)
            .set(report.coverage);
        for (metrics, feature) in self.features.iter().zip(&report.features) {
            self.show_final_feature(metrics, feature, report.is_filling());
        }
        let worst = report.features.iter().map(|f| f.status).max();
        self.stand(|standing| standing.worst = worst.map(|status| status.code()));
    }

    fn show_final_feature(&self, metrics: &FeatureMetrics, feature: &FeatureReport, filling: bool) {
        let families = &self.families;
        let labels = [self.monitor.as_str(), metrics.name.as_str()];
        let set = |family: &prometheus::GaugeVec, value: f64| {
            family.with_label_values(&labels).set(value);
        };
        let verdict = feature.status.code() >= 0 && !filling;
        set_or_remove(&families.psi, &labels, feature.psi.filter(|_| verdict));
        set(&families.status, feature.status.code() as f64);
        set(&families.window_events, feature.values as f64);
        set(&families.window_missing, feature.missing as f64);
        set(&families.window_invalid, feature.invalid as f64);
        let mismatch = feature.values == 0 && feature.records() > 0;
        set(&families.feature_mismatch, f64::from(u8::from(mismatch)));
        let missing = std::iter::once(&feature.missing);
        for (bucket, events) in metrics
            .buckets
            .iter()
            .zip(feature.buckets.iter().chain(missing))
        {
            let labels = [labels[0], labels[1], bucket.as_str()];
            families
                .bucket_events
                .with_label_values(&labels)
                .set(*events as f64);
        }
    }

    fn show_live(&self, report: &DriftReport) {
        for (metrics, feature) in self.features.iter().zip(&report.features) {
            let labels = [self.monitor.as_str(), metrics.name.as_str()];
            set_or_remove(&self.families.psi_live, &labels, feature.psi);
        }
    }

    fn count_evaluation(&self, trigger: Trigger, ok: bool) {
        self.families
            .evaluations_total
            .with_label_values(&[self.monitor.as_str(), trigger.as_str(), result(ok)])
            .inc();
    }

    fn stand(&self, change: impl FnOnce(&mut Standing)) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut standing);
        let value = match (standing.stale, standing.worst) {
            (true, _) => Some(STALE),
            (false, worst) => worst.map(|code| code as f64),
        };
        set_or_remove(&self.families.status, &[&self.monitor, ""], value);
    }

    fn each_incident<'a>(&self, found: impl Fn(&str, Reason) -> Option<&'a OpenIncident>) {
        let families = &self.families;
        let set = |feature: &str, reason: Reason| {
            let labels = [self.monitor.as_str(), feature, reason.as_str()];
            let incident = found(feature, reason);
            let is_open = f64::from(u8::from(incident.is_some()));
            families.incident.with_label_values(&labels).set(is_open);
            let since = incident.map(|incident| seconds(incident.since_ms));
            set_or_remove(&families.incident_start_timestamp_seconds, &labels, since);
        };
        for feature in &self.features {
            for reason in Reason::FEATURE {
                set(&feature.name, reason);
            }
        }
        set("", Reason::Stale);
    }
}

impl FeatureMetrics {
    fn new(
        families: &Families,
        monitor: &str,
        feature: &FeatureDefinition,
        with_buckets: bool,
    ) -> Self {
        let name = feature.name();
        Self {
            name: name.to_owned(),
            unseen: families
                .unseen_values_total
                .with_label_values(&[monitor, name]),
            invalid: Found::ALL.map(|found| {
                let labels = [monitor, name, found.as_str()];
                families.invalid_values_total.with_label_values(&labels)
            }),
            buckets: if with_buckets {
                feature.bucket_names()
            } else {
                Vec::new()
            },
        }
    }
}

/// Sets what the definition alone says, and lets the monitor's counters and incidents begin at 0.
fn set_constants(
    families: &Families,
    definition: &Definition,
    topic: &str,
    labels: &BTreeMap<String, String>,
    with_buckets: bool,
) {
    let monitor = definition.monitor.as_str();
    let rows = definition
        .features
        .iter()
        .map(|f| f.reference.values() + f.reference.missing);
    let rows = rows.max().unwrap_or(0).to_string();
    let reference = [monitor, &definition.reference_id, &rows];
    families
        .reference_info
        .with_label_values(&reference)
        .set(1.0);
    let own = [monitor, topic];
    let values: Vec<&str> = own
        .into_iter()
        .chain(labels.values().map(String::as_str))
        .collect();
    families.monitor_info.0.with_label_values(&values).set(1.0);
    families.caught_up.with_label_values(&[monitor]);
    families.silences.with_label_values(&[monitor]);
    families
        .incident
        .with_label_values(&[monitor, "", Reason::Stale.as_str()]);
    for trigger in [Trigger::Final, Trigger::Live, Trigger::Manual] {
        for ok in [true, false] {
            let labels = [monitor, trigger.as_str(), result(ok)];
            families.evaluations_total.with_label_values(&labels);
        }
    }
    for feature in &definition.features {
        set_feature_constants(families, monitor, feature);
        if with_buckets {
            set_buckets(families, monitor, feature);
        }
    }
}

fn set_feature_constants(families: &Families, monitor: &str, feature: &FeatureDefinition) {
    let name = feature.name();
    for reason in Reason::FEATURE {
        families
            .incident
            .with_label_values(&[monitor, name, reason.as_str()]);
    }
    let thresholds = feature.thresholds;
    for (level, value) in [
        ("possible", thresholds.possible),
        ("likely", thresholds.likely),
    ] {
        families
            .threshold
            .with_label_values(&[monitor, name, level])
            .set(value);
    }
}

fn set_buckets(families: &Families, monitor: &str, feature: &FeatureDefinition) {
    let counts = feature.reference_counts();
    let total: u64 = counts.iter().sum();
    for (i, (bucket, count)) in feature.bucket_names().iter().zip(&counts).enumerate() {
        let labels = [monitor, feature.name(), bucket.as_str()];
        if total > 0 {
            let share = *count as f64 / total as f64;
            families
                .reference_ratio
                .with_label_values(&labels)
                .set(share);
        }
        if let (Binning::Numeric { edges, .. }, true) = (
            &feature.reference.binning,
            i < feature.reference.binning.buckets(),
        ) {
            let upper = edges.get(i).copied().unwrap_or(f64::INFINITY);
            families
                .bucket_upper_bound
                .with_label_values(&labels)
                .set(upper);
        }
    }
}

/// Drops what an earlier definition of the same monitor has left: its features' series that are no
/// more, and everything a new reference or new thresholds replace. Counters go on.
fn drop_former(families: &Families, definition: &Definition) {
    let monitor = definition.monitor.as_str();
    families.prune(&|labels| {
        let gone = |feature: &&str| !feature.is_empty() && definition.feature(feature).is_none();
        let replaced = ["bucket", "reference", "topic"];
        labels.get("monitor") == Some(&monitor)
            && !labels.contains_key("partition")
            && (labels.get("feature").is_some_and(gone)
                || replaced.iter().any(|name| labels.contains_key(name)))
    });
}

fn set_or_remove(family: &prometheus::GaugeVec, labels: &[&str], value: Option<f64>) {
    match value {
        Some(value) => family.with_label_values(labels).set(value),
        // It can only be gone already.
        None => drop(family.remove_label_values(labels)),
    }
}
