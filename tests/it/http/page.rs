//! The page: what the server sends of it. What a browser makes of it is another test's.

use std::sync::Arc;

use axum::http::{StatusCode, header};
use psiren::config::HttpConfig;
use psiren::http::state::MonitorView;

use super::site;
use crate::support::site::{Site, get, http_config};

/// Bytes of everything a browser loads before the first figures.
const BUDGET: usize = 100_000;

#[tokio::test]
async fn the_page_lists_the_worst_feature_first_and_names_as_text() {
    let mut hostile = MonitorView::clone(&site().view.borrow());
    hostile.waiting_for = Some("<img src=x onerror=alert(1)> {now}".into());
    let site = Site::new(HttpConfig {
        public_url: Some("https://example.org/drift".into()),
        ..http_config()
    });
    site.view.send(Arc::new(hostile)).unwrap();
    site.health.hold("broker", "no broker & no hope");
    let (status, page) = site.get("/drift").await;
    assert_eq!(status, StatusCode::OK);
    assert!(!page.contains("<img") && page.contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(page.contains("<li>no broker &amp; no hope</li>"));
    assert!(!page.contains(" style="));
    let place = |feature: &str| page.find(&format!("features/{feature}\"")).unwrap();
    assert!(place("dep_delay") < place("carrier") && place("carrier") < place("gate"));
    assert!(page.contains("likely drift") && page.contains("open incident: psi"));
}

#[tokio::test]
async fn the_page_loads_what_it_needs_from_beside_itself() {
    let site = Site::new(HttpConfig {
        public_url: Some("https://example.org/drift".into()),
        ..http_config()
    });
    let (_, page) = site.get("/drift/").await;
    let mut loaded = page.len();
    for (mark, path, kind) in [
        (
            "<link rel=\"stylesheet\" href=\"/drift/page.css\">",
            "/drift/page.css",
            "text/css",
        ),
        (
            "<script type=\"module\" src=\"/drift/page.js\"></script>",
            "/drift/page.js",
            "text/javascript",
        ),
    ] {
        assert!(page.contains(mark), "{page}");
        let response = site.send(get(path)).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let found = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
        assert!(found.starts_with(kind), "{path} is {found}");
        loaded += site.get(path).await.1.len();
    }
    assert!(loaded < BUDGET, "the page is {loaded} bytes");
    assert_eq!(page.matches("<script").count(), 1, "{page}");
}

#[tokio::test]
async fn the_script_makes_no_html_of_text_and_knows_no_absolute_path() {
    let (_, script) = site().get("/page.js").await;
    for word in [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
        "'/api",
        "\"/api",
        "`/api",
        "https://",
        "'style'",
    ] {
        assert!(!script.contains(word), "{word}");
    }
}
