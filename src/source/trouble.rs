//! Why the brokers give no answer, in words that say what to do.
//!
//! librdkafka tries for ever and only mentions why it fails, so what it mentions is kept, and the
//! most telling of it becomes the error.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::certificate;

/// Mentions that are kept; the first ones tell the most.
const MENTIONS: usize = 1_000;
/// How long a mention explains anything. librdkafka repeats one that goes on every 30 s.
const RECENT: Duration = Duration::from_secs(60);

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("authentication failed: {0}; look at mechanism, username and password in [kafka.sasl]")]
    Authentication(String),
    #[error("TLS failed: {reason}; {advice}")]
    Tls {
        reason: String,
        advice: &'static str,
    },
    #[error(
        "not allowed: {0}; give the user of this configuration the right to read (READ) the topic"
    )]
    Forbidden(String),
    #[error(
        "not allowed: {0}; give the user of this configuration the right to read (READ) the group"
    )]
    GroupForbidden(String),
    #[error(
        "a broker's name is not known: {0}; look at bootstrap_servers and at the brokers' advertised.listeners"
    )]
    UnknownHost(String),
    #[error(
        "no broker can be reached: {0}; look at bootstrap_servers, the port, and whether the brokers run with TLS or SASL"
    )]
    Unreachable(String),
    #[error("no answer within 10 s: {0}")]
    Silent(String),
    #[error("{0}")]
    Other(String),
}

impl Trouble {
    /// Waiting does not help: somebody has to change something.
    pub(crate) fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Authentication(_) | Self::Tls { .. } | Self::Forbidden(_)
        )
    }

    /// Whether librdkafka gave up on something else than the path to the brokers.
    pub(crate) fn is_forbidden(&self) -> bool {
        matches!(self, Self::Forbidden(_) | Self::GroupForbidden(_))
    }

    /// With what the certificate itself says, where that was the trouble: librdkafka has one
    /// sentence for a foreign authority, another name and a date that has passed.
    pub(crate) fn looked_into(self, ca_file: Option<&str>) -> Self {
        match self {
            Self::Tls { reason, advice } if reason.contains("certificate verify failed") => {
                let address = certificate::address_in(&reason).map(str::to_owned);
                let found = address.and_then(|address| {
                    let found = certificate::objection(&address, ca_file)?;
                    Some((format!("{address}: {}", found.words), found.advice))
                });
                let (reason, advice) = found.unwrap_or((reason, advice));
                Self::Tls { reason, advice }
            }
            other => other,
        }
    }
}

/// What librdkafka mentioned lately.
#[derive(Default)]
pub(crate) struct Mentions(Mutex<Vec<(Instant, Code, String)>>);

impl Mentions {
    /// Keeps why a connection failed: a broker that hangs up is only logged, with a guess at the
    /// reason. False for other lines.
    pub(crate) fn logged(&self, facility: &str, line: &str) -> bool {
        if facility != "FAIL" {
            return false;
        }
        let words = line.split_once("]: ").map_or(line, |(_, words)| words);
        self.add(Code::BrokerTransportFailure, words);
        true
    }

    pub(crate) fn heard(&self, error: &KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.add(code, reason);
        }
    }

    pub(crate) fn add(&self, code: Code, words: &str) {
        let mut mentions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if mentions.len() >= MENTIONS {
            mentions.retain(|(at, ..)| at.elapsed() < RECENT);
        }
        if mentions.len() < MENTIONS {
            mentions.push((Instant::now(), code, words.to_owned()));
        }
    }

    /// An answer came: what was mentioned before explains nothing any more.
    pub(crate) fn forget(&self) {
        let mut mentions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        mentions.clear();
    }

    pub(crate) fn all_down(&self) -> bool {
        let down = |(code, _): &(Code, String)| *code == Code::AllBrokersDown;
        self.recent().iter().any(down)
    }

    /// What was said of a right to the group that is missing.
    pub(crate) fn group_forbidden(&self) -> Option<Trouble> {
        let mut recent = self.recent().into_iter();
        let (code, words) = recent.find(|(code, _)| *code == Code::GroupAuthorizationFailed)?;
        Some(classify(code, &words))
    }

    /// The most telling of `error` and everything that was mentioned. What concerns the group
    /// only explains a question about the group.
    pub(crate) fn verdict(&self, error: &KafkaError) -> Trouble {
        let code = error.rdkafka_error_code();
        let own = code.map(|code| (code, code.to_string()));
        // That no broker is connected yet says nothing about why.
        let own = own.filter(|(code, _)| *code != Code::BrokerTransportFailure);
        self.recent()
            .into_iter()
            .filter(|(code, _)| *code != Code::GroupAuthorizationFailed)
            .chain(own)
            .map(|(code, reason)| classify(code, &reason))
            .min_by_key(rank)
            .unwrap_or_else(|| match code {
                Some(Code::BrokerTransportFailure) => Trouble::Silent(
                    "nobody speaks Kafka there; look for a firewall, another port, a broker that hangs"
                        .to_owned(),
                ),
                _ => Trouble::Other(error.to_string()),
            })
    }

    fn recent(&self) -> Vec<(Code, String)> {
        let mentions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = mentions.iter().filter(|(at, ..)| at.elapsed() < RECENT);
        recent
            .map(|(_, code, words)| (*code, words.clone()))
            .collect()
    }
}

fn classify(code: Code, reason: &str) -> Trouble {
    // How long an attempt took differs each time, and says nothing.
    let (words, state) = reason.split_once(" (after ").unwrap_or((reason, ""));
    let reason = words.to_owned();
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => Trouble::Authentication(reason),
        Code::SSL => tls(reason),
        // A broker that wants a certificate says so only after the handshake.
        Code::BrokerTransportFailure
            if reason.contains("alert bad certificate")
                || reason.contains("alert certificate required") =>
        {
            Trouble::Tls {
                reason,
                advice: "the broker does not take this client's certificate, or wants one: set cert_file and key_file in [kafka.tls]",
            }
        }
        Code::BrokerTransportFailure if reason.contains("certificate verify failed") => tls(reason),
        // Logged before it is reported, and at times only logged.
        Code::BrokerTransportFailure if reason.contains("SASL authentication error") => {
            Trouble::Authentication(reason)
        }
        Code::BrokerTransportFailure
            if state.contains("APIVERSION_QUERY") && reason.contains("Disconnected") =>
        {
            Trouble::Unreachable(format!("{reason}; is it a TLS or SASL listener?"))
        }
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => {
            Trouble::Forbidden(reason)
        }
        Code::GroupAuthorizationFailed => Trouble::GroupForbidden(reason),
        Code::Resolve => Trouble::UnknownHost(reason),
        Code::BrokerTransportFailure => Trouble::Unreachable(reason),
        Code::AllBrokersDown => Trouble::Unreachable("all brokers are down".to_owned()),
        Code::OperationTimedOut | Code::RequestTimedOut | Code::TimedOutQueue => {
            Trouble::Silent(reason)
        }
        _ => Trouble::Other(reason),
    }
}

fn tls(reason: String) -> Trouble {
    Trouble::Tls {
        reason,
        advice: certificate::AUTHORITY,
    }
}

/// The lower, the more it explains.
fn rank(trouble: &Trouble) -> u8 {
    match trouble {
        Trouble::Authentication(_) => 0,
        Trouble::Tls { .. } => 1,
        Trouble::Forbidden(_) => 2,
        Trouble::GroupForbidden(_) => 3,
        Trouble::UnknownHost(_) => 4,
        // `connecting to a PLAINTEXT broker listener?` says most; with the broker's address, as in
        // `host:9092/bootstrap: …`, it says why.
        Trouble::Unreachable(words) if words.contains("listener?") => 5,
        Trouble::Unreachable(words) => 6 + u8::from(!words.contains('/')),
        Trouble::Other(_) => 8,
        Trouble::Silent(_) => 9,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(mentions: &[(Code, &str)], error: Code) -> String {
        let kept = Mentions::default();
        for (code, words) in mentions {
            kept.add(*code, words);
        }
        kept.verdict(&KafkaError::MetadataFetch(error)).to_string()
    }

    #[test]
    fn the_most_telling_mention_is_the_error() {
        let refused = (
            Code::BrokerTransportFailure,
            "h:1/bootstrap: Connection refused",
        );
        let down = (Code::AllBrokersDown, "1/1 brokers are down");
        let denied = (Code::Authentication, "h:2/bootstrap: wrong password");
        let late = Code::OperationTimedOut;
        let told = |mentions: &[(Code, &str)]| told(mentions, late);
        assert!(told(&[down, refused]).contains("Connection refused"));
        assert!(told(&[down, refused, denied]).starts_with("authentication failed: h:2"));
        assert!(told(&[down]).contains("all brokers are down"));
        assert!(told(&[]).starts_with("no answer within 10 s"));
    }

    #[test]
    fn not_being_connected_is_no_reason() {
        let silent = told(&[], Code::BrokerTransportFailure);
        assert!(silent.contains("nobody speaks Kafka there"), "{silent}");
    }

    #[test]
    fn how_long_an_attempt_took_is_left_out() {
        let mention = "h:1/1: SSL handshake failed: reset (after 7ms in state SSL_HANDSHAKE)";
        let told = told(&[(Code::SSL, mention)], Code::OperationTimedOut);
        assert!(told.contains("reset; "), "{told}");
    }

    #[test]
    fn a_right_to_the_group_explains_nothing_else() {
        let group = (
            Code::GroupAuthorizationFailed,
            "Group authorization failed.",
        );
        let late = told(&[group], Code::OperationTimedOut);
        assert!(late.starts_with("no answer"), "{late}");
    }
}
