//! `GET /api/v1/monitors` and `/api/v1/monitors/{monitor}`: what is watched and how.

use axum::Json;
use axum::extract::{Path, State};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::Site;
use super::body::Checked;
use super::error::{ApiError, ErrorBody};
use super::state::MonitorHandle;
use super::status::MonitorStatus;
use crate::drift::{FeatureDefinition, Smoothing};

/// One line per monitor.
#[derive(Serialize, ToSchema)]
pub(super) struct MonitorList {
    monitors: Vec<MonitorEntry>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct MonitorEntry {
    monitor: String,
    topic: String,
    /// `stale` or the worst feature's status in the last closed window.
    status: &'static str,
    /// Number of features watched.
    features: usize,
    /// Number of open incidents.
    incidents: usize,
}

/// Where a monitor stands and how it judges.
#[derive(Serialize, ToSchema)]
pub(super) struct MonitorDetail {
    #[serde(flatten)]
    status: MonitorStatus,
    definition: DefinitionBody,
    /// Columns of the reference that are not watched.
    left_out: Vec<LeftOut>,
}

#[derive(Serialize, ToSchema)]
struct LeftOut {
    column: String,
    reason: String,
}

/// How a monitor judges.
#[derive(Serialize, ToSchema)]
struct DefinitionBody {
    /// Names the reference in every row: a hash of its edges and counts.
    reference: String,
    /// Names smoothing, thresholds and window size.
    definition: String,
    window_size_ms: i64,
    window_slide_ms: i64,
    window_offset_ms: i64,
    /// `null`: unlimited.
    lateness_ms: Option<i64>,
    /// `clip`, `replace`, `add` or `half`.
    smoothing: &'static str,
    epsilon: Option<f64>,
    /// The path of event time in an event; `null`: the record's timestamp.
    timestamp_field: Option<Vec<String>>,
}

impl DefinitionBody {
    fn of(monitor: &MonitorHandle) -> Self {
        let definition = &monitor.definition;
        let (smoothing, epsilon) = smoothing(definition.smoothing);
        let lateness_ms = definition.panes.lateness_ms;
        Self {
            reference: definition.reference_id.clone(),
            definition: definition.definition_id.clone(),
            window_size_ms: definition.window.size_ms,
            window_slide_ms: definition.window.slide_ms,
            window_offset_ms: definition.panes.offset_ms,
            lateness_ms: (lateness_ms < i64::MAX).then_some(lateness_ms),
            smoothing,
            epsilon,
            timestamp_field: monitor.config.timestamp.as_ref().map(|t| t.path.clone()),
        }
    }
}

fn smoothing(smoothing: Smoothing) -> (&'static str, Option<f64>) {
    match smoothing {
        Smoothing::Clip(epsilon) => ("clip", Some(epsilon)),
        Smoothing::Replace(epsilon) => ("replace", Some(epsilon)),
        Smoothing::Add(epsilon) => ("add", Some(epsilon)),
        Smoothing::Half => ("half", None),
    }
}

/// The monitor called `name`.
pub(super) fn find<'a>(site: &'a Site, name: &str) -> Result<&'a MonitorHandle, ApiError> {
    let monitors = site.monitors.iter();
    let names = monitors.clone().map(|m| m.config.name.as_str());
    monitors
        .clone()
        .find(|monitor| monitor.config.name == name)
        .ok_or_else(|| ApiError::unknown("monitor", name, names))
}

/// The feature of `monitor` called `name`.
pub(super) fn feature_of<'a>(
    monitor: &'a MonitorHandle,
    name: &str,
) -> Result<&'a FeatureDefinition, ApiError> {
    let definition = &monitor.definition;
    let names = definition.features.iter().map(FeatureDefinition::name);
    definition
        .feature(name)
        .ok_or_else(|| ApiError::unknown("feature", name, names))
}

#[utoipa::path(
    get,
    path = "/api/v1/monitors",
    tag = "figures",
    responses((status = 200, description = "every monitor", body = MonitorList)),
)]
pub(super) async fn list(State(site): State<Site>) -> Json<MonitorList> {
    let now = Timestamp::now();
    let entry = |monitor: &MonitorHandle| {
        let status = MonitorStatus::of(&site, monitor, now);
        MonitorEntry {
            monitor: status.monitor,
            topic: status.topic,
            status: status.status,
            features: status.features.len(),
            incidents: status.incidents.len(),
        }
    };
    Json(MonitorList {
        monitors: site.monitors.iter().map(entry).collect(),
    })
}

#[utoipa::path(
    get,
    path = "/api/v1/monitors/{monitor}",
    tag = "figures",
    params(("monitor" = String, Path, description = "name of the monitor")),
    responses(
        (status = 200, description = "where the monitor stands and how it judges", body = MonitorDetail),
        (status = 404, description = "no such monitor", body = ErrorBody),
    ),
)]
pub(super) async fn detail(
    State(site): State<Site>,
    Checked(Path(name)): Checked<Path<String>>,
) -> Result<Json<MonitorDetail>, ApiError> {
    let monitor = find(&site, &name)?;
    let left_out = monitor.left_out.iter().map(|(column, reason)| LeftOut {
        column: column.clone(),
        reason: reason.clone(),
    });
    Ok(Json(MonitorDetail {
        status: MonitorStatus::of(&site, monitor, Timestamp::now()),
        definition: DefinitionBody::of(monitor),
        left_out: left_out.collect(),
    }))
}
