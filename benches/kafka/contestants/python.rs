//! What a team would write in Python, in `loop.py`, where Python and its packages are installed.

use std::process::{Command, Stdio};

use ::psiren::drift::{Binning, PaneCounts};
use ::psiren::event::Extractor;
use ::psiren::source::client::consumer_config;
use serde::Deserialize;
use serde_json::json;

use super::{Run, Task, answer_of};
use crate::load;
use crate::settings::{Contestant, Settings};

#[derive(Deserialize)]
struct Told {
    rate: f64,
    cpu_us: f64,
    peak_mib: f64,
    /// Values per feature and bucket.
    counts: Vec<Vec<u64>>,
}

/// Why Python cannot take part here.
pub(crate) fn lacking() -> Option<String> {
    let tried = Command::new("python3")
        .args(["-c", "import confluent_kafka, orjson, numpy"])
        .stdin(Stdio::null())
        .output();
    match tried {
        Ok(output) if output.status.success() => None,
        Ok(_) => Some("pip install confluent-kafka orjson numpy".to_owned()),
        Err(error) => Some(format!("python3 does not start: {error}")),
    }
}

pub(super) fn run(contestant: Contestant, task: &Task, settings: &Settings) -> Run {
    let definition = &task.monitor.definition;
    let features = definition.features.iter().map(|feature| {
        let name = feature.name();
        match &feature.reference.binning {
            Binning::Numeric { edges, .. } => json!({"name": name, "edges": edges}),
            Binning::Categorical { categories, .. } => {
                json!({"name": name, "categories": categories})
            }
        }
    });
    let asked = json!({
        "consumer": consumer_config(&task.config.kafka).config_map(),
        "topic": task.topic,
        "partitions": task.partitions,
        "records": task.records,
        "naive": contestant == Contestant::Naive,
        "panes": definition.window.panes(&definition.panes),
        "features": features.collect::<Vec<_>>(),
    });
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/benches/kafka/contestants/loop.py"
    );
    let told: Told = answer_of(
        Command::new("python3")
            .arg(script)
            .arg(asked.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1"),
    );
    assert_eq!(told.counts, expected(task, settings), "Python's counts");
    Run {
        rate: told.rate,
        cpu_us: told.cpu_us,
        peak_mib: told.peak_mib,
        first_ms: None,
    }
}

/// The counts of the first records, by psiren's own extractor.
fn expected(task: &Task, settings: &Settings) -> Vec<Vec<u64>> {
    let monitor = &task.monitor;
    let pool = settings.pool();
    let mut extractor = Extractor::new(&monitor.schema);
    let mut counts = PaneCounts::zero(&monitor.layout);
    let mut event = String::new();
    for i in 0..task.records {
        pool.event(i as usize, load::time_of(settings, i), &mut event);
        let extracted = extractor.extract(event.as_bytes()).expect("an event");
        counts.record(&monitor.layout, extracted.cells);
    }
    (0..monitor.layout.features())
        .map(|i| counts.buckets(&monitor.layout, i).to_vec())
        .collect()
}
