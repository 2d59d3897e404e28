//! `GET /api/v1/openapi.json`: the interface as an OpenAPI document.

use axum::Json;
use utoipa::openapi::OpenApi as Document;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    check, events, features, health, history, metrics, monitors, reload, series, silences, status,
};

#[derive(OpenApi)]
#[openapi(
    info(title = "psiren", description = "A drift alarm beside a Kafka topic."),
    paths(
        status::status,
        monitors::list,
        monitors::detail,
        features::detail,
        history::history,
        series::series,
        events::events,
        silences::list,
        silences::add,
        silences::end_now,
        check::check,
        reload::reload,
        metrics::metrics,
        health::livez,
        health::readyz,
    ),
    components(schemas(events::EvaluationEvent, events::StatusEvent)),
    tags(
        (name = "figures", description = "what was found"),
        (name = "change", description = "what changes something; needs the token where one is set"),
        (name = "operation", description = "for supervisors and Prometheus"),
    ),
    modifiers(&Token),
)]
struct Api;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut Document) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

pub(super) async fn document() -> Json<Document> {
    Json(openapi())
}

/// The interface as an OpenAPI document.
#[must_use]
pub fn openapi() -> Document {
    Api::openapi()
}
