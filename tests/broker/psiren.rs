//! The real `psiren run`: its folder, its process, and what it tells.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use psiren::state::local::{LocalOptions, LocalStore};
use psiren::state::{StateStore as _, UnitState};
use serde_json::Value;
use tempfile::TempDir;

use crate::http::{self, Response};
use crate::kafka::Kafka;
use crate::process::Process;
use crate::row::Row;
use crate::wait;

const START_LIMIT: Duration = Duration::from_secs(60);
/// The promise: SIGTERM drains, checkpoints and exits within this.
const TERMINATE_LIMIT: Duration = Duration::from_secs(10);

/// Configuration, state and CSV of one psiren, which outlive its processes.
pub(crate) struct Home {
    folder: TempDir,
    /// Its consumer group; empty where the configuration is the test's own.
    pub(crate) group: String,
}

impl Home {
    /// A home whose psiren watches `kafka` as `group`, with these `[monitor.…]` tables.
    pub(crate) fn new(kafka: &Kafka, group: &str, monitors: &str) -> Self {
        Self::at(kafka.address(), group, monitors)
    }

    /// As [`new`](Self::new), with any `bootstrap_servers`.
    pub(crate) fn at(address: &str, group: &str, monitors: &str) -> Self {
        let config = format!(
            r#"
[kafka]
bootstrap_servers = "{address}"
group_id = "{group}"
instance_id = "{instance}"

{monitors}

[csv]
path = "psi.csv"

[http]
listen = "127.0.0.1:0"

[state]
dir = "state"
checkpoint_interval = "200ms"
"#,
            instance = crate::topic::unique("psiren"),
        );
        Self {
            group: group.to_owned(),
            ..Self::with_config(&config)
        }
    }

    pub(crate) fn with_config(config: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        fs::write(folder.path().join("psiren.toml"), config).expect("the configuration is written");
        Self {
            folder,
            group: String::new(),
        }
    }

    /// Starts psiren here; at most one process at a time.
    pub(crate) fn start(&self) -> Psiren {
        self.start_with(&[])
    }

    /// The same with more environment variables.
    pub(crate) fn start_with(&self, variables: &[(&str, &str)]) -> Psiren {
        let mut psiren = self.launch_with(variables);
        psiren.await_address();
        psiren
    }

    /// As [`start`](Self::start), without waiting until it listens: it cannot be asked anything yet.
    pub(crate) fn launch(&self) -> Psiren {
        self.launch_with(&[])
    }

    fn launch_with(&self, variables: &[(&str, &str)]) -> Psiren {
        let log = self.path("psiren.log");
        let said_before = fs::metadata(&log).map_or(0, |metadata| metadata.len());
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .expect("a log file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_psiren"));
        command
            .args(["run", "--config", "psiren.toml"])
            .current_dir(&self.folder)
            .env_remove("SLACK_WEBHOOK_URL")
            .env("NO_COLOR", "1")
            .envs(variables.iter().copied())
            .stdout(Stdio::from(file.try_clone().expect("a log file")))
            .stderr(Stdio::from(file));
        let process = Process::spawn(&mut command).expect("psiren starts");
        Psiren {
            process,
            log: Log {
                path: log,
                from: usize::try_from(said_before).expect("a short log"),
            },
            address: String::new(),
        }
    }

    /// The rows of the CSV, without a line still being written.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let text = fs::read_to_string(self.path("psi.csv")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        Row::parse_all(whole)
    }

    /// What is stored of a monitor; psiren has to be stopped.
    pub(crate) fn units(&self, monitor: &str) -> Vec<UnitState> {
        let store = LocalStore::open(&self.path("state"), LocalOptions::default());
        let units = store.and_then(|store| store.units(monitor));
        let units = units.expect("the state is read");
        units.into_iter().map(|(_, unit)| unit).collect()
    }

    /// A file of this home.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// A running `psiren run`; it ends with this value.
pub(crate) struct Psiren {
    process: Process,
    log: Log,
    address: String,
}

impl Psiren {
    /// Waits until `/readyz` says ready.
    #[track_caller]
    pub(crate) fn wait_ready(&self) {
        let mut last = String::new();
        let ready = wait::poll(START_LIMIT, || {
            let answer = self.get("/readyz");
            last = format!("{answer:?}");
            (answer.status == 200).then_some(())
        });
        assert!(ready.is_some(), "never ready: {last}");
    }

    /// Waits until `/readyz` says unready for a reason that contains `words`.
    #[track_caller]
    pub(crate) fn wait_unready(&self, words: &str, limit: Duration) {
        let mut last = String::new();
        let unready = wait::poll(limit, || {
            let answer = self.get("/readyz");
            last = format!("{answer:?}");
            (answer.status == 503 && answer.body.contains(words)).then_some(())
        });
        assert!(unready.is_some(), "never unready with {words:?}: {last}");
    }

    #[track_caller]
    pub(crate) fn get(&self, path: &str) -> Response {
        self.request("GET", path, None)
    }

    #[track_caller]
    pub(crate) fn post(&self, path: &str, json: &Value) -> Response {
        self.request("POST", path, Some(json))
    }

    #[track_caller]
    pub(crate) fn delete(&self, path: &str) -> Response {
        self.request("DELETE", path, None)
    }

    /// The sum of all series of `name` that have these labels; `None` where there is none.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let metrics = self.get("/metrics");
        assert_eq!(metrics.status, 200, "{metrics:?}");
        sum_of(&metrics.body, name, labels)
    }

    /// Records consumed by this process so far, by the monitor that consumed the fewest.
    pub(crate) fn consumed(&self) -> f64 {
        let metrics = self.get("/metrics");
        values(&metrics.body, "psiren_records_consumed_total", &[])
            .reduce(f64::min)
            .unwrap_or_default()
    }

    /// Sends SIGTERM and asserts that psiren exits in time, with 0.
    #[track_caller]
    pub(crate) fn terminate(mut self) {
        self.process.signal("TERM");
        let status = self.exit_within(TERMINATE_LIMIT);
        let in_time = status.unwrap_or_else(|| panic!("no exit within {TERMINATE_LIMIT:?}"));
        assert!(in_time.success(), "{in_time}");
    }

    /// Asks psiren to end, without waiting for it.
    pub(crate) fn ask_to_stop(&self) {
        self.process.signal("TERM");
    }

    pub(crate) fn kill9(mut self) {
        self.process.kill();
    }

    pub(crate) fn freeze(&self) {
        self.process.signal("STOP");
    }

    pub(crate) fn cont(&self) {
        self.process.signal("CONT");
    }

    pub(crate) fn signal(&self, name: &str) {
        self.process.signal(name);
    }

    /// The most memory this process ever had resident, in MiB.
    pub(crate) fn peak_mib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process_id());
        let status = fs::read_to_string(status).expect("a running process");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kib: u64 = kib.and_then(|n| n.trim().parse().ok()).expect("a number");
        kib / 1024
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Where `/metrics` and the others are, as `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn exit_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        self.process.exit_within(limit)
    }

    /// What this process has written to standard output and error.
    pub(crate) fn log(&self) -> String {
        self.log.text()
    }

    /// The same, for when the process has ended.
    pub(crate) fn log_later(&self) -> impl Fn() -> String + use<> {
        let log = self.log.clone();
        move || log.text()
    }

    #[track_caller]
    fn request(&self, method: &str, path: &str, json: Option<&Value>) -> Response {
        http::request(&self.address, method, path, json)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn await_address(&mut self) {
        let found = wait::poll(START_LIMIT, || {
            if let Some(status) = self.process.exit_within(Duration::ZERO) {
                panic!("psiren ended with {status}");
            }
            let text = self.log.text();
            let mut whole = text
                .split_inclusive('\n')
                .filter(|line| line.ends_with('\n'));
            whole.find_map(listening_at)
        });
        self.address = found.expect("psiren says where it listens");
    }
}

impl Drop for Psiren {
    /// A test that fails shows what psiren said.
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Nobody may be there to read it.
            let _ = writeln!(std::io::stderr(), "psiren said:\n{}", self.log());
        }
    }
}

/// One process's part of a log file that several append to.
#[derive(Clone)]
struct Log {
    path: PathBuf,
    from: usize,
}

impl Log {
    fn text(&self) -> String {
        let bytes = fs::read(&self.path).unwrap_or_default();
        String::from_utf8_lossy(&bytes[self.from.min(bytes.len())..]).into_owned()
    }
}

/// The `host:port` in a log line such as `… listening … http://127.0.0.1:10774 …`.
fn listening_at(line: &str) -> Option<String> {
    let (_, after) = line
        .contains("listening")
        .then(|| line.split_once("http://"))
        .flatten()?;
    let end = after
        .find(|c: char| !c.is_ascii_alphanumeric() && !".:[]".contains(c))
        .unwrap_or(after.len());
    Some(after[..end].to_owned())
}

fn sum_of(metrics: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    values(metrics, name, labels).reduce(|sum, value| sum + value)
}

fn values<'a>(
    metrics: &'a str,
    name: &'a str,
    labels: &[(&str, &str)],
) -> impl Iterator<Item = f64> + use<'a> {
    let wanted: Vec<String> = labels
        .iter()
        .map(|(label, value)| format!("{label}=\"{value}\""))
        .collect();
    metrics
        .lines()
        .filter_map(move |line| line.strip_prefix(name))
        .filter(|rest| rest.starts_with(['{', ' ']))
        .filter(move |rest| wanted.iter().all(|label| has_label(rest, label)))
        .filter_map(|rest| rest.rsplit_once(' ')?.1.parse::<f64>().ok())
}

/// Whether `{a="1",b="2"} 3` has the label `b="2"` (and not one that merely ends like it).
fn has_label(series: &str, label: &str) -> bool {
    [format!("{{{label}"), format!(",{label}")]
        .iter()
        .any(|start| series.contains(start.as_str()))
}
