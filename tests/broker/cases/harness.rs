//! The harness itself: what the other tests take for granted of the broker and of the client used here.

use std::time::Duration;

use serde_json::json;

use crate::Case;
use crate::kafka::Kafka;
use crate::topic::{Logged, Record, Topic};
use crate::wait;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "records_are_read_back_as_produced",
            records_are_read_back_as_produced,
        ),
        Case::shared("a_topic_grows_and_goes", a_topic_grows_and_goes),
        Case::own(
            "a_broker_that_is_harmed_keeps_its_log",
            a_broker_that_is_harmed_keeps_its_log,
        ),
    ]
}

fn records_are_read_back_as_produced(kafka: &Kafka) {
    let topic = Topic::create(kafka, "harness", 2);
    let sent = [
        Record::json(&json!({"x": 1}))
            .key("a")
            .at_ms(1_362_000_000_000)
            .on(1),
        Record::tombstone().key("a").at_ms(1_362_000_000_001).on(1),
        Record::bytes(vec![0xff; 5_000_000]).at_ms(1).on(0),
    ];
    let positions = topic.produce(&sent);
    assert_eq!(positions, [(1, 0), (1, 1), (0, 0)]);
    let mut expected: Vec<Logged> = sent
        .iter()
        .zip(&positions)
        .map(|(record, &(partition, offset))| Logged {
            partition,
            offset,
            timestamp_ms: record.timestamp_ms,
            key: record.key.clone().map(String::into_bytes),
            payload: record.payload.clone(),
        })
        .collect();
    expected.sort_by_key(|record| (record.partition, record.offset));
    assert!(topic.read_all() == expected, "the log differs");
}

fn a_topic_grows_and_goes(kafka: &Kafka) {
    let topic = Topic::unborn(kafka, "growing");
    topic.come_to_be(1, &[("message.timestamp.type", "LogAppendTime")]);
    topic.produce(&[Record::bytes("x").at_ms(1)]);
    topic.grow(3);
    assert_eq!(topic.produce(&[Record::bytes("y").on(2)]), [(2, 0)]);
    let logged = topic.read_all();
    assert_eq!(logged.len(), 2);
    assert!(
        logged[0].timestamp_ms > Some(1),
        "the broker sets the timestamp: {logged:?}"
    );
    assert!(topic.committed("nobody").is_empty());
    topic.delete();
}

fn a_broker_that_is_harmed_keeps_its_log(broker: &mut Kafka) {
    let topic = Topic::create(broker, "kept", 1);
    topic.produce(&[Record::bytes("before")]);

    broker.freeze();
    assert!(!broker.answers(), "a frozen broker answers");
    broker.cont();
    wait::until("an answer after the thaw", Duration::from_secs(30), || {
        broker.answers()
    });

    broker.stop();
    assert!(!broker.answers(), "a stopped broker answers");
    broker.restart();
    topic.produce(&[Record::bytes("after stop")]);
    broker.kill();
    broker.restart();
    topic.produce(&[Record::bytes("after kill")]);
    assert_eq!(topic.read_all().len(), 3);
}
