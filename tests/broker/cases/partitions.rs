//! Topics and partitions that are missing, silent or watched twice.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use crate::Case;
use crate::flights::reference;
use crate::kafka::Kafka;
use crate::psiren::{Home, Psiren};
use crate::topic::{Record, Topic, unique};
use crate::wait;

const LIMIT: Duration = Duration::from_secs(60);
const HOUR_MS: i64 = 60 * 60 * 1000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "a_missing_topic_is_awaited_and_told",
            a_missing_topic_is_awaited_and_told,
        ),
        Case::shared(
            "an_idle_partition_does_not_block",
            an_idle_partition_does_not_block,
        ),
        Case::shared(
            "partitions_added_later_are_read_from_their_beginning",
            partitions_added_later_are_read_from_their_beginning,
        ),
        Case::shared(
            "a_second_process_of_the_group_is_noticed",
            a_second_process_of_the_group_is_noticed,
        ),
    ]
}

fn a_missing_topic_is_awaited_and_told(kafka: &Kafka) {
    let topic = Topic::unborn(kafka, "missing");
    let psiren_home = home(kafka, &unique("missing"), &topic);
    let psiren = psiren_home.start();
    psiren.wait_unready(&topic.name, LIMIT);
    assert_eq!(psiren.get("/livez").status, 200);

    topic.come_to_be(2, &[]);
    topic.produce(&[delay(0, 5.0).on(0), delay(1, 5.0).on(1)]);
    await_consumed(&psiren, 2.0);
    psiren.wait_ready();
    psiren.terminate();
}

fn an_idle_partition_does_not_block(kafka: &Kafka) {
    let topic = Topic::create(kafka, "idle", 3);
    let hours = 0..72;
    let records: Vec<Record> = hours
        .map(|hour| delay(hour, 5.0).on(i32::from(hour % 2 == 0)))
        .collect();
    topic.produce(&records);
    let home = home(kafka, &unique("idle"), &topic);
    let psiren = home.start();
    let row = wait::some("a window over the silent partition", LIMIT, || {
        home.rows().into_iter().find(|row| row.is_final("delays"))
    });
    assert_eq!(row.closed_by, "idle", "{}", row.line);
    psiren.terminate();
}

fn partitions_added_later_are_read_from_their_beginning(kafka: &Kafka) {
    let topic = Topic::create(kafka, "grown", 1);
    topic.produce(&[delay(0, 5.0)]);
    let home = home(kafka, &unique("grown"), &topic);
    let psiren = home.start();
    await_consumed(&psiren, 1.0);
    topic.grow(3);
    topic.produce(&[delay(1, 5.0).on(1), delay(1, 5.0).on(2)]);
    await_consumed(&psiren, 3.0);
    psiren.terminate();
}

fn a_second_process_of_the_group_is_noticed(kafka: &Kafka) {
    let topic = Topic::create(kafka, "watched-twice", 1);
    let group = unique("watched-twice");
    topic.produce(&[delay(0, 5.0)]);
    let (one, other) = (home(kafka, &group, &topic), home(kafka, &group, &topic));
    let (first, second) = (one.start(), other.start());
    let told = |psiren: &Psiren| {
        let answer = psiren.get("/readyz");
        answer.status == 503 && answer.body.contains(&group)
    };
    let mut hour = 0;
    wait::until("word of two processes on one group", LIMIT, || {
        // Only a process that goes on commits, and only commits can be noticed.
        hour += 1;
        topic.produce(&[delay(hour, 5.0)]);
        told(&first) || told(&second)
    });
    first.terminate();
    second.terminate();
}

/// One monitor named `delays` that watches `dep_delay` in days of events.
fn home(kafka: &Kafka, group: &str, topic: &Topic) -> Home {
    let monitor = format!(
        r#"
[monitor.delays]
topic = "{topic}"
timestamp = {{ field = "ts" }}
reference = {reference}
include = ["dep_delay"]
window = {{ size = "1d", slide = "6h", lateness = "5m" }}
"#,
        topic = topic.name,
        reference = reference(),
    );
    Home::new(kafka, group, &monitor)
}

/// A flight of the given hour since the beginning of March 2013.
fn delay(hour: i64, minutes: f64) -> Record {
    let march: Timestamp = "2013-03-01T00:00:00Z".parse().expect("RFC 3339");
    let ts_ms = march.as_millisecond() + hour * HOUR_MS;
    Record::json(&json!({"ts": ts_ms, "dep_delay": minutes}))
}

fn await_consumed(psiren: &Psiren, records: f64) {
    wait::until("the records to be consumed", LIMIT, || {
        psiren.consumed() >= records
    });
}
