//! Value → bucket.

use serde::{Deserialize, Serialize};

use super::counts::Cell;
use super::feature::{FeatureKind, Found, Value};

/// Which side of a bucket belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Closed {
    /// `(a, b]`: the bucket of x is the number of edges < x.
    #[default]
    Right,
    /// `[a, b)`: the bucket of x is the number of edges ≤ x.
    Left,
}

/// How the values of one feature fall into buckets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Binning {
    /// `edges.len() + 1` buckets; the outer ones are open to ±infinity.
    Numeric {
        /// Interior edges, finite, strictly ascending.
        edges: Vec<f64>,
        #[serde(default)]
        closed: Closed,
        /// The reference column is Float32, so values are rounded through `f32` first. Without
        /// this, identical data would fall on other sides of edges that came from `f32`.
        #[serde(default)]
        float32: bool,
    },
    /// `categories.len() + 1` buckets: one per category, then `other`.
    Categorical {
        /// In byte order, without repetition.
        categories: Vec<String>,
        /// Values of the reference that were too rare for a bucket of their own, in byte order.
        /// They count as `other` without being unseen.
        #[serde(default)]
        pooled: Vec<String>,
    },
}

impl Binning {
    #[must_use]
    pub fn kind(&self) -> FeatureKind {
        match self {
            Self::Numeric { .. } => FeatureKind::Numeric,
            Self::Categorical { .. } => FeatureKind::Categorical,
        }
    }

    /// Number of buckets, the outer ones and `other` included.
    #[must_use]
    pub fn buckets(&self) -> usize {
        match self {
            Self::Numeric { edges, .. } => edges.len() + 1,
            Self::Categorical { categories, .. } => categories.len() + 1,
        }
    }

    /// Where `value` is counted. A non-finite number is missing.
    #[must_use]
    pub fn cell(&self, value: Value<'_>) -> Cell {
        match (self, value) {
            (_, Value::Missing) => Cell::Missing,
            (_, Value::Invalid(found)) => Cell::Invalid(found),
            (
                Self::Numeric {
                    edges,
                    closed,
                    float32,
                },
                Value::Number(x),
            ) => {
                let x = if *float32 { f64::from(x as f32) } else { x };
                if x.is_finite() {
                    Cell::Bucket(bucket_of(edges, *closed, x) as u32)
                } else {
                    Cell::Missing
                }
            }
            (Self::Categorical { categories, pooled }, Value::Text(text)) => {
                match categories.binary_search_by(|c| c.as_str().cmp(text)) {
                    Ok(i) => Cell::Bucket(i as u32),
                    Err(_) if pooled.binary_search_by(|c| c.as_str().cmp(text)).is_ok() => {
                        Cell::Bucket(categories.len() as u32)
                    }
                    Err(_) => Cell::Unseen,
                }
            }
            (Self::Numeric { .. }, Value::Text(_)) => Cell::Invalid(Found::String),
            (Self::Categorical { .. }, Value::Number(_)) => Cell::Invalid(Found::Number),
        }
    }

    /// A short name for each bucket, in bucket order: `00`, `01`, …, and `other` for the last one
    /// of a categorical feature.
    #[must_use]
    pub fn bucket_names(&self) -> Vec<String> {
        let buckets = self.buckets();
        let width = (buckets.saturating_sub(1)).to_string().len().max(2);
        let mut names: Vec<String> = (0..buckets).map(|i| format!("{i:0width$}")).collect();
        if let (Self::Categorical { .. }, Some(last)) = (self, names.last_mut()) {
            *last = "other".to_owned();
        }
        names
    }

    /// What bucket `i` holds, in words: `≤ -7`, `(-7, -6]`, `> 42`, a category, `other`.
    #[must_use]
    pub fn bucket_range(&self, i: usize) -> String {
        match self {
            Self::Categorical { categories, .. } => {
                categories.get(i).cloned().unwrap_or_else(|| "other".into())
            }
            Self::Numeric { edges, closed, .. } => {
                let lower = i.checked_sub(1).and_then(|j| edges.get(j)).map(number_text);
                let upper = edges.get(i).map(number_text);
                match (lower, upper, closed) {
                    (None, None, _) => "any value".to_owned(),
                    (None, Some(b), Closed::Right) => format!("≤ {b}"),
                    (None, Some(b), Closed::Left) => format!("< {b}"),
                    (Some(a), None, Closed::Right) => format!("> {a}"),
                    (Some(a), None, Closed::Left) => format!("≥ {a}"),
                    (Some(a), Some(b), Closed::Right) => format!("({a}, {b}]"),
                    (Some(a), Some(b), Closed::Left) => format!("[{a}, {b})"),
                }
            }
        }
    }
}

/// `x` for people: the shortest digits that give it back, with an exponent where there would be
/// long runs of zeros.
#[must_use]
pub fn number_text(x: &f64) -> String {
    let plain = *x == 0.0 || (1e-5..1e16).contains(&x.abs());
    if plain {
        x.to_string()
    } else {
        format!("{x:e}")
    }
}

/// The index of the bucket that holds `x`; `edges` ascend.
#[must_use]
pub fn bucket_of(edges: &[f64], closed: Closed, x: f64) -> usize {
    match closed {
        Closed::Right => edges.partition_point(|edge| *edge < x),
        Closed::Left => edges.partition_point(|edge| *edge <= x),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numeric(edges: &[f64]) -> Binning {
        Binning::Numeric {
            edges: edges.to_vec(),
            closed: Closed::Right,
            float32: false,
        }
    }

    #[test]
    fn a_value_on_an_edge_belongs_to_the_bucket_it_closes() {
        let edges = [0.0, 10.0];
        assert_eq!(bucket_of(&edges, Closed::Right, 0.0), 0);
        assert_eq!(bucket_of(&edges, Closed::Right, 10.0), 1);
        assert_eq!(bucket_of(&edges, Closed::Left, 0.0), 1);
        assert_eq!(bucket_of(&edges, Closed::Left, 10.0), 2);
    }

    #[test]
    fn a_value_that_is_not_finite_is_missing() {
        for x in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(numeric(&[0.0]).cell(Value::Number(x)), Cell::Missing);
        }
    }

    #[test]
    fn a_float32_reference_rounds_the_value_first() {
        let edge = f64::from(0.1_f32);
        let binning = |float32| Binning::Numeric {
            edges: vec![edge],
            closed: Closed::Left,
            float32,
        };
        assert_eq!(binning(true).cell(Value::Number(0.1)), Cell::Bucket(1));
        assert_eq!(binning(false).cell(Value::Number(0.1)), Cell::Bucket(0));
    }

    #[test]
    fn a_range_is_short_however_large_its_edges() {
        let binning = numeric(&[-4.5e-17, 0.0, 6.904679999999999, 1.8e19]);
        let ranges: Vec<_> = (0..5).map(|i| binning.bucket_range(i)).collect();
        let expected = [
            "≤ -4.5e-17",
            "(-4.5e-17, 0]",
            "(0, 6.904679999999999]",
            "(6.904679999999999, 1.8e19]",
            "> 1.8e19",
        ];
        assert_eq!(ranges, expected);
    }

    #[test]
    fn a_pooled_category_is_other_but_not_unseen() {
        let binning = Binning::Categorical {
            categories: vec!["a".into(), "b".into()],
            pooled: vec!["rare".into()],
        };
        assert_eq!(binning.cell(Value::Text("b")), Cell::Bucket(1));
        assert_eq!(binning.cell(Value::Text("rare")), Cell::Bucket(2));
        assert_eq!(binning.cell(Value::Text("new")), Cell::Unseen);
        assert_eq!(binning.cell(Value::Text("")), Cell::Unseen);
    }

    proptest! {
        #[test]
        fn the_bucket_is_the_number_of_edges_below(
            mut edges in prop::collection::vec(-5i32..5, 0..8), x in -6i32..6,
        ) {
            edges.sort_unstable();
            edges.dedup();
            let edges: Vec<f64> = edges.into_iter().map(f64::from).collect();
            let x = f64::from(x);
            let below = edges.iter().filter(|e| **e < x).count();
            let at_or_below = edges.iter().filter(|e| **e <= x).count();
            prop_assert_eq!(bucket_of(&edges, Closed::Right, x), below);
            prop_assert_eq!(bucket_of(&edges, Closed::Left, x), at_or_below);
        }
    }
}
