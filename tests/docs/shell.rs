//! Runs a shell block as it is written, line by line.
//!
//! What the environment says differs from a reader's: `psiren` is the program under test, addresses are free ports and
//! the embedded broker. `psiren run` goes on beside the lines that follow it and is ended after the last; a block that
//! speaks of `$PSIREN_URL` finds one running.

use std::path::Path;
use std::process::{Command, Output};

use libtest_mimic::Completion;
use tempfile::TempDir;

use crate::blocks::Block;
use crate::broker::Broker;
use crate::folder;
use crate::program::Program;
use crate::webhook::Webhook;

/// Programs that cannot be had from the packages that `.ci/run` installs. A block that begins with one is ignored where
/// it is not there.
const WHERE_THERE: [&str; 1] = ["kubectl"];

/// Commands that do not exit with 0, by how their line begins.
const EXIT_CODES: [(&str, i32); 1] = [(
    // The stand-in holds ten months, whose weather is not that of January: drift is what it is to find.
    "psiren check last-week.parquet --reference",
    3,
)];

/// What the documents say that a command prints, in words that are not beside the block.
const PRINTS: [(&str, &[&str]); 7] = [
    ("psiren init", &["psiren.toml", "psiren validate"]),
    (
        "curl -fsS -X DELETE",
        &["\"id\":\"flights.1\"", "\"reason\":\"new timetable\""],
    ),
    (
        "kubectl kustomize",
        &["kind: PodMonitor", "kind: PrometheusRule", "image: psiren:"],
    ),
    (
        "psiren reference inspect reference.json",
        &["dep_delay", "carrier"],
    ),
    (
        "psiren check --reference reference.parquet last-quarter.parquet",
        &["worst", "likely"],
    ),
    (
        "psiren check fixtures/flights/production.parquet --reference fixtures/flights/reference.parquet --timestamp ts",
        &[
            "2013-09-18T00:00:00Z,check,,origin,final,0.00841",
            "560 511 548 0",
        ],
    ),
    ("psiren explain dep_delay", &["dep_delay", "total"]),
];

/// A command, and the output that the block shows below it.
struct Step {
    command: String,
    shown: Vec<String>,
}

/// The commands of a block; in a `console` block they begin with `$ `, and other lines are output.
fn steps(block: &Block) -> Vec<Step> {
    let console = block.language == "console";
    let mut steps: Vec<Step> = Vec::new();
    let mut continued = false;
    for line in block.text.lines() {
        let command = match line.strip_prefix("$ ") {
            Some(command) if console => Some(command),
            None if console && !continued => None,
            _ => Some(line),
        };
        match (command, steps.last_mut()) {
            (Some(more), Some(step)) if continued => {
                step.command.push('\n');
                step.command.push_str(more);
            }
            (Some(command), _) if !command.trim().is_empty() => steps.push(Step {
                command: command.to_owned(),
                shown: Vec::new(),
            }),
            (None, Some(step)) => step.shown.push(line.trim_end().to_owned()),
            _ => {}
        }
        continued = line.ends_with('\\');
    }
    steps
}

/// Everything around the commands of one block.
struct Surroundings {
    folder: TempDir,
    broker: Option<Broker>,
    webhook: Webhook,
    running: Option<Program>,
}

pub(crate) fn run(block: &Block) -> Completion {
    if let Some(program) = lacking(block) {
        return Completion::ignored_with(format!("{program} is not installed"));
    }
    let finds_one = block.text.contains("$PSIREN_URL");
    let wants_broker = finds_one
        || ["psiren.toml", "psiren init"]
            .iter()
            .any(|what| block.text.contains(what));
    let mut surroundings = Surroundings {
        folder: folder::of(block),
        broker: wants_broker.then(Broker::start),
        webhook: Webhook::start([]),
        running: None,
    };
    if finds_one {
        surroundings.start("psiren run --config psiren.toml");
    }
    let steps = steps(block);
    assert!(!steps.is_empty(), "a block without commands");
    for step in steps {
        play(&step, &mut surroundings);
    }
    if let Some(program) = surroundings.running {
        program.stop();
    }
    Completion::Completed
}

/// The program of [`WHERE_THERE`] that the block begins with and that is not there.
fn lacking(block: &Block) -> Option<&'static str> {
    let begins = |program: &&str| block.first_line().starts_with(program);
    let program = WHERE_THERE.into_iter().find(begins)?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    (!there).then_some(program)
}

fn play(step: &Step, surroundings: &mut Surroundings) {
    let line = step.command.as_str();
    if line.starts_with("psiren run ") {
        surroundings.start(line);
        return;
    }
    let output = surroundings.command(line).output().expect("bash starts");
    let expected = EXIT_CODES.iter().find(|(start, _)| line.starts_with(start));
    let expected = expected.map_or(0, |(_, code)| *code);
    assert_eq!(
        output.status.code(),
        Some(expected),
        "{line}\n{}",
        said(&output)
    );
    let printed = said(&output);
    let promised = PRINTS.iter().filter(|(start, _)| line.starts_with(start));
    let promised = promised.flat_map(|(_, words)| words.iter().copied());
    let shown = step.shown.iter().map(String::as_str);
    for words in promised.chain(shown.filter(|line| *line != "…")) {
        assert!(
            printed.contains(words),
            "{line} does not print {words:?} but begins with:\n{printed:.2000}"
        );
    }
}

impl Surroundings {
    fn start(&mut self, line: &str) {
        let mut command = self.command(line);
        self.running = Some(Program::start(&mut command, self.folder.path(), "psi.csv"));
    }

    /// `line` in bash, in this folder and with nothing of the environment of whoever runs the tests but `PATH`.
    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        command
            .args(["-euo", "pipefail", "-c", line])
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", path())
            .env("HOME", self.folder.path())
            .env("PSIREN_HTTP_LISTEN", "127.0.0.1:0")
            .env("SLACK_WEBHOOK_URL", &self.webhook.url);
        if let Some(broker) = &self.broker {
            command.env("PSIREN_KAFKA_BOOTSTRAP_SERVERS", broker.servers());
        }
        if let Some(program) = &self.running {
            command.env("PSIREN_URL", &program.url);
        }
        command
    }
}

/// `PATH` with the program under test in front.
pub(crate) fn path() -> String {
    let psiren = Path::new(env!("CARGO_BIN_EXE_psiren"));
    let folder = psiren.parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", folder.display())
}

pub(crate) fn said(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&text).into_owned()
}
