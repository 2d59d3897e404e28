//! Answers for clients that take gzip.

use std::io::Read;

use axum::http::header;
use flate2::read::GzDecoder;

use super::site;
use crate::support::site::get;

#[tokio::test]
async fn a_client_that_takes_gzip_gets_the_same_answer_smaller() {
    let site = site();
    for path in ["/page.js", "/api/v1/openapi.json"] {
        let (_, plain) = site.get(path).await;
        let mut request = get(path);
        let encodings = "br, gzip".parse().unwrap();
        request
            .headers_mut()
            .insert(header::ACCEPT_ENCODING, encodings);
        let response = site.send(request).await;
        assert_eq!(
            response.headers()[header::CONTENT_ENCODING],
            "gzip",
            "{path}"
        );
        assert_eq!(response.headers()[header::VARY], "accept-encoding");
        assert!(response.headers().contains_key("content-security-policy"));
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await;
        let body = body.unwrap();
        let mut text = String::new();
        GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        assert_eq!(text, plain, "{path}");
        assert!(2 * body.len() < text.len(), "{path}: {}", body.len());
    }
}
