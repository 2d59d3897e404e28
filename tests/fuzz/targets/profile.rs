//! Profile JSON: refused with words, or a reference that every figure can be computed with.

use std::path::Path;

use psiren::drift::{FeatureDefinition, MissingRule, Smoothing, Thresholds};
use psiren::reference::{self, LoadOptions, Profile};

pub fn judge(bytes: &[u8]) {
    let name = Path::new("profile.json");
    let profile = match Profile::parse(name, bytes) {
        Ok(profile) => profile,
        Err(error) => {
            assert!(error.to_string().contains("profile.json"), "{error}");
            return;
        }
    };
    let text = profile.to_json();
    let again = Profile::parse(name, text.as_bytes()).expect("what is shown can be read");
    assert_eq!(again, profile);
    judge_profile(&profile);
    loaded(bytes);
}

/// Every feature of a checked profile has figures, and all of them are finite.
pub fn judge_profile(profile: &Profile) {
    for feature in &profile.features {
        let definition = FeatureDefinition {
            reference: feature.reference.clone(),
            thresholds: Thresholds::default(),
            min_events: 1,
            missing: MissingRule::Bucket,
            redact: false,
        };
        let buckets = definition.reference.binning.buckets();
        assert_eq!(definition.reference.counts.len(), buckets);
        for bucket in 0..buckets.min(100) {
            assert!(
                !definition.reference.binning.bucket_range(bucket).is_empty() || bucket < buckets
            );
            let mut counts = vec![0; buckets];
            counts[bucket] = 1;
            let psi = definition.psi(&counts, 1, Smoothing::default());
            assert!(psi.is_some_and(|psi| psi.total.is_finite()));
        }
        let _ = definition.psi(&definition.reference.counts, 0, Smoothing::default());
    }
}

/// The way the program takes: a file, held against the configuration.
fn loaded(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder for the profile");
    let path = folder.path().join("profile.json");
    std::fs::write(&path, bytes).expect("the profile can be written");
    for as_built in [true, false] {
        let options = LoadOptions {
            as_built,
            ..LoadOptions::default()
        };
        match reference::load(&path, &options) {
            Ok(profile) => judge_profile(&profile),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}
