//! `psiren init` looks at a topic, and what it writes is what `psiren validate` passes.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::validate::validate_with;
use crate::Case;
use crate::flights::{Flight, flights, path};
use crate::kafka::Kafka;
use crate::psiren::Home;
use crate::topic::{Record, Topic};

const FLIGHTS: usize = 4_000;
/// The port of the page may be taken by somebody else.
const ANY_PORT: [&str; 2] = ["--listen", "127.0.0.1:0"];

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "init_writes_what_validate_passes",
            init_writes_what_validate_passes,
        ),
        Case::shared(
            "init_finds_features_below_and_names_those_it_does_not_find",
            init_finds_features_below_and_names_those_it_does_not_find,
        ),
        Case::shared(
            "init_says_that_a_topic_is_not_there_or_holds_no_events",
            init_says_that_a_topic_is_not_there_or_holds_no_events,
        ),
    ]
}

fn init_writes_what_validate_passes(kafka: &Kafka) {
    let topic = Topic::create(kafka, "init", 3);
    let records = flights().into_iter().take(FLIGHTS).enumerate();
    let records: Vec<Record> = records
        .map(|(n, flight)| flight.record().on((n % 3) as i32))
        .collect();
    topic.produce(&records);
    let home = Home::with_config("");
    let (output, said) = init(kafka, &home, &topic.name);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for expected in [
        "3 partitions, up to 4,000 records; looked at 999",
        "event time: field \"ts\"",
        "13 of 13 features found",
        "windows of 7d every 1d",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    let text = configuration(&home);
    let timestamp = "\ntimestamp = { field = \"ts\" }";
    assert!(text.contains(timestamp), "{text}");
    let (output, said) = validate_with(&home, &ANY_PORT);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for expected in ["13 of 13 features found in 999 events", "nothing failed"] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
}

fn init_finds_features_below_and_names_those_it_does_not_find(kafka: &Kafka) {
    let topic = Topic::create(kafka, "init-below", 1);
    let records: Vec<Record> = flights().iter().take(500).map(moved).collect();
    topic.produce(&records);
    let home = Home::with_config("");
    let (output, said) = init(kafka, &home, &topic.name);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for expected in [
        "carrier is at \"payload.carrier\"",
        "in no event: temp",
        "12 of 13 features found",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    let text = configuration(&home);
    for expected in [
        "\ncarrier = { path = \"payload.carrier\" }",
        "\n#temp = { path = \"temp\" }",
        "\n#> exclude = [\"temp\"]",
        "\n#> timestamp = { field = \"payload.booked_at\" }",
        "\n#> timestamp = { field = \"ts\" }",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    assert!(!text.contains("\ntimestamp"), "two are times\n{text}");
    let (output, said) = validate_with(&home, &ANY_PORT);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for expected in [
        "12 of 13 features found in 500 events",
        "carrier (categorical) 100 % counted",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
}

fn init_says_that_a_topic_is_not_there_or_holds_no_events(kafka: &Kafka) {
    let home = Home::with_config("mine");
    let unborn = Topic::unborn(kafka, "init-unborn");
    let (output, said) = init(kafka, &home, &unborn.name);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("there is none of that name"), "{said}");
    assert_eq!(configuration(&home), "mine");
    let framed = Topic::create(kafka, "init-framed", 1);
    let misspelt = framed.name.replace("framed", "farmed");
    let (_, said) = init(kafka, &home, &misspelt);
    let meant = format!("did you mean {:?}?", framed.name);
    assert!(said.contains(&meant), "{said}");
    framed.produce(&[Record::bytes(*b"\0\0\0\0\x05\x02avro")]);
    let (output, said) = init(kafka, &home, &framed.name);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let no_events = "no JSON objects, which is what psiren reads: 1 of 1 record";
    assert!(said.contains(no_events), "{said}");
    assert!(said.contains("Schema Registry"), "{said}");
}

/// The flight with its carrier below, without a temperature, and with a second time.
fn moved(flight: &Flight) -> Record {
    let mut event: Value = serde_json::from_str(&flight.line).expect("a flight");
    let fields = event.as_object_mut().expect("an object");
    let carrier = fields.remove("carrier");
    fields.remove("temp");
    let booked = fields["ts"].clone();
    let payload = json!({ "carrier": carrier, "booked_at": booked });
    fields.insert("payload".to_owned(), payload);
    Record::json(&event)
}

fn configuration(home: &Home) -> String {
    fs::read_to_string(home.path("psiren.toml")).expect("a configuration")
}

fn init(kafka: &Kafka, home: &Home, topic: &str) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_psiren"))
        .args(["init", "--force", "--topic", topic, "--reference"])
        .arg(path("reference.parquet"))
        .args(["--bootstrap-servers", kafka.address()])
        .current_dir(home.path("."))
        .output()
        .expect("psiren starts");
    let said = String::from_utf8(output.stderr.clone()).expect("text");
    (output, said)
}
