//! Two brokers: the first is the controller too, the second may be harmed, and leaders move between them.

use tempfile::TempDir;

use super::java::{ALONE, Java};
use super::properties::{Ports, free};
use super::{Kafka, Machine as _, START_ATTEMPTS, START_LIMIT, Supply, answers};
use crate::wait;

pub(crate) struct Cluster {
    first: Kafka,
    second: Java,
    second_address: String,
}

impl Kafka {
    /// Two brokers of its own, empty; `None` where there are no jars to start them from.
    pub(crate) fn cluster(&self) -> Option<Cluster> {
        let Supply::Jars(_) = &self.supply else {
            return None;
        };
        let mut started = Cluster::start(&self.supply);
        for _ in 1..START_ATTEMPTS {
            if started.is_ok() {
                break;
            }
            started = Cluster::start(&self.supply);
        }
        Some(started.expect("two brokers start"))
    }
}

impl Cluster {
    fn start(supply: &Supply) -> Result<Self, String> {
        let Supply::Jars(jars) = supply else {
            return Err("a cluster is started from jars".to_owned());
        };
        let error = |error: std::io::Error| error.to_string();
        let [one, two, controller] = free::<3>().map_err(error)?;
        let setting = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let both = [
            // The preferred leader leads again soon after it is back.
            ("leader.imbalance.check.interval.seconds", "1"),
            ("leader.imbalance.per.broker.percentage", "0"),
            ("broker.session.timeout.ms", "4000"),
        ];
        let first = Java::with(
            jars.clone(),
            TempDir::new().map_err(error)?,
            Ports {
                broker: one,
                controller,
            },
            &both.map(setting),
            &[ALONE],
        )?;
        let listeners = format!("PLAINTEXT://127.0.0.1:{two}");
        let own = [
            ("process.roles", "broker"),
            ("node.id", "2"),
            ("listeners", &listeners),
        ];
        let settings: Vec<_> = both.into_iter().chain(own).map(setting).collect();
        let ports = Ports {
            broker: two,
            controller,
        };
        let folder = TempDir::new().map_err(error)?;
        let second = Java::with(jars.clone(), folder, ports, &settings, &[])?;
        let mut cluster = Self {
            first: Kafka {
                address: format!("127.0.0.1:{one}"),
                version: String::new(),
                supply: supply.clone(),
                machine: Some(Box::new(first)),
            },
            second,
            second_address: format!("127.0.0.1:{two}"),
        };
        cluster.first.await_answer()?;
        cluster.await_second()?;
        Ok(cluster)
    }

    /// The broker that is never harmed but by [`freeze`](Self::freeze).
    pub(crate) fn first(&self) -> &Kafka {
        &self.first
    }

    /// Both, for `bootstrap.servers`.
    pub(crate) fn addresses(&self) -> String {
        format!("{},{}", self.first.address(), self.second_address)
    }

    pub(crate) fn kill_second(&mut self) {
        self.second.kill();
    }

    pub(crate) fn restart_second(&mut self) {
        self.second.start().expect("the broker starts again");
        self.await_second().expect("the broker answers again");
    }

    /// Stops both in their tracks.
    pub(crate) fn freeze(&mut self) {
        self.first.freeze();
        self.second.freeze();
    }

    /// Undoes [`freeze`](Self::freeze).
    pub(crate) fn cont(&mut self) {
        self.first.cont();
        self.second.cont();
    }

    fn await_second(&mut self) -> Result<(), String> {
        let (address, second) = (&self.second_address, &mut self.second);
        wait::poll(START_LIMIT, || match second.failure() {
            Some(failure) => Some(Err(failure)),
            None => answers(address).then_some(Ok(())),
        })
        .unwrap_or_else(|| Err(format!("no answer within {START_LIMIT:?}")))
    }
}
