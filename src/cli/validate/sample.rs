//! What the records of a topic say to one monitor: outcomes, event times, features.

use std::collections::BTreeMap;

use anyhow::Result;

use super::shares::{Features, Looked};
use crate::cli::checklist::Checklist;
use crate::cli::words::{distance, share, time};
use crate::drift::PartitionPanes;
use crate::event::{Extractor, Outcome, Rejected};
use crate::monitor::Monitor;
use crate::source::Record;
use crate::text::{counted, grouped};

/// What was seen of one partition's event times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub n: u64,
    pub least_ms: i64,
    pub greatest_ms: i64,
}

pub(super) struct Sample<'a> {
    monitor: &'a Monitor,
    extractor: Extractor,
    panes: BTreeMap<i32, PartitionPanes>,
    records: u64,
    outcomes: [u64; Outcome::ALL.len()],
    /// Why records are invalid: how many, and where the first one is.
    reasons: BTreeMap<String, (u64, String)>,
    features: Features<'a>,
    /// Event times per partition, of records that are neither filtered nor invalid.
    times: BTreeMap<i32, Times>,
    /// The least event time at the beginning of the log.
    oldest_ms: Option<i64>,
    /// When the newest record was appended.
    appended_ms: Option<i64>,
}

impl<'a> Sample<'a> {
    /// `show_values`: values may appear in the output.
    pub(super) fn new(monitor: &'a Monitor, show_values: bool) -> Self {
        Self {
            monitor,
            extractor: Extractor::new(&monitor.schema),
            panes: BTreeMap::new(),
            records: 0,
            outcomes: [0; Outcome::ALL.len()],
            reasons: BTreeMap::new(),
            features: Features::new(monitor, show_values),
            times: BTreeMap::new(),
            oldest_ms: None,
            appended_ms: None,
        }
    }

    /// A record from the beginning of the log: only its time matters.
    pub(super) fn begin(&mut self, record: &Record<'_>) {
        let Some(payload) = record.payload else {
            return;
        };
        if let Ok(event) = self.extractor.extract(payload) {
            let found = event.event_ms.or(record.timestamp_ms);
            self.oldest_ms = self.oldest_ms.into_iter().chain(found).min();
        }
    }

    pub(super) fn take(&mut self, record: &Record<'_>) {
        self.records += 1;
        self.appended_ms = self.appended_ms.max(record.timestamp_ms);
        let outcome = self.outcome(record);
        self.outcomes[outcome as usize] += 1;
        if let Some(payload) = record.payload
            && outcome != Outcome::Filtered
        {
            self.features.take(payload);
        }
    }

    /// As the running program decides, for a log that begins with the sample.
    fn outcome(&mut self, record: &Record<'_>) -> Outcome {
        let Some(payload) = record.payload else {
            return Outcome::Tombstone;
        };
        let event = match self.extractor.extract(payload) {
            Ok(event) => event,
            Err(Rejected::Filtered) => return Outcome::Filtered,
            Err(why) => {
                note(&mut self.reasons, why.to_string(), record);
                return Outcome::Invalid;
            }
        };
        let Some(event_ms) = event.event_ms.or(record.timestamp_ms) else {
            let why = "the record has no timestamp; name a field of the event in `timestamp`";
            note(&mut self.reasons, why.to_owned(), record);
            return Outcome::Invalid;
        };
        let times = self.times.entry(record.partition).or_insert(Times {
            n: 0,
            least_ms: event_ms,
            greatest_ms: event_ms,
        });
        times.n += 1;
        times.least_ms = times.least_ms.min(event_ms);
        times.greatest_ms = times.greatest_ms.max(event_ms);
        let spec = &self.monitor.definition.panes;
        let panes = self.panes.entry(record.partition).or_default();
        let accepted = panes.record(
            spec,
            &self.monitor.layout,
            event_ms,
            record.timestamp_ms,
            record.offset,
            event.cells,
        );
        panes.take_sealed(spec);
        accepted.into()
    }

    pub(super) fn monitor(&self) -> &'a Monitor {
        self.monitor
    }

    /// Records that were taken.
    pub(super) fn records(&self) -> u64 {
        self.records
    }

    fn counted(&self) -> u64 {
        self.outcomes[Outcome::Counted as usize]
    }

    pub(super) fn times(&self) -> impl Iterator<Item = &Times> {
        self.times.values()
    }

    /// The least event time seen, at the beginning of the log or in the sample.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        let sampled = self.times.values().map(|t| t.least_ms);
        sampled.chain(self.oldest_ms).min()
    }

    pub(super) fn newest_ms(&self) -> Option<i64> {
        self.times.values().map(|t| t.greatest_ms).max()
    }

    /// Tells what was found; `now_ms` is wall clock.
    pub(super) fn tell(&self, now_ms: i64, list: &mut Checklist) -> Result<()> {
        self.tell_outcomes(list)?;
        self.tell_times(now_ms, list)?;
        if self.records > self.outcomes[Outcome::Filtered as usize] {
            self.tell_features(list)?;
        }
        Ok(())
    }

    fn name(&self) -> &str {
        &self.monitor.definition.monitor
    }

    fn tell_outcomes(&self, list: &mut Checklist) -> Result<()> {
        let parts: Vec<String> = Outcome::ALL
            .into_iter()
            .map(|outcome| (outcome, self.outcomes[outcome as usize]))
            .filter(|(_, n)| *n > 0)
            .map(|(outcome, n)| format!("{} {}", grouped(n), outcome.as_str()))
            .collect();
        let title = format!(
            "monitor {:?}: {} read: {}",
            self.name(),
            counted(self.records, "record"),
            parts.join(", ")
        );
        let reasons = self.reasons.iter();
        let mut details: Vec<String> = reasons
            .map(|(why, (n, place))| format!("{} invalid, first at {place}: {why}", grouped(*n)))
            .collect();
        let n = |outcome: Outcome| self.outcomes[outcome as usize];
        if n(Outcome::Late) > 0 {
            details.push(
                "late: dated before a pane that was sealed; more `lateness` in `window` waits for them".to_owned(),
            );
        }
        if n(Outcome::Future) > 0 {
            details.push(
                "future: dated after their own record by more than max_future_skew; is the clock or the time zone of the producer right?".to_owned(),
            );
        }
        if n(Outcome::Filtered) == self.records {
            details.push("not one passes `where`".to_owned());
        }
        let bad = [Outcome::Invalid, Outcome::Late, Outcome::Future];
        let good = self.counted() > 0 && bad.into_iter().all(|outcome| n(outcome) == 0);
        list.judged(good, title, details)
    }

    fn tell_times(&self, now_ms: i64, list: &mut Checklist) -> Result<()> {
        let source = match &self.monitor.config.timestamp {
            Some(field) => format!("field {:?}", field.path.join(".")),
            None => "the record's timestamp".to_owned(),
        };
        let title = format!("monitor {:?}: event time from {source}", self.name());
        let least = self.times.values().map(|t| t.least_ms).min();
        let (Some(earliest), Some(latest)) = (least, self.newest_ms()) else {
            return list.warning(title, ["no record has one that can be read".to_owned()]);
        };
        let at = |what: &str, ms: i64| format!("{what} {} ({})", time(ms), distance(ms, now_ms));
        let mut details = vec![at("earliest", earliest), at("latest", latest)];
        let mut good = true;
        if latest > now_ms.saturating_add(self.monitor.config.panes.max_future_skew_ms) {
            good = false;
            details.push(
                "the latest lies in the future; later events may be dropped as late until then"
                    .to_owned(),
            );
        }
        let age = self.appended_ms.map(|ms| now_ms.saturating_sub(ms));
        if age.is_some_and(|age| age > self.monitor.config.alert_max_age_ms) {
            details.push(
                "all were appended long ago: windows they close give rows and no messages"
                    .to_owned(),
            );
        }
        let read: u64 = self.times.values().map(|t| t.n).sum();
        let of = self.records
            - self.outcomes[Outcome::Filtered as usize]
            - self.outcomes[Outcome::Tombstone as usize];
        list.judged(
            good,
            format!("{title}: {} can be read", share(read, of)),
            details,
        )
    }

    fn tell_features(&self, list: &mut Checklist) -> Result<()> {
        let Looked {
            title,
            details,
            good,
        } = self.features.tell();
        list.judged(good, format!("monitor {:?}: {title}", self.name()), details)
    }
}

fn note(reasons: &mut BTreeMap<String, (u64, String)>, why: String, record: &Record<'_>) {
    // The place differs from record to record, the reason does not.
    let why = why.split(" at line ").next().unwrap_or_default().to_owned();
    let place = || {
        format!(
            "{}/{} offset {}",
            record.topic, record.partition, record.offset
        )
    };
    reasons.entry(why).or_insert_with(|| (0, place())).0 += 1;
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{Config, Overrides};

    const NOW: i64 = 1_362_100_000_000;

    pub(in crate::cli::validate) fn monitor() -> Monitor {
        let text = r#"
            [kafka]
            bootstrap_servers = "localhost:9092"
            [monitor.flights]
            topic = "flights"
            timestamp = { field = "ts", unit = "ms" }
            reference = "fixtures/flights/reference.parquet"
            include = ["dep_delay", "carrier"]
            window = { size = "1d", slide = "6h" }
        "#;
        let config = Config::parse(text, "x.toml".as_ref(), &Overrides::default()).unwrap();
        Monitor::build(&config.monitors[0]).unwrap()
    }

    pub(in crate::cli::validate) fn record(offset: i64, payload: &str) -> Record<'_> {
        Record {
            topic: "flights",
            partition: 0,
            offset,
            timestamp_ms: Some(NOW),
            key: None,
            payload: Some(payload.as_bytes()),
        }
    }

    #[test]
    fn outcomes_are_those_of_the_running_program() {
        let monitor = monitor();
        let mut sample = Sample::new(&monitor, false);
        let day = 86_400_000;
        let events = [
            format!(r#"{{"ts": {NOW}, "dep_delay": 1}}"#),
            format!(r#"{{"ts": {}, "dep_delay": 1}}"#, NOW - day),
            format!(r#"{{"ts": {}, "dep_delay": 1}}"#, NOW + day),
            r#"{"ts": null}"#.to_owned(),
            "{".to_owned(),
        ];
        for (offset, event) in (0..).zip(&events) {
            sample.take(&record(offset, event));
        }
        sample.take(&Record {
            payload: None,
            ..record(5, "")
        });
        assert_eq!(sample.outcomes, [1, 0, 1, 1, 1, 2]);
        assert_eq!(sample.reasons.len(), 2);
        assert!(
            sample
                .reasons
                .values()
                .any(|(_, at)| at == "flights/0 offset 4")
        );
        assert_eq!(sample.oldest_ms(), Some(NOW - day));
    }
}
