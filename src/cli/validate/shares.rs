//! What sampled events hold for each feature: shares of values that count, are missing or invalid,
//! and the JSON types found at its path.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::cli::words::{listed, share};
use crate::drift::Cell;
use crate::event::{EventSchema, Extractor, whole};
use crate::monitor::Monitor;
use crate::text::{counted, grouped};

/// Features in order that are listed; those that are not are always.
const LISTED: usize = 40;
/// Distinct top-level keys that are remembered.
const KEYS: usize = 1_000;
/// Characters of an example.
const EXAMPLE: usize = 40;
const ABSENT: &str = "absent";

#[derive(Debug, Default, Clone)]
struct Seen {
    values: u64,
    unseen: u64,
    missing: u64,
    invalid: u64,
    /// JSON types by how often they were found.
    types: BTreeMap<&'static str, u64>,
    /// The first value that is invalid or of an unknown category.
    example: Option<String>,
}

pub(super) struct Features<'a> {
    monitor: &'a Monitor,
    show_values: bool,
    /// Without the timestamp, so that one that cannot be read hides no feature.
    extractor: Extractor,
    seen: Vec<Seen>,
    /// Events that are JSON objects and pass the filters.
    events: u64,
    /// Top-level keys by how often they were found.
    keys: BTreeMap<String, u64>,
}

/// What is to be said.
pub(super) struct Looked {
    pub title: String,
    pub details: Vec<String>,
    pub good: bool,
}

impl<'a> Features<'a> {
    pub(super) fn new(monitor: &'a Monitor, show_values: bool) -> Self {
        let schema = EventSchema {
            timestamp: None,
            ..monitor.schema.clone()
        };
        Self {
            extractor: Extractor::new(&schema),
            seen: vec![Seen::default(); monitor.schema.features.len()],
            events: 0,
            keys: BTreeMap::new(),
            monitor,
            show_values,
        }
    }

    pub(super) fn take(&mut self, payload: &[u8]) {
        let Ok(event) = self.extractor.extract(payload) else {
            return;
        };
        self.events += 1;
        let json = whole(payload);
        for (i, cell) in event.cells.iter().enumerate() {
            let seen = &mut self.seen[i];
            match cell {
                Cell::Bucket(_) => seen.values += 1,
                Cell::Unseen => seen.unseen += 1,
                Cell::Missing => seen.missing += 1,
                Cell::Invalid(_) => seen.invalid += 1,
            }
            let Some(json) = &json else {
                continue;
            };
            let found = locate(json, &self.monitor.schema.features[i].path);
            *seen.types.entry(found.map_or(ABSENT, type_of)).or_default() += 1;
            let odd = matches!(cell, Cell::Invalid(_) | Cell::Unseen);
            let hidden = !self.show_values || self.monitor.definition.features[i].redact;
            if let (true, false, None, Some(value)) = (odd, hidden, &seen.example, found) {
                seen.example = Some(value.to_string().chars().take(EXAMPLE).collect());
            }
        }
        for key in json
            .iter()
            .filter_map(Value::as_object)
            .flat_map(|o| o.keys())
        {
            if let Some(n) = self.keys.get_mut(key) {
                *n += 1;
            } else if self.keys.len() < KEYS {
                self.keys.insert(key.clone(), 1);
            }
        }
    }

    pub(super) fn tell(&self) -> Looked {
        if self.events == 0 {
            return Looked {
                title: "no event to look for features in".to_owned(),
                details: Vec::new(),
                good: false,
            };
        }
        let mut odd = Vec::new();
        let mut fine = Vec::new();
        for i in 0..self.seen.len() {
            match self.trouble(i) {
                Some(why) => odd.push(format!("{}: {why}", self.described(i))),
                None => fine.push(self.described(i)),
            }
        }
        let found = self.seen.iter().filter(|s| !self.is_absent(s)).count();
        let title = format!(
            "{} of {} found in {}",
            grouped(found as u64),
            counted(self.seen.len() as u64, "feature"),
            counted(self.events, "event")
        );
        let good = odd.is_empty();
        let more = fine.len().saturating_sub(LISTED);
        fine.truncate(LISTED);
        odd.extend(fine);
        if more > 0 {
            odd.push(format!(
                "and {} in order",
                counted(more as u64, "other feature")
            ));
        }
        Looked {
            title,
            details: odd,
            good,
        }
    }

    /// Never found, though some event could be looked into.
    fn is_absent(&self, seen: &Seen) -> bool {
        let present = seen.types.keys().any(|name| *name != ABSENT);
        !present && seen.missing == self.events
    }

    fn described(&self, i: usize) -> String {
        let seen = &self.seen[i];
        let counted = seen.values + seen.unseen;
        let mut parts = vec![format!("{} counted", share(counted, self.events))];
        for (n, what) in [
            (seen.missing, "missing"),
            (seen.invalid, "invalid"),
            (seen.unseen, "not in the reference"),
        ] {
            if n > 0 {
                parts.push(format!("{} {what}", share(n, self.events)));
            }
        }
        let types = seen.types.iter().filter(|(name, _)| **name != ABSENT);
        let types: Vec<String> = types.map(|(name, _)| (*name).to_owned()).collect();
        let types = match types.as_slice() {
            [] => String::new(),
            names => format!(" · found as {}", listed(names)),
        };
        let feature = &self.monitor.definition.features[i];
        let kind = format!("{:?}", feature.reference.binning.kind()).to_lowercase();
        format!("{} ({kind}) {}{types}", feature.name(), parts.join(", "))
    }

    /// What a person should look at.
    fn trouble(&self, i: usize) -> Option<String> {
        let seen = &self.seen[i];
        let rules = &self.monitor.definition.incidents;
        let of = self.events as f64;
        let reference = &self.monitor.definition.features[i].reference;
        let example = match &seen.example {
            Some(value) => format!(", such as {value}"),
            None => String::new(),
        };
        if self.is_absent(seen) {
            return Some(self.advice(i));
        }
        if seen.invalid > 0 {
            let expected = format!("{:?}", reference.binning.kind()).to_lowercase();
            return Some(format!("values that are not {expected}{example}"));
        }
        if seen.missing as f64 / of > reference.missing_share() + rules.missing_above {
            return Some(format!(
                "the reference lacks only {:.1} %, so this opens an incident",
                100.0 * reference.missing_share()
            ));
        }
        if seen.unseen * 2 > self.events {
            return Some(format!(
                "most categories are not those of the reference{example}"
            ));
        }
        None
    }

    /// Where a feature that was never found may be.
    fn advice(&self, i: usize) -> String {
        let path = &self.monitor.schema.features[i].path;
        let dotted = path.join(".");
        let first = path.first().map_or("", String::as_str);
        if path.len() > 1 && self.keys.contains_key(first) {
            return format!("never found: there is {first:?}, but no {dotted:?}; set its `path`");
        }
        let mut keys: Vec<&String> = self.keys.keys().collect();
        let likeness = |key: &str| strsim::jaro_winkler(&first.to_lowercase(), &key.to_lowercase());
        keys.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
        let near: Vec<String> = keys.iter().take(3).map(|key| format!("{key:?}")).collect();
        match near.as_slice() {
            [] => format!("{dotted:?} was never found"),
            near => format!(
                "{dotted:?} was never found; the nearest top-level keys are {}; set its `path`",
                listed(near)
            ),
        }
    }
}

fn locate<'v>(value: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| match value {
        Value::Object(object) => object.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::tests::monitor;
    use super::*;

    fn tell(show_values: bool, events: &[&str]) -> Looked {
        let monitor = monitor();
        let mut features = Features::new(&monitor, show_values);
        for event in events {
            features.take(event.as_bytes());
        }
        features.tell()
    }

    #[test]
    fn a_feature_that_is_never_found_names_the_nearest_keys() {
        let looked = tell(
            false,
            &[r#"{"departure_delay": 5, "carrier": "UA", "x": 1}"#],
        );
        assert!(!looked.good);
        assert_eq!(looked.title, "1 of 2 features found in 1 event");
        let line = &looked.details[0];
        assert!(line.contains(r#""dep_delay" was never found"#), "{line}");
        assert!(line.contains(r#"are "departure_delay""#), "{line}");
    }

    #[test]
    fn types_are_told_and_values_only_when_they_may_be() {
        let events = [
            r#"{"dep_delay": "secret", "carrier": "UA"}"#,
            r#"{"dep_delay": 1.5, "carrier": "UA"}"#,
        ];
        let line = tell(false, &events).details[0].clone();
        assert!(line.contains("50.0 % counted, 50.0 % invalid"), "{line}");
        assert!(line.contains("found as number and string"), "{line}");
        assert!(!line.contains("secret"), "{line}");
        let line = tell(true, &events).details[0].clone();
        assert!(line.contains("secret"), "{line}");
    }

    #[test]
    fn features_in_order_are_told_without_a_warning() {
        let looked = tell(false, &[r#"{"dep_delay": 5, "carrier": "UA"}"#]);
        assert!(looked.good, "{:?}", looked.details);
        assert_eq!(looked.details.len(), 2);
    }
}
