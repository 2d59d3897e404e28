//! A loop that is stuck ends its process, and a process that was stopped does not.
//!
//! The process is this test program again, told by the environment to be the patient.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Instant;

use super::*;
use crate::app::messages::{Assignment, Positions, WorkerCommand};
use crate::app::worker::Worker;
use crate::metrics::Metrics;
use crate::source::{Drained, Record, Source, SourceError, SourceEvent, TopicPartition};

const PATIENT: &str = "PSIREN_TEST_WATCHDOG_PATIENT";
const LIMIT: Duration = Duration::from_secs(60);
/// So that sixty of them are a little more than half a second.
const FAST: Duration = Duration::from_millis(10);

/// What is wrong with a client.
#[derive(Clone, Copy)]
enum Illness {
    None,
    /// A poll does not return.
    Hangs,
    /// It has records and does not hand them over.
    Withholds,
}

struct Patient(Illness);

impl Source for Patient {
    fn assign(&mut self, _: &TopicPartition, _: i64) -> Result<(), SourceError> {
        Ok(())
    }

    fn unassign(&mut self, _: &TopicPartition) -> Result<(), SourceError> {
        Ok(())
    }

    fn drain(
        &mut self,
        wait: Duration,
        _: usize,
        _: &mut dyn FnMut(&[Record<'_>]),
    ) -> Result<Drained, SourceError> {
        match self.0 {
            Illness::Hangs => loop {
                std::thread::park();
            },
            Illness::None | Illness::Withholds => std::thread::sleep(wait / 10),
        }
        Ok(Drained {
            records: 0,
            more: false,
        })
    }

    fn pause(&mut self, _: &TopicPartition) -> Result<(), SourceError> {
        Ok(())
    }

    fn resume(&mut self, _: &TopicPartition) -> Result<(), SourceError> {
        Ok(())
    }

    fn has_queued(&self) -> bool {
        matches!(self.0, Illness::Withholds)
    }

    fn position(&self, _: &TopicPartition) -> Option<i64> {
        None
    }
}

/// Runs a consuming loop with that illness, and the watchdog beside it, until the process ends.
fn suffer(illness: Illness) {
    let health = Health::default();
    let (commands, inbox) = channel();
    let assigned = SourceEvent::Assigned(vec![Assignment {
        partition: TopicPartition {
            topic: "t".into(),
            partition: 0,
        },
        offset: 0,
        units: Vec::new(),
        at: Instant::now(),
    }]);
    commands.send(WorkerCommand::Source(assigned)).unwrap();
    let worker = Worker {
        id: 7,
        source: Patient(illness),
        watched: Vec::new(),
        commands: inbox,
        hand_over: Box::new(|_| true),
        positions: Positions::default(),
        metrics: Metrics::new(&BTreeMap::new(), None),
        checkpoint_interval: Duration::from_secs(5),
        health: health.clone(),
        heartbeat: health.heartbeat("consuming loop 7", LIMIT),
        log_payloads: false,
        decoder: crate::config::Decoder::Fast,
        out_of_range: Box::new(|_| {}),
    };
    std::thread::spawn(move || worker.run());
    let (_on, stop) = channel();
    let mut told = false;
    while !told {
        watch(&health, FAST, &stop, |words| {
            told = true;
            writeln!(std::io::stderr(), "{words}").unwrap();
            end(words);
        });
    }
}

/// Not a test: what the process of one does.
#[test]
fn patient() {
    match std::env::var(PATIENT).as_deref() {
        Ok("hangs") => suffer(Illness::Hangs),
        Ok("withholds") => suffer(Illness::Withholds),
        Ok("well") => suffer(Illness::None),
        _ => {}
    }
}

fn process(illness: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "app::watchdog::tests::patient", "--nocapture"])
        .env(PATIENT, illness)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name])
        .arg(child.id().to_string())
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn a_stuck_loop_ends_the_process_and_is_named() {
    for illness in ["hangs", "withholds"] {
        let child = process(illness);
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(STUCK.into()), "{illness}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.contains("consuming loop 7 has not turned for 60 s"),
            "{illness}: {said}"
        );
    }
}

/// It is stopped for longer than a stuck loop is given, several times.
#[test]
fn a_process_that_was_stopped_goes_on() {
    let mut child = process("well");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for _ in 0..3 {
        std::thread::sleep(10 * FAST);
        signal(&child, "STOP");
        // Nothing can be awaited: it is that much time which must do no harm.
        std::thread::sleep(70 * FAST);
        signal(&child, "CONT");
    }
    std::thread::sleep(10 * FAST);
    assert!(child.try_wait().unwrap().is_none(), "{:?}", lines.next());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_watchdog_ends_with_the_program() {
    let (on, stop) = channel::<()>();
    let health = Health::default();
    let forgotten = health.heartbeat("loop", LIMIT);
    let watching = std::thread::spawn({
        let health = health.clone();
        move || watch(&health, FAST, &stop, |words| panic!("{words}"))
    });
    drop(forgotten);
    drop(on);
    watching.join().unwrap();
    assert!(health.stuck().is_empty());
}
