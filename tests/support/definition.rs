//! Many features, to be judged.

use psiren::drift::{
    Binning, Closed, Definition, FeatureDefinition, FeatureReference, IncidentRules, MissingRule,
    PaneSpec, Smoothing, Thresholds, WindowSpec,
};

/// So many numeric features of 20 buckets.
pub(crate) fn definition(features: usize, panes: PaneSpec, window: WindowSpec) -> Definition {
    Definition {
        monitor: "bench".to_owned(),
        features: (0..features).map(feature).collect(),
        panes,
        window,
        smoothing: Smoothing::default(),
        incidents: IncidentRules::default(),
        reference_id: String::new(),
        definition_id: String::new(),
    }
}

fn feature(i: usize) -> FeatureDefinition {
    FeatureDefinition {
        reference: FeatureReference {
            name: format!("f{i}"),
            column: format!("f{i}"),
            binning: Binning::Numeric {
                edges: (0..19).map(f64::from).collect(),
                closed: Closed::Right,
                float32: false,
            },
            counts: (1..=20).map(|bucket| 1000 + bucket).collect(),
            missing: 0,
            min: Some(0.0),
            max: Some(20.0),
        },
        thresholds: Thresholds::default(),
        min_events: 1,
        missing: MissingRule::Exclude,
        redact: false,
    }
}
