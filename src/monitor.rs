//! A monitor's configuration and its reference → everything that counts and judges its events.

use serde::Serialize;
use sha2::{Digest, Sha256};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::config::{FeatureConfig, MonitorConfig};
use crate::drift::{
    Binning, Definition, FeatureDefinition, Layout, MissingRule, Scoring, Smoothing, Thresholds,
};
use crate::event::{EventSchema, FeatureField};
use crate::reference::{self, LoadOptions, Profile, ReferenceError};
use crate::state::CountsIdentity;
use crate::state::identity::FeatureIdentity;
use crate::text::hex;

/// A monitor ready to count. `schema.features`, `definition.features`, `identity.features` and
/// `layout` have the same order: the configuration's features, then the reference's columns.
#[derive(Debug, Clone)]
pub struct Monitor {
    pub config: MonitorConfig,
    pub definition: Definition,
    pub layout: Layout,
    pub scoring: Scoring,
    pub schema: EventSchema,
    pub identity: CountsIdentity,
    /// Columns that are not watched by rule or wish, each with the reason.
    pub left_out: Vec<(String, String)>,
    /// Columns that should be watched and cannot be, each with the reason.
    pub problems: Vec<(String, String)>,
    /// What a person should know about a feature that is watched.
    pub notes: Vec<(String, String)>,
}

impl Monitor {
    /// Reads the reference and builds the monitor.
    ///
    /// # Errors
    /// Those of [`reference::load`].
    pub fn build(config: &MonitorConfig) -> Result<Self, ReferenceError> {
        let profile = reference::load(&config.reference, &LoadOptions::from(config))?;
        Ok(Self::with_profile(config, profile))
    }

    /// Builds the monitor on a profile that was loaded with the options of `config`.
    #[must_use]
    pub fn with_profile(config: &MonitorConfig, mut profile: Profile) -> Self {
        let place = |name: &str| config.features.iter().position(|f| f.name == name);
        profile
            .features
            .sort_by_key(|f| place(&f.reference.name).unwrap_or(usize::MAX));
        let notes = profile
            .features
            .iter()
            .flat_map(|f| {
                f.notes
                    .iter()
                    .map(|n| (f.reference.name.clone(), n.clone()))
            })
            .collect();
        let features: Vec<_> = profile
            .features
            .into_iter()
            .map(|f| Watched::new(config, f.reference))
            .collect();
        let fields = features.iter().map(Watched::field).collect();
        let identities = features.iter().map(Watched::identity).collect();
        let definition = define(config, features);
        Self {
            layout: definition.layout(),
            scoring: definition.scoring(),
            definition,
            schema: EventSchema {
                features: fields,
                timestamp: config.timestamp.clone(),
                filters: config.filters.clone(),
            },
            identity: CountsIdentity::new(config, identities),
            config: config.clone(),
            left_out: pairs(profile.left_out),
            problems: pairs(profile.problems),
            notes,
        }
    }
}

impl Monitor {
    /// The same counts, judged as `config` says: thresholds, least numbers of events, incidents.
    #[must_use]
    pub fn redefine(&self, config: &MonitorConfig) -> Self {
        let references = self.definition.features.iter().map(|f| f.reference.clone());
        let features = references.map(|r| Watched::new(config, r)).collect();
        Self {
            definition: define(config, features),
            config: config.clone(),
            ..self.clone()
        }
    }
}

/// A feature's verdict and its place in the event.
struct Watched {
    definition: FeatureDefinition,
    path: Vec<String>,
}

impl Watched {
    fn new(config: &MonitorConfig, reference: crate::drift::FeatureReference) -> Self {
        let own = FeatureConfig::default();
        let own = config
            .features
            .iter()
            .find(|f| f.name == reference.name)
            .unwrap_or(&own);
        let path = own
            .path
            .clone()
            .unwrap_or_else(|| vec![reference.name.clone()]);
        let mut definition = FeatureDefinition {
            thresholds: Thresholds {
                possible: own.possible.unwrap_or(config.thresholds.possible),
                likely: own.likely.unwrap_or(config.thresholds.likely),
            },
            min_events: 0,
            missing: own.missing.unwrap_or(config.missing),
            redact: own.redact,
            reference,
        };
        definition.min_events = own
            .min_events
            .or(config.min_events)
            .unwrap_or_else(|| min_events(live_terms(&definition)));
        Self { definition, path }
    }

    fn field(&self) -> FeatureField {
        FeatureField {
            path: self.path.clone(),
            binning: self.definition.reference.binning.clone(),
        }
    }

    fn identity(&self) -> FeatureIdentity {
        let reference = &self.definition.reference;
        FeatureIdentity::new(&reference.name, &self.path, &reference.binning)
    }
}

/// Terms of the PSI in which the reference has values.
fn live_terms(feature: &FeatureDefinition) -> usize {
    feature
        .reference_counts()
        .iter()
        .filter(|n| **n > 0)
        .count()
}

/// Values a window needs for a verdict on a feature with `buckets` live buckets, at least 2:
/// χ²(B − 1, 0.999) / 0.1 rounded up. Without drift, n·PSI follows χ²(B − 1) when the reference is
/// large, so of windows this size one in a thousand reads 0.1 or more by chance.
#[must_use]
pub fn min_events(buckets: usize) -> u64 {
    let freedom = buckets.max(2) - 1;
    ChiSquared::new(freedom as f64)
        .map_or(u64::MAX, |chi| (chi.inverse_cdf(0.999) / 0.1).ceil() as u64)
}

fn define(config: &MonitorConfig, features: Vec<Watched>) -> Definition {
    let features: Vec<_> = features.into_iter().map(|f| f.definition).collect();
    Definition {
        monitor: config.name.clone(),
        panes: config.panes,
        window: config.window,
        smoothing: config.smoothing,
        incidents: config.incidents,
        reference_id: reference_id(&features),
        definition_id: definition_id(config.smoothing, config.window.size_ms, &features),
        features,
    }
}

/// The order of features does not matter to either id.
fn reference_id(features: &[FeatureDefinition]) -> String {
    #[derive(Serialize, PartialEq)]
    struct Part<'a> {
        name: &'a str,
        binning: &'a Binning,
        counts: &'a [u64],
        missing: u64,
    }
    let mut parts: Vec<_> = features
        .iter()
        .map(|f| Part {
            name: f.name(),
            binning: &f.reference.binning,
            counts: &f.reference.counts,
            missing: f.reference.missing,
        })
        .collect();
    parts.sort_by_key(|part| part.name);
    short_hash(&parts)
}

fn definition_id(smoothing: Smoothing, size_ms: i64, features: &[FeatureDefinition]) -> String {
    #[derive(Serialize)]
    struct Part<'a> {
        name: &'a str,
        thresholds: Thresholds,
        min_events: u64,
        missing: MissingRule,
    }
    let mut parts: Vec<_> = features
        .iter()
        .map(|f| Part {
            name: f.name(),
            thresholds: f.thresholds,
            min_events: f.min_events,
            missing: f.missing,
        })
        .collect();
    parts.sort_by_key(|part| part.name);
    short_hash(&(smoothing, size_ms, parts))
}

/// The first 12 hexadecimal digits of the SHA-256 of the JSON of `what`.
fn short_hash(what: &impl Serialize) -> String {
    let json = serde_json::to_vec(what).expect("strings, integers and finite floats serialize");
    hex(&Sha256::digest(json)[..6])
}

fn pairs(left_out: Vec<reference::LeftOut>) -> Vec<(String, String)> {
    left_out.into_iter().map(|l| (l.column, l.reason)).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::config::{BinningConfig, EdgeRule, OnLogChange, StartPosition};
    use crate::drift::{FeatureKind, IncidentRules, PaneSpec, WindowSpec};

    const DAY: i64 = 86_400_000;

    fn config() -> MonitorConfig {
        MonitorConfig {
            name: "flights".into(),
            topic: "flights".into(),
            timestamp: Some(crate::config::TimestampField {
                path: vec!["ts".into()],
                unit: None,
                timezone: None,
            }),
            reference: PathBuf::from("fixtures/flights/reference.parquet"),
            filters: vec![],
            include: vec!["*".into()],
            exclude: vec![],
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
            binning: BinningConfig::default(),
            thresholds: Thresholds::default(),
            min_events: None,
            missing: MissingRule::Exclude,
            incidents: IncidentRules::default(),
            repeat_after_ms: 0,
            alert_max_age_ms: 0,
            idle_timeout_ms: 0,
            live_interval_ms: 0,
            stale_after_ms: 0,
            notify: vec![],
            heartbeat_url: None,
            start: StartPosition::Earliest,
            on_log_change: OnLogChange::Stop,
            strict: false,
            features: vec![],
        }
    }

    fn feature(name: &str) -> FeatureConfig {
        FeatureConfig {
            name: name.into(),
            ..FeatureConfig::default()
        }
    }

    #[test]
    fn min_events_is_279_for_ten_buckets() {
        assert_eq!(min_events(10), 279);
        assert_eq!(min_events(2), 109);
        assert_eq!((min_events(0), min_events(1)), (109, 109));
    }

    #[test]
    fn features_come_in_the_order_of_the_configuration_then_of_the_columns() {
        let mut config = config();
        config.features = vec![feature("visib"), feature("carrier")];
        let monitor = Monitor::build(&config).unwrap();
        let names: Vec<_> = monitor
            .definition
            .features
            .iter()
            .map(FeatureDefinition::name)
            .collect();
        assert_eq!(
            names[..5],
            ["visib", "carrier", "origin", "dest", "distance"]
        );
        assert_eq!(names.len(), 13);
        assert_eq!(monitor.layout.features(), 13);
        assert_eq!(monitor.left_out[0].0, "ts");
        let paths: Vec<_> = monitor
            .schema
            .features
            .iter()
            .map(|f| f.path.join("."))
            .collect();
        assert_eq!(paths, names);
        // dest has more airports than buckets; precip is mostly zero.
        assert!(monitor.notes.iter().any(|(name, _)| name == "dest"));
    }

    #[test]
    fn a_features_own_settings_override_the_monitors() {
        let mut config = config();
        config.features = vec![FeatureConfig {
            column: Some("distance".into()),
            path: Some(vec!["leg".into(), "miles".into()]),
            edges: Some(EdgeRule::Uniform { buckets: 4 }),
            likely: Some(0.5),
            min_events: Some(7),
            ..feature("miles")
        }];
        let monitor = Monitor::build(&config).unwrap();
        let miles = &monitor.definition.features[0];
        assert_eq!(
            (miles.name(), miles.reference.binning.buckets()),
            ("miles", 4)
        );
        assert_eq!(
            (miles.thresholds.possible, miles.thresholds.likely),
            (0.1, 0.5)
        );
        assert_eq!(miles.min_events, 7);
        assert_eq!(monitor.identity.features[0].path, ["leg", "miles"]);
        assert!(monitor.definition.feature("distance").is_none());
        assert_eq!(
            monitor.definition.feature("dep_delay").unwrap().min_events,
            279
        );
    }

    #[test]
    fn a_feature_that_is_not_in_the_reference_is_an_error_with_the_nearest() {
        let mut config = config();
        config.features = vec![feature("dep_dely")];
        let error = Monitor::build(&config).unwrap_err().to_string();
        assert!(error.contains("did you mean \"dep_delay\"?"), "{error}");
        assert!(
            error.contains("its columns are ts, origin, carrier"),
            "{error}"
        );
    }

    #[test]
    fn a_feature_of_another_kind_is_a_problem_and_fatal_only_when_strict() {
        let mut config = config();
        config.features = vec![FeatureConfig {
            kind: Some(FeatureKind::Numeric),
            ..feature("carrier")
        }];
        let monitor = Monitor::build(&config).unwrap();
        assert_eq!(monitor.problems[0].0, "carrier");
        assert!(monitor.definition.feature("carrier").is_none());
        config.strict = true;
        assert!(matches!(
            Monitor::build(&config),
            Err(ReferenceError::Strict { .. })
        ));
    }

    #[test]
    fn thresholds_change_the_definition_and_leave_reference_and_counts_alone() {
        let before = Monitor::build(&config()).unwrap();
        let mut config = config();
        config.thresholds.likely = 0.3;
        let after = Monitor::build(&config).unwrap();
        assert_ne!(
            before.definition.definition_id,
            after.definition.definition_id
        );
        assert_eq!(
            before.definition.reference_id,
            after.definition.reference_id
        );
        assert_eq!(before.identity, after.identity);
        config.binning.edges = EdgeRule::Quantile { buckets: 5 };
        let other = Monitor::build(&config).unwrap();
        assert_ne!(other.definition.reference_id, after.definition.reference_id);
        assert_eq!(other.definition.reference_id.len(), 12);
        let diff = CountsIdentity::diff(&after.identity, &other.identity).unwrap();
        assert!(diff.contains("feature \"dep_delay\": edges"), "{diff}");
        assert!(!diff.contains("carrier"), "{diff}");
    }

    #[test]
    fn a_profile_gives_the_same_monitor_as_the_file_it_was_built_from() {
        let mut config = config();
        let direct = Monitor::build(&config).unwrap();
        let profile = reference::load(&config.reference, &LoadOptions::from(&config)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        config.reference = folder.path().join("profile.json");
        profile.save(&config.reference).unwrap();
        let stored = Monitor::build(&config).unwrap();
        assert_eq!(stored.definition.features, direct.definition.features);
        assert_eq!(
            stored.definition.reference_id,
            direct.definition.reference_id
        );
        assert_eq!(stored.identity, direct.identity);
        config.features = vec![FeatureConfig {
            edges: Some(EdgeRule::Quantile { buckets: 20 }),
            ..feature("distance")
        }];
        let error = Monitor::build(&config).unwrap_err().to_string();
        assert!(
            error.contains("10 quantile buckets") && error.contains("rebuild the profile"),
            "{error}"
        );
    }
}
