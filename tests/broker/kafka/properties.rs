//! `server.properties` of a broker of our own.

use std::io;
use std::net::{Ipv4Addr, TcpListener};

#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) broker: u16,
    pub(super) controller: u16,
}

impl Ports {
    /// Two ports that nobody listens on now.
    pub(super) fn free() -> io::Result<Self> {
        let [broker, controller] = free()?;
        Ok(Self { broker, controller })
    }
}

/// Ports that nobody listens on now.
pub(super) fn free<const N: usize>() -> io::Result<[u16; N]> {
    let mut held = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// The settings of a single node that listens on `bind`, as `(key, value)`; `log.dirs` is the caller's to add.
///
/// Nothing expires: the events of the tests are years old. Topics are never created by asking for them: a test awaits
/// what psiren says of a missing one.
pub(super) fn single_node(ports: Ports, bind: &str) -> Vec<(&'static str, String)> {
    let Ports { broker, controller } = ports;
    let fixed = [
        ("process.roles", "broker,controller"),
        ("node.id", "1"),
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "PLAINTEXT"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        ),
        ("offsets.topic.replication.factor", "1"),
        ("offsets.topic.num.partitions", "4"),
        ("transaction.state.log.replication.factor", "1"),
        ("transaction.state.log.min.isr", "1"),
        ("transaction.state.log.num.partitions", "4"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("auto.create.topics.enable", "false"),
        ("log.retention.ms", "-1"),
        ("log.cleaner.backoff.ms", "200"),
    ];
    let mut settings: Vec<_> = fixed.map(|(key, value)| (key, value.to_owned())).into();
    settings.extend([
        (
            "listeners",
            format!("PLAINTEXT://{bind}:{broker},CONTROLLER://{bind}:{controller}"),
        ),
        (
            "advertised.listeners",
            format!("PLAINTEXT://127.0.0.1:{broker}"),
        ),
    ]);
    settings
}
