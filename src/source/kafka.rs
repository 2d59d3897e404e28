//! A consumer of explicitly assigned Kafka partitions.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};

use super::client::{Quiet, consumer_config};
use super::{Record, Source, SourceError, TopicPartition};
use crate::config::KafkaConfig;

/// A batch ends after this, so that timers and commands are served while a backlog is read.
const BATCH: Duration = Duration::from_millis(50);

/// Reads by [`BaseConsumer::poll`]: one message at a time, borrowed from librdkafka.
pub struct KafkaSource {
    consumer: BaseConsumer<Quiet>,
}

impl KafkaSource {
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(kafka: &KafkaConfig) -> Result<Self, SourceError> {
        let consumer = consumer_config(kafka)
            .create_with_context(Quiet)
            .map_err(|e| SourceError::Refused(format!("cannot create the Kafka consumer: {e}")))?;
        Ok(Self { consumer })
    }
}

impl Source for KafkaSource {
    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), SourceError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(
            &partition.topic,
            partition.partition,
            Offset::Offset(offset),
        )
        .map_err(classify)?;
        self.consumer.incremental_assign(&list).map_err(classify)
    }

    fn unassign(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(&partition.topic, partition.partition);
        self.consumer.incremental_unassign(&list).map_err(classify)
    }

    fn drain(
        &mut self,
        wait: Duration,
        most: usize,
        each: &mut dyn FnMut(&Record<'_>),
    ) -> Result<usize, SourceError> {
        let mut handed = 0;
        let mut wait = wait;
        let began = Instant::now();
        while handed < most {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => each(&record(&message)),
                Some(Err(error)) => return Err(classify(error)),
            }
            handed += 1;
            wait = Duration::ZERO;
            // A clock reading per record would cost more than many of them.
            if handed % 256 == 0 && began.elapsed() > BATCH {
                break;
            }
        }
        Ok(handed)
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

fn classify(error: KafkaError) -> SourceError {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        // The log lost its end to an unclean election of a leader, or offsets fell out of it.
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation) => {
            SourceError::OutOfRange
        }
        Some(
            code @ (Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::SaslAuthenticationFailed
            | Code::Authentication
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic),
        ) => SourceError::Refused(format!("Kafka refuses to read: {code}")),
        _ => SourceError::Transient(format!("Kafka: {error}")),
    }
}
