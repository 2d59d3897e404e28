//! `[kafka]` and the librdkafka properties that its tables stand for.

use std::collections::BTreeMap;

use secrecy::SecretString;
use toml::Spanned;

use super::Resolver;
use crate::config::raw::{Options, RawConsumer, RawDecoder, RawKafka, RawSasl, RawTls, Typed};
use crate::config::{ConsumerKind, Decoder, KafkaConfig, Property, defaults, properties, suggest};
use crate::text::without_credentials;

const USERNAME: &str = "PSIREN_KAFKA_SASL_USERNAME";
const PASSWORD: &str = "PSIREN_KAFKA_SASL_PASSWORD";
const MOST_THREADS: u64 = 64;

type Properties = BTreeMap<String, Property>;

impl Resolver<'_> {
    pub(super) fn kafka(&mut self, raw: &RawKafka) -> KafkaConfig {
        let overrides = self.overrides;
        let host_name = overrides.environment.get("HOSTNAME").unwrap_or("psiren");
        let group_id = self
            .outside(overrides.group_id.as_deref(), "PSIREN_KAFKA_GROUP_ID")
            .or_else(|| self.text(&raw.group_id));
        let instance_id = self.text(&raw.instance_id);
        let threads = self.count(&raw.threads, 1..=MOST_THREADS).unwrap_or(1);
        KafkaConfig {
            bootstrap_servers: self.bootstrap_servers(&raw.bootstrap_servers),
            group_id: group_id.unwrap_or_else(|| defaults::GROUP_ID.to_owned()),
            instance_id: instance_id.unwrap_or_else(|| host_name.to_owned()),
            threads: usize::try_from(threads).unwrap_or(1),
            consumer: match raw.consumer {
                Some(RawConsumer::Batch) | None => ConsumerKind::Batch,
                Some(RawConsumer::Poll) => ConsumerKind::Poll,
            },
            decoder: match raw.decoder {
                Some(RawDecoder::Reference) => Decoder::Reference,
                Some(RawDecoder::Fast) | None => Decoder::Fast,
            },
            properties: self.properties(raw),
        }
    }

    fn bootstrap_servers(&mut self, raw: &Typed<String>) -> String {
        let flag = self.overrides.bootstrap_servers.as_deref();
        let outside = self.outside(flag, "PSIREN_KAFKA_BOOTSTRAP_SERVERS");
        let (span, text) = match (outside, raw) {
            (Some(text), _) => (None, text),
            (None, Some(typed)) => (Some(typed.span()), typed.get_ref().clone()),
            (None, None) => {
                self.faults.add(
                    None,
                    "no Kafka broker is configured",
                    "set `bootstrap_servers` in [kafka], or PSIREN_KAFKA_BOOTSTRAP_SERVERS",
                );
                return String::new();
            }
        };
        if let Some(server) = text.split(',').find(|server| !is_server(server.trim())) {
            self.faults.add(
                span,
                format!(
                    "found {:?} as a Kafka broker, expected a host and a port",
                    without_credentials(server)
                ),
                "write it like \"kafka-0:9092,kafka-1:9092\"; a user and a password go into [kafka.sasl]",
            );
        }
        text
    }

    fn properties(&mut self, raw: &RawKafka) -> Properties {
        let mut properties = Properties::new();
        let tls = raw
            .tls
            .as_ref()
            .filter(|tls| tls.get_ref().enabled != Some(false));
        if let Some(tls) = tls {
            self.tls(tls.get_ref(), &mut properties);
        }
        if let Some(sasl) = &raw.sasl {
            self.sasl(sasl, &mut properties);
        } else {
            self.sasl_in_the_environment_only(&raw.options);
        }
        let protocol = match (raw.sasl.is_some(), tls.is_some()) {
            (true, true) => Some("sasl_ssl"),
            (true, false) => Some("sasl_plaintext"),
            (false, true) => Some("ssl"),
            (false, false) => None,
        };
        if let Some(protocol) = protocol {
            put(&mut properties, "security.protocol", protocol);
        }
        self.options(&raw.options, &mut properties);
        properties
    }

    fn sasl(&mut self, table: &Spanned<RawSasl>, properties: &mut Properties) {
        let raw = table.get_ref();
        let Some(mechanism) = &raw.mechanism else {
            self.faults.add(
                table.span(),
                "[kafka.sasl] has no `mechanism`",
                "add one, such as mechanism = \"SCRAM-SHA-512\"",
            );
            return;
        };
        let name = mechanism.get_ref().to_uppercase();
        if let Err((message, help)) = supported(&name) {
            self.faults.add(mechanism.span(), message, help);
        }
        put(properties, "sasl.mechanism", &name);
        let username = self
            .outside(None, USERNAME)
            .or_else(|| self.text(&raw.username));
        let password = self.secret(Some(PASSWORD), &raw.password, &raw.password_file);
        if name == "PLAIN" || name.starts_with("SCRAM") {
            self.require(table, username.is_some(), &name, "username", USERNAME);
            let given = raw.password.is_some() || raw.password_file.is_some();
            self.require(
                table,
                password.is_some() || given,
                &name,
                "password",
                PASSWORD,
            );
        }
        if let Some(username) = username {
            put(properties, "sasl.username", &username);
        }
        put_secret(properties, "sasl.password", password);
    }

    fn require(
        &mut self,
        table: &Spanned<RawSasl>,
        given: bool,
        mechanism: &str,
        key: &str,
        variable: &str,
    ) {
        if !given {
            self.faults.add(
                table.span(),
                format!("SASL {mechanism} needs a {key}, and there is none"),
                format!("set `{key}` in [kafka.sasl], or {variable}"),
            );
        }
    }

    fn sasl_in_the_environment_only(&mut self, options: &Options) {
        let by_options = options
            .0
            .iter()
            .any(|(key, _)| key.get_ref().starts_with("sasl.mechanism"));
        let variable = [USERNAME, PASSWORD]
            .into_iter()
            .find(|name| self.overrides.environment.get(name).is_some());
        if let Some(variable) = variable
            && !by_options
        {
            self.faults.add(
                None,
                format!("{variable} is set, but [kafka.sasl] is not there"),
                "add [kafka.sasl] with its `mechanism`, or unset the variable",
            );
        }
    }

    fn tls(&mut self, raw: &RawTls, properties: &mut Properties) {
        let files = [
            ("ssl.ca.location", &raw.ca_file),
            ("ssl.certificate.location", &raw.cert_file),
            ("ssl.key.location", &raw.key_file),
        ];
        for (property, file) in files {
            if let Some(file) = self.text(file) {
                let path = self.folder.join(file);
                put(properties, property, &path.to_string_lossy());
            }
        }
        match (&raw.cert_file, &raw.key_file) {
            (Some(cert), None) => self.faults.add(
                cert.span(),
                "`cert_file` is set without `key_file`",
                "add the private key of this certificate as `key_file`",
            ),
            (None, Some(key)) => self.faults.add(
                key.span(),
                "`key_file` is set without `cert_file`",
                "add the certificate of this private key as `cert_file`",
            ),
            _ => {}
        }
        let variable = Some("PSIREN_KAFKA_TLS_KEY_PASSWORD");
        let password = self.secret(variable, &raw.key_password, &raw.key_password_file);
        put_secret(properties, "ssl.key.password", password);
    }

    fn options(&mut self, options: &Options, properties: &mut Properties) {
        for (key, value) in &options.0 {
            let (name, text) = (key.get_ref(), value.get_ref());
            if let Err((message, help)) = properties::check_key(name) {
                self.faults.add(key.span(), message, help);
                continue;
            }
            // `sasl.mechanisms` is librdkafka's other name for the same property.
            let name = name.replace("sasl.mechanisms", "sasl.mechanism");
            if properties.contains_key(&name) {
                self.faults.add(
                    key.span(),
                    format!("`{name}` is given twice, here and by [kafka.sasl] or [kafka.tls]"),
                    "keep one of the two",
                );
            }
            if let Err(message) = properties::check_value(&name, text) {
                self.faults.add(value.span(), message, "");
            }
            let property = if suggest::is_secret(&name) {
                Property::Secret(SecretString::from(text.as_str()))
            } else {
                Property::Plain(self.option_path(&name, text))
            };
            properties.insert(name, property);
        }
    }

    /// Options that name files are relative to the configuration, as every path is.
    fn option_path(&self, name: &str, value: &str) -> String {
        let path = [".location", ".file", ".keytab"]
            .iter()
            .any(|ending| name.ends_with(ending));
        // librdkafka takes the word for "look where certificates usually are".
        if !path || value.is_empty() || value == "probe" {
            return value.to_owned();
        }
        self.folder.join(value).to_string_lossy().into_owned()
    }
}

fn put(properties: &mut Properties, key: &str, value: &str) {
    properties.insert(key.to_owned(), Property::Plain(value.to_owned()));
}

fn put_secret(properties: &mut Properties, key: &str, value: Option<SecretString>) {
    if let Some(value) = value {
        properties.insert(key.to_owned(), Property::Secret(value));
    }
}

/// `host`, `host:port` or `[::1]:port`, with an optional `PLAINTEXT://` in front.
fn is_server(text: &str) -> bool {
    let address = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (address, None),
    };
    !host.is_empty()
        && !host.contains(|c: char| c.is_whitespace() || c == '@')
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn supported(mechanism: &str) -> Result<(), (String, String)> {
    const ALWAYS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
    let feature = match mechanism {
        name if ALWAYS.contains(&name) => return Ok(()),
        "AWS_MSK_IAM" => {
            return Err((
                "IAM authentication of Amazon MSK is not supported".to_owned(),
                "give psiren a SCRAM user: mechanism = \"SCRAM-SHA-512\"".to_owned(),
            ));
        }
        "OAUTHBEARER" if cfg!(feature = "oidc") => return Ok(()),
        "GSSAPI" if cfg!(feature = "gssapi") => return Ok(()),
        "OAUTHBEARER" => "oidc",
        "GSSAPI" => "gssapi",
        other => {
            return Err((
                format!(
                    "found {other:?} as the SASL mechanism, expected one of {}",
                    ALWAYS.join(", ")
                ),
                suggest::nearest(other, ALWAYS)
                    .map_or_else(String::new, |near| format!("did you mean \"{near}\"?")),
            ));
        }
    };
    Err((
        format!("this psiren is built without SASL {mechanism}"),
        format!("build it with `cargo build --release --features {feature}`"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_a_host_with_or_without_a_port() {
        for good in [
            "localhost:9092",
            "kafka",
            "[::1]:9092",
            "SASL_SSL://b-1.example.com:9096",
        ] {
            assert!(is_server(good), "{good}");
        }
        for bad in ["", ":9092", "kafka:port", "kafka:99999", "a b:1", "u:p@h:1"] {
            assert!(!is_server(bad), "{bad}");
        }
    }
}
