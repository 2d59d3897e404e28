use proptest::prelude::*;

use super::*;
use crate::drift::Closed;

fn profile() -> Profile {
    Profile {
        version: PROFILE_VERSION,
        psiren: "0.1.0".into(),
        built_at: "2024-01-01T00:00:00Z".into(),
        rows: 10,
        sources: vec![Source {
            path: "r.parquet".into(),
            sha256: "00".into(),
            rows: 10,
        }],
        event_time: None,
        features: vec![
            ProfileFeature {
                reference: FeatureReference {
                    name: "x".into(),
                    column: "x".into(),
                    binning: Binning::Numeric {
                        edges: vec![0.1, 6.904679999999999],
                        closed: Closed::Right,
                        float32: false,
                    },
                    counts: vec![3, 3, 3],
                    missing: 1,
                    min: Some(0.0),
                    max: Some(9.0),
                },
                data_type: "double".into(),
                built_with: Some(BuiltWith::Quantile { buckets: 3 }),
                notes: vec![],
            },
            ProfileFeature {
                reference: FeatureReference {
                    name: "c".into(),
                    column: "c".into(),
                    binning: Binning::Categorical {
                        categories: vec!["a".into()],
                        pooled: vec!["b".into()],
                    },
                    counts: vec![9, 1],
                    missing: 0,
                    min: None,
                    max: None,
                },
                data_type: "string".into(),
                built_with: None,
                notes: vec!["a note".into()],
            },
        ],
        left_out: vec![LeftOut {
            column: "ts".into(),
            reason: "it is a time".into(),
        }],
        problems: vec![],
    }
}

fn parse(text: &str) -> Result<Profile, ReferenceError> {
    Profile::parse(Path::new("p.json"), text.as_bytes())
}

#[test]
fn a_profile_reads_back_as_it_was_written() {
    let text = profile().to_json();
    assert!(text.contains(r#""counts": [3, 3, 3],"#), "{text}");
    assert_eq!(parse(&text).unwrap(), profile());
}

#[test]
fn another_version_is_refused() {
    let error = parse(r#"{"version": 2, "anything": []}"#).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("version 2, this psiren reads version 1"),
        "{error}"
    );
    let error = parse(r#"{"features": []}"#).unwrap_err();
    assert!(
        error.to_string().contains("no profile of psiren"),
        "{error}"
    );
}

#[test]
fn a_profile_that_contradicts_itself_is_refused_with_words() {
    for (from, to, what) in [
        ("[3, 3, 3]", "[3, 6]", "has 2 counts for 3 buckets"),
        ("[3, 3, 3]", "[3, 3, 4]", "do not add up to 10 rows"),
        (
            "[3, 3, 3]",
            "[18446744073709551615, 3, 4]",
            "do not add up to 10 rows",
        ),
        ("[0.1, 6.9", "[7.1, 6.9", "edges must ascend"),
        ("[0.1, 6.9", "[1e999, 6.9", "out of range"),
        ("\"min\": 0.0", "\"min\": 99.0", "no range"),
        ("[\"a\"]", "[\"b\"]", "both a category and pooled"),
        ("\"name\": \"c\"", "\"name\": \"x\"", "\"x\" twice"),
        ("\"rows\": 10", "\"rows\": 0", "0 rows"),
        ("\"left_out\"", "\"leftout\"", "unknown field `leftout`"),
        ("\"numeric\"", "\"numerical\"", "unknown variant"),
        ("[3, 3, 3]", "[3, -3, 3]", "invalid value"),
    ] {
        let text = profile().to_json().replacen(from, to, 1);
        let error = parse(&text).expect_err(what).to_string();
        assert!(error.contains(what) && error.contains("p.json"), "{error}");
    }
}

#[test]
fn other_buckets_than_configured_are_named() {
    let feature = &profile().features[0];
    let rule = |edges| BinningConfig {
        edges,
        ..BinningConfig::default()
    };
    assert_eq!(
        feature.differs_from(&rule(EdgeRule::Quantile { buckets: 3 })),
        None
    );
    assert_eq!(
        feature
            .differs_from(&rule(EdgeRule::Quantile { buckets: 10 }))
            .unwrap(),
        "was built with 3 quantile buckets, and 10 quantile buckets are configured"
    );
    let left = BinningConfig {
        closed: Closed::Left,
        ..rule(EdgeRule::Quantile { buckets: 3 })
    };
    assert_eq!(
        feature.differs_from(&left).unwrap(),
        "was built closed = right, and left is configured"
    );
    let category = &profile().features[1];
    let capped = |max_categories| BinningConfig {
        max_categories,
        ..BinningConfig::default()
    };
    assert_eq!(category.differs_from(&capped(1)), None);
    assert!(category.differs_from(&capped(50)).is_some());
}

proptest! {
    #[test]
    fn a_damaged_profile_never_panics(at in 0usize..1200, byte: u8) {
        let mut bytes = profile().to_json().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(profile) = Profile::parse(Path::new("p.json"), &bytes) {
            for feature in profile.reference().features {
                prop_assert!(feature.missing_share().is_finite());
                prop_assert_eq!(feature.counts.len(), feature.binning.buckets());
            }
        }
    }
}
