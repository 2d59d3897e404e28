//! psiren tells a real Alertmanager itself, without Prometheus in between.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use psiren::config::{Channel, ReceiverConfig};
use psiren::drift::incident::ChangeKind;
use psiren::drift::{
    Definition, IncidentChange, IncidentRules, PaneSpec, Reason, Smoothing, WindowSpec,
};
use psiren::sink::notifier::{Pace, run_notifier_at};
use psiren::sink::{Delivery, MonitorNotify, NotifyConfig, SinkContext, SinkMetrics, send_test};
use psiren::state::local::LocalStore;
use psiren::state::{EvaluatorState, LogBody, LogEntry, NoticeKind, ReportLog};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::stage::{Stage, start_alertmanager};
use crate::webhook::Webhook;
use crate::{http, wait};

const LIMIT: Duration = Duration::from_secs(60);
const REFRESH: Duration = Duration::from_millis(500);
const DAY: i64 = 86_400_000;
/// 2013-06-30.
const SINCE: i64 = 1_372_550_400_000;

pub(super) fn an_alertmanager_is_told_of_incidents_and_again_when_it_forgot(_: &mut Stage) {
    let folder = TempDir::new().expect("a temporary folder");
    let pages = Webhook::start([]);
    let alertmanager = start_alertmanager(folder.path(), &pages.url, "127.0.0.1:0");
    let address = alertmanager.address.clone();

    alert_test(folder.path(), &address);
    let alerts = alerts_at(&address);
    let names: Vec<&Value> = alerts.iter().map(|a| &a["labels"]["alertname"]).collect();
    assert_eq!(names, ["PsirenTest"]);

    let told = Told::new(&address);
    told.commit(ChangeKind::Opened);
    let fires = || incident(&address);
    let alert = wait::some("the alert", LIMIT, fires);
    let labels = json!({
        "alertname": "PsirenIncident", "monitor": "flights", "feature": "dep_delay",
        "reason": "psi", "severity": "warning", "env": "test",
    });
    assert_eq!(alert["labels"], labels);
    assert_eq!(alert["startsAt"], "2013-06-30T00:00:00.000Z");
    assert_eq!(alert["status"]["state"], "active");

    // It is ended as by kill -9, and its data are gone.
    drop(alertmanager);
    fs::remove_dir_all(folder.path().join("alertmanager")).expect("its data");
    let _alertmanager = start_alertmanager(folder.path(), &pages.url, &address);
    wait::some("the alert again", LIMIT, fires);

    told.commit(ChangeKind::Resolved);
    wait::until("its end", LIMIT, || fires().is_none());
    wait::until("the page about its end", LIMIT, || {
        let is_end = |page: &Value| {
            page["status"] == "resolved" && page["commonLabels"]["feature"] == "dep_delay"
        };
        pages.delivered().iter().any(is_end)
    });

    // What it finds wrong is said in its words.
    let nameless = BTreeMap::from([(String::new(), "x".to_owned())]);
    let refused = told
        .runtime
        .block_on(send_test(&receiver(&address), &nameless));
    let words = refused.expect_err("an empty name of a label").to_string();
    assert!(
        words.starts_with("the receiver answered 400 (invalid label"),
        "{words}"
    );
}

/// What `psiren alert test` sends arrives.
fn alert_test(folder: &Path, address: &str) {
    let reference = fs::canonicalize("fixtures/flights/reference.parquet").expect("the fixture");
    let config = format!(
        "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[monitor.flights]\ntopic = \"flights\"\n\
         reference = {reference:?}\nwindow = {{ size = \"7d\", slide = \"1d\" }}\n\
         [notify.pager]\nalertmanager_url = \"http://{address}\"\n"
    );
    let path = folder.join("psiren.toml");
    fs::write(&path, config).expect("the configuration is written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_psiren"));
    command.args(["alert", "test", "--config"]).arg(&path);
    let output = command.env_remove("SLACK_WEBHOOK_URL").output();
    let output = output.expect("psiren starts");
    assert!(output.status.success(), "{output:?}");
}

fn alerts_at(address: &str) -> Vec<Value> {
    let answer = http::request(address, "GET", "/api/v2/alerts", None);
    match answer.expect("Alertmanager answers").json() {
        Value::Array(alerts) => alerts,
        other => panic!("{other}"),
    }
}

fn incident(address: &str) -> Option<Value> {
    let mut alerts = alerts_at(address).into_iter();
    alerts.find(|alert| alert["labels"]["alertname"] == "PsirenIncident")
}

fn receiver(address: &str) -> ReceiverConfig {
    ReceiverConfig {
        name: "pager".to_owned(),
        channel: Channel::Alertmanager {
            url: format!("http://{address}"),
            bearer_token: None,
        },
    }
}

/// The delivery of messages over a report log, at a pace that does not take minutes.
struct Told {
    runtime: Runtime,
    log: Arc<LocalStore>,
    head: watch::Sender<u64>,
    shutdown: CancellationToken,
}

impl Told {
    fn new(address: &str) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let log = Arc::new(LocalStore::in_memory().expect("a store"));
        let (head, shutdown) = (watch::Sender::new(0), CancellationToken::new());
        let ctx = SinkContext {
            log: log.clone(),
            head: head.subscribe(),
            shutdown: shutdown.clone(),
        };
        let (_config, config) = watch::channel(Arc::new(config(address)));
        let pace = Pace {
            refresh: REFRESH,
            ..Pace::default()
        };
        runtime.spawn(run_notifier_at(pace, ctx, config, Arc::new(Uncounted)));
        Self {
            runtime,
            log,
            head,
            shutdown,
        }
    }

    /// The incident of `dep_delay` opens or ends, as an evaluator would store it.
    fn commit(&self, kind: ChangeKind) {
        let incidents = match kind {
            ChangeKind::Opened => json!({ "entries": { "dep_delay": { "psi": {
                "since_ms": SINCE, "run": 0, "value": 0.41,
            } } } }),
            ChangeKind::Resolved => json!({ "entries": {} }),
        };
        let state = EvaluatorState {
            incidents: serde_json::from_value(incidents).expect("incidents"),
            ..EvaluatorState::default()
        };
        let change = IncidentChange {
            feature: "dep_delay".to_owned(),
            reason: Reason::Psi,
            kind,
            value: 0.41,
            previous: None,
            since_ms: SINCE,
            silenced: false,
        };
        let entry = LogEntry {
            monitor: "flights".to_owned(),
            written_at_ms: SINCE,
            news: true,
            body: LogBody::Notice {
                kind: NoticeKind::Stale,
                changes: vec![change],
                open: Vec::new(),
            },
        };
        let head = self.log.commit("flights", &state, &[entry], None);
        self.head.send_replace(head.expect("the entry is stored"));
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn config(address: &str) -> NotifyConfig {
    let definition = Definition {
        monitor: "flights".to_owned(),
        features: Vec::new(),
        panes: PaneSpec {
            width_ms: DAY,
            offset_ms: 0,
            lateness_ms: 0,
            max_future_skew_ms: 0,
        },
        window: WindowSpec {
            size_ms: DAY,
            slide_ms: DAY,
        },
        smoothing: Smoothing::default(),
        incidents: IncidentRules::default(),
        reference_id: String::new(),
        definition_id: String::new(),
    };
    let notify = MonitorNotify {
        receivers: vec!["pager".to_owned()],
        definition: Arc::new(definition),
        heartbeat_url: None,
    };
    NotifyConfig {
        receivers: vec![receiver(address)],
        labels: [("env".to_owned(), "test".to_owned())].into(),
        monitors: [("flights".to_owned(), notify)].into(),
        ..NotifyConfig::default()
    }
}

struct Uncounted;

impl SinkMetrics for Uncounted {
    fn notified(&self, _: &str, _: Delivery) {}
    fn csv_rows(&self, _: u64) {}
    fn csv_error(&self) {}
    fn csv_failing(&self, _: bool) {}
}
