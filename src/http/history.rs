//! `GET /api/v1/history`: evaluations out of the report log, as JSON or as the CSV file's rows.
#![expect(
    unused_qualifications,
    reason = "utoipa qualifies the type of the parameters"
)]

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Site;
use super::body::Checked;
use super::error::{ApiError, ErrorBody};
use super::figures::Evaluation;
use super::monitors::find;
use super::state::MonitorHandle;
use crate::drift::{DriftReport, FeatureDefinition};
use crate::sink::csv::row;
use crate::state::{LogBody, ReportLog, StateError};

const LIMIT: usize = 500;
const GREATEST_LIMIT: usize = 10_000;

/// What to look for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// Name of a monitor; without it, all of them.
    monitor: Option<String>,
    /// Name of a feature; without it, all of them.
    feature: Option<String>,
    /// Windows that end at or after this: RFC 3339 or milliseconds since the Unix epoch.
    from: Option<String>,
    /// Windows that end at or before this.
    to: Option<String>,
    /// The latest so many evaluations of each monitor; 500 unless told, 10,000 at most.
    limit: Option<usize>,
    /// `json` or `csv`; without it, what `Accept` asks for.
    #[param(inline)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    Json,
    Csv,
}

/// Evaluations in the order they were made, monitor by monitor.
#[derive(Serialize, ToSchema)]
pub(super) struct History {
    evaluations: Vec<Evaluation>,
}

#[utoipa::path(
    get,
    path = "/api/v1/history",
    tag = "figures",
    params(HistoryQuery),
    responses(
        (status = 200, description = "final and manual evaluations", content((History = "application/json"), (String = "text/csv"))),
        (status = 400, description = "a parameter cannot be read", body = ErrorBody),
        (status = 404, description = "no such monitor or feature", body = ErrorBody),
    ),
)]
pub(super) async fn history(
    State(site): State<Site>,
    Checked(Query(query)): Checked<Query<HistoryQuery>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let span = span(query.from.as_deref(), query.to.as_deref())?;
    let monitors = asked(&site, &query)?;
    let mut found = Vec::new();
    for monitor in monitors {
        let reports = read(&site.app.log, monitor, span, query.limit).await?;
        found.extend(reports.into_iter().map(|report| (monitor, report)));
    }
    let feature = query.feature.as_deref();
    match query.format.unwrap_or_else(|| accepted(&headers)) {
        Format::Csv => as_csv(found.iter().map(|(_, report)| report), feature),
        Format::Json => {
            let evaluations = found
                .iter()
                .map(|(monitor, report)| Evaluation::of(&monitor.definition, report, feature))
                .collect();
            Ok(Json(History { evaluations }).into_response())
        }
    }
}

/// The monitors to look at: the one asked for, or those that have the feature asked for.
fn asked<'a>(site: &'a Site, query: &HistoryQuery) -> Result<Vec<&'a MonitorHandle>, ApiError> {
    let monitors: Vec<&MonitorHandle> = match &query.monitor {
        Some(name) => vec![find(site, name)?],
        None => site.monitors.iter().collect(),
    };
    let Some(feature) = &query.feature else {
        return Ok(monitors);
    };
    let has = |monitor: &&&MonitorHandle| monitor.definition.feature(feature).is_some();
    let having: Vec<&MonitorHandle> = monitors.iter().filter(has).copied().collect();
    if having.is_empty() {
        let features = monitors.iter().flat_map(|m| &m.definition.features);
        let names = features.map(FeatureDefinition::name);
        return Err(ApiError::unknown("feature", feature, names));
    }
    Ok(having)
}

async fn read(
    log: &Arc<dyn ReportLog>,
    monitor: &MonitorHandle,
    (from_ms, to_ms): (i64, i64),
    limit: Option<usize>,
) -> Result<Vec<DriftReport>, ApiError> {
    let (log, name) = (Arc::clone(log), monitor.config.name.clone());
    let limit = limit.unwrap_or(LIMIT).min(GREATEST_LIMIT);
    let entries = blocking(move || log.history(&name, from_ms, to_ms, limit)).await?;
    let reports = entries.into_iter().filter_map(|entry| match entry.body {
        LogBody::Report(report) => Some(report),
        LogBody::Notice { .. } => None,
    });
    Ok(reports.collect())
}

/// Reads from the report log where that may block.
pub(super) async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, StateError> + Send + 'static,
) -> Result<T, ApiError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        ApiError::unavailable(format!("the history cannot be read: {error}"))
    };
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| unreadable(&error))?
        .map_err(|error| unreadable(&error))
}

fn as_csv<'a>(
    reports: impl Iterator<Item = &'a DriftReport>,
    feature: Option<&str>,
) -> Result<Response, ApiError> {
    let unwritable =
        |error: &dyn std::fmt::Display| ApiError::unavailable(format!("no CSV: {error}"));
    let mut csv = csv::Writer::from_writer(Vec::new());
    csv.write_record(row::HEADER).map_err(|e| unwritable(&e))?;
    for report in reports {
        let named = report.features.iter();
        for judged in named.filter(|f| feature.is_none_or(|only| *f.feature == *only)) {
            let row = row::row(report, judged);
            csv.write_record(row).map_err(|e| unwritable(&e))?;
        }
    }
    let bytes = csv.into_inner().map_err(|e| unwritable(&e))?;
    let headers = [
        (
            header::CONTENT_TYPE,
            "text/csv; charset=utf-8; header=present",
        ),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"psi.csv\"",
        ),
    ];
    Ok((headers, bytes).into_response())
}

fn accepted(headers: &HeaderMap) -> Format {
    let accept = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok());
    match accept {
        Some(accept) if accept.contains("text/csv") && !accept.contains("json") => Format::Csv,
        _ => Format::Json,
    }
}

/// The instants of `from` and `to`, open where they are not given.
pub(super) fn span(from: Option<&str>, to: Option<&str>) -> Result<(i64, i64), ApiError> {
    let from_ms = instant("from", from)?.unwrap_or(i64::MIN);
    let to_ms = instant("to", to)?.unwrap_or(i64::MAX);
    if from_ms > to_ms {
        return Err(ApiError::bad_request("from is later than to; swap them"));
    }
    Ok((from_ms, to_ms))
}

fn instant(name: &str, text: Option<&str>) -> Result<Option<i64>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let ms = text.parse::<i64>().ok();
    // In a query a plus means a space, so an offset typed as it is arrives with one.
    let rfc3339 = || text.replace(' ', "+").parse::<Timestamp>().ok();
    ms.or_else(|| Some(rfc3339()?.as_millisecond()))
        .map(Some)
        .ok_or_else(|| {
            ApiError::bad_request(format!(
                "{name} is {text:?}; give RFC 3339 like 2026-03-01T00:00:00Z, or milliseconds since the Unix epoch"
            ))
        })
}
