//! An embedded broker whose topic `flights` holds the first weeks of the flights in `fixtures/`.

use std::process::Command;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::blocks::root;

/// Ten days: the first full windows have closed.
const RECORDS: &str = "2400";

pub(crate) struct Broker(MockCluster<'static, DefaultProducerContext>);

impl Broker {
    pub(crate) fn start() -> Self {
        let broker = MockCluster::new(1).expect("an embedded broker");
        broker.create_topic("flights", 4, 1).expect("a topic");
        let this = Self(broker);
        let produced = Command::new(env!("CARGO_BIN_EXE_psiren"))
            .args(["produce", "fixtures/flights/production.ndjson.gz"])
            .args(["--topic", "flights", "--limit", RECORDS])
            .args(["--bootstrap-servers", &this.servers()])
            .current_dir(root())
            .output()
            .expect("psiren starts");
        let said = String::from_utf8_lossy(&produced.stderr);
        assert!(produced.status.success(), "{said}");
        this
    }

    pub(crate) fn servers(&self) -> String {
        self.0.bootstrap_servers()
    }
}
