//! One attempt to hand a message to a webhook. The URL is a secret: no error text holds it.
//!
//! What an incoming webhook answers: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors>;
//! 429 and `Retry-After`: <https://docs.slack.dev/apis/web-api/rate-limits>.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

/// The longest `Retry-After` that is honoured.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Error words of Slack's that may be shown. Anything else an answer holds may echo the URL.
const KNOWN_WORDS: [&str; 12] = [
    "action_prohibited",
    "channel_is_archived",
    "channel_not_found",
    "invalid_blocks",
    "invalid_payload",
    "invalid_token",
    "no_active_hooks",
    "no_service",
    "no_service_id",
    "no_team",
    "no_text",
    "user_not_found",
];

/// Why a message was not delivered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It may work later.
    #[error("{words}")]
    Temporary {
        words: String,
        /// The least time to wait, when the receiver named one.
        after: Option<Duration>,
        /// The message may have arrived all the same.
        may_have_arrived: bool,
    },
    /// It will not work until something is changed.
    #[error("{words}")]
    Refused { words: String },
}

/// Sends to webhooks; builds its client when it is first needed.
#[derive(Debug)]
pub(super) struct Sender {
    client: Option<Client>,
    deadline: Duration,
}

impl Sender {
    pub(super) fn new(deadline: Duration) -> Self {
        Self {
            client: None,
            deadline,
        }
    }

    /// Posts `message` once.
    pub(super) async fn post(
        &mut self,
        webhook: &SecretString,
        message: &Value,
    ) -> Result<(), Failure> {
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(client(self.deadline)?),
        };
        let sent = client.post(webhook.expose_secret()).json(message).send();
        match sent.await {
            Ok(answer) => judge(answer).await,
            Err(error) => Err(explain(error, self.deadline)),
        }
    }
}

fn client(deadline: Duration) -> Result<Client, Failure> {
    // Fails only when another part of the program has installed one, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .timeout(deadline)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("psiren/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| Failure::Temporary {
            words: format!(
                "no https client could be made: {}",
                chain(&error.without_url())
            ),
            after: None,
            may_have_arrived: false,
        })
}

async fn judge(mut answer: Response) -> Result<(), Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let after = retry_after(answer.headers());
    let word = known_word(&mut answer).await;
    let words = format!("the receiver answered {}{word}", status.as_u16());
    let temporary = |words| Failure::Temporary {
        words,
        after,
        may_have_arrived: matches!(
            status,
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT
        ),
    };
    Err(match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            temporary(words)
        }
        status if status.is_client_error() => Failure::Refused { words },
        status if status.is_redirection() => {
            temporary(format!("{words}, a redirect, which is not followed"))
        }
        _ => temporary(words),
    })
}

/// Slack's own word for the error, when the answer begins with one.
async fn known_word(answer: &mut Response) -> String {
    let text = match answer.chunk().await {
        Ok(Some(bytes)) => String::from_utf8_lossy(&bytes).trim().to_owned(),
        _ => String::new(),
    };
    let known = KNOWN_WORDS.iter().find(|word| **word == text);
    known.map(|word| format!(" ({word})")).unwrap_or_default()
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(date.duration_since(jiff::Timestamp::now())).ok()?
        }
    };
    Some(wait.min(LONGEST_WAIT))
}

fn explain(error: reqwest::Error, deadline: Duration) -> Failure {
    let error = error.without_url();
    if error.is_builder() {
        return Failure::Refused {
            words: format!(
                "the webhook url is not one that can be posted to ({})",
                chain(&error)
            ),
        };
    }
    Failure::Temporary {
        may_have_arrived: !error.is_connect(),
        words: match error.is_timeout() {
            true => format!("no answer within {} s", deadline.as_secs_f64()),
            false => chain(&error),
        },
        after: None,
    }
}

/// An error and what caused it.
fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, text.parse().unwrap());
        retry_after(&headers)
    }

    #[test]
    fn retry_after_may_be_seconds_or_a_date() {
        assert_eq!(wait("30"), Some(Duration::from_secs(30)));
        assert_eq!(wait("86400"), Some(LONGEST_WAIT));
        assert_eq!(wait("Tue, 31 Dec 2199 23:59:59 GMT"), Some(LONGEST_WAIT));
        assert_eq!(wait("Sun, 06 Nov 1994 08:49:37 GMT"), None);
        assert_eq!(wait("soon"), None);
    }

    #[tokio::test]
    async fn a_url_that_is_none_is_refused_without_being_shown() {
        let mut sender = Sender::new(Duration::from_secs(1));
        for url in ["T0P/SECRET", "ftp://secret.example/x"] {
            let failure = sender.post(&url.into(), &Value::Null).await.unwrap_err();
            assert!(matches!(failure, Failure::Refused { .. }), "{failure}");
            assert!(!failure.to_string().to_lowercase().contains("secret"));
        }
    }
}
