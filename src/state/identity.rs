//! What stored counts belong to, and what changed since they were stored.
//!
//! Counts of one identity are never mixed with those of another. Features match one by one, by
//! name: an added feature starts filling, a removed one is dropped, the others go on. What only
//! changes the verdict (smoothing, thresholds, window size, whether missing is a bucket) is no part
//! of it; see `Definition::definition_id`.
//!
//! The types hold plain, externally tagged data, so that both JSON and compact formats carry them.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::config::{Filter, FilterTest, MonitorConfig, Scalar, TimeUnit, TimestampField};
use crate::drift::{Binning, Closed, Layout};

/// What the counts of one monitor belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountsIdentity {
    pub common: CommonIdentity,
    /// In layout order.
    pub features: Vec<FeatureIdentity>,
}

/// What all features of a monitor share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommonIdentity {
    pub topic: String,
    /// Where event time comes from, in words.
    pub timestamp: String,
    pub pane_width_ms: i64,
    pub pane_offset_ms: i64,
    pub lateness_ms: i64,
    pub max_future_skew_ms: i64,
    /// In words, sorted: their order means nothing.
    pub filters: Vec<String>,
}

/// What the counts of one feature belong to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureIdentity {
    pub name: String,
    pub path: Vec<String>,
    pub buckets: BucketIdentity,
}

/// Which values fall into which bucket; mirrors [`Binning`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum BucketIdentity {
    Numeric {
        edges: Vec<f64>,
        closed: Closed,
        float32: bool,
    },
    Categorical {
        categories: Vec<String>,
        pooled: Vec<String>,
    },
}

/// What became of one feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeatureChange {
    Same,
    /// In words: what it was and what it is.
    Changed(String),
    Added,
    Removed,
}

/// A stored identity held against the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// One line per setting that differs; empty when the common parts are equal.
    pub common: Vec<String>,
    /// Current features in layout order, then removed ones in the stored order.
    pub features: Vec<(String, FeatureChange)>,
}

impl CountsIdentity {
    /// The identity of what `monitor` counts; features in layout order.
    #[must_use]
    pub fn new(monitor: &MonitorConfig, features: Vec<FeatureIdentity>) -> Self {
        Self {
            common: CommonIdentity::new(monitor),
            features,
        }
    }

    /// The layout of counts of this identity.
    #[must_use]
    pub fn layout(&self) -> Layout {
        Layout::new(self.features.iter().map(|f| f.buckets.buckets()))
    }

    /// For each feature of `self`, in layout order, the index of the feature in `stored` whose
    /// counts it goes on with; `None` starts from zero.
    #[must_use]
    pub fn sources(&self, stored: &Self) -> Vec<Option<usize>> {
        let same_common = self.common == stored.common;
        self.features
            .iter()
            .map(|f| stored.features.iter().position(|s| same_common && s == f))
            .collect()
    }

    /// What changed from `stored` to `current`.
    #[must_use]
    pub fn compare(stored: &Self, current: &Self) -> Comparison {
        let known = |name: &str| stored.features.iter().find(|s| s.name == name);
        let mut features: Vec<_> = current
            .features
            .iter()
            .map(|f| {
                let change = known(&f.name).map_or(FeatureChange::Added, |s| s.change_to(f));
                (f.name.clone(), change)
            })
            .collect();
        for gone in &stored.features {
            if !current.features.iter().any(|f| f.name == gone.name) {
                features.push((gone.name.clone(), FeatureChange::Removed));
            }
        }
        Comparison {
            common: stored.common.changes_to(&current.common),
            features,
        }
    }

    /// The change from `stored` to `current` in words, one line each; `None` when they are equal.
    #[must_use]
    pub fn diff(stored: &Self, current: &Self) -> Option<String> {
        Self::compare(stored, current).text()
    }
}

impl Comparison {
    /// No feature that is still watched loses counts: the common parts are equal and each feature
    /// is the same, added or removed.
    #[must_use]
    pub fn keeps_counts(&self) -> bool {
        self.common.is_empty()
            && !self
                .features
                .iter()
                .any(|(_, c)| matches!(c, FeatureChange::Changed(_)))
    }

    /// One line per difference; `None` when there is none.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        let mut text = String::new();
        for line in &self.common {
            let _ = writeln!(text, "  {line}");
        }
        for (name, change) in &self.features {
            let _ = match change {
                FeatureChange::Same => continue,
                FeatureChange::Changed(what) => writeln!(text, "  feature {name:?}: {what}"),
                FeatureChange::Added => writeln!(text, "  feature {name:?}: added"),
                FeatureChange::Removed => writeln!(text, "  feature {name:?}: removed"),
            };
        }
        text.truncate(text.trim_end().len());
        (!text.is_empty()).then_some(text)
    }
}

impl CommonIdentity {
    fn new(monitor: &MonitorConfig) -> Self {
        let mut filters: Vec<String> = monitor.filters.iter().map(filter_text).collect();
        filters.sort_unstable();
        filters.dedup();
        Self {
            topic: monitor.topic.clone(),
            timestamp: timestamp_text(monitor.timestamp.as_ref()),
            pane_width_ms: monitor.panes.width_ms,
            pane_offset_ms: monitor.panes.offset_ms,
            lateness_ms: monitor.panes.lateness_ms,
            max_future_skew_ms: monitor.panes.max_future_skew_ms,
            filters,
        }
    }

    fn changes_to(&self, current: &Self) -> Vec<String> {
        let ms = |n: i64| format!("{n} ms");
        let filters = |f: &[String]| match f {
            [] => "none".to_owned(),
            f => f.join(" and "),
        };
        [
            ("topic", self.topic.clone(), current.topic.clone()),
            (
                "timestamp",
                self.timestamp.clone(),
                current.timestamp.clone(),
            ),
            (
                "pane width",
                ms(self.pane_width_ms),
                ms(current.pane_width_ms),
            ),
            (
                "pane offset",
                ms(self.pane_offset_ms),
                ms(current.pane_offset_ms),
            ),
            ("lateness", ms(self.lateness_ms), ms(current.lateness_ms)),
            (
                "max_future_skew",
                ms(self.max_future_skew_ms),
                ms(current.max_future_skew_ms),
            ),
            ("where", filters(&self.filters), filters(&current.filters)),
        ]
        .into_iter()
        .filter(|(_, stored, current)| stored != current)
        .map(|(what, stored, current)| format!("{what}: {stored} → {current}"))
        .collect()
    }
}

impl FeatureIdentity {
    #[must_use]
    pub fn new(name: &str, path: &[String], binning: &Binning) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_vec(),
            buckets: BucketIdentity::from(binning),
        }
    }

    fn change_to(&self, current: &Self) -> FeatureChange {
        let mut what = Vec::new();
        if self.path != current.path {
            what.push(format!("path {:?} → {:?}", self.path, current.path));
        }
        what.extend(self.buckets.changes_to(&current.buckets));
        if what.is_empty() {
            FeatureChange::Same
        } else {
            FeatureChange::Changed(what.join("; "))
        }
    }
}

impl BucketIdentity {
    /// Number of buckets, the outer ones and `other` included.
    #[must_use]
    pub fn buckets(&self) -> usize {
        match self {
            Self::Numeric { edges, .. } => edges.len() + 1,
            Self::Categorical { categories, .. } => categories.len() + 1,
        }
    }

    fn changes_to(&self, current: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        match (self, current) {
            (
                Self::Numeric {
                    edges,
                    closed,
                    float32,
                },
                Self::Numeric {
                    edges: new_edges,
                    closed: new_closed,
                    float32: new_float32,
                },
            ) => {
                if edges != new_edges {
                    changes.push(format!("edges {edges:?} → {new_edges:?}"));
                }
                if closed != new_closed {
                    changes.push(format!("closed {closed:?} → {new_closed:?}").to_lowercase());
                }
                if float32 != new_float32 {
                    changes.push(format!(
                        "rounded through 32 bits: {float32} → {new_float32}"
                    ));
                }
            }
            (
                Self::Categorical { categories, pooled },
                Self::Categorical {
                    categories: new_categories,
                    pooled: new_pooled,
                },
            ) => {
                changes.extend(names_changed("categories", categories, new_categories));
                changes.extend(names_changed("pooled categories", pooled, new_pooled));
            }
            (Self::Numeric { .. }, Self::Categorical { .. }) => {
                changes.push("kind numeric → categorical".to_owned());
            }
            (Self::Categorical { .. }, Self::Numeric { .. }) => {
                changes.push("kind categorical → numeric".to_owned());
            }
        }
        changes
    }
}

impl From<&Binning> for BucketIdentity {
    fn from(binning: &Binning) -> Self {
        match binning.clone() {
            Binning::Numeric {
                edges,
                closed,
                float32,
            } => Self::Numeric {
                edges,
                closed,
                float32,
            },
            Binning::Categorical { categories, pooled } => Self::Categorical { categories, pooled },
        }
    }
}

/// How the names differ, without repeating what stayed; counts only, since names may be private.
fn names_changed(what: &str, stored: &[String], current: &[String]) -> Option<String> {
    let missing_from = |a: &[String], b: &[String]| a.iter().filter(|x| !b.contains(x)).count();
    (stored != current).then(|| {
        format!(
            "{what} {} → {} ({} new, {} gone)",
            stored.len(),
            current.len(),
            missing_from(current, stored),
            missing_from(stored, current),
        )
    })
}

fn timestamp_text(timestamp: Option<&TimestampField>) -> String {
    let Some(field) = timestamp else {
        return "the record's timestamp".to_owned();
    };
    let unit = match field.unit {
        None => "unit by magnitude",
        Some(TimeUnit::Seconds) => "in seconds",
        Some(TimeUnit::Milliseconds) => "in milliseconds",
        Some(TimeUnit::Microseconds) => "in microseconds",
        Some(TimeUnit::Nanoseconds) => "in nanoseconds",
    };
    let zone = field.timezone.as_deref().unwrap_or("none");
    format!("field {:?}, {unit}, time zone {zone}", field.path)
}

fn filter_text(filter: &Filter) -> String {
    let test = match &filter.test {
        FilterTest::Exists(exists) => format!("exists = {exists}"),
        FilterTest::In(scalars) => {
            let mut scalars: Vec<String> = scalars.iter().map(scalar_text).collect();
            scalars.sort_unstable();
            scalars.dedup();
            format!("in [{}]", scalars.join(", "))
        }
    };
    format!("{:?} {test}", filter.path)
}

fn scalar_text(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Text(text) => format!("{text:?}"),
        Scalar::Number(number) => number.to_string(),
        Scalar::Boolean(boolean) => boolean.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(name: &str, edges: &[f64]) -> FeatureIdentity {
        let binning = Binning::Numeric {
            edges: edges.to_vec(),
            closed: Closed::Right,
            float32: false,
        };
        FeatureIdentity::new(name, &[name.to_owned()], &binning)
    }

    fn identity(features: Vec<FeatureIdentity>) -> CountsIdentity {
        CountsIdentity {
            common: CommonIdentity {
                topic: "flights".into(),
                timestamp: timestamp_text(None),
                pane_width_ms: 1000,
                pane_offset_ms: 0,
                lateness_ms: 0,
                max_future_skew_ms: 0,
                filters: vec![],
            },
            features,
        }
    }

    #[test]
    fn an_added_and_a_removed_feature_keep_the_counts_of_the_others() {
        let stored = identity(vec![numeric("a", &[1.0]), numeric("b", &[2.0])]);
        let current = identity(vec![numeric("c", &[3.0]), numeric("b", &[2.0])]);
        let comparison = CountsIdentity::compare(&stored, &current);
        assert!(comparison.keeps_counts());
        assert_eq!(current.sources(&stored), [None, Some(1)]);
        assert_eq!(
            CountsIdentity::diff(&stored, &current).unwrap(),
            "  feature \"c\": added\n  feature \"a\": removed"
        );
    }

    #[test]
    fn other_edges_are_other_counts() {
        let stored = identity(vec![numeric("a", &[1.0])]);
        let current = identity(vec![numeric("a", &[1.5])]);
        assert!(!CountsIdentity::compare(&stored, &current).keeps_counts());
        assert_eq!(current.sources(&stored), [None]);
        assert_eq!(
            CountsIdentity::diff(&stored, &current).unwrap(),
            "  feature \"a\": edges [1.0] → [1.5]"
        );
    }

    #[test]
    fn another_order_of_features_is_the_same_identity() {
        let stored = identity(vec![numeric("a", &[1.0]), numeric("b", &[2.0])]);
        let current = identity(vec![numeric("b", &[2.0]), numeric("a", &[1.0])]);
        assert_eq!(CountsIdentity::diff(&stored, &current), None);
        assert_eq!(current.sources(&stored), [Some(1), Some(0)]);
    }

    #[test]
    fn another_topic_lets_no_feature_go_on() {
        let stored = identity(vec![numeric("a", &[1.0])]);
        let mut current = stored.clone();
        current.common.topic = "others".into();
        assert_eq!(current.sources(&stored), [None]);
        assert_eq!(
            CountsIdentity::diff(&stored, &current).unwrap(),
            "  topic: flights → others"
        );
    }

    #[test]
    fn the_order_of_filtered_values_means_nothing() {
        let filter = |values: &[&str]| Filter {
            path: vec!["type".into()],
            test: FilterTest::In(values.iter().map(|v| Scalar::Text((*v).into())).collect()),
        };
        assert_eq!(
            filter_text(&filter(&["b", "a"])),
            filter_text(&filter(&["a", "b"]))
        );
    }

    #[test]
    fn compact_and_text_formats_carry_an_identity() {
        let stored = identity(vec![
            numeric("a", &[0.1, 1e-300]),
            FeatureIdentity::new(
                "b",
                &["x".into(), "y".into()],
                &Binning::Categorical {
                    categories: vec!["".into()],
                    pooled: vec!["z".into()],
                },
            ),
        ]);
        let json = serde_json::to_vec(&stored).unwrap();
        assert_eq!(
            serde_json::from_slice::<CountsIdentity>(&json).unwrap(),
            stored
        );
        let bytes = postcard::to_stdvec(&stored).unwrap();
        assert_eq!(
            postcard::from_bytes::<CountsIdentity>(&bytes).unwrap(),
            stored
        );
    }
}
