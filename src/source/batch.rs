//! The consumer that `run` uses: as [`KafkaSource`], with messages taken by the batch.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rdkafka::error::RDKafkaErrorCode;

use super::kafka::{BATCH, KafkaSource, Listener, classify, is_told_elsewhere};
use super::native::queue::{Batch, BatchQueue, Message};
use super::{Drained, Record, Source, SourceError, TopicPartition};
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
    queue: BatchQueue<Listener>,
    plain: KafkaSource,
    forwarded: Vec<Forwarded>,
    forwarded_at: Instant,
    errors: Errors,
    /// Records of the next batch.
    batch: usize,
}

/// What befell partitions and was not told yet.
type Errors = VecDeque<(Option<TopicPartition>, SourceError)>;

struct Forwarded {
    partition: TopicPartition,
    /// It gave something since it was last forwarded.
    heard: bool,
    /// The offset after the last record that was handed over, or where the assignment began.
    next: i64,
    /// librdkafka's position after an error that it counted as a message.
    spoiled: Option<i64>,
    /// The position has to be put back.
    put_back: bool,
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
            errors: Errors::new(),
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
        for forwarded in &mut self.forwarded {
            if !std::mem::take(&mut forwarded.heard) {
                let TopicPartition { topic, partition } = &forwarded.partition;
                self.queue.forward(topic, *partition).map_err(refused)?;
            }
        }
        Ok(())
    }

    /// librdkafka takes the error of a partition, when it comes in a batch, for a message at the
    /// offset that could not be fetched, and its position for the one behind. A pause would go on
    /// from there, without what lies at that offset, so the position is put back at once.
    fn put_back(&mut self) {
        for f in self.forwarded.iter_mut().filter(|f| f.put_back) {
            f.put_back = false;
            if let Err(error) = self.plain.seek(&f.partition, f.next) {
                self.errors.push_back((Some(f.partition.clone()), error));
            }
        }
    }

    fn forget(&mut self, partition: &TopicPartition) {
        self.forwarded.retain(|f| f.partition != *partition);
        self.errors.retain(|(of, _)| of.as_ref() != Some(partition));
    }

    fn next_error(&mut self) -> Result<(), SourceError> {
        self.errors
            .pop_front()
            .map_or(Ok(()), |(_, error)| Err(error))
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
        self.forget(partition);
        self.forwarded.push(Forwarded {
            partition: partition.clone(),
            heard: false,
            next: offset,
            spoiled: None,
            put_back: false,
        });
        Ok(())
    }

    fn unassign(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        self.forget(partition);
        self.plain.unassign(partition)
    }

    fn drain(
        &mut self,
        wait: Duration,
        most: usize,
        take: &mut dyn FnMut(&[Record<'_>]),
    ) -> Result<Drained, SourceError> {
        // The client's events; and what was fetched before a partition was forwarded, which comes
        // before what the queue has of it, so that the queue waits until there is no more of it.
        let early = self.plain.drain(Duration::ZERO, most, take)?;
        if early.records > 0 {
            return Ok(Drained {
                more: true,
                ..early
            });
        }
        self.forward_silent()?;
        self.next_error()?;
        let began = Instant::now();
        let mut drained = Drained {
            records: 0,
            more: true,
        };
        let mut wait = wait;
        while drained.records < most {
            let room = self.batch.min(most - drained.records);
            let batch = self.queue.take(wait, room).map_err(refused)?;
            let taken = batch.len();
            let of_records = hand_over(&batch, take, &mut self.forwarded, &mut self.errors);
            drop(batch);
            self.put_back();
            drained.records += of_records.records;
            self.batch = next_batch(self.batch, &of_records);
            wait = Duration::ZERO;
            drained.more = taken == room;
            if !drained.more || !self.errors.is_empty() || began.elapsed() > BATCH {
                break;
            }
        }
        self.next_error().map(|()| drained)
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
        let position = self.plain.position(partition);
        let known = self.forwarded.iter().find(|f| f.partition == *partition);
        match known {
            Some(f) => position.filter(|_| position != f.spoiled).or(Some(f.next)),
            None => position,
        }
    }
}

/// What a batch held.
#[derive(Default)]
struct Held {
    records: usize,
    bytes: usize,
}

/// Records of the next batch: not much more than this one had, so that a few small records before
/// large ones do no harm.
fn next_batch(batch: usize, held: &Held) -> usize {
    let Some(record_bytes) = held.bytes.checked_div(held.records) else {
        return batch;
    };
    let most = 2 * held.records.max(FIRST_BATCH);
    (BATCH_BYTES / record_bytes.max(1)).clamp(1, most)
}

/// Gives the records to `take`, run by run.
fn hand_over(
    batch: &Batch<'_>,
    take: &mut dyn FnMut(&[Record<'_>]),
    forwarded: &mut [Forwarded],
    errors: &mut Errors,
) -> Held {
    let mut held = Held::default();
    let mut run: Vec<Record<'_>> = Vec::with_capacity(RUN);
    let mut last: Option<(Message<'_>, &str)> = None;
    for message in batch.messages() {
        if let Some(code) = message.error() {
            flush(&mut run, take, forwarded);
            note(message, code, forwarded, errors);
            continue;
        }
        let topic = match last {
            Some((before, topic)) if message.is_beside(before) => topic,
            _ => match message.topic() {
                Ok(topic) => topic,
                Err(error) => {
                    errors.push_back((None, refused(error)));
                    continue;
                }
            },
        };
        if run.len() == RUN || last.is_some_and(|(before, _)| !message.is_beside(before)) {
            flush(&mut run, take, forwarded);
        }
        last = Some((message, topic));
        let record = record(message, topic);
        held.bytes += record.payload.map_or(0, <[u8]>::len) + record.key.map_or(0, <[u8]>::len);
        held.records += 1;
        run.push(record);
    }
    flush(&mut run, take, forwarded);
    held
}

/// Keeps an error until it is told. One offset outside of its log is told for all partitions.
fn note(
    message: Message<'_>,
    code: RDKafkaErrorCode,
    forwarded: &mut [Forwarded],
    errors: &mut Errors,
) {
    let topic = message.topic().ok();
    let known = topic.and_then(|topic| find(forwarded, topic, message.partition()));
    let error = classify(code);
    let out_of_range = matches!(error, SourceError::OutOfRange);
    let partition = known.map(|f| {
        f.spoiled = Some(message.offset() + 1);
        // An offset outside of the log is decided anew, and not asked for again.
        f.put_back = !out_of_range;
        f.partition.clone()
    });
    let is_known = |(_, e): &(_, SourceError)| matches!(e, SourceError::OutOfRange);
    match is_told_elsewhere(code) || (out_of_range && errors.iter().any(is_known)) {
        true => tracing::debug!("{code}"),
        false => errors.push_back((partition, error)),
    }
}

fn find<'f>(forwarded: &'f mut [Forwarded], topic: &str, number: i32) -> Option<&'f mut Forwarded> {
    let is = |f: &&mut Forwarded| f.partition.partition == number && f.partition.topic == topic;
    forwarded.iter_mut().find(is)
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

fn flush(
    run: &mut Vec<Record<'_>>,
    take: &mut dyn FnMut(&[Record<'_>]),
    forwarded: &mut [Forwarded],
) {
    let Some(last) = run.last() else {
        return;
    };
    if let Some(f) = find(forwarded, last.topic, last.partition) {
        (f.heard, f.next, f.spoiled) = (true, last.offset + 1, None);
    }
    take(run);
    run.clear();
}

fn refused(error: anyhow::Error) -> SourceError {
    SourceError::Refused(format!("{error:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_holds_about_as_many_bytes_as_it_may() {
        let next = |batch, records, record_bytes: usize| {
            let bytes = records * record_bytes;
            next_batch(batch, &Held { records, bytes })
        };
        assert_eq!(next(64, 64, 300), 128);
        assert_eq!(next(1 << 20, 1 << 20, 300), BATCH_BYTES / 300);
        assert_eq!(next(4096, 4096, 1 << 20), 4);
        assert_eq!(next(4, 4, 100 << 20), 1);
        assert_eq!(next(4096, 1, 100), 2 * FIRST_BATCH);
        assert_eq!(next(4096, 0, 0), 4096);
    }
}
