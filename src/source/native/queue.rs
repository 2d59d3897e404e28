//! A queue of our own that partitions are forwarded to, and from which messages are taken by the
//! batch (`rd_kafka_consume_batch_queue`).
//!
//! [`BaseConsumer::poll`] costs an event object, two reference counts and a look at the client's
//! own queue for each message. A batch is an array of pointers, filled in one call.

use std::ffi::CString;
use std::slice;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rdkafka::bindings as c;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;

use super::{NONE, Owned, text};

/// The queue. Messages of partitions that are not forwarded, and events of the client, stay with
/// the consumer, which has to be polled for them.
pub(in crate::source) struct BatchQueue<C: ConsumerContext> {
    // Destroyed before the client it belongs to: fields are dropped in this order.
    queue: Owned<c::rd_kafka_queue_t>,
    /// Where a batch is put; holds nothing of meaning between two of them.
    room: Vec<*mut c::rd_kafka_message_t>,
    consumer: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka's queues may be used from any thread, and `room` points to no message while
// nobody borrows it.
unsafe impl<C: ConsumerContext> Send for BatchQueue<C> where Arc<BaseConsumer<C>>: Send {}

impl<C: ConsumerContext> BatchQueue<C> {
    /// # Errors
    /// When librdkafka has no queue to give.
    pub(in crate::source) fn new(consumer: Arc<BaseConsumer<C>>) -> Result<Self> {
        // SAFETY: the client is valid as long as `consumer`, which is kept beside the queue.
        let queue = unsafe { c::rd_kafka_queue_new(consumer.client().native_ptr()) };
        Ok(Self {
            queue: Owned::new(queue, c::rd_kafka_queue_destroy)?,
            room: Vec::new(),
            consumer,
        })
    }

    /// Sends what is fetched of a partition to this queue, and what waits in the partition's own.
    /// Before it is assigned, or its first messages go to the consumer. librdkafka forgets it when
    /// the partition is unassigned, which it does some time after that call.
    ///
    /// # Errors
    /// When no topic can have that name.
    pub(in crate::source) fn forward(&self, topic: &str, partition: i32) -> Result<()> {
        let topic = CString::new(topic).context("a topic's name holds a zero byte")?;
        let client = self.consumer.client().native_ptr();
        // SAFETY: the client is valid, and the name outlives the call, which copies it.
        let of_partition =
            unsafe { c::rd_kafka_queue_get_partition(client, topic.as_ptr(), partition) };
        // Destroying it gives back a reference; the queue itself lives as long as the partition.
        let of_partition = Owned::new(of_partition, c::rd_kafka_queue_destroy)?;
        // SAFETY: both are valid; librdkafka takes a reference of its own to ours.
        unsafe { c::rd_kafka_queue_forward(of_partition.object, self.queue.object) };
        Ok(())
    }

    /// Takes messages until there are `most`, or for `wait`.
    ///
    /// # Errors
    /// When librdkafka refuses the queue.
    pub(in crate::source) fn take(&mut self, wait: Duration, most: usize) -> Result<Batch<'_>> {
        self.room.resize(most, std::ptr::null_mut());
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the queue is valid, and `room` has room for `most` pointers.
        let taken = unsafe {
            c::rd_kafka_consume_batch_queue(
                self.queue.object,
                wait_ms,
                self.room.as_mut_ptr(),
                self.room.len(),
            )
        };
        let taken = usize::try_from(taken).context("librdkafka gave no batch")?;
        ensure!(taken <= most, "librdkafka gave more than there is room for");
        Ok(Batch(&self.room[..taken]))
    }
}

/// Messages that are ours until this is dropped. Each is a valid pointer to a message of its own;
/// borrowing the queue keeps the client alive and the room from being filled again.
pub(in crate::source) struct Batch<'q>(&'q [*mut c::rd_kafka_message_t]);

impl Batch<'_> {
    pub(in crate::source) fn len(&self) -> usize {
        self.0.len()
    }

    pub(in crate::source) fn messages(&self) -> impl Iterator<Item = Message<'_>> {
        // SAFETY: valid, and not changed until the batch is dropped, which `'_` ends before.
        self.0.iter().map(|message| Message(unsafe { &**message }))
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        for message in self.0 {
            // SAFETY: valid and ours, destroyed once: the room is filled anew before it is read.
            unsafe { c::rd_kafka_message_destroy(*message) };
        }
    }
}

/// One message of a batch, or what befell its partition.
#[derive(Clone, Copy)]
pub(in crate::source) struct Message<'b>(&'b c::rd_kafka_message_t);

impl<'b> Message<'b> {
    pub(in crate::source) fn error(self) -> Option<RDKafkaErrorCode> {
        (self.0.err != NONE).then(|| RDKafkaErrorCode::from(self.0.err))
    }

    /// Whether both are of one topic and partition.
    pub(in crate::source) fn is_beside(self, other: Self) -> bool {
        self.0.rkt == other.0.rkt && self.0.partition == other.0.partition
    }

    /// # Errors
    /// When the message belongs to no topic.
    pub(in crate::source) fn topic(self) -> Result<&'b str> {
        ensure!(!self.0.rkt.is_null(), "a message is of no topic");
        // SAFETY: the message holds a reference to its topic, whose name never changes.
        unsafe { text(c::rd_kafka_topic_name(self.0.rkt)) }
    }

    pub(in crate::source) fn partition(self) -> i32 {
        self.0.partition
    }

    pub(in crate::source) fn offset(self) -> i64 {
        self.0.offset
    }

    /// Milliseconds since the Unix epoch; `None` when the message has none.
    pub(in crate::source) fn timestamp_ms(self) -> Option<i64> {
        // SAFETY: the message is valid, and its type of timestamp is not asked for.
        let ms = unsafe { c::rd_kafka_message_timestamp(self.0, std::ptr::null_mut()) };
        (ms >= 0).then_some(ms)
    }

    pub(in crate::source) fn key(self) -> Option<&'b [u8]> {
        // SAFETY: librdkafka's key is null or has that length, and lives as long as the message.
        unsafe { bytes(self.0.key.cast(), self.0.key_len) }
    }

    /// `None`: a tombstone.
    pub(in crate::source) fn payload(self) -> Option<&'b [u8]> {
        // SAFETY: as for the key.
        unsafe { bytes(self.0.payload.cast(), self.0.len) }
    }
}

/// # Safety
/// `start` is null or points to `len` bytes that live and do not change for `'a`.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start, len) })
}
