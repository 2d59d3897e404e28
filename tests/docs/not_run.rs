//! The blocks that do not run here, and why. Python is compiled all the same.

use crate::blocks::Block;

pub(crate) struct NotRun {
    document: &'static str,
    /// The first line of the block.
    first_line: &'static str,
    pub(crate) reason: &'static str,
}

pub(crate) const NOT_RUN: &[NotRun] = &[
    NotRun {
        document: "README.md",
        first_line: "cargo run --release -- demo   # a broker, a topic, real flights, the whole pipeline, in one process",
        reason: "compiles everything anew; the demo is run beside its table, and this is a part of `cargo test`",
    },
    NotRun {
        document: "README.md",
        first_line: "docker compose up --build",
        reason: "needs Docker and images from outside; tests/it holds the files it uses against the program",
    },
    NotRun {
        document: "docs/README.md",
        first_line: "PSIREN_SCREENSHOTS=\"$PWD/docs/images\" cargo test --test browser -- looks_right",
        reason: "a part of `cargo test`, which takes the pictures to another folder",
    },
    NotRun {
        document: "docs/fuzzing.md",
        first_line: "TMPDIR=/dev/shm cargo +nightly fuzz run event fuzz/corpus/event fixtures/fuzz/event -- -max_total_time=60",
        reason: "needs a nightly compiler and cargo-fuzz; the corpora are replayed by tests/fuzz",
    },
    NotRun {
        document: "docs/kafka-security.md",
        first_line: "kafka-acls.sh --bootstrap-server … --add --allow-principal User:psiren --operation Read --topic flights",
        reason: "Kafka's own command; tests/broker/cases/security.rs gives these rights on a real broker",
    },
    NotRun {
        document: "docs/performance.md",
        first_line: "psiren bench --config psiren.toml",
        reason: "README.md has the same command, which runs",
    },
    NotRun {
        document: "docs/performance.md",
        first_line: "cargo bench --bench kafka",
        reason: "compiles everything in release, and then takes minutes of a quiet machine",
    },
    NotRun {
        document: "docs/operations.md",
        first_line: "psiren trigger --url https://psiren.example.com/prefix --token-file /run/secrets/token --fail-on likely",
        reason: "asks an address that is only an example; tests/it/client.rs uses the same options on loopback",
    },
    NotRun {
        document: "deploy/kubernetes/README.md",
        first_line: "kubectl create namespace psiren",
        reason: "needs a cluster; the block before builds the overlays where kubectl is installed",
    },
    NotRun {
        document: "docs/migrating.md",
        first_line: "def psi_of_quantiles(reference, production, buckets=10):",
        reason: "needs pandas; fixtures/migrating/golden.py computes the same",
    },
    NotRun {
        document: "docs/migrating.md",
        first_line: "def psi_of_percentiles(reference, production, buckets=10):",
        reason: "needs numpy; fixtures/migrating/golden.py computes the same",
    },
    NotRun {
        document: "docs/migrating.md",
        first_line: "both = np.concatenate([reference.dropna(), current.dropna()])",
        reason: "needs numpy; fixtures/migrating/golden.py computes the same",
    },
];

impl NotRun {
    pub(crate) fn is(&self, block: &Block) -> bool {
        self.document == block.document && self.first_line == block.first_line()
    }

    pub(crate) fn name(&self) -> String {
        format!("{}: {}", self.document, self.first_line)
    }
}
