//! Records that are not what psiren expects are counted by outcome, and none of them stops it or reaches its log.

use std::time::Duration;

use serde_json::json;

use crate::Case;
use crate::flights::reference;
use crate::kafka::Kafka;
use crate::psiren::Home;
use crate::topic::{Record, Topic, unique};
use crate::wait;

const LIMIT: Duration = Duration::from_secs(60);
const MARCH_MS: i64 = 1_362_096_000_000;
/// Stands in every bad payload and must stand nowhere else.
const SECRET: &str = "not-for-the-log";

pub(super) fn cases() -> Vec<Case> {
    vec![Case::shared("bad_records_are_all_counted", |kafka| {
        bad_records_are_all_counted(kafka);
    })]
}

fn bad_records_are_all_counted(kafka: &Kafka) {
    let topic = Topic::create(kafka, "bad", 2);
    let refused = refused();
    let accepted = accepted();
    let good = Record::json(&json!({"ts": MARCH_MS + 1, "dep_delay": 5}));
    let all: Vec<Record> = refused
        .iter()
        .chain(&accepted)
        .chain([&good])
        .cloned()
        .collect();
    topic.produce(&all);

    let monitor = format!(
        r#"
[monitor.delays]
topic = "{topic}"
timestamp = {{ field = "ts", unit = "ms" }}
reference = {reference}
include = ["dep_delay", "carrier"]
window = {{ size = "1d", slide = "6h" }}
"#,
        topic = topic.name,
        reference = reference(),
    );
    let home = Home::new(kafka, &unique("bad"), &monitor);
    let psiren = home.start();
    let expected = all.len() as f64;
    wait::until("every record to be consumed", LIMIT, || {
        psiren.consumed() >= expected
    });
    psiren.wait_ready();

    let records = |labels: &[(&str, &str)]| {
        psiren
            .metric("psiren_records_total", labels)
            .unwrap_or_default()
    };
    let counted = [("monitor", "delays"), ("outcome", "counted")];
    assert_eq!(psiren.consumed(), expected);
    assert_eq!(records(&[("monitor", "delays")]), expected);
    assert_eq!(records(&counted), accepted.len() as f64 + 1.0);
    let invalid_values = psiren.metric("psiren_invalid_values_total", &[("monitor", "delays")]);
    assert_eq!(invalid_values, Some(4.0));
    assert!(!psiren.log().contains(SECRET), "{}", psiren.log());
    psiren.terminate();
}

/// Records that no window may count.
fn refused() -> Vec<Record> {
    let texts = [
        format!(r#"{{"ts": {MARCH_MS}, "dep_delay": "{SECRET}"#),
        format!(r#"["{SECRET}"]"#),
        format!(r#""{SECRET}""#),
        "NaN".to_owned(),
        String::new(),
        format!(r#"{{"dep_delay": 1, "note": "{SECRET}"}}"#),
        format!(r#"{{"ts": null, "dep_delay": 1, "note": "{SECRET}"}}"#),
        format!(r#"{{"ts": -1, "dep_delay": 1, "note": "{SECRET}"}}"#),
        format!(r#"{{"ts": {}, "dep_delay": 1}}"#, MARCH_MS / 1000),
        format!(r#"{{"ts": "2013-03-01T00:00:00", "note": "{SECRET}"}}"#),
        format!(r#"{{"ts": "{SECRET}"}}"#),
    ];
    let mut records: Vec<Record> = texts.into_iter().map(Record::bytes).collect();
    records.push(Record::bytes(vec![0xff, 0xfe, b'{', b'}']));
    records.push(Record::tombstone().key(SECRET));
    records
}

/// Records that count, though values of them are missing, invalid or much too large.
fn accepted() -> Vec<Record> {
    let padding = SECRET.repeat(5_000_000 / SECRET.len());
    let mut records: Vec<Record> = [
        json!({"ts": MARCH_MS, "dep_delay": "3.5", "carrier": "UA"}),
        json!({"ts": MARCH_MS, "dep_delay": SECRET, "carrier": 7}),
        json!({"ts": MARCH_MS, "dep_delay": true, "carrier": ["UA"]}),
        json!({"ts": MARCH_MS, "dep_delay": null}),
        json!({"ts": MARCH_MS, "dep_delay": 1, "note": padding}),
    ]
    .iter()
    .map(Record::json)
    .collect();
    for not_finite in ["NaN", "-Infinity", "1e999"] {
        let event =
            format!(r#"{{"ts": {MARCH_MS}, "dep_delay": {not_finite}, "note": "{SECRET}"}}"#);
        records.push(Record::bytes(event));
    }
    records
}
