//! The real `psiren run`, with all that it promises.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{LIMIT, Run, Task, cpu_of, windows_of};
use crate::load;
use crate::psiren::Home;
use crate::row::Row;
use crate::settings::{Contestant, Settings};
use crate::wait;

/// The monitor whose figures are held against those of the plain one.
const MONITOR: &str = "bench";

pub(crate) struct Sidecar;

/// The figures of each closed window and feature: values and PSI.
type Windows = BTreeMap<(i64, String), (u64, Option<f64>)>;

impl Sidecar {
    /// What psiren is told; the others read the same file.
    pub(crate) fn config(
        settings: &Settings,
        kafka: &str,
        topic: &str,
        reference: &Path,
        slack: &str,
    ) -> String {
        let monitors: String = (1..=settings.monitors)
            .map(|i| {
                format!(
                    r#"
[monitor.{name}]
topic = "{topic}"
reference = "{reference}"
timestamp = {{ field = "ts" }}
window = {{ size = "{window}", slide = "1m" }}
"#,
                    name = if i == 1 {
                        MONITOR.to_owned()
                    } else {
                        format!("{MONITOR}-{i}")
                    },
                    reference = reference.display(),
                    window = settings.window,
                )
            })
            .collect();
        format!(
            r#"
[kafka]
bootstrap_servers = "{kafka}"
group_id = "{topic}"
instance_id = "bench"
threads = {threads}
{monitors}
[notify.team]
slack_webhook_url = "{slack}"

[csv]
path = "psi.csv"

[http]
listen = "127.0.0.1:0"

[state]
dir = "state"
checkpoint_interval = "{checkpoint}"
"#,
            threads = settings.threads,
            checkpoint = settings.checkpoint,
        )
    }
}

/// Its rate and its CPU time are those between the first and the last answer of `/metrics` that saw it in the middle of
/// the topic: it starts once and reads for years.
pub(super) fn run(config: &Path, settings: &Settings) -> Run {
    let text = fs::read_to_string(config).expect("the configuration");
    let last_end_ms = last_window_end(config, settings);
    let home = Home::with_config(&text);
    let begun = Instant::now();
    let psiren = home.start();
    wait::until("the first record", LIMIT, || psiren.consumed() > 0.0);
    let first = begun.elapsed();
    let mut seen = Vec::new();
    wait_until_read(settings, || {
        let consumed = psiren.consumed();
        seen.push(Seen {
            at: Instant::now(),
            records: consumed,
            cpu: cpu_of(psiren.process_id()),
        });
        consumed
    });
    wait::until("the last window", LIMIT, || {
        let end = psiren.metric(
            "psiren_window_end_timestamp_seconds",
            &[("monitor", MONITOR)],
        );
        end.is_some_and(|seconds| (seconds * 1000.0) as i64 >= last_end_ms)
    });
    let counted = psiren.metric("psiren_records_total", &[("outcome", "counted")]);
    let records = settings.records * u64::from(settings.monitors);
    assert_eq!(counted, Some(records as f64));
    let peak_mib = psiren.peak_mib() as f64;
    psiren.terminate();
    compare(&home.rows(), &windows_of(config));
    let (rate, cpu_us) = between(&seen, settings.records);
    Run {
        rate,
        cpu_us,
        peak_mib,
        first_ms: Some(first.as_secs_f64() * 1e3),
    }
}

/// What an answer of `/metrics` said, and the CPU time until then.
struct Seen {
    at: Instant,
    records: f64,
    cpu: f64,
}

fn wait_until_read(settings: &Settings, mut consumed: impl FnMut() -> f64) {
    let deadline = Instant::now() + LIMIT;
    loop {
        sleep(Duration::from_millis(settings.scrape_ms));
        if consumed() >= settings.records as f64 {
            return;
        }
        assert!(Instant::now() < deadline, "psiren did not read everything");
    }
}

/// Records a second, and microseconds of CPU time a record.
fn between(seen: &[Seen], records: u64) -> (f64, f64) {
    let middle = |seen: &&Seen| seen.records > 0.0 && seen.records < records as f64;
    let (first, last) = (seen.iter().find(middle), seen.iter().rev().find(middle));
    match (first, last) {
        (Some(first), Some(last)) if last.records > first.records => {
            let read = last.records - first.records;
            let seconds = last.at.duration_since(first.at).as_secs_f64();
            (read / seconds, (last.cpu - first.cpu) * 1e6 / read)
        }
        _ => panic!(
            "psiren read everything between two questions; give it more --records than {records}"
        ),
    }
}

/// The end of the last window that every partition is past.
fn last_window_end(config: &Path, settings: &Settings) -> i64 {
    let task = Task::load(config, Contestant::Psiren, settings);
    let panes = task.monitor.definition.panes;
    // The last records of the partitions follow each other; the first of them holds the window up.
    let least = settings.records - settings.partitions as u64;
    let sealed = panes.sealed_before(load::time_of(settings, least));
    panes.start_ms(sealed)
}

/// Holds psiren's final rows against those of the plain monitor, where that has run.
fn compare(rows: &[Row], plain: &Path) {
    let Ok(text) = fs::read_to_string(plain) else {
        return;
    };
    let plain: Windows = text.lines().map(parse).collect();
    let ours: Windows = rows
        .iter()
        .filter(|row| row.is_final(MONITOR) && row.closed_by == "watermark")
        .map(|row| {
            (
                (row.window_end_ms, row.feature.clone()),
                (row.events, row.psi),
            )
        })
        .collect();
    assert_eq!(ours.len(), plain.len(), "windows and features");
    for (window, (values, psi)) in &ours {
        let (expected, plain_psi) = plain[window];
        assert_eq!(*values, expected, "{window:?}");
        if let (Some(psi), Some(plain_psi)) = (psi, plain_psi) {
            assert!((psi - plain_psi).abs() < 1e-12, "{window:?}: {psi}");
        }
    }
}

fn parse(line: &str) -> ((i64, String), (u64, Option<f64>)) {
    let mut fields = line.split(',');
    let mut next = || fields.next().expect("four fields");
    let (end, feature, values, psi) = (next(), next(), next(), next());
    (
        (end.parse().expect("milliseconds"), feature.to_owned()),
        (values.parse().expect("a count"), psi.parse().ok()),
    )
}
