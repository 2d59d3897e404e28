//! Where records come from: Kafka partitions, or a file.
//!
//! A source tells the owner of the state what it may read ([`SourceEvent`]) and hands over records
//! ([`Source::drain`]). The process assigns every partition to itself today; a consumer group would
//! send the same events.

pub mod batch;
mod certificate;
pub mod client;
pub mod control;
pub mod file;
pub mod kafka;
mod native;
pub mod probe;
pub mod producer;
pub mod trouble;

pub(crate) use native::openssl::leave_at_exit;

use std::time::Duration;

/// One record as the consuming loop sees it. Borrows the client's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since the Unix epoch; `None` when the record has none.
    pub timestamp_ms: Option<i64>,
    pub key: Option<&'a [u8]>,
    /// `None`: a tombstone.
    pub payload: Option<&'a [u8]>,
}

impl Record<'_> {
    /// A hash of key and payload, to recognise the record when it is read again.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let part = |bytes: Option<&[u8]>| u64::from(bytes.map_or(0, crc32fast::hash));
        part(self.key) << 32 | part(self.payload)
    }
}

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    pub topic: String,
    pub partition: i32,
}

impl std::fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// What the owner of the state may read. `T` is what it needs to begin: restored state.
#[derive(Debug)]
pub enum SourceEvent<T> {
    /// These partitions are ours; read each from `T`'s offset.
    Assigned(Vec<T>),
    /// They go to somebody else: make their state durable, then stop.
    Revoked(Vec<TopicPartition>),
    /// They are already somebody else's: forget them.
    Lost(Vec<TopicPartition>),
}

/// What [`Source::drain`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Records that were handed over.
    pub records: usize,
    /// It ended before it had looked whether there are more.
    pub more: bool,
}

/// Hands over the records of the assigned partitions, in offset order per partition.
pub trait Source: Send {
    /// Starts to read `partition` at `offset`, beside what is read already.
    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), SourceError>;

    fn unassign(&mut self, partition: &TopicPartition) -> Result<(), SourceError>;

    /// Waits up to `wait` for records, then hands over what is there, `most` at the most. `take` is
    /// given runs: records of one partition that follow each other, one or more.
    ///
    /// # Errors
    /// What the client met, beside the records that were handed over all the same.
    fn drain(
        &mut self,
        wait: Duration,
        most: usize,
        take: &mut dyn FnMut(&[Record<'_>]),
    ) -> Result<Drained, SourceError>;

    /// Hands over nothing more of `partition` until [`resume`](Self::resume), which goes on with
    /// the record after the last one that was handed over. What the client has fetched ahead is
    /// fetched again then.
    fn pause(&mut self, partition: &TopicPartition) -> Result<(), SourceError>;

    fn resume(&mut self, partition: &TopicPartition) -> Result<(), SourceError>;

    /// Whether the client had records to hand over when it last looked, some seconds ago.
    fn has_queued(&self) -> bool;

    /// Offset of the next record of each assigned partition, past transaction markers; `None`
    /// before the first one was handed over.
    fn position(&self, partition: &TopicPartition) -> Option<i64>;
}

impl<S: Source + ?Sized> Source for Box<S> {
    fn assign(&mut self, partition: &TopicPartition, offset: i64) -> Result<(), SourceError> {
        (**self).assign(partition, offset)
    }

    fn unassign(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        (**self).unassign(partition)
    }

    fn drain(
        &mut self,
        wait: Duration,
        most: usize,
        take: &mut dyn FnMut(&[Record<'_>]),
    ) -> Result<Drained, SourceError> {
        (**self).drain(wait, most, take)
    }

    fn pause(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        (**self).pause(partition)
    }

    fn resume(&mut self, partition: &TopicPartition) -> Result<(), SourceError> {
        (**self).resume(partition)
    }

    fn has_queued(&self) -> bool {
        (**self).has_queued()
    }

    fn position(&self, partition: &TopicPartition) -> Option<i64> {
        (**self).position(partition)
    }
}

/// Why a source could not hand over records.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// An offset to read is no longer, or not yet, in the log; the client does not say where.
    #[error("an offset to read is outside the log")]
    OutOfRange,
    /// It goes on by itself.
    #[error("{0}")]
    Transient(String),
    /// It does not: authorisation, a wrong setting.
    #[error("{0}")]
    Refused(String),
}
