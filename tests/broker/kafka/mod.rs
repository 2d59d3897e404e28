//! A real Apache Kafka: found or fetched, run, and harmed on purpose.
//!
//! In this order: the address in `PSIREN_TEST_KAFKA`; jars under `target/kafka/`, run with `java`, fetched with Maven
//! where there are none yet; a container by `docker`. One process is broker and controller (KRaft), on free ports of
//! loopback, with its log in a temporary folder.

mod certificates;
pub(crate) mod cluster;
mod docker;
mod jars;
mod java;
mod properties;
pub(crate) mod secured;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::wait;

/// Kafka's version where it is ours to choose; `kafka/pom.xml` names the same one.
const VERSION: &str = "4.3.0";
const START_LIMIT: Duration = Duration::from_secs(60);
const START_ATTEMPTS: usize = 3;

pub(crate) struct Kafka {
    address: String,
    version: String,
    supply: Supply,
    machine: Option<Box<dyn Machine>>,
}

/// Where brokers come from.
#[derive(Clone)]
enum Supply {
    Given(String),
    Jars(jars::Jars),
    Docker,
}

/// A broker of our own: what can be done to it from outside.
trait Machine: Send + Sync {
    /// Starts it again, with the same ports and log, after `stop` or `kill`.
    fn start(&mut self) -> Result<(), String>;
    /// Asks it to end and waits until it has.
    fn stop(&mut self);
    /// Ends it at once, as `kill -9` does.
    fn kill(&mut self);
    /// Stops it in its tracks, as `kill -STOP` does: connections stay open and nothing answers.
    fn freeze(&mut self);
    /// Undoes `freeze`.
    fn cont(&mut self);
    /// Why it no longer runs, or `None` while it does.
    fn failure(&mut self) -> Option<String>;
    /// What the broker says it is.
    fn version(&self) -> String;
}

impl Kafka {
    /// The broker that all tests share.
    ///
    /// # Errors
    /// With everything that was tried and why it failed.
    pub(crate) fn provide() -> Result<Self, String> {
        Self::start(Supply::find()?)
    }

    /// One more broker, empty and this test's own, to be stopped and frozen at will.
    ///
    /// `None` where the shared broker was given by its address: there is nothing to start another from.
    pub(crate) fn another(&self) -> Option<Self> {
        self.machine.as_ref()?;
        Some(Self::start(self.supply.clone()).expect("a second broker starts as the first did"))
    }

    /// `host:port`, for `bootstrap.servers`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn stop(&mut self) {
        self.machine().stop();
    }

    pub(crate) fn kill(&mut self) {
        self.machine().kill();
    }

    pub(crate) fn freeze(&mut self) {
        self.machine().freeze();
    }

    pub(crate) fn cont(&mut self) {
        self.machine().cont();
    }

    /// Starts the broker again after [`stop`](Self::stop) or [`kill`](Self::kill), and waits until it answers.
    pub(crate) fn restart(&mut self) {
        self.machine().start().expect("the broker starts again");
        self.await_answer().expect("the broker answers again");
    }

    /// Asks the broker for its metadata.
    pub(crate) fn answers(&self) -> bool {
        answers(&self.address)
    }

    fn machine(&mut self) -> &mut dyn Machine {
        self.machine
            .as_deref_mut()
            .expect("only a broker from `another` is harmed")
    }

    fn start(supply: Supply) -> Result<Self, String> {
        if let Supply::Given(address) = &supply {
            return Self::given(address.clone(), supply.clone());
        }
        // A free port may be taken by somebody else before the broker binds it.
        let mut outcome = Self::own(&supply);
        for _ in 1..START_ATTEMPTS {
            if outcome.is_ok() {
                break;
            }
            outcome = Self::own(&supply);
        }
        outcome
    }

    fn given(address: String, supply: Supply) -> Result<Self, String> {
        let kafka = Self {
            version: format!("at {address}, of a version it does not tell"),
            address,
            supply,
            machine: None,
        };
        if !kafka.answers() {
            let address = kafka.address();
            return Err(format!(
                "PSIREN_TEST_KAFKA={address} does not answer; unset it or start that broker"
            ));
        }
        Ok(kafka)
    }

    fn own(supply: &Supply) -> Result<Self, String> {
        let ports = properties::Ports::free().map_err(|error| format!("no free port: {error}"))?;
        let machine = supply.machine(ports)?;
        let mut kafka = Self {
            address: format!("127.0.0.1:{}", ports.broker),
            version: String::new(),
            supply: supply.clone(),
            machine: Some(machine),
        };
        kafka.await_answer()?;
        kafka.version = kafka.machine().version();
        Ok(kafka)
    }

    fn await_answer(&mut self) -> Result<(), String> {
        let address = self.address.clone();
        let machine = self.machine();
        wait::poll(START_LIMIT, || match machine.failure() {
            Some(failure) => Some(Err(failure)),
            None => answers(&address).then_some(Ok(())),
        })
        .unwrap_or_else(|| Err(format!("the broker did not answer within {START_LIMIT:?}")))
    }
}

impl Supply {
    fn find() -> Result<Self, String> {
        if let Ok(address) = std::env::var("PSIREN_TEST_KAFKA")
            && !address.is_empty()
        {
            return Ok(Self::Given(address));
        }
        let without_java = match jars::Jars::provide() {
            Ok(jars) => return Ok(Self::Jars(jars)),
            Err(reason) => reason,
        };
        match docker::usable() {
            Ok(()) => Ok(Self::Docker),
            Err(without_docker) => Err(format!(
                "no Apache Kafka: {without_java}; {without_docker}; PSIREN_TEST_KAFKA is not set"
            )),
        }
    }

    fn machine(&self, ports: properties::Ports) -> Result<Box<dyn Machine>, String> {
        match self {
            Self::Given(address) => Err(format!("the broker at {address} is not ours to start")),
            Self::Jars(jars) => Ok(Box::new(java::Java::new(jars.clone(), ports)?)),
            Self::Docker => Ok(Box::new(docker::Container::new(ports)?)),
        }
    }
}

fn answers(address: &str) -> bool {
    // Without a port that accepts, librdkafka would log every attempt.
    if std::net::TcpStream::connect(address).is_err() {
        return false;
    }
    let consumer: Result<BaseConsumer, _> = ClientConfig::new()
        .set("bootstrap.servers", address)
        .create();
    consumer.is_ok_and(|consumer| {
        consumer
            .fetch_metadata(None, Duration::from_secs(2))
            .is_ok_and(|metadata| !metadata.brokers().is_empty())
    })
}
