//! What is measured, and on what: `cargo bench --bench kafka -- --help`.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};

use crate::events::{Pool, Shape};

/// psiren beside bare consumers and plain monitors of the same topic, on a real broker
#[derive(Debug, Parser)]
pub(crate) struct Command {
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
    #[command(flatten)]
    pub(crate) settings: Settings,
    #[command(flatten)]
    pub(crate) part: Part,
}

#[derive(Debug, Args)]
pub(crate) struct Settings {
    /// Records on the topic
    #[arg(long, env = "PSIREN_BENCH_RECORDS", default_value_t = 6_000_000)]
    pub(crate) records: u64,
    /// Runs of each contestant, one of each in turn
    #[arg(long, env = "PSIREN_BENCH_ROUNDS", default_value_t = 5)]
    pub(crate) rounds: usize,
    #[arg(long, value_delimiter = ',', value_enum, default_values_t = Contestant::value_variants().to_vec())]
    pub(crate) contestants: Vec<Contestant>,
    /// Partitions of the topic
    #[arg(long, default_value_t = 4)]
    pub(crate) partitions: i32,
    /// Length of an event
    #[arg(long, default_value_t = 328)]
    pub(crate) bytes: usize,
    /// Features that are watched
    #[arg(long, default_value_t = 12)]
    pub(crate) features: usize,
    /// Fields of an event, those that are watched among them
    #[arg(long, default_value_t = 20)]
    pub(crate) fields: usize,
    /// Event time as RFC 3339 text instead of milliseconds
    #[arg(long)]
    pub(crate) text_time: bool,
    /// Event time that the records span, in hours
    #[arg(long, default_value_t = 6)]
    pub(crate) hours: i64,
    /// Length of the window; it slides by a minute
    #[arg(long, default_value = "1h")]
    pub(crate) window: String,
    /// Monitors of the topic in psiren, all alike
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) monitors: u16,
    /// Consumers in psiren
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// How often psiren saves
    #[arg(long, default_value = "5s")]
    pub(crate) checkpoint: String,
    /// Ask psiren for its metrics so often while it reads, in milliseconds; each answer counts as its CPU time
    #[arg(long, default_value_t = 250)]
    pub(crate) scrape_ms: u64,
    /// Records for Python with orjson and numpy; the naive loop reads a tenth of them
    #[arg(long, default_value_t = 400_000)]
    pub(crate) python_records: u64,
    /// Then measure how long a record takes to the live gauge, at half of psiren's rate, for so many seconds
    #[arg(long, default_value_t = 0)]
    pub(crate) latency_seconds: u64,
}

/// What a child process of the benchmark is told.
#[derive(Debug, Args)]
pub(crate) struct Part {
    /// Be this contestant
    #[arg(long, hide = true, requires = "config", value_enum)]
    pub(crate) part: Option<Contestant>,
    /// The configuration of psiren, which names the topic
    #[arg(long, hide = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contestant {
    /// `rd_kafka_consume_batch_queue`, nothing looked at
    Batch,
    /// `BaseConsumer::poll`, nothing looked at
    Poll,
    /// A plain monitor: `poll`, a `serde_json::Value` of the whole event, counts per minute
    Value,
    /// `psiren run`, with everything it promises
    Psiren,
    /// The same in Python with orjson and numpy, a batch at a time
    Python,
    /// Python as first written: json, bisect, each event added to each of its windows
    Naive,
}

impl Contestant {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Batch => "batch drain",
            Self::Poll => "poll drain",
            Self::Psiren => "psiren",
            Self::Value => "serde_json::Value",
            Self::Python => "Python, orjson + numpy",
            Self::Naive => "Python, naive",
        }
    }

    /// How many of the records it reads: slow ones fewer, as many of each partition.
    pub(crate) fn records(self, settings: &Settings) -> u64 {
        let most = match self {
            Self::Python => settings.python_records,
            Self::Naive => settings.python_records / 10,
            _ => settings.records,
        };
        let partitions = settings.partitions as u64;
        most.min(settings.records) / partitions * partitions
    }
}

/// Different bodies of events.
const BODIES: usize = 1 << 16;

impl Settings {
    pub(crate) fn pool(&self) -> Pool {
        self.shape().pool(BODIES)
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape {
            watched: self.features,
            fields: self.fields,
            bytes: self.bytes,
            text_time: self.text_time,
        }
    }

    /// As many records on each partition.
    pub(crate) fn evened(mut self) -> Self {
        let partitions = self.partitions.max(1);
        self.partitions = partitions;
        self.records = self.records.max(1).div_ceil(partitions as u64) * partitions as u64;
        self
    }
}
