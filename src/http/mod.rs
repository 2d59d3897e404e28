//! The HTTP interface: status, history, the trigger, metrics, health and a page on one port.
//!
//! Handlers read what the program shows in [`state::AppState`] and ask it for changes;
//! they decide nothing and know neither Kafka nor PSI. `guard` says who may ask, `serve` is the
//! accept loop with its limits.

mod body;
mod check;
mod columns;
mod error;
mod events;
mod features;
mod figures;
mod guard;
mod headers;
mod health;
mod history;
mod metrics;
mod monitors;
pub mod openapi;
mod page;
mod prefix;
mod reload;
mod series;
pub mod serve;
mod silences;
pub mod state;
mod status;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRef, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Router, http::Method};
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use error::ApiError;
use state::{AppState, MonitorHandle};

pub use serve::serve;

const LARGEST_BODY: usize = 64 * 1024;
const LONGEST_REQUEST: Duration = Duration::from_secs(10);

/// What every handler has at hand.
#[derive(Clone)]
struct Site {
    app: AppState,
    /// The monitors as they are while this request is answered; a reload replaces them.
    monitors: Arc<Vec<MonitorHandle>>,
    guard: Arc<guard::Guard>,
    flights: Arc<check::Flights>,
    columns: Arc<columns::Cache>,
    streams: Arc<events::Streams>,
    /// The path of `public_url`, without a slash at its end; empty when there is none.
    prefix: Arc<str>,
}

/// What the routes share; each request gets its own [`Site`] of it.
#[derive(Clone)]
struct Shared(Site);

impl FromRef<Shared> for Site {
    fn from_ref(Shared(site): &Shared) -> Self {
        let monitors = Arc::clone(&site.app.monitors.borrow());
        Self {
            monitors,
            ..site.clone()
        }
    }
}

/// Every route, with its limits and guards.
pub fn router(app: AppState) -> Router {
    let prefix: Arc<str> = prefix::of(app.config.public_url.as_deref()).into();
    let site = Shared(Site {
        guard: Arc::new(guard::Guard::new(&app.config)),
        flights: Arc::default(),
        columns: Arc::default(),
        streams: Arc::default(),
        prefix: Arc::clone(&prefix),
        monitors: Arc::default(),
        app,
    });
    let changes = middleware::from_fn_with_state(site.clone(), guard::changes);
    let routes = Router::new()
        .route("/", get(page::page))
        .route("/page.css", get(page::style))
        .route("/page.js", get(page::script))
        .route("/api/v1/status", get(status::status))
        .route("/api/v1/monitors", get(monitors::list))
        .route("/api/v1/monitors/{monitor}", get(monitors::detail))
        .route(
            "/api/v1/monitors/{monitor}/features/{feature}",
            get(features::detail),
        )
        .route("/api/v1/history", get(history::history))
        .route("/api/v1/series", get(series::series))
        .route("/api/v1/events", get(events::events))
        .route(
            "/api/v1/silences",
            post(silences::add)
                .route_layer(changes.clone())
                .get(silences::list),
        )
        .route(
            "/api/v1/silences/{id}",
            delete(silences::end_now).route_layer(changes.clone()),
        )
        .route(
            "/api/v1/check",
            post(check::check).route_layer(changes.clone()),
        )
        .route("/api/v1/reload", post(reload::reload).route_layer(changes))
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/metrics", get(metrics::metrics))
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .fallback(unknown_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(middleware::from_fn_with_state(
            site.clone(),
            guard::addressed,
        ))
        .layer(middleware::from_fn_with_state(LONGEST_REQUEST, in_time))
        .layer(middleware::map_response(headers::protect))
        // Tables of hundreds of features shrink to a tenth. Event streams are left as they are.
        .layer(CompressionLayer::new().quality(CompressionLevel::Fastest))
        .with_state(site);
    prefix::under(&prefix, routes)
}

async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::slow(limit).into_response(),
    }
}

async fn unknown_path(request: Request) -> ApiError {
    ApiError::unknown_path(request.uri().path())
}

async fn wrong_method(method: Method, request: Request) -> ApiError {
    ApiError::wrong_method(&method, request.uri().path())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes};
    use axum::http::StatusCode;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let limit = Duration::from_millis(20);
        let router = Router::new()
            .route("/", post(async |_: Bytes| "read"))
            .layer(middleware::from_fn_with_state(limit, in_time));
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let request = Request::post("/").body(Body::from_stream(never)).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
    }
}
