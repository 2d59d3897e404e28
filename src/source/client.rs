//! Configuration → librdkafka clients.
//!
//! Where this departs from librdkafka's own defaults: offsets are never stored or reset for us,
//! because start offsets come from psiren's state; only committed records are read; the fetch
//! back-off is short, because its default of a second makes catching up several times slower; and
//! what is fetched ahead, over all partitions, takes no more memory than keeps the loop busy.

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use secrecy::ExposeSecret;

use crate::config::{KafkaConfig, Property};

/// What a context does with a line of librdkafka's log: the facilities `FAIL` (a connection) and
/// `COMMITFAIL` are told by whoever asked.
pub(crate) fn logged(level: RDKafkaLogLevel, facility: &str, line: &str) {
    use RDKafkaLogLevel as Level;
    match level {
        _ if matches!(facility, "FAIL" | "COMMITFAIL") => {
            tracing::debug!(target: "librdkafka", "{facility}: {line}");
        }
        Level::Emerg | Level::Alert | Level::Critical | Level::Error => {
            tracing::error!(target: "librdkafka", "librdkafka: {facility}: {line}");
        }
        Level::Warning => tracing::warn!(target: "librdkafka", "librdkafka: {facility}: {line}"),
        Level::Notice | Level::Info => {
            tracing::info!(target: "librdkafka", "librdkafka: {facility}: {line}");
        }
        Level::Debug => tracing::debug!(target: "librdkafka", "{facility}: {line}"),
    }
}

/// What a context does with librdkafka's global errors: it repeats each at every attempt, and
/// whoever uses the client says it once.
pub(crate) fn heard(error: &KafkaError, reason: &str) {
    tracing::debug!("librdkafka: {error}: {reason}");
}

/// Settings for every client of this process.
#[must_use]
pub fn client_config(kafka: &KafkaConfig) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &kafka.bootstrap_servers)
        .set("client.id", format!("psiren-{}", kafka.instance_id))
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("allow.auto.create.topics", "false");
    for (key, value) in &kafka.properties {
        match value {
            Property::Plain(value) => config.set(key, value),
            Property::Secret(value) => config.set(key, value.expose_secret()),
        };
    }
    config
}

/// Settings for a consumer that assigns its partitions by itself.
#[must_use]
pub fn consumer_config(kafka: &KafkaConfig) -> ClientConfig {
    let mut config = client_config(kafka);
    let has = |config: &ClientConfig, key: &str| config.get(key).is_some();
    for (key, value) in [
        ("fetch.queue.backoff.ms", "10"),
        ("fetch.wait.max.ms", "100"),
        ("queued.max.messages.kbytes", "8192"),
    ] {
        if !has(&config, key) {
            config.set(key, value);
        }
    }
    config
        .set("group.id", &kafka.group_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "false");
    config
}

/// The file of authorities that the brokers' certificates are held against, where one is set.
pub(super) fn ca_file(kafka: &KafkaConfig) -> Option<&str> {
    match kafka.properties.get("ssl.ca.location")? {
        Property::Plain(file) => Some(file),
        Property::Secret(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::consumer::BaseConsumer;

    use super::*;

    #[test]
    fn larger_messages_than_are_fetched_ahead_may_be_allowed() {
        let properties = [("message.max.bytes", "100000000")];
        let properties = properties.map(|(k, v)| (k.to_owned(), Property::Plain(v.to_owned())));
        let kafka = KafkaConfig {
            bootstrap_servers: "127.0.0.1:1".to_owned(),
            group_id: "g".to_owned(),
            instance_id: "i".to_owned(),
            threads: 1,
            consumer: Default::default(),
            decoder: Default::default(),
            properties: properties.into(),
        };
        assert!(consumer_config(&kafka).create::<BaseConsumer>().is_ok());
    }
}
