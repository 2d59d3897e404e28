//! What one event and one window cost. `cargo bench --bench core`.
//!
//! The events are the flights of `fixtures/`, each against 13 features, and made ones of several
//! shapes; a `serde_json::Value` walk over the same bytes stands beside the extractor for comparison.

#[path = "../tests/support/definition.rs"]
mod definition;
mod events;
#[path = "../tests/support/stored.rs"]
mod stored;

use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::path::Path;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use flate2::read::GzDecoder;
use psiren::config::{Decoder, TimestampField, field_path};
use psiren::drift::{
    Binning, Cell, Closed, ClosedBy, Finder, Found, Layout, PaneCounts, PaneId, PaneSpec,
    PartitionPanes, Smoothing, Trigger, Value, WindowRing, WindowSpec, psi,
};
use psiren::event::{EventSchema, Extractor, FeatureField, TimeReader};
use psiren::reference::{self, LoadOptions};
use psiren::state::{UnitState, codec};
use serde_json::Value as Json;

use definition::definition;
use events::Shape;
use stored::unit;

const DAY: i64 = 86_400_000;
const PANES: PaneSpec = PaneSpec {
    width_ms: DAY,
    offset_ms: 0,
    lateness_ms: i64::MAX,
    max_future_skew_ms: 0,
};
const EVENTS: usize = 1000;

fn main() {
    divan::main();
}

/// The first events of March 2013, as they stand on a topic.
fn events() -> Vec<String> {
    let file = std::fs::File::open("fixtures/flights/production.ndjson.gz").expect("the fixture");
    let lines = BufReader::new(GzDecoder::new(file)).lines();
    lines.take(EVENTS).map(|l| l.expect("a line")).collect()
}

fn schema() -> EventSchema {
    let options = LoadOptions {
        timestamp_column: Some("ts".to_owned()),
        ..LoadOptions::default()
    };
    let path = Path::new("fixtures/flights/reference.parquet");
    let profile = reference::load(path, &options).expect("the reference");
    let features = profile.features.into_iter().map(|f| FeatureField {
        path: vec![f.reference.name],
        binning: f.reference.binning,
    });
    EventSchema {
        features: features.collect(),
        timestamp: Some(TimestampField {
            path: field_path("ts"),
            unit: None,
            timezone: None,
        }),
        filters: Vec::new(),
    }
}

fn layout(schema: &EventSchema) -> Layout {
    Layout::new(schema.features.iter().map(|f| f.binning.buckets()))
}

/// Decode and count, as the consuming loop does.
#[divan::bench]
fn count_by_extractor(bencher: Bencher<'_, '_>) {
    count(bencher, &schema(), &events(), Decoder::Fast);
}

/// The same without the fast reader.
#[divan::bench]
fn count_by_reference(bencher: Bencher<'_, '_>) {
    count(bencher, &schema(), &events(), Decoder::Reference);
}

/// The same counts over a tree of the whole event.
#[divan::bench]
fn count_by_value(bencher: Bencher<'_, '_>) {
    count_trees(bencher, &schema(), &events());
}

#[divan::bench(args = Shape::NAMES)]
fn shape_by_extractor(bencher: Bencher<'_, '_>, shape: &str) {
    let shape = Shape::named(shape);
    count(bencher, &shape.schema(), &made(shape), Decoder::Fast);
}

#[divan::bench(args = Shape::NAMES)]
fn shape_by_reference(bencher: Bencher<'_, '_>, shape: &str) {
    let shape = Shape::named(shape);
    count(bencher, &shape.schema(), &made(shape), Decoder::Reference);
}

#[divan::bench(args = Shape::NAMES)]
fn shape_by_value(bencher: Bencher<'_, '_>, shape: &str) {
    let shape = Shape::named(shape);
    count_trees(bencher, &shape.schema(), &made(shape));
}

fn made(shape: Shape) -> Vec<String> {
    shape.events(EVENTS, 1)
}

fn count(bencher: Bencher<'_, '_>, schema: &EventSchema, events: &[String], decoder: Decoder) {
    let layout = layout(schema);
    let mut extractor = Extractor::with(schema, decoder);
    let mut panes = PartitionPanes::default();
    counted(bencher, events).bench_local(|| {
        for (offset, event) in (0..).zip(events) {
            let event = extractor.extract(event.as_bytes()).expect("an event");
            let ms = event.event_ms.expect("an event time");
            black_box(panes.record(&PANES, &layout, ms, None, offset, event.cells));
        }
    });
}

fn count_trees(bencher: Bencher<'_, '_>, schema: &EventSchema, events: &[String]) {
    let layout = layout(schema);
    let reader = TimeReader::default();
    let mut panes = PartitionPanes::default();
    counted(bencher, events).bench_local(|| {
        for (offset, event) in (0..).zip(events) {
            let event: Json = serde_json::from_str(event).expect("an event");
            let ts = event["ts"].as_str().expect("an event time");
            let ms = reader.text(ts).expect("an event time");
            let cells: Vec<Cell> = schema.features.iter().map(|f| cell(f, &event)).collect();
            black_box(panes.record(&PANES, &layout, ms, None, offset, &cells));
        }
    });
}

fn cell(field: &FeatureField, event: &Json) -> Cell {
    let value = field.path.iter().fold(event, |at, name| &at[name]);
    field.binning.cell(match value {
        Json::Null => Value::Missing,
        Json::Number(n) => n.as_f64().map_or(Value::Missing, Value::Number),
        Json::String(text) => Value::Text(text),
        Json::Bool(_) => Value::Invalid(Found::Boolean),
        Json::Array(_) => Value::Invalid(Found::Array),
        Json::Object(_) => Value::Invalid(Found::Object),
    })
}

fn counted<'a, 'b>(bencher: Bencher<'a, 'b>, events: &[String]) -> Bencher<'a, 'b> {
    let bytes: usize = events.iter().map(String::len).sum();
    bencher
        .counter(ItemsCount::new(events.len()))
        .counter(BytesCount::new(bytes))
}

/// The bucket of a number among ten, or a hundred.
#[divan::bench(args = [9, 99])]
fn bucket_search(bencher: Bencher<'_, '_>, edges: usize) {
    let binning = Binning::Numeric {
        edges: (0..edges).map(|i| i as f64).collect(),
        closed: Closed::Right,
        float32: false,
    };
    // Steps of the golden ratio, so that no branch can be predicted.
    let values: Vec<f64> = (0..1000)
        .map(|i| f64::from(i) * 0.618_034 % 1.0 * edges as f64)
        .collect();
    let finder = Finder::new(&binning);
    bencher.counter(ItemsCount::new(values.len())).bench(|| {
        for x in &values {
            black_box(finder.cell(Value::Number(*x)));
        }
    });
}

/// A pane enters, the window over so many panes of 100 features closes. An optimised build costs the
/// same for each length; a debug build counts the whole window again.
#[divan::bench(args = [6, 60, 600])]
fn close_window(bencher: Bencher<'_, '_>, panes: i64) {
    let layout = Layout::new([10; 100]);
    let mut pane = PaneCounts::zero(&layout);
    pane.record(&layout, &[Cell::Bucket(3); 100]);
    let window = WindowSpec {
        size_ms: panes * DAY,
        slide_ms: DAY,
    };
    let mut ring = WindowRing::new(layout, PANES, window);
    let mut next = 0;
    let mut turn = |pane| {
        ring.add(PaneId(next), pane);
        next += 1;
        ring.close(PaneId(next), [])
    };
    (0..panes).for_each(|_| drop(turn(pane.clone())));
    let panes = bencher.with_inputs(|| pane.clone());
    panes.bench_local_values(turn);
}

/// A pane enters, the window over 60 panes of so many features of 20 buckets closes and is judged. The
/// first hundreds also pay for the memory that the heap then keeps.
#[divan::bench(args = [12, 1000], sample_count = 2000)]
fn close_and_judge(bencher: Bencher<'_, '_>, features: usize) {
    let window = WindowSpec {
        size_ms: 60 * DAY,
        slide_ms: DAY,
    };
    let definition = definition(features, PANES, window);
    let (layout, scoring) = (definition.layout(), definition.scoring());
    let mut pane = PaneCounts::zero(&layout);
    for bucket in 0..20 {
        pane.record(&layout, &vec![Cell::Bucket(bucket); features]);
    }
    let mut ring = WindowRing::new(layout, PANES, window);
    let mut next = 0;
    let mut turn = |pane| {
        ring.add(PaneId(next), pane);
        next += 1;
        let snapshot = ring.close(PaneId(next), []);
        definition.evaluate(
            &scoring,
            snapshot,
            Trigger::Final,
            ClosedBy::Watermark,
            None,
        )
    };
    (0..60).for_each(|_| drop(turn(pane.clone())));
    let panes = bencher.with_inputs(|| pane.clone());
    panes.bench_local_values(turn);
}

/// An event opens a pane of so many features and seals the one before.
#[divan::bench(args = [12, 1000])]
fn seal(bencher: Bencher<'_, '_>, features: usize) {
    let layout = Layout::new(vec![20; features]);
    let spec = PaneSpec {
        lateness_ms: 0,
        ..PANES
    };
    let cells = vec![Cell::Bucket(3); features];
    let mut panes = PartitionPanes::default();
    let mut day = 0;
    bencher.bench_local(|| {
        day += 1;
        panes.record(&spec, &layout, day * DAY, None, day, &cells);
        panes.take_sealed(&spec)
    });
}

#[divan::bench(args = [12, 1000])]
fn encode_state(bencher: Bencher<'_, '_>, features: usize) {
    let unit = unit(features);
    bencher.bench(|| codec::encode(black_box(&unit)));
}

#[divan::bench(args = [12, 1000])]
fn decode_state(bencher: Bencher<'_, '_>, features: usize) {
    let bytes = codec::encode(&unit(features)).expect("bytes");
    bencher.bench(|| codec::decode::<UnitState>(black_box(&bytes)));
}

/// One score over so many buckets.
#[divan::bench(args = [10, 100])]
fn score(bencher: Bencher<'_, '_>, buckets: u64) {
    let reference: Vec<u64> = (1..=buckets).map(|i| 1000 + i).collect();
    let production: Vec<u64> = (1..=buckets).map(|i| 900 + 7 * i % 300).collect();
    bencher.bench(|| {
        psi(
            black_box(&reference),
            black_box(&production),
            Smoothing::default(),
        )
    });
}
