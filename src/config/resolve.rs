//! From what was typed to what it means: defaults, flags and environment, paths, cross-checks.
//!
//! Every check adds to [`Faults`] and goes on, so that one run names everything that is wrong.

mod features;
mod input;
mod kafka;
mod monitor;
mod receivers;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};
use toml::Spanned;

use super::error::Faults;
use super::raw::{Entries, RawConfig, RawCsv, RawHttp, RawState, Typed};
use super::{Config, CsvConfig, HttpConfig, Overrides, StateConfig, defaults};
use crate::text::without_credentials;

const TOKEN_BYTES: usize = 16;

/// The state of one resolution.
struct Resolver<'a> {
    /// Paths in the file are relative to it.
    folder: &'a Path,
    overrides: &'a Overrides,
    /// Names of receivers in the file and the environment, usable or not.
    declared: Vec<String>,
    faults: Faults,
}

/// # Errors
/// Everything that was found wrong.
pub(super) fn resolve(
    raw: &RawConfig,
    folder: &Path,
    overrides: &Overrides,
) -> Result<Config, Faults> {
    let mut resolver = Resolver {
        folder,
        overrides,
        declared: Vec::new(),
        faults: Faults::default(),
    };
    let config = resolver.config(raw);
    if resolver.faults.0.is_empty() {
        Ok(config)
    } else {
        Err(resolver.faults)
    }
}

impl Resolver<'_> {
    fn config(&mut self, raw: &RawConfig) -> Config {
        let receivers = self.receivers(&raw.notify);
        if raw.monitor.iter().next().is_none() {
            self.faults.add(
                None,
                "there is no monitor",
                "add a table [monitor.NAME] with `topic`, `reference` and `window`",
            );
        }
        Config {
            kafka: self.kafka(&raw.kafka),
            labels: self.labels(&raw.labels),
            monitors: raw
                .monitor
                .iter()
                .map(|(name, raw)| self.monitor(name, raw, &receivers))
                .collect(),
            csv: self.csv(&raw.csv),
            receivers,
            http: self.http(&raw.http),
            state: self.state(&raw.state),
            log_payloads: raw.log_payloads.unwrap_or(false),
        }
    }

    fn labels(&mut self, raw: &Entries<Spanned<String>>) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for (name, value) in raw.iter() {
            if let Err((message, help)) = label_name(name.get_ref()) {
                self.faults.add(name.span(), message, help);
            }
            labels.insert(name.get_ref().clone(), value.get_ref().clone());
        }
        labels
    }

    fn csv(&mut self, raw: &RawCsv) -> Option<CsvConfig> {
        let path = self.place(
            self.overrides.csv_path.as_deref(),
            "PSIREN_CSV_PATH",
            &raw.path,
        )?;
        Some(CsvConfig { path })
    }

    fn state(&mut self, raw: &RawState) -> StateConfig {
        let dir = self.place(
            self.overrides.state_dir.as_deref(),
            "PSIREN_STATE_DIR",
            &raw.dir,
        );
        let checkpoint_interval_ms =
            self.positive(&raw.checkpoint_interval, defaults::CHECKPOINT_INTERVAL_MS);
        StateConfig {
            dir: dir.unwrap_or_else(|| self.folder.join(defaults::STATE_DIR)),
            checkpoint_interval_ms: checkpoint_interval_ms.unsigned_abs(),
            history_ms: self.positive(&raw.history, defaults::HISTORY_MS),
        }
    }

    /// A path from a flag or the environment is relative to the working directory.
    fn place(&mut self, flag: Option<&Path>, name: &str, raw: &Typed<String>) -> Option<PathBuf> {
        let typed = self.text(raw).map(|path| self.folder.join(path));
        flag.map(Path::to_owned)
            .or_else(|| self.overrides.environment.get(name).map(PathBuf::from))
            .or(typed)
    }

    fn http(&mut self, raw: &RawHttp) -> HttpConfig {
        HttpConfig {
            listen: self.listen(raw),
            token: self.token(raw),
            allowed_hosts: self.texts(&raw.allowed_hosts),
            public_url: self.shown_url(
                &raw.public_url,
                "the page",
                "https://psiren.example.com/prefix",
            ),
            dashboard_url: self.shown_url(
                &raw.dashboard_url,
                "the dashboard",
                "https://grafana.example.com/d/psiren-drift/psiren",
            ),
            bucket_metrics: raw.bucket_metrics,
        }
    }

    /// The address of `what`, which people are shown as a link and to which more is appended.
    fn shown_url(&mut self, raw: &Typed<String>, what: &str, example: &str) -> Option<String> {
        let url = self.text(raw)?;
        let span = raw.as_ref()?.span();
        if !is_http_url(&url) || url.contains(['?', '#']) {
            self.faults.add(
                span.clone(),
                format!(
                    "found {:?}, expected the address of {what}",
                    without_credentials(&url)
                ),
                format!("write it like {example:?}, without query or fragment"),
            );
        }
        if url.contains('@') {
            self.faults.add(
                span,
                format!("the address of {what} holds a user or a password"),
                "leave it out; it would be shown on the page and in messages",
            );
        }
        Some(url)
    }

    fn listen(&mut self, raw: &RawHttp) -> SocketAddr {
        let outside = self.outside(self.overrides.listen.as_deref(), "PSIREN_HTTP_LISTEN");
        let (span, text) = match (outside, &raw.listen) {
            (Some(text), _) => (None, text),
            (None, Some(typed)) => (Some(typed.span()), typed.get_ref().clone()),
            (None, None) => (None, defaults::LISTEN.to_owned()),
        };
        socket_address(&text).unwrap_or_else(|| {
            self.faults.add(
                span,
                format!(
                    "found {text:?} as the address to listen on, expected an IP address and a port"
                ),
                format!(
                    "write it like \"{}\" or \"0.0.0.0:10774\"",
                    defaults::LISTEN
                ),
            );
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    fn token(&mut self, raw: &RawHttp) -> Option<SecretString> {
        let token = self.secret(Some("PSIREN_HTTP_TOKEN"), &raw.token, &raw.token_file)?;
        let bytes = token.expose_secret().len();
        if bytes < TOKEN_BYTES {
            let span = raw.token.as_ref().map(Spanned::span);
            self.faults.add(
                span.or_else(|| raw.token_file.as_ref().map(Spanned::span)),
                format!("the token has {bytes} bytes, expected at least {TOKEN_BYTES}"),
                "make one with `openssl rand -hex 32`",
            );
        } else if !token.expose_secret().bytes().all(|b| b.is_ascii_graphic()) {
            let span = raw.token.as_ref().map(Spanned::span);
            self.faults.add(
                span.or_else(|| raw.token_file.as_ref().map(Spanned::span)),
                "the token holds a space, a line end or a letter beyond ASCII, which no header can",
                "make one with `openssl rand -hex 32`",
            );
        }
        Some(token)
    }
}

/// An IP address and a port; `localhost` is the loopback address.
fn socket_address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix("localhost:") {
        Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
        None => text.parse().ok(),
    }
}

fn is_http_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with(['/', '?', '#', ':'])
            && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

/// A name Prometheus takes, and none that psiren's own series have.
fn label_name(name: &str) -> Result<(), (String, String)> {
    const TAKEN: [&str; 5] = ["monitor", "topic", "reference", "le", "quantile"];
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !first || !rest || name.starts_with("__") {
        return Err((
            format!("`{name}` is no name for a label"),
            "use letters, digits and _, not starting with a digit or __".to_owned(),
        ));
    }
    if TAKEN.contains(&name) {
        return Err((
            format!("the label `{name}` is one of psiren's own"),
            "choose another name".to_owned(),
        ));
    }
    Ok(())
}
