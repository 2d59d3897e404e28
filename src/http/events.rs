//! `GET /api/v1/events`: server-sent events, so that a page shows an evaluation when it is made.
//!
//! A stream looks at what the handlers see twice a second and tells what has changed since, so
//! however fast psiren evaluates, nobody is told more than the latest state at that pace. The
//! first look tells everything.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::http::HeaderName;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior};
use utoipa::ToSchema;

use super::Site;
use super::error::{ApiError, ErrorBody};
use super::figures::{Window, worst};
use super::serve::{Connection, Occupied};
use super::silences::SilenceFigures;
use super::state::{AppState, MonitorHandle, MonitorView};
use crate::drift::DriftReport;
use crate::text::rfc3339;

const MOST: usize = 64;
const PACE: Duration = Duration::from_millis(500);
/// Proxies close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// nginx holds back what it proxies unless told.
const UNBUFFERED: (HeaderName, &str) = (HeaderName::from_static("x-accel-buffering"), "no");

/// The streams that are open.
pub(super) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// The data of `event: evaluation`: what was found, in short.
#[derive(Serialize, ToSchema)]
pub(super) struct EvaluationEvent {
    monitor: String,
    /// `final`, `live` or `manual`.
    trigger: &'static str,
    window: Window,
    /// Wall clock of the monitor's last evaluation of any sort.
    evaluated_at: Option<String>,
    /// The worst feature's.
    status: &'static str,
    /// Number of features by status.
    features: BTreeMap<&'static str, usize>,
}

/// The data of `event: status`: all that a page shows beside figures.
#[derive(Serialize, ToSchema, PartialEq)]
pub(super) struct StatusEvent {
    ready: bool,
    /// Why it is not ready, in words.
    reasons: BTreeMap<String, String>,
    monitors: Vec<MonitorEvent>,
}

#[derive(Serialize, ToSchema, PartialEq)]
struct MonitorEvent {
    monitor: String,
    definition: String,
    stale: bool,
    caught_up: bool,
    waiting_for: Option<String>,
    incidents: Vec<IncidentEvent>,
    silences: Vec<SilenceFigures>,
}

#[derive(Serialize, ToSchema, PartialEq)]
struct IncidentEvent {
    feature: String,
    reason: &'static str,
    since: Option<String>,
}

#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "figures",
    responses(
        (
            status = 200,
            description = "`event: evaluation` with an EvaluationEvent whenever a monitor was evaluated, `event: status` with a StatusEvent whenever anything else has changed, both at once when the stream begins; at most twice a second, with the number of the report log's last entry as id, and a comment every 15 s",
            body = String, content_type = "text/event-stream",
        ),
        (status = 503, description = "as many streams are open as psiren serves", body = ErrorBody),
    ),
)]
pub(super) async fn events(
    State(site): State<Site>,
    connection: Option<Extension<Connection>>,
) -> Result<impl IntoResponse, ApiError> {
    let permit = Arc::clone(&site.streams.0).try_acquire_owned();
    let permit = permit.map_err(|_| {
        ApiError::unavailable(format!(
            "{MOST} event streams are open, as many as psiren serves; ask /api/v1/status from time to time instead"
        ))
    })?;
    let connection = connection.map(|Extension(connection)| connection);
    let occupied = connection.as_ref().map(Connection::occupy);
    let news = Watcher::new(site.app, permit, occupied).news();
    let news = news.take_until(async move {
        match connection {
            Some(connection) => connection.stopping.cancelled_owned().await,
            None => std::future::pending().await,
        }
    });
    Ok(([UNBUFFERED], answer(news, KEEP_ALIVE)))
}

type News = Result<Event, axum::Error>;

fn answer<S>(news: S, keep_alive: Duration) -> Sse<impl Stream<Item = News>>
where
    S: Stream<Item = News> + Send + 'static,
{
    Sse::new(news).keep_alive(KeepAlive::new().interval(keep_alive))
}

/// What one client has been told.
struct Watcher {
    app: AppState,
    look: Interval,
    views: BTreeMap<String, Arc<MonitorView>>,
    status: Option<StatusEvent>,
    untold: VecDeque<News>,
    /// One of the [`MOST`], and the connection's seat.
    _place: (OwnedSemaphorePermit, Option<Occupied>),
}

impl Watcher {
    fn new(app: AppState, permit: OwnedSemaphorePermit, occupied: Option<Occupied>) -> Self {
        let mut look = tokio::time::interval(PACE);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            app,
            look,
            views: BTreeMap::new(),
            status: None,
            untold: VecDeque::new(),
            _place: (permit, occupied),
        }
    }

    fn news(self) -> impl Stream<Item = News> + Send {
        stream::unfold(self, async |mut watcher| {
            loop {
                if let Some(news) = watcher.untold.pop_front() {
                    return Some((news, watcher));
                }
                watcher.look.tick().await;
                watcher.compare();
            }
        })
    }

    /// Notes what is not as it was told.
    fn compare(&mut self) {
        let monitors = Arc::clone(&self.app.monitors.borrow());
        for monitor in monitors.iter() {
            let view = Arc::clone(&monitor.view.borrow());
            let told = self
                .views
                .insert(monitor.config.name.clone(), Arc::clone(&view));
            for report in new_reports(told.as_deref(), &view) {
                let event = EvaluationEvent::of(&view, report);
                self.tell("evaluation", &event);
            }
        }
        let reasons = self.app.health.held();
        let status = StatusEvent {
            ready: reasons.is_empty(),
            reasons,
            monitors: monitors.iter().map(MonitorEvent::of).collect(),
        };
        if self.status.as_ref() != Some(&status) {
            self.tell("status", &status);
            self.status = Some(status);
        }
    }

    fn tell(&mut self, event: &str, data: &impl Serialize) {
        let id = self.app.log_head.borrow().to_string();
        let event = Event::default().event(event).id(id).json_data(data);
        self.untold.push_back(event);
    }
}

/// The reports of `view` that `told` does not have.
fn new_reports<'a>(
    told: Option<&MonitorView>,
    view: &'a MonitorView,
) -> impl Iterator<Item = &'a DriftReport> {
    let is_new = |now: &Arc<DriftReport>, before: Option<&Arc<DriftReport>>| {
        before.is_none_or(|before| !Arc::ptr_eq(now, before))
    };
    let last_final = told.and_then(|view| view.last_final.as_ref());
    let last_final = view
        .last_final
        .as_ref()
        .filter(|now| is_new(now, last_final));
    let live = told.and_then(|view| view.live.as_ref());
    let live = view.live.as_ref().filter(|now| is_new(now, live));
    last_final.into_iter().chain(live).map(AsRef::as_ref)
}

impl EvaluationEvent {
    fn of(view: &MonitorView, report: &DriftReport) -> Self {
        let mut features = BTreeMap::new();
        for feature in &report.features {
            *features.entry(feature.status.as_str()).or_default() += 1;
        }
        Self {
            monitor: report.monitor.clone(),
            trigger: report.trigger.as_str(),
            window: Window::of(report.window),
            evaluated_at: view.evaluated_at_ms.and_then(rfc3339),
            status: worst(report).as_str(),
            features,
        }
    }
}

impl MonitorEvent {
    fn of(monitor: &MonitorHandle) -> Self {
        let view = Arc::clone(&monitor.view.borrow());
        let incidents = view.incidents.iter().map(|incident| IncidentEvent {
            feature: incident.feature.clone(),
            reason: incident.reason.as_str(),
            since: rfc3339(incident.since_ms),
        });
        Self {
            monitor: monitor.config.name.clone(),
            definition: monitor.definition.definition_id.clone(),
            stale: view.stale,
            caught_up: view.caught_up,
            waiting_for: view.waiting_for.clone(),
            incidents: incidents.collect(),
            silences: SilenceFigures::all(monitor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_silent_stream_says_that_it_is_there() {
        let silent = answer(stream::pending(), Duration::from_millis(10));
        let mut body = silent.into_response().into_body().into_data_stream();
        for _ in 0..2 {
            let chunk = body.next().await.unwrap().unwrap();
            assert_eq!(&chunk[..], b":\n\n");
        }
    }
}
