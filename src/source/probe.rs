//! A look at a cluster from outside: can it be reached, which partitions has a topic, what stands
//! at some offsets. Joins no group, commits nothing, and each question ends within ten seconds.
//!
//! librdkafka tries for ever and only mentions why it fails, so what it mentions is kept and the
//! most telling of it becomes the error.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::Record;
use super::client::consumer_config;
use super::control::{LogSpan, partitions_of};
use super::kafka::record;
use crate::config::KafkaConfig;

/// The most one question takes.
const ANSWER: Duration = Duration::from_secs(10);
/// Waited for at a time, so that a telling error ends the question early.
const STEP: Duration = Duration::from_secs(1);
/// Mentions that are kept; the first ones tell the most.
const MENTIONS: usize = 1_000;
/// The most that closing takes.
const LEAVING: Duration = Duration::from_secs(3);
/// When every broker refuses the connection for this long, none is being started.
const DOWN: Duration = Duration::from_secs(3);

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    #[error("authentication failed: {0}; look at mechanism, username and password in [kafka.sasl]")]
    Authentication(String),
    #[error(
        "TLS failed: {0}; look at [kafka.tls]: ca_file must hold the authority that signed the brokers' certificates"
    )]
    Tls(String),
    #[error(
        "not allowed: {0}; give the user of this configuration the right to describe and read the topic"
    )]
    Forbidden(String),
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

/// Records to read of one partition.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    pub partition: i32,
    pub offset: i64,
    pub most: usize,
}

/// What librdkafka mentioned.
#[derive(Default)]
struct Mentions(Mutex<Vec<(Code, String)>>);

impl ClientContext for Mentions {
    /// A broker that hangs up is only logged, with a guess at the reason.
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        if facility == "FAIL" {
            let words = message
                .split_once("]: ")
                .map_or(message, |(_, words)| words);
            self.add(Code::BrokerTransportFailure, words);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if let Some(code) = error.rdkafka_error_code() {
            self.add(code, reason);
        }
    }
}

impl Mentions {
    fn add(&self, code: Code, words: &str) {
        let mut mentions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if mentions.len() < MENTIONS {
            mentions.push((code, words.to_owned()));
        }
    }
}

impl ConsumerContext for Mentions {}

/// A client of its own.
pub struct Probe {
    consumer: BaseConsumer<Mentions>,
}

impl Probe {
    /// # Errors
    /// [`ProbeError::Other`] when librdkafka refuses the configuration, such as a certificate file
    /// that is none.
    pub fn new(kafka: &KafkaConfig) -> Result<Self, ProbeError> {
        let consumer = consumer_config(kafka)
            .set("enable.partition.eof", "true")
            .set_log_level(RDKafkaLogLevel::Info)
            .create_with_context(Mentions::default())
            .map_err(|error| {
                ProbeError::Other(format!("librdkafka refuses the configuration: {error}"))
            })?;
        Ok(Self { consumer })
    }

    /// The partitions of a topic; `None` when there is no such topic (yet).
    ///
    /// # Errors
    /// When no broker answers, or the topic may not be described.
    pub fn partitions(&self, topic: &str) -> Result<Option<Vec<i32>>, ProbeError> {
        let began = Instant::now();
        loop {
            let error = match self.consumer.fetch_metadata(Some(topic), STEP) {
                Ok(metadata) => {
                    return partitions_of(&metadata, topic)
                        .map_err(|error| ProbeError::Forbidden(format!("{error:#}")));
                }
                Err(error) => error,
            };
            self.listen();
            let verdict = self.verdict(&error);
            let final_word = matches!(
                verdict,
                ProbeError::Authentication(_) | ProbeError::Tls(_) | ProbeError::Forbidden(_)
            );
            let patience = if self.all_down() { DOWN } else { ANSWER };
            if final_word || began.elapsed() + STEP > patience {
                return Err(verdict);
            }
            // A refused connection answers at once; without a pause this would be a busy loop.
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Where the log of a partition begins and ends.
    ///
    /// # Errors
    /// When its leader does not answer before `until`.
    pub fn span(&self, topic: &str, partition: i32, until: Instant) -> Result<LogSpan, ProbeError> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ProbeError::Silent(format!("{topic}/{partition}")));
        }
        match self.consumer.fetch_watermarks(topic, partition, left) {
            Ok((start, end)) => Ok(LogSpan { start, end }),
            Err(error) => {
                self.listen();
                Err(self.verdict(&error))
            }
        }
    }

    /// Hands over up to `most` records of each piece, in offset order per partition. What is not
    /// there within ten seconds is left out; false says that this happened.
    ///
    /// # Errors
    /// When the topic may not be read.
    pub fn read(
        &self,
        topic: &str,
        pieces: &[Piece],
        each: &mut dyn FnMut(&Record<'_>),
    ) -> Result<bool, ProbeError> {
        let mut list = TopicPartitionList::new();
        for piece in pieces {
            list.add_partition_offset(topic, piece.partition, Offset::Offset(piece.offset))
                .map_err(|error| self.verdict(&error))?;
        }
        let mut wanted: BTreeMap<i32, usize> = pieces
            .iter()
            .filter(|piece| piece.most > 0)
            .map(|piece| (piece.partition, piece.most))
            .collect();
        self.consumer
            .assign(&list)
            .map_err(|error| self.verdict(&error))?;
        let read = self.drain(topic, &mut wanted, each);
        // Nothing is lost when this fails: the client is asked for other partitions next, or dropped.
        let _ = self.consumer.assign(&TopicPartitionList::new());
        read.map(|()| wanted.is_empty())
    }

    /// Closes the client. One that takes more than a few seconds for it is left behind.
    pub fn leave(self) {
        let (done, closed) = mpsc::channel();
        std::thread::spawn(move || {
            drop(self);
            // The waiting side may have given up.
            let _ = done.send(());
        });
        let _ = closed.recv_timeout(LEAVING);
    }

    fn drain(
        &self,
        topic: &str,
        wanted: &mut BTreeMap<i32, usize>,
        each: &mut dyn FnMut(&Record<'_>),
    ) -> Result<(), ProbeError> {
        let until = Instant::now() + ANSWER;
        while !wanted.is_empty() && Instant::now() < until {
            match self.consumer.poll(Duration::from_millis(200)) {
                None => {}
                Some(Ok(message)) if message.topic() != topic => {}
                Some(Ok(message)) => {
                    let Some(left) = wanted.get_mut(&message.partition()) else {
                        continue;
                    };
                    each(&record(&message));
                    *left -= 1;
                    if *left == 0 {
                        wanted.remove(&message.partition());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    wanted.remove(&partition);
                }
                Some(Err(error)) => {
                    let verdict = self.verdict(&error);
                    if matches!(verdict, ProbeError::Forbidden(_)) {
                        return Err(verdict);
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes in what librdkafka has to say.
    fn listen(&self) {
        for _ in 0..100 {
            if self.consumer.poll(Duration::from_millis(10)).is_none() {
                break;
            }
        }
    }

    fn all_down(&self) -> bool {
        let mentions = self.consumer.context().0.lock();
        let mentions = mentions.unwrap_or_else(PoisonError::into_inner);
        mentions
            .iter()
            .any(|(code, _)| *code == Code::AllBrokersDown)
    }

    /// The most telling of `error` and everything that was mentioned.
    fn verdict(&self, error: &KafkaError) -> ProbeError {
        let code = error.rdkafka_error_code();
        let own = code.map(|code| (code, code.to_string()));
        // That no broker is connected yet says nothing about why.
        let own = own.filter(|(code, _)| *code != Code::BrokerTransportFailure);
        let mentions = self.consumer.context().0.lock();
        let mentions = mentions.unwrap_or_else(PoisonError::into_inner);
        mentions
            .iter()
            .cloned()
            .chain(own)
            .map(|(code, reason)| classify(code, reason))
            .min_by_key(rank)
            .unwrap_or_else(|| match code {
                Some(Code::BrokerTransportFailure) => ProbeError::Silent(
                    "nobody speaks Kafka there; look for a firewall, another port, a broker that hangs"
                        .to_owned(),
                ),
                _ => ProbeError::Other(error.to_string()),
            })
    }
}

fn classify(code: Code, reason: String) -> ProbeError {
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => ProbeError::Authentication(reason),
        Code::SSL => ProbeError::Tls(reason),
        Code::TopicAuthorizationFailed
        | Code::GroupAuthorizationFailed
        | Code::ClusterAuthorizationFailed => ProbeError::Forbidden(reason),
        Code::Resolve => ProbeError::UnknownHost(reason),
        Code::BrokerTransportFailure => ProbeError::Unreachable(reason),
        Code::AllBrokersDown => ProbeError::Unreachable("all brokers are down".to_owned()),
        Code::OperationTimedOut | Code::RequestTimedOut | Code::TimedOutQueue => {
            ProbeError::Silent(reason)
        }
        _ => ProbeError::Other(reason),
    }
}

/// The lower, the more it explains.
fn rank(error: &ProbeError) -> u8 {
    match error {
        ProbeError::Authentication(_) => 0,
        ProbeError::Tls(_) => 1,
        ProbeError::Forbidden(_) => 2,
        ProbeError::UnknownHost(_) => 3,
        // `connecting to a PLAINTEXT broker listener?` says most; with the broker's address, as in
        // `host:9092/bootstrap: …`, it says why.
        ProbeError::Unreachable(words) if words.contains("listener?") => 4,
        ProbeError::Unreachable(words) => 5 + u8::from(!words.contains('/')),
        ProbeError::Other(_) => 7,
        ProbeError::Silent(_) => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(mentions: &[(Code, &str)], error: Code) -> ProbeError {
        let config = KafkaConfig {
            bootstrap_servers: "127.0.0.1:1".to_owned(),
            group_id: "g".to_owned(),
            instance_id: "i".to_owned(),
            threads: 1,
            properties: BTreeMap::new(),
        };
        let probe = Probe::new(&config).unwrap();
        for (code, words) in mentions {
            probe.consumer.context().add(*code, words);
        }
        probe.verdict(&KafkaError::MetadataFetch(error))
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
        let told = |mentions: &[(Code, &str)]| told(mentions, late).to_string();
        assert!(told(&[down, refused]).contains("Connection refused"));
        assert!(told(&[down, refused, denied]).starts_with("authentication failed: h:2"));
        assert!(told(&[down]).contains("all brokers are down"));
        assert!(told(&[]).starts_with("no answer within 10 s"));
    }

    #[test]
    fn not_being_connected_is_no_reason() {
        let silent = told(&[], Code::BrokerTransportFailure).to_string();
        assert!(silent.contains("nobody speaks Kafka there"), "{silent}");
    }
}
