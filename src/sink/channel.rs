//! What the channels differ in: the body of a request, its address, its headers, and which words of
//! an answer may be shown. Everything else is the same for all and lies in the receiver.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Serialize;

use super::outbox::{Attempt, Pending};
use super::{alertmanager, slack, webhook};
use crate::config::Channel;
use crate::drift::Definition;

/// One request to be.
#[derive(Debug)]
pub(super) struct Post {
    pub(super) url: SecretString,
    pub(super) bearer_token: Option<SecretString>,
    /// JSON.
    pub(super) body: String,
    pub(super) shown: Shown,
}

/// What of an answer that is an error may be shown. It may echo the address, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    Nothing,
    /// Slack's own words.
    SlackWords,
    /// What Alertmanager says is wrong; its address is no secret.
    JsonText,
}

/// What a message says besides its news.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    pub(super) definition: &'a Definition,
    pub(super) labels: &'a BTreeMap<String, String>,
    pub(super) public_url: Option<&'a str>,
    pub(super) dashboard_url: Option<&'a str>,
}

/// The request that tells `pending`. `None` when the channel needs none for it.
pub(super) fn post(
    channel: &Channel,
    attempt: &Attempt,
    pending: &Pending,
    around: &Around<'_>,
    now_ms: i64,
) -> Option<Post> {
    match channel {
        Channel::Slack { mention, .. } => {
            let message = slack::message(pending, around, mention.as_deref());
            Some(to(channel, &message))
        }
        Channel::Webhook { .. } => {
            let document = webhook::document(attempt, pending, around, now_ms);
            Some(to(channel, &document))
        }
        Channel::Alertmanager { .. } => {
            let alerts = alertmanager::news(pending, around, now_ms);
            (!alerts.is_empty()).then(|| to(channel, &alerts))
        }
    }
}

/// The request of a message that says it is a test.
pub(super) fn test_post(channel: &Channel, labels: &BTreeMap<String, String>, now_ms: i64) -> Post {
    match channel {
        Channel::Slack { .. } => to(channel, &slack::test_message(labels)),
        Channel::Webhook { .. } => to(channel, &webhook::test_document(labels, now_ms)),
        Channel::Alertmanager { .. } => to(channel, &[alertmanager::test_alert(labels, now_ms)]),
    }
}

/// A request with this body, to where the channel takes it.
pub(super) fn to(channel: &Channel, body: &(impl Serialize + ?Sized)) -> Post {
    // Who is sent a token may repeat it in the answer.
    let harmless = |token: &Option<SecretString>| match token {
        Some(_) => Shown::Nothing,
        None => Shown::JsonText,
    };
    let (url, bearer_token, shown) = match channel {
        Channel::Slack { webhook_url, .. } => (webhook_url.clone(), None, Shown::SlackWords),
        Channel::Webhook { url, bearer_token } => {
            (url.clone(), bearer_token.clone(), Shown::Nothing)
        }
        Channel::Alertmanager { url, bearer_token } => {
            let url = SecretString::from(format!("{url}/api/v2/alerts"));
            (url, bearer_token.clone(), harmless(bearer_token))
        }
    };
    Post {
        url,
        bearer_token,
        body: serde_json::to_string(body).expect("every key is text"),
        shown,
    }
}
