//! Every metric, declared once: name, type, labels; its doc comment is its help text.
//!
//! The output must pass `promtool check metrics`: no gauge ends in `_count`, `_sum`, `_bucket` or
//! `_total`, no label is called `le`. What has no value has no series.

use std::collections::HashMap;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{GaugeVec, IntCounterVec, Opts, Registry};

use super::summary::SummaryVec;

/// One metric as documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Description {
    pub name: &'static str,
    /// `counter`, `gauge` or `summary`.
    pub kind: &'static str,
    /// `monitor_info` has the configured `[labels]` besides.
    pub labels: &'static [&'static str],
    pub help: &'static str,
}

/// A metric with labels, whatever its type.
pub(super) trait Family: Collector + Sized {
    const KIND: &'static str;

    /// `configured` are the names of the `[labels]`, for the one family that carries them.
    fn create(description: &Description, configured: &[String]) -> prometheus::Result<Self>;

    /// Drops the series whose labels are `gone`.
    fn prune(&self, gone: &dyn Fn(&HashMap<&str, &str>) -> bool);
}

/// A gauge that carries the configured labels after its own.
#[derive(Clone)]
pub(super) struct InfoVec(pub(super) GaugeVec);

macro_rules! families {
    ($( $(#[doc = $help:literal])+ $name:ident: $kind:ident [$($label:literal),*], )*) => {
        /// One field per metric, named as the metric without its prefix.
        pub(super) struct Families {
            $( $(#[doc = $help])+ pub(super) $name: $kind, )*
        }

        /// All metrics of the program, those of the process itself aside.
        pub(super) const DESCRIPTIONS: &[Description] = &[
            $( Description {
                name: concat!("psiren_", stringify!($name)),
                kind: <$kind as Family>::KIND,
                labels: &[$($label),*],
                help: concat!($($help),+).trim_ascii(),
            }, )*
        ];

        impl Families {
            /// Creates every family and registers it.
            pub(super) fn register(
                registry: &Registry,
                configured: &[String],
            ) -> prometheus::Result<Self> {
                let mut descriptions = DESCRIPTIONS.iter();
                let mut next = || descriptions.next().ok_or_else(|| {
                    prometheus::Error::Msg("more metrics than descriptions".to_owned())
                });
                let families = Self { $( $name: <$kind as Family>::create(next()?, configured)?, )* };
                $( registry.register(Box::new(families.$name.clone()))?; )*
                Ok(families)
            }

            /// Drops the series of every family whose labels are `gone`.
            pub(super) fn prune(&self, gone: &dyn Fn(&HashMap<&str, &str>) -> bool) {
                $( Family::prune(&self.$name, gone); )*
            }
        }
    };
}

families! {
    /// PSI of the last window that closed; absent while there are too few values or the window is filling.
    psi: GaugeVec ["monitor", "feature"],
    /// PSI of the window up to the newest event, open panes included; absent without values.
    psi_live: GaugeVec ["monitor", "feature"],
    /// Status in the last window that closed: 0 no drift, 1 possible drift, 2 likely drift, -1 insufficient data, -2 stale. The empty feature stands for the monitor: its worst feature, or stale.
    status: GaugeVec ["monitor", "feature"],
    /// 1 while an incident is open, by reason (psi, missing, invalid; stale with an empty feature), else 0.
    incident: GaugeVec ["monitor", "feature", "reason"],
    /// Since when the incident is open: the end of the window that opened it, event time; for stale, the wall clock. Absent while none is open.
    incident_start_timestamp_seconds: GaugeVec ["monitor", "feature", "reason"],
    /// Silences in force: nobody is told of the incidents they cover.
    silences: GaugeVec ["monitor"],
    /// PSI at which a status begins, by level (possible, likely).
    threshold: GaugeVec ["monitor", "feature", "level"],
    /// 1 once every partition of the monitor was read to its end, else 0.
    caught_up: GaugeVec ["monitor"],
    /// Values of the feature in the last window that closed, neither missing nor invalid.
    window_events: GaugeVec ["monitor", "feature"],
    /// Events of the last closed window in which the feature was absent or null.
    window_missing: GaugeVec ["monitor", "feature"],
    /// Events of the last closed window in which the feature had a wrong type.
    window_invalid: GaugeVec ["monitor", "feature"],
    /// Values per bucket in the last window that closed.
    bucket_events: GaugeVec ["monitor", "feature", "bucket"],
    /// Share of the reference's values in the bucket, unsmoothed.
    reference_ratio: GaugeVec ["monitor", "feature", "bucket"],
    /// Upper end of the bucket of a numeric feature; +Inf for the last one.
    bucket_upper_bound: GaugeVec ["monitor", "feature", "bucket"],
    /// End of the last window that closed, event time.
    window_end_timestamp_seconds: GaugeVec ["monitor"],
    /// Wall clock of the last evaluation of any sort.
    last_evaluation_timestamp_seconds: GaugeVec ["monitor"],
    /// Share of the last closed window that lies after the first event and in which no records are known to be missing; below 1 it is filling, or has a gap.
    window_coverage_ratio: GaugeVec ["monitor"],
    /// Evaluations by what asked for them (final, live, manual) and result (ok, error).
    evaluations_total: IntCounterVec ["monitor", "trigger", "result"],
    /// Time an evaluation took.
    evaluation_duration_seconds: SummaryVec ["monitor"],
    /// Records read for the monitor.
    records_consumed_total: IntCounterVec ["monitor"],
    /// Records by what became of them; the outcomes add up to the records consumed.
    records_total: IntCounterVec ["monitor", "outcome"],
    /// Records of the outcome invalid, by reason.
    invalid_records_total: IntCounterVec ["monitor", "reason"],
    /// Records counted after a window they belong to had closed without their partition.
    records_after_close_total: IntCounterVec ["monitor"],
    /// Empty windows that were passed over because event time jumped too far.
    windows_skipped_total: IntCounterVec ["monitor"],
    /// Partitions by state.
    partitions: GaugeVec ["state"],
    /// 1 while a partition is not read any more, by reason.
    partition_stopped: GaugeVec ["topic", "partition", "reason"],
    /// Partitions that were found to hold another log than the one that was counted.
    log_changes_total: IntCounterVec ["topic"],
    /// Offsets of the partition that were passed since its state began.
    partition_offsets: GaugeVec ["monitor", "topic", "partition"],
    /// What became of these offsets: the outcomes of records, absent (no record to read there) and lost (deleted by retention before they were read). They add up to them.
    partition_records: GaugeVec ["monitor", "topic", "partition", "outcome"],
    /// 1 when the last closed window held the feature only as missing or invalid, else 0.
    feature_mismatch: GaugeVec ["monitor", "feature"],
    /// Values of a type the feature cannot have, by the type found.
    invalid_values_total: IntCounterVec ["monitor", "feature", "reason"],
    /// Values of a category the reference does not have.
    unseen_values_total: IntCounterVec ["monitor", "feature"],
    /// Wall clock minus event time of counted events when they were counted.
    event_delay_seconds: SummaryVec ["monitor"],
    /// Time one record took from the client's buffer to its counts.
    record_processing_seconds: SummaryVec [],
    /// Records between the position and the end of the partition.
    consumer_lag_records: GaugeVec ["topic", "partition"],
    /// Greatest accepted event time of the partition.
    watermark_timestamp_seconds: GaugeVec ["monitor", "topic", "partition"],
    /// Changes of the partitions read.
    rebalances_total: IntCounterVec [],
    /// Checkpoints by result (ok, error).
    checkpoints_total: IntCounterVec ["result"],
    /// Wall clock of the last checkpoint that succeeded.
    checkpoint_timestamp_seconds: GaugeVec [],
    /// Attempts to deliver a message or a heartbeat, by receiver (or heartbeat/MONITOR) and result (ok, error, refused).
    notifications_total: IntCounterVec ["channel", "result"],
    /// Rows written to the CSV file.
    csv_rows_total: IntCounterVec [],
    /// Failed attempts to write the CSV file.
    csv_errors_total: IntCounterVec [],
    /// 1 while rows wait for the CSV file because of an error, else 0.
    csv_failing: GaugeVec [],
    /// Always 1: the reference in force, by its identity and number of rows.
    reference_info: GaugeVec ["monitor", "reference", "rows"],
    /// Always 1: the monitor, its topic and the configured labels.
    monitor_info: InfoVec ["monitor", "topic"],
    /// Always 1: where people reach the page, `http.public_url`; absent where that is not set.
    page_info: GaugeVec ["url"],
    /// Always 1: the version that runs.
    build_info: GaugeVec ["version", "os", "arch"],
    /// 1 when ready, else 0; /readyz says why not.
    ready: GaugeVec [],
}

fn opts(description: &Description) -> Opts {
    Opts::new(description.name, description.help)
}

fn prune_vec<B: MetricVecBuilder>(vec: &MetricVec<B>, gone: &dyn Fn(&HashMap<&str, &str>) -> bool)
where
    MetricVec<B>: Collector,
{
    for family in Collector::collect(vec) {
        for metric in family.get_metric() {
            let labels: HashMap<&str, &str> = metric
                .get_label()
                .iter()
                .map(|label| (label.name(), label.value()))
                .collect();
            if gone(&labels) {
                // It can only be gone already.
                let _ = vec.remove(&labels);
            }
        }
    }
}

impl Family for GaugeVec {
    const KIND: &'static str = "gauge";

    fn create(description: &Description, _: &[String]) -> prometheus::Result<Self> {
        Self::new(opts(description), description.labels)
    }

    fn prune(&self, gone: &dyn Fn(&HashMap<&str, &str>) -> bool) {
        prune_vec(self, gone);
    }
}

impl Family for IntCounterVec {
    const KIND: &'static str = "counter";

    fn create(description: &Description, _: &[String]) -> prometheus::Result<Self> {
        Self::new(opts(description), description.labels)
    }

    fn prune(&self, gone: &dyn Fn(&HashMap<&str, &str>) -> bool) {
        prune_vec(self, gone);
    }
}

impl Family for InfoVec {
    const KIND: &'static str = "gauge";

    fn create(description: &Description, configured: &[String]) -> prometheus::Result<Self> {
        let own = description.labels.iter().copied();
        let names: Vec<&str> = own.chain(configured.iter().map(String::as_str)).collect();
        GaugeVec::new(opts(description), &names).map(Self)
    }

    fn prune(&self, gone: &dyn Fn(&HashMap<&str, &str>) -> bool) {
        prune_vec(&self.0, gone);
    }
}

impl Collector for InfoVec {
    fn desc(&self) -> Vec<&prometheus::core::Desc> {
        self.0.desc()
    }

    fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        Collector::collect(&self.0)
    }
}

impl Family for SummaryVec {
    const KIND: &'static str = "summary";

    fn create(description: &Description, _: &[String]) -> prometheus::Result<Self> {
        Self::new(&opts(description), description.labels)
    }

    fn prune(&self, gone: &dyn Fn(&HashMap<&str, &str>) -> bool) {
        Self::prune(self, gone);
    }
}
