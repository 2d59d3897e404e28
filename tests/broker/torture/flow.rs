//! Producing in the background, a portion at a time, through everything that happens to the broker.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};

use super::plan::Plan;
use super::records::Records;
use crate::kafka::Kafka;
use crate::topic::Record;

/// A portion is produced in so many bursts, with a pause after each: within a second or two.
const BURSTS: u64 = 200;
const PAUSE: Duration = Duration::from_millis(5);
const FLUSH_LIMIT: Duration = Duration::from_secs(120);

/// Records on their way. It produces what was [allowed](Self::allow), and the rest when it is finished.
pub(super) struct Flow {
    allowed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flow {
    pub(super) fn start(kafka: &Kafka, plan: &Plan, portion: u64) -> Self {
        let topics = plan.topics.len() as u64;
        let sources = plan
            .topics
            .iter()
            .enumerate()
            .map(|(i, (topic, _))| {
                let total = plan.size.events.div_ceil(topics);
                (topic.name.clone(), Records::new(plan, i, total))
            })
            .collect();
        let (allowed, stop) = (Arc::default(), Arc::default());
        let producing = Producing {
            producer: producer(kafka),
            sources,
            made: 0,
            burst: portion.div_ceil(BURSTS),
            allowed: Arc::clone(&allowed),
            stop: Arc::clone(&stop),
        };
        Self {
            allowed,
            stop,
            thread: Some(thread::spawn(move || producing.run())),
        }
    }

    /// Lets `more` records flow.
    pub(super) fn allow(&self, more: u64) {
        self.allowed.fetch_add(more, Ordering::Relaxed);
    }

    /// Produces the rest and the closing records; all are acknowledged when this returns.
    pub(super) fn finish(mut self) {
        self.allow(u64::MAX / 2);
        let thread = self.thread.take().expect("finished once");
        assert!(thread.join().is_ok(), "not everything was produced");
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Producing {
    producer: BaseProducer<Failures>,
    sources: Vec<(String, Records)>,
    made: u64,
    burst: u64,
    allowed: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Producing {
    fn run(mut self) {
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let allowed = self.allowed.load(Ordering::Relaxed);
            let burst = allowed.saturating_sub(self.made).min(self.burst);
            if burst > 0 && !self.burst(burst) {
                break;
            }
            self.producer.poll(Duration::ZERO);
            // Slow enough that records flow all the time; at the end nothing is waited for.
            if allowed < u64::MAX / 2 {
                thread::sleep(PAUSE);
            }
        }
        // Each partition's last records, after everything else is in the log.
        self.flush();
        for (topic, records) in &mut self.sources {
            for record in records.closing() {
                send(&self.producer, topic, &record);
            }
        }
        self.flush();
    }

    /// False when there are no more records.
    fn burst(&mut self, burst: u64) -> bool {
        let end = self.made + burst;
        while self.made < end {
            let mut any = false;
            for (topic, source) in &mut self.sources {
                for record in source.next().into_iter().flatten() {
                    send(&self.producer, topic, &record);
                    self.made += 1;
                    any = true;
                }
            }
            if !any {
                return false;
            }
        }
        true
    }

    fn flush(&self) {
        self.producer.flush(FLUSH_LIMIT).expect("flushed in time");
        let failures = self.producer.context().0.lock().expect("no panic before");
        assert!(failures.is_empty(), "not produced: {failures:?}");
    }
}

/// Deliveries that failed for good.
#[derive(Default)]
struct Failures(Mutex<Vec<KafkaError>>);

impl ClientContext for Failures {}

impl ProducerContext for Failures {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            let mut failures = self.0.lock().expect("no panic before");
            failures.push(error.clone());
        }
    }
}

/// It tries for ever, and may repeat records where the broker dies: the recount reads what is in the log.
fn producer(kafka: &Kafka) -> BaseProducer<Failures> {
    ClientConfig::new()
        .set("bootstrap.servers", kafka.address())
        .set("compression.type", "lz4")
        .set("linger.ms", "20")
        .set("acks", "all")
        .set("message.timeout.ms", "0")
        .set("max.in.flight.requests.per.connection", "1")
        .set("reconnect.backoff.max.ms", "500")
        .create_with_context(Failures::default())
        .expect("a producer")
}

fn send(producer: &BaseProducer<Failures>, topic: &str, record: &Record) {
    loop {
        let mut sent = BaseRecord::<str, [u8]>::to(topic)
            .partition(record.partition.expect("a partition"))
            .timestamp(record.timestamp_ms.expect("a timestamp"));
        sent.payload = record.payload.as_deref();
        sent.key = record.key.as_deref();
        match producer.send(sent) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(50));
            }
            Err((error, _)) => panic!("{error} before sending"),
        }
    }
}
