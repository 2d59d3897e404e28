//! What events hold, as far as a configuration can name it: where there are values, of which types,
//! and which of them can be event times. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::event::{InvalidRecord, TimeReader, whole};
use crate::reference::identifiers::names_a_time;
use crate::source::Record;

/// Distinct paths that are remembered, and how deep they may lead.
const PATHS: usize = 5_000;
const DEPTH: usize = 8;
/// A field that is a time in this share of the events can be event time.
const NEARLY_ALL: f64 = 0.99;
/// A number as near as this to its record's own timestamp is a time, whatever its name.
const NEAR_MS: u64 = 86_400_000;

/// The keys from the event's root to a value.
pub(super) type Path = Vec<String>;

/// The least and the greatest of some instants, in milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from_ms: i64,
    pub(super) to_ms: i64,
}

impl Span {
    fn over(span: Option<Self>, ms: i64) -> Self {
        span.map_or(
            Self {
                from_ms: ms,
                to_ms: ms,
            },
            |span| Self {
                from_ms: span.from_ms.min(ms),
                to_ms: span.to_ms.max(ms),
            },
        )
    }
}

/// What was found at one path.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// Values other than null.
    values: u64,
    types: BTreeSet<&'static str>,
    /// Values that are times; of numbers, those that their name or their record makes one.
    times: u64,
    /// Values that would be times with a `timezone`.
    local: u64,
    /// Of the times, the beginning of the log included.
    span: Option<Span>,
}

#[derive(Debug, Default)]
pub(super) struct Events {
    pub(super) records: u64,
    /// Records that are JSON objects.
    pub(super) objects: u64,
    /// The first record that is none begins like the Schema Registry's own format.
    pub(super) framed: bool,
    /// Of the records' own timestamps, the beginning of the log included.
    pub(super) stamps: Option<Span>,
    paths: BTreeMap<Path, Seen>,
}

/// A field that can be event time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TimeField {
    pub(super) path: Path,
    /// `None`: text without an offset, which needs a `timezone`.
    pub(super) span: Option<Span>,
}

/// Where the values of a feature are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    /// At the top of this share of the events, of these types.
    Top {
        share: f64,
        types: Vec<&'static str>,
    },
    /// Nowhere at the top, and elsewhere under these paths.
    Elsewhere(Vec<Path>),
    Nowhere,
}

impl Events {
    /// A record near the end of the log.
    pub(super) fn take(&mut self, record: &Record<'_>) {
        self.records += 1;
        let payload = record.payload.unwrap_or_default();
        match whole(payload) {
            Some(value @ Value::Object(_)) => {
                self.objects += 1;
                self.walk(&value, &mut Vec::new(), record, true);
            }
            _ => self.framed |= payload.len() > 5 && payload[0] == 0,
        }
        self.stamp(record);
    }

    /// A record at the beginning of the log: only its times matter.
    pub(super) fn begin(&mut self, record: &Record<'_>) {
        if let Some(value @ Value::Object(_)) = record.payload.and_then(whole) {
            self.walk(&value, &mut Vec::new(), record, false);
        }
        self.stamp(record);
    }

    fn stamp(&mut self, record: &Record<'_>) {
        if let Some(ms) = record.timestamp_ms {
            self.stamps = Some(Span::over(self.stamps, ms));
        }
    }

    fn walk(&mut self, value: &Value, path: &mut Path, record: &Record<'_>, counts: bool) {
        match value {
            Value::Object(object) if path.len() < DEPTH => {
                for (key, value) in object.iter().filter(|(key, _)| !key.is_empty()) {
                    path.push(key.clone());
                    self.walk(value, path, record, counts);
                    path.pop();
                }
            }
            Value::Null | Value::Array(_) | Value::Object(_) => {}
            scalar => {
                let known = self.paths.contains_key(path);
                if known || (counts && self.paths.len() < PATHS) {
                    let seen = self.paths.entry(path.clone()).or_default();
                    seen.take(scalar, path, record.timestamp_ms, counts);
                }
            }
        }
    }

    /// Fields that are a time in nearly all events, those that need no time zone first.
    pub(super) fn times(&self) -> Vec<TimeField> {
        let nearly_all = |n: u64| n > 0 && n as f64 >= NEARLY_ALL * self.objects as f64;
        let field = |(path, seen): (&Path, &Seen)| {
            let whole = nearly_all(seen.times);
            (whole || nearly_all(seen.times + seen.local)).then(|| TimeField {
                path: path.clone(),
                span: seen.span.filter(|_| whole),
            })
        };
        let mut fields: Vec<TimeField> = self.paths.iter().filter_map(field).collect();
        fields.sort_by_key(|field| field.span.is_none());
        fields
    }

    /// Where the values of the feature `name` are. `payload.carrier` and `payload_carrier` are how
    /// tables spell what is nested in events.
    pub(super) fn place(&self, name: &str) -> Place {
        if let Some(seen) = self.paths.get(std::slice::from_ref(&name.to_owned())) {
            return Place::Top {
                share: seen.values as f64 / self.objects.max(1) as f64,
                types: seen.types.iter().copied().collect(),
            };
        }
        let is_it = |path: &&Path| {
            let last = path.last().is_some_and(|key| key == name);
            path.len() > 1 && (last || path.join(".") == name || path.join("_") == name)
        };
        match self.paths.keys().filter(is_it).cloned().collect::<Vec<_>>() {
            paths if paths.is_empty() => Place::Nowhere,
            paths => Place::Elsewhere(paths),
        }
    }
}

impl Seen {
    fn take(&mut self, value: &Value, path: &Path, stamp_ms: Option<i64>, counts: bool) {
        if counts {
            self.values += 1;
            self.types.insert(type_of(value));
        }
        let name = path.last().map_or("", String::as_str);
        let near = |ms: i64| stamp_ms.is_some_and(|stamp| stamp.abs_diff(ms) <= NEAR_MS);
        let reader = TimeReader::default();
        let time = match value {
            Value::String(text) => reader.text(text),
            Value::Number(number) => number
                .as_i64()
                .map(|n| reader.integer(i128::from(n)))
                .or_else(|| Some(reader.float(number.as_f64()?)))
                .unwrap_or(Err(InvalidRecord::TimestampFormat))
                .and_then(|ms| match names_a_time(name) || near(ms) {
                    true => Ok(ms),
                    false => Err(InvalidRecord::TimestampFormat),
                }),
            _ => return,
        };
        match time {
            Ok(ms) => {
                self.times += u64::from(counts);
                self.span = Some(Span::over(self.span, ms));
            }
            Err(InvalidRecord::TimestampOffset) => self.local += u64::from(counts),
            Err(_) => {}
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        _ => "string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn record(payload: &str) -> Record<'_> {
        Record {
            topic: "t",
            partition: 0,
            offset: 0,
            timestamp_ms: Some(NOW),
            key: None,
            payload: Some(payload.as_bytes()),
        }
    }

    fn events(payloads: &[&str]) -> Events {
        let mut events = Events::default();
        for payload in payloads {
            events.take(&record(payload));
        }
        events
    }

    fn time_names(events: &Events) -> Vec<String> {
        events.times().iter().map(|t| t.path.join("/")).collect()
    }

    #[test]
    fn numbers_are_times_by_their_name_or_by_their_record() {
        let events = events(&[
            r#"{"amount": 1500000000, "ts": 1500000000, "at_": 17, "when": 1700000000123, "n": NaN}"#,
        ]);
        assert_eq!(time_names(&events), ["ts", "when"]);
    }

    #[test]
    fn text_without_an_offset_is_a_time_that_needs_a_zone() {
        let events = events(&[r#"{"a": "2024-01-01T00:00:00", "b": "2024-01-01T00:00:00Z"}"#]);
        let times = events.times();
        assert_eq!(time_names(&events), ["b", "a"]);
        assert_eq!(times[1].span, None);
    }

    #[test]
    fn a_field_that_is_often_no_time_is_none() {
        let events = events(&[
            r#"{"ts": 1700000000, "x": {"time": "2024-01-01T00:00:00Z"}}"#,
            r#"{"ts": "soon", "x": {"time": "2024-01-02T00:00:00Z"}}"#,
        ]);
        assert_eq!(time_names(&events), ["x/time"]);
        let span = events.times()[0].span.unwrap();
        assert_eq!(span.to_ms - span.from_ms, 86_400_000);
    }

    #[test]
    fn features_are_found_at_the_top_before_they_are_looked_for_below() {
        let events = events(&[
            r#"{"a": 1, "p": {"a": 1, "b": "x", "c": {"d": true}}, "q": {"b": 2}}"#,
            r#"{"a": null}"#,
        ]);
        let path = |keys: &str| keys.split('/').map(str::to_owned).collect::<Path>();
        let top = Place::Top {
            share: 0.5,
            types: vec!["integer"],
        };
        assert_eq!(events.place("a"), top);
        let several = vec![path("p/b"), path("q/b")];
        assert_eq!(events.place("b"), Place::Elsewhere(several));
        for spelt in ["d", "p.c.d", "p_c_d"] {
            let found = Place::Elsewhere(vec![path("p/c/d")]);
            assert_eq!(events.place(spelt), found, "{spelt}");
        }
        assert_eq!(events.place("c"), Place::Nowhere);
    }

    #[test]
    fn what_is_no_object_is_counted_and_a_framed_record_is_known() {
        let mut events = events(&["[1]", "{", "{}"]);
        assert_eq!((events.records, events.objects), (3, 1));
        assert!(!events.framed);
        events.take(&record("\u{0}\u{0}\u{0}\u{0}\u{1}avro"));
        assert!(events.framed);
    }
}
