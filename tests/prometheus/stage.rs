//! The set-up that the tests share: a topic, psiren with a receiver that takes messages and one that fails, Prometheus
//! with the shipped configuration and rules, and an Alertmanager behind it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::api::Prometheus;
use crate::http;
use crate::program::Program;
use crate::replay::{self, Broker, TOPIC};
use crate::wait;
use crate::webhook::{Answer, Webhook};

const SHIPPED: &str = "grafana/prometheus";
/// Flights a second, so that the replay lasts for some scrapes.
const RATE: u32 = 800;
const LIMIT: Duration = Duration::from_secs(60);

/// The programs end before their folder does.
pub(crate) struct Stage {
    psiren: Program,
    prometheus: Program,
    _alertmanager: Program,
    broker: Broker,
    /// What Alertmanager sends.
    pages: Webhook,
    folder: TempDir,
}

impl Stage {
    /// Starts everything and replays up to the end of June 2013, when departures ran late: incidents are open.
    pub(crate) fn set() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let at = folder.path();
        let broker = Broker::start();
        let pages = Webhook::start([]);
        let psiren = start_psiren(at, &broker.address);
        let alertmanager = start_alertmanager(at, &pages.url, "127.0.0.1:0");
        let prometheus = start_prometheus(at, &psiren.address, &alertmanager.address);
        let stage = Self {
            psiren,
            prometheus,
            _alertmanager: alertmanager,
            broker,
            pages,
            folder,
        };
        // What grew before the first scrape has no rate.
        wait::until("the first scrape", LIMIT, || {
            let found = stage.prometheus().instant("psiren_build_info");
            found.is_ok_and(|series| !series.is_empty())
        });
        stage.replay("2013-06-20", "2013-07-02");
        stage.send(&replay::odd("2013-07-02"));
        stage
    }

    /// Replays the flights of these days and waits until the window that ends with the last but one has closed.
    pub(crate) fn replay(&self, first: &str, last: &str) {
        self.send(&replay::flights(first, last));
        wait::until(&format!("the windows up to {last}"), LIMIT, || {
            let status = http::request(&self.psiren.address, "GET", "/api/v1/status", None);
            let status = status.expect("psiren answers").json();
            let end = status["monitors"][0]["window"]["end"].as_str();
            end.is_some_and(|end| end >= last)
        });
    }

    pub(crate) fn prometheus(&self) -> Prometheus<'_> {
        Prometheus {
            address: &self.prometheus.address,
        }
    }

    /// The alerts that Alertmanager has sent so far.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        let messages = self.pages.delivered();
        let alerts = messages.iter().map(|message| message["alerts"].as_array());
        alerts.flatten().flatten().cloned().collect()
    }

    fn send(&self, lines: &[String]) {
        self.broker.send(self.folder.path(), lines, RATE);
    }
}

fn start_psiren(folder: &Path, broker: &str) -> Program {
    let taken = Webhook::start([]);
    let failing = Webhook::start(std::iter::repeat(Answer::Status(500)));
    let reference = fs::canonicalize("fixtures/flights/reference.parquet");
    let config = format!(
        r#"
[kafka]
bootstrap_servers = "{broker}"

[monitor.flights]
topic = "{TOPIC}"
timestamp = {{ field = "ts" }}
reference = {reference:?}
window = {{ size = "7d", slide = "1d" }}
idle_timeout = "1s"

[notify.oncall]
slack_webhook_url = "{}"
[notify.failing]
slack_webhook_url = "{}"

[http]
listen = "127.0.0.1:0"
public_url = "http://psiren.example.com"

[state]
checkpoint_interval = "200ms"
"#,
        taken.url,
        failing.url,
        reference = reference.expect("the fixture"),
    );
    fs::write(folder.join("psiren.toml"), config).expect("the configuration is written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_psiren"));
    command
        .args(["run", "--config", "psiren.toml"])
        .current_dir(folder)
        .env_remove("SLACK_WEBHOOK_URL")
        .env("NO_COLOR", "1");
    Program::start(&mut command, folder.join("psiren.log"), "http://")
}

/// An Alertmanager that listens on `listen` and sends to `webhook`.
pub(crate) fn start_alertmanager(folder: &Path, webhook: &str, listen: &str) -> Program {
    let config = format!(
        r#"
route:
  receiver: test
  group_by: [alertname, feature]
  group_wait: 0s
  group_interval: 1s
receivers:
  - name: test
    webhook_configs:
      - url: {webhook}
"#
    );
    fs::write(folder.join("alertmanager.yml"), config).expect("the configuration is written");
    let mut command = Command::new("prometheus-alertmanager");
    command.current_dir(folder).args([
        "--config.file=alertmanager.yml",
        "--storage.path=alertmanager",
        &format!("--web.listen-address={listen}"),
        // No cluster: else it listens on a port of its own.
        "--cluster.listen-address=",
    ]);
    let log = folder.join("alertmanager.log");
    Program::start(&mut command, log, LISTENING)
}

/// What both programs of the Prometheus project log in front of their address.
const LISTENING: &str = r#"msg="Listening on" address="#;

fn start_prometheus(folder: &Path, psiren: &str, alertmanager: &str) -> Program {
    let shipped = fs::read_to_string(Path::new(SHIPPED).join("prometheus.yml"));
    let config = configured(&shipped.expect("the configuration"), psiren, alertmanager);
    fs::write(folder.join("prometheus.yml"), config).expect("the configuration is written");
    copy_rules(&folder.join("rules"));
    let mut command = Command::new("prometheus");
    command.current_dir(folder).args([
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=prometheus",
        "--web.listen-address=127.0.0.1:0",
    ]);
    let log = folder.join("prometheus.log");
    Program::start(&mut command, log, LISTENING)
}

/// The shipped configuration, every second and with these addresses; the Alertmanager that it shows as an example is
/// named.
fn configured(shipped: &str, psiren: &str, alertmanager: &str) -> String {
    let is_example = |line: &&str| line.starts_with("# alerting:") || line.starts_with("#   ");
    let lines = shipped.lines().map(|line| match is_example(&line) {
        true => &line[2..],
        false => line,
    });
    let mut config: String = lines.map(|line| format!("{line}\n")).collect();
    for (from, to) in [
        ("_interval: 2s", "_interval: 1s"),
        ("psiren:10774", psiren),
        ("alertmanager:9093", alertmanager),
    ] {
        assert!(
            config.contains(from),
            "{from:?} is not in the configuration"
        );
        config = config.replace(from, to);
    }
    config
}

/// The shipped rules with every `for` and `keep_firing_for` shortened to a second: how long they wait is tested by
/// promtool, here they have to arrive.
fn copy_rules(to: &Path) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(Path::new(SHIPPED).join("rules")).expect("the rules") {
        let path = entry.expect("an entry").path();
        let rules = fs::read_to_string(&path).expect("a rule file");
        let lines = rules.lines().map(|line| match line.split_once("for: ") {
            Some((before, _)) if ["", "keep_firing_"].contains(&before.trim_start()) => {
                format!("{before}for: 1s\n")
            }
            _ => format!("{line}\n"),
        });
        let copy = to.join(path.file_name().expect("a name"));
        fs::write(copy, lines.collect::<String>()).expect("the rules are written");
    }
}
