//! A small monitor with figures that can be followed by hand.

use psiren::drift::{
    Binning, Cell, Closed, ClosedBy, Definition, DriftReport, FeatureDefinition, FeatureReference,
    Found, IncidentRules, MissingRule, PaneCounts, PaneSpec, Smoothing, Thresholds, Trigger,
    WindowBounds, WindowSnapshot, WindowSpec,
};

pub(crate) const DAY: i64 = 86_400_000;
/// 2026-03-01T00:00:00Z.
pub(crate) const END: i64 = 1_772_323_200_000;

/// `dep_delay` with three buckets, `carrier` with a hostile category, `gate` redacted.
pub(crate) fn definition() -> Definition {
    let numeric = Binning::Numeric {
        edges: vec![0.0, 15.0],
        closed: Closed::Right,
        float32: false,
    };
    let categories = |names: &[&str]| Binning::Categorical {
        categories: names.iter().map(|&n| n.to_owned()).collect(),
        pooled: Vec::new(),
    };
    Definition {
        monitor: "flights".into(),
        features: vec![
            feature(
                "dep_delay",
                numeric,
                vec![500, 300, 200],
                MissingRule::Bucket,
            ),
            feature(
                "carrier",
                categories(&["<script>alert(1)</script>", "UA"]),
                vec![600, 400, 0],
                MissingRule::Exclude,
            ),
            FeatureDefinition {
                redact: true,
                ..feature(
                    "gate",
                    categories(&["secret-1", "secret-2"]),
                    vec![400, 600, 0],
                    MissingRule::Exclude,
                )
            },
        ],
        panes: PaneSpec {
            width_ms: DAY,
            offset_ms: 0,
            lateness_ms: 300_000,
            max_future_skew_ms: 300_000,
        },
        window: WindowSpec {
            size_ms: 7 * DAY,
            slide_ms: DAY,
        },
        smoothing: Smoothing::default(),
        incidents: IncidentRules::default(),
        reference_id: "4b1d".into(),
        definition_id: "9e0c".into(),
    }
}

fn feature(
    name: &str,
    binning: Binning,
    counts: Vec<u64>,
    missing: MissingRule,
) -> FeatureDefinition {
    let numeric = matches!(binning, Binning::Numeric { .. });
    FeatureDefinition {
        reference: FeatureReference {
            name: name.into(),
            column: name.into(),
            binning,
            counts,
            missing: 10,
            min: numeric.then_some(-20.0),
            max: numeric.then_some(900.0),
        },
        thresholds: Thresholds::default(),
        min_events: 100,
        missing,
        redact: false,
    }
}

/// A week in which `dep_delay` has moved far, `carrier` not at all, and `gate` is of a wrong type.
pub(crate) fn report(trigger: Trigger, coverage: f64) -> DriftReport {
    let definition = definition();
    let layout = definition.layout();
    let mut counts = PaneCounts::zero(&layout);
    for i in 0..200 {
        let delay = match i % 10 {
            0 => Cell::Missing,
            1..=3 => Cell::Bucket(0),
            _ => Cell::Bucket(2),
        };
        let carrier = Cell::Bucket(u32::from(i % 5 > 2));
        counts.record(&layout, &[delay, carrier, Cell::Invalid(Found::Number)]);
    }
    let bounds = WindowBounds {
        start_ms: END - 7 * DAY,
        end_ms: END,
    };
    let snapshot = WindowSnapshot {
        bounds,
        counts,
        coverage,
    };
    let (closed_by, at) = match trigger {
        Trigger::Final => (ClosedBy::Watermark, None),
        Trigger::Live => (ClosedBy::Open, None),
        Trigger::Manual => (ClosedBy::Open, Some(END + 1234)),
    };
    definition.evaluate(&definition.scoring(), snapshot, trigger, closed_by, at)
}
