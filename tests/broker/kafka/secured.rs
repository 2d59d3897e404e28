//! A broker with TLS, SASL and an authorizer that allows nothing by itself.
//!
//! Besides the plain listener, where the tests may do everything: `sasl` (SASL_SSL, SCRAM-SHA-512), `elsewhere` and
//! `expired` (the same with a certificate for another name, and one whose time is over), `mutual` (SSL that asks for a
//! client's certificate).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use tempfile::TempDir;

use super::certificates::Certificates;
use super::java::{ALONE, Java};
use super::properties::{Ports, free};
use super::{Kafka, START_ATTEMPTS, Supply};

/// The one user, by SCRAM and by certificate.
pub(crate) const USER: &str = "psiren";
/// Shown nowhere.
pub(crate) const PASSWORD: &str = "canary-of-the-broker";

pub(crate) struct Secured {
    kafka: Kafka,
    certificates: Certificates,
    ports: [u16; 4],
}

#[derive(Clone, Copy)]
pub(crate) enum Listener {
    Sasl,
    Elsewhere,
    Expired,
    Mutual,
    Plain,
}

/// What READ and DESCRIBE can be granted on.
pub(crate) enum Right<'a> {
    ReadTopic(&'a str),
    DescribeTopic(&'a str),
    ReadGroup(&'a str),
}

impl Kafka {
    /// A broker of its own with locks on its doors; `None` where there are no jars to start one from.
    pub(crate) fn secured(&self) -> Option<Secured> {
        let Supply::Jars(_) = &self.supply else {
            return None;
        };
        let mut started = Secured::start(&self.supply);
        for _ in 1..START_ATTEMPTS {
            if started.is_ok() {
                break;
            }
            started = Secured::start(&self.supply);
        }
        Some(started.expect("a secured broker starts"))
    }
}

impl Secured {
    fn start(supply: &Supply) -> Result<Self, String> {
        let Supply::Jars(jars) = supply else {
            return Err("a secured broker is started from jars".to_owned());
        };
        let error = |error: std::io::Error| error.to_string();
        let certificates = Certificates::make();
        let [broker, controller, ports @ ..] = free::<6>().map_err(error)?;
        let own = Ports { broker, controller };
        let folder = TempDir::new().map_err(error)?;
        let user = format!("SCRAM-SHA-512=[name={USER},password={PASSWORD}]");
        let settings = settings(own, ports, &certificates);
        let machine = Java::with(
            jars.clone(),
            folder,
            own,
            &settings,
            &[ALONE, "--add-scram", &user],
        )?;
        let mut kafka = Kafka {
            address: format!("127.0.0.1:{broker}"),
            version: String::new(),
            supply: supply.clone(),
            machine: Some(Box::new(machine)),
        };
        kafka.await_answer()?;
        Ok(Self {
            kafka,
            certificates,
            ports,
        })
    }

    /// The same broker by the listener where everything is allowed.
    pub(crate) fn plain(&self) -> &Kafka {
        &self.kafka
    }

    /// `localhost:port`; the certificates of `elsewhere` are for another name than that.
    pub(crate) fn address(&self, listener: Listener) -> String {
        match self.ports.get(listener as usize) {
            Some(port) => format!("localhost:{port}"),
            None => self.kafka.address().to_owned(),
        }
    }

    /// `ca.pem`, `another-ca.pem`, `client.pem`, `client.key`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.certificates.path(name)
    }

    /// Grants a right to the user, whichever way it authenticates.
    pub(crate) fn grant(&self, right: &Right<'_>) {
        let (kind, name, operation) = match right {
            Right::ReadTopic(name) => (TOPIC, name, READ),
            Right::DescribeTopic(name) => (TOPIC, name, DESCRIBE),
            Right::ReadGroup(name) => (GROUP, name, READ),
        };
        let mut request = Vec::new();
        // CreateAcls, version 1: <https://kafka.apache.org/protocol#The_Messages_CreateAcls>.
        request.extend(30_i16.to_be_bytes());
        request.extend(1_i16.to_be_bytes());
        request.extend(0_i32.to_be_bytes());
        text(&mut request, "psiren-tests");
        request.extend(2_i32.to_be_bytes());
        for principal in [format!("User:{USER}"), format!("User:CN={USER}")] {
            request.push(kind);
            text(&mut request, name);
            request.push(LITERAL);
            text(&mut request, &principal);
            text(&mut request, "*");
            request.extend([operation, ALLOW]);
        }
        let answer = ask(self.kafka.address(), &request).expect("the broker answers");
        // Correlation, throttle time, count, and for each an error code and an empty message.
        let made = [&[0; 8][..], &2_i32.to_be_bytes(), &[0; 8]];
        assert_eq!(answer, made.concat(), "the right was not granted");
    }
}

const TOPIC: u8 = 2;
const GROUP: u8 = 3;
const LITERAL: u8 = 3;
const READ: u8 = 3;
const DESCRIBE: u8 = 8;
const ALLOW: u8 = 3;

fn text(request: &mut Vec<u8>, text: &str) {
    let length = i16::try_from(text.len()).expect("a short text");
    request.extend(length.to_be_bytes());
    request.extend(text.as_bytes());
}

/// One request and its answer, both without the length in front.
fn ask(address: &str, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address)?;
    let length = u32::try_from(request.len()).expect("a short request");
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(request)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn settings(own: Ports, ports: [u16; 4], certificates: &Certificates) -> Vec<(String, String)> {
    let names = ["sasl", "elsewhere", "expired", "mutual"];
    let stores = ["broker", "elsewhere", "expired", "broker"];
    let mut listeners = format!(
        "PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}",
        own.broker, own.controller
    );
    let mut advertised = format!("PLAINTEXT://127.0.0.1:{}", own.broker);
    let mut protocols = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT".to_owned();
    let mut settings = Vec::new();
    for ((name, store), port) in names.iter().zip(stores).zip(ports) {
        let upper = name.to_uppercase();
        let protocol = if *name == "mutual" { "SSL" } else { "SASL_SSL" };
        listeners += &format!(",{upper}://127.0.0.1:{port}");
        advertised += &format!(",{upper}://localhost:{port}");
        protocols += &format!(",{upper}:{protocol}");
        let mut put = |key: &str, value: String| {
            settings.push((format!("listener.name.{name}.{key}"), value));
        };
        put("ssl.keystore.type", "PEM".to_owned());
        let store = certificates.path(&format!("{store}.store"));
        put("ssl.keystore.location", store.display().to_string());
        match protocol {
            "SSL" => {
                put("ssl.truststore.type", "PEM".to_owned());
                let trusted = certificates.path("ca.pem");
                put("ssl.truststore.location", trusted.display().to_string());
                put("ssl.client.auth", "required".to_owned());
            }
            _ => {
                let module = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
                put("scram-sha-512.sasl.jaas.config", module.to_owned());
            }
        }
    }
    let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let more = [
        ("listeners", listeners.as_str()),
        ("advertised.listeners", &advertised),
        ("listener.security.protocol.map", &protocols),
        ("sasl.enabled.mechanisms", "SCRAM-SHA-512"),
        ("authorizer.class.name", authorizer),
        // Who comes by the plain listener, the broker itself among them.
        ("super.users", "User:ANONYMOUS"),
    ];
    settings.extend(more.map(|(key, value)| (key.to_owned(), value.to_owned())));
    settings
}
