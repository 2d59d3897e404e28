//! Silences over HTTP: what is asked of the program, and what is refused.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use psiren::config::HttpConfig;
use psiren::drift::Silence;
use psiren::http::state::{MonitorView, SilenceChange, SilenceRequest};
use serde_json::{Value, json};

use super::{beyond_this_machine, error, site};
use crate::support::sample::END;
use crate::support::site::{Site, post};

const PATH: &str = "/api/v1/silences";

fn delete(id: &str) -> Request<Body> {
    Request::delete(format!("{PATH}/{id}"))
        .header(header::HOST, "localhost:10774")
        .body(Body::empty())
        .unwrap()
}

fn silence(id: u64, feature: Option<&str>) -> Silence {
    Silence {
        id,
        feature: feature.map(str::to_owned),
        from_ms: END,
        until_ms: END + 3_600_000,
        reason: "a release".to_owned(),
        by: Some("Ada".to_owned()),
    }
}

/// The answer to `request`, and the change that was asked of the program, which answers `with`.
async fn asked(
    site: &mut Site,
    request: Request<Body>,
    with: Result<Option<Silence>, String>,
) -> (StatusCode, Value, SilenceChange) {
    let router = site.router.clone();
    let answering = async {
        let SilenceRequest { change, reply } = site.silences.recv().await.unwrap();
        reply.send(with).unwrap();
        change
    };
    let (response, change) = tokio::join!(tower::ServiceExt::oneshot(router, request), answering);
    let response = response.unwrap();
    let status = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 10_000).await;
    (
        status,
        serde_json::from_slice(&bytes.unwrap()).unwrap(),
        change,
    )
}

#[tokio::test]
async fn a_silence_is_asked_for_with_an_end_and_a_reason() {
    let mut site = site();
    let body = r#"{"monitor": "flights", "feature": "dep_delay", "for": "2h", "reason": " a release ", "by": ""}"#;
    let added = silence(7, Some("dep_delay"));
    let (status, answer, change) = asked(&mut site, post(PATH, body), Ok(Some(added))).await;
    assert_eq!(status, StatusCode::CREATED);
    let expected = json!({
        "id": "flights.7", "monitor": "flights", "feature": "dep_delay",
        "from": "2026-03-01T00:00:00Z", "until": "2026-03-01T01:00:00Z",
        "reason": "a release", "by": "Ada",
    });
    assert_eq!(answer, expected);
    let SilenceChange::Add(change) = change else {
        panic!("{change:?}");
    };
    assert_eq!(change.until_ms - change.from_ms, 2 * 3_600_000);
    assert_eq!((change.reason.as_str(), change.by), ("a release", None));

    let body = r#"{"until": "2099-01-01T00:00:00Z", "reason": "x"}"#;
    let refused = site.answer(post(PATH, body)).await;
    assert!(error(&refused.1).contains("90 days"), "{refused:?}");
}

#[tokio::test]
async fn a_silence_without_end_or_reason_or_of_nothing_is_refused_with_words() {
    let site = site();
    for (body, status, words) in [
        ("", 400, "\"for\", such as \"2h\""),
        (r#"{"for": "2h"}"#, 400, "has no reason"),
        (r#"{"for": "2h", "reason": "  "}"#, 400, "has no reason"),
        (
            r#"{"for": "2h", "until": "2099-01-01T00:00:00Z", "reason": "x"}"#,
            400,
            "either",
        ),
        (
            r#"{"for": "2 parsecs", "reason": "x"}"#,
            400,
            "\"for\" is \"2 parsecs\"",
        ),
        (r#"{"for": "91d", "reason": "x"}"#, 400, "90 days"),
        (r#"{"for": "0s", "reason": "x"}"#, 400, "future"),
        (
            r#"{"until": "2001-01-01T00:00:00Z", "reason": "x"}"#,
            400,
            "future",
        ),
        (
            r#"{"until": "tomorrow", "reason": "x"}"#,
            400,
            "\"until\" is \"tomorrow\"",
        ),
        (
            r#"{"for": "1h", "reason": "x", "feature": "dep_dela"}"#,
            404,
            "dep_delay",
        ),
        (
            r#"{"for": "1h", "reason": "x", "monitor": "fligths"}"#,
            404,
            "flights",
        ),
        (
            r#"["flights", null, "1h", null, "x"]"#,
            400,
            "no JSON object",
        ),
        (r#"{"for": "1h", "reason": "a\u202eb"}"#, 400, "U+202E"),
        (
            r#"{"for": "1h", "reason": "x", "by": "\u0007"}"#,
            400,
            "\"by\" holds",
        ),
        (r#"{"for": "1h", "reason": "x", "who": "me"}"#, 400, "who"),
    ] {
        let (found, text) = site.answer(post(PATH, body)).await;
        assert_eq!(found.as_u16(), status, "{body}: {text}");
        assert!(error(&text).contains(words), "{body}: {text}");
    }
    let long = format!(r#"{{"for": "1h", "reason": "{}"}}"#, "x".repeat(501));
    let (_, text) = site.answer(post(PATH, &long)).await;
    assert!(error(&text).contains("501 characters"), "{text}");
}

#[tokio::test]
async fn silences_are_listed_and_ended_by_their_id() {
    let mut site = site();
    assert_eq!(site.json(PATH).await, json!({"silences": []}));
    site.view.send_modify(|view| {
        *view = Arc::new(MonitorView {
            silences: vec![silence(7, None)],
            ..(**view).clone()
        });
    });
    let list = site.json(PATH).await;
    assert_eq!(list["silences"][0]["id"], "flights.7");
    assert_eq!(list["silences"][0]["feature"], Value::Null);
    let status = site.json("/api/v1/status").await;
    assert_eq!(status["monitors"][0]["silences"], list["silences"]);
    let (_, page) = site.get("/").await;
    assert!(
        page.contains("silenced until 2026-03-01T01:00:00Z: a release"),
        "{page}"
    );

    let ended = asked(&mut site, delete("flights.7"), Ok(Some(silence(7, None)))).await;
    assert_eq!(ended.0, StatusCode::OK);
    assert_eq!(ended.2, SilenceChange::End(7));
    let gone = asked(&mut site, delete("flights.7"), Ok(None)).await;
    assert_eq!(gone.0, StatusCode::NOT_FOUND);
    let unwritten = asked(&mut site, delete("flights.7"), Err("disk full".into())).await;
    assert_eq!(unwritten.0, StatusCode::SERVICE_UNAVAILABLE);
    for id in [
        "flights",
        "flights.x",
        "other.7",
        ".",
        "flights.-1",
        "flights.%2B7",
        "flights.07",
    ] {
        let (status, text) = site.answer(delete(id)).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{id}: {text}");
        assert!(error(&text).contains(PATH), "{text}");
    }
}

#[tokio::test]
async fn only_who_may_change_something_may_silence() {
    let open = Site::new(beyond_this_machine());
    let body = r#"{"for": "1h", "reason": "x"}"#;
    for request in [post(PATH, body), delete("flights.1")] {
        assert_eq!(open.answer(request).await.0, StatusCode::FORBIDDEN);
    }
    let locked = Site::new(HttpConfig {
        token: Some("0123456789abcdef".into()),
        ..beyond_this_machine()
    });
    for request in [post(PATH, body), delete("flights.1")] {
        assert_eq!(locked.answer(request).await.0, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(locked.get(PATH).await.0, StatusCode::OK);
    let mut foreign = delete("flights.1");
    let origin = "https://elsewhere.example".parse().unwrap();
    foreign.headers_mut().insert(header::ORIGIN, origin);
    assert_eq!(site().answer(foreign).await.0, StatusCode::FORBIDDEN);
}
