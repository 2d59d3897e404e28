//! The HTTP interface, route by route.

mod compressed;
mod events;
mod flood;
mod hostile;
mod page;
mod series;
mod silences;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, header};
use psiren::config::HttpConfig;
use psiren::drift::Trigger;
use psiren::http::serve::{Limits, serve_within};
use psiren::http::state::{CheckOutcome, MonitorView, ReloadOutcome};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::support::sample::report;
use crate::support::site::{Site, get, http_config, post};

fn site() -> Site {
    Site::new(http_config())
}

fn beyond_this_machine() -> HttpConfig {
    HttpConfig {
        listen: ([0, 0, 0, 0], 10774).into(),
        ..http_config()
    }
}

/// The error text of an answer.
fn error(text: &str) -> String {
    let body: Value = serde_json::from_str(text).unwrap();
    body["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_status_has_figures_verdicts_and_reasons() {
    let mut status = site().json("/api/v1/status").await;
    for path in ["/now", "/version", "/monitors/0/evaluation_age_seconds"] {
        assert!(!status.pointer(path).unwrap().is_null());
        *status.pointer_mut(path).unwrap() = json!("…");
    }
    insta::assert_snapshot!("status", serde_json::to_string_pretty(&status).unwrap());
}

#[tokio::test]
async fn a_monitor_without_a_window_says_what_it_waits_for() {
    let site = site();
    let waiting = MonitorView {
        waiting_for: Some("no event has been counted yet".into()),
        ..MonitorView::default()
    };
    site.view.send(Arc::new(waiting)).unwrap();
    let status = site.json("/api/v1/status").await;
    let monitor = &status["monitors"][0];
    assert_eq!(monitor["status"], "insufficient_data");
    assert_eq!(monitor["waiting_for"], "no event has been counted yet");
    assert_eq!(monitor["window"], Value::Null);
    assert_eq!(monitor["features"][0]["psi"], Value::Null);
    assert_eq!(monitor["features"][0]["thresholds"]["likely"], 0.25);
    assert!(
        site.get("/")
            .await
            .1
            .contains("no event has been counted yet")
    );
}

#[tokio::test]
async fn the_terms_of_a_feature_add_up_to_its_psi() {
    let path = "/api/v1/monitors/flights/features/dep_delay";
    let detail = site().json(path).await;
    let window = &detail["last_final"];
    let buckets = window["buckets"].as_array().unwrap();
    let terms: f64 = buckets.iter().map(|b| b["term"].as_f64().unwrap()).sum();
    assert_eq!(terms, window["psi"].as_f64().unwrap());
    insta::assert_snapshot!("feature", serde_json::to_string_pretty(&detail).unwrap());
}

#[tokio::test]
async fn category_names_of_a_redacted_feature_are_nowhere() {
    let site = site();
    for path in [
        "/",
        "/metrics",
        "/api/v1/status",
        "/api/v1/history",
        "/api/v1/series?monitor=flights",
        "/api/v1/monitors/flights",
        "/api/v1/monitors/flights/features/gate",
    ] {
        let (status, text) = site.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {text}");
        assert!(!text.contains("secret-"), "{path} names a category");
    }
    let carrier = site.json("/api/v1/monitors/flights/features/carrier").await;
    assert_eq!(carrier["buckets"][1]["range"], "UA");
}

#[tokio::test]
async fn a_monitor_says_how_it_judges_and_what_it_leaves_out() {
    let detail = site().json("/api/v1/monitors/flights").await;
    assert_eq!(detail["definition"]["window_size_ms"], 604_800_000);
    assert_eq!(detail["definition"]["smoothing"], "clip");
    let left_out = json!([{"column": "id", "reason": "looks like an identifier"}]);
    assert_eq!(detail["left_out"], left_out);
    let list = site().json("/api/v1/monitors").await;
    assert_eq!(list["monitors"][0]["incidents"], 1);
}

#[tokio::test]
async fn what_is_unknown_is_answered_with_what_is_near() {
    let site = site();
    for (path, expected) in [
        ("/api/v1/monitors/fligths", "did you mean \"flights\"?"),
        ("/api/v1/monitors/x", "there are: flights"),
        (
            "/api/v1/monitors/flights/features/depdelay",
            "did you mean \"dep_delay\"?",
        ),
        (
            "/api/v1/history?feature=zzz",
            "there are: dep_delay, carrier, gate",
        ),
        ("/api/v2", "/api/v1/openapi.json"),
    ] {
        let (status, text) = site.get(path).await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert!(error(&text).contains(expected), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_wrong_method_is_refused_in_words() {
    let site = site();
    let (status, text) = site.get("/api/v1/check").await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(error(&text).contains("use POST"), "{text}");
    let (status, text) = site.answer(post("/metrics", "{}")).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(error(&text).contains("use GET"), "{text}");
    let mut preflight = get("/api/v1/check");
    *preflight.method_mut() = Method::OPTIONS;
    let (status, text) = site.answer(preflight).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(error(&text).contains("use POST"), "{text}");
}

#[tokio::test]
async fn monitors_that_a_reload_takes_away_are_gone() {
    let site = site();
    assert_eq!(site.get("/api/v1/monitors/flights").await.0, StatusCode::OK);
    site.monitors.send(Arc::default()).unwrap();
    let (status, _) = site.get("/api/v1/monitors/flights").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(site.json("/api/v1/status").await["monitors"], json!([]));
}

#[tokio::test]
async fn history_is_cut_by_time_feature_and_limit() {
    let site = site();
    let ends = |history: &Value| -> Vec<String> {
        let evaluations = history["evaluations"].as_array().unwrap();
        let end = |e: &Value| e["window"]["end"].as_str().unwrap().to_owned();
        evaluations.iter().map(end).collect()
    };
    let (first, second) = ("2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z");
    for (query, expected) in [
        ("", vec![first, second]),
        ("?monitor=flights&limit=1", vec![second]),
        ("?from=2026-02-28T00:00:01Z", vec![second]),
        ("?to=2026-02-28T01:00:00%2B01:00", vec![first]),
        ("?to=2026-02-28T01:00:00+01:00", vec![first]),
        ("?from=1772323200000", vec![second]),
    ] {
        let history = site.json(&format!("/api/v1/history{query}")).await;
        assert_eq!(ends(&history), expected, "{query}");
    }
    let history = site.json("/api/v1/history?feature=carrier&limit=1").await;
    let features = history["evaluations"][0]["features"].as_array().unwrap();
    assert_eq!(features.len(), 1);
    for query in [
        "from=yesterday",
        "limit=many",
        "since=1",
        "from=2&to=1",
        "format=xml",
    ] {
        let (status, text) = site.get(&format!("/api/v1/history?{query}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}: {text}");
        error(&text);
    }
}

#[tokio::test]
async fn history_as_csv_has_the_rows_of_the_file() {
    let site = site();
    let path = "/api/v1/history?feature=dep_delay&limit=1";
    let (_, by_query) = site.get(&format!("{path}&format=csv")).await;
    insta::assert_snapshot!(by_query, @r"
    window_start,window_end,monitor,segment,feature,trigger,psi,status,events,missing,invalid,coverage,closed_by,reference,definition,evaluated_at
    2026-02-22T00:00:00Z,2026-03-01T00:00:00Z,flights,,dep_delay,final,3.1260466462354137,likely_drift,180,20,0,1,watermark,4b1d,9e0c,
    ");
    let mut request = get(path);
    request
        .headers_mut()
        .insert(header::ACCEPT, "text/csv".parse().unwrap());
    assert_eq!(site.answer(request).await.1, by_query);
}

#[tokio::test]
async fn concurrent_checks_share_one_evaluation() {
    let mut site = site();
    let router = site.router.clone();
    let call = |body: &'static str| {
        let router = router.clone();
        tokio::spawn(async move {
            let response = tower::ServiceExt::oneshot(router, post("/api/v1/check", body));
            let body = response.await.unwrap().into_body();
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
            serde_json::from_slice::<Value>(&bytes).unwrap()
        })
    };
    let calls = [call("{\"monitor\": \"flights\"}"), call("{}"), call("")];
    let answer = site.checks.recv().await.unwrap();
    // All three have joined when they are pending: the runtime of a test has one thread.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let outcome = CheckOutcome {
        last_final: Some(Arc::new(report(Trigger::Final, 1.0))),
        live: Some(Arc::new(report(Trigger::Manual, 1.0))),
    };
    answer.send(Ok(outcome)).unwrap();
    for call in calls {
        let found = call.await.unwrap();
        let checked = &found["monitors"][0];
        assert_eq!(checked["live"]["trigger"], "manual");
        assert_eq!(checked["live"]["evaluated_at"], "2026-03-01T00:00:01.234Z");
        assert_eq!(
            checked["last_final"]["window"]["start"],
            "2026-02-22T00:00:00Z"
        );
        assert_eq!(checked["live"]["features"][0]["status"], "likely_drift");
    }
    assert!(
        site.checks.try_recv().is_err(),
        "a second evaluation was asked for"
    );
}

#[tokio::test]
async fn a_check_that_cannot_be_made_says_why() {
    let mut site = site();
    let checks = async {
        let answer = site.checks.recv().await.unwrap();
        answer.send(Err("the report log is full".into())).unwrap();
    };
    let router = site.router.clone();
    let request = post("/api/v1/check", "{\"monitor\":\"flights\"}");
    let (response, ()) = tokio::join!(tower::ServiceExt::oneshot(router, request), checks);
    assert_eq!(response.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    let (status, text) = site
        .answer(post("/api/v1/check", "{\"monitors\": 1}"))
        .await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(error(&text).contains("unknown field `monitors`"), "{text}");
    let (status, _) = site
        .answer(post("/api/v1/check", "{\"monitor\": \"x\"}"))
        .await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_reload_says_what_it_did_or_why_not() {
    let mut site = site();
    for (outcome, status, expected) in [
        (
            ReloadOutcome::Applied {
                applied: vec!["thresholds".into()],
                needs_restart: vec!["kafka".into()],
            },
            StatusCode::OK,
            json!({"applied": ["thresholds"], "needs_restart": ["kafka"]}),
        ),
        (
            ReloadOutcome::Refused("line 3".into()),
            StatusCode::UNPROCESSABLE_ENTITY,
            json!({"error": "line 3"}),
        ),
    ] {
        let router = site.router.clone();
        let request = post("/api/v1/reload", "");
        let answer = async { site.reloads.recv().await.unwrap().send(outcome).unwrap() };
        let (response, ()) = tokio::join!(tower::ServiceExt::oneshot(router, request), answer);
        let response = response.unwrap();
        assert_eq!(response.status(), status);
        let bytes = axum::body::to_bytes(response.into_body(), 1000)
            .await
            .unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected);
    }
}

#[tokio::test]
async fn a_post_must_be_json_and_small() {
    let site = site();
    let mut form = post("/api/v1/check", "monitor=flights");
    let kind = "application/x-www-form-urlencoded".parse().unwrap();
    form.headers_mut().insert(header::CONTENT_TYPE, kind);
    let (status, text) = site.answer(form).await;
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(error(&text).contains("Content-Type: application/json"));
    let large = format!("{{\"monitor\":\"{}\"}}", "x".repeat(64 * 1024));
    let (status, text) = site.answer(post("/api/v1/check", &large)).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert!(error(&text).contains("64 KiB"));
}

#[tokio::test]
async fn beyond_this_machine_nothing_changes_without_a_token() {
    let open = Site::new(beyond_this_machine());
    let (status, text) = open.answer(post("/api/v1/check", "{}")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert!(error(&text).contains("http.token_file"), "{text}");
    assert_eq!(open.get("/api/v1/status").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_token_is_asked_for_wherever_one_is_set() {
    let config = HttpConfig {
        token: Some("0123456789abcdef".into()),
        ..beyond_this_machine()
    };
    let mut site = Site::new(config);
    site.checks.close();
    let with = |authorization: Option<&str>| {
        let mut request = post("/api/v1/check", "{}");
        if let Some(value) = authorization {
            request
                .headers_mut()
                .insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        request
    };
    for wrong in [
        None,
        Some("Bearer 0123456789abcdeX"),
        Some("Bearer "),
        Some("Basic 0123456789abcdef"),
    ] {
        let response = site.send(with(wrong)).await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{wrong:?}");
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
    // Past the guard, the sample program has stopped answering.
    let (status, _) = site.answer(with(Some("bearer 0123456789abcdef"))).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn only_requests_to_our_own_names_are_answered() {
    let config = HttpConfig {
        allowed_hosts: vec!["Drift.example.org".into()],
        public_url: Some("https://psiren.example.org/drift/".into()),
        ..http_config()
    };
    let site = Site::new(config);
    let to = |host: &str, path: &str| {
        let request = Request::get(path).header(header::HOST, host);
        request.body(Body::empty()).unwrap()
    };
    for ours in [
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:10774",
        "[::1]:10774",
        "drift.example.org",
        "psiren.example.org:443",
        "a.localhost",
    ] {
        let status = site.answer(to(ours, "/api/v1/status")).await.0;
        assert_eq!(status, StatusCode::OK, "{ours}");
    }
    for foreign in [
        "evil.example",
        "localhost.evil.example",
        "10.0.0.5",
        "[::2]",
        "@",
    ] {
        let (status, text) = site.answer(to(foreign, "/api/v1/status")).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{foreign}");
        assert!(error(&text).contains("http.allowed_hosts"));
        for exempt in ["/livez", "/readyz", "/metrics", "/drift/metrics"] {
            let status = site.answer(to(foreign, exempt)).await.0;
            assert_eq!(status, StatusCode::OK, "{exempt}");
        }
    }
    let everywhere = Site::new(beyond_this_machine());
    let status = everywhere
        .answer(to("10.0.0.5:10774", "/api/v1/status"))
        .await
        .0;
    assert_eq!(status, StatusCode::OK);
    let nameless = Request::get("/api/v1/status").body(Body::empty()).unwrap();
    assert_eq!(site.answer(nameless).await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn pages_of_other_sites_may_not_ask() {
    let config = HttpConfig {
        public_url: Some("https://psiren.example.org/drift".into()),
        ..http_config()
    };
    let site = Site::new(config);
    let from = |origin: &str| {
        let mut request = get("/api/v1/status");
        request
            .headers_mut()
            .insert(header::ORIGIN, origin.parse().unwrap());
        request
    };
    for own in ["http://localhost:10774", "https://psiren.example.org"] {
        assert_eq!(site.answer(from(own)).await.0, StatusCode::OK, "{own}");
    }
    for foreign in ["https://evil.example", "http://localhost:3000", "null"] {
        let status = site.answer(from(foreign)).await.0;
        assert_eq!(status, StatusCode::FORBIDDEN, "{foreign}");
    }
}

#[tokio::test]
async fn every_answer_protects_browsers() {
    let site = site();
    for path in ["/", "/metrics", "/nothing"] {
        let response = site.send(get(path)).await;
        let headers = response.headers();
        let policy = headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"));
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::REFERRER_POLICY], "no-referrer");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert!(!headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN));
    }
}

#[tokio::test]
async fn unready_is_said_with_its_reasons_and_is_a_metric() {
    let site = site();
    assert_eq!(site.get("/readyz").await.0, StatusCode::OK);
    site.health
        .hold("assignment", "no partition is assigned yet");
    let (status, text) = site.get("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = serde_json::from_str(&text).unwrap();
    let expected =
        json!({"ready": false, "reasons": {"assignment": "no partition is assigned yet"}});
    assert_eq!(body, expected);
    assert!(site.get("/metrics").await.1.contains("\npsiren_ready 0\n"));
    site.health.release("assignment");
    assert!(site.get("/metrics").await.1.contains("\npsiren_ready 1\n"));
}

#[tokio::test]
async fn a_loop_that_stands_still_is_not_alive() {
    let site = site();
    assert_eq!(site.get("/livez").await.0, StatusCode::OK);
    let heartbeat = site.health.heartbeat("consumer", Duration::ZERO);
    assert_eq!(site.get("/livez").await.0, StatusCode::SERVICE_UNAVAILABLE);
    drop(heartbeat);
    assert_eq!(site.get("/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_interface_is_documented() {
    let document = site().json("/api/v1/openapi.json").await;
    let mut stable = document.clone();
    stable["info"]["version"] = json!("…");
    insta::assert_snapshot!("openapi", serde_json::to_string_pretty(&stable).unwrap());
    let paths: BTreeSet<&String> = document["paths"].as_object().unwrap().keys().collect();
    for path in paths {
        let request = path
            .replace("{monitor}", "flights")
            .replace("{feature}", "carrier");
        // The body of a stream has no end.
        let status = site().send(get(&request)).await.status();
        assert_ne!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

/// A server on a free port with room for two, and its address.
async fn small_server(headers: Duration) -> (std::net::SocketAddr, CancellationToken) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let limits = Limits {
        connections: 2,
        headers,
        drain: Duration::from_secs(1),
    };
    let site = site();
    tokio::spawn(serve_within(
        listener,
        site.router,
        shutdown.clone(),
        limits,
    ));
    (address, shutdown)
}

async fn ask(stream: &mut TcpStream) -> String {
    let request = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn headers_that_do_not_come_close_the_connection() {
    let (address, _) = small_server(Duration::from_millis(50)).await;
    for sent in ["", "GET / HTTP/1.1\r\nhost: loc"] {
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(sent.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let closed = slow.read_to_end(&mut rest);
        // Closing with unread bytes may reset.
        let _ = tokio::time::timeout(Duration::from_secs(5), closed)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_full_house_makes_room_by_closing_who_waits_longest() {
    let (address, _) = small_server(Duration::from_secs(60)).await;
    let mut oldest = TcpStream::connect(address).await.unwrap();
    let mut second = TcpStream::connect(address).await.unwrap();
    let mut newest = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut newest).await.starts_with("HTTP/1.1 200"));
    assert!(ask(&mut second).await.starts_with("HTTP/1.1 200"));
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), oldest.read_to_end(&mut rest));
    let _ = closed.await.unwrap();
    assert!(rest.is_empty());
}

#[tokio::test]
async fn a_stopping_server_ends_idle_connections_and_takes_no_new_ones() {
    let (address, shutdown) = small_server(Duration::from_secs(60)).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    let mut warm = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut warm).await.starts_with("HTTP/1.1 200"));
    shutdown.cancel();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), idle.read_to_end(&mut rest));
    let _ = closed.await.unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
