//! What a source promises, by the batch and one by one.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use psiren::config::{Config, ConsumerKind, KafkaConfig, Overrides};
use psiren::source::{self, Drained, Source, SourceError, TopicPartition};

use crate::Case;
use crate::kafka::Kafka;
use crate::topic::{Logged, Record, Topic, unique};
use crate::wait;

const PARTITIONS: i32 = 3;
const RECORDS: i64 = 4_000;
const LIMIT: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_millis(20);
/// A record that takes so long ends a turn before it has 2,000.
const SLOW: Duration = Duration::from_micros(250);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "a_paused_partition_goes_on_where_it_was",
            a_paused_partition_goes_on_where_it_was,
        ),
        Case::shared(
            "a_partition_assigned_anew_at_once_is_read_from_there",
            a_partition_assigned_anew_at_once_is_read_from_there,
        ),
        Case::shared(
            "records_are_the_same_by_the_batch_and_one_by_one",
            records_are_the_same_by_the_batch_and_one_by_one,
        ),
        Case::shared(
            "a_slow_turn_ends_early_and_says_that_there_is_more",
            a_slow_turn_ends_early_and_says_that_there_is_more,
        ),
        Case::shared(
            "an_offset_outside_the_log_is_told",
            an_offset_outside_the_log_is_told,
        ),
    ]
}

/// A source of each kind.
fn sources(kafka: &Kafka) -> [Box<dyn Source>; 2] {
    let text = format!(
        "[kafka]\nbootstrap_servers = \"{}\"\ngroup_id = \"{}\"\n[monitor.m]\ntopic = \"t\"\nreference = \"r.parquet\"\nwindow = {{ size = \"1h\", slide = \"1h\" }}\n",
        kafka.address(),
        unique("source"),
    );
    let config = Config::parse(&text, "psiren.toml".as_ref(), &Overrides::default());
    let config = config.expect("a configuration").kafka;
    [ConsumerKind::Batch, ConsumerKind::Poll].map(|consumer| {
        let config = KafkaConfig {
            consumer,
            ..config.clone()
        };
        source::kafka::open(&config).expect("a client")
    })
}

fn numbered(kafka: &Kafka, name: &str, partitions: i32, records: i64) -> Topic {
    let topic = Topic::create(kafka, name, partitions);
    let on_each = |i: i64| (0..partitions).map(move |p| Record::bytes(i.to_string()).on(p));
    let records: Vec<Record> = (0..records).flat_map(on_each).collect();
    topic.produce(&records);
    topic
}

fn of(topic: &Topic, partition: i32) -> TopicPartition {
    TopicPartition {
        topic: topic.name.clone(),
        partition,
    }
}

fn a_paused_partition_goes_on_where_it_was(kafka: &Kafka) {
    let topic = numbered(kafka, "paused", PARTITIONS, RECORDS);
    for mut source in sources(kafka) {
        pause_in_turn(&topic, &mut *source);
    }
}

/// Pauses one partition after the other while all are read.
fn pause_in_turn(topic: &Topic, source: &mut dyn Source) {
    let id = |partition| of(topic, partition);
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
            .drain(Duration::from_millis(100), 50, &mut |run| {
                handed.extend(run.iter().map(|record| (record.partition, record.offset)));
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

/// The client stops to fetch some time after a partition was taken away, and takes with that what was set up for it.
fn a_partition_assigned_anew_at_once_is_read_from_there(kafka: &Kafka) {
    let topic = numbered(kafka, "anew", 2, 1_000);
    for mut source in sources(kafka) {
        source.assign(&of(&topic, 1), 0).expect("assigned");
        for round in 0..20 {
            let from = (round * 331) % 1_000;
            source.assign(&of(&topic, 0), from).expect("assigned");
            let mut first = None;
            wait::until("a record after the assignment", LIMIT, || {
                let drained = source.drain(WAIT, 50, &mut |run| {
                    let mine = run.iter().find(|record| record.partition == 0);
                    first = first.or(mine.map(|record| record.offset));
                });
                drained.expect("records");
                first.is_some()
            });
            assert_eq!(first, Some(from), "round {round}");
            source.unassign(&of(&topic, 0)).expect("unassigned");
        }
    }
}

fn records_are_the_same_by_the_batch_and_one_by_one(kafka: &Kafka) {
    let topic = Topic::create(kafka, "same", PARTITIONS);
    let records: Vec<Record> = (0..RECORDS)
        .map(|i| {
            let record = match i % 5 {
                0 => Record::tombstone(),
                1 => Record::bytes(String::new()),
                2 => Record::bytes("x".repeat(usize::try_from(i * 7 % 20_000).expect("small"))),
                3 => Record::bytes(i.to_string()).key(String::new()),
                _ => Record::bytes(i.to_string()).key(i.to_string()),
            };
            record.on(i32::try_from(i).expect("small") % PARTITIONS)
        })
        .collect();
    let (plain, rest) = records.split_at(records.len() / 2);
    let (committed, aborted) = rest.split_at(rest.len() / 2);
    topic.produce(plain);
    topic.transact(aborted, false);
    topic.transact(committed, true);
    let [batch, poll] = sources(kafka).map(|mut source| {
        for partition in 0..PARTITIONS {
            source.assign(&of(&topic, partition), 0).expect("assigned");
        }
        let mut read: Vec<Logged> = Vec::new();
        wait::until("all records", LIMIT, || {
            let before = read.len();
            let drained = source.drain(WAIT, 1_000, &mut |run| {
                let number = run[0].partition;
                for record in run {
                    assert_eq!(record.topic, topic.name);
                    assert_eq!(record.partition, number, "a run is of one partition");
                    read.push(Logged {
                        partition: record.partition,
                        offset: record.offset,
                        timestamp_ms: record.timestamp_ms,
                        key: record.key.map(<[u8]>::to_vec),
                        payload: record.payload.map(<[u8]>::to_vec),
                    });
                }
            });
            assert_eq!(read.len(), before + drained.expect("records").records);
            read.len() == plain.len() + committed.len()
        });
        // Between partitions there is no order, within one there is.
        read.sort_by_key(|read| read.partition);
        read
    });
    assert_eq!(batch, poll);
}

fn a_slow_turn_ends_early_and_says_that_there_is_more(kafka: &Kafka) {
    let topic = numbered(kafka, "slow", 1, 2_000);
    for mut source in sources(kafka) {
        source.assign(&of(&topic, 0), 0).expect("assigned");
        let mut read = 0;
        let mut early = 0;
        wait::until("all records", LIMIT, || {
            let before = read;
            let drained = source.drain(WAIT, 2_000, &mut |run| {
                sleep(SLOW * u32::try_from(run.len()).expect("few"));
                read += run.len();
            });
            let drained = drained.expect("records");
            assert_eq!(drained.records, read - before);
            if drained.records > 0 && read < 2_000 {
                early += u32::from(drained.more);
            }
            read == 2_000
        });
        assert!(early > 0, "no turn said that there is more");
        wait::until("the end", LIMIT, || {
            let drained = source.drain(WAIT, 2_000, &mut |run| panic!("handed over {run:?}"));
            let nothing = Drained {
                records: 0,
                more: false,
            };
            drained.expect("nothing") == nothing
        });
    }
}

fn an_offset_outside_the_log_is_told(kafka: &Kafka) {
    let topic = numbered(kafka, "outside", 1, 10);
    for mut source in sources(kafka) {
        source.assign(&of(&topic, 0), 1_000).expect("assigned");
        wait::until("the error", LIMIT, || {
            match source.drain(WAIT, 50, &mut |run| panic!("handed over {run:?}")) {
                Ok(_) => false,
                Err(SourceError::OutOfRange) => true,
                Err(error) => panic!("{error}"),
            }
        });
    }
}
