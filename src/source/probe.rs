//! A look at a cluster from outside: can it be reached, which partitions has a topic, what stands
//! at some offsets. Joins no group, commits nothing, and each question ends within ten seconds.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Message, Offset, TopicPartitionList};

use super::Record;
use super::client::{ca_file, consumer_config};
use super::control::{LogSpan, partitions_of};
use super::kafka::record;
use super::trouble::{Mentions, Trouble};
use crate::config::KafkaConfig;

/// The most one question takes.
const ANSWER: Duration = Duration::from_secs(10);
/// Waited for at a time, so that a telling error ends the question early.
const STEP: Duration = Duration::from_secs(1);
/// The most that closing takes.
const LEAVING: Duration = Duration::from_secs(3);
/// When every broker refuses the connection for this long, none is being started.
const DOWN: Duration = Duration::from_secs(3);

/// Records to read of one partition.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    pub partition: i32,
    pub offset: i64,
    pub most: usize,
}

/// Keeps what librdkafka mentions, and logs none of it.
#[derive(Default)]
struct Listener(Mentions);

impl ClientContext for Listener {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, line: &str) {
        self.0.logged(facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.heard(&error, reason);
    }
}

impl ConsumerContext for Listener {}

/// A client of its own.
pub struct Probe {
    consumer: BaseConsumer<Listener>,
    ca_file: Option<String>,
}

impl Probe {
    /// # Errors
    /// [`Trouble::Other`] when librdkafka refuses the configuration, such as a certificate file
    /// that is none.
    pub fn new(kafka: &KafkaConfig) -> Result<Self, Trouble> {
        let consumer = consumer_config(kafka)
            .set("enable.partition.eof", "true")
            .set_log_level(RDKafkaLogLevel::Info)
            .create_with_context(Listener::default())
            .map_err(|error| {
                Trouble::Other(format!("librdkafka refuses the configuration: {error}"))
            })?;
        let ca_file = ca_file(kafka).map(str::to_owned);
        Ok(Self { consumer, ca_file })
    }

    /// The partitions of a topic; `None` when there is no such topic (yet).
    ///
    /// # Errors
    /// When no broker answers, or the topic may not be described.
    pub fn partitions(&self, topic: &str) -> Result<Option<Vec<i32>>, Trouble> {
        let began = Instant::now();
        loop {
            let error = match self.consumer.fetch_metadata(Some(topic), STEP) {
                Ok(metadata) => {
                    return partitions_of(&metadata, topic).map_err(|error| {
                        let words = format!("{error:#}");
                        error.downcast().unwrap_or(Trouble::Other(words))
                    });
                }
                Err(error) => error,
            };
            self.listen();
            let verdict = self.mentions().verdict(&error);
            let patience = match self.mentions().all_down() {
                true => DOWN,
                false => ANSWER,
            };
            if verdict.is_final() || began.elapsed() + STEP > patience {
                return Err(verdict.looked_into(self.ca_file.as_deref()));
            }
            // A refused connection answers at once; without a pause this would be a busy loop.
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// The names of the topics that this user may describe; none when no broker answers.
    #[must_use]
    pub fn topics(&self) -> Vec<String> {
        let metadata = self.consumer.fetch_metadata(None, ANSWER);
        let topics = metadata.iter().flat_map(|metadata| metadata.topics());
        topics.map(|topic| topic.name().to_owned()).collect()
    }

    /// Whether this user may look at the group's offsets.
    ///
    /// # Errors
    /// [`Trouble::GroupForbidden`], or why the group's coordinator does not answer.
    pub fn group(&self, topic: &str, partition: i32) -> Result<(), Trouble> {
        let began = Instant::now();
        loop {
            let mut asked = TopicPartitionList::new();
            asked.add_partition(topic, partition);
            let error = match self.consumer.committed_offsets(asked, STEP) {
                Ok(_) => return Ok(()),
                Err(error) => error,
            };
            self.listen();
            if let Some(forbidden) = self.mentions().group_forbidden() {
                return Err(forbidden);
            }
            if began.elapsed() + STEP > ANSWER {
                return Err(self.verdict(&error));
            }
        }
    }

    /// Where the log of a partition begins and ends.
    ///
    /// # Errors
    /// When its leader does not answer before `until`.
    pub fn span(&self, topic: &str, partition: i32, until: Instant) -> Result<LogSpan, Trouble> {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Trouble::Silent(format!("{topic}/{partition}")));
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
    ) -> Result<bool, Trouble> {
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
    ) -> Result<(), Trouble> {
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
                Some(Err(error))
                    if error.rdkafka_error_code() == Some(Code::TopicAuthorizationFailed) =>
                {
                    return Err(self.verdict(&error));
                }
                // What concerns the group or a connection keeps nobody from reading on.
                Some(Err(_)) => {}
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

    fn mentions(&self) -> &Mentions {
        &self.consumer.context().0
    }

    fn verdict(&self, error: &KafkaError) -> Trouble {
        let verdict = self.mentions().verdict(error);
        verdict.looked_into(self.ca_file.as_deref())
    }
}
