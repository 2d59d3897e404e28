use super::*;
use crate::drift::{
    Binning, ClosedBy, FeatureReference, MissingRule, PaneSpec, Smoothing, Thresholds, Trigger,
    WindowBounds, WindowSpec,
};

fn definition(rules: IncidentRules) -> Definition {
    Definition {
        monitor: "m".into(),
        features: vec![FeatureDefinition {
            reference: FeatureReference {
                name: "x".into(),
                column: "x".into(),
                binning: Binning::Numeric {
                    edges: vec![0.0],
                    closed: Default::default(),
                    float32: false,
                },
                counts: vec![45, 45],
                missing: 10,
                min: Some(-1.0),
                max: Some(1.0),
            },
            thresholds: Thresholds::default(),
            min_events: 10,
            missing: MissingRule::Exclude,
            redact: false,
        }],
        panes: PaneSpec {
            width_ms: 10,
            offset_ms: 0,
            lateness_ms: 0,
            max_future_skew_ms: 0,
        },
        window: WindowSpec {
            size_ms: 10,
            slide_ms: 10,
        },
        smoothing: Smoothing::default(),
        incidents: rules,
        reference_id: String::new(),
        definition_id: String::new(),
    }
}

fn report(psi: f64, values: u64, missing: u64) -> DriftReport {
    DriftReport {
        monitor: "m".into(),
        segment: String::new(),
        trigger: Trigger::Final,
        window: WindowBounds {
            start_ms: 0,
            end_ms: 10,
        },
        closed_by: ClosedBy::Watermark,
        coverage: 1.0,
        events: values + missing,
        reference: String::new(),
        definition: String::new(),
        evaluated_at_ms: None,
        features: vec![FeatureReport {
            feature: "x".into(),
            psi: Some(psi),
            status: DriftStatus::of(Some(psi), values, 10, Thresholds::default()),
            values,
            missing,
            invalid: 0,
            unseen: 0,
            buckets: vec![values, 0].into(),
        }],
        changes: Vec::new(),
    }
}

/// `+` opened, `-` resolved, `.` nothing.
fn run(rules: IncidentRules, psis: &[f64]) -> String {
    let definition = definition(rules);
    let mut book = IncidentBook::default();
    psis.iter()
        .map(|psi| {
            let changes = book.observe(&definition, &report(*psi, 100, 0));
            match changes.as_slice() {
                [] => '.',
                [c] if c.kind == ChangeKind::Opened => '+',
                [_] => '-',
                more => panic!("{more:?}"),
            }
        })
        .collect()
}

#[test]
fn opens_on_likely_drift_and_ends_well_below_it() {
    let psis = [0.1, 0.26, 0.24, 0.21, 0.2, 0.3];
    assert_eq!(run(IncidentRules::default(), &psis), ".+..-+");
}

#[test]
fn windows_must_follow_each_other() {
    let rules = IncidentRules {
        for_windows: 2,
        resolve_windows: 2,
        ..Default::default()
    };
    let psis = [0.3, 0.1, 0.3, 0.3, 0.1, 0.22, 0.1, 0.1];
    assert_eq!(run(rules, &psis), "...+...-");
}

#[test]
fn possible_drift_opens_when_asked() {
    let rules = IncidentRules {
        alert_on: DriftStatus::PossibleDrift,
        ..Default::default()
    };
    assert_eq!(run(rules, &[0.09, 0.1, 0.09, 0.08]), ".+.-");
}

#[test]
fn an_insufficient_or_filling_window_neither_opens_nor_ends() {
    let definition = definition(IncidentRules::default());
    let mut book = IncidentBook::default();
    assert!(book.observe(&definition, &report(0.5, 9, 0)).is_empty());
    let mut filling = report(0.5, 100, 0);
    filling.coverage = 0.9;
    assert!(book.observe(&definition, &filling).is_empty());
    assert_eq!(book.observe(&definition, &report(0.5, 100, 0)).len(), 1);
    assert!(book.observe(&definition, &report(0.0, 9, 0)).is_empty());
    assert!(book.is_open("x", Reason::Psi));
}

#[test]
fn missing_opens_ten_points_above_the_reference() {
    let definition = definition(IncidentRules::default());
    let mut book = IncidentBook::default();
    assert!(book.observe(&definition, &report(0.0, 80, 20)).is_empty());
    let changes = book.observe(&definition, &report(0.0, 79, 21));
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (changes[0].reason, changes[0].value),
        (Reason::Missing, 0.21)
    );
}

#[test]
fn a_renamed_field_opens_although_no_value_is_left() {
    let definition = definition(IncidentRules::default());
    let mut book = IncidentBook::default();
    let mut renamed = report(0.0, 0, 100);
    renamed.features[0].psi = None;
    let changes = book.observe(&definition, &renamed);
    assert_eq!(changes[0].reason, Reason::Missing);
}

#[test]
fn a_manual_check_opens_but_never_ends() {
    let definition = definition(IncidentRules::default());
    let mut book = IncidentBook::default();
    assert_eq!(
        book.observe_manual(&definition, &report(0.5, 100, 0)).len(),
        1
    );
    assert!(
        book.observe_manual(&definition, &report(0.0, 100, 0))
            .is_empty()
    );
    assert!(book.is_open("x", Reason::Psi));
}

#[test]
fn silence_opens_once_and_ends_with_the_next_event() {
    let mut book = IncidentBook::default();
    assert!(book.set_stale(true, 900.0, 1).is_some());
    assert!(book.set_stale(true, 901.0, 2).is_none());
    assert_eq!(book.open().len(), 1);
    assert!(book.set_stale(false, 0.0, 3).is_some());
    assert!(book.open().is_empty());
}
