//! A queue of librdkafka that partitions are forwarded to, emptied a batch at a time. It exists in C only.
#![expect(
    unsafe_code,
    reason = "rdkafka has no safe form of rd_kafka_consume_batch_queue"
)]

use std::ffi::CString;
use std::ptr;

use rdkafka::bindings::{
    rd_kafka_consume_batch_queue, rd_kafka_message_destroy, rd_kafka_message_t,
    rd_kafka_queue_destroy, rd_kafka_queue_forward, rd_kafka_queue_get_partition,
    rd_kafka_queue_new, rd_kafka_queue_t, rd_kafka_resp_err_t,
};
use rdkafka::consumer::{BaseConsumer, Consumer as _};

const BATCH: usize = 4096;
const WAIT_MS: i32 = 20;

pub(super) struct Queue<'a> {
    queue: *mut rd_kafka_queue_t,
    batch: Vec<*mut rd_kafka_message_t>,
    /// Keeps the client alive, which the queue is a part of.
    consumer: &'a BaseConsumer,
}

impl<'a> Queue<'a> {
    pub(super) fn new(consumer: &'a BaseConsumer) -> Self {
        // SAFETY: the client is alive, and outlives the queue by the lifetime above.
        let queue = unsafe { rd_kafka_queue_new(consumer.client().native_ptr()) };
        Self {
            queue,
            batch: vec![ptr::null_mut(); BATCH],
            consumer,
        }
    }

    /// From now on the messages of this partition arrive here. Called before the partition is assigned.
    pub(super) fn forward(&self, topic: &str, partition: i32) {
        let topic = CString::new(topic).expect("a topic's name");
        let client = self.consumer.client().native_ptr();
        // SAFETY: client and queue are alive; the queue of the partition is ours until it is destroyed, and forwarding
        // stays in force without it.
        unsafe {
            let from = rd_kafka_queue_get_partition(client, topic.as_ptr(), partition);
            assert!(!from.is_null(), "partition {partition} has no queue");
            rd_kafka_queue_forward(from, self.queue);
            rd_kafka_queue_destroy(from);
        }
    }

    /// Takes what is there and gives it back at once: how many messages, and bytes of payload, that were.
    pub(super) fn drain(&mut self) -> (u64, u64) {
        // SAFETY: `batch` has room for as many pointers as it says. Each message that was handed over is destroyed
        // once, after it was looked at.
        unsafe {
            let handed = rd_kafka_consume_batch_queue(
                self.queue,
                WAIT_MS,
                self.batch.as_mut_ptr(),
                self.batch.len(),
            );
            let handed = usize::try_from(handed).expect("librdkafka reads");
            let mut bytes = 0;
            for message in &self.batch[..handed] {
                let error = (**message).err;
                assert_eq!(error, rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
                bytes += (**message).len as u64;
                rd_kafka_message_destroy(*message);
            }
            (handed as u64, bytes)
        }
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        // SAFETY: it was made in `new` and is destroyed here only.
        unsafe { rd_kafka_queue_destroy(self.queue) };
    }
}
