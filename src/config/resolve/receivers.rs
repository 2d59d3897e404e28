//! Who is told: `[notify.NAME]` and `SLACK_WEBHOOK_URL`.

use secrecy::{ExposeSecret, SecretString};
use toml::Spanned;

use super::{Resolver, is_http_url};
use crate::config::raw::{Entries, RawMonitor, RawReceiver};
use crate::config::{ReceiverConfig, defaults, suggest};

const VARIABLE: &str = "SLACK_WEBHOOK_URL";

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
            self.check_url(None, &url, VARIABLE);
            receivers.push(ReceiverConfig {
                name: defaults::SLACK_RECEIVER.to_owned(),
                slack_webhook_url: url,
                mention: None,
            });
        }
        let in_file = raw.iter().map(|(name, _)| name.get_ref().clone());
        let usable = receivers.iter().map(|r| r.name.clone());
        self.declared = in_file.chain(usable).collect();
        receivers
    }

    fn receiver(&mut self, name: &Spanned<String>, raw: &RawReceiver) -> Option<ReceiverConfig> {
        let text = name.get_ref();
        self.check_name(name, "receiver");
        let variable = (text == defaults::SLACK_RECEIVER).then_some(VARIABLE);
        let mention = self.text(&raw.mention);
        let before = self.faults.0.len();
        let url = self.secret(
            variable,
            &raw.slack_webhook_url,
            &raw.slack_webhook_url_file,
        );
        let Some(url) = url else {
            if self.faults.0.len() == before {
                self.faults.add(
                    name.span(),
                    format!("the receiver `{text}` has no address"),
                    "set `slack_webhook_url_file` or `slack_webhook_url`",
                );
            }
            return None;
        };
        let typed = raw.slack_webhook_url.as_ref().map(Spanned::span);
        let typed = typed.or_else(|| raw.slack_webhook_url_file.as_ref().map(Spanned::span));
        self.check_url(typed.or(Some(name.span())), &url, "slack_webhook_url");
        Some(ReceiverConfig {
            name: text.clone(),
            slack_webhook_url: url,
            mention,
        })
    }

    /// The address is a secret, so an error does not repeat it.
    fn check_url(&mut self, span: Option<std::ops::Range<usize>>, url: &SecretString, what: &str) {
        if !is_http_url(url.expose_secret()) {
            self.faults.add(
                span,
                format!("{what} is no web address"),
                "copy it from Slack; it begins with https://hooks.slack.com/services/",
            );
        }
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
            None => format!("add [notify.{text}] with its `slack_webhook_url_file`"),
        };
        self.faults
            .add(name.span(), format!("there is no receiver `{text}`"), help);
    }
}
