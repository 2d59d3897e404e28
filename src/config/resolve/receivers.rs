//! Who is told: `[notify.NAME]` and `SLACK_WEBHOOK_URL`, and whom each healthy evaluation calls.

use std::ops::Range;

use secrecy::{ExposeSecret, SecretString};
use toml::Spanned;

use super::{Resolver, is_http_url};
use crate::config::raw::{Entries, RawMonitor, RawReceiver, RawSecret, Typed};
use crate::config::{Channel, ReceiverConfig, defaults, suggest};
use crate::text::without_credentials;

const VARIABLE: &str = "SLACK_WEBHOOK_URL";

/// What an address is copied from, for the one who typed another.
const OF_SLACK: &str = "copy it from Slack; it begins with https://hooks.slack.com/services/";
const OF_A_WEBHOOK: &str = "write it like https://example.com/drift";
const OF_A_HEARTBEAT: &str =
    "copy it from the service that waits for the call; it begins with https://";

/// The one address of a receiver, by the key it was given with.
#[derive(Clone, Copy)]
enum Kind {
    Slack,
    Webhook,
    Alertmanager,
}

impl Resolver<'_> {
    /// The receivers in the order of the file; `SLACK_WEBHOOK_URL` gives the one named `slack` its
    /// address, and makes it where the file has none.
    pub(super) fn receivers(&mut self, raw: &Entries<RawReceiver>) -> Vec<ReceiverConfig> {
        let mut receivers: Vec<_> = raw
            .iter()
            .filter_map(|(name, raw)| self.receiver(name, raw))
            .collect();
        let named = |r: &(Spanned<String>, _)| r.0.get_ref() == defaults::SLACK_RECEIVER;
        if !raw.iter().any(named)
            && let Some(url) = self.secret(Some(VARIABLE), &None, &None)
        {
            self.check_url(None, &url, VARIABLE, OF_SLACK);
            receivers.push(ReceiverConfig {
                name: defaults::SLACK_RECEIVER.to_owned(),
                channel: Channel::Slack {
                    webhook_url: url,
                    mention: None,
                },
            });
        }
        let in_file = raw.iter().map(|(name, _)| name.get_ref().clone());
        let usable = receivers.iter().map(|r| r.name.clone());
        self.declared = in_file.chain(usable).collect();
        receivers
    }

    fn receiver(&mut self, name: &Spanned<String>, raw: &RawReceiver) -> Option<ReceiverConfig> {
        self.check_name(name, "receiver");
        let variable = (name.get_ref() == defaults::SLACK_RECEIVER).then_some(VARIABLE);
        let kind = self.kind(name, raw, variable)?;
        self.check_extras(kind, raw);
        let channel = match kind {
            Kind::Slack => Channel::Slack {
                mention: self.text(&raw.mention),
                webhook_url: self.address(
                    (variable, "slack_webhook_url", OF_SLACK),
                    &raw.slack_webhook_url,
                    &raw.slack_webhook_url_file,
                    name,
                )?,
            },
            Kind::Webhook => {
                let url = self.address(
                    (None, "webhook_url", OF_A_WEBHOOK),
                    &raw.webhook_url,
                    &raw.webhook_url_file,
                    name,
                )?;
                let bearer_token = self.bearer_token(raw);
                self.check_credentials(&url, bearer_token.as_ref(), raw);
                Channel::Webhook { bearer_token, url }
            }
            Kind::Alertmanager => Channel::Alertmanager {
                bearer_token: self.bearer_token(raw),
                url: self.alertmanager_url(&raw.alertmanager_url)?,
            },
        };
        Some(ReceiverConfig {
            name: name.get_ref().clone(),
            channel,
        })
    }

    /// A receiver has one address.
    fn kind(
        &mut self,
        name: &Spanned<String>,
        raw: &RawReceiver,
        variable: Option<&'static str>,
    ) -> Option<Kind> {
        let text = name.get_ref();
        let outside = variable.filter(|name| self.overrides.environment.secret(name).is_some());
        let slack = place(&raw.slack_webhook_url, &raw.slack_webhook_url_file);
        let slack = match (slack, outside) {
            (Some(span), _) => Some((Kind::Slack, "slack_webhook_url", span)),
            (None, Some(variable)) => Some((Kind::Slack, variable, name.span())),
            (None, None) => None,
        };
        let webhook = place(&raw.webhook_url, &raw.webhook_url_file)
            .map(|span| (Kind::Webhook, "webhook_url", span));
        let alertmanager = raw.alertmanager_url.as_ref();
        let alertmanager =
            alertmanager.map(|url| (Kind::Alertmanager, "alertmanager_url", url.span()));
        let given: Vec<_> = [slack, webhook, alertmanager]
            .into_iter()
            .flatten()
            .collect();
        match given.as_slice() {
            [] => {
                self.faults.add(
                    name.span(),
                    format!("the receiver `{text}` has no address"),
                    "set one of `slack_webhook_url_file`, `webhook_url_file` and `alertmanager_url`",
                );
                None
            }
            [(kind, ..)] => Some(*kind),
            [(_, first, _), (_, second, span), ..] => {
                self.faults.add(
                    span.clone(),
                    format!("the receiver `{text}` has two addresses, {first} and {second}"),
                    "a receiver has one; give each a [notify.NAME] of its own",
                );
                None
            }
        }
    }

    /// A request has one `Authorization` header.
    fn check_credentials(
        &mut self,
        url: &SecretString,
        token: Option<&SecretString>,
        raw: &RawReceiver,
    ) {
        let url = reqwest::Url::parse(url.expose_secret());
        let named = url.is_ok_and(|url| !url.username().is_empty() || url.password().is_some());
        if named && token.is_some() {
            self.faults.add(
                place(&raw.bearer_token, &raw.bearer_token_file),
                "the address of the webhook holds a user or a password, and there is a `bearer_token` too",
                "leave one of them out; a request has one Authorization header",
            );
        }
    }

    /// Keys that go with another kind of receiver.
    fn check_extras(&mut self, kind: Kind, raw: &RawReceiver) {
        let token = place(&raw.bearer_token, &raw.bearer_token_file);
        match (kind, &raw.mention, token) {
            (Kind::Slack, _, Some(span)) => self.faults.add(
                span,
                "Slack takes no `bearer_token`",
                "leave it out; the address itself is the secret",
            ),
            (Kind::Webhook | Kind::Alertmanager, Some(mention), _) => self.faults.add(
                mention.span(),
                "a `mention` is Slack markup, and this receiver is not Slack",
                "leave it out, or use `slack_webhook_url`",
            ),
            _ => {}
        }
    }

    /// A secret address: the variable and key it may come from, what it should look like, and where
    /// it was typed.
    fn address(
        &mut self,
        (variable, key, example): (Option<&str>, &str, &'static str),
        typed: &Typed<RawSecret>,
        file: &Typed<String>,
        name: &Spanned<String>,
    ) -> Option<SecretString> {
        let url = self.secret(variable, typed, file)?;
        let span = place(typed, file).unwrap_or(name.span());
        self.check_url(Some(span), &url, key, example);
        Some(url)
    }

    /// The address is a secret, so an error does not repeat it.
    fn check_url(
        &mut self,
        span: Option<Range<usize>>,
        url: &SecretString,
        what: &str,
        example: &str,
    ) {
        if !is_http_url(url.expose_secret()) {
            self.faults
                .add(span, format!("{what} is no web address"), example);
        }
    }

    /// The address below which Alertmanager's API is, without a slash at its end.
    fn alertmanager_url(&mut self, raw: &Typed<String>) -> Option<String> {
        let url = self.text(raw)?;
        let span = raw.as_ref()?.span();
        if !is_http_url(&url) || url.contains(['?', '#']) || url.contains("/api/v") {
            self.faults.add(
                span.clone(),
                format!(
                    "found {:?}, expected the address of an Alertmanager",
                    without_credentials(&url)
                ),
                "write it like \"http://alertmanager:9093\" or with a prefix, without /api/v2",
            );
        }
        if url.contains('@') {
            self.faults.add(
                span,
                "the address of an Alertmanager holds a user or a password",
                "leave it out; a proxy in front of it can ask for a `bearer_token`",
            );
        }
        Some(url.trim_end_matches('/').to_owned())
    }

    fn bearer_token(&mut self, raw: &RawReceiver) -> Option<SecretString> {
        let token = self.secret(None, &raw.bearer_token, &raw.bearer_token_file)?;
        let fits = |c: char| c.is_ascii_graphic();
        if token.expose_secret().is_empty() || !token.expose_secret().chars().all(fits) {
            self.faults.add(
                place(&raw.bearer_token, &raw.bearer_token_file),
                "the bearer token is empty or holds a space, a line end or a letter beyond ASCII",
                "write the token alone, without the word Bearer",
            );
        }
        Some(token)
    }

    /// Whom a monitor's healthy evaluations call.
    pub(super) fn heartbeat_url(&mut self, raw: &RawMonitor) -> Option<SecretString> {
        let url = self.secret(None, &raw.heartbeat_url, &raw.heartbeat_url_file)?;
        let span = place(&raw.heartbeat_url, &raw.heartbeat_url_file);
        self.check_url(span, &url, "heartbeat_url", OF_A_HEARTBEAT);
        Some(url)
    }

    /// The receivers of a monitor. One that names none has `slack`, or all where there is no
    /// `slack`: silence must be asked for, with `notify = []`.
    pub(super) fn notify(&mut self, raw: &RawMonitor, known: &[ReceiverConfig]) -> Vec<String> {
        let Some(names) = &raw.notify else {
            let slack = known.iter().find(|r| r.name == defaults::SLACK_RECEIVER);
            let chosen = slack.map_or(known, std::slice::from_ref);
            return chosen.iter().map(|r| r.name.clone()).collect();
        };
        let mut chosen: Vec<String> = Vec::new();
        for name in names {
            let text = name.get_ref();
            if !self.declared.contains(text) {
                self.unknown_receiver(name);
            } else if chosen.contains(text) {
                self.faults.add(
                    name.span(),
                    format!("the receiver `{text}` is named twice"),
                    "name it once",
                );
            }
            chosen.push(text.clone());
        }
        chosen
    }

    fn unknown_receiver(&mut self, name: &Spanned<String>) {
        let text = name.get_ref();
        let known = self.declared.iter().map(String::as_str);
        let help = match suggest::nearest(text, known) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None if text == defaults::SLACK_RECEIVER => {
                format!("set {VARIABLE} in the environment, or add [notify.{text}]")
            }
            None => format!("add [notify.{text}] with its address"),
        };
        self.faults
            .add(name.span(), format!("there is no receiver `{text}`"), help);
    }
}

/// Where a secret stands, or the name of the file it is in.
fn place(typed: &Typed<RawSecret>, file: &Typed<String>) -> Option<Range<usize>> {
    let typed = typed.as_ref().map(Spanned::span);
    typed.or_else(|| file.as_ref().map(Spanned::span))
}
