//! The configuration as it is written. Pure.
//!
//! `#key = value` shows a default, and all of them may be uncommented together; `#> key = value` is
//! an example, to be uncommented one at a time; `# words` are words.

use std::fmt::Write;

use super::events::{Path, Place};
use super::pace::Proposal;
use super::toml_text::{key, list, path, text, words};
use crate::cli::terminal::left;
use crate::cli::words::pattern_of;
use crate::config::{BinningConfig, durations};
use crate::drift::{Binning, Closed, FeatureKind};
use crate::reference::ProfileFeature;
use crate::reference::profile::BuiltWith;
use crate::text::counted;

/// Where comments behind a key begin.
const MARGIN: usize = 40;

/// Everything that is written.
pub(super) struct Draft {
    /// When, which gives every "ago" its meaning.
    pub(super) written: String,
    /// Also the name of the monitor: what a topic may be called, a monitor may be called.
    pub(super) topic: String,
    pub(super) kafka: Kafka,
    /// As the file names it.
    pub(super) reference: String,
    pub(super) features: Vec<Feature>,
    pub(super) left_out: Vec<Column>,
    pub(super) timing: Timing,
    pub(super) proposal: Proposal,
}

/// How the brokers are reached. Secrets are in the environment and never here.
#[derive(Debug, Clone, Default)]
pub(super) struct Kafka {
    pub(super) servers: String,
    pub(super) sasl: Option<String>,
    pub(super) tls: bool,
    pub(super) ca_file: Option<String>,
    pub(super) cert_file: Option<String>,
    pub(super) key_file: Option<String>,
}

/// Where event time comes from.
#[derive(Debug, Clone, Default)]
pub(super) struct Timing {
    /// `None`: the record's own timestamp.
    pub(super) field: Option<Path>,
    /// What was seen, in words.
    pub(super) reasons: Vec<String>,
    /// Fields that could be chosen, each with words; those that need a time zone say so.
    pub(super) others: Vec<(Path, bool, String)>,
}

/// A feature of the reference, and where it is in the events; `None`: not looked at.
pub(super) struct Feature {
    pub(super) of: ProfileFeature,
    pub(super) place: Option<Place>,
}

/// A column that is not watched.
pub(super) struct Column {
    pub(super) name: String,
    pub(super) reason: String,
    /// Naming it would have it watched.
    pub(super) watchable: bool,
}

impl Draft {
    /// The whole file.
    pub(super) fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "# Written by `psiren init`, {}. Try it with `psiren validate`, then `psiren run`.",
            self.written
        )?;
        out.push_str(HEAD);
        self.write_kafka(out)?;
        self.write_monitor(out)?;
        self.write_features(out)?;
        out.push_str(TAIL);
        Ok(())
    }

    fn write_kafka(&self, out: &mut String) -> std::fmt::Result {
        let kafka = &self.kafka;
        writeln!(out, "[kafka]\nbootstrap_servers = {}", text(&kafka.servers))?;
        out.push_str(
            "# Offsets are committed under this name, for lag tools only.\n#group_id = \"psiren\"\n",
        );
        if let Some(mechanism) = &kafka.sasl {
            out.push_str(SASL);
            writeln!(out, "[kafka.sasl]\nmechanism = {}", text(mechanism))?;
        }
        if kafka.tls {
            out.push_str("\n[kafka.tls]\n");
            for (name, file) in [
                ("ca_file", &kafka.ca_file),
                ("cert_file", &kafka.cert_file),
                ("key_file", &kafka.key_file),
            ] {
                if let Some(file) = file {
                    writeln!(out, "{name} = {}", text(file))?;
                }
            }
            if kafka.key_file.is_some() {
                out.push_str("# Its password, where it has one: PSIREN_KAFKA_TLS_KEY_PASSWORD.\n");
            }
        }
        Ok(())
    }

    fn write_monitor(&self, out: &mut String) -> std::fmt::Result {
        let name = key(&self.topic);
        writeln!(out, "\n[monitor.{name}]\ntopic = {}", text(&self.topic))?;
        writeln!(out, "reference = {}", text(&self.reference))?;
        out.push_str("\n# Event time. Without `timestamp` it is that of the Kafka record.\n");
        for reason in &self.timing.reasons {
            writeln!(out, "# {}", words(reason))?;
        }
        if let Some(field) = &self.timing.field {
            writeln!(out, "timestamp = {{ field = {} }}", path(field))?;
        }
        for (other, zoned, why) in &self.timing.others {
            let zone = if *zoned { ", timezone = \"UTC\"" } else { "" };
            let line = format!("#> timestamp = {{ field = {}{zone} }}", path(other));
            writeln!(out, "{} # {}", left(&line, MARGIN), words(why))?;
        }
        out.push_str("\n# Sliding windows of event time. The slide divides the size.\n");
        for reason in &self.proposal.reasons {
            writeln!(out, "# {reason}")?;
        }
        let window = self.proposal.window;
        let (size, slide) = (window.size_ms, window.slide_ms);
        writeln!(out, "window.size = \"{}\"", durations::show(size))?;
        writeln!(out, "window.slide = \"{}\"", durations::show(slide))?;
        out.push_str(MONITOR);
        let nowhere = self.features.iter().filter(|f| f.is_nowhere());
        let nowhere: Vec<String> = nowhere
            .map(|f| pattern_of(&f.of.reference.column))
            .collect();
        if !nowhere.is_empty() {
            writeln!(
                out,
                "# Without the columns that no event has:\n#> exclude = {}",
                list(&nowhere)
            )?;
        }
        Ok(())
    }

    fn write_features(&self, out: &mut String) -> std::fmt::Result {
        let name = key(&self.topic);
        out.push_str(FEATURES);
        writeln!(out, "[monitor.{name}.features]")?;
        let is_moved = |f: &&Feature| matches!(f.place, Some(Place::Elsewhere(_)));
        let groups: [(&str, Vec<&Feature>); 3] = [
            (
                "Not at the top of the events, but further down:",
                self.features.iter().filter(is_moved).collect(),
            ),
            (
                "In none of the events that were looked at. Where are they? `path` says so:",
                self.features.iter().filter(|f| f.is_nowhere()).collect(),
            ),
            (
                "",
                self.features
                    .iter()
                    .filter(|f| !is_moved(f) && !f.is_nowhere())
                    .collect(),
            ),
        ];
        for (title, features) in groups.iter().filter(|(_, features)| !features.is_empty()) {
            if !title.is_empty() {
                writeln!(out, "# {title}")?;
            }
            for feature in features {
                writeln!(out, "{}", feature.line())?;
            }
        }
        if !self.left_out.is_empty() {
            out.push_str("\n# Not watched.");
            if self.left_out.iter().any(Column::has_key) {
                out.push_str(" Where a key stands here, uncommenting it has the column watched:");
            }
            out.push('\n');
        }
        for column in &self.left_out {
            let Column { name, reason, .. } = column;
            match column.has_key() {
                true => writeln!(
                    out,
                    "{} # {}",
                    left(&format!("#{} = {{}}", key(name)), MARGIN),
                    words(reason)
                )?,
                false => writeln!(out, "# {}: {}", words(name), words(reason))?,
            }
        }
        Ok(())
    }
}

impl Column {
    fn has_key(&self) -> bool {
        self.watchable && can_be_named(&self.name)
    }
}

/// A feature of the configuration has a name without control characters.
fn can_be_named(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_control)
}

impl Feature {
    fn is_nowhere(&self) -> bool {
        matches!(self.place, Some(Place::Nowhere))
    }

    /// JSON types that were found and that this feature takes for invalid.
    pub(super) fn wrong_types(&self) -> Vec<&'static str> {
        let wrong: &[&str] = match self.of.reference.binning.kind() {
            FeatureKind::Numeric => &["string", "boolean"],
            FeatureKind::Categorical => &["number"],
        };
        match &self.place {
            Some(Place::Top { types, .. }) => {
                let found = types.iter().copied();
                found.filter(|name| wrong.contains(name)).collect()
            }
            _ => Vec::new(),
        }
    }

    fn line(&self) -> String {
        let name = &self.of.reference.name;
        let facts = self.facts();
        if !can_be_named(name) {
            return format!("# {}: {}", words(name), words(&facts));
        }
        let own = self.own();
        let (mark, keys) = match (&self.place, own.is_empty()) {
            (Some(Place::Elsewhere(paths)), _) if paths.len() == 1 => (
                "",
                [vec![format!("path = {}", path(&paths[0]))], own].concat(),
            ),
            (Some(Place::Nowhere), true) => {
                let top = vec![name.clone()];
                ("#", vec![format!("path = {}", path(&top))])
            }
            (_, false) => ("", own),
            (_, true) => ("#", self.defaults()),
        };
        let line = format!("{mark}{} = {{ {} }}", key(name), keys.join(", "));
        format!("{} # {}", left(&line, MARGIN), words(&facts))
    }

    /// What a profile was built with otherwise than by default, which the configuration has to say.
    fn own(&self) -> Vec<String> {
        if self.of.differs_from(&BinningConfig::default()).is_none() {
            return Vec::new();
        }
        match &self.of.reference.binning {
            Binning::Categorical { categories, .. } => {
                vec![format!("max_categories = {}", categories.len())]
            }
            Binning::Numeric { edges, closed, .. } => {
                let mut keys = match self.of.built_with {
                    Some(BuiltWith::Quantile { buckets }) => vec![format!("buckets = {buckets}")],
                    Some(BuiltWith::Uniform { buckets }) => vec![
                        "edges = \"uniform\"".to_owned(),
                        format!("buckets = {buckets}"),
                    ],
                    Some(BuiltWith::Explicit) => vec![format!("edges = {edges:?}")],
                    None => Vec::new(),
                };
                if *closed == Closed::Left {
                    keys.push("closed = \"left\"".to_owned());
                }
                keys
            }
        }
    }

    fn defaults(&self) -> Vec<String> {
        let key = match self.of.reference.binning.kind() {
            FeatureKind::Numeric => "buckets = 10",
            FeatureKind::Categorical => "max_categories = 50",
        };
        vec![key.to_owned()]
    }

    fn facts(&self) -> String {
        let reference = &self.of.reference;
        let mut facts = match &reference.binning {
            Binning::Numeric { edges, .. } => {
                format!("numeric, {}", counted(edges.len() as u64, "edge"))
            }
            Binning::Categorical { categories, .. } => {
                let others = if reference.counts.last() == Some(&0) {
                    ""
                } else {
                    " and others"
                };
                let n = categories.len();
                let noun = if n == 1 { "category" } else { "categories" };
                format!("categorical, {n} {noun}{others}")
            }
        };
        match &self.place {
            Some(Place::Top { share, types }) => {
                let types = types.join(" and ");
                facts.push_str(&match types.as_str() {
                    "" => " · null in all events".to_owned(),
                    types => format!(" · in {:.0} % of the events, as {types}", share * 100.0),
                });
                let wrong = self.wrong_types();
                if !wrong.is_empty() {
                    facts.push_str(&format!(" ({} is invalid here)", wrong.join(" and ")));
                }
            }
            Some(Place::Elsewhere(paths)) if paths.len() > 1 => {
                let paths: Vec<String> = paths.iter().map(|p| path(p)).collect();
                facts.push_str(&format!(" · found at {}", paths.join(" and ")));
            }
            _ => {}
        }
        for note in &self.of.notes {
            facts.push_str(&format!(" · {note}"));
        }
        facts
    }
}

const HEAD: &str = "\
#
#   #key = value   shows a default: remove the # to change it.
#   #> key = value is an example: choose one.
#
# Durations are written like \"5m\", \"1h 30m\" or \"7d\". Paths are relative to the folder of this file.
# A flag beats the environment, the environment beats this file.

";

const SASL: &str = "
# The user is in PSIREN_KAFKA_SASL_USERNAME, the password in PSIREN_KAFKA_SASL_PASSWORD or in the file
# that PSIREN_KAFKA_SASL_PASSWORD_FILE names.
";

const MONITOR: &str = "\
# How long after its end a slice of time still takes events.
#window.lateness = \"5m\"
# Where a partition without state begins: also \"latest\", \"window\", a time, or an age like \"7d\".
#start = \"earliest\"
# Only records that pass every filter count.
#> where = [{ field = \"type\", equals = \"scored\" }]

# PSI from `possible` on is possible drift, above `likely` likely drift.
#thresholds.possible = 0.1
#thresholds.likely = 0.25
# Fewer values in a window carry no verdict. Default: by the number of buckets.
#> min_events = 500
# The least verdict that opens an incident, \"likely\" or \"possible\", and in how many windows in a row.
#alert_on = \"likely\"
#for_windows = 1
# No counted event for so long is an incident of its own.
#stale_after = \"15m\"
# \"bucket\" makes missing values one more bucket, \"exclude\" keeps them out of the PSI.
#missing = \"exclude\"

# Patterns over the columns of the reference.
#include = [\"*\"]
#exclude = []
";

const FEATURES: &str = "
# What single features have of their own. It overrides and adds, it never restricts: every column that
# `include` and `exclude` leave is watched, named here or not.
";

const TAIL: &str = "
# One row per feature and window. {date} in the name is the date of the window's end.
[csv]
#> path = \"psi.csv\"

# Who is told: SLACK_WEBHOOK_URL in the environment or in .env. Several receivers: `[notify.NAME]`.

# The page, the API and /metrics. Elsewhere than on loopback, changes need PSIREN_HTTP_TOKEN.
[http]
#listen = \"127.0.0.1:10774\"

# Counts and reports, for one process.
[state]
#dir = \"psiren-state\"
#history = \"30d\"
";

#[cfg(test)]
mod tests {
    use std::path::Path as File;

    use proptest::prelude::*;

    use super::super::pace;
    use super::*;
    use crate::config::{Config, Overrides};
    use crate::drift::FeatureReference;

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
}
