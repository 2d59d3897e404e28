//! Topics of the tests: made, filled, read back, changed and deleted.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use crate::kafka::Kafka;
use crate::wait;

const LIMIT: Duration = Duration::from_secs(30);
/// Wide enough for the 5 MB record that psiren must survive.
const LARGEST: &str = "20000000";

/// A topic that no other test knows.
pub(crate) struct Topic {
    pub(crate) name: String,
    kafka: String,
}

/// A record to produce. Without a partition the key decides; without a key librdkafka spreads them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    pub(crate) payload: Option<Vec<u8>>,
    pub(crate) key: Option<String>,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) partition: Option<i32>,
}

impl Record {
    pub(crate) fn json(value: &Value) -> Self {
        Self::bytes(value.to_string())
    }

    pub(crate) fn bytes(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            payload: Some(payload.into()),
            ..Self::default()
        }
    }

    /// A record without a value, as compaction's deletions are.
    pub(crate) fn tombstone() -> Self {
        Self::default()
    }

    pub(crate) fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub(crate) fn at_ms(mut self, timestamp_ms: i64) -> Self {
        self.timestamp_ms = Some(timestamp_ms);
        self
    }

    pub(crate) fn on(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }
}

/// A record as the log holds it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Logged {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Option<Vec<u8>>,
}

/// `prefix` made different from every other name of this and other runs.
pub(crate) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let run = jiff::Timestamp::now().as_millisecond();
    format!("{prefix}-{run:x}-{}-{number}", std::process::id())
}

impl Topic {
    pub(crate) fn create(kafka: &Kafka, prefix: &str, partitions: i32) -> Self {
        let topic = Self::unborn(kafka, prefix);
        topic.come_to_be(partitions, &[]);
        topic
    }

    /// A topic that does not exist until [`come_to_be`](Self::come_to_be).
    pub(crate) fn unborn(kafka: &Kafka, prefix: &str) -> Self {
        Self {
            name: unique(prefix),
            kafka: kafka.address().to_owned(),
        }
    }

    /// Creates the topic with this topic configuration on top of the tests' own: nothing expires, large records pass.
    pub(crate) fn come_to_be(&self, partitions: i32, configuration: &[(&str, &str)]) {
        self.create_with(partitions, TopicReplication::Fixed(1), configuration);
    }

    /// Creates the topic with these brokers for each partition; the first of them leads it where it can.
    pub(crate) fn come_to_be_on(&self, brokers: &[&[i32]]) {
        let partitions = i32::try_from(brokers.len()).expect("few partitions");
        self.create_with(partitions, TopicReplication::Variable(brokers), &[]);
    }

    /// The broker that leads each partition.
    pub(crate) fn leaders(&self) -> Vec<i32> {
        let consumer = self.consumer("psiren-tests-reader");
        let metadata = consumer.fetch_metadata(Some(&self.name), LIMIT);
        let metadata = metadata.expect("metadata");
        let partitions = metadata.topics().iter().flat_map(|t| t.partitions());
        let mut led: Vec<_> = partitions.map(|p| (p.id(), p.leader())).collect();
        led.sort_unstable();
        led.into_iter().map(|(_, leader)| leader).collect()
    }

    fn create_with(
        &self,
        partitions: i32,
        replication: TopicReplication<'_>,
        configuration: &[(&str, &str)],
    ) {
        let own = [("retention.ms", "-1"), ("max.message.bytes", LARGEST)];
        let new = NewTopic::new(&self.name, partitions, replication);
        let new = own
            .iter()
            .chain(configuration)
            .fold(new, |new, (key, value)| new.set(key, value));
        let made = block_on(self.admin().create_topics([&new], &admin_options()));
        expect_done(made, "created");
        self.await_partitions(partitions);
    }

    pub(crate) fn delete(&self) {
        let gone = block_on(
            self.admin()
                .delete_topics(&[self.name.as_str()], &admin_options()),
        );
        expect_done(gone, "deleted");
        self.await_partitions(0);
    }

    /// Adds partitions until there are `total`.
    pub(crate) fn grow(&self, total: usize) {
        let more = NewPartitions::new(&self.name, total);
        let grown = block_on(self.admin().create_partitions([&more], &admin_options()));
        expect_done(grown, "grown");
        self.await_partitions(i32::try_from(total).expect("few partitions"));
    }

    /// Produces in this order, waits for every acknowledgement, and returns `(partition, offset)` of each.
    pub(crate) fn produce(&self, records: &[Record]) -> Vec<(i32, i64)> {
        let producer: FutureProducer = self
            .client()
            .set("enable.idempotence", "true")
            .set("message.max.bytes", LARGEST)
            .set("linger.ms", "5")
            .create()
            .expect("a producer");
        let acknowledged = try_join_all(records.iter().map(|record| {
            let sent = producer.send_result(self.to_send(record));
            sent.unwrap_or_else(|(error, _)| panic!("{error} before sending"))
        }));
        let acknowledged = block_on(acknowledged).expect("the producer lives");
        acknowledged
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(|(error, _)| panic!("not produced: {error}")))
            .map(|delivery| (delivery.partition, delivery.offset))
            .collect()
    }

    /// Produces in one transaction, and ends it by a commit or an abort.
    pub(crate) fn transact(&self, records: &[Record], commit: bool) {
        let producer: BaseProducer = self
            .client()
            .set("transactional.id", unique("transaction"))
            .create()
            .expect("a producer");
        producer.init_transactions(LIMIT).expect("a producer's id");
        producer.begin_transaction().expect("a transaction");
        for record in records {
            let sent = BaseRecord {
                topic: &self.name,
                partition: record.partition,
                payload: record.payload.as_deref(),
                key: record.key.as_deref(),
                timestamp: record.timestamp_ms,
                headers: None,
                delivery_opaque: (),
            };
            let sent: Result<(), _> = producer.send::<str, [u8]>(sent);
            sent.unwrap_or_else(|(error, _)| panic!("{error} before sending"));
        }
        producer.flush(LIMIT).expect("produced");
        match commit {
            true => producer.commit_transaction(LIMIT).expect("committed"),
            false => producer.abort_transaction(LIMIT).expect("aborted"),
        }
    }

    /// Deletes the records of every partition before `offset`, as retention does.
    pub(crate) fn delete_before(&self, offset: i64) {
        let partitions = self.partitions(&self.consumer("psiren-tests-reader"));
        let mut before = TopicPartitionList::new();
        for partition in 0..partitions {
            before
                .add_partition_offset(&self.name, partition, Offset::Offset(offset))
                .expect("an offset");
        }
        let deleted = block_on(self.admin().delete_records(&before, &admin_options()));
        for partition in deleted.expect("records are deleted").elements() {
            partition.error().expect("records are deleted");
        }
    }

    /// Whether compaction has taken the first record of partition 0.
    pub(crate) fn starts_with_a_gap(&self) -> bool {
        let consumer = self.consumer("psiren-tests-reader");
        let mut first = TopicPartitionList::new();
        first
            .add_partition_offset(&self.name, 0, Offset::Offset(0))
            .expect("an offset");
        consumer.assign(&first).expect("assigned");
        let found = wait::some("a first record", LIMIT, || {
            consumer.poll(Duration::from_millis(100))
        });
        found.expect("a record").offset() > 0
    }

    /// Every record of the log now, in order of partition and offset.
    pub(crate) fn read_all(&self) -> Vec<Logged> {
        let consumer = self.consumer("psiren-tests-reader");
        let ends = self.ends(&consumer);
        let mut assignment = TopicPartitionList::new();
        for &partition in ends.keys() {
            assignment
                .add_partition_offset(&self.name, partition, Offset::Beginning)
                .expect("an offset");
        }
        consumer.assign(&assignment).expect("assigned");
        let expected: i64 = ends.values().sum();
        let mut logged = Vec::new();
        wait::until("the whole log", LIMIT, || {
            while let Some(message) = consumer.poll(Duration::from_millis(10)) {
                logged.push(Logged::from(&message.expect("a record")));
            }
            i64::try_from(logged.len()).expect("a count") >= expected
        });
        logged.sort_by_key(|record| (record.partition, record.offset));
        logged
    }

    /// The offsets that `group` has committed, with their metadata, by partition.
    pub(crate) fn committed(&self, group: &str) -> HashMap<i32, (i64, String)> {
        let consumer = self.consumer(group);
        let mut asked = TopicPartitionList::new();
        for partition in 0..self.partitions(&consumer) {
            asked.add_partition(&self.name, partition);
        }
        let answer = consumer
            .committed_offsets(asked, LIMIT)
            .expect("committed offsets");
        let known = answer.elements().into_iter().filter_map(|element| {
            let Offset::Offset(offset) = element.offset() else {
                return None;
            };
            Some((element.partition(), (offset, element.metadata().to_owned())))
        });
        known.collect()
    }

    fn to_send<'a>(&'a self, record: &'a Record) -> FutureRecord<'a, str, [u8]> {
        FutureRecord {
            topic: &self.name,
            partition: record.partition,
            payload: record.payload.as_deref(),
            key: record.key.as_deref(),
            timestamp: record.timestamp_ms,
            headers: None,
        }
    }

    /// Records in each partition's log; these topics lose none.
    fn ends(&self, consumer: &BaseConsumer) -> HashMap<i32, i64> {
        let end = |partition| {
            let (low, high) = consumer
                .fetch_watermarks(&self.name, partition, LIMIT)
                .expect("watermarks");
            (partition, high - low)
        };
        (0..self.partitions(consumer)).map(end).collect()
    }

    fn await_partitions(&self, expected: i32) {
        let consumer = self.consumer("psiren-tests-reader");
        wait::until("the topic's new partitions", LIMIT, || {
            self.partitions(&consumer) == expected
        });
    }

    /// Partitions that have a leader.
    fn partitions(&self, consumer: &BaseConsumer) -> i32 {
        let metadata = consumer
            .fetch_metadata(Some(&self.name), LIMIT)
            .expect("metadata");
        let partitions = metadata
            .topics()
            .iter()
            .flat_map(|topic| topic.partitions());
        let led = partitions.filter(|partition| partition.leader() >= 0);
        i32::try_from(led.count()).expect("few partitions")
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &self.kafka);
        client
    }

    fn consumer(&self, group: &str) -> BaseConsumer {
        self.client()
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer")
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client().create().expect("an admin client")
    }
}

impl From<&BorrowedMessage<'_>> for Logged {
    fn from(message: &BorrowedMessage<'_>) -> Self {
        Self {
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().map(<[u8]>::to_vec),
        }
    }
}

fn admin_options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(LIMIT))
}

fn expect_done(outcome: rdkafka::error::KafkaResult<Vec<rdkafka::admin::TopicResult>>, what: &str) {
    for topic in outcome.unwrap_or_else(|error| panic!("topic not {what}: {error}")) {
        topic.unwrap_or_else(|(name, error)| panic!("topic {name} not {what}: {error}"));
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime")
        .block_on(future)
}
