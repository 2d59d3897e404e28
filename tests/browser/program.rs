//! The real psiren with a page: the demo, and `run` over an embedded broker with data of a test's own.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use rdkafka::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use serde_json::{Map, Value};
use tempfile::TempDir;

use crate::process::Process;
use crate::wait;

const START: Duration = Duration::from_secs(60);
const TOPIC: &str = "events";
pub(crate) const HOUR_MS: i64 = 3_600_000;
/// 2026-03-01T00:00:00Z.
pub(crate) const BEGIN_MS: i64 = 1_772_323_200_000;
const EVENTS_AN_HOUR: i64 = 600;
/// Hours whose windows have no verdict, for a long history at little cost.
const EVENTS_AN_IDLE_HOUR: i64 = 2;

/// A running psiren; it ends with this value.
pub(crate) struct Program {
    process: Process,
    address: String,
    folder: TempDir,
}

impl Program {
    /// `psiren demo`, whose replay of a year takes `seconds`.
    pub(crate) fn demo(seconds: u32) -> Self {
        let folder = folder();
        let speed = (365 / seconds).to_string();
        let arguments = ["demo", "--listen", "127.0.0.1:0", "--csv", "psi.csv"];
        Self::start(
            folder,
            &[&arguments[..], &["--days-per-second", &speed]].concat(),
        )
    }

    fn start(folder: TempDir, arguments: &[&str]) -> Self {
        let log = folder.path().join("psiren.log");
        let out = File::create(&log).expect("a log file");
        let process = Process::spawn(
            Command::new(env!("CARGO_BIN_EXE_psiren"))
                .args(arguments)
                .current_dir(folder.path())
                .env_remove("SLACK_WEBHOOK_URL")
                .env("NO_COLOR", "1")
                .stdout(Stdio::from(out.try_clone().expect("a log file")))
                .stderr(Stdio::from(out)),
        )
        .expect("psiren starts");
        let address = wait::some("psiren to say where it listens", START, || {
            let said = fs::read_to_string(&log).ok()?;
            let mut lines = said.split_inclusive('\n').filter(|l| l.ends_with('\n'));
            lines.find_map(address_in)
        });
        Self {
            process,
            address,
            folder,
        }
    }

    /// The page under `path`, which begins with a slash.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Stops it without ending it: it keeps its port and answers nobody.
    pub(crate) fn freeze(&self) {
        self.process.signal("STOP");
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("psiren.log")).unwrap_or_default()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if std::thread::panicking() {
            #[expect(
                clippy::print_stderr,
                reason = "a test that fails shows what psiren said"
            )]
            {
                eprintln!("psiren said:\n{}", self.log());
            }
        }
    }
}

fn address_in(line: &str) -> Option<String> {
    let (_, after) = line.split_once("http://")?;
    let end = after.find(|c: char| !c.is_ascii_alphanumeric() && !".:[]".contains(c))?;
    Some(after[..end].to_owned())
}

fn folder() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

/// One monitor over a topic of this test, whose features are numbers around 0 or words.
pub(crate) struct Watched {
    pub(crate) program: Program,
    features: Vec<Feature>,
    producer: BaseProducer,
    _broker: MockCluster<'static, DefaultProducerContext>,
}

/// A column of the reference.
#[derive(Debug, Clone)]
pub(crate) enum Feature {
    Number(String),
    /// Two categories, each half of the time.
    Words(String, [String; 2]),
}

impl Feature {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Number(name) | Self::Words(name, _) => name,
        }
    }

    fn column(&self) -> ArrayRef {
        let rows = 0..EVENTS_AN_HOUR;
        match self {
            Self::Number(_) => Arc::new(Float64Array::from_iter_values(rows.map(|i| i as f64))),
            Self::Words(_, words) => Arc::new(StringArray::from_iter_values(
                rows.map(|i| &words[i as usize % 2]),
            )),
        }
    }

    /// What the event `i` of an hour says; `moved` values are all in the last bucket.
    fn value(&self, i: i64, moved: bool) -> Value {
        match (self, moved) {
            (Self::Number(_), false) => Value::from(i),
            (Self::Number(_), true) => Value::from(EVENTS_AN_HOUR),
            (Self::Words(_, words), false) => Value::from(words[i as usize % 2].as_str()),
            (Self::Words(_, words), true) => Value::from(words[0].as_str()),
        }
    }
}

impl Watched {
    /// `settings` are lines of the monitor's table, `http` of the interface's; windows are hours.
    pub(crate) fn start(features: Vec<Feature>, settings: &str, http: &str) -> Self {
        let broker = MockCluster::new(1).expect("an embedded broker");
        broker.create_topic(TOPIC, 1, 1).expect("a topic");
        let servers = broker.bootstrap_servers();
        let folder = folder();
        write_reference(&features, &folder.path().join("reference.parquet"));
        let config = format!(
            r#"
[kafka]
bootstrap_servers = "{servers}"
group_id = "psiren-browser"

[monitor.events]
topic = "{TOPIC}"
timestamp = {{ field = "ts" }}
reference = "reference.parquet"
window = {{ size = "1h", slide = "1h", lateness = "0s" }}
{settings}

[csv]
path = "psi.csv"

[http]
listen = "127.0.0.1:0"
{http}

[state]
dir = "state"
checkpoint_interval = "100ms"
"#
        );
        fs::write(folder.path().join("psiren.toml"), config).expect("a configuration");
        let producer = ClientConfig::new()
            .set("bootstrap.servers", servers)
            .create()
            .expect("a producer");
        Self {
            program: Program::start(folder, &["run", "--config", "psiren.toml"]),
            features,
            producer,
            _broker: broker,
        }
    }

    /// Produces the events of one hour, counted from [`BEGIN_MS`]; `moved` says which features are elsewhere.
    pub(crate) fn produce_hour(&self, hour: i64, moved: impl Fn(&str) -> bool) {
        self.produce(hour, EVENTS_AN_HOUR, moved);
    }

    pub(crate) fn produce_idle_hour(&self, hour: i64) {
        self.produce(hour, EVENTS_AN_IDLE_HOUR, |_| false);
    }

    fn produce(&self, hour: i64, events: i64, moved: impl Fn(&str) -> bool) {
        for i in 0..events {
            let mut event = Map::new();
            let at = BEGIN_MS + hour * HOUR_MS + i * HOUR_MS / events;
            event.insert("ts".to_owned(), Value::from(at));
            for feature in &self.features {
                let value = feature.value(i, moved(feature.name()));
                event.insert(feature.name().to_owned(), value);
            }
            let payload = Value::Object(event).to_string();
            let record = BaseRecord::<(), _>::to(TOPIC).payload(&payload);
            let mut sent = self.producer.send(record);
            while let Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) =
                sent
            {
                self.producer.poll(Duration::from_millis(10));
                sent = self.producer.send(again);
            }
            sent.expect("a record can be sent");
        }
        self.producer.flush(START).expect("the records arrive");
    }
}

fn write_reference(features: &[Feature], path: &Path) {
    let columns = features.iter().map(|f| (f.name(), f.column()));
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let file = File::create(path).expect("a reference");
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).expect("a writer");
    writer.write(&batch).expect("rows are written");
    writer.close().expect("the reference is written");
}

/// Where pictures of the page go: `PSIREN_SCREENSHOTS`, else a folder under cargo's target.
pub(crate) fn screenshots() -> PathBuf {
    let folder = std::env::var_os("PSIREN_SCREENSHOTS").map(PathBuf::from);
    let folder =
        folder.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots"));
    fs::create_dir_all(&folder).expect("a folder for pictures");
    folder
}
