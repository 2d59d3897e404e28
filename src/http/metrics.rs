//! `GET /metrics`: the Prometheus text format.

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;

use super::Site;

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operation",
    responses((status = 200, description = "metrics in the Prometheus text format", content_type = "text/plain", body = String)),
)]
pub(super) async fn metrics(State(site): State<Site>) -> impl IntoResponse {
    let app = &site.app;
    app.metrics.ready(app.health.held().is_empty());
    ([(header::CONTENT_TYPE, TEXT_FORMAT)], app.metrics.render())
}
