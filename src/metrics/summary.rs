//! Quantiles of durations over the last one to two minutes, as a Prometheus summary.
//!
//! The `prometheus` crate has no summary of its own, and `promtool` refuses a gauge with a
//! `quantile` label. `_sum` and `_count` run since the start of the process; the quantiles are
//! those of two HdrHistograms that take turns every minute.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use prometheus::Opts;
use prometheus::core::{Collector, Desc, Describer};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType, Quantile, Summary as Proto};

const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];
const TURN: Duration = Duration::from_secs(60);
/// Three significant digits would cost ten times the memory for digits nobody reads.
const DIGITS: u8 = 2;
const GREATEST_NS: u64 = 1 << 60;

/// One series: durations of one sort. Cheap to clone; a call locks once.
#[derive(Clone)]
pub struct Summary(Arc<Mutex<Turns>>);

struct Turns {
    current: Histogram<u64>,
    previous: Histogram<u64>,
    since: Instant,
    count: u64,
    sum_s: f64,
}

impl Summary {
    fn new(now: Instant) -> Self {
        let empty = || {
            Histogram::new_with_bounds(1, GREATEST_NS, DIGITS)
                .expect("the bounds are constants that HdrHistogram accepts")
        };
        Self(Arc::new(Mutex::new(Turns {
            current: empty(),
            previous: empty(),
            since: now,
            count: 0,
            sum_s: 0.0,
        })))
    }

    /// Takes in a duration that was measured once.
    pub fn record(&self, duration: Duration) {
        self.record_many([(duration, 1)]);
    }

    /// Takes in durations, each with how often it was measured.
    pub fn record_many(&self, durations: impl IntoIterator<Item = (Duration, u64)>) {
        let mut turns = self.lock();
        turns.turn(Instant::now());
        turns.add(durations);
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, now: Instant) -> Proto {
        let mut turns = self.lock();
        turns.turn(now);
        let mut recent = turns.current.clone();
        recent += &turns.previous;
        let mut summary = Proto::default();
        summary.set_sample_count(turns.count);
        summary.set_sample_sum(turns.sum_s);
        if !recent.is_empty() {
            let quantile = |q| {
                let mut quantile = Quantile::default();
                quantile.set_quantile(q);
                quantile.set_value(recent.value_at_quantile(q) as f64 / 1e9);
                quantile
            };
            summary.set_quantile(QUANTILES.map(quantile).to_vec());
        }
        summary
    }
}

impl Turns {
    /// Durations that follow each other are often alike; those of one bucket are added at once.
    fn add(&mut self, durations: impl IntoIterator<Item = (Duration, u64)>) {
        let mut alike: Option<(RangeInclusive<u64>, u64)> = None;
        let mut sum_ns = 0;
        for (duration, times) in durations {
            let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
            let ns = ns.min(GREATEST_NS);
            self.count += times;
            sum_ns += u128::from(ns) * u128::from(times);
            match &mut alike {
                Some((bucket, n)) if bucket.contains(&ns) => *n += times,
                other => {
                    let before = other.replace((self.bucket(ns), times));
                    self.record(before);
                }
            }
        }
        self.record(alike);
        self.sum_s += sum_ns as f64 / 1e9;
    }

    /// The durations that are counted together with `ns`.
    fn bucket(&self, ns: u64) -> RangeInclusive<u64> {
        self.current.lowest_equivalent(ns)..=self.current.highest_equivalent(ns)
    }

    fn record(&mut self, alike: Option<(RangeInclusive<u64>, u64)>) {
        if let Some((bucket, times)) = alike {
            self.current.saturating_record_n(*bucket.end(), times);
        }
    }

    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.since);
        if age < TURN {
            return;
        }
        std::mem::swap(&mut self.current, &mut self.previous);
        self.current.reset();
        if age >= 2 * TURN {
            self.previous.reset();
        }
        self.since = now;
    }
}

/// The summaries of one name, by the values of their labels.
#[derive(Clone)]
pub(super) struct SummaryVec {
    desc: Desc,
    series: Arc<Mutex<BTreeMap<Vec<String>, Summary>>>,
}

impl SummaryVec {
    pub(super) fn new(opts: &Opts, labels: &[&str]) -> prometheus::Result<Self> {
        let mut opts = opts.clone();
        opts.variable_labels = labels.iter().map(|&label| label.to_owned()).collect();
        Ok(Self {
            desc: opts.describe()?,
            series: Arc::default(),
        })
    }

    /// The series with these label values, created when it is not there.
    pub(super) fn with(&self, values: &[&str]) -> Summary {
        let values = values.iter().map(|&value| value.to_owned()).collect();
        self.lock()
            .entry(values)
            .or_insert_with(|| Summary::new(Instant::now()))
            .clone()
    }

    pub(super) fn prune(&self, gone: &dyn Fn(&HashMap<&str, &str>) -> bool) {
        let names = &self.desc.variable_labels;
        self.lock().retain(|values, _| {
            let labels = names.iter().map(String::as_str);
            !gone(&labels.zip(values.iter().map(String::as_str)).collect())
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Vec<String>, Summary>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metric(&self, values: &[String], summary: &Summary) -> Metric {
        let pair = |(name, value): (&String, &String)| {
            let mut pair = LabelPair::default();
            pair.set_name(name.clone());
            pair.set_value(value.clone());
            pair
        };
        let labels = self.desc.variable_labels.iter().zip(values).map(pair);
        let mut metric = Metric::from_label(labels.collect());
        metric.set_summary(summary.read(Instant::now()));
        metric
    }
}

impl Collector for SummaryVec {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let series = self.lock();
        let metrics = series
            .iter()
            .map(|(values, summary)| self.metric(values, summary));
        let mut family = MetricFamily::default();
        family.set_name(self.desc.fq_name.clone());
        family.set_help(self.desc.help.clone());
        family.set_field_type(MetricType::SUMMARY);
        family.set_metric(metrics.collect());
        vec![family]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantiles(summary: &Summary, now: Instant) -> Vec<f64> {
        let read = summary.read(now);
        read.get_quantile().iter().map(Quantile::value).collect()
    }

    #[test]
    fn quantiles_forget_what_is_two_minutes_old_and_the_sum_does_not() {
        let start = Instant::now();
        let summary = Summary::new(start);
        summary.lock().add([(Duration::from_secs(3), 4)]);
        for later in [0, 59, 60, 119] {
            let got = quantiles(&summary, start + Duration::from_secs(later));
            assert!(
                got.iter().all(|q| (q - 3.0).abs() < 0.03),
                "{later} s: {got:?}"
            );
        }
        assert!(quantiles(&summary, start + Duration::from_secs(121)).is_empty());
        let read = summary.read(start);
        assert_eq!((read.sample_count(), read.sample_sum()), (4, 12.0));
    }

    #[test]
    fn a_duration_beyond_the_range_saturates() {
        let summary = Summary::new(Instant::now());
        summary.record(Duration::from_secs(u32::MAX.into()));
        summary.record(Duration::MAX);
        assert_eq!(summary.read(Instant::now()).sample_count(), 2);
    }

    #[test]
    fn durations_added_together_give_the_quantiles_of_each_by_itself() {
        let (together, alone) = (Summary::new(Instant::now()), Summary::new(Instant::now()));
        let durations = (0..5_000).map(|i| Duration::from_micros(i * i % 7_919));
        together.record_many(durations.clone().map(|d| (d, 1)));
        durations.for_each(|d| alone.record(d));
        let now = Instant::now();
        assert_eq!(quantiles(&together, now), quantiles(&alone, now));
        let (together, alone) = (together.read(now), alone.read(now));
        assert_eq!(together.sample_count(), alone.sample_count());
        assert!((together.sample_sum() - alone.sample_sum()).abs() < 1e-9);
    }

    #[test]
    fn half_of_the_values_lie_at_or_below_the_median() {
        let summary = Summary::new(Instant::now());
        summary.record_many((1..=100).map(|ms| (Duration::from_millis(ms), 1)));
        let got = quantiles(&summary, Instant::now());
        assert!(
            (got[0] - 0.05).abs() < 0.001 && (got[2] - 0.099).abs() < 0.001,
            "{got:?}"
        );
    }
}
