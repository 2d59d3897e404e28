//! `GET /livez` and `GET /readyz`: for supervisors and load balancers.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::Site;

/// Whether the program's loops turn.
#[derive(Serialize, ToSchema)]
pub(super) struct Liveness {
    alive: bool,
    /// What has not turned for longer than it should, in words.
    stuck: Vec<String>,
}

/// Whether the program does its work.
#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    ready: bool,
    /// Why it is not ready, in words, by what holds it up; empty when ready.
    reasons: BTreeMap<String, String>,
}

#[utoipa::path(
    get,
    path = "/livez",
    tag = "operation",
    responses(
        (status = 200, description = "every loop turns", body = Liveness),
        (status = 503, description = "a loop has stopped turning; restart the process", body = Liveness),
    ),
)]
pub(super) async fn livez(State(site): State<Site>) -> (StatusCode, Json<Liveness>) {
    let stuck = site.app.health.stuck();
    let alive = stuck.is_empty();
    (code(alive), Json(Liveness { alive, stuck }))
}

#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operation",
    responses(
        (status = 200, description = "reference loaded, partitions assigned, state restored, broker reachable", body = Readiness),
        (status = 503, description = "not ready, with the reasons", body = Readiness),
    ),
)]
pub(super) async fn readyz(State(site): State<Site>) -> (StatusCode, Json<Readiness>) {
    let reasons = site.app.health.held();
    let ready = reasons.is_empty();
    (code(ready), Json(Readiness { ready, reasons }))
}

fn code(good: bool) -> StatusCode {
    match good {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    }
}
