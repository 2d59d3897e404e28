//! Event JSON: the extractor against a plain walk over `serde_json::Value`.
//!
//! The input is one event, or several with a byte 0xFF between them: one extractor reads them all,
//! so that the order of keys it predicts is right and wrong. Where `Value` reads the event, its
//! Python tokens replaced, both agree on every cell, the event time and the reason of a rejection.
//! Where it does not, the extractor refuses too, unless the fault is one of those that it does not
//! look for in what it skips. The fast reader and the reference reader agree on everything.

use psiren::config::{Decoder, Filter, FilterTest, Scalar, TimeUnit, TimestampField};
use psiren::drift::{Binning, Cell, Closed, Found};
use psiren::event::{
    EventSchema, Extractor, FeatureField, InvalidRecord, Json, Rejected, TimeReader, cell,
    event_time, passes,
};
use serde::de::IgnoredAny;
use serde_json::Value;

const PATHS: [&str; 16] = [
    "x", "s", "t", "a.b", "a.0", "a.1.b", "a.b.c", "a", "é", "", "k", "a.10", "a.00", "0.0",
    "x.y.z", "\"",
];

pub fn judge(bytes: &[u8]) {
    let bare = EventSchema {
        timestamp: None,
        filters: Vec::new(),
        ..schema()
    };
    for schema in [schema(), bare] {
        let mut used = Extractor::new(&schema);
        let mut reference = Extractor::with(&schema, Decoder::Reference);
        for event in bytes.split(|byte| *byte == 0xff) {
            let found = owned(&mut used, event);
            assert_eq!(found, owned(&mut Extractor::new(&schema), event));
            assert_eq!(used.extract(event), reference.extract(event));
            compare(&schema, event, &found);
        }
    }
}

type Judged = Result<(Vec<Cell>, Option<i64>), Option<InvalidRecord>>;

/// Cells and event time, else the reason, which filters have none of.
fn owned(extractor: &mut Extractor, event: &[u8]) -> Judged {
    match extractor.extract(event) {
        Ok(extracted) => Ok((extracted.cells.to_vec(), extracted.event_ms)),
        Err(Rejected::Filtered) => Err(None),
        Err(Rejected::Invalid { reason, position }) => {
            if let Some(at) = position {
                assert!(at.line >= 1 && at.column <= event.len() + 1, "{at:?}");
            }
            Err(Some(reason))
        }
    }
}

fn compare(schema: &EventSchema, event: &[u8], found: &Judged) {
    let Ok(text) = std::str::from_utf8(event) else {
        assert_eq!(found, &Err(Some(InvalidRecord::Utf8)));
        return;
    };
    let read = serde_json::from_str::<Value>(text);
    match read.or_else(|_| serde_json::from_str(&without_python_tokens(text))) {
        Ok(tree) => assert_eq!(found, &walked(schema, &tree), "{text}"),
        Err(fault) if may_be_skipped(&fault.to_string()) => {}
        Err(fault) => {
            assert_eq!(found, &Err(Some(InvalidRecord::Json)), "{fault}: {text}");
        }
    }
}

/// Faults of a value that is not looked at are not looked for; see `psiren::event`.
fn may_be_skipped(fault: &str) -> bool {
    [
        "recursion limit exceeded",
        "number out of range",
        "surrogate",
        "unexpected end of hex escape",
        "invalid unicode code point",
        "control character",
    ]
    .iter()
    .any(|skipped| fault.contains(skipped))
}

/// `NaN`, `Infinity`, `-Infinity` and numbers beyond `f64` as null, by whole words outside strings.
fn without_python_tokens(text: &str) -> String {
    let of_word = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => end_of_string(rest),
            c if of_word(c) => rest.find(|c| !of_word(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (word, after) = rest.split_at(end);
        let number = first != '"' && serde_json::from_str::<IgnoredAny>(word).is_ok();
        let beyond = number && serde_json::from_str::<Value>(word).is_err();
        let python = ["NaN", "Infinity", "-Infinity"].contains(&word);
        out.push_str(if beyond || python { "null" } else { word });
        rest = after;
    }
    out
}

fn end_of_string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// What the extractor should find.
fn walked(schema: &EventSchema, tree: &Value) -> Judged {
    if !tree.is_object() {
        return Err(Some(InvalidRecord::NotAnObject));
    }
    let passed = schema.filters.iter().all(|filter| {
        let value = at(tree, &filter.path).unwrap_or(Json::Null);
        passes(&filter.test, value)
    });
    if !passed {
        return Err(None);
    }
    let event_ms = match &schema.timestamp {
        None => None,
        Some(field) => Some(match at(tree, &field.path) {
            Ok(value) => event_time(&TimeReader::new(field), value).map_err(Some)?,
            Err(_) => return Err(Some(InvalidRecord::TimestampFormat)),
        }),
    };
    let cells = schema.features.iter().map(|feature| {
        at(tree, &feature.path).map_or_else(Cell::Invalid, |value| cell(&feature.binning, value))
    });
    Ok((cells.collect(), event_ms))
}

/// The value at the end of `path`, null where it is absent; else what stands in the way.
fn at<'t>(tree: &'t Value, path: &[String]) -> Result<Json<'t>, Found> {
    let Some((name, rest)) = path.split_first() else {
        return Ok(match tree {
            Value::Null => Json::Null,
            Value::Bool(b) => Json::Boolean(*b),
            Value::String(text) => Json::Text(text),
            Value::Array(_) => Json::Array,
            Value::Object(_) => Json::Object,
            Value::Number(n) => match (n.as_u64(), n.as_i64()) {
                (Some(unsigned), _) => Json::Unsigned(unsigned),
                (None, Some(signed)) => Json::Signed(signed),
                (None, None) => Json::Float(n.as_f64().expect("a finite number")),
            },
        });
    };
    let below = match tree {
        Value::Null => None,
        Value::Bool(_) => return Err(Found::Boolean),
        Value::Number(_) => return Err(Found::Number),
        Value::String(_) => return Err(Found::String),
        Value::Object(members) => members.get(name),
        Value::Array(items) => match name.parse::<usize>() {
            Ok(index) if index.to_string() == *name => items.get(index),
            _ => return Err(Found::Array),
        },
    };
    below.map_or(Ok(Json::Null), |below| at(below, rest))
}

/// Each path as a numeric and as a categorical feature, a timestamp and two filters.
fn schema() -> EventSchema {
    let path = |dotted: &str| dotted.split('.').map(str::to_owned).collect::<Vec<_>>();
    let features = PATHS.iter().flat_map(|dotted| {
        [numeric(), categorical()].map(|binning| FeatureField {
            path: path(dotted),
            binning,
        })
    });
    let filter = |at: &str, test| Filter {
        path: path(at),
        test,
    };
    EventSchema {
        features: features.collect(),
        timestamp: Some(TimestampField {
            path: path("t"),
            unit: None::<TimeUnit>,
            timezone: Some("UTC".to_owned()),
        }),
        filters: vec![
            filter("gone", FilterTest::Exists(false)),
            filter(
                "k",
                FilterTest::In(vec![
                    Scalar::Text("a".to_owned()),
                    Scalar::Number(1.0),
                    Scalar::Boolean(true),
                ]),
            ),
        ],
    }
}

fn numeric() -> Binning {
    Binning::Numeric {
        edges: vec![-1.0, 0.1, 10.0],
        closed: Closed::Right,
        float32: false,
    }
}

fn categorical() -> Binning {
    Binning::Categorical {
        categories: ["", "-1", "1", "a", "true", "é"]
            .map(str::to_owned)
            .to_vec(),
        pooled: vec!["b".to_owned()],
    }
}
