//! Questions to the broker that must not hold up the consuming loop: which partitions there are,
//! where a log begins and ends, what stands at an offset, what is committed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::metadata::Metadata;
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use super::client::{ca_file, consumer_config, heard, logged};
use super::kafka::record;
use super::native::topic_id::topic_ids;
use super::trouble::{Mentions, Trouble};
use super::{Record, TopicPartition};
use crate::config::KafkaConfig;

const ANSWER: Duration = Duration::from_secs(5);
/// Waited for at a time, where a right that is missing is only mentioned.
const STEP: Duration = Duration::from_secs(1);
/// How the ids of librdkafka's embedded clusters begin (`rdkafka_mock.c`).
const EMBEDDED: &str = "mockCluster";

/// A client of its own; every call blocks for at most a few seconds.
pub struct Control {
    consumer: BaseConsumer<Replies>,
    ca_file: Option<String>,
}

/// What became of the commits that were sent off, and what librdkafka mentioned.
#[derive(Default)]
struct Replies {
    last: Mutex<Option<KafkaResult<()>>>,
    mentions: Mentions,
}

impl Replies {
    fn take(&self) -> Option<KafkaResult<()>> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.take()
    }
}

impl ClientContext for Replies {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        self.mentions.logged(facility, line);
        logged(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.mentions.heard(&error, reason);
        heard(&error, reason);
    }
}

impl ConsumerContext for Replies {
    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
    }
}

/// First offset of a log, and the offset behind its last stable record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogSpan {
    pub start: i64,
    pub end: i64,
}

/// An offset somebody committed under our group, and what they wrote beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    pub partition: TopicPartition,
    pub metadata: String,
}

impl Control {
    /// # Errors
    /// When librdkafka refuses the configuration.
    pub fn new(kafka: &KafkaConfig) -> Result<Self> {
        let consumer = consumer_config(kafka)
            .set("enable.partition.eof", "true")
            .create_with_context(Replies::default())
            .context("cannot create the Kafka client")?;
        let ca_file = ca_file(kafka).map(str::to_owned);
        Ok(Self { consumer, ca_file })
    }

    /// Why the brokers did not answer.
    fn trouble(&self, error: &KafkaError) -> Trouble {
        // Nothing is assigned: polling takes in what librdkafka has to say.
        for _ in 0..100 {
            if self.consumer.poll(Duration::from_millis(1)).is_none() {
                break;
            }
        }
        let verdict = self.consumer.context().mentions.verdict(error);
        verdict.looked_into(self.ca_file.as_deref())
    }

    /// The partitions of a topic; `None` when there is no such topic (yet).
    ///
    /// # Errors
    /// A [`Trouble`] when no broker answers or the topic may not be described.
    pub fn partitions(&self, topic: &str) -> Result<Option<Vec<i32>>> {
        let answer = self.consumer.fetch_metadata(Some(topic), ANSWER);
        let metadata = answer.map_err(|error| self.trouble(&error))?;
        self.consumer.context().mentions.forget();
        partitions_of(&metadata, topic)
    }

    /// The ids of these topics: what tells a topic from another one that was made later under its
    /// name. A topic that does not exist, or whose broker knows no ids, is left out; librdkafka's
    /// embedded brokers know none and would not say so.
    ///
    /// # Errors
    /// When no broker answers within `patience`.
    pub fn topic_ids(
        &self,
        topics: &[&str],
        patience: Duration,
    ) -> Result<BTreeMap<String, String>> {
        let client = self.consumer.client();
        let cluster = client.fetch_cluster_id(Duration::ZERO);
        if cluster.is_some_and(|id| id.starts_with(EMBEDDED)) {
            return Ok(BTreeMap::new());
        }
        topic_ids(client, topics, patience).context("no ids of the topics")
    }

    /// Where the log begins and ends now, asked of the broker; a cached figure would lie while the
    /// broker is away.
    ///
    /// # Errors
    /// When the partition's leader does not answer.
    pub fn span(&self, partition: &TopicPartition) -> Result<LogSpan> {
        let (start, end) = self
            .consumer
            .fetch_watermarks(&partition.topic, partition.partition, ANSWER)
            .with_context(|| format!("no offsets of {partition}"))?;
        Ok(LogSpan { start, end })
    }

    /// The offset of the first record at or after `ms`; `None` when there is none.
    ///
    /// # Errors
    /// When the partition's leader does not answer.
    pub fn offset_at(&self, partition: &TopicPartition, ms: i64) -> Result<Option<i64>> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(ms))?;
        let found = self.consumer.offsets_for_times(list, ANSWER)?;
        let Some(element) = found.find_partition(&partition.topic, partition.partition) else {
            return Ok(None);
        };
        element.error()?;
        Ok(match element.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    }

    /// What `look` sees in the first record at or after `offset`; `None` when the log ends before
    /// it.
    ///
    /// # Errors
    /// When the record cannot be read within a few seconds.
    pub fn read<T>(
        &self,
        partition: &TopicPartition,
        offset: i64,
        look: impl FnOnce(&Record<'_>) -> T,
    ) -> Result<Option<T>> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(
            &partition.topic,
            partition.partition,
            Offset::Offset(offset),
        )?;
        self.consumer.assign(&list)?;
        let found = self.poll_one(partition, look);
        self.consumer.assign(&TopicPartitionList::new())?;
        found
    }

    fn poll_one<T>(
        &self,
        partition: &TopicPartition,
        look: impl FnOnce(&Record<'_>) -> T,
    ) -> Result<Option<T>> {
        match self.consumer.poll(ANSWER) {
            Some(Ok(message)) => Ok(Some(look(&record(&message)))),
            Some(Err(KafkaError::PartitionEOF(_))) => Ok(None),
            Some(Err(error)) => Err(error).with_context(|| format!("reading {partition}")),
            None => bail!(
                "reading {partition}: no answer within {} s",
                ANSWER.as_secs()
            ),
        }
    }

    /// What is committed under our group for these partitions.
    ///
    /// # Errors
    /// [`Trouble::GroupForbidden`], or when the group's coordinator does not answer.
    pub fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<Committed>> {
        let mut list = TopicPartitionList::new();
        for p in partitions {
            list.add_partition(&p.topic, p.partition);
        }
        let found = self.committed_offsets(&list)?;
        Ok(found
            .elements()
            .iter()
            .map(|e| Committed {
                partition: TopicPartition {
                    topic: e.topic().to_owned(),
                    partition: e.partition(),
                },
                metadata: e.metadata().to_owned(),
            })
            .filter(|c| !c.metadata.is_empty())
            .collect())
    }

    /// librdkafka asks for the group's coordinator again and again, also where that is forbidden.
    fn committed_offsets(&self, list: &TopicPartitionList) -> Result<TopicPartitionList> {
        let began = Instant::now();
        loop {
            let error = match self.consumer.committed_offsets(list.clone(), STEP) {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let trouble = self.trouble(&error);
            let mentions = &self.consumer.context().mentions;
            if let Some(forbidden) = mentions.group_forbidden() {
                return Err(forbidden.into());
            }
            if began.elapsed() + STEP > ANSWER {
                return Err(trouble.into());
            }
        }
    }

    /// Commits offsets for lag tools, with words that name this process, and waits up to `patience`
    /// for the reply; one that comes later is heard by the next commit. psiren itself never starts
    /// from them. librdkafka's own synchronous commit waits for a silent coordinator without end.
    ///
    /// # Errors
    /// When the group's coordinator refuses this commit or, meanwhile, the one before.
    pub fn commit(
        &self,
        offsets: &[(TopicPartition, i64)],
        metadata: &str,
        patience: Duration,
    ) -> Result<()> {
        let mut list = TopicPartitionList::new();
        for (p, offset) in offsets {
            list.add_partition_offset(&p.topic, p.partition, Offset::Offset(*offset))?;
            if let Some(mut element) = list.find_partition(&p.topic, p.partition) {
                element.set_metadata(metadata);
            }
        }
        let before = self.consumer.context().take();
        self.consumer.commit(&list, CommitMode::Async)?;
        let deadline = Instant::now() + patience;
        while Instant::now() < deadline {
            // Nothing is assigned: polling serves replies, and errors are told by each question.
            drop(self.consumer.poll(Duration::from_millis(10)));
            if let Some(reply) = self.consumer.context().take() {
                return Ok(reply?);
            }
        }
        before.map_or(Ok(()), |reply| Ok(reply?))
    }
}

/// The partitions of a topic in the answer to a question for it; `None` when there is no such
/// topic (yet).
pub(super) fn partitions_of(metadata: &Metadata, topic: &str) -> Result<Option<Vec<i32>>> {
    use rdkafka::types::RDKafkaRespErr as Code;
    let Some(found) = metadata.topics().iter().find(|t| t.name() == topic) else {
        return Ok(None);
    };
    match found.error() {
        None => {}
        Some(
            Code::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
            | Code::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
            | Code::RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE,
        ) => return Ok(None),
        Some(Code::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) => {
            return Err(Trouble::Forbidden(format!("topic {topic:?} may not be read")).into());
        }
        Some(error) => bail!(
            "topic {topic:?} cannot be read: {}",
            rdkafka::error::RDKafkaErrorCode::from(error)
        ),
    }
    let mut partitions: Vec<i32> = found.partitions().iter().map(|p| p.id()).collect();
    partitions.sort_unstable();
    Ok(Some(partitions).filter(|p| !p.is_empty()))
}
