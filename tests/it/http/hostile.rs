//! Requests that mean no good, as bytes on a real connection.

use std::net::SocketAddr;
use std::time::Duration;

use axum::http::{StatusCode, header};
use futures_util::future::join_all;
use psiren::config::HttpConfig;
use psiren::http::serve::{Limits, serve_within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use crate::support::site::{Site, get, http_config};

const TOKEN: &str = "0123456789abcdef";
const LIMIT: Duration = Duration::from_secs(20);

/// A server with a token that closes a connection half a second after its last answer.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let limits = Limits {
        headers: Duration::from_millis(500),
        ..Limits::default()
    };
    let site = Site::new(HttpConfig {
        token: Some(TOKEN.into()),
        ..http_config()
    });
    let router = site.router.clone();
    tokio::spawn(async move {
        // Whoever answers checks must stay, or they would fail for another reason.
        let _site = site;
        serve_within(listener, router, CancellationToken::new(), limits).await;
    });
    address
}

/// Everything that comes back until the server hangs up.
async fn all(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // A server that has heard enough may close before the last byte.
    let _ = stream.write_all(request.as_ref()).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(LIMIT, stream.read_to_end(&mut answer));
    // Closing with unread bytes may reset.
    let _ = read.await.expect("the server never hangs up");
    String::from_utf8_lossy(&answer).into_owned()
}

/// The status of each answer, in order.
fn codes(answers: &str) -> Vec<u16> {
    let starts = answers.match_indices("HTTP/1.");
    let codes = starts.filter_map(|(at, _)| answers[at..].split(' ').nth(1)?.parse().ok());
    codes.collect()
}

#[tokio::test]
async fn malformed_requests_get_one_answer_or_none() {
    let address = server().await;
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let huge = "a".repeat(1_000_000);
    let long = "a".repeat(70_000);
    let mut others = Vec::new();
    for (request, expected) in [
        (
            "GET /livez HTTP/1.1\nhost: localhost\n\n".to_owned(),
            &[200][..],
        ),
        ("GET /livez HTTP/1.0\r\n\r\n".to_owned(), &[200]),
        ("GET /livez HTTP/1.1\r\n\r\n".to_owned(), &[200]),
        ("GET /api/v1/status HTTP/1.0\r\n\r\n".to_owned(), &[400]),
        ("GET /api/v1/status HTTP/1.1\r\n\r\n".to_owned(), &[400]),
        ("GET /livez\r\n\r\n".to_owned(), &[400]),
        ("GET /livez HTTP/3.0\r\n\r\n".to_owned(), &[400]),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), &[]),
        ("GET  /livez HTTP/1.1\r\n\r\n".to_owned(), &[400]),
        (
            "GET /livez HTTP/1.1\r\nhost : localhost\r\n\r\n".to_owned(),
            &[400],
        ),
        (
            "GET /livez HTTP/1.1\r\nhost: localhost\r\n folded: 1\r\n\r\n".to_owned(),
            &[400],
        ),
        ("GET /livez HTTP/1.1\r\nx: \0\r\n\r\n".to_owned(), &[400]),
        (format!("GET /livez HTTP/1.1\r\n{many}\r\n"), &[431]),
        (format!("GET /livez HTTP/1.1\r\nx: {huge}\r\n\r\n"), &[431]),
        (
            format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
            &[414],
        ),
        (
            "\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03".to_owned(),
            &[400],
        ),
    ] {
        let answer = all(address, &request).await;
        let shown: String = request.chars().take(60).collect();
        if codes(&answer) != expected {
            others.push(format!("{shown:?}: {:?}, not {expected:?}", codes(&answer)));
        }
    }
    assert!(others.is_empty(), "{others:#?}");
    alive(address).await;
}

/// A body that a proxy and psiren could see end at two places must not have its rest answered.
#[tokio::test]
async fn no_second_request_is_smuggled_in_a_body() {
    let address = server().await;
    let inner = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let post = format!(
        "POST /api/v1/check HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer {TOKEN}\r\n"
    );
    let framings = [
        format!("content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n{inner}"),
        format!(
            "content-length: 0\r\ncontent-length: {}\r\n\r\n{inner}",
            inner.len()
        ),
        format!("content-length: 0, {}\r\n\r\n{inner}", inner.len()),
        format!("content-length: +0\r\n\r\n{inner}"),
        format!("content-length: -1\r\n\r\n{inner}"),
        format!("content-length: 0x0\r\n\r\n{inner}"),
        format!("transfer-encoding: xchunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"),
        format!(
            "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n0\r\n\r\n{inner}"
        ),
        format!("transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n{inner}"),
        format!("transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{inner}"),
        format!(
            "transfer-encoding: chunked\r\n\r\n0;{}\r\n\r\n{inner}",
            "x".repeat(100_000)
        ),
        format!("transfer-encoding: chunked\r\n\r\n-1\r\n{inner}"),
    ];
    // Some are answered only when the server has waited long enough for the rest.
    let answered = framings.iter().map(|f| all(address, format!("{post}{f}")));
    for (framing, answers) in framings.iter().zip(join_all(answered).await) {
        let shown: String = framing.chars().take(60).collect();
        assert!(codes(&answers).len() <= 1, "{shown:?}: {answers}");
        assert!(!answers.contains("alive"), "{shown:?}: {answers}");
    }
    alive(address).await;
}

#[tokio::test]
async fn requests_in_one_go_are_answered_in_order() {
    let address = server().await;
    let paths = ["/livez", "/nothing", "/readyz"].iter().cycle().take(300);
    let requests: String = paths
        .map(|path| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
        .collect();
    let expected: Vec<u16> = [200, 404, 200].into_iter().cycle().take(300).collect();
    assert_eq!(codes(&all(address, requests).await), expected);
}

#[tokio::test]
async fn the_host_is_the_one_that_was_asked_and_only_that() {
    let address = server().await;
    let requests = [
        (
            "GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\nhost: evil.example",
            400,
        ),
        (
            "GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\nhost: localhost",
            400,
        ),
        (
            "GET http://evil.example/api/v1/status HTTP/1.1\r\nhost: localhost",
            403,
        ),
        (
            "GET http://localhost/api/v1/status HTTP/1.1\r\nhost: localhost",
            200,
        ),
        (
            "GET /api/v1/status HTTP/1.1\r\nhost: evil.example\r\nx-forwarded-host: localhost",
            403,
        ),
        (
            "GET /api/v1/status HTTP/1.1\r\nhost: evil.example\r\nforwarded: host=localhost",
            403,
        ),
        (
            "GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\nx-forwarded-host: evil.example",
            200,
        ),
        (
            "GET /api/v1/status HTTP/1.1\r\nhost: evil.example@localhost",
            403,
        ),
        (
            "GET /api/v1/status HTTP/1.1\r\nhost: localhost.evil.example",
            403,
        ),
        (
            "GET /api/v1/status HTTP/1.1\r\nhost: 127.0.0.1.evil.example",
            403,
        ),
        ("GET /api/v1/status HTTP/1.1\r\nhost:", 403),
        ("GET /api/v1/status HTTP/1.1\r\nhost: l\u{f6}calhost", 400),
        (
            "GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\norigin: http://ev\u{ef}l",
            403,
        ),
        (
            "GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\norigin: null",
            403,
        ),
        (
            "GET /api/v1/status HTTP/1.1\r\nhost: localhost\r\norigin: http://localhost\r\norigin: http://evil",
            403,
        ),
        (
            "GET /livez HTTP/1.1\r\nhost: evil.example\r\nhost: localhost",
            200,
        ),
        (
            "CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example:443",
            403,
        ),
    ];
    let answered = requests
        .iter()
        .map(|(r, _)| all(address, format!("{r}\r\n\r\n")));
    for ((request, expected), answer) in requests.iter().zip(join_all(answered).await) {
        assert_eq!(codes(&answer), [*expected], "{request:?}: {answer}");
    }
}

#[tokio::test]
async fn paths_lead_nowhere_but_to_routes() {
    let address = server().await;
    let long = "a".repeat(60_000);
    for (path, expected) in [
        ("/../../etc/passwd", 404),
        ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/api/v1/monitors/../../../etc/passwd", 404),
        ("/api/v1/monitors/..%2f..%2fetc%2fpasswd", 404),
        ("/api/v1/monitors/flights%2ffeatures%2fcarrier", 404),
        ("/api/v1/monitors/flights/features/a%2Fb", 404),
        ("/api/v1/monitors/%00", 404),
        ("/api/v1/monitors/%ff", 400),
        ("/api/v1/monitors/flights/", 404),
        ("//livez", 404),
        ("/livez/", 404),
        ("/LIVEZ", 404),
        ("/page.css/../metrics", 404),
        (&format!("/api/v1/monitors/{long}"), 404),
        (&format!("/api/v1/history?feature={long}"), 404),
        (&format!("/api/v1/history?{long}"), 400),
        ("/api/v1/history?monitor=flights&monitor=flights", 400),
        ("/api/v1/history?monitor=%ff", 404),
    ] {
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = all(address, request).await;
        let shown: String = path.chars().take(60).collect();
        assert_eq!(codes(&answer), [expected], "{shown:?}: {answer}");
        assert!(answer.contains("{\"error\":"), "{shown:?}: {answer}");
        assert!(!answer.contains("root:"), "{answer}");
        assert!(
            answer.len() < 5_000,
            "{shown:?} comes back in {} bytes",
            answer.len()
        );
    }
}

#[tokio::test]
async fn other_methods_change_nothing_and_allow_nobody() {
    let address = server().await;
    for (method, path, expected) in [
        ("HEAD", "/livez", 200),
        ("HEAD", "/api/v1/check", 405),
        ("OPTIONS", "/api/v1/check", 405),
        ("OPTIONS", "*", 404),
        ("TRACE", "/", 405),
        ("PUT", "/api/v1/check", 405),
        ("DELETE", "/api/v1/monitors/flights", 405),
        ("FOO", "/metrics", 405),
    ] {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\naccess-control-request-method: POST\r\nx-canary: 1\r\nconnection: close\r\n\r\n"
        );
        let answer = all(address, request).await.to_lowercase();
        assert_eq!(
            codes(&answer.to_uppercase()),
            [expected],
            "{method} {path}: {answer}"
        );
        assert!(!answer.contains("access-control-allow"), "{answer}");
        assert!(!answer.contains("x-canary"), "{answer}");
        if method == "HEAD" {
            assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        }
    }
}

/// Who has no token cannot keep a seat busy with a body: it is refused before the body is read.
#[tokio::test]
async fn bodies_of_strangers_are_not_waited_for() {
    let address = server().await;
    let mut strangers = Vec::new();
    for _ in 0..600 {
        let mut stranger = TcpStream::connect(address).await.unwrap();
        let request = "POST /api/v1/check HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
        // One that was sent away already has got its answer.
        let _ = stranger.write_all(request.as_bytes()).await;
        strangers.push(stranger);
    }
    alive(address).await;
    let mut stranger = strangers.pop().unwrap();
    let mut answer = [0; 12];
    let read = tokio::time::timeout(LIMIT, stranger.read_exact(&mut answer));
    read.await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 401");
}

#[tokio::test]
async fn an_error_does_not_repeat_the_token() {
    let site = Site::new(HttpConfig {
        token: Some(TOKEN.into()),
        ..http_config()
    });
    let mut request = get("/api/v1/check");
    *request.method_mut() = axum::http::Method::POST;
    let wrong = "Bearer not-the-canary-it-wants";
    request
        .headers_mut()
        .insert(header::AUTHORIZATION, wrong.parse().unwrap());
    let (status, text) = site.answer(request).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert!(!text.contains("canary") && !text.contains(TOKEN), "{text}");
}

async fn alive(address: SocketAddr) {
    let request = "GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(codes(&all(address, request).await), [200]);
}
