//! How long a record takes from its producer to the live figures, at half the rate that psiren can read.

use std::thread::{ScopedJoinHandle, scope, sleep};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rdkafka::producer::Producer as _;

use crate::kafka::Kafka;
use crate::load;
use crate::psiren::{Home, Psiren};
use crate::settings::Settings;
use crate::topic::Topic;

const TICK: Duration = Duration::from_millis(1);
const POLL: Duration = Duration::from_millis(10);
/// What is produced at first is left out: nobody is warm.
const WARM_UP: Duration = Duration::from_secs(2);
/// What is still on its way when producing ends.
const REST: Duration = Duration::from_secs(10);
const AFTERWARDS: Duration = Duration::from_secs(2);

/// When so many records had been handed to the producer.
type Sent = Vec<(Instant, u64)>;

/// Produces `rate` records per second for as long as the settings say, and says how long they took to be seen.
pub(crate) fn measure(
    kafka: &Kafka,
    settings: &Settings,
    config: impl Fn(&str) -> String,
    rate: f64,
) -> String {
    let topic = Topic::create(kafka, "latency", settings.partitions);
    let home = Home::with_config(&config(&topic.name));
    let psiren = home.start();
    psiren.wait_ready();
    let (sent, seen) = scope(|scope| {
        let producing = scope.spawn(|| produce(kafka, settings, &topic, rate));
        let seen = watch(&psiren, &producing);
        (producing.join().expect("everything is sent"), seen)
    });
    psiren.terminate();
    topic.delete();
    let total = sent.last().map_or(0, |(_, records)| *records);
    let begun = sent.first().map(|(at, _)| *at + WARM_UP);
    let taken = |counts: &[(Instant, u64)]| latencies(&sent, counts, begun);
    format!(
        "latency at {rate:.0} records/s, {total} records\n{}{}",
        line("to psiren_records_total", taken(&seen.counted)),
        line("to the live figures", taken(&seen.live)),
    )
}

fn produce(kafka: &Kafka, settings: &Settings, topic: &Topic, rate: f64) -> Sent {
    let producer = load::prompt_producer(kafka);
    let pool = settings.pool();
    let begun = Instant::now();
    let length = WARM_UP + Duration::from_secs(settings.latency_seconds);
    let (mut sent, mut records, mut event) = (Vec::new(), 0, String::new());
    while begun.elapsed() < length {
        let due = (begun.elapsed().as_secs_f64() * rate) as u64;
        for i in records..due {
            let now = Timestamp::now().as_millisecond();
            pool.event(i as usize, now, &mut event);
            let partition = (i % settings.partitions as u64) as i32;
            load::send(&producer, &topic.name, partition, now, &event);
        }
        records = due;
        sent.push((Instant::now(), records));
        sleep(TICK);
    }
    producer.flush(REST).expect("the broker takes all records");
    sent
}

/// How many records psiren showed, and when.
#[derive(Default)]
struct Seen {
    counted: Vec<(Instant, u64)>,
    live: Vec<(Instant, u64)>,
}

/// What is still on its way is looked for for a while.
fn watch(psiren: &Psiren, producing: &ScopedJoinHandle<'_, Sent>) -> Seen {
    let mut seen = Seen::default();
    let mut ended = None;
    while ended.is_none_or(|since: Instant| since.elapsed() < AFTERWARDS) {
        if producing.is_finished() {
            ended.get_or_insert_with(Instant::now);
        }
        let counted = psiren.metric("psiren_records_total", &[("outcome", "counted")]);
        seen.counted
            .push((Instant::now(), counted.unwrap_or_default() as u64));
        let status = psiren.get("/api/v1/status").json();
        let live = status["monitors"][0]["live"]["events"].as_u64();
        seen.live.push((Instant::now(), live.unwrap_or_default()));
        sleep(POLL);
    }
    seen
}

/// How long each group of records that was sent together took to be seen.
fn latencies(
    sent: &[(Instant, u64)],
    seen: &[(Instant, u64)],
    begun: Option<Instant>,
) -> Vec<Duration> {
    let mut seen = seen.iter().peekable();
    let mut latencies = Vec::new();
    for (at, records) in sent {
        while seen.next_if(|(_, shown)| shown < records).is_some() {}
        let Some((shown_at, _)) = seen.peek() else {
            break;
        };
        if begun.is_some_and(|begun| *at >= begun) {
            latencies.push(shown_at.saturating_duration_since(*at));
        }
    }
    latencies.sort_unstable();
    latencies
}

fn line(what: &str, latencies: Vec<Duration>) -> String {
    let at = |share: f64| {
        let place = (latencies.len() as f64 * share) as usize;
        let latency = latencies.get(place).or(latencies.last());
        latency.map_or_else(|| "never".to_owned(), |l| format!("{} ms", l.as_millis()))
    };
    format!(
        "{what:<26} median {:>8}  p99 {:>8}  greatest {:>8}\n",
        at(0.5),
        at(0.99),
        at(1.0)
    )
}
