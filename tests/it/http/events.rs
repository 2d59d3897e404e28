//! The event stream: what it tells, how many may listen, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::{Response, StatusCode, header};
use futures_util::StreamExt;
use psiren::drift::Trigger;
use psiren::http::state::MonitorView;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{error, site, small_server};
use crate::support::sample::report;
use crate::support::site::{Site, get};

/// A stream, event by event.
struct Listener {
    body: BodyDataStream,
    read: String,
}

impl Listener {
    async fn new(site: &Site) -> Self {
        let response = listen(site).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/event-stream"
        );
        Self {
            body: response.into_body().into_data_stream(),
            read: String::new(),
        }
    }

    /// The name of the next event and its data.
    async fn next(&mut self) -> (String, Value) {
        loop {
            if let Some((event, rest)) = self.read.split_once("\n\n") {
                let line = |name: &str| {
                    let lines = event.lines();
                    let found = lines.filter_map(|l| l.strip_prefix(name)?.strip_prefix(": "));
                    found.map(str::to_owned).next().unwrap()
                };
                let told = (line("event"), serde_json::from_str(&line("data")).unwrap());
                assert!(line("id").parse::<u64>().is_ok());
                self.read = rest.to_owned();
                return told;
            }
            let more = tokio::time::timeout(Duration::from_secs(5), self.body.next());
            let more = more.await.unwrap().unwrap().unwrap();
            self.read.push_str(std::str::from_utf8(&more).unwrap());
        }
    }
}

async fn listen(site: &Site) -> Response<Body> {
    site.send(get("/api/v1/events")).await
}

#[tokio::test]
async fn a_stream_begins_with_where_everything_stands() {
    let site = site();
    let mut listener = Listener::new(&site).await;
    let (event, told) = listener.next().await;
    assert_eq!(
        (event.as_str(), &told["trigger"]),
        ("evaluation", &json!("final"))
    );
    let (event, told) = listener.next().await;
    assert_eq!(event, "evaluation");
    let expected = json!({
        "monitor": "flights",
        "trigger": "live",
        "window": {"start": "2026-02-22T00:00:00Z", "end": "2026-03-01T00:00:00Z"},
        "evaluated_at": "2026-03-01T00:05:00Z",
        "status": "likely_drift",
        "features": {"insufficient_data": 1, "likely_drift": 1, "no_drift": 1},
    });
    assert_eq!(told, expected);
    let (event, told) = listener.next().await;
    assert_eq!(event, "status");
    assert_eq!(told["ready"], true);
    let incident =
        json!({"feature": "dep_delay", "reason": "psi", "since": "2026-03-01T00:00:00Z"});
    assert_eq!(told["monitors"][0]["incidents"], json!([incident]));
}

#[tokio::test]
async fn what_changes_is_told_once() {
    let site = site();
    let mut listener = Listener::new(&site).await;
    for _ in 0..3 {
        listener.next().await;
    }
    site.health.hold("broker", "no broker answers");
    let (event, told) = listener.next().await;
    assert_eq!(event, "status");
    assert_eq!(told["reasons"], json!({"broker": "no broker answers"}));
    let view = MonitorView::clone(&site.view.borrow());
    // Only the last of what changes between two looks is told.
    for trigger in [Trigger::Live, Trigger::Manual] {
        let live = Some(Arc::new(report(trigger, 1.0)));
        let next = MonitorView {
            live,
            ..view.clone()
        };
        site.view.send(Arc::new(next)).unwrap();
    }
    let (event, told) = listener.next().await;
    assert_eq!(
        (event.as_str(), &told["trigger"]),
        ("evaluation", &json!("manual"))
    );
    let stale = MonitorView {
        stale: true,
        ..MonitorView::clone(&site.view.borrow())
    };
    site.view.send(Arc::new(stale)).unwrap();
    let (event, told) = listener.next().await;
    assert_eq!(event, "status");
    assert_eq!(told["monitors"][0]["stale"], true);
}

#[tokio::test]
async fn a_65th_listener_is_told_what_to_do_instead() {
    let site = site();
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(listen(&site).await);
    }
    let (status, text) = site.get("/api/v1/events").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(error(&text).contains("/api/v1/status"), "{text}");
    open.pop();
    assert_eq!(listen(&site).await.status(), StatusCode::OK);
}

/// Reads to the end of the chunk that has the event `name`.
async fn read_through(stream: &mut TcpStream, name: &str) {
    let mut read = Vec::new();
    let has_all = |read: &[u8]| {
        let text = String::from_utf8_lossy(read);
        text.contains(name) && text.ends_with("\n\n\r\n")
    };
    while !has_all(&read) {
        let more = tokio::time::timeout(Duration::from_secs(5), stream.read_buf(&mut read));
        assert_ne!(more.await.unwrap().unwrap(), 0);
    }
}

async fn listener_at(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).await.unwrap();
    read_through(&mut stream, "event: status").await;
    stream
}

#[tokio::test]
async fn a_stopping_server_ends_its_streams_in_order() {
    let (address, shutdown) = small_server(Duration::from_millis(100)).await;
    let mut stream = listener_at(address).await;
    // Streams outlive the deadline for headers.
    tokio::time::sleep(Duration::from_millis(200)).await;
    shutdown.cancel();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest));
    closed.await.unwrap().unwrap();
    // The last chunk says that nothing was cut off.
    assert!(rest.ends_with(b"0\r\n\r\n"), "{rest:?}");
}

#[tokio::test]
async fn a_listener_keeps_its_seat_in_a_full_house() {
    let (address, _shutdown) = small_server(Duration::from_secs(60)).await;
    let mut stream = listener_at(address).await;
    for _ in 0..3 {
        let mut other = TcpStream::connect(address).await.unwrap();
        assert!(super::ask(&mut other).await.starts_with("HTTP/1.1 200"));
    }
    // Nothing has been sent since, so there is nothing to read, neither an end.
    let end = tokio::time::timeout(Duration::from_millis(100), stream.read_u8()).await;
    assert!(end.is_err(), "{end:?}");
}
