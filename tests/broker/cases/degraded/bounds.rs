//! Memory stays bounded under a million categories, large records, thousands of features and years in disorder.

use std::fs;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::await_consumed;
use crate::Case;
use crate::kafka::Kafka;
use crate::psiren::Home;
use crate::topic::{Record, Topic, unique};

const FEATURES: usize = 2_000;
const CATEGORICAL: usize = 200;
const LARGE_BYTES: usize = 5_000_000;
/// Over what the first records took, of which the program's own pages are the most.
const MORE_MIB: u64 = 160;
const DAY_MS: i64 = 86_400_000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "memory_is_bounded_whatever_the_records_hold",
            memory_is_bounded_whatever_the_records_hold,
        )
        .when_thorough(),
    ]
}

/// How many records of each sort.
struct Scale {
    /// Each has as many new categories as there are categorical features.
    full: usize,
    large: usize,
    jumps: i64,
}

/// A million categories, where there is time for it.
fn scale() -> Scale {
    match std::env::var_os("PSIREN_TORTURE").is_some() {
        true => Scale {
            full: 5_000,
            large: 24,
            jumps: 2_000,
        },
        false => Scale {
            full: 500,
            large: 8,
            jumps: 200,
        },
    }
}

/// `c0…` are categorical, the others numeric.
fn profile() -> Value {
    let features = (0..FEATURES).map(|i| match i < CATEGORICAL {
        true => json!({
            "name": format!("c{i}"), "column": format!("c{i}"), "kind": "categorical",
            "categories": ["a", "b"], "counts": [500, 500, 0], "missing": 0, "data_type": "Utf8",
        }),
        false => json!({
            "name": format!("n{i}"), "column": format!("n{i}"), "kind": "numeric",
            "edges": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0],
            "counts": [100, 100, 100, 100, 100, 100, 100, 100, 100, 100], "missing": 0,
            "min": 0.0, "max": 10.0, "data_type": "Float64", "built_with": {"edges": "quantile", "buckets": 10},
        }),
    });
    json!({
        "version": 1, "psiren": "0", "built_at": "2020-01-01T00:00:00Z", "rows": 1000,
        "sources": [], "features": features.collect::<Vec<_>>(),
    })
}

fn memory_is_bounded_whatever_the_records_hold(kafka: &Kafka) {
    let topic = Topic::create(kafka, "bounds", 2);
    let monitor = format!(
        r#"
[monitor.wide]
topic = "{}"
reference = "profile.json"
window = {{ size = "3650d", slide = "365d" }}
live_interval = "10s"
"#,
        topic.name
    );
    let home = Home::new(kafka, &unique("bounds"), &monitor);
    let text = profile().to_string();
    fs::write(home.path("profile.json"), text).expect("the profile is written");

    let start: Timestamp = "2000-01-01T00:00:00Z".parse().expect("RFC 3339");
    let start_ms = start.as_millisecond();
    let first: Vec<Record> = (0..200).map(|i| small(i).at_ms(start_ms)).collect();
    topic.produce(&first);
    let psiren = home.start();
    await_consumed(&psiren, first.len());
    let begun = psiren.peak_mib();

    let mut produced = first.len();
    let mut count = |records: &[Record]| {
        topic.produce(records);
        produced += records.len();
        await_consumed(&psiren, produced);
        let peak = psiren.peak_mib();
        assert!(peak <= begun + MORE_MIB, "from {begun} to {peak} MiB");
    };
    let Scale { full, large, jumps } = scale();
    for part in (0..full).collect::<Vec<_>>().chunks(1_000) {
        let distinct = part.iter().map(|i| categories(*i).at_ms(start_ms));
        count(&distinct.collect::<Vec<_>>());
    }
    for _ in 0..large / 4 {
        let four = (0..4).map(|_| large_record().at_ms(start_ms));
        count(&four.collect::<Vec<_>>());
    }
    // Back and forth over decades, on the whole forwards.
    let jump = |i: i64| start_ms + (i * 7_919 % 9_000 + i) * DAY_MS / 2;
    let jumping: Vec<Record> = (0..jumps)
        .map(|i| small(i as usize).at_ms(jump(i)))
        .collect();
    count(&jumping);
    let metrics = psiren.get("/metrics").body;
    assert!(
        metrics.len() < 4 << 20,
        "{} bytes of metrics",
        metrics.len()
    );
    psiren.terminate();
}

fn small(i: usize) -> Record {
    Record::json(&json!({ "n1500": i % 10, "c7": "a" }))
}

fn categories(record: usize) -> Record {
    let values = (0..CATEGORICAL).map(|i| (format!("c{i}"), json!(format!("{record}-{i}"))));
    Record::json(&Value::Object(values.collect::<Map<_, _>>()))
}

fn large_record() -> Record {
    Record::json(&json!({ "n1500": 3, "note": "x".repeat(LARGE_BYTES) }))
}
