//! The path of `public_url`: a prefix the program answers under besides its own root.

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::http::uri::PathAndQuery;
use tower::util::MapRequest;

/// The path of a URL, without a slash at its end; empty when it has none.
pub(super) fn of(public_url: Option<&str>) -> String {
    let path = public_url
        .and_then(|url| url.parse::<Uri>().ok())
        .map(|uri| uri.path().trim_end_matches('/').to_owned());
    path.unwrap_or_default()
}

/// `routes`, reachable under `prefix` too.
pub(super) fn under(prefix: &str, routes: Router) -> Router {
    if prefix.is_empty() {
        return routes;
    }
    let prefix = prefix.to_owned();
    // The prefix has to go before routing, so the routes are a service inside another router.
    let stripped = MapRequest::new(routes, move |mut request: Request| {
        if let Some(uri) = strip(&prefix, request.uri()) {
            *request.uri_mut() = uri;
        }
        request
    });
    Router::new().fallback_service(stripped)
}

fn strip(prefix: &str, uri: &Uri) -> Option<Uri> {
    let rest = uri.path().strip_prefix(prefix)?;
    let path = match rest {
        "" => "/",
        rest if rest.starts_with('/') => rest,
        _ => return None,
    };
    let query = uri.query().map(|q| format!("?{q}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(format!("{path}{query}").parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_segments_are_a_prefix() {
        let strip = |path: &str| {
            let uri = path.parse::<Uri>().unwrap();
            strip("/psiren", &uri).map(|uri| uri.to_string())
        };
        assert_eq!(strip("/psiren").as_deref(), Some("/"));
        assert_eq!(strip("/psiren/").as_deref(), Some("/"));
        assert_eq!(
            strip("/psiren/metrics?a=1").as_deref(),
            Some("/metrics?a=1")
        );
        assert_eq!(strip("/psirens"), None);
        assert_eq!(strip("/metrics"), None);
    }

    #[test]
    fn the_prefix_is_the_path_of_the_url() {
        assert_eq!(
            of(Some("https://example.org/tools/psiren/")),
            "/tools/psiren"
        );
        assert_eq!(of(Some("https://example.org")), "");
        assert_eq!(of(None), "");
    }
}
