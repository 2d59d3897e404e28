//! What `trigger` and `health` share: one request to a running psiren.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use reqwest::{Client, RequestBuilder, StatusCode, Url, header, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::text::without_credentials;

/// A little more than psiren itself gives a request.
const PATIENCE: Duration = Duration::from_secs(12);

/// Where a running psiren is.
#[derive(Debug, Args)]
pub(super) struct Target {
    /// Where psiren listens, a path prefix included
    #[arg(
        long,
        env = "PSIREN_URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:10774"
    )]
    url: String,
}

/// What proves that one may change something.
#[derive(Debug, Args)]
pub(super) struct Token {
    /// The token of a psiren that asks for one
    #[arg(long, env = "PSIREN_HTTP_TOKEN", hide_env_values = true)]
    token: Option<SecretString>,
    /// A file that holds the token; goes before --token
    #[arg(long, value_name = "FILE", env = "PSIREN_HTTP_TOKEN_FILE")]
    token_file: Option<PathBuf>,
}

impl Token {
    /// The token, out of its file where one is given.
    pub(super) fn read(&self) -> Result<Option<SecretString>> {
        let Some(path) = &self.token_file else {
            // An empty variable is how a compose file says that there is none.
            let token = self.token.clone();
            return Ok(token.filter(|token| !token.expose_secret().is_empty()));
        };
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("the token file {} cannot be read", path.display()))?;
        Ok(Some(text.trim().into()))
    }
}

/// What psiren answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Value,
}

impl Target {
    /// Asks for `path`.
    pub(super) fn get(&self, path: &str) -> Result<Answer> {
        self.send(|client| Ok(client.get(self.at(path)?)))
    }

    /// Sends `body` to `path`.
    pub(super) fn post(
        &self,
        path: &str,
        body: &Value,
        token: Option<&SecretString>,
    ) -> Result<Answer> {
        self.send(|client| {
            let request = client.post(self.at(path)?).json(body);
            Ok(match token {
                Some(token) => request.header(header::AUTHORIZATION, bearer(token)?),
                None => request,
            })
        })
    }

    /// The URL for people; a proxy in front of psiren may want a password in it.
    fn shown(&self) -> String {
        without_credentials(&self.url)
    }

    fn at(&self, path: &str) -> Result<Url> {
        let url = format!("{}{path}", self.url.trim_end_matches('/'));
        let url: Url = url.parse().with_context(|| {
            format!(
                "--url is {:?}; give one like http://127.0.0.1:10774",
                self.shown()
            )
        })?;
        if !["http", "https"].contains(&url.scheme()) {
            bail!(
                "--url is {:?}; it must begin with http:// or https://",
                self.shown()
            );
        }
        Ok(url)
    }

    fn send(&self, request: impl FnOnce(&Client) -> Result<RequestBuilder>) -> Result<Answer> {
        let client = self.client()?;
        let request = request(&client)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let response = request.send().await.map_err(reqwest::Error::without_url);
            let response = response.with_context(|| {
                format!(
                    "psiren at {} does not answer; is it running? --url, or PSIREN_URL, says where",
                    self.shown()
                )
            })?;
            let status = response.status();
            let text = response.text().await.map_err(reqwest::Error::without_url)?;
            let body = serde_json::from_str(&text).with_context(|| {
                format!("what answers at {} ({status}) is no psiren", self.shown())
            })?;
            Ok(Answer { status, body })
        })
    }

    /// A client that goes straight to its target: no redirects, no proxies. Certificates are looked
    /// for only when they are needed, because a container may have none.
    fn client(&self) -> Result<Client> {
        // Only the first call of a process installs it; the others find it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = Client::builder()
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .no_proxy();
        let builder = match self.url.starts_with("https:") {
            true => builder,
            false => builder.tls_certs_only([]),
        };
        builder.build().context("the HTTP client cannot be set up")
    }
}

impl Answer {
    /// The body of a success; otherwise what psiren said was wrong.
    pub(super) fn success(self) -> Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        match self.body.get("error").and_then(Value::as_str) {
            Some(error) => bail!("psiren refused ({}): {error}", self.status.as_u16()),
            None => bail!("psiren answered {}", self.status),
        }
    }
}

fn bearer(token: &SecretString) -> Result<header::HeaderValue> {
    let mut value = header::HeaderValue::from_str(&format!("Bearer {}", token.expose_secret()))
        .context("the token holds characters that no header can; check its file")?;
    value.set_sensitive(true);
    Ok(value)
}
