//! Who reads the topic, and what each run of one takes.
//!
//! Each is a process of its own, so that CPU time and memory are the client's alone; all but Python have psiren's own
//! settings of librdkafka, from the same configuration.

mod drain;
mod python;
mod queue;
mod sidecar;
mod value;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ::psiren::config::{Config, Overrides};
use ::psiren::monitor::Monitor;
use ::psiren::source::client::consumer_config;
use rdkafka::consumer::BaseConsumer;
use serde::{Deserialize, Serialize};

use crate::process::Process;
use crate::settings::{Contestant, Settings};

pub(crate) use python::lacking as python_lacks;
pub(crate) use sidecar::Sidecar;

/// Far more than any run takes.
const LIMIT: Duration = Duration::from_secs(900);
/// Clock ticks in a second, as `/proc` counts them on every Linux (USER_HZ).
const TICKS: f64 = 100.0;

/// What one run took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Records per second, from the first batch that arrived.
    pub(crate) rate: f64,
    /// CPU time, user and system, per record: of the whole process from its start to its end; of Python from its first
    /// record to its last.
    pub(crate) cpu_us: f64,
    pub(crate) peak_mib: f64,
    /// From psiren's start until it says that it has read a record, in milliseconds.
    pub(crate) first_ms: Option<f64>,
}

/// What a child tells when it has read everything.
#[derive(Serialize, Deserialize)]
struct Told {
    rate: f64,
    peak_mib: f64,
}

/// The configuration that all read, and what psiren makes of it.
pub(crate) struct Task {
    pub(crate) config: Config,
    pub(crate) monitor: Monitor,
    topic: String,
    partitions: i32,
    records: u64,
}

impl Task {
    pub(crate) fn load(path: &Path, contestant: Contestant, settings: &Settings) -> Self {
        let config = Config::load(path, &Overrides::default()).expect("the configuration");
        let monitor = Monitor::build(&config.monitors[0]).expect("the reference");
        assert_eq!(
            monitor.layout.features(),
            settings.features,
            "{:?}",
            monitor.left_out
        );
        Self {
            topic: monitor.config.topic.clone(),
            partitions: settings.partitions,
            records: contestant.records(settings),
            monitor,
            config,
        }
    }

    fn consumer(&self) -> BaseConsumer {
        let config = consumer_config(&self.config.kafka);
        config.create().expect("a consumer")
    }

    /// All partitions from their beginning.
    fn assignment(&self) -> rdkafka::TopicPartitionList {
        let mut list = rdkafka::TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition_offset(&self.topic, partition, rdkafka::Offset::Offset(0))
                .expect("an offset");
        }
        list
    }
}

/// Reads the topic as `contestant`, in this process, and tells how fast on standard output.
pub(crate) fn play(contestant: Contestant, config: &Path, settings: &Settings) {
    let task = Task::load(config, contestant, settings);
    let rate = match contestant {
        Contestant::Batch => drain::batch(&task),
        Contestant::Poll => drain::poll(&task),
        Contestant::Value => value::watch(&task, &windows_of(config)),
        Contestant::Psiren | Contestant::Python | Contestant::Naive => {
            panic!("{} is a program of its own", contestant.name())
        }
    };
    let told = Told {
        rate,
        peak_mib: peak_mib(),
    };
    serde_json::to_writer(std::io::stdout().lock(), &told).expect("somebody reads");
}

/// Runs `contestant` once.
pub(crate) fn run(contestant: Contestant, config: &Path, settings: &Settings) -> Run {
    let records = contestant.records(settings);
    match contestant {
        Contestant::Psiren => sidecar::run(config, settings),
        Contestant::Python | Contestant::Naive => python::run(
            contestant,
            &Task::load(config, contestant, settings),
            settings,
        ),
        Contestant::Batch | Contestant::Poll | Contestant::Value => {
            let before = cpu_of_children();
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            // With the arguments of this process, and so with its settings.
            command.args(std::env::args_os().skip(1));
            command.arg("--config").arg(config).arg("--part");
            command.arg(clap::ValueEnum::to_possible_value(&contestant).map_or_else(
                || unreachable!("every contestant has a name"),
                |value| value.get_name().to_owned(),
            ));
            let told: Told = answer_of(&mut command);
            Run {
                rate: told.rate,
                cpu_us: (cpu_of_children() - before) * 1e6 / records as f64,
                peak_mib: told.peak_mib,
                first_ms: None,
            }
        }
    }
}

/// The JSON that a child writes to standard output before it ends.
fn answer_of<T: serde::de::DeserializeOwned>(command: &mut Command) -> T {
    let told = tempfile::NamedTempFile::new().expect("a temporary file");
    let file = told.reopen().expect("a temporary file");
    let mut child = Process::spawn(command.stdout(Stdio::from(file))).expect("a child starts");
    let status = child.exit_within(LIMIT).expect("a run ends");
    assert!(status.success(), "{command:?} ended with {status}");
    let text = fs::read_to_string(told.path()).expect("what the child said");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
}

/// Where the plain monitor leaves its figures: beside the configuration.
pub(crate) fn windows_of(config: &Path) -> std::path::PathBuf {
    config.with_file_name("windows.csv")
}

/// Records per second since the first that arrived.
#[derive(Default)]
struct Pace(Option<(Instant, u64)>);

impl Pace {
    /// The first time it is called, the records so far are left out: how long those took is not known.
    fn begin(&mut self, records: u64) {
        self.0.get_or_insert_with(|| (Instant::now(), records));
    }

    fn rate(&self, records: u64) -> f64 {
        let (began, before) = self.0.expect("records arrived");
        (records - before) as f64 / began.elapsed().as_secs_f64()
    }
}

/// Seconds of CPU time of all children that have ended.
fn cpu_of_children() -> f64 {
    cpu("/proc/self/stat", 16)
}

/// Seconds of CPU time that a running process has had.
fn cpu_of(process: u32) -> f64 {
    cpu(&format!("/proc/{process}/stat"), 14)
}

/// User and system time, which stand from that field on.
fn cpu(stat: &str, from: usize) -> f64 {
    let stat = fs::read_to_string(stat).expect("/proc");
    // The name in parentheses may hold anything; what follows begins with field 3. See proc_pid_stat(5).
    let (_, after) = stat.rsplit_once(')').expect("a name");
    let field = |n: usize| -> f64 {
        let field = after.split_whitespace().nth(n - 3);
        field.and_then(|text| text.parse().ok()).expect("a number")
    };
    (field(from) + field(from + 1)) / TICKS
}

/// The most memory this process ever had resident.
fn peak_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.expect("VmHWM") / 1024.0
}
