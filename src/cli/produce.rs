//! `psiren produce`: puts the rows of a file on a topic.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};

use crate::config::{Decoder, KafkaConfig, TimestampField, field_path};
use crate::event::TimeReader;
use crate::source::file::RowFile;
use crate::source::producer::{Producer, Row};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  psiren produce flights.ndjson.gz --topic flights --rate 500/s
  psiren produce flights.csv -t flights --timestamp ts --speedup 60 --key origin")]
pub struct ProduceArgs {
    /// Parquet, NDJSON, NDJSON.gz, CSV, or `-` for NDJSON on standard input
    pub file: PathBuf,
    #[arg(short, long)]
    pub topic: String,
    /// The brokers; or take them and their security settings from `--config`
    #[arg(
        short,
        long,
        value_name = "HOST:PORT,…",
        default_value = "localhost:9092"
    )]
    pub bootstrap_servers: String,
    /// Take the Kafka settings from this configuration
    #[arg(long, value_name = "FILE", conflicts_with = "bootstrap_servers")]
    pub config: Option<PathBuf>,
    /// Records per second, such as `500`, `500/s` or `30000/m`; as fast as possible if absent
    #[arg(long, value_parser = parse_rate, conflicts_with = "speedup")]
    pub rate: Option<f64>,
    /// Replay the events' own times this much faster; needs `--timestamp`
    #[arg(long, value_parser = parse_speedup, requires = "timestamp")]
    pub speedup: Option<f64>,
    /// The field that holds the event's time
    #[arg(long, value_name = "FIELD")]
    pub timestamp: Option<String>,
    /// Give each record the event's time as its timestamp, in the place of now
    #[arg(long, requires = "timestamp")]
    pub stamp: bool,
    /// The field whose value is the record's key
    #[arg(long, value_name = "FIELD")]
    pub key: Option<String>,
    /// Stop after so many records
    #[arg(long)]
    pub limit: Option<u64>,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let (number, per) = text.split_once('/').unwrap_or((text, "s"));
    let seconds = match per {
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("found /{per}, expected /s, /m or /h")),
    };
    Ok(parse_speedup(number)? / seconds)
}

fn parse_speedup(text: &str) -> Result<f64, String> {
    match text.trim().trim_end_matches('x').parse::<f64>() {
        Ok(x) if x.is_finite() && x > 0.0 => Ok(x),
        _ => Err(format!("found {text:?}, expected a number above 0")),
    }
}

/// # Errors
/// A file that cannot be read, brokers that do not answer, records that were not taken.
pub fn run(args: ProduceArgs) -> Result<ExitCode> {
    let mut producer = Producer::new(&kafka(&args)?)?;
    producer.require_topic(&args.topic)?;
    let file = RowFile::open(&args.file)?;
    let bar = progress();
    let fields = Fields::of(&args)?;
    let mut pace = Pace::new(args.rate, args.speedup);
    let mut failed = None;
    let mut sent = 0_u64;
    file.payloads(|number, payload| {
        let step = fields.row(payload).and_then(|row| {
            pace.wait(sent, row.event_ms);
            producer.send(
                &args.topic,
                &Row {
                    timestamp_ms: row.event_ms.filter(|_| args.stamp),
                    key: row.key.as_deref(),
                    partition: None,
                    payload,
                },
            )
        });
        if let Err(error) = step {
            failed = Some(error.context(format!("row {number} of {}", args.file.display())));
            return ControlFlow::Break(());
        }
        sent += 1;
        bar.inc(1);
        match args.limit {
            Some(limit) if sent >= limit => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    })?;
    let delivered = producer.finish();
    bar.finish_and_clear();
    if let Some(error) = failed {
        return Err(error);
    }
    let delivered = delivered?;
    anstream::eprintln!("{delivered} records on topic {}", args.topic);
    Ok(ExitCode::SUCCESS)
}

fn kafka(args: &ProduceArgs) -> Result<KafkaConfig> {
    let Some(path) = &args.config else {
        return Ok(KafkaConfig {
            bootstrap_servers: args.bootstrap_servers.clone(),
            group_id: "psiren-produce".to_owned(),
            instance_id: "produce".to_owned(),
            threads: 1,
            consumer: Default::default(),
            decoder: Decoder::default(),
            properties: Default::default(),
        });
    };
    Ok(super::load_config(path)?.kafka)
}

fn progress() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = "{spinner} {human_pos} records, {elapsed}";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new_spinner().with_style(style)
}

/// The fields of a row that decide how it is sent.
struct Fields {
    timestamp: Option<(Vec<String>, TimeReader)>,
    key: Option<Vec<String>>,
}

struct Read {
    event_ms: Option<i64>,
    key: Option<Vec<u8>>,
}

impl Fields {
    fn of(args: &ProduceArgs) -> Result<Self> {
        let path = |text: &String| field_path(text);
        let timestamp = args.timestamp.as_ref().map(path).map(|path| {
            let field = TimestampField {
                path: path.clone(),
                unit: None,
                timezone: Some("UTC".to_owned()),
            };
            (path, TimeReader::new(&field))
        });
        Ok(Self {
            timestamp,
            key: args.key.as_ref().map(path),
        })
    }

    fn row(&self, payload: &[u8]) -> Result<Read> {
        if self.timestamp.is_none() && self.key.is_none() {
            return Ok(Read {
                event_ms: None,
                key: None,
            });
        }
        let row: serde_json::Value = serde_json::from_slice(payload).context("it is not JSON")?;
        let key = self.key.as_ref().map(|path| match find(&row, path) {
            Some(serde_json::Value::String(text)) => Ok(text.clone().into_bytes()),
            Some(other) => Ok(other.to_string().into_bytes()),
            None => bail!("it has no field {:?} for the key", path.join(".")),
        });
        let event_ms = self.timestamp.as_ref().map(|(path, reader)| {
            let found = find(&row, path);
            let time = found.map(|value| match value {
                serde_json::Value::String(text) => reader.text(text),
                other => reader.float(other.as_f64().unwrap_or(f64::NAN)),
            });
            match time {
                Some(Ok(ms)) => Ok(ms),
                _ => bail!("its field {:?} is no time", path.join(".")),
            }
        });
        Ok(Read {
            event_ms: event_ms.transpose()?,
            key: key.transpose()?,
        })
    }
}

fn find<'a>(row: &'a serde_json::Value, path: &[String]) -> Option<&'a serde_json::Value> {
    path.iter().try_fold(row, |value, step| match value {
        serde_json::Value::Array(items) => items.get(step.parse::<usize>().ok()?),
        other => other.get(step),
    })
}

/// When the next record may go.
pub(crate) struct Pace {
    rate: Option<f64>,
    speedup: Option<f64>,
    began: Instant,
    first_event_ms: Option<i64>,
}

impl Pace {
    pub(crate) fn new(rate: Option<f64>, speedup: Option<f64>) -> Self {
        Self {
            rate,
            speedup,
            began: Instant::now(),
            first_event_ms: None,
        }
    }

    /// Waits until record number `sent` is due.
    pub(crate) fn wait(&mut self, sent: u64, event_ms: Option<i64>) {
        let by_rate = self.rate.map(|rate| sent as f64 / rate);
        let by_time = self.speedup.zip(event_ms).map(|(speedup, ms)| {
            let first = *self.first_event_ms.get_or_insert(ms);
            (ms - first).max(0) as f64 / 1000.0 / speedup
        });
        let Some(due) = by_rate.or(by_time) else {
            return;
        };
        let ahead = due - self.began.elapsed().as_secs_f64();
        if ahead > 0.001 {
            std::thread::sleep(Duration::from_secs_f64(ahead));
        }
    }
}
