//! One psiren through everything that can happen to its disks, its CSV file, its receiver and its `/metrics`; at the
//! end its rows are those of one to which nothing happened.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use super::{LIMIT, await_consumed, await_metric};
use crate::Case;
use crate::cases::flights::{final_rows_through, monitors, settled_ms};
use crate::disk::{self, Disk};
use crate::flights::{Flight, flights};
use crate::http;
use crate::kafka::Kafka;
use crate::psiren::{Home, Psiren};
use crate::row::Row;
use crate::topic::{Record, Topic, unique};
use crate::wait;
use crate::webhook::{Answer, Webhook};

const PARTITIONS: i32 = 2;
const CAUSES: usize = 6;
const HOUR_MS: i64 = 60 * 60 * 1000;
/// Clients that ask for `/metrics` at a time, and how often each asks.
const FLOOD: usize = 24;
const ASKS: usize = 12;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "failing_disks_files_and_receivers_change_no_count",
            failing_disks_files_and_receivers_change_no_count,
        )
        .unless(disk::refused())
        .when_thorough(),
    ]
}

/// A psiren whose state and CSV are on disks of their own.
struct Patient {
    state: Disk,
    csv: Disk,
    home: Home,
    psiren: Psiren,
    /// CSV files that were taken away, in order.
    taken: Vec<PathBuf>,
    produced: usize,
}

impl Patient {
    /// Produces the next records and waits until they are counted, whatever is wrong.
    fn count(&mut self, topic: &Topic, records: &[Record]) {
        topic.produce(records);
        self.produced += records.len();
        await_consumed(&self.psiren, self.produced);
    }

    fn csv(&self) -> PathBuf {
        self.home.path("csv/psi.csv")
    }

    /// A name for the next CSV file that is taken away.
    fn aside(&mut self) -> PathBuf {
        let path = self.home.path(&format!("csv/{}.csv", self.taken.len()));
        self.taken.push(path.clone());
        path
    }

    fn await_rows(&self) {
        let path = self.csv();
        wait::until("rows in a new file", LIMIT, || !rows(&path).is_empty());
    }

    /// Every row of a monitor that was ever written, in order.
    fn lines(&self, monitor: &str) -> Vec<String> {
        let files = self.taken.iter().cloned().chain([self.csv()]);
        let rows = files.flat_map(|path| rows(&path));
        let rows = rows.filter(|row| row.is_final(monitor));
        rows.map(|row| row.line).collect()
    }
}

fn rows(path: &Path) -> Vec<Row> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    Row::parse_all(whole)
}

fn failing_disks_files_and_receivers_change_no_count(kafka: &Kafka) {
    let flights = flights();
    let partitions = || (0..PARTITIONS).cycle();
    let on = |(flight, partition): (&Flight, i32)| flight.record().on(partition);
    let records: Vec<Record> = flights.iter().zip(partitions()).map(on).collect();
    let topic = Topic::create(kafka, "degraded", PARTITIONS);
    let webhook = Webhook::start([Answer::Silence]);
    let mut patient = begin(kafka, &topic, &webhook);
    let mut parts = records.chunks(records.len().div_ceil(CAUSES + 1));
    let mut next = || parts.next().expect("a part for each cause");

    patient.count(&topic, next());
    patient.psiren.wait_ready();
    csv_is_deleted(&mut patient, &topic, next());
    csv_is_renamed(&mut patient, &topic, next());
    csv_is_a_folder(&mut patient, &topic, next());
    csv_disk_is_full(&mut patient, &topic, next());
    state_disk_is_full(&mut patient, &topic, next());
    metrics_are_flooded(&mut patient, &topic, next());
    assert!(webhook.delivered().is_empty());

    let straight = Home::new(kafka, &unique("straight"), &monitors(&topic));
    let undisturbed = straight.start();
    let settled = settled_ms(&flights, partitions());
    for (monitor, slide_hours) in [("week", 24), ("day", 6)] {
        let slide_ms = slide_hours * HOUR_MS;
        let last = settled / slide_ms * slide_ms;
        let expected = final_rows_through(&straight, monitor, last);
        let expected: Vec<String> = expected.into_iter().map(|row| row.line).collect();
        wait::until("as many rows", LIMIT, || {
            patient.lines(monitor).len() >= expected.len()
        });
        let mut found = patient.lines(monitor);
        found.truncate(expected.len());
        let differing = found
            .iter()
            .zip(&expected)
            .find(|(one, other)| one != other);
        assert_eq!(differing, None, "{monitor}");
    }
    undisturbed.terminate();
    patient.psiren.terminate();
}

fn begin(kafka: &Kafka, topic: &Topic, webhook: &Webhook) -> Patient {
    let home = Home::with_config(&format!(
        r#"
[kafka]
bootstrap_servers = "{address}"
group_id = "{group}"

{monitors}
[notify.oncall]
slack_webhook_url = "{url}"

[csv]
path = "csv/psi.csv"

[http]
listen = "127.0.0.1:0"

[state]
dir = "state"
checkpoint_interval = "200ms"
"#,
        address = kafka.address(),
        group = unique("degraded"),
        monitors = monitors(topic),
        url = webhook.url,
    ));
    let state = Disk::mount(home.path("state"), 64 << 10);
    let csv = Disk::mount(home.path("csv"), 16 << 10);
    let psiren = home.start();
    Patient {
        state,
        csv,
        home,
        psiren,
        taken: Vec::new(),
        produced: 0,
    }
}

/// What was written to it up to the last moment is kept under another name.
fn csv_is_deleted(patient: &mut Patient, topic: &Topic, records: &[Record]) {
    let path = patient.csv();
    fs::hard_link(&path, patient.aside()).expect("a second name");
    fs::remove_file(&path).expect("it is deleted");
    patient.count(topic, records);
    patient.await_rows();
}

fn csv_is_renamed(patient: &mut Patient, topic: &Topic, records: &[Record]) {
    let path = patient.csv();
    fs::rename(&path, patient.aside()).expect("it is renamed");
    patient.count(topic, records);
    patient.await_rows();
}

fn csv_is_a_folder(patient: &mut Patient, topic: &Topic, records: &[Record]) {
    let path = patient.csv();
    wait::until("a moment in which no file is begun anew", LIMIT, || {
        fs::rename(&path, patient.aside()).expect("it is renamed");
        fs::create_dir(&path).is_ok()
    });
    patient.count(topic, records);
    await_metric(&patient.psiren, "psiren_csv_failing", &[], |n| n == 1.0);
    fs::remove_dir(&path).expect("it is removed");
    await_metric(&patient.psiren, "psiren_csv_failing", &[], |n| n == 0.0);
    patient.await_rows();
    let log = patient.psiren.log();
    assert!(log.contains("it is not a regular file"), "{log}");
}

fn csv_disk_is_full(patient: &mut Patient, topic: &Topic, records: &[Record]) {
    patient.csv.fill();
    patient.count(topic, records);
    await_metric(&patient.psiren, "psiren_csv_failing", &[], |n| n == 1.0);
    patient.csv.empty();
    await_metric(&patient.psiren, "psiren_csv_failing", &[], |n| n == 0.0);
    let log = patient.psiren.log();
    assert!(log.contains("free some space"), "{log}");
}

/// Nothing gets durable, so no window closes; what comes meanwhile is counted, as long as there is room for it.
fn state_disk_is_full(patient: &mut Patient, topic: &Topic, records: &[Record]) {
    let (most, last) = records.split_at(records.len() - 10);
    patient.state.fill();
    patient.count(topic, most);
    patient.psiren.wait_unready("No space left", LIMIT);
    patient.count(topic, last);
    let psiren = &patient.psiren;
    psiren.wait_unready("checkpoints fail", LIMIT);
    assert_eq!(psiren.get("/livez").status, 200);
    let failed = [("result", "error")];
    await_metric(psiren, "psiren_checkpoints_total", &failed, |n| n >= 2.0);
    patient.state.empty();
    psiren.wait_ready();
    let log = psiren.log();
    assert!(log.contains("checkpoints succeed again"), "{log}");
}

fn metrics_are_flooded(patient: &mut Patient, topic: &Topic, records: &[Record]) {
    let address = patient.psiren.address().to_owned();
    let ask = || {
        for _ in 0..ASKS {
            // A client may be turned away when all seats are taken; that is no concern of counting.
            let _ = http::request(&address, "GET", "/metrics", None);
        }
    };
    thread::scope(|scope| {
        for _ in 0..FLOOD {
            scope.spawn(ask);
        }
        patient.count(topic, records);
        assert_eq!(patient.psiren.get("/livez").status, 200);
    });
}
