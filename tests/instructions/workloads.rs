//! What is counted: each a piece of a hot path, done so many times.

use std::hint::black_box;

use psiren::config::{TimestampField, field_path};
use psiren::drift::{
    Binning, Cell, Closed, ClosedBy, Finder, Layout, PaneCounts, PaneId, PaneSpec, PartitionPanes,
    Trigger, Value, WindowBounds, WindowRing, WindowSnapshot, WindowSpec,
};
use psiren::event::{EventSchema, Extractor, FeatureField};
use psiren::reference::{self, LoadOptions};
use psiren::state::local::{LocalOptions, LocalStore};
use psiren::state::{StateStore as _, UnitKey, UnitState, codec};
use tempfile::TempDir;

use crate::definition::definition;
use crate::events::Shape;
use crate::stored::{filled, unit};

/// Those whose cost is recorded.
pub(crate) const RECORDED: [&str; 10] = [
    "event",
    "event_of_300_fields",
    "event_with_text_time",
    "bucket_of_10",
    "bucket_of_100",
    "close_of_1000_features",
    "psi_of_1000_features",
    "encode_unit",
    "decode_unit",
    "checkpoint",
];

/// 200 features of 20 buckets, in a window over an hour, a day and a week of minutes. What grows with the length is the
/// search for a pane, by its logarithm.
pub(crate) const CLOSINGS: [&str; 3] = ["close_60", "close_1440", "close_10080"];

const MINUTE: i64 = 60_000;
const PANES: PaneSpec = PaneSpec {
    width_ms: MINUTE,
    offset_ms: 0,
    lateness_ms: MINUTE,
    max_future_skew_ms: MINUTE,
};
/// The events that are read over and over.
const BODIES: usize = 500;

/// How many times a workload is done for its count to settle.
pub(crate) fn times(workload: &str) -> u64 {
    match workload {
        "event" | "event_of_300_fields" | "event_with_text_time" => 4 * BODIES as u64,
        "bucket_of_10" | "bucket_of_100" => 100_000,
        "close_60" | "close_1440" | "close_10080" => 200,
        "close_of_1000_features" | "encode_unit" | "decode_unit" => 50,
        _ => 10,
    }
}

pub(crate) fn play(workload: &str, times: u64) {
    let flat = Shape {
        watched: 12,
        fields: 20,
        bytes: 328,
        text_time: false,
    };
    match workload {
        "event" => count_events(flat, times),
        "event_of_300_fields" => count_events(
            Shape {
                fields: 300,
                ..flat
            },
            times,
        ),
        "event_with_text_time" => count_events(
            Shape {
                text_time: true,
                ..flat
            },
            times,
        ),
        "bucket_of_10" => find_buckets(9, times),
        "bucket_of_100" => find_buckets(99, times),
        "close_60" => close_windows([20; 200], 60, times),
        "close_1440" => close_windows([20; 200], 1440, times),
        "close_10080" => close_windows([20; 200], 10_080, times),
        "close_of_1000_features" => close_windows([20; 1000], 60, times),
        "psi_of_1000_features" => evaluate(times),
        "encode_unit" => encode(times),
        "decode_unit" => decode(times),
        "checkpoint" => save(times),
        other => panic!("no workload {other}"),
    }
}

/// Extracts events and counts them in panes, as the consuming loop does.
fn count_events(shape: Shape, times: u64) {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join("reference.parquet");
    shape.write_reference(&path, 2000);
    let profile = reference::load(&path, &LoadOptions::default()).expect("the reference");
    let features = profile.features.into_iter().map(|feature| FeatureField {
        path: vec![feature.reference.name],
        binning: feature.reference.binning,
    });
    let schema = EventSchema {
        features: features.collect(),
        timestamp: Some(TimestampField {
            path: field_path("ts"),
            unit: None,
            timezone: None,
        }),
        filters: Vec::new(),
    };
    assert_eq!(schema.features.len(), shape.watched);
    let layout = Layout::new(schema.features.iter().map(|f| f.binning.buckets()));
    let pool = shape.pool(BODIES);
    let events: Vec<String> = (0..BODIES)
        .map(|i| {
            let mut event = String::new();
            pool.event(i, 1_735_689_600_000 + i as i64, &mut event);
            event
        })
        .collect();
    let mut extractor = Extractor::new(&schema);
    let mut panes = PartitionPanes::default();
    for (offset, event) in (0..).zip(events.iter().cycle()).take(times as usize) {
        let event = extractor.extract(event.as_bytes()).expect("an event");
        let ms = event.event_ms.expect("an event time");
        black_box(panes.record(&PANES, &layout, ms, Some(ms), offset, event.cells));
    }
}

fn find_buckets(edges: u32, times: u64) {
    let edges: Vec<f64> = (0..edges).map(f64::from).collect();
    let finder = Finder::new(&Binning::Numeric {
        edges: edges.clone(),
        closed: Closed::Right,
        float32: false,
    });
    // Steps of the golden ratio, as benches/core.rs has them; dear, and so made before.
    let greatest = edges.len() as f64;
    let values: Vec<f64> = (0..1000)
        .map(|i| f64::from(i) * 0.618_034 % 1.0 * greatest)
        .collect();
    for x in values.iter().cycle().take(times as usize) {
        black_box(black_box(&finder).cell(Value::Number(*x)));
    }
}

/// A pane enters a full window, which closes.
fn close_windows<const N: usize>(buckets: [usize; N], panes: i64, times: u64) {
    let layout = Layout::new(buckets);
    let mut pane = PaneCounts::zero(&layout);
    pane.record(&layout, &[Cell::Bucket(3); N]);
    let window = WindowSpec {
        size_ms: panes * MINUTE,
        slide_ms: MINUTE,
    };
    let mut ring = WindowRing::new(layout, PANES, window);
    let mut turn = |next| {
        ring.add(PaneId(next), pane.clone());
        black_box(ring.close(PaneId(next + 1), []));
    };
    (0..panes + times as i64).for_each(&mut turn);
}

/// A window of 1,000 features of 20 buckets is judged.
fn evaluate(times: u64) {
    let window = WindowSpec {
        size_ms: 60 * MINUTE,
        slide_ms: MINUTE,
    };
    let definition = definition(1000, PANES, window);
    let scoring = definition.scoring();
    let snapshot = WindowSnapshot {
        bounds: WindowBounds {
            start_ms: 0,
            end_ms: 60 * MINUTE,
        },
        counts: filled(&definition.layout()),
        coverage: 1.0,
    };
    for _ in 0..times {
        let (closed_by, trigger) = (ClosedBy::Watermark, Trigger::Final);
        black_box(definition.evaluate(
            &scoring,
            black_box(snapshot.clone()),
            trigger,
            closed_by,
            None,
        ));
    }
}

fn encode(times: u64) {
    let unit = unit(1000);
    for _ in 0..times {
        black_box(codec::encode(black_box(&unit)).expect("bytes"));
    }
}

fn decode(times: u64) {
    let bytes = codec::encode(&unit(1000)).expect("bytes");
    for _ in 0..times {
        let unit: UnitState = codec::decode(black_box(&bytes)).expect("a unit");
        black_box(unit);
    }
}

/// Four partitions with two open panes of 12 features each are saved.
fn save(times: u64) {
    let folder = TempDir::new().expect("a temporary folder");
    let store = LocalStore::open(folder.path(), LocalOptions::default()).expect("a store");
    let key = |partition| UnitKey {
        monitor: "bench".to_owned(),
        topic: "bench".to_owned(),
        partition,
    };
    let mut units: Vec<_> = (0..4).map(|p| (key(p), unit(12))).collect();
    for offset in 1..=times as i64 {
        for (_, unit) in &mut units {
            unit.next_offset = offset;
        }
        store.checkpoint(&[], &units).expect("a checkpoint");
    }
}
