//! The librdkafka properties that may be passed through, and those psiren sets itself.
//!
//! Names are those of librdkafka 2.12's CONFIGURATION.md. Left out is what psiren decides (groups,
//! offsets, commits) and what would load or run code (plug-ins, engines, `kinit`).

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::suggest;

/// Sorted, so that it can be searched.
pub const ALLOWED: &[&str] = &[
    "api.version.request.timeout.ms",
    "broker.address.family",
    "broker.address.ttl",
    "check.crcs",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "connections.max.idle.ms",
    "debug",
    "enable.metrics.push",
    "enable.ssl.certificate.verification",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "https.ca.location",
    "https.ca.pem",
    "isolation.level",
    "log.connection.close",
    "max.in.flight.requests.per.connection",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "message.copy.max.bytes",
    "message.max.bytes",
    "metadata.max.age.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.assertion.algorithm",
    "sasl.oauthbearer.assertion.claim.aud",
    "sasl.oauthbearer.assertion.claim.exp.seconds",
    "sasl.oauthbearer.assertion.claim.iss",
    "sasl.oauthbearer.assertion.claim.jti.include",
    "sasl.oauthbearer.assertion.claim.nbf.seconds",
    "sasl.oauthbearer.assertion.claim.sub",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.grant.type",
    "sasl.oauthbearer.metadata.authentication.type",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.blocking.max.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.max.fails",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.ca.certificate.stores",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.sigalgs.list",
    "topic.metadata.propagation.max.ms",
    "topic.metadata.refresh.fast.interval.ms",
    "topic.metadata.refresh.interval.ms",
    "topic.metadata.refresh.sparse",
];

/// `(key, what to do instead)`.
const REFUSED: &[(&str, &str)] = &[
    ("bootstrap.servers", "set `bootstrap_servers` in [kafka]"),
    ("metadata.broker.list", "set `bootstrap_servers` in [kafka]"),
    ("group.id", "set `group_id` in [kafka]"),
    ("group.instance.id", "set `instance_id` in [kafka]"),
    ("auto.offset.reset", "set `start` in the monitor"),
    (
        "enable.auto.commit",
        "psiren keeps offsets in its own state; leave it out",
    ),
    (
        "enable.auto.offset.store",
        "psiren keeps offsets in its own state; leave it out",
    ),
    (
        "enable.partition.eof",
        "psiren sets it itself; leave it out",
    ),
    ("plugin.library.paths", "psiren loads no code; leave it out"),
    ("ssl.engine.id", "psiren loads no code; leave it out"),
    ("ssl.engine.location", "psiren loads no code; leave it out"),
    ("ssl.providers", "psiren loads no code; leave it out"),
    (
        "sasl.kerberos.kinit.cmd",
        "psiren runs no commands; leave it out",
    ),
];

/// Whether `key` may be passed through.
///
/// # Errors
/// `(message, what to do)`; for an unknown key that is the nearest allowed one.
pub(super) fn check_key(key: &str) -> Result<(), (String, String)> {
    if ALLOWED.binary_search(&key).is_ok() {
        return Ok(());
    }
    if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| *refused == key) {
        let message = format!("`{key}` cannot be passed to librdkafka");
        return Err((message, (*instead).to_owned()));
    }
    let near = suggest::closest(key, ALLOWED.iter().copied()).unwrap_or("client.id");
    Err((
        format!("unknown librdkafka option `{key}`"),
        format!("the nearest that can be passed through is `{near}`"),
    ))
}

/// Whether librdkafka takes `value` for `key`; it is asked, and nothing is connected.
///
/// # Errors
/// librdkafka's own words, without the value where that is a secret.
pub(super) fn check_value(key: &str, value: &str) -> Result<(), String> {
    match ClientConfig::new().set(key, value).create_native_config() {
        Ok(_) => Ok(()),
        Err(_) if suggest::is_secret(key) => Err(format!("librdkafka refuses this `{key}`")),
        Err(KafkaError::ClientConfig(_, words, _, _)) => Err(format!("librdkafka says: {words}")),
        Err(error) => Err(format!("librdkafka says: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowed_keys_are_sorted_and_known_to_librdkafka() {
        assert!(ALLOWED.is_sorted());
        for key in ALLOWED {
            let words = check_value(key, "\u{1}").err().unwrap_or_default();
            assert!(!words.contains("No such configuration"), "{key}: {words}");
        }
    }

    #[test]
    fn what_psiren_decides_is_refused_with_the_place_to_set_it() {
        let (_, help) = check_key("auto.offset.reset").unwrap_err();
        assert_eq!(help, "set `start` in the monitor");
    }

    #[test]
    fn a_misspelt_option_is_answered_with_the_nearest() {
        let (_, help) = check_key("client.rak").unwrap_err();
        assert!(help.ends_with("`client.rack`"), "{help}");
    }
}
