//! A topic on a broker inside this process (librdkafka's mock cluster), and `psiren produce`, which fills it with
//! flights of the fixture.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use flate2::read::GzDecoder;
use rdkafka::mocking::MockCluster;

const FLIGHTS: &str = "fixtures/flights/production.ndjson.gz";
pub(crate) const TOPIC: &str = "flights";

/// It ends with this process.
pub(crate) struct Broker {
    pub(crate) address: String,
}

impl Broker {
    pub(crate) fn start() -> Self {
        let cluster = MockCluster::new(1).expect("the embedded broker starts");
        cluster.create_topic(TOPIC, 2, 1).expect("a topic");
        let address = cluster.bootstrap_servers();
        // It belongs to one thread, and tests run on several.
        std::mem::forget(cluster);
        Self { address }
    }

    /// Sends these lines, `rate` a second.
    pub(crate) fn send(&self, folder: &Path, lines: &[String], rate: u32) {
        let file = folder.join("rows.ndjson");
        fs::write(&file, lines.join("\n")).expect("the rows are written");
        let output = Command::new(env!("CARGO_BIN_EXE_psiren"))
            .arg("produce")
            .arg(file)
            .args(["--topic", TOPIC, "--rate", &rate.to_string()])
            .args(["--bootstrap-servers", &self.address])
            .output()
            .expect("psiren produce runs");
        assert!(output.status.success(), "{output:?}");
    }
}

/// The flights of these days, such as `2013-06-20`, the last one included.
pub(crate) fn flights(first: &str, last: &str) -> Vec<String> {
    let file = fs::File::open(FLIGHTS).expect("the fixture");
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    let lines = lines.map(|line| line.expect("a line of the fixture"));
    let day = |line: &str| line["{\"ts\":\"".len()..][..first.len()].to_owned();
    lines
        .filter(|line| (first..=last).contains(&day(line).as_str()))
        .collect()
}

/// What else comes along a topic: no JSON, long past, of the future, of a wrong type, of an unknown category.
pub(crate) fn odd(day: &str) -> Vec<String> {
    [
        "no JSON".to_owned(),
        r#"{"ts":"2013-01-01T00:00:00Z"}"#.to_owned(),
        r#"{"ts":"2190-01-01T00:00:00Z"}"#.to_owned(),
        format!(r#"{{"ts":"{day}T23:00:00Z","dep_delay":"late","carrier":"ZZ"}}"#),
    ]
    .into()
}
