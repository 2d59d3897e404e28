//! A consumer of explicitly assigned Kafka partitions.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{ClientContext, Message, Offset, TopicPartitionList};
use serde::Deserialize;

use super::batch::BatchSource;
use super::client::{consumer_config, heard, logged};
use super::{Drained, Record, Source, SourceError, TopicPartition};
use crate::config::{ConsumerKind, KafkaConfig};

/// A batch ends after this, so that timers and commands are served while a backlog is read.
pub(super) const BATCH: Duration = Duration::from_millis(50);

/// How often librdkafka says what it has fetched, in milliseconds: well within a minute, after
/// which a loop that takes none of it is stuck.
const STATISTICS_MS: &str = "10000";

/// The consumer that `kafka.consumer` names.
///
/// # Errors
/// When librdkafka refuses the configuration.
pub fn open(kafka: &KafkaConfig) -> Result<Box<dyn Source>, SourceError> {
    Ok(match kafka.consumer {
        ConsumerKind::Batch => Box::new(BatchSource::new(kafka)?),
        ConsumerKind::Poll => Box::new(KafkaSource::new(kafka)?),
    })
}

/// Reads by [`BaseConsumer::poll`]: one message at a time, borrowed from librdkafka.
pub struct KafkaSource {
    consumer: Arc<BaseConsumer<Listener>>,
    /// Topics whose leaders were asked for.
    located: BTreeSet<String>,
}

/// Hears what librdkafka says of itself while it is polled.
#[derive(Default)]
pub(super) struct Listener {
    /// It had fetched messages that were not polled.
    queued: AtomicBool,
}

impl ClientContext for Listener {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        logged(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        heard(&error, reason);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        // Without statistics there is nothing to hold against the loop.
        let queued = serde_json::from_slice(statistics).is_ok_and(|s: Statistics| s.queued());
        self.queued.store(queued, Ordering::Relaxed);
    }
}

impl ConsumerContext for Listener {}

/// The part of librdkafka's statistics that is looked at; see its STATISTICS.md.
#[derive(Deserialize)]
struct Statistics {
    topics: HashMap<String, TopicStatistics>,
}

#[derive(Deserialize)]
struct TopicStatistics {
    partitions: HashMap<String, PartitionStatistics>,
}

#[derive(Deserialize)]
struct PartitionStatistics {
    fetchq_cnt: i64,
}

impl Statistics {
    fn queued(&self) -> bool {
        let mut partitions = self.topics.values().flat_map(|t| t.partitions.values());
        partitions.any(|p| p.fetchq_cnt > 0)
    }
}

impl KafkaSource {
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(kafka: &KafkaConfig) -> Result<Self, SourceError> {
        let consumer = consumer_config(kafka)
            .set("statistics.interval.ms", STATISTICS_MS)
            .create_with_context(Listener::default())
            .map_err(|e| SourceError::Refused(format!("cannot create the Kafka consumer: {e}")))?;
        let consumer = Arc::new(consumer);
        Ok(Self {
            consumer,
            located: BTreeSet::new(),
        })
    }

    /// Reads on at `offset`, without what was fetched ahead. Done some time after the call.
    pub(super) fn seek(&self, partition: &TopicPartition, offset: i64) -> Result<(), SourceError> {
        let list = list_at(partition, offset)?;
        self.consumer
            .seek_partitions(list, Duration::ZERO)
            .map_err(|error| failed(&error))?;
        Ok(())
    }

    /// Asks where the partitions of a topic are led. By itself, librdkafka asks for the topics it knows
    /// when it connects, and afterwards once a second for those it has not found: a client that was
    /// connected before its first assignment would read nothing until then.
    fn locate(&mut self, topic: &str) {
        if self.located.insert(topic.to_owned()) {
            // Only sent off. Without a connection it fails, and the topic is asked for by the next.
            let _ = self.consumer.fetch_metadata(Some(topic), Duration::ZERO);
        }
    }

    pub(super) fn consumer(&self) -> Arc<BaseConsumer<Listener>> {
        Arc::clone(&self.consumer)
    }
}

impl Source for KafkaSource {
    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), SourceError> {
        let list = list_at(partition, offset)?;
        self.consumer
            .incremental_assign(&list)
            .map_err(|error| failed(&error))?;
        self.locate(&partition.topic);
        Ok(())
    }

    fn unassign(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        self.consumer
            .incremental_unassign(&list_of(partition))
            .map_err(|error| failed(&error))
    }

    fn drain(
        &mut self,
        wait: Duration,
        most: usize,
        take: &mut dyn FnMut(&[Record<'_>]),
    ) -> Result<Drained, SourceError> {
        let mut drained = Drained {
            records: 0,
            more: true,
        };
        let mut wait = wait;
        let began = Instant::now();
        while drained.records < most {
            match self.consumer.poll(wait) {
                None => {
                    drained.more = false;
                    break;
                }
                Some(Ok(message)) => take(&[record(&message)]),
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(code) if is_told_elsewhere(code) => {
                        tracing::debug!("{error}");
                        break;
                    }
                    Some(code) => return Err(classify(code)),
                    None => return Err(failed(&error)),
                },
            }
            drained.records += 1;
            wait = Duration::ZERO;
            // A clock reading per record would cost more than many of them.
            if drained.records.is_multiple_of(256) && began.elapsed() > BATCH {
                break;
            }
        }
        Ok(drained)
    }

    /// librdkafka drops what it has fetched ahead and remembers the record after the last one that
    /// was polled, or where the assignment began; a message polled after this call is of another
    /// partition.
    fn pause(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        let list = list_of(partition);
        self.consumer.pause(&list).map_err(|error| failed(&error))?;
        each_done(&list)
    }

    fn resume(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        let list = list_of(partition);
        self.consumer
            .resume(&list)
            .map_err(|error| failed(&error))?;
        each_done(&list)
    }

    fn has_queued(&self) -> bool {
        self.consumer.context().queued.load(Ordering::Relaxed)
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        let list = self.consumer.position().ok()?;
        match list
            .find_partition(&partition.topic, partition.partition)?
            .offset()
        {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        }
    }
}

fn list_of(partition: &TopicPartition) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    list.add_partition(&partition.topic, partition.partition);
    list
}

fn list_at(partition: &TopicPartition, offset: i64) -> Result<TopicPartitionList, SourceError> {
    let mut list = list_of(partition);
    list.set_partition_offset(
        &partition.topic,
        partition.partition,
        Offset::Offset(offset),
    )
    .map_err(|error| failed(&error))?;
    Ok(list)
}

/// Some calls succeed as a whole and say beside each partition what became of it.
fn each_done(list: &TopicPartitionList) -> Result<(), SourceError> {
    for element in list.elements() {
        element.error().map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// The message as a record, without a copy.
pub(crate) fn record<'a>(message: &'a BorrowedMessage<'_>) -> Record<'a> {
    Record {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().filter(|ms| *ms >= 0),
        key: message.key(),
        payload: message.payload(),
    }
}

/// Troubles with connections are told once, by whoever asks the brokers; and reading goes on
/// without a right to the group, which whoever commits tells.
pub(super) fn is_told_elsewhere(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::AllBrokersDown
            | Code::BrokerTransportFailure
            | Code::Resolve
            | Code::SSL
            | Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::GroupAuthorizationFailed
    )
}

fn failed(error: &KafkaError) -> SourceError {
    match error.rdkafka_error_code() {
        Some(code) => classify(code),
        None => SourceError::Transient(format!("Kafka: {error}")),
    }
}

pub(super) fn classify(code: RDKafkaErrorCode) -> SourceError {
    use RDKafkaErrorCode as Code;
    match code {
        // The log lost its end to an unclean election of a leader, or offsets fell out of it.
        Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => {
            SourceError::OutOfRange
        }
        Code::TopicAuthorizationFailed => SourceError::Refused(format!(
            "a topic may not be read: {code}; give the user of this configuration the right to read (READ) it"
        )),
        Code::ClusterAuthorizationFailed | Code::UnknownTopicOrPartition | Code::UnknownTopic => {
            SourceError::Refused(format!("Kafka refuses to read: {code}"))
        }
        _ => SourceError::Transient(format!("Kafka: {code}")),
    }
}
