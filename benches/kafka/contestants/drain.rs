//! Consumers that look at nothing: what librdkafka alone takes.

use std::hint::black_box;
use std::time::Duration;

use rdkafka::Message as _;
use rdkafka::consumer::Consumer as _;

use super::queue::Queue;
use super::{Pace, Task};

/// By batches of a queue that all partitions are forwarded to.
pub(super) fn batch(task: &Task) -> f64 {
    let consumer = task.consumer();
    let mut queue = Queue::new(&consumer);
    for partition in 0..task.partitions {
        queue.forward(&task.topic, partition);
    }
    consumer.assign(&task.assignment()).expect("assigned");
    let mut pace = Pace::default();
    let (mut records, mut bytes) = (0, 0);
    while records < task.records {
        // Events of the client itself still come by its own queue.
        assert!(consumer.poll(Duration::ZERO).is_none(), "a message strayed");
        let (handed, length) = queue.drain();
        records += handed;
        bytes += length;
        if records > 0 {
            pace.begin(records);
        }
    }
    black_box(bytes);
    pace.rate(records)
}

/// By one poll per message.
pub(super) fn poll(task: &Task) -> f64 {
    let consumer = task.consumer();
    consumer.assign(&task.assignment()).expect("assigned");
    let mut pace = Pace::default();
    let (mut records, mut bytes) = (0, 0);
    while records < task.records {
        let Some(message) = consumer.poll(Duration::from_millis(20)) else {
            continue;
        };
        let message = message.expect("a message");
        bytes += message.payload().map_or(0, <[u8]>::len);
        records += 1;
        pace.begin(records);
    }
    black_box(bytes);
    pace.rate(records)
}
