//! `POST /api/v1/reload`: reads the configuration again, as SIGHUP does. It takes no path.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::Site;
use super::error::{ApiError, ErrorBody};
use super::state::ReloadOutcome;

/// What a reload did.
#[derive(Serialize, ToSchema)]
pub(super) struct Reloaded {
    /// What changed and is in force now.
    applied: Vec<String>,
    /// What changed and waits for a restart.
    needs_restart: Vec<String>,
}

#[utoipa::path(
    post,
    path = "/api/v1/reload",
    tag = "change",
    responses(
        (status = 200, description = "the configuration was read again", body = Reloaded),
        (status = 401, description = "the token is missing or wrong", body = ErrorBody),
        (status = 403, description = "changes are off", body = ErrorBody),
        (status = 422, description = "the configuration was refused and the old one is in force", body = ErrorBody),
        (status = 503, description = "psiren is starting or stopping", body = ErrorBody),
    ),
    security(("token" = [])),
)]
pub(super) async fn reload(State(site): State<Site>) -> Result<Json<Reloaded>, ApiError> {
    let (answer, outcome) = oneshot::channel();
    let asked = site.app.reload.send(answer).await;
    let outcome = match asked {
        Ok(()) => outcome.await.ok(),
        Err(_) => None,
    };
    match outcome {
        Some(ReloadOutcome::Applied {
            applied,
            needs_restart,
        }) => Ok(Json(Reloaded {
            applied,
            needs_restart,
        })),
        Some(ReloadOutcome::Refused(why)) => {
            Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, why))
        }
        None => Err(ApiError::unavailable(
            "psiren is starting or stopping and cannot reload; try again later",
        )),
    }
}
