use std::io::{self, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::super::testing::{
    CountingMetrics, MemoryLog, categorical, change, definition, ended, entry, feature_report,
    numeric, report,
};
use super::*;
use crate::config::Channel;
use crate::drift::incident::ChangeKind::{self, Opened, Resolved};
use crate::state::{LogBody, LogEntry};

mod alertmanager;
mod webhook;

const SECRET: &str = "/services/T0P/SECRET";

const FAST: Pace = Pace {
    deadline: Duration::from_secs(2),
    shortest: Duration::from_millis(5),
    longest: Duration::from_millis(20),
    grace: Duration::from_millis(100),
    refresh: Duration::from_secs(3600),
};

fn receiver(name: &str, base: &str) -> ReceiverConfig {
    ReceiverConfig {
        name: name.to_owned(),
        channel: Channel::Slack {
            webhook_url: format!("{base}{SECRET}").into(),
            mention: None,
        },
    }
}

fn notify(receivers: Vec<ReceiverConfig>) -> Arc<NotifyConfig> {
    Arc::new(notify_config(receivers))
}

fn notify_config(receivers: Vec<ReceiverConfig>) -> NotifyConfig {
    let names: Vec<String> = receivers.iter().map(|r| r.name.clone()).collect();
    let monitor = |name: &str| {
        let features = vec![
            numeric("dep_delay"),
            numeric("air_time"),
            categorical("carrier"),
        ];
        let notify = MonitorNotify {
            receivers: names.clone(),
            definition: Arc::new(definition(name, features)),
            heartbeat_url: None,
        };
        (name.to_owned(), notify)
    };
    NotifyConfig {
        receivers,
        labels: BTreeMap::new(),
        monitors: [monitor("flights"), monitor("trains")].into(),
        public_url: None,
        dashboard_url: None,
    }
}

fn news(monitor: &str, feature: &str, kind: ChangeKind) -> LogEntry {
    let features = vec![feature_report(feature, 0.41, &[400, 350, 250])];
    let mut report = report(monitor, 1, features);
    report.changes = vec![change(feature, kind, 0.41)];
    entry(LogBody::Report(report))
}

struct Started {
    metrics: Arc<CountingMetrics>,
    shutdown: CancellationToken,
    config: watch::Sender<Arc<NotifyConfig>>,
    task: JoinHandle<()>,
}

impl Started {
    fn new(log: &Arc<MemoryLog>, receivers: Vec<ReceiverConfig>) -> Self {
        Self::at(FAST, log, notify(receivers))
    }

    fn at(pace: Pace, log: &Arc<MemoryLog>, config: Arc<NotifyConfig>) -> Self {
        let ctx = log.context();
        let metrics = CountingMetrics::new();
        let shutdown = ctx.shutdown.clone();
        let config = watch::Sender::new(config);
        let task = tokio::spawn(run_notifier_at(
            pace,
            ctx,
            config.subscribe(),
            Arc::clone(&metrics) as _,
        ));
        Self {
            metrics,
            shutdown,
            config,
            task,
        }
    }

    async fn stop(self) {
        ended(&self.shutdown, self.task).await;
    }
}

fn answer(status: u16) -> Mock {
    Mock::given(method("POST"))
        .and(path(SECRET))
        .respond_with(ResponseTemplate::new(status))
}

async fn ok_server() -> MockServer {
    let server = MockServer::start().await;
    answer(200).with_priority(9).mount(&server).await;
    server
}

/// The fallback texts of the messages that were answered or not, in order.
async fn texts(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let text = |body: &Value| body["text"].as_str().unwrap().to_owned();
    requests
        .iter()
        .map(|r| text(&r.body_json().unwrap()))
        .collect()
}

async fn last_body(server: &MockServer) -> String {
    let requests = server.received_requests().await.unwrap();
    String::from_utf8(requests.last().unwrap().body.clone()).unwrap()
}

#[tokio::test]
async fn a_healthy_receiver_gets_one_message_per_evaluation() {
    let (server, log) = (ok_server().await, MemoryLog::new());
    let started = Started::new(&log, vec![receiver("oncall", &server.uri())]);
    log.push(news("flights", "dep_delay", Opened));
    log.push(news("flights", "carrier", Opened));
    log.push(news("flights", "dep_delay", Resolved));
    let mut history = news("flights", "air_time", Opened);
    history.news = false;
    log.push(history);
    log.push(news("trains", "dep_delay", Opened));
    started.metrics.until("oncall delivered", 4).await;
    started.stop().await;
    assert_eq!(
        texts(&server).await,
        [
            "1 feature likely drifted · flights: dep_delay PSI 0.410",
            "1 feature likely drifted · flights: carrier PSI 0.410",
            "1 feature back to normal · flights: dep_delay PSI 0.410",
            "1 feature likely drifted · trains: dep_delay PSI 0.410",
        ]
    );
}

#[tokio::test]
async fn a_restart_neither_repeats_nor_forgets() {
    let (server, log) = (ok_server().await, MemoryLog::new());
    let receivers = || vec![receiver("oncall", &server.uri())];
    log.push(news("flights", "air_time", Opened));
    let started = Started::new(&log, receivers());
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("delivered", 1).await;
    started.stop().await;
    log.push(news("flights", "carrier", Opened));
    let started = Started::new(&log, receivers());
    started.metrics.until("delivered", 1).await;
    started.stop().await;
    let texts = texts(&server).await;
    assert_eq!(
        texts.len(),
        2,
        "what was there before the receiver is not told: {texts:?}"
    );
    assert!(texts[0].contains("dep_delay") && texts[1].contains("carrier"));
}

#[tokio::test]
async fn a_server_error_is_tried_again_until_it_is_over() {
    let (server, log) = (ok_server().await, MemoryLog::new());
    answer(500).up_to_n_times(3).mount(&server).await;
    let started = Started::new(&log, vec![receiver("oncall", &server.uri())]);
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("delivered", 1).await;
    assert_eq!(started.metrics.get("retried"), 3);
    started.stop().await;
    assert!(!last_body(&server).await.contains("repeat"));
}

#[tokio::test]
async fn retry_after_is_honoured() {
    let (server, log) = (ok_server().await, MemoryLog::new());
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(429).insert_header("retry-after", "1"))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let started = Started::new(&log, vec![receiver("oncall", &server.uri())]);
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("retried", 1).await;
    let told_to_wait = std::time::Instant::now();
    started.metrics.until("delivered", 1).await;
    assert!(told_to_wait.elapsed() >= Duration::from_millis(990));
    assert_eq!(started.metrics.get("retried"), 1);
    started.stop().await;
}

#[tokio::test]
async fn a_message_without_an_answer_is_sent_again_and_says_so() {
    let (server, log) = (ok_server().await, MemoryLog::new());
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(60)))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let started = Started::new(&log, vec![receiver("oncall", &server.uri())]);
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("delivered", 1).await;
    started.stop().await;
    assert!(last_body(&server).await.contains("May repeat a message"));
}

#[tokio::test]
async fn a_message_in_flight_when_the_process_ended_says_that_it_may_repeat() {
    let (server, log) = (ok_server().await, MemoryLog::new());
    log.push(news("flights", "dep_delay", Opened));
    let cursor = r#"{"done":0,"monitors":{},"attempting":{"monitor":"flights","through":1}}"#;
    log.set_cursor("slack.oncall", cursor.as_bytes());
    log.push(news("flights", "carrier", Opened));
    let started = Started::new(&log, vec![receiver("oncall", &server.uri())]);
    started.metrics.until("delivered", 2).await;
    started.stop().await;
    let requests = server.received_requests().await.unwrap();
    let repeats = |i: usize| String::from_utf8_lossy(&requests[i].body).contains("May repeat");
    assert!(repeats(0) && !repeats(1));
}

#[tokio::test]
async fn a_refused_connection_loses_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let log = MemoryLog::new();
    let started = Started::new(&log, vec![receiver("oncall", &format!("http://{address}"))]);
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("retried", 2).await;
    let listener = TcpListener::bind(address).unwrap();
    let server = MockServer::builder().listener(listener).start().await;
    answer(200).mount(&server).await;
    started.metrics.until("delivered", 1).await;
    started.stop().await;
    assert_eq!(texts(&server).await.len(), 1);
}

#[tokio::test]
async fn changes_during_an_outage_become_one_message_of_what_remains() {
    let (server, log) = (MockServer::start().await, MemoryLog::new());
    let status = Arc::new(AtomicU16::new(503));
    let now = Arc::clone(&status);
    Mock::given(method("POST"))
        .respond_with(move |_: &Request| ResponseTemplate::new(now.load(Ordering::SeqCst)))
        .mount(&server)
        .await;
    let started = Started::new(&log, vec![receiver("oncall", &server.uri())]);
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("retried", 1).await;
    log.push(news("flights", "carrier", Opened));
    log.push(news("flights", "air_time", Opened));
    log.push(news("flights", "dep_delay", Resolved));
    let retried = started.metrics.get("retried");
    started.metrics.until("retried", retried + 2).await;
    status.store(200, Ordering::SeqCst);
    started.metrics.until("delivered", 1).await;
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("delivered", 2).await;
    started.stop().await;
    let texts = texts(&server).await;
    let [.., merged, later] = texts.as_slice() else {
        panic!("{texts:?}");
    };
    assert_eq!(
        merged,
        "2 features likely drifted · flights: carrier PSI 0.410, air_time PSI 0.410"
    );
    assert_eq!(
        later,
        "1 feature likely drifted · flights: dep_delay PSI 0.410"
    );
}

#[tokio::test]
async fn a_webhook_that_is_gone_waits_for_a_reload() {
    let (server, gone, log) = (
        ok_server().await,
        MockServer::start().await,
        MemoryLog::new(),
    );
    for status in [400, 403, 404, 410] {
        answer(status).up_to_n_times(1).mount(&gone).await;
    }
    let started = Started::new(&log, vec![receiver("oncall", &gone.uri())]);
    log.push(news("flights", "dep_delay", Opened));
    for refused in 1..=4 {
        started.metrics.until("refused", refused).await;
        assert_eq!(
            gone.received_requests().await.unwrap().len(),
            refused as usize
        );
        let url = if refused == 4 {
            server.uri()
        } else {
            gone.uri()
        };
        started
            .config
            .send_replace(notify(vec![receiver("oncall", &url)]));
    }
    started.metrics.until("delivered", 1).await;
    assert_eq!(started.metrics.get("refused"), 4);
    started.stop().await;
}

#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other() {
    let (server, log) = (ok_server().await, MemoryLog::new());
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging_url = format!("http://{}", hanging.local_addr().unwrap());
    let receivers = vec![
        receiver("hangs", &hanging_url),
        receiver("works", &server.uri()),
    ];
    let started = Started::new(&log, receivers);
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("works delivered", 1).await;
    started.metrics.until("hangs retried", 1).await;
    started.stop().await;
    assert_eq!(texts(&server).await.len(), 1);
}

#[tokio::test]
async fn receivers_come_and_go_with_a_reload() {
    let (server, log) = (ok_server().await, MemoryLog::new());
    let started = Started::new(&log, vec![receiver("a", &server.uri())]);
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("a delivered", 1).await;
    started
        .config
        .send_replace(notify(vec![receiver("b", &server.uri())]));
    // The cursor of the new receiver says that it has begun.
    while log.cursor("slack.b").is_none() {
        tokio::task::yield_now().await;
    }
    log.push(news("flights", "carrier", Opened));
    started.metrics.until("b delivered", 1).await;
    assert_eq!(started.metrics.get("delivered"), 2);
    started.stop().await;
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

struct Guard<'a>(MutexGuard<'a, Vec<u8>>);

impl Write for Guard<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Captured {
    type Writer = Guard<'a>;

    fn make_writer(&'a self) -> Guard<'a> {
        Guard(self.0.lock().unwrap())
    }
}

/// Everything this test binary logs. One subscriber for the whole process: one per test would race
/// with the others for tracing's cache of who listens.
fn logged() -> Captured {
    static LOG: LazyLock<Captured> = LazyLock::new(|| {
        let captured = Captured::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(captured.clone())
            .finish();
        tracing::subscriber::set_global_default(subscriber).expect("the only one");
        captured
    });
    LOG.clone()
}

#[tokio::test]
async fn the_log_says_each_cause_once_and_never_the_url() {
    let captured = logged();
    let (server, log) = (MockServer::start().await, MemoryLog::new());
    answer(500).up_to_n_times(4).mount(&server).await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(404).set_body_string(format!("no {SECRET} here")))
        .mount(&server)
        .await;
    let started = Started::new(&log, vec![receiver("logged", &server.uri())]);
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("refused", 1).await;
    started
        .config
        .send_replace(notify(vec![receiver("logged", "http://127.0.0.1:1")]));
    started.metrics.until("retried", 6).await;
    started.stop().await;
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(!text.contains("SECRET"), "{text}");
    let ours: Vec<&str> = text
        .lines()
        .filter(|l| l.contains("psiren::sink") && l.contains("logged"))
        .collect();
    let text = ours.join("\n");
    for cause in ["answered 500", "answered 404", "Connection refused"] {
        assert_eq!(text.matches(cause).count(), 1, "{cause}: {text}");
    }
}

#[tokio::test]
async fn a_test_message_goes_through_the_same_code() {
    let server = ok_server().await;
    let labels = [("env".to_owned(), "prod".to_owned())].into();
    send_test(&receiver("oncall", &server.uri()), &labels)
        .await
        .unwrap();
    insta::assert_snapshot!(last_body(&server).await);
}
