use std::path::Path as File;

use proptest::prelude::*;

use super::*;
use crate::cli::init::pace;
use crate::config::{Config, Overrides};
use crate::drift::{Binning, Closed, FeatureReference};
use crate::reference::ProfileFeature;
use crate::reference::profile::BuiltWith;

fn feature(name: &str, place: Option<Place>) -> Feature {
    let binning = Binning::Numeric {
        edges: vec![0.5, 1e16],
        closed: Closed::Left,
        float32: false,
    };
    Feature {
        of: ProfileFeature {
            reference: FeatureReference {
                name: name.to_owned(),
                column: name.to_owned(),
                binning,
                counts: vec![1; 3],
                missing: 0,
                min: None,
                max: None,
            },
            data_type: "double".to_owned(),
            built_with: Some(BuiltWith::Explicit),
            notes: vec![format!("a note\non {name}")],
        },
        place,
    }
}

fn draft(topic: &str, names: &[String], below: &str) -> Draft {
    let keys = |a: &str, b: &str| vec![a.to_owned(), b.to_owned()];
    let places = [
        None,
        Some(Place::Nowhere),
        Some(Place::Elsewhere(vec![keys(below, "x")])),
        Some(Place::Elsewhere(vec![keys(below, "x"), keys("y", below)])),
        Some(Place::Top {
            share: 0.5,
            types: vec!["string"],
        }),
    ];
    let features = names.iter().enumerate();
    let features = features.map(|(i, name)| feature(name, places[i % places.len()].clone()));
    Draft {
        written: "2026-01-01T00:00:00Z".to_owned(),
        topic: topic.to_owned(),
        kafka: Kafka {
            servers: "localhost:9092".to_owned(),
            tls: true,
            ca_file: Some(below.to_owned()),
            ..Kafka::default()
        },
        reference: format!("a folder/{below}"),
        features: features.collect(),
        left_out: vec![Column {
            name: format!("{below}#"),
            reason: format!("because of\r\n{below} = 1"),
            watchable: true,
        }],
        timing: Timing {
            field: Some(keys(below, "ts")),
            reasons: vec![format!("seen:\n{below}")],
            others: vec![(keys(below, "ts"), true, below.to_owned())],
        },
        proposal: pace::propose(None, &[279]),
    }
}

fn config(text: &str) -> Config {
    Config::parse(text, File::new("psiren.toml"), &Overrides::default())
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// With all defaults uncommented.
fn uncommented(text: &str) -> String {
    let mut all = String::new();
    for line in text.lines() {
        let key = line.strip_prefix('#');
        let key = key.filter(|rest| !rest.is_empty() && !rest.starts_with([' ', '>']));
        all.push_str(key.unwrap_or(line));
        all.push('\n');
    }
    all
}

/// With one example uncommented at a time, in the place of what is said now.
fn examples<'t>(text: &'t str) -> impl Iterator<Item = String> + 't {
    let examples = text.lines().filter(|line| line.starts_with("#> "));
    examples.map(|example| {
        let key = example[3..].split(' ').next().unwrap_or_default();
        let now = format!("{key} =");
        let line = |line: &'t str| match line {
            line if line == example => &line[3..],
            line if line.starts_with(&now) => "",
            line => line,
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    })
}

const HOSTILE: &str = "\\PC{1,12}|[\"'\\\\\n\r\t\u{0}\u{7f}\u{85}=#.*{}\\[\\]]{1,12}";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_names_hold_the_file_loads_with_any_key_uncommented(
        topic in "[a-zA-Z0-9._-]{3,249}",
        names in proptest::collection::hash_set(HOSTILE, 0..8),
        below in HOSTILE,
    ) {
        // No file is called so.
        prop_assume!(!below.trim().is_empty());
        let names: Vec<String> = names.into_iter().collect();
        let draft = draft(&topic, &names, &below);
        let text = draft.render();
        let read = config(&text);
        let monitor = &read.monitors[0];
        prop_assert_eq!(&monitor.name, &topic);
        prop_assert_eq!(&monitor.topic, &topic);
        prop_assert_eq!(monitor.reference.to_str().unwrap(), &draft.reference);
        let field = monitor.timestamp.clone().unwrap();
        prop_assert_eq!(Some(&field.path), draft.timing.field.as_ref());
        let all = config(&uncommented(&text));
        let named = draft.features.iter().filter(|f| can_be_named(&f.of.reference.name));
        let named = named.count() + usize::from(draft.left_out[0].has_key());
        prop_assert_eq!(all.monitors[0].features.len(), named);
        let mut tried = 0;
        for example in examples(&text) {
            config(&example);
            tried += 1;
        }
        prop_assert!(tried >= 4);
    }
}

#[test]
fn defaults_that_are_uncommented_change_nothing() {
    let mut draft = draft("flights", &[], "below");
    draft.left_out.clear();
    let text = draft.render();
    let all = uncommented(&text);
    assert_ne!(all, text);
    assert_eq!(config(&all).to_toml(), config(&text).to_toml());
}

#[test]
fn a_type_that_a_feature_does_not_take_is_named() {
    let place = |types: &[&'static str]| Place::Top {
        share: 0.994,
        types: types.to_vec(),
    };
    let line = feature("x", Some(place(&["integer", "string"]))).line();
    let expected = "in 99 % of the events, as integer and string (string is invalid here)";
    assert!(line.contains(expected), "{line}");
    let line = feature("x", Some(place(&["integer", "number"]))).line();
    assert!(!line.contains("invalid"), "{line}");
}

#[test]
fn what_a_profile_was_built_with_is_written() {
    let line = feature("x", None).line();
    let expected = "x = { edges = [0.5, 1e16], closed = \"left\" } # numeric, 2 edges";
    assert!(line.starts_with(expected), "{line}");
}
