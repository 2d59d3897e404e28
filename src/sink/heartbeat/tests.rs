use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::super::notifier::MonitorNotify;
use super::super::testing::{
    CountingMetrics, MemoryLog, definition, ended, entry, numeric, report,
};
use super::*;
use crate::state::EvaluatorState;

const SECRET: &str = "/ping/SECRET";
const FAST: Pace = Pace {
    deadline: Duration::from_secs(2),
    shortest: Duration::from_millis(5),
    longest: Duration::from_millis(20),
    grace: Duration::from_millis(100),
    refresh: Duration::from_secs(3600),
};

fn config(base: &str) -> Arc<NotifyConfig> {
    let monitor = |name: &str| {
        let notify = MonitorNotify {
            receivers: Vec::new(),
            definition: Arc::new(definition(name, vec![numeric("x")])),
            heartbeat_url: Some(format!("{base}{SECRET}").into()),
        };
        (name.to_owned(), notify)
    };
    Arc::new(NotifyConfig {
        monitors: [monitor("flights"), monitor("trains")].into(),
        ..NotifyConfig::default()
    })
}

struct Started {
    metrics: Arc<CountingMetrics>,
    shutdown: CancellationToken,
    config: watch::Sender<Arc<NotifyConfig>>,
    ready: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Started {
    fn new(log: &MemoryLog, base: &str) -> Self {
        let ctx = log.context();
        let (metrics, shutdown) = (CountingMetrics::new(), ctx.shutdown.clone());
        let config = watch::Sender::new(config(base));
        let ready = Arc::new(AtomicBool::new(true));
        let is_ready = Arc::clone(&ready);
        let task = tokio::spawn(heartbeats(
            FAST,
            ctx,
            config.subscribe(),
            Arc::new(move || is_ready.load(Ordering::SeqCst)),
            Arc::clone(&metrics) as _,
        ));
        Self {
            metrics,
            shutdown,
            config,
            ready,
            task,
        }
    }

    async fn stop(self) {
        ended(&self.shutdown, self.task).await;
    }
}

fn answer(status: u16) -> Mock {
    Mock::given(method("GET"))
        .and(path(SECRET))
        .respond_with(ResponseTemplate::new(status))
}

async fn server(status: u16) -> MockServer {
    let server = MockServer::start().await;
    answer(status).with_priority(9).mount(&server).await;
    server
}

async fn calls(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

fn evaluation(monitor: &str) -> LogEntry {
    entry(LogBody::Report(report(monitor, 1, Vec::new())))
}

#[tokio::test]
async fn a_window_that_closed_is_a_call_and_history_or_a_manual_check_is_none() {
    let (server, log) = (server(200).await, MemoryLog::new());
    log.push(evaluation("flights"));
    let started = Started::new(&log, &server.uri());
    let mut history = evaluation("flights");
    history.news = false;
    log.push(history);
    let mut manual = evaluation("flights");
    if let LogBody::Report(report) = &mut manual.body {
        report.trigger = Trigger::Manual;
    }
    log.push(manual);
    log.push(evaluation("trains"));
    started.metrics.until("heartbeat/trains delivered", 1).await;
    assert_eq!(started.metrics.get("delivered"), 1);
    started.stop().await;
    assert_eq!(calls(&server).await, 1);
}

#[tokio::test]
async fn three_attempts_fail_and_the_next_evaluation_calls_again() {
    let (server, log) = (server(200).await, MemoryLog::new());
    answer(503).up_to_n_times(3).mount(&server).await;
    let started = Started::new(&log, &server.uri());
    log.push(evaluation("flights"));
    started.metrics.until("retried", 3).await;
    log.push(evaluation("flights"));
    started.metrics.until("delivered", 1).await;
    assert_eq!(started.metrics.get("retried"), 3);
    started.stop().await;
    assert_eq!(calls(&server).await, 4);
}

#[tokio::test]
async fn a_refusal_is_not_repeated_and_another_address_holds_at_once() {
    let (gone, server, log) = (server(404).await, server(204).await, MemoryLog::new());
    let started = Started::new(&log, &gone.uri());
    log.push(evaluation("flights"));
    started.metrics.until("heartbeat/flights refused", 1).await;
    started.config.send_replace(config(&server.uri()));
    log.push(evaluation("flights"));
    started
        .metrics
        .until("heartbeat/flights delivered", 1)
        .await;
    started.stop().await;
    assert_eq!((calls(&gone).await, calls(&server).await), (1, 1));
}

#[tokio::test]
async fn nobody_is_called_for_a_stale_monitor() {
    let (server, log) = (server(200).await, MemoryLog::new());
    let started = Started::new(&log, &server.uri());
    let mut stale = EvaluatorState::default();
    stale.incidents.set_stale(true, 900.0, 0);
    log.push_with(&stale, evaluation("flights"));
    // When the call for another monitor has arrived, one for this would have, too.
    log.push(evaluation("trains"));
    started.metrics.until("heartbeat/trains delivered", 1).await;
    started.stop().await;
    assert_eq!(calls(&server).await, 1);
}

#[tokio::test]
async fn a_heartbeat_waits_until_psiren_is_ready() {
    let (server, log) = (server(200).await, MemoryLog::new());
    let started = Started::new(&log, &server.uri());
    started.ready.store(false, Ordering::SeqCst);
    for _ in 0..3 {
        log.push(evaluation("flights"));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(calls(&server).await, 0);
    started.ready.store(true, Ordering::SeqCst);
    started.metrics.until("delivered", 1).await;
    log.push(evaluation("trains"));
    started.metrics.until("heartbeat/trains delivered", 1).await;
    started.stop().await;
    assert_eq!(calls(&server).await, 2, "several evaluations are one call");
}

#[tokio::test]
async fn an_address_that_hangs_holds_up_no_other_monitor_and_no_end() {
    let (server, log) = (server(200).await, MemoryLog::new());
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hanging = format!("http://{}", hanging.local_addr().unwrap());
    let started = Started::new(&log, &server.uri());
    started.config.send_modify(|config| {
        let mut changed = (**config).clone();
        let flights = changed.monitors.get_mut("flights").unwrap();
        flights.heartbeat_url = Some(hanging.into());
        *config = Arc::new(changed);
    });
    log.push(evaluation("flights"));
    log.push(evaluation("trains"));
    started.metrics.until("heartbeat/trains delivered", 1).await;
    started.stop().await;
}
