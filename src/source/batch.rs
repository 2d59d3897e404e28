//! The consumer that `run` uses: as [`KafkaSource`], with messages taken by the batch.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::kafka::{KafkaSource, classify, is_told_elsewhere};
use super::native::queue::{Batch, BatchQueue, Message};
use super::{Record, Source, SourceError, TopicPartition};
use crate::config::KafkaConfig;

/// Records in a run: enough that what is done once per run costs nothing, few enough for a cache.
const RUN: usize = 256;
/// A batch keeps librdkafka's buffers until its last record is counted, so it is to hold no more
/// than about this, after one that is small because nothing is known of the records yet.
const BATCH_BYTES: usize = 4 << 20;
const FIRST_BATCH: usize = 64;
/// How often partitions that gave nothing are forwarded again.
const FORWARD_AGAIN: Duration = Duration::from_secs(1);

/// Reads by the batch from a queue of its own, to which every assigned partition is forwarded.
pub struct BatchSource {
    // Dropped before the consumer, which is closed with its last owner.
    queue: BatchQueue<super::kafka::Listener>,
    plain: KafkaSource,
    forwarded: Vec<Forwarded>,
    forwarded_at: Instant,
    /// What befell partitions and was not told yet.
    errors: VecDeque<SourceError>,
    /// Records of the next batch.
    batch: usize,
}

struct Forwarded {
    partition: TopicPartition,
    /// It gave something since it was last forwarded.
    heard: bool,
}

impl BatchSource {
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(kafka: &KafkaConfig) -> Result<Self, SourceError> {
        let plain = KafkaSource::new(kafka)?;
        Ok(Self {
            queue: BatchQueue::new(plain.consumer()).map_err(refused)?,
            plain,
            forwarded: Vec::new(),
            forwarded_at: Instant::now(),
            errors: VecDeque::new(),
            batch: FIRST_BATCH,
        })
    }

    /// librdkafka clears the forwarding of a partition that it stops to fetch, which may come after
    /// the partition was assigned anew. Its messages wait then, and come with the next forwarding.
    fn forward_silent(&mut self) -> Result<(), SourceError> {
        if self.forwarded_at.elapsed() < FORWARD_AGAIN {
            return Ok(());
        }
        self.forwarded_at = Instant::now();
        for Forwarded { partition, heard } in &mut self.forwarded {
            if !std::mem::take(heard) {
                let TopicPartition { topic, partition } = partition;
                self.queue.forward(topic, *partition).map_err(refused)?;
            }
        }
        Ok(())
    }
}

impl Source for BatchSource {
    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), SourceError> {
        let TopicPartition {
            topic,
            partition: number,
        } = partition;
        self.queue.forward(topic, *number).map_err(refused)?;
        self.plain.assign(partition, offset)?;
        self.forwarded.push(Forwarded {
            partition: partition.clone(),
            heard: false,
        });
        Ok(())
    }

    fn unassign(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        self.forwarded.retain(|f| f.partition != *partition);
        self.plain.unassign(partition)
    }

    fn drain(
        &mut self,
        wait: Duration,
        most: usize,
        take: &mut dyn FnMut(&[Record<'_>]),
    ) -> Result<usize, SourceError> {
        // The client's events; and what was fetched before a partition was forwarded, which comes
        // before what the queue has of it.
        let early = self.plain.drain(Duration::ZERO, most, take)?;
        self.forward_silent()?;
        if let Some(error) = self.errors.pop_front() {
            return Err(error);
        }
        let most = most.saturating_sub(early).min(self.batch);
        let batch = self.queue.take(wait, most).map_err(refused)?;
        let taken = batch.len();
        let bytes = hand_over(&batch, take, &mut self.forwarded, &mut self.errors);
        drop(batch);
        if let Some(record_bytes) = bytes.checked_div(taken) {
            self.batch = next_batch(self.batch, record_bytes);
        }
        match self.errors.pop_front() {
            Some(error) => Err(error),
            None => Ok(early + taken),
        }
    }

    fn pause(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        self.plain.pause(partition)
    }

    fn resume(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        self.plain.resume(partition)
    }

    fn has_queued(&self) -> bool {
        self.plain.has_queued()
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        self.plain.position(partition)
    }
}

/// Records of the next batch, where this one of `batch` had `record_bytes` in each: not much more
/// than this one, so that a few small records before large ones do no harm.
fn next_batch(batch: usize, record_bytes: usize) -> usize {
    (BATCH_BYTES / record_bytes.max(1)).clamp(1, batch.saturating_mul(2))
}

/// Gives the messages to `take`, run by run, and says how many bytes they had.
fn hand_over(
    batch: &Batch<'_>,
    take: &mut dyn FnMut(&[Record<'_>]),
    forwarded: &mut [Forwarded],
    errors: &mut VecDeque<SourceError>,
) -> usize {
    let mut bytes = 0;
    let mut run: Vec<Record<'_>> = Vec::with_capacity(RUN);
    let mut last: Option<(Message<'_>, &str)> = None;
    for message in batch.messages() {
        if let Some(code) = message.error() {
            match is_told_elsewhere(code) {
                true => tracing::debug!("{code}"),
                false => errors.push_back(classify(code)),
            }
            continue;
        }
        let topic = match last {
            Some((before, topic)) if message.is_beside(before) => topic,
            _ => match message.topic() {
                Ok(topic) => {
                    flush(&mut run, take);
                    heard(forwarded, topic, message.partition());
                    topic
                }
                Err(error) => {
                    errors.push_back(refused(error));
                    continue;
                }
            },
        };
        last = Some((message, topic));
        if run.len() == RUN {
            flush(&mut run, take);
        }
        let record = record(message, topic);
        bytes += record.payload.map_or(0, <[u8]>::len) + record.key.map_or(0, <[u8]>::len);
        run.push(record);
    }
    flush(&mut run, take);
    bytes
}

fn record<'b>(message: Message<'b>, topic: &'b str) -> Record<'b> {
    Record {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp_ms(),
        key: message.key(),
        payload: message.payload(),
    }
}

fn flush(run: &mut Vec<Record<'_>>, take: &mut dyn FnMut(&[Record<'_>])) {
    if !run.is_empty() {
        take(run);
        run.clear();
    }
}

fn heard(forwarded: &mut [Forwarded], topic: &str, number: i32) {
    let is = |f: &&mut Forwarded| f.partition.partition == number && f.partition.topic == topic;
    if let Some(forwarded) = forwarded.iter_mut().find(is) {
        forwarded.heard = true;
    }
}

fn refused(error: anyhow::Error) -> SourceError {
    SourceError::Refused(format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_holds_about_as_many_bytes_as_it_may() {
        assert_eq!(next_batch(64, 300), 128);
        assert_eq!(next_batch(1 << 20, 300), BATCH_BYTES / 300);
        assert_eq!(next_batch(4096, 1 << 20), 4);
        assert_eq!(next_batch(4, 100 << 20), 1);
        assert_eq!(next_batch(1, 0), 2);
    }
}
