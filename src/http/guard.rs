//! Who may ask: requests addressed to us, from our own pages, and for changes with the token.
//!
//! A name in `Host` that is not ours is what DNS rebinding looks like; a foreign `Origin` is
//! another site's page using a visitor's browser. Tokens are compared in constant time.

use std::collections::BTreeSet;
use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;

use super::Site;
use super::error::ApiError;
use crate::config::HttpConfig;

/// Asked by the address of the pod or host, which nobody can list.
const EXEMPT: [&str; 3] = ["/livez", "/readyz", "/metrics"];

/// The rules, as the configuration gives them.
pub(super) struct Guard {
    /// Lower case, without port and brackets.
    hosts: BTreeSet<String>,
    /// Names the configuration gives; pages from there are ours whatever their port.
    configured: BTreeSet<String>,
    /// Bound to every address: any address is ours, and only names can be rebound.
    any_address: bool,
    loopback: bool,
    token: Option<SecretString>,
}

impl Guard {
    pub(super) fn new(config: &HttpConfig) -> Self {
        let public = config.public_url.as_deref().and_then(host_of_url);
        let allowed = config.allowed_hosts.iter().filter_map(|h| host_of(h));
        let configured: BTreeSet<String> = allowed.chain(public).collect();
        let ip = config.listen.ip();
        let own = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
        let mut hosts: BTreeSet<String> = own.into_iter().collect();
        hosts.insert(ip.to_string());
        hosts.extend(configured.iter().cloned());
        if !ip.is_loopback() && config.token.is_none() {
            tracing::warn!(
                listen = %config.listen,
                "psiren listens beyond this machine without a token: checks, silences and reloads over HTTP are off; set http.token_file or PSIREN_HTTP_TOKEN to have them",
            );
        }
        Self {
            hosts,
            configured,
            any_address: ip.is_unspecified(),
            loopback: ip.is_loopback(),
            token: config.token.clone(),
        }
    }

    fn addressed(&self, headers: &HeaderMap, uri: &Uri) -> Result<(), ApiError> {
        let host = host(headers, uri)?;
        if !self.is_ours(host) {
            return Err(ApiError::forbidden(format!(
                "this psiren is not called {host:?}; add the name to http.allowed_hosts"
            )));
        }
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let is_own =
            |origin: &HeaderValue| origin.to_str().is_ok_and(|o| self.is_own_page(o, host));
        match origins.find(|origin| !is_own(origin)) {
            Some(origin) => Err(ApiError::forbidden(format!(
                "pages of {origin:?} may not ask; set http.public_url to where people reach psiren"
            ))),
            None => Ok(()),
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let named = host_of(host).filter(|_| !host.contains('@'));
        named.is_some_and(|host| {
            self.hosts.contains(&host)
                || host.ends_with(".localhost")
                || (self.any_address && host.parse::<IpAddr>().is_ok())
        })
    }

    fn is_own_page(&self, origin: &str, host: &str) -> bool {
        let authority = origin
            .parse::<Uri>()
            .ok()
            .and_then(|uri| uri.authority().cloned());
        authority.is_some_and(|authority| {
            authority.as_str().eq_ignore_ascii_case(host)
                || host_of(authority.as_str()).is_some_and(|h| self.configured.contains(&h))
        })
    }

    fn may_change(&self, method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
        match &self.token {
            None if self.loopback => {}
            None => {
                return Err(ApiError::forbidden(
                    "psiren listens beyond this machine without a token, so nothing can be changed; set http.token_file or PSIREN_HTTP_TOKEN",
                ));
            }
            Some(token) if !bears(headers, token) => {
                return Err(ApiError::new(
                    StatusCode::UNAUTHORIZED,
                    "the token is missing or wrong; send the header Authorization: Bearer TOKEN",
                ));
            }
            Some(_) => {}
        }
        // A page of another site can send a POST with a form's content type unasked, but no DELETE.
        if *method == Method::DELETE {
            return Ok(());
        }
        let content_type = text(headers, header::CONTENT_TYPE).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!(
                    "the content type is {content_type:?}; send the header Content-Type: application/json"
                ),
            ));
        }
        Ok(())
    }
}

/// The one host that a request is for. Where its first line names one, as for a proxy, that one
/// counts (RFC 9112, section 3.2.2).
fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Result<&'a str, ApiError> {
    let mut sent = headers.get_all(header::HOST).iter();
    let host = sent.next().and_then(|host| host.to_str().ok());
    if sent.next().is_some() {
        return Err(ApiError::bad_request(
            "the request has several Host headers; send one",
        ));
    }
    let asked = uri.authority().map(Authority::as_str);
    asked
        .or(host)
        .ok_or_else(|| ApiError::bad_request("the request has no Host header; send one"))
}

/// Refuses what is addressed to somebody else or comes from another site's page.
pub(super) async fn addressed(
    State(site): State<Site>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if !EXEMPT.contains(&request.uri().path()) {
        site.guard.addressed(request.headers(), request.uri())?;
    }
    Ok(next.run(request).await)
}

/// Refuses changes without the token, and what a plain HTML form could send.
pub(super) async fn changes(
    State(site): State<Site>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    site.guard.may_change(request.method(), request.headers())?;
    Ok(next.run(request).await)
}

fn bears(headers: &HeaderMap, token: &SecretString) -> bool {
    let sent = text(headers, header::AUTHORIZATION).and_then(|value| value.split_once(' '));
    sent.is_some_and(|(scheme, sent)| {
        let equal = sent
            .trim()
            .as_bytes()
            .ct_eq(token.expose_secret().as_bytes());
        scheme.eq_ignore_ascii_case("bearer") && bool::from(equal)
    })
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// The host of `host[:port]`, in lower case and without brackets.
fn host_of(authority: &str) -> Option<String> {
    // A bare IPv6 address is no authority.
    if authority.parse::<IpAddr>().is_ok() {
        return Some(authority.to_ascii_lowercase());
    }
    let authority: Authority = authority.parse().ok()?;
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    Some(host.trim_end_matches('.').to_ascii_lowercase())
}

fn host_of_url(url: &str) -> Option<String> {
    host_of(url.parse::<Uri>().ok()?.authority()?.as_str())
}
