//! One feature as a line of the file: its key, what the file has to say of it, and what is known. Pure.

use super::draft::MARGIN;
use super::events::Place;
use super::toml_text::{key, path, words};
use crate::cli::terminal::left;
use crate::config::BinningConfig;
use crate::drift::{Binning, Closed, FeatureKind};
use crate::reference::ProfileFeature;
use crate::reference::profile::BuiltWith;
use crate::text::counted;

/// A feature of the reference, and where it is in the events; `None`: not looked at.
pub(super) struct Feature {
    pub(super) of: ProfileFeature,
    pub(super) place: Option<Place>,
}

/// A feature of the configuration has a name without control characters.
pub(super) fn can_be_named(name: &str) -> bool {
    !name.is_empty() && !name.contains(char::is_control)
}

impl Feature {
    pub(super) fn is_nowhere(&self) -> bool {
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

    pub(super) fn line(&self) -> String {
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
