//! The fast reader of events against the reference reader, which decides what an event means.

use fastrand::Rng;
use psiren::config::{Decoder, Filter, FilterTest, Scalar, TimeUnit, TimestampField};
use psiren::drift::{Binning, Closed};
use psiren::event::{EventSchema, Extractor, FeatureField};

use super::odd_events::{Producer, path};

/// One after the other, so that the order of keys that the fast reader predicts is right and wrong.
const EVENTS_OF_A_PRODUCER: usize = 24;

/// Reads events of one producer by both readers, and says how many.
///
/// # Panics
/// When the two differ in anything.
pub(crate) fn compare(rng: &mut Rng) -> usize {
    let schema = schema(rng);
    let producer = Producer::new(rng);
    let events: Vec<_> = (0..EVENTS_OF_A_PRODUCER)
        .map(|_| producer.event(rng))
        .collect();
    compare_all(&schema, events.iter().map(Vec::as_slice));
    events.len()
}

/// Reads these events by both readers.
///
/// # Panics
/// When the two differ in anything.
pub(crate) fn compare_all<'e>(schema: &EventSchema, events: impl Iterator<Item = &'e [u8]>) {
    let mut fast = Extractor::with(schema, Decoder::Fast);
    let mut reference = Extractor::with(schema, Decoder::Reference);
    for event in events {
        assert_eq!(
            fast.extract(event),
            reference.extract(event),
            "fast and reference differ over {:?} with {schema:?}",
            String::from_utf8_lossy(event)
        );
    }
}

fn schema(rng: &mut Rng) -> EventSchema {
    let features = (0..rng.usize(..10)).map(|_| FeatureField {
        path: path(rng),
        binning: binning(rng),
    });
    EventSchema {
        features: features.collect(),
        timestamp: rng.bool().then(|| TimestampField {
            path: match rng.u8(..3) {
                0 => path(rng),
                _ => vec!["ts".to_owned()],
            },
            unit: [None, Some(TimeUnit::Milliseconds)][rng.usize(..2)],
            timezone: [None, Some("Europe/Paris".to_owned())][rng.usize(..2)].clone(),
        }),
        filters: (0..rng.usize(..6) / 4).map(|_| filter(rng)).collect(),
    }
}

fn binning(rng: &mut Rng) -> Binning {
    if rng.u8(..3) == 0 {
        let categories = ["", "-1", "1", "a", "b", "true", "é"];
        return Binning::Categorical {
            categories: categories.map(str::to_owned).to_vec(),
            pooled: vec!["ab".to_owned()],
        };
    }
    let edges = rng.usize(..40);
    Binning::Numeric {
        edges: (0..edges).map(|i| i as f64 / 4.0 - 1.0).collect(),
        closed: [Closed::Left, Closed::Right][rng.usize(..2)],
        float32: rng.bool(),
    }
}

fn filter(rng: &mut Rng) -> Filter {
    let scalars = vec![
        Scalar::Text("a".to_owned()),
        Scalar::Number(1.0),
        Scalar::Boolean(true),
    ];
    Filter {
        path: path(rng),
        test: match rng.u8(..3) {
            0 => FilterTest::Exists(true),
            1 => FilterTest::Exists(false),
            _ => FilterTest::In(scalars),
        },
    }
}
