//! Where a topic is read from: by `start`, and after it was replaced.

use std::time::Duration;

use serde_json::json;

use crate::Case;
use crate::flights::reference;
use crate::kafka::Kafka;
use crate::psiren::{Home, Psiren};
use crate::topic::{Record, Topic, unique};
use crate::wait;

const LIMIT: Duration = Duration::from_secs(60);
const MARCH_MS: i64 = 1_362_096_000_000;
const PARTITIONS: i32 = 4;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared("latest_skips_what_was_there", latest_skips_what_was_there),
        Case::shared(
            "a_start_time_is_that_of_records",
            a_start_time_is_that_of_records,
        ),
        Case::shared(
            "a_recreated_topic_stops_its_partitions",
            a_recreated_topic_stops_its_partitions,
        ),
        Case::shared(
            "a_recreated_topic_is_counted_anew_when_asked",
            a_recreated_topic_is_counted_anew_when_asked,
        ),
    ]
}

fn home(kafka: &Kafka, topic: &Topic, extra: &str) -> Home {
    let monitor = format!(
        r#"
[monitor.delays]
topic = "{topic}"
timestamp = {{ field = "ts", unit = "ms" }}
reference = {reference}
include = ["dep_delay"]
window = {{ size = "1d", slide = "6h" }}
{extra}
"#,
        topic = topic.name,
        reference = reference(),
    );
    Home::new(kafka, &unique("begin"), &monitor)
}

/// `n` events on every partition, appended at `at_ms`.
fn events(n: i64, at_ms: i64) -> Vec<Record> {
    let event = |i: i64| json!({"ts": MARCH_MS + i, "dep_delay": i % 60});
    let on_each = |i: i64| (0..PARTITIONS).map(move |p| (i, p));
    (0..n)
        .flat_map(on_each)
        .map(|(i, p)| Record::json(&event(i)).at_ms(at_ms).on(p))
        .collect()
}

fn await_consumed(psiren: &Psiren, records: usize) {
    wait::until("the records to be consumed", LIMIT, || {
        psiren.consumed() >= records as f64
    });
}

fn latest_skips_what_was_there(kafka: &Kafka) {
    let topic = Topic::create(kafka, "latest", PARTITIONS);
    topic.produce(&events(50, MARCH_MS));
    let home = home(kafka, &topic, r#"start = "latest""#);
    let psiren = home.start();
    psiren.wait_ready();
    let more = events(10, MARCH_MS);
    topic.produce(&more);
    await_consumed(&psiren, more.len());
    psiren.terminate();
    let psiren = home.start();
    topic.produce(&more);
    await_consumed(&psiren, more.len());
    assert_eq!(psiren.consumed(), more.len() as f64);
    psiren.terminate();
}

fn a_start_time_is_that_of_records(kafka: &Kafka) {
    let topic = Topic::create(kafka, "since", PARTITIONS);
    topic.produce(&events(50, MARCH_MS));
    let later = events(10, MARCH_MS + 3_600_000);
    topic.produce(&later);
    let home = home(kafka, &topic, r#"start = "2013-03-01T00:30:00Z""#);
    let psiren = home.start();
    psiren.wait_ready();
    await_consumed(&psiren, later.len());
    assert_eq!(psiren.consumed(), later.len() as f64);
    psiren.terminate();
}

/// The topic is counted, replaced by another of its name, and psiren starts again.
fn replaced(kafka: &Kafka, extra: &str) -> (Topic, Home, usize) {
    let topic = Topic::create(kafka, "replaced", PARTITIONS);
    let first = events(30, MARCH_MS);
    topic.produce(&first);
    let home = home(kafka, &topic, extra);
    let psiren = home.start();
    await_consumed(&psiren, first.len());
    psiren.terminate();
    topic.delete();
    topic.come_to_be(PARTITIONS, &[]);
    let second = events(40, MARCH_MS + 1);
    topic.produce(&second);
    (topic, home, second.len())
}

fn a_recreated_topic_stops_its_partitions(kafka: &Kafka) {
    let (_topic, home, _) = replaced(kafka, "");
    let psiren = home.start();
    psiren.wait_unready("on_log_change", LIMIT);
    let stopped = wait::some("the partitions to be stopped", LIMIT, || {
        psiren
            .metric("psiren_partition_stopped", &[("reason", "log_changed")])
            .filter(|stopped| *stopped >= f64::from(PARTITIONS))
    });
    assert_eq!(stopped, f64::from(PARTITIONS));
    assert_eq!(psiren.consumed(), 0.0);
    psiren.terminate();
}

fn a_recreated_topic_is_counted_anew_when_asked(kafka: &Kafka) {
    let (_topic, home, records) = replaced(kafka, r#"on_log_change = "reset""#);
    let psiren = home.start();
    psiren.wait_ready();
    await_consumed(&psiren, records);
    assert_eq!(psiren.consumed(), records as f64);
    psiren.terminate();
    let psiren = home.start();
    psiren.wait_ready();
    assert_eq!(psiren.consumed(), 0.0, "what was counted is counted again");
    psiren.terminate();
}
