//! `GET /api/v1/status`: where every monitor stands.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Site;
use super::figures::{Evaluation, FeatureFigures, Incident, Window, worst};
use super::silences::SilenceFigures;
use super::state::{MonitorHandle, MonitorView};
use crate::drift::{DriftReport, DriftStatus};
use crate::text::{dashboard_of, rfc3339};

/// Where the program stands.
#[derive(Serialize, ToSchema)]
pub(super) struct Status {
    pub(super) version: &'static str,
    pub(super) ready: bool,
    /// Why it is not ready, in words.
    pub(super) reasons: BTreeMap<String, String>,
    #[schema(format = DateTime)]
    pub(super) now: Option<String>,
    pub(super) monitors: Vec<MonitorStatus>,
}

/// Where one monitor stands: the figures of the last window that closed.
#[derive(Serialize, ToSchema)]
pub(super) struct MonitorStatus {
    pub(super) monitor: String,
    pub(super) topic: String,
    /// The monitor's Grafana dashboard, where one is configured.
    pub(super) dashboard_url: Option<String>,
    /// `stale` or the worst feature's status.
    pub(super) status: &'static str,
    pub(super) status_text: &'static str,
    pub(super) stale: bool,
    /// Every partition was read to its end.
    pub(super) caught_up: bool,
    /// Why there is no figure yet, in words.
    pub(super) waiting_for: Option<String>,
    /// The last window that closed, and what it is made of.
    pub(super) window: Option<Window>,
    pub(super) coverage: Option<f64>,
    filling: bool,
    closed_by: Option<&'static str>,
    pub(super) events: Option<u64>,
    /// Wall clock of the last evaluation of any sort.
    #[schema(format = DateTime)]
    pub(super) evaluated_at: Option<String>,
    pub(super) evaluation_age_seconds: Option<f64>,
    /// Wall clock of the last counted event.
    #[schema(format = DateTime)]
    last_counted_at: Option<String>,
    pub(super) incidents: Vec<Incident>,
    /// Those that are not over.
    pub(super) silences: Vec<SilenceFigures>,
    pub(super) features: Vec<FeatureStatus>,
    /// The window up to the newest event.
    live: Option<Evaluation>,
}

/// One feature in the last closed window.
#[derive(Serialize, ToSchema)]
pub(super) struct FeatureStatus {
    #[serde(flatten)]
    pub(super) figures: FeatureFigures,
    /// In the window up to the newest event.
    pub(super) psi_live: Option<f64>,
    /// Reasons of its open incidents.
    pub(super) incidents: Vec<&'static str>,
}

impl Status {
    pub(super) fn of(site: &Site) -> Self {
        let now = Timestamp::now();
        let reasons = site.app.health.held();
        let monitors = site.monitors.iter();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            ready: reasons.is_empty(),
            reasons,
            now: rfc3339(now.as_millisecond()),
            monitors: monitors.map(|m| MonitorStatus::of(site, m, now)).collect(),
        }
    }
}

impl MonitorStatus {
    pub(super) fn of(site: &Site, monitor: &MonitorHandle, now: Timestamp) -> Self {
        let view = monitor.view.borrow().clone();
        let last = view.last_final.as_deref();
        let (status, status_text) = standing(&view);
        let dashboard = site.app.config.dashboard_url.as_deref();
        let age_ms = |at: i64| (now.as_millisecond() - at).max(0);
        Self {
            monitor: monitor.config.name.clone(),
            topic: monitor.config.topic.clone(),
            dashboard_url: dashboard.map(|url| dashboard_of(url, &monitor.config.name)),
            status,
            status_text,
            stale: view.stale,
            caught_up: view.caught_up,
            waiting_for: view.waiting_for.clone(),
            window: last.map(|report| Window::of(report.window)),
            coverage: last.map(|report| report.coverage),
            filling: last.is_some_and(DriftReport::is_filling),
            closed_by: last.map(|report| report.closed_by.as_str()),
            events: last.map(|report| report.events),
            evaluated_at: view.evaluated_at_ms.and_then(rfc3339),
            evaluation_age_seconds: view.evaluated_at_ms.map(|at| age_ms(at) as f64 / 1000.0),
            last_counted_at: view.last_counted_at_ms.and_then(rfc3339),
            incidents: view.incidents.iter().map(Incident::of).collect(),
            silences: SilenceFigures::all(monitor),
            features: features(monitor, &view),
            live: view
                .live
                .as_deref()
                .map(|report| Evaluation::of(&monitor.definition, report, None)),
        }
    }
}

fn standing(view: &MonitorView) -> (&'static str, &'static str) {
    if view.stale {
        return ("stale", "stale");
    }
    let last = view.last_final.as_deref();
    let status = last.map_or(DriftStatus::InsufficientData, worst);
    (status.as_str(), status.words())
}

fn features(monitor: &MonitorHandle, view: &MonitorView) -> Vec<FeatureStatus> {
    let open = |feature: &str| {
        let own = view.incidents.iter().filter(|i| i.feature == feature);
        own.map(|i| i.reason.as_str()).collect()
    };
    let definitions = monitor.definition.features.iter();
    definitions
        .map(|feature| {
            let name = feature.name();
            let last = view.last_final.as_deref();
            let judged = last.and_then(|r| Some((r.feature(name)?, r.is_filling())));
            let live = view.live.as_deref().and_then(|r| r.feature(name));
            FeatureStatus {
                figures: FeatureFigures::of(feature, judged),
                psi_live: live.and_then(|report| report.psi),
                incidents: open(name),
            }
        })
        .collect()
}

#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "figures",
    responses((status = 200, description = "where every monitor stands", body = Status)),
)]
pub(super) async fn status(State(site): State<Site>) -> Json<Status> {
    Json(Status::of(&site))
}
