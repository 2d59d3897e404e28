//! `psiren validate` reads a topic without leaving a trace, and says what is in it.

use std::process::{Command, Output};

use serde_json::json;

use crate::Case;
use crate::flights::{flights, reference};
use crate::kafka::Kafka;
use crate::psiren::Home;
use crate::topic::{Record, Topic, unique};

const FLIGHTS: usize = 3_000;
/// Stands in payloads and must stand nowhere else.
const SECRET: &str = "not-for-the-terminal";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "validate_looks_at_a_thousand_records_and_leaves_no_trace",
            validate_looks_at_a_thousand_records_and_leaves_no_trace,
        ),
        Case::shared(
            "validate_names_what_is_wrong_with_records",
            validate_names_what_is_wrong_with_records,
        ),
        Case::shared(
            "validate_warns_of_a_topic_that_is_not_there",
            validate_warns_of_a_topic_that_is_not_there,
        ),
    ]
}

fn validate_looks_at_a_thousand_records_and_leaves_no_trace(kafka: &Kafka) {
    let topic = Topic::create(kafka, "validated", 4);
    let records: Vec<Record> = flights()
        .iter()
        .take(FLIGHTS)
        .enumerate()
        .map(|(n, flight)| flight.record().on((n % 4) as i32))
        .collect();
    topic.produce(&records);
    let group = unique("validate");
    let home = Home::new(kafka, &group, &monitor(&topic));
    let (output, text) = validate(&home);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for expected in [
        "4 partitions, up to 3,000 records",
        "1,000 records read: 1,000 counted",
        "event time from field \"ts\": 100 % can be read",
        "earliest 2013-03-",
        "13 of 13 features found in 1,000 events",
        "found as integer",
        "first final verdict",
        "series at /metrics",
        "nothing failed",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert!(topic.committed(&group).is_empty(), "offsets were committed");
    assert!(!home.path("state").exists(), "a state was made");
    assert!(!home.path("psi.csv").exists(), "a file was made");
}

fn validate_names_what_is_wrong_with_records(kafka: &Kafka) {
    let topic = Topic::create(kafka, "doubtful", 1);
    let ms = 1_362_096_000_000_i64;
    let records = [
        json!({"ts": ms, "departure_delay": 5, "carrier": SECRET, "distance": SECRET}),
        json!({"ts": ms, "departure_delay": 7, "carrier": "UA", "distance": 700}),
        json!({"ts": SECRET, "carrier": "UA", "distance": 700}),
    ];
    topic.produce(&records.each_ref().map(Record::json));
    let home = Home::new(kafka, &unique("validate"), &monitor(&topic));
    let (output, text) = validate(&home);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for expected in [
        "3 records read: 2 counted, 1 invalid",
        "1 invalid, first at ",
        "offset 2: the timestamp is neither",
        "\"dep_delay\" was never found; the nearest top-level keys are \"departure_delay\"",
        "distance (numeric) 66.7 % counted, 33.3 % invalid · found as integer and string",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert!(!text.contains(SECRET), "{text}");
}

fn validate_warns_of_a_topic_that_is_not_there(kafka: &Kafka) {
    let topic = Topic::unborn(kafka, "unborn");
    let home = Home::new(kafka, &unique("validate"), &monitor(&topic));
    let (output, text) = validate(&home);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("there is none of that name"), "{text}");
}

fn monitor(topic: &Topic) -> String {
    format!(
        r#"
[monitor.flights]
topic = "{topic}"
timestamp = {{ field = "ts" }}
reference = {reference}
window = {{ size = "7d", slide = "1d" }}
"#,
        topic = topic.name,
        reference = reference(),
    )
}

pub(super) fn validate(home: &Home) -> (Output, String) {
    validate_with(home, &[])
}

pub(super) fn validate_with(home: &Home, flags: &[&str]) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_psiren"))
        .arg("validate")
        .arg("--config")
        .arg(home.path("psiren.toml"))
        .args(flags)
        .current_dir(home.path("."))
        .env_remove("SLACK_WEBHOOK_URL")
        .output()
        .expect("psiren starts");
    let text = String::from_utf8(output.stdout.clone()).expect("text");
    (output, text)
}
