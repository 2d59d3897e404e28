//! A partition that is paused and resumed hands over each record once.

use std::collections::BTreeMap;
use std::time::Duration;

use psiren::config::{Config, Overrides};
use psiren::source::kafka::KafkaSource;
use psiren::source::{Source, TopicPartition};

use crate::Case;
use crate::kafka::Kafka;
use crate::psiren::Home;
use crate::topic::{Record, Topic, unique};

const PARTITIONS: i32 = 3;
const RECORDS: i64 = 4_000;

pub(super) fn cases() -> Vec<Case> {
    vec![Case::shared(
        "a_paused_partition_goes_on_where_it_was",
        a_paused_partition_goes_on_where_it_was,
    )]
}

fn a_paused_partition_goes_on_where_it_was(kafka: &Kafka) {
    let topic = Topic::create(kafka, "paused", PARTITIONS);
    let on_each = |i: i64| (0..PARTITIONS).map(move |p| Record::bytes(i.to_string()).on(p));
    let records: Vec<Record> = (0..RECORDS).flat_map(on_each).collect();
    topic.produce(&records);
    let monitor = format!(
        r#"
[monitor.paused]
topic = "{}"
reference = {}
window = {{ size = "1d", slide = "6h" }}
"#,
        topic.name,
        crate::flights::reference(),
    );
    let home = Home::new(kafka, &unique("paused"), &monitor);
    let config = Config::load(&home.path("psiren.toml"), &Overrides::default());
    let mut source = KafkaSource::new(&config.expect("a configuration").kafka).expect("a client");
    let id = |partition: i32| TopicPartition {
        topic: topic.name.clone(),
        partition,
    };
    for partition in 0..PARTITIONS {
        source.assign(&id(partition), 0).expect("assigned");
    }

    let mut next: BTreeMap<i32, i64> = (0..PARTITIONS).map(|p| (p, 0)).collect();
    let mut paused: Option<i32> = None;
    let mut turn = 0;
    let mut silent = 0;
    // Small turns, so that the client has fetched far ahead whenever a partition is paused.
    while next.values().any(|n| *n < RECORDS) {
        let mut handed = Vec::new();
        source
            .drain(Duration::from_millis(100), 50, &mut |record| {
                handed.push((record.partition, record.offset));
            })
            .expect("records");
        for (partition, offset) in &handed {
            assert_ne!(
                Some(*partition),
                paused,
                "offset {offset} while it is paused"
            );
            assert_eq!(*offset, next[partition], "of partition {partition}");
            next.insert(*partition, offset + 1);
        }
        silent = if handed.is_empty() { silent + 1 } else { 0 };
        assert!(silent < 300, "no records come any more: {next:?}");
        if let Some(partition) = paused.take() {
            let position = source.position(&id(partition)).unwrap_or(0);
            assert_eq!(position, next[&partition], "the position stays");
            source.resume(&id(partition)).expect("resumed");
        } else {
            let partition = turn % PARTITIONS;
            source.pause(&id(partition)).expect("paused");
            paused = Some(partition);
        }
        turn += 1;
    }
    assert!(turn > 100, "paused {turn} times only");
}
