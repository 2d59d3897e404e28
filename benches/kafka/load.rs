//! A topic full of events whose partitions advance together through event time.

use std::thread::sleep;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

use crate::events::Pool;
use crate::kafka::Kafka;
use crate::settings::Settings;
use crate::topic::Topic;

/// 2025-01-01T00:00:00Z, so that each run has the same windows.
const BEGIN_MS: i64 = 1_735_689_600_000;

pub(crate) type Producer = ThreadedProducer<DefaultProducerContext>;

/// When the event number `i` of all happened.
pub(crate) fn time_of(settings: &Settings, i: u64) -> i64 {
    let span = settings.hours * 3_600_000;
    BEGIN_MS + (i as i128 * i128::from(span) / i128::from(settings.records)) as i64
}

/// Batches of some hundred kilobytes, as a busy producer makes them.
fn producer(kafka: &Kafka) -> Producer {
    lingering(kafka, "20")
}

/// Sends what it has after 5 ms, as librdkafka does by itself.
pub(crate) fn prompt_producer(kafka: &Kafka) -> Producer {
    lingering(kafka, "5")
}

fn lingering(kafka: &Kafka, linger_ms: &str) -> Producer {
    ClientConfig::new()
        .set("bootstrap.servers", kafka.address())
        .set("compression.type", "lz4")
        .set("batch.num.messages", "1000")
        .set("linger.ms", linger_ms)
        .set("queue.buffering.max.kbytes", "131072")
        .create()
        .expect("a producer")
}

/// Creates the topic and puts all records on it, one partition after the other in turn.
pub(crate) fn fill(kafka: &Kafka, settings: &Settings, pool: &Pool) -> Topic {
    let topic = Topic::create(kafka, "bench", settings.partitions);
    let producer = producer(kafka);
    let mut event = String::new();
    for i in 0..settings.records {
        let at_ms = time_of(settings, i);
        pool.event(i as usize, at_ms, &mut event);
        let partition = (i % settings.partitions as u64) as i32;
        send(&producer, &topic.name, partition, at_ms, &event);
    }
    producer
        .flush(Duration::from_secs(120))
        .expect("the broker takes all records");
    topic
}

/// Puts one record into the send queue; waits while that is full.
pub(crate) fn send(producer: &Producer, topic: &str, partition: i32, at_ms: i64, event: &str) {
    let mut record = BaseRecord::<(), str>::to(topic)
        .partition(partition)
        .timestamp(at_ms)
        .payload(event);
    while let Err((error, back)) = producer.send(record) {
        let KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) = error else {
            panic!("not sent: {error}");
        };
        record = back;
        sleep(Duration::from_millis(1));
    }
}
