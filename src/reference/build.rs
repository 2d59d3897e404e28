//! The values of one column → its buckets and reference counts.
//!
//! The rules for columns that quantiles say little about, each stated in the feature's notes:
//!
//! | column | rule |
//! | --- | --- |
//! | no values | refused |
//! | a single value, in one row | refused |
//! | numeric, one value throughout | three buckets: below it, the value, above it |
//! | fewer values than buckets | as many buckets as values |
//! | all values in one bucket | watched, with a note on what will not show |
//! | categorical, one value throughout | two buckets: the value and `other` |
//!
//! A refusal is words for people, without the feature's name.

use super::categories::categories;
use super::parquet::{ColumnValues, Values};
use super::quantile::{quantile_edges, uniform_edges};
use crate::config::{BinningConfig, EdgeRule};
use crate::drift::edges::bucket_of;
use crate::drift::{Binning, Closed, FeatureReference};

/// More buckets than this say nothing and cost memory in every pane.
pub const MAX_BUCKETS: usize = 10_000;

/// A feature's reference and what people should know about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Built {
    pub reference: FeatureReference,
    pub notes: Vec<String>,
}

/// Names of the feature and its column.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    pub feature: &'a str,
    pub column: &'a str,
}

/// The reference of a column. `float32`: its values have 32 bits or fewer.
///
/// # Errors
/// Why the column cannot be watched, in words.
pub fn feature(
    names: Names<'_>,
    column: ColumnValues,
    rule: &BinningConfig,
    float32: bool,
) -> Result<Built, String> {
    let missing = column.missing;
    let values = match &column.values {
        Values::Numbers(numbers) => numbers.len() as u64,
        Values::Texts(texts) => texts.values().sum(),
    };
    if values < 2 {
        let rows = values + missing;
        return Err(match values {
            0 => format!("all of its {rows} rows are without a value"),
            _ => format!("only 1 of its {rows} rows has a value; a reference needs at least 2"),
        });
    }
    let mut notes = Vec::new();
    let (binning, counts, range) = match column.values {
        Values::Numbers(numbers) => numeric(numbers, rule, float32, &mut notes)?,
        Values::Texts(texts) => {
            if rule.max_categories == 0 {
                return Err("max_categories is 0; it must be at least 1".to_owned());
            }
            let found = categories(texts, rule.max_categories);
            if !found.pooled.is_empty() {
                notes.push(format!(
                    "{} rare categories with {} values share the bucket other",
                    found.pooled.len(),
                    found.counts.last().copied().unwrap_or(0)
                ));
            }
            let binning = Binning::Categorical {
                categories: found.categories,
                pooled: found.pooled,
            };
            (binning, found.counts, None)
        }
    };
    let reference = FeatureReference {
        name: names.feature.to_owned(),
        column: names.column.to_owned(),
        binning,
        counts,
        missing,
        min: range.map(|(min, _)| min),
        max: range.map(|(_, max)| max),
    };
    Ok(Built { reference, notes })
}

type Numeric = (Binning, Vec<u64>, Option<(f64, f64)>);

fn numeric(
    mut numbers: Vec<f64>,
    rule: &BinningConfig,
    float32: bool,
    notes: &mut Vec<String>,
) -> Result<Numeric, String> {
    numbers.sort_unstable_by(f64::total_cmp);
    // Without the sign of zero.
    let (min, max) = (numbers[0] + 0.0, numbers[numbers.len() - 1] + 0.0);
    let edges = match &rule.edges {
        EdgeRule::Explicit(edges) => explicit_edges(edges, float32)?,
        EdgeRule::Quantile { buckets } | EdgeRule::Uniform { buckets } => {
            check_buckets(*buckets)?;
            if min == max {
                notes.push(format!(
                    "every value is {min}; the buckets are below it, the value itself, and above it"
                ));
                constant_edges(min, rule.closed)
            } else {
                let buckets = fewer_buckets(*buckets, numbers.len(), notes);
                match rule.edges {
                    EdgeRule::Uniform { .. } => uniform_edges(min, max, buckets),
                    _ => quantile_edges(&numbers, buckets),
                }
            }
        }
    };
    let mut left = numbers.as_slice();
    let count = |bucket| {
        let of = left.partition_point(|x| bucket_of(&edges, rule.closed, *x) <= bucket);
        left = &left[of..];
        of as u64
    };
    let counts: Vec<u64> = (0..=edges.len()).map(count).collect();
    let binning = Binning::Numeric {
        edges,
        closed: rule.closed,
        float32,
    };
    if min != max {
        note_on_one_bucket(&binning, &counts, notes);
    }
    Ok((binning, counts, Some((min, max))))
}

fn check_buckets(buckets: usize) -> Result<(), String> {
    match buckets {
        0 | 1 => Err(format!(
            "{buckets} buckets were asked for; drift shows from 2 on"
        )),
        2..=MAX_BUCKETS => Ok(()),
        _ => Err(format!(
            "{buckets} buckets were asked for; the most is {MAX_BUCKETS}"
        )),
    }
}

fn fewer_buckets(buckets: usize, values: usize, notes: &mut Vec<String>) -> usize {
    if values < buckets {
        notes.push(format!(
            "only {values} values: {values} buckets instead of {buckets}, and a PSI that is mostly noise"
        ));
    }
    buckets.min(values)
}

/// The edges on both sides of a constant, so that a move either way leaves its bucket.
fn constant_edges(value: f64, closed: Closed) -> Vec<f64> {
    let value = value + 0.0;
    let edges = match closed {
        Closed::Right => [value.next_down(), value],
        Closed::Left => [value, value.next_up()],
    };
    edges.into_iter().filter(|edge| edge.is_finite()).collect()
}

/// Explicit edges as the values are compared with them: a 32-bit column holds 0.1 as 0.1f32, and an
/// edge at 0.1 means that value.
///
/// # Errors
/// They are not finite, not strictly ascending, or there are none.
pub fn explicit_edges(edges: &[f64], float32: bool) -> Result<Vec<f64>, String> {
    let round = |edge: &f64| {
        if float32 {
            f64::from(*edge as f32)
        } else {
            *edge
        }
    };
    let rounded: Vec<f64> = edges.iter().map(round).collect();
    if rounded.is_empty() {
        return Err("its list of edges is empty; one edge makes two buckets".to_owned());
    }
    check_buckets(rounded.len() + 1)?;
    if let Some(edge) = edges.iter().zip(&rounded).find(|(_, r)| !r.is_finite()) {
        return Err(format!(
            "its edge {} is not a finite number of its type",
            edge.0
        ));
    }
    if let Some(pair) = rounded.windows(2).find(|w| w[0] >= w[1]) {
        return Err(format!(
            "its edges must ascend, but {} does not come before {}",
            pair[0], pair[1]
        ));
    }
    Ok(rounded)
}

fn note_on_one_bucket(binning: &Binning, counts: &[u64], notes: &mut Vec<String>) {
    let mut live = counts.iter().enumerate().filter(|(_, n)| **n > 0);
    if let (Some((i, _)), None) = (live.next(), live.next()) {
        notes.push(format!(
            "all values lie in the bucket {}, so moves within it do not show; closed on the other \
             side, or with explicit edges, they may",
            binning.bucket_range(i)
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    const NAMES: Names<'static> = Names {
        feature: "x",
        column: "x",
    };

    fn numbers(values: &[f64], rule: &BinningConfig) -> Result<Built, String> {
        let column = ColumnValues {
            values: Values::Numbers(values.to_vec()),
            missing: 1,
        };
        feature(NAMES, column, rule, false)
    }

    fn rule(edges: EdgeRule) -> BinningConfig {
        BinningConfig {
            edges,
            ..BinningConfig::default()
        }
    }

    fn edges(built: &Built) -> &[f64] {
        match &built.reference.binning {
            Binning::Numeric { edges, .. } => edges,
            Binning::Categorical { .. } => panic!("not numeric"),
        }
    }

    #[test]
    fn a_constant_shows_a_move_either_way() {
        for closed in [Closed::Right, Closed::Left] {
            let rule = BinningConfig {
                closed,
                ..BinningConfig::default()
            };
            for c in [0.0, -0.0, 5.0, -1e300] {
                let built = numbers(&[c; 4], &rule).unwrap();
                assert_eq!(built.reference.counts, [0, 4, 0]);
                assert!(built.notes[0].starts_with("every value is"));
                let bucket = |x| bucket_of(edges(&built), closed, x);
                assert_eq!(
                    [bucket(c.next_down()), bucket(c), bucket(c.next_up())],
                    [0, 1, 2]
                );
            }
        }
    }

    #[test]
    fn a_constant_at_the_end_of_the_floats_has_finite_edges() {
        let built = numbers(&[f64::MIN, f64::MIN], &BinningConfig::default()).unwrap();
        assert_eq!(edges(&built), [f64::MIN]);
    }

    #[test]
    fn too_few_values_are_refused_in_words() {
        let none = numbers(&[], &BinningConfig::default()).unwrap_err();
        assert_eq!(none, "all of its 1 rows are without a value");
        let one = numbers(&[3.0], &BinningConfig::default()).unwrap_err();
        assert_eq!(
            one,
            "only 1 of its 2 rows has a value; a reference needs at least 2"
        );
    }

    #[test]
    fn fewer_values_than_buckets_make_fewer_buckets() {
        let built = numbers(&[1.0, 2.0, 3.0], &BinningConfig::default()).unwrap();
        assert_eq!(built.reference.counts, [1, 1, 1]);
        assert!(built.notes[0].starts_with("only 3 values: 3 buckets instead of 10"));
    }

    #[test]
    fn a_mostly_zero_feature_keeps_two_live_buckets() {
        let mut values = vec![0.0; 95];
        values.extend([1.0; 5]);
        let built = numbers(&values, &BinningConfig::default()).unwrap();
        assert_eq!(
            (edges(&built), &built.reference.counts[..]),
            (&[0.0][..], &[95, 5][..])
        );
        assert!(built.notes.is_empty());
    }

    #[test]
    fn values_in_a_single_bucket_are_noted() {
        let mut values = vec![10.0; 95];
        values.extend([1.0; 5]);
        let built = numbers(&values, &BinningConfig::default()).unwrap();
        assert_eq!(built.reference.counts, [100, 0]);
        assert!(built.notes[0].contains("≤ 10"), "{:?}", built.notes);
    }

    #[test]
    fn unusable_rules_are_refused_in_words() {
        let refused = |edges| numbers(&[1.0, 2.0], &rule(edges)).unwrap_err();
        assert!(refused(EdgeRule::Quantile { buckets: 1 }).contains("drift shows from 2 on"));
        assert!(
            refused(EdgeRule::Uniform {
                buckets: usize::MAX
            })
            .contains("the most is 10000")
        );
        assert!(refused(EdgeRule::Explicit(vec![])).contains("empty"));
        assert!(refused(EdgeRule::Explicit(vec![2.0, 1.0])).contains("must ascend"));
        assert!(refused(EdgeRule::Explicit(vec![f64::NAN])).contains("finite"));
    }

    #[test]
    fn explicit_edges_of_a_32_bit_column_mean_its_values() {
        let tenth = f64::from(0.1_f32);
        let column = ColumnValues {
            values: Values::Numbers(vec![tenth, 0.5]),
            missing: 0,
        };
        let built = feature(NAMES, column, &rule(EdgeRule::Explicit(vec![0.1])), true).unwrap();
        assert_eq!(
            (edges(&built), &built.reference.counts[..]),
            (&[tenth][..], &[1, 1][..])
        );
    }

    #[test]
    fn a_constant_category_has_a_bucket_for_everything_else() {
        let column = ColumnValues {
            values: Values::Texts(HashMap::from([("only".to_owned(), 9)])),
            missing: 0,
        };
        let built = feature(NAMES, column, &BinningConfig::default(), false).unwrap();
        assert_eq!(built.reference.counts, [9, 0]);
    }

    proptest! {
        #[test]
        fn every_value_is_counted_once_where_events_will_fall(
            values in prop::collection::vec(-4i32..4, 2..80),
            buckets in 2usize..12, left: bool, uniform: bool,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let edges = if uniform {
                EdgeRule::Uniform { buckets }
            } else {
                EdgeRule::Quantile { buckets }
            };
            let closed = if left { Closed::Left } else { Closed::Right };
            let built = numbers(&values, &BinningConfig { closed, ..rule(edges) }).unwrap();
            let reference = built.reference;
            let mut recount = vec![0; reference.binning.buckets()];
            for x in &values {
                match reference.binning.cell(crate::drift::Value::Number(*x)) {
                    crate::drift::Cell::Bucket(i) => recount[i as usize] += 1,
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(reference.counts, recount);
        }
    }
}
