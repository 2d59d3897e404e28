//! `GET /api/v1/series`: PSI over time in columns, for sparklines and charts.
#![expect(
    unused_qualifications,
    reason = "utoipa qualifies the type of the parameters"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Site;
use super::body::Checked;
use super::columns::{Figure, MonitorColumns, Row};
use super::error::{ApiError, ErrorBody};
use super::history::{blocking, span};
use super::monitors::{feature_of, find};
use super::state::MonitorHandle;
use crate::drift::FeatureDefinition;

/// What to look for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SeriesQuery {
    /// Name of a monitor.
    monitor: String,
    /// Name of a feature; without it, all of them.
    feature: Option<String>,
    /// Windows that end at or after this: RFC 3339 or milliseconds since the Unix epoch.
    from: Option<String>,
    /// Windows that end at or before this.
    to: Option<String>,
    /// At most so many windows. Neighbours are put together: of each such group the greatest PSI
    /// of each feature, so that no peak is lost, and its last window's end, events and coverage.
    points: Option<usize>,
}

/// Windows that closed, ascending by their end, in columns of the same length.
#[derive(Serialize, ToSchema)]
pub(super) struct Series {
    monitor: String,
    window_size_ms: i64,
    window_slide_ms: i64,
    /// Milliseconds since the Unix epoch.
    window_end: Vec<i64>,
    /// Records counted in the window.
    events: Vec<u64>,
    coverage: Vec<f64>,
    features: BTreeMap<String, FeatureSeries>,
    /// Incidents of these features and of the whole topic, open at some time of the span.
    incidents: Vec<IncidentSpan>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct FeatureSeries {
    /// To six significant digits; `null` without values.
    psi: Vec<Option<f64>>,
    /// Places in `psi` of windows with too few values for a verdict.
    insufficient: Vec<usize>,
}

/// When an incident was open.
#[derive(Serialize, ToSchema)]
struct IncidentSpan {
    /// Empty for `stale`, which is about the whole topic and goes by the wall clock.
    feature: String,
    /// `psi`, `missing`, `invalid` or `stale`.
    reason: &'static str,
    /// The end of the window that opened it, in milliseconds since the Unix epoch.
    from: i64,
    /// The end of the window that ended it; `null` while it is open.
    to: Option<i64>,
}

/// What was asked, checked.
struct Asked {
    monitor: MonitorHandle,
    feature: Option<String>,
    from_ms: i64,
    to_ms: i64,
    points: usize,
}

#[utoipa::path(
    get,
    path = "/api/v1/series",
    tag = "figures",
    params(SeriesQuery),
    responses(
        (status = 200, description = "final evaluations in columns", body = Series),
        (status = 400, description = "a parameter cannot be read", body = ErrorBody),
        (status = 404, description = "no such monitor or feature", body = ErrorBody),
    ),
)]
pub(super) async fn series(
    State(site): State<Site>,
    Checked(Query(query)): Checked<Query<SeriesQuery>>,
) -> Result<Json<Series>, ApiError> {
    let asked = Asked::of(&site, query)?;
    let (log, columns) = (Arc::clone(&site.app.log), Arc::clone(&site.columns));
    let read = move || {
        let name = &asked.monitor.config.name;
        columns.with(&*log, name, |columns| Series::of(&asked, columns))
    };
    Ok(Json(blocking(read).await?))
}

impl Asked {
    fn of(site: &Site, query: SeriesQuery) -> Result<Self, ApiError> {
        let (from_ms, to_ms) = span(query.from.as_deref(), query.to.as_deref())?;
        let monitor = find(site, &query.monitor)?.clone();
        if let Some(feature) = &query.feature {
            feature_of(&monitor, feature)?;
        }
        if query.points == Some(0) {
            return Err(ApiError::bad_request("points is 0; ask for at least 1"));
        }
        Ok(Self {
            monitor,
            feature: query.feature,
            from_ms,
            to_ms,
            points: query.points.unwrap_or(usize::MAX),
        })
    }

    fn names(&self, feature: &str) -> bool {
        self.feature.as_ref().is_none_or(|only| only == feature)
    }
}

impl Series {
    fn of(asked: &Asked, columns: &MonitorColumns) -> Self {
        let windows = columns.windows(asked.from_ms, asked.to_ms);
        let groups = groups(&windows, asked.points);
        let last = groups.iter().filter_map(|group| group.last());
        let definition = &asked.monitor.definition;
        let features = definition.features.iter().map(FeatureDefinition::name);
        Self {
            monitor: definition.monitor.clone(),
            window_size_ms: definition.window.size_ms,
            window_slide_ms: definition.window.slide_ms,
            window_end: last.clone().map(|row| row.end_ms).collect(),
            events: last.clone().map(|row| row.events).collect(),
            coverage: last.map(|row| row.coverage).collect(),
            features: features
                .filter(|feature| asked.names(feature))
                .map(|feature| {
                    (
                        feature.to_owned(),
                        FeatureSeries::of(&groups, columns, feature),
                    )
                })
                .collect(),
            incidents: incidents(asked, columns),
        }
    }
}

impl FeatureSeries {
    fn of(groups: &[&[&Row]], columns: &MonitorColumns, feature: &str) -> Self {
        let place = columns.place(feature);
        let peak = |group: &&[&Row]| {
            let figures = group.iter().filter_map(|row| row.figure(place));
            figures.max_by(|a, b| a.psi.total_cmp(&b.psi))
        };
        let peaks: Vec<Option<Figure>> = groups.iter().map(peak).collect();
        let unjudged = |peak: &Option<Figure>| peak.is_some_and(|figure| !figure.judged);
        let places = peaks.iter().enumerate();
        Self {
            insufficient: places
                .filter(|(_, peak)| unjudged(peak))
                .map(|(i, _)| i)
                .collect(),
            psi: peaks.iter().map(|peak| Some(peak.as_ref()?.psi)).collect(),
        }
    }
}

/// `rows` in at most `points` groups of neighbours, as even as can be.
fn groups<T>(rows: &[T], points: usize) -> Vec<&[T]> {
    let points = points.min(rows.len());
    (0..points)
        .map(|i| &rows[i * rows.len() / points..(i + 1) * rows.len() / points])
        .collect()
}

/// Those that have ended, from the log, then those that are open.
fn incidents(asked: &Asked, columns: &MonitorColumns) -> Vec<IncidentSpan> {
    let past = columns.past().map(|incident| IncidentSpan {
        feature: incident.feature.clone(),
        reason: incident.reason.as_str(),
        from: incident.from_ms,
        to: Some(incident.to_ms),
    });
    let view = asked.monitor.view.borrow().clone();
    let open = view.incidents.iter().map(|incident| IncidentSpan {
        feature: incident.feature.clone(),
        reason: incident.reason.as_str(),
        from: incident.since_ms,
        to: None,
    });
    let wanted = |span: &IncidentSpan| {
        let named = span.feature.is_empty() || asked.names(&span.feature);
        named && span.from <= asked.to_ms && span.to.is_none_or(|to| to >= asked.from_ms)
    };
    past.chain(open).filter(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_even_and_hold_every_row_once() {
        let rows: Vec<u32> = (0..10).collect();
        let cut = |points| groups(&rows, points);
        assert_eq!(cut(3), [&rows[0..3], &rows[3..6], &rows[6..10]]);
        assert_eq!(cut(usize::MAX).len(), 10);
        assert_eq!(cut(1), [&rows[..]]);
        assert!(groups(&[] as &[u32], 5).is_empty());
    }
}
