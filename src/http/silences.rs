//! `/api/v1/silences`: for a while and for a reason, nobody is told of a feature's incidents.
//!
//! What a silence means is in [`crate::drift::silence`]. It outlives the process.

use std::fmt::Display;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;
use utoipa::ToSchema;

use super::Site;
use super::body::{Checked, JsonBody};
use super::error::{ApiError, ErrorBody};
use super::monitors::{feature_of, find};
use super::state::{MonitorHandle, SilenceChange, SilenceRequest};
use crate::config::durations;
use crate::drift::Silence;
use crate::text::rfc3339;

/// Silences a monitor may have at once.
const MOST: usize = 1_000;
/// Whoever wants to hear nothing for longer takes the feature or the receiver out of the
/// configuration.
const LONGEST_MS: i64 = 90 * 86_400_000;
const LONGEST_TEXT: usize = 500;

/// A silence that is asked for: until a time, or for a while from now.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SilenceBody {
    /// May be left out where there is one monitor only.
    monitor: Option<String>,
    /// Left out: the whole monitor, a silent topic included.
    feature: Option<String>,
    /// Such as `2h`, `1d 12h`; at most `90d`. This or `until`.
    #[serde(rename = "for")]
    span: Option<String>,
    /// RFC 3339. This or `for`.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// Why; required.
    reason: Option<String>,
    /// Who asks.
    by: Option<String>,
}

/// A silence that is not over.
#[derive(Serialize, ToSchema, PartialEq)]
pub(super) struct SilenceFigures {
    /// To end it by.
    id: String,
    monitor: String,
    /// `null`: the whole monitor.
    pub(super) feature: Option<String>,
    #[schema(format = DateTime)]
    from: Option<String>,
    #[schema(format = DateTime)]
    pub(super) until: Option<String>,
    pub(super) reason: String,
    by: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SilenceList {
    silences: Vec<SilenceFigures>,
}

impl SilenceFigures {
    pub(super) fn of(monitor: &str, silence: &Silence) -> Self {
        Self {
            id: format!("{monitor}.{}", silence.id),
            monitor: monitor.to_owned(),
            feature: silence.feature.clone(),
            from: rfc3339(silence.from_ms),
            until: rfc3339(silence.until_ms),
            reason: silence.reason.clone(),
            by: silence.by.clone(),
        }
    }

    /// Those of a monitor.
    pub(super) fn all(monitor: &MonitorHandle) -> Vec<Self> {
        let view = monitor.view.borrow();
        let silences = view.silences.iter();
        silences
            .map(|s| Self::of(&monitor.config.name, s))
            .collect()
    }
}

#[utoipa::path(
    get,
    path = "/api/v1/silences",
    tag = "figures",
    responses((status = 200, description = "the silences that are not over", body = SilenceList)),
)]
pub(super) async fn list(State(site): State<Site>) -> Json<SilenceList> {
    let silences = site.monitors.iter().flat_map(SilenceFigures::all).collect();
    Json(SilenceList { silences })
}

#[utoipa::path(
    post,
    path = "/api/v1/silences",
    tag = "change",
    request_body = SilenceBody,
    responses(
        (status = 201, description = "the silence is durable and in force", body = SilenceFigures),
        (status = 400, description = "it has no end, no reason, or an end that cannot be", body = ErrorBody),
        (status = 401, description = "the token is missing or wrong", body = ErrorBody),
        (status = 403, description = "changes are off", body = ErrorBody),
        (status = 404, description = "no such monitor or feature", body = ErrorBody),
        (status = 503, description = "it could not be stored", body = ErrorBody),
    ),
    security(("token" = [])),
)]
pub(super) async fn add(
    State(site): State<Site>,
    JsonBody(body): JsonBody<SilenceBody>,
) -> Result<(StatusCode, Json<SilenceFigures>), ApiError> {
    let monitor = asked_monitor(&site, body.monitor.as_deref())?;
    if let Some(feature) = &body.feature {
        feature_of(monitor, feature)?;
    }
    if monitor.view.borrow().silences.len() >= MOST {
        return Err(ApiError::bad_request(format!(
            "the monitor has {MOST} silences; end some, or silence the whole monitor"
        )));
    }
    let now = Timestamp::now().as_millisecond();
    let silence = Silence {
        id: 0,
        from_ms: now,
        until_ms: end(&body, now)?,
        reason: text("reason", body.reason)?.ok_or_else(|| {
            ApiError::bad_request(
                "the silence has no reason; say in \"reason\" why nobody is to be told",
            )
        })?,
        by: text("by", body.by)?,
        feature: body.feature,
    };
    let added = ask(monitor, SilenceChange::Add(silence)).await?;
    let added = added.ok_or_else(|| ApiError::unavailable("the silence was not added"))?;
    let name = &monitor.config.name;
    let figures = SilenceFigures::of(name, &added);
    Ok((StatusCode::CREATED, Json(figures)))
}

#[utoipa::path(
    delete,
    path = "/api/v1/silences/{id}",
    tag = "change",
    params(("id" = String, Path, description = "of the silence, as in the list")),
    responses(
        (status = 200, description = "the silence that has ended; what opened under it and is still open is told once history is read", body = SilenceFigures),
        (status = 401, description = "the token is missing or wrong", body = ErrorBody),
        (status = 403, description = "changes are off", body = ErrorBody),
        (status = 404, description = "no such silence", body = ErrorBody),
        (status = 503, description = "it could not be stored", body = ErrorBody),
    ),
    security(("token" = [])),
)]
pub(super) async fn end_now(
    State(site): State<Site>,
    Checked(Path(id)): Checked<Path<String>>,
) -> Result<Json<SilenceFigures>, ApiError> {
    let unknown = || {
        ApiError::new(
            StatusCode::NOT_FOUND,
            format!("no silence {id:?} is in force; /api/v1/silences lists those that are"),
        )
    };
    let (monitor, number) = id.rsplit_once('.').ok_or_else(unknown)?;
    let number: u64 = number.parse().map_err(|_| unknown())?;
    if format!("{monitor}.{number}") != id {
        return Err(unknown());
    }
    let mut monitors = site.monitors.iter();
    let monitor = monitors
        .find(|m| m.config.name == monitor)
        .ok_or_else(unknown)?;
    let ended = ask(monitor, SilenceChange::End(number)).await?;
    let ended = ended.ok_or_else(unknown)?;
    Ok(Json(SilenceFigures::of(&monitor.config.name, &ended)))
}

fn asked_monitor<'a>(site: &'a Site, name: Option<&str>) -> Result<&'a MonitorHandle, ApiError> {
    match (name, site.monitors.as_slice()) {
        (Some(name), _) => find(site, name),
        (None, [only]) => Ok(only),
        (None, _) => Err(ApiError::bad_request(
            "there are several monitors; name one in \"monitor\"",
        )),
    }
}

/// When the silence ends.
fn end(body: &SilenceBody, now_ms: i64) -> Result<i64, ApiError> {
    let refused = |what: &str, text: &str, why: &dyn Display| {
        ApiError::bad_request(format!("\"{what}\" is {text:?}: {why}"))
    };
    let (what, text, end) = match (&body.span, &body.until) {
        (Some(span), None) => {
            let ms = durations::parse(span).map_err(|why| refused("for", span, &why))?;
            ("for", span, now_ms.saturating_add(ms))
        }
        (None, Some(until)) => {
            let until_at: Timestamp = until.parse().map_err(|why| {
                refused(
                    "until",
                    until,
                    &format!("{why}; such as 2026-03-01T12:00:00Z"),
                )
            })?;
            ("until", until, until_at.as_millisecond())
        }
        _ => {
            return Err(ApiError::bad_request(
                "a silence ends by itself: give either \"for\", such as \"2h\", or \"until\", such as \"2026-03-01T12:00:00Z\"",
            ));
        }
    };
    if end <= now_ms {
        return Err(refused(what, text, &"a silence must end in the future"));
    }
    if end - now_ms > LONGEST_MS {
        return Err(refused(
            what,
            text,
            &"a silence lasts 90 days at most; to hear nothing for longer, take the feature or the receiver out of the configuration",
        ));
    }
    Ok(end)
}

/// A text that says something, without white space around it.
fn text(what: &str, text: Option<String>) -> Result<Option<String>, ApiError> {
    let text = text.map(|text| text.trim().to_owned());
    let text = text.filter(|text| !text.is_empty());
    if let Some(c) = text
        .iter()
        .flat_map(|text| text.chars())
        .find(|c| is_unwelcome(*c))
    {
        return Err(ApiError::bad_request(format!(
            "\"{what}\" holds the control character U+{:04X}; write plain text",
            u32::from(c)
        )));
    }
    match text.as_ref().map(|text| text.chars().count()) {
        Some(n) if n > LONGEST_TEXT => Err(ApiError::bad_request(format!(
            "\"{what}\" has {n} characters; {LONGEST_TEXT} are the most"
        ))),
        _ => Ok(text),
    }
}

/// Control characters, and those that turn the direction of text around.
fn is_unwelcome(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

async fn ask(monitor: &MonitorHandle, change: SilenceChange) -> Result<Option<Silence>, ApiError> {
    let stopping = || ApiError::unavailable("psiren is starting or stopping; try again later");
    let (reply, outcome) = oneshot::channel();
    let request = SilenceRequest { change, reply };
    let asked = monitor.silences.send(request).await;
    asked.map_err(|_| stopping())?;
    let outcome = outcome.await.map_err(|_| stopping())?;
    outcome.map_err(ApiError::unavailable)
}
