//! `psiren demo`: an embedded broker, real data, and the pipeline of `psiren run`, in one process.
//!
//! The broker is librdkafka's mock cluster on loopback; the data is in the binary: flights from New
//! York in 2013, with January and February as the reference. State lives in a temporary folder.

mod flights;
mod summary;

use std::io::IsTerminal;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rdkafka::mocking::MockCluster;
use tokio_util::sync::CancellationToken;

use crate::app::{self, App, Options};
use crate::config::{Config, Environment, Overrides};
use crate::source::producer::{Producer, Row};
use crate::state::ReportLog;
use crate::telemetry::{self, LogFormat};

use flights::Flight;

const TOPIC: &str = "flights";
const PARTITIONS: i32 = 4;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  psiren demo
  psiren demo --days-per-second 50 --exit")]
pub struct DemoArgs {
    /// Where to listen for HTTP
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:10774")]
    pub listen: String,
    /// Where to write the CSV; an older one is replaced
    #[arg(long, value_name = "FILE", default_value = "psiren-demo.csv")]
    pub csv: PathBuf,
    /// How many days of flights are replayed per second
    #[arg(long, value_name = "DAYS", default_value_t = 10.0, value_parser = parse_speed)]
    pub days_per_second: f64,
    /// End after the replay, with a summary
    #[arg(long)]
    pub exit: bool,
}

fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(days) if days.is_finite() && days > 0.0 => Ok(days),
        _ => Err(format!("found {text:?}, expected a number above 0")),
    }
}

/// # Errors
/// A port in use, or a folder that cannot be written.
pub fn run(args: DemoArgs) -> Result<ExitCode> {
    telemetry::init(LogFormat::Text, "warn");
    let folder = tempfile::tempdir().context("no temporary folder")?;
    // It ends with the process: clients that outlive it would complain of its absence.
    let broker = ManuallyDrop::new(broker()?);
    let config = configure(&args, folder.path(), &broker.bootstrap_servers())?;
    super::block_on(show(args, config))?;
    Ok(ExitCode::SUCCESS)
}

fn broker() -> Result<MockCluster<'static, rdkafka::producer::DefaultProducerContext>> {
    let broker = MockCluster::new(1).context("the embedded broker does not start")?;
    broker.create_topic(TOPIC, PARTITIONS, 1)?;
    Ok(broker)
}

/// The configuration a user would write, with what drifts for more than the season first.
fn configure(args: &DemoArgs, folder: &Path, bootstrap_servers: &str) -> Result<Config> {
    flights::write_reference(&folder.join("reference.parquet"))?;
    let text = format!(
        r#"
[kafka]
bootstrap_servers = "{bootstrap_servers}"
group_id = "psiren-demo"

[monitor.flights]
topic = "{TOPIC}"
timestamp = {{ field = "ts" }}
reference = "reference.parquet"
window = {{ size = "7d", slide = "1d" }}

[monitor.flights.features]
dep_delay = {{}}
arr_delay = {{}}
carrier = {{}}
origin = {{}}
dest = {{}}
distance = {{}}
air_time = {{}}

[state]
dir = "state"
checkpoint_interval = "500ms"
"#
    );
    let csv = std::path::absolute(&args.csv)?;
    if csv.exists() {
        std::fs::remove_file(&csv).with_context(|| format!("cannot replace {}", csv.display()))?;
    }
    let overrides = Overrides {
        listen: Some(args.listen.clone()),
        csv_path: Some(csv),
        ..Overrides::from(Environment::from_process()?)
    };
    Ok(Config::parse(&text, &folder.join("demo.toml"), &overrides)?)
}

async fn show(args: DemoArgs, config: Config) -> Result<()> {
    let shutdown = CancellationToken::new();
    app::cancel_on_signal(shutdown.clone())?;
    let kafka = config.kafka.clone();
    let app = App::build(config, Options::default()).await?;
    let address = app.address()?;
    let log = app.report_log();
    let definition = app.definitions().next().cloned();
    let definition = definition.context("the demo has a monitor")?;
    let running = tokio::spawn(app.run(shutdown.clone()));

    anstream::eprintln!("page       http://{address}/");
    anstream::eprintln!("status     http://{address}/api/v1/status");
    anstream::eprintln!("metrics    http://{address}/metrics");
    anstream::eprintln!("csv        {}", args.csv.display());
    let speed = args.days_per_second;
    let stop = shutdown.clone();
    let replay = tokio::task::spawn_blocking(move || {
        let mut producer = Producer::new(&kafka)?;
        replay(&mut producer, speed, &stop)
    });
    let last_window_ms = replay.await??;
    if let Some(end_ms) = last_window_ms {
        until_closed(&*log, end_ms, &shutdown).await?;
        let reports = summary::final_reports(&*log)?;
        anstream::print!("{}", summary::render(&definition, &reports));
        if args.exit {
            shutdown.cancel();
        } else {
            anstream::eprintln!("\nstill serving http://{address}/ ; Ctrl-C ends it");
        }
    }
    running.await?
}

/// Sends the flights at their pace; gives the end of the last window that every partition's event
/// time will close, or `None` when it was stopped before.
fn replay(
    producer: &mut Producer,
    days_per_second: f64,
    stop: &CancellationToken,
) -> Result<Option<i64>> {
    let flights = flights::read()?;
    let bar = progress(flights.len() as u64);
    let mut pace = super::produce::Pace::new(None, Some(days_per_second * 86_400.0));
    let mut greatest = [i64::MIN; PARTITIONS as usize];
    for (i, flight) in flights.iter().enumerate() {
        if stop.is_cancelled() {
            return Ok(None);
        }
        pace.wait(i as u64, Some(flight.at_ms));
        let partition = i % greatest.len();
        greatest[partition] = greatest[partition].max(flight.at_ms);
        producer.send(TOPIC, &row(flight, partition as i32))?;
        bar.inc(1);
        if i % 256 == 0 {
            bar.set_message(flight.date());
        }
    }
    producer.finish()?;
    bar.finish_and_clear();
    let day = 86_400_000;
    let lateness = 5 * 60_000;
    let reached = greatest.into_iter().min().unwrap_or(i64::MIN) - lateness;
    Ok(Some(reached.div_euclid(day) * day))
}

fn row(flight: &Flight, partition: i32) -> Row<'_> {
    Row {
        timestamp_ms: None,
        key: None,
        partition: Some(partition),
        payload: flight.json.as_bytes(),
    }
}

fn progress(flights: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = "{bar:40} {human_pos}/{human_len} flights, now {msg}, {eta} left";
    let style =
        ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(flights).with_style(style)
}

/// Waits until the window that ends at `end_ms` is in the report log.
async fn until_closed(
    log: &dyn ReportLog,
    end_ms: i64,
    shutdown: &CancellationToken,
) -> Result<()> {
    let mut look = tokio::time::interval(Duration::from_millis(100));
    while log.history(TOPIC, end_ms, end_ms, 1)?.is_empty() {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = look.tick() => {}
        }
    }
    Ok(())
}
