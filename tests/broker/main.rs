//! Tests against a real Apache Kafka: of the harness itself, and of the `psiren` binary.
//!
//! This main owns the broker. It starts with the first test that needs it, serves all of them, and ends with this
//! process, however that ends; see [`kafka`] for where it comes from. Where no broker can be had, the tests are
//! ignored with the reason; under `CI=true` that is a failure. Each test has topics, groups and folders of its own,
//! so they run side by side; a test that harms a broker starts [another](kafka::Kafka::another).

mod cases;
mod disk;
mod flights;
mod http;
mod kafka;
mod process;
mod psiren;
mod row;
#[path = "../support/torture.rs"]
mod size;
mod topic;
mod torture;
mod wait;
mod webhook;

use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::kafka::Kafka;
use crate::kafka::cluster::Cluster;
use crate::kafka::secured::Secured;

/// Tests that run at a time unless `--test-threads` says otherwise.
const SIDE_BY_SIDE: usize = 4;

fn main() -> ExitCode {
    let stage = Arc::new(Stage::default());
    let trials = cases::all()
        .into_iter()
        .map(|case| stage.trial(case))
        .collect();
    let mut arguments = Arguments::from_args();
    // Most of the time a test waits, for a broker above all.
    arguments.test_threads.get_or_insert(SIDE_BY_SIDE);
    let conclusion = libtest_mimic::run(&arguments, trials);
    stage.summarize();
    conclusion.exit_code()
}

/// One test: its name and what it does with a broker. It fails by a panic.
pub(crate) struct Case {
    name: &'static str,
    run: Run,
    /// Why this machine cannot run it.
    lacking: Option<String>,
}

enum Run {
    Shared(fn(&Kafka)),
    Own(fn(&mut Kafka)),
    Secured(fn(&Secured)),
    Cluster(fn(&mut Cluster)),
}

impl Case {
    /// A test on the broker that all share; it must leave it as it was.
    pub(crate) fn shared(name: &'static str, run: fn(&Kafka)) -> Self {
        Self::new(name, Run::Shared(run))
    }

    /// A test on a broker of its own, which it may stop, kill and freeze.
    pub(crate) fn own(name: &'static str, run: fn(&mut Kafka)) -> Self {
        Self::new(name, Run::Own(run))
    }

    /// A test on two brokers of its own, of which it may harm the second.
    pub(crate) fn cluster(name: &'static str, run: fn(&mut Cluster)) -> Self {
        Self::new(name, Run::Cluster(run))
    }

    /// A test on the broker with TLS, SASL and an authorizer that those of its kind share.
    pub(crate) fn secured(name: &'static str, run: fn(&Secured)) -> Self {
        Self::new(name, Run::Secured(run))
    }

    fn new(name: &'static str, run: Run) -> Self {
        Self {
            name,
            run,
            lacking: None,
        }
    }

    /// Too long for every `cargo test`: it runs where `PSIREN_TORTURE` is set, as `.ci/torture` does.
    pub(crate) fn when_thorough(self) -> Self {
        let words = "takes a minute or more: set PSIREN_TORTURE=ci, or run .ci/torture";
        self.unless(size::sized(Some(words.to_owned()), None, None))
    }

    /// Ignored with this reason, where there is one; the first that is given counts.
    pub(crate) fn unless(mut self, lacking: Option<String>) -> Self {
        self.lacking = self.lacking.or(lacking);
        self
    }
}

/// What the tests share: the broker, and how many of them ran on it.
#[derive(Default)]
struct Stage {
    kafka: OnceLock<Result<Kafka, String>>,
    secured: OnceLock<Option<Secured>>,
    ran: AtomicUsize,
}

impl Stage {
    fn trial(self: &Arc<Self>, case: Case) -> Trial {
        let stage = Arc::clone(self);
        Trial::ignorable_test(case.name, move || match case.lacking {
            Some(reason) => Ok(Completion::ignored_with(reason)),
            None => stage.play(&case.run),
        })
    }

    fn play(&self, run: &Run) -> Result<Completion, Failed> {
        let kafka = match self.kafka.get_or_init(Kafka::provide) {
            Ok(kafka) => kafka,
            Err(reason) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
                return Err(reason.into());
            }
            Err(reason) => return Ok(Completion::ignored_with(reason)),
        };
        match run {
            Run::Shared(run) => {
                self.ran.fetch_add(1, Ordering::Relaxed);
                run(kafka);
            }
            Run::Own(run) => {
                let Some(mut own) = kafka.another() else {
                    return Ok(Completion::ignored_with(
                        "needs a broker that it may harm; unset PSIREN_TEST_KAFKA",
                    ));
                };
                self.ran.fetch_add(1, Ordering::Relaxed);
                run(&mut own);
            }
            Run::Cluster(run) => {
                let Some(mut cluster) = kafka.cluster() else {
                    return Ok(Completion::ignored_with(
                        "needs two brokers, which are started from Kafka's jars; install Java and unset PSIREN_TEST_KAFKA",
                    ));
                };
                self.ran.fetch_add(1, Ordering::Relaxed);
                run(&mut cluster);
            }
            Run::Secured(run) => {
                let Some(secured) = self.secured.get_or_init(|| kafka.secured()) else {
                    return Ok(Completion::ignored_with(
                        "needs a broker with TLS and SASL, which is started from Kafka's jars; install Java and unset PSIREN_TEST_KAFKA",
                    ));
                };
                self.ran.fetch_add(1, Ordering::Relaxed);
                run(secured);
            }
        }
        Ok(Completion::Completed)
    }

    fn summarize(&self) {
        let ran = self.ran.load(Ordering::Relaxed);
        let line = match self.kafka.get() {
            Some(Ok(kafka)) => format!("tests run on a real broker: {ran} ({})", kafka.version()),
            Some(Err(reason)) => format!("tests run on a real broker: 0 ({reason})"),
            None => return,
        };
        // A closed standard output is no reason to fail the tests.
        let _ = writeln!(std::io::stdout(), "{line}\n");
    }
}
