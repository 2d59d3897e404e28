//! `psiren bench` reads a topic as fast as it can, and leaves no trace.

use std::process::{Command, Output};

use serde_json::json;

use super::flights::monitors;
use crate::Case;
use crate::flights::flights;
use crate::kafka::Kafka;
use crate::psiren::Home;
use crate::topic::{Record, Topic, unique};

const FLIGHTS: usize = 20_000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "bench_reads_and_counts_a_topic_and_leaves_no_trace",
            bench_reads_and_counts_a_topic_and_leaves_no_trace,
        ),
        Case::shared(
            "bench_says_which_topic_is_empty_or_absent",
            bench_says_which_topic_is_empty_or_absent,
        ),
    ]
}

fn bench_reads_and_counts_a_topic_and_leaves_no_trace(kafka: &Kafka) {
    let topic = Topic::create(kafka, "benched", 3);
    // Each partition has the flights in their order, so none of them is late.
    let on = |n: i32| {
        flights()
            .into_iter()
            .take(FLIGHTS)
            .map(move |f| f.record().on(n))
    };
    let records: Vec<Record> = (0..3).flat_map(on).collect();
    topic.produce(&records);
    // The log ends in a record that is no event and in the marker of a transaction.
    topic.transact(&[Record::json(&json!([])).on(0)], true);
    let group = unique("bench");
    let home = Home::new(kafka, &group, &monitors(&topic));
    let (output, said) = bench(&home);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for expected in [
        format!("topic {}: 60,001 records, ", topic.name),
        "from 3 partitions".to_owned(),
        "CPU".to_owned(),
        "% of the rate at which it can read".to_owned(),
        "invalid; `psiren validate` says why".to_owned(),
    ] {
        assert!(said.contains(&expected), "{expected:?} is not in\n{said}");
    }
    assert!(!said.contains(" late"), "{said}");
    assert!(topic.committed(&group).is_empty(), "offsets were committed");
    assert!(!home.path("state").exists(), "a state was made");
    assert!(!home.path("psi.csv").exists(), "a file was made");
}

fn bench_says_which_topic_is_empty_or_absent(kafka: &Kafka) {
    let empty = Topic::create(kafka, "nothing-yet", 2);
    let absent = Topic::unborn(kafka, "nowhere");
    for (topic, words) in [(&empty, "holds no records"), (&absent, "does not exist")] {
        let (output, said) = bench(&Home::new(kafka, &unique("bench"), &monitors(topic)));
        assert_eq!(output.status.code(), Some(1), "{said}");
        let expected = format!("topic {:?} {words}", topic.name);
        assert!(said.contains(&expected), "{expected:?} is not in\n{said}");
    }
}

fn bench(home: &Home) -> (Output, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_psiren"))
        .args(["bench", "--config"])
        .arg(home.path("psiren.toml"))
        .env("NO_COLOR", "1")
        .output()
        .expect("psiren starts");
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output, said)
}
