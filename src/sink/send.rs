//! One attempt to hand over a message, or to call an address. The URL may be a secret: no error text
//! holds it.
//!
//! What an incoming webhook of Slack's answers: <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks#handling_errors>;
//! 429 and `Retry-After`: <https://docs.slack.dev/apis/web-api/rate-limits>.

use std::error::Error;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::channel::{Post, Shown};

/// The longest `Retry-After` that is honoured.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// Characters of another one's words that are shown.
const WORDS: usize = 200;

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

/// Asks one receiver; builds its client when it is first needed.
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

    /// Posts a message once.
    pub(super) async fn post(&mut self, post: &Post) -> Result<(), Failure> {
        let request = self.client()?.post(post.url.expose_secret());
        let request = request.header(CONTENT_TYPE, "application/json");
        let request = match &post.bearer_token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        };
        self.send(request.body(post.body.clone()), post.shown).await
    }

    /// Gets an address once, for the sake of the call.
    pub(super) async fn call(&mut self, url: &SecretString) -> Result<(), Failure> {
        let request = self.client()?.get(url.expose_secret());
        self.send(request, Shown::Nothing).await
    }

    fn client(&mut self) -> Result<&Client, Failure> {
        match &mut self.client {
            Some(client) => Ok(client),
            none => Ok(none.insert(client(self.deadline)?)),
        }
    }

    async fn send(&self, request: RequestBuilder, shown: Shown) -> Result<(), Failure> {
        match request.send().await {
            Ok(answer) => judge(answer, shown).await,
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

async fn judge(mut answer: Response, shown: Shown) -> Result<(), Failure> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let after = retry_after(answer.headers());
    let said = said(&mut answer, shown).await;
    let words = format!("the receiver answered {}{said}", status.as_u16());
    let temporary = |words| Failure::Temporary {
        words,
        after,
        may_have_arrived: match status {
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => true,
            // Slack's 500 is a refusal for now; what another program did before it failed is not
            // known.
            StatusCode::INTERNAL_SERVER_ERROR => shown != Shown::SlackWords,
            _ => false,
        },
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

/// What the receiver says is wrong, as far as it may be shown.
async fn said(answer: &mut Response, shown: Shown) -> String {
    let bytes = answer.chunk().await.ok().flatten().unwrap_or_default();
    let words = match shown {
        Shown::Nothing => None,
        Shown::SlackWords => slack_word(&bytes).map(str::to_owned),
        Shown::JsonText => json_text(&bytes),
    };
    words.map(|words| format!(" ({words})")).unwrap_or_default()
}

fn slack_word(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    KNOWN_WORDS.into_iter().find(|word| *word == text.trim())
}

/// A JSON text, or the `message` of an object, which is how Alertmanager answers. What a proxy in
/// front of it says is neither.
fn json_text(bytes: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let text = value.as_str().or_else(|| value["message"].as_str())?;
    let shown = text.chars().filter(|c| !c.is_control());
    Some(shown.take(WORDS).collect())
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
                "the address is not one that can be asked ({})",
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

    #[test]
    fn only_words_in_the_form_of_the_channel_are_shown() {
        let shown = |bytes: &str| json_text(bytes.as_bytes());
        assert_eq!(
            shown("\"no\\u0007 labels\"\n").as_deref(),
            Some("no labels")
        );
        let error = r#"{"code":602,"message":"startsAt in body"}"#;
        assert_eq!(shown(error).as_deref(), Some("startsAt in body"));
        assert_eq!(shown("<html>T0P/SECRET"), None);
        assert_eq!(slack_word(b"no_service\n"), Some("no_service"));
        assert_eq!(slack_word(b"no T0P/SECRET"), None);
    }

    #[tokio::test]
    async fn a_url_that_is_none_is_refused_without_being_shown() {
        let mut sender = Sender::new(Duration::from_secs(1));
        for url in ["T0P/SECRET", "ftp://secret.example/x"] {
            let failure = sender.call(&url.into()).await.unwrap_err();
            assert!(matches!(failure, Failure::Refused { .. }), "{failure}");
            assert!(!failure.to_string().to_lowercase().contains("secret"));
        }
    }
}
