//! The HTTP interface over a program made of samples.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode, header};
use psiren::config::{BinningConfig, HttpConfig, MonitorConfig, OnLogChange, StartPosition};
use psiren::drift::{
    IncidentRules, MissingRule, OpenIncident, Reason, Smoothing, Thresholds, Trigger,
};
use psiren::health::Health;
use psiren::http::router;
use psiren::http::state::{
    AppState, CheckOutcome, MonitorHandle, MonitorView, ReloadOutcome, SilenceRequest,
};
use psiren::metrics::Metrics;
use psiren::state::local::LocalStore;
use psiren::state::{EvaluatorState, LogBody, LogEntry, ReportLog};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot, watch};
use tower::ServiceExt;

use super::sample::{DAY, END, definition, report};

/// Where a [`Site`] gets its questions answered.
pub(crate) type Checks = mpsc::Receiver<oneshot::Sender<Result<CheckOutcome, String>>>;

/// A program with one monitor, `flights`, that has closed two windows.
pub(crate) struct Site {
    pub(crate) router: Router,
    pub(crate) health: Health,
    pub(crate) log: Arc<LocalStore>,
    pub(crate) monitors: watch::Sender<Arc<Vec<MonitorHandle>>>,
    pub(crate) view: watch::Sender<Arc<MonitorView>>,
    pub(crate) checks: Checks,
    pub(crate) silences: mpsc::Receiver<SilenceRequest>,
    pub(crate) reloads: mpsc::Receiver<oneshot::Sender<ReloadOutcome>>,
}

pub(crate) fn http_config() -> HttpConfig {
    HttpConfig {
        listen: SocketAddr::from(([127, 0, 0, 1], 10774)),
        token: None,
        allowed_hosts: Vec::new(),
        public_url: None,
        dashboard_url: None,
        bucket_metrics: None,
    }
}

impl Site {
    pub(crate) fn new(config: HttpConfig) -> Self {
        let definition = definition();
        let metrics = Metrics::new(&[("env".to_owned(), "test".to_owned())].into(), None);
        metrics.monitor(&definition, "flights");
        let (view, viewed) = watch::channel(Arc::new(standing()));
        let (ask_check, checks) = mpsc::channel(1);
        let (ask_silence, silences) = mpsc::channel(1);
        let (reload, reloads) = mpsc::channel(1);
        let handle = MonitorHandle {
            config: Arc::new(monitor_config()),
            definition: Arc::new(definition),
            left_out: Arc::new(vec![("id".into(), "looks like an identifier".into())]),
            view: viewed,
            checks: ask_check,
            silences: ask_silence,
        };
        let (monitors, watched) = watch::channel(Arc::new(vec![handle]));
        let health = Health::default();
        let log = Arc::new(filled_log());
        let app = AppState {
            config: Arc::new(config),
            monitors: watched,
            log: log.clone(),
            health: health.clone(),
            metrics,
            log_head: watch::channel(2).1,
            reload,
        };
        Self {
            router: router(app),
            health,
            log,
            monitors,
            view,
            checks,
            silences,
            reloads,
        }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// The answer to a GET from this machine.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        self.answer(get(path)).await
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let (status, text) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn answer(&self, request: Request<Body>) -> (StatusCode, String) {
        let response = self.send(request).await;
        let status = response.status();
        let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }
}

pub(crate) fn get(path: &str) -> Request<Body> {
    let request = Request::get(path).header(header::HOST, "localhost:10774");
    request.body(Body::empty()).unwrap()
}

pub(crate) fn post(path: &str, body: &str) -> Request<Body> {
    Request::post(path)
        .header(header::HOST, "localhost:10774")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_owned()))
        .unwrap()
}

/// Where the monitor stands: a closed window, a live one, an incident.
fn standing() -> MonitorView {
    MonitorView {
        last_final: Some(Arc::new(report(Trigger::Final, 1.0))),
        live: Some(Arc::new(report(Trigger::Live, 1.0))),
        incidents: vec![OpenIncident {
            feature: "dep_delay".into(),
            reason: Reason::Psi,
            since_ms: END,
            value: 3.126,
        }],
        silences: Vec::new(),
        caught_up: true,
        stale: false,
        evaluated_at_ms: Some(END + 300_000),
        last_counted_at_ms: Some(END + 299_000),
        waiting_for: None,
    }
}

fn filled_log() -> LocalStore {
    let log = LocalStore::in_memory().unwrap();
    let mut before = report(Trigger::Final, 0.5);
    before.window.start_ms -= DAY;
    before.window.end_ms -= DAY;
    let entries = [before, report(Trigger::Final, 1.0)].map(|report| LogEntry {
        monitor: report.monitor.clone(),
        written_at_ms: report.window.end_ms + 300_000,
        news: true,
        body: LogBody::Report(report),
    });
    log.commit("flights", &EvaluatorState::default(), &entries, None)
        .unwrap();
    log
}

fn monitor_config() -> MonitorConfig {
    let definition = definition();
    MonitorConfig {
        name: "flights".into(),
        topic: "flights".into(),
        timestamp: None,
        reference: PathBuf::from("reference.parquet"),
        filters: Vec::new(),
        include: vec!["*".into()],
        exclude: Vec::new(),
        panes: definition.panes,
        window: definition.window,
        smoothing: Smoothing::default(),
        binning: BinningConfig::default(),
        thresholds: Thresholds::default(),
        min_events: None,
        missing: MissingRule::default(),
        incidents: IncidentRules::default(),
        repeat_after_ms: 12 * 3_600_000,
        alert_max_age_ms: 3_600_000,
        idle_timeout_ms: 10_000,
        live_interval_ms: 500,
        stale_after_ms: 900_000,
        heartbeat_url: None,
        notify: Vec::new(),
        start: StartPosition::Earliest,
        on_log_change: OnLogChange::Stop,
        strict: false,
        features: Vec::new(),
    }
}
