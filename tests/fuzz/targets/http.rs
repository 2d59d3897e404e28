//! Bytes of one connection into the real connection code and router: well-formed answers, then the
//! end of the connection. No secret in them, and no panic in a task.

use std::sync::OnceLock;
use std::time::Duration;

use axum::Router;
use psiren::http::serve::serve_one;
use psiren::http::state::ReloadOutcome;
use secrecy::SecretString;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::site::{Site, http_config};

/// What no answer may hold unless the request does: the token, and a category of a redacted feature.
const SECRETS: [&str; 2] = ["canary-0123456789", "secret-1"];

/// A request after which the server ends the connection.
const LAST: &[u8] = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// After this time the server is taken to wait for what does not come.
const IDLE: Duration = Duration::from_millis(100);

/// Long enough for any answer on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn judge(bytes: &[u8]) {
    let (runtime, router) = program();
    let answers = runtime.block_on(async {
        tokio::time::timeout(PATIENCE, exchange(router.clone(), bytes))
            .await
            .expect("the connection ends")
    });
    // A target that hears nothing holds whatever is promised.
    assert!(!bytes.is_empty() || answers.starts_with(b"HTTP/1.1 200 OK"));
    well_formed(&answers);
    for secret in SECRETS {
        let in_answer = contains(&answers, secret.as_bytes());
        assert!(
            !in_answer || contains(bytes, secret.as_bytes()),
            "{secret} is told"
        );
    }
}

/// A program that answers checks and reloads, and the runtime that its tasks live in.
fn program() -> &'static (Runtime, Router) {
    static PROGRAM: OnceLock<(Runtime, Router)> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let mut config = http_config();
        config.token = Some(SecretString::from(SECRETS[0]));
        let Site {
            router,
            mut checks,
            mut reloads,
            ..
        } = Site::new(config);
        runtime.spawn(async move {
            while let Some(check) = checks.recv().await {
                let _ = check.send(Err("no event has been counted yet".to_owned()));
            }
        });
        runtime.spawn(async move {
            while let Some(reload) = reloads.recv().await {
                let _ = reload.send(ReloadOutcome::Refused("it has no monitor".to_owned()));
            }
        });
        (runtime, router)
    })
}

/// Everything that is answered to a client that sends `bytes` and a last, good request, and goes
/// when nothing comes any more. It does not go before: requests of clients that have gone are not
/// answered.
async fn exchange(router: Router, bytes: &[u8]) -> Vec<u8> {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let (mut from, mut to) = tokio::io::split(client);
    let mut answers = Vec::new();
    let answered = async {
        let served = serve_one(server, router, CancellationToken::new());
        let (read, ()) = tokio::join!(from.read_to_end(&mut answers), served);
        read.expect("a duplex stream can be read");
    };
    let sent = async {
        // The server may have had enough before the end.
        let _ = to.write_all(&[bytes, LAST].concat()).await;
        tokio::time::sleep(IDLE).await;
        let _ = to.shutdown().await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = answered => {}
        () = sent => {}
    }
    answers
}

/// One answer after the other, each with the length it claims.
fn well_formed(mut answers: &[u8]) {
    while !answers.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut answer = httparse::Response::new(&mut headers);
        let parsed = answer.parse(answers).expect("an answer is HTTP");
        let httparse::Status::Complete(head) = parsed else {
            panic!("an answer ends within its headers");
        };
        let rest = &answers[head..];
        let status = answer.code.unwrap_or_default();
        assert!((100..600).contains(&status), "{status}");
        let header = |name: &str| {
            let found = answer
                .headers
                .iter()
                .find(|h| h.name.eq_ignore_ascii_case(name));
            found.map(|h| std::str::from_utf8(h.value).expect("plain text"))
        };
        let is_compressed = header("content-encoding").is_some();
        // An answer to HEAD has the length of a body and none.
        let bodiless = rest.is_empty() || rest.starts_with(b"HTTP/1.");
        let length: usize = match (header("content-length"), header("transfer-encoding")) {
            _ if bodiless => 0,
            (Some(length), None) => length.parse().expect("a length"),
            (None, Some("chunked")) => in_chunks(rest),
            // Clients of HTTP/1.0 know no chunks: the answer ends with the connection.
            (None, None) if is_compressed => rest.len(),
            (None, None) => 0,
            both => panic!("{both:?}"),
        };
        assert!(rest.len() >= length, "an answer ends within its body");
        if header("content-type") == Some("application/json") && length > 0 && !is_compressed {
            serde_json::from_slice::<serde_json::Value>(&rest[..length]).expect("JSON");
        }
        answers = &rest[length..];
    }
}

/// How long a body in chunks is, with what is around the chunks.
fn in_chunks(body: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let size = httparse::parse_chunk_size(&body[length..]).expect("the size of a chunk");
        let httparse::Status::Complete((head, size)) = size else {
            panic!("an answer ends within the size of a chunk");
        };
        // Each chunk, the last and empty one too, ends with a line break.
        length += head + usize::try_from(size).expect("a chunk in memory") + 2;
        assert!(length <= body.len(), "an answer ends within a chunk");
        if size == 0 {
            return length;
        }
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
