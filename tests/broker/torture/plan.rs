//! What a round watches and produces. All of it follows from the seed and the size.

use std::path::Path;
use std::sync::Arc;

use psiren::config::{Config, Overrides};
use psiren::monitor::Monitor;
use psiren::reference::{self, LoadOptions};
use tempfile::TempDir;

use super::Size;
use crate::flights;
use crate::kafka::Kafka;
use crate::topic::{Topic, unique};

const MINUTE_MS: i64 = 60_000;
/// 2026-01-01T00:00:00Z: event time begins here, whenever the test runs.
pub(super) const BEGIN_MS: i64 = 1_767_225_600_000;
/// An event may be dated this much after its record.
pub(super) const FUTURE_SKEW_MS: i64 = 2 * MINUTE_MS;
/// The last record of each partition comes so long after the others: every pane with other events seals.
const CLOSING_MS: i64 = 20 * MINUTE_MS;
const FEATURES: [&str; 6] = [
    "dep_delay",
    "distance",
    "pressure",
    "temp",
    "carrier",
    "origin",
];
/// Segments are rolled by size: one record in between is dated 1970.
const TOPIC: [(&str, &str); 1] = [("segment.ms", "1000000000000")];

/// How a psiren reads; what it counts is the same.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// As it does where nothing is configured.
    Fast,
    /// By the parts that say what is meant.
    Plain,
}

impl Way {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Fast => Self::Plain,
            Self::Plain => Self::Fast,
        }
    }
}

pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) size: Size,
    /// Event time covered by the records, in milliseconds.
    pub(super) span_ms: i64,
    pub(super) topics: Vec<(Topic, i32)>,
    pub(super) monitors: Vec<Arc<Monitor>>,
    threads: usize,
    /// Of the psiren that is tortured; the uninterrupted one it is compared with reads the other way.
    pub(super) way: Way,
    checkpoint_ms: u64,
    tables: String,
    /// Holds the reference as a profile: psiren starts often here, and a Parquet file takes it longer to read.
    _folder: TempDir,
}

impl Plan {
    /// Draws a plan and creates its topics.
    pub(super) fn draw(kafka: &Kafka, seed: u64, size: Size) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut partitions = [1, rng.i32(2..=6), 12];
        rng.shuffle(&mut partitions);
        let topics = partitions.map(|partitions| {
            let topic = Topic::unborn(kafka, "torture");
            topic.come_to_be(partitions, &TOPIC);
            (topic, partitions)
        });
        let folder = TempDir::new().expect("a temporary folder");
        let profile = folder.path().join("reference.json");
        reference::build(
            &[flights::path("reference.parquet")],
            &LoadOptions::default(),
        )
        .expect("a reference")
        .save(&profile)
        .expect("the profile is written");
        let mut plan = Self {
            seed,
            size,
            span_ms: size.hours * 60 * MINUTE_MS,
            tables: tables(&mut rng, &topics, &profile),
            topics: topics.into(),
            monitors: Vec::new(),
            // Neighbouring seeds, as the rounds of one run have them, take turns.
            threads: if seed.is_multiple_of(2) { 1 } else { 2 },
            way: if seed.is_multiple_of(3) {
                Way::Plain
            } else {
                Way::Fast
            },
            checkpoint_ms: rng.u64(30..400),
            _folder: folder,
        };
        let text = plan.config(kafka, "", plan.way);
        let config = Config::parse(&text, "psiren.toml".as_ref(), &Overrides::default());
        let config = config.unwrap_or_else(|error| panic!("{error}\n{text}"));
        plan.monitors = psiren::app::build_monitors(&config).expect("monitors");
        plan
    }

    /// The configuration of one psiren with a group of its own; `receiver` is its `[notify]` table.
    pub(super) fn config(&self, kafka: &Kafka, receiver: &str, way: Way) -> String {
        let (consumer, decoder) = match way {
            Way::Fast => ("batch", "fast"),
            Way::Plain => ("poll", "reference"),
        };
        format!(
            r#"
[kafka]
bootstrap_servers = "{address}"
group_id = "{group}"
instance_id = "{instance}"
threads = {threads}
consumer = "{consumer}"
decoder = "{decoder}"

{receiver}
{tables}
[csv]
path = "psi.csv"

[http]
listen = "127.0.0.1:0"

[state]
dir = "state"
checkpoint_interval = "{checkpoint_ms}ms"
"#,
            address = kafka.address(),
            group = unique("torture"),
            instance = unique("psiren"),
            threads = self.threads,
            tables = self.tables,
            checkpoint_ms = self.checkpoint_ms,
        )
    }

    /// The monitors of one topic.
    pub(super) fn watching(&self, topic: &str) -> impl Iterator<Item = &Arc<Monitor>> {
        self.monitors
            .iter()
            .filter(move |monitor| monitor.config.topic == topic)
    }

    /// The event time of the record that ends each partition.
    pub(super) fn closing_ms(&self) -> i64 {
        BEGIN_MS + self.span_ms + CLOSING_MS
    }
}

/// Five monitors on three topics, two of them watched twice.
fn tables(rng: &mut fastrand::Rng, topics: &[(Topic, i32); 3], reference: &Path) -> String {
    let [one, two, three] = topics.each_ref().map(|(topic, _)| topic.name.as_str());
    let field = r#"timestamp = { field = "ts" }"#;
    let scored = r#"where = [{ field = "type", equals = "scored" }]"#;
    // Its window holds the whole round, so every sealed pane is kept and compared.
    let keeper = r#"size = "30d", slide = "1m", lateness = "20s""#;
    let mut window = |slide: i64| {
        let size = slide * rng.i64(2..=4);
        let lateness = rng.choice(["0s", "20s", "90s"]).unwrap_or("0s");
        let offset = rng.choice(["0s", "20s"]).unwrap_or("0s");
        format!(
            r#"size = "{size}m", slide = "{slide}m", lateness = "{lateness}", offset = "{offset}""#
        )
    };
    let shapes = [
        ("by-field", one, field, window(2), ""),
        ("by-record", one, "", window(3), scored),
        ("all-panes", two, field, keeper.to_owned(), ""),
        ("scored", two, field, window(4), scored),
        ("again-by-record", three, "", window(2), ""),
    ];
    shapes
        .map(|(name, topic, timestamp, window, filter)| {
            let features = some_features(rng);
            format!(
                r#"
[monitor.{name}]
topic = "{topic}"
{timestamp}
{filter}
reference = {reference:?}
include = {features:?}
window = {{ {window} }}
max_future_skew = "2m"
min_events = 60
idle_timeout = "30d"
stale_after = "365d"
repeat_after = "365d"
alert_max_age = "36500d"
live_interval = "10s"
{nested}
"#,
                nested = nested(name, &features),
            )
        })
        .concat()
}

fn some_features(rng: &mut fastrand::Rng) -> [&'static str; 4] {
    let mut features = FEATURES;
    rng.shuffle(&mut features);
    let [first, second, third, fourth, ..] = features;
    [first, second, third, fourth]
}

/// One of the features lies deeper in the event than the others.
fn nested(monitor: &str, features: &[&str]) -> String {
    match features.contains(&"temp") {
        true => format!("[monitor.{monitor}.features]\ntemp = {{ path = \"weather.temp\" }}"),
        false => String::new(),
    }
}
