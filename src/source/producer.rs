//! A producer for files, demos and load tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{
    BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};

use super::client::{client_config, heard};
use crate::config::KafkaConfig;

/// How long brokers may take to create a topic.
const CREATION: Duration = Duration::from_secs(5);
const FLUSH: Duration = Duration::from_secs(60);

/// One record to send.
pub struct Row<'a> {
    /// `None`: now.
    pub timestamp_ms: Option<i64>,
    pub key: Option<&'a [u8]>,
    /// `None`: by key, or spread.
    pub partition: Option<i32>,
    pub payload: &'a [u8],
}

#[derive(Default, Clone)]
struct Deliveries {
    delivered: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        heard(&error, reason);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = match result {
            Ok(_) => &self.delivered,
            Err(_) => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// Sends rows and counts what the brokers took.
pub struct Producer {
    producer: ThreadedProducer<Deliveries, NoCustomPartitioner>,
    deliveries: Deliveries,
}

impl Producer {
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(kafka: &KafkaConfig) -> Result<Self> {
        let mut config = client_config(kafka);
        for consumer_only in ["fetch.", "queued.max."] {
            for key in kafka
                .properties
                .keys()
                .filter(|k| k.starts_with(consumer_only))
            {
                config.remove(key);
            }
        }
        config
            .set("allow.auto.create.topics", "true")
            .set("linger.ms", "20")
            .set("compression.type", "zstd")
            .set("message.max.bytes", "10000000")
            .set("message.timeout.ms", "60000");
        let deliveries = Deliveries::default();
        let producer = config
            .create_with_context(deliveries.clone())
            .context("cannot create the Kafka producer")?;
        Ok(Self {
            producer,
            deliveries,
        })
    }

    /// Makes sure that the brokers answer and have the topic; asking makes those create it that do
    /// so by themselves.
    ///
    /// # Errors
    /// When no broker answers, or the topic is not there or may not be used.
    pub fn require_topic(&self, topic: &str) -> Result<()> {
        let deadline = Instant::now() + CREATION;
        while !self.has_topic(topic)? {
            if Instant::now() > deadline {
                bail!("topic {topic:?} does not exist and the brokers do not create it; create it");
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn has_topic(&self, topic: &str) -> Result<bool> {
        let client = self.producer.client();
        let metadata = client
            .fetch_metadata(Some(topic), Duration::from_secs(10))
            .with_context(|| "no broker answers; is the address right, and is Kafka running?")?;
        let found = metadata.topics().iter().find(|t| t.name() == topic);
        if let Some(error) = found.and_then(|t| t.error()) {
            let code = RDKafkaErrorCode::from(error);
            let later = [
                RDKafkaErrorCode::UnknownTopicOrPartition,
                RDKafkaErrorCode::UnknownTopic,
                RDKafkaErrorCode::LeaderNotAvailable,
            ];
            if !later.contains(&code) {
                bail!("topic {topic:?} cannot be written: {code}");
            }
            return Ok(false);
        }
        Ok(found.is_some_and(|t| !t.partitions().is_empty()))
    }

    /// Puts a row into the send queue; waits while that is full.
    ///
    /// # Errors
    /// When the record cannot be sent at all: too large, or an unknown topic or partition.
    pub fn send(&mut self, topic: &str, row: &Row<'_>) -> Result<()> {
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).payload(row.payload);
        record.key = row.key;
        record.partition = row.partition;
        record.timestamp = row.timestamp_ms;
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err((error, _)) => return Err(error).with_context(|| format!("topic {topic:?}")),
            }
        }
    }

    /// Waits until everything is delivered and says how many records the brokers took.
    ///
    /// # Errors
    /// When some were not taken.
    pub fn finish(&mut self) -> Result<u64> {
        self.producer
            .flush(FLUSH)
            .context("waiting for the brokers")?;
        let delivered = self.deliveries.delivered.load(Ordering::Relaxed);
        match self.deliveries.failed.load(Ordering::Relaxed) {
            0 => Ok(delivered),
            failed => bail!("the brokers took {delivered} records and refused {failed}"),
        }
    }
}
