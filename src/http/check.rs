//! `POST /api/v1/check`: evaluate now. Concurrent calls for a monitor share one evaluation.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::extract::State;
use futures_util::future::{BoxFuture, FutureExt, Shared, join_all};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::Site;
use super::body::JsonBody;
use super::error::{ApiError, ErrorBody};
use super::figures::Evaluation;
use super::monitors::find;
use super::state::{CheckOutcome, MonitorHandle};

/// What to check.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckRequest {
    /// Name of a monitor; without it, all of them.
    #[serde(default)]
    monitor: Option<String>,
}

/// What was found.
#[derive(Serialize, ToSchema)]
pub(super) struct CheckResponse {
    monitors: Vec<MonitorCheck>,
}

#[derive(Serialize, ToSchema)]
struct MonitorCheck {
    monitor: String,
    /// The last window that closed.
    last_final: Option<Evaluation>,
    /// The window up to the newest event, evaluated now and written to every sink.
    live: Option<Evaluation>,
    /// Why there was no evaluation, in words.
    error: Option<String>,
}

type Found = Result<CheckOutcome, String>;
type Flight = Shared<BoxFuture<'static, Found>>;

/// The checks that are under way, by monitor.
#[derive(Default)]
pub(super) struct Flights(Mutex<BTreeMap<String, Flight>>);

impl Flights {
    /// The check of `monitor` that is under way, or a new one.
    fn join(&self, monitor: &MonitorHandle) -> Flight {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &monitor.config.name;
        if let Some(flight) = flights.get(name).filter(|flight| flight.peek().is_none()) {
            return flight.clone();
        }
        // A task of its own, so that it ends even when every caller has gone.
        let flight = tokio::spawn(ask(monitor.clone()))
            .map(|done| done.unwrap_or_else(|stopped| Err(stopped.to_string())))
            .boxed()
            .shared();
        flights.insert(name.clone(), flight.clone());
        flight
    }
}

async fn ask(monitor: MonitorHandle) -> Found {
    let stopping = || "psiren is starting or stopping; try again later".to_owned();
    let (answer, outcome) = oneshot::channel();
    let asked = monitor.checks.send(answer).await;
    asked.map_err(|_| stopping())?;
    outcome.await.map_err(|_| stopping())?
}

impl MonitorCheck {
    fn of(monitor: &MonitorHandle, found: Found) -> Self {
        let (outcome, error) = match found {
            Ok(outcome) => (Some(outcome), None),
            Err(error) => (None, Some(error)),
        };
        let (last_final, live) = outcome.map_or((None, None), |o| (o.last_final, o.live));
        let figures = |report: &_| Evaluation::of(&monitor.definition, report, None);
        Self {
            monitor: monitor.config.name.clone(),
            last_final: last_final.as_deref().map(figures),
            live: live.as_deref().map(figures),
            error,
        }
    }
}

#[utoipa::path(
    post,
    path = "/api/v1/check",
    tag = "change",
    request_body = CheckRequest,
    responses(
        (status = 200, description = "the last final and the live figures, each with its window; a monitor that could not be checked says why", body = CheckResponse),
        (status = 401, description = "the token is missing or wrong", body = ErrorBody),
        (status = 403, description = "changes are off", body = ErrorBody),
        (status = 404, description = "no such monitor", body = ErrorBody),
        (status = 503, description = "nothing could be checked", body = ErrorBody),
    ),
    security(("token" = [])),
)]
pub(super) async fn check(
    State(site): State<Site>,
    JsonBody(request): JsonBody<CheckRequest>,
) -> Result<Json<CheckResponse>, ApiError> {
    let asked: Vec<&MonitorHandle> = match &request.monitor {
        Some(name) => vec![find(&site, name)?],
        None => site.monitors.iter().collect(),
    };
    let found = join_all(asked.iter().map(|monitor| site.flights.join(monitor))).await;
    let checks = asked.iter().zip(found);
    let monitors: Vec<_> = checks
        .map(|(m, found)| MonitorCheck::of(m, found))
        .collect();
    match monitors.iter().map(|m| m.error.as_deref()).collect() {
        Some(errors) if !monitors.is_empty() => {
            let errors: Vec<&str> = errors;
            Err(ApiError::unavailable(errors.join("; ")))
        }
        _ => Ok(Json(CheckResponse { monitors })),
    }
}
