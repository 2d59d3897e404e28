//! Interior edges from sorted reference values.
//!
//! [`quantile_edges`] is type 7 of Hyndman & Fan (1996), bit for bit as
//! `numpy.quantile(values, i / B, method="linear")` computes it: numpy interpolates from the nearer
//! neighbour, and any other order of the same arithmetic moves whole groups of tied values across
//! an edge. [`uniform_edges`] is `numpy.linspace(min, max, B + 1)[1:-1]`.

/// The i/`buckets` quantiles for 0 < i < `buckets`, ascending, each once.
///
/// `sorted` is ascending and finite. Equal edges are merged among the interior edges only: the
/// range's own ends are no edges, so a feature that is mostly zero keeps the edge 0. Empty when
/// `sorted` is empty or `buckets` < 2.
///
/// ```
/// use psiren::reference::quantile::quantile_edges;
/// assert_eq!(quantile_edges(&[1.0, 2.0, 3.0, 4.0], 4), [1.75, 2.5, 3.25]);
/// assert_eq!(quantile_edges(&[0.0, 0.0, 0.0, 0.0, 9.0], 4), [0.0]);
/// ```
#[must_use]
pub fn quantile_edges(sorted: &[f64], buckets: usize) -> Vec<f64> {
    let edges = (1..buckets).map_while(|i| quantile(sorted, i as f64 / buckets as f64));
    ascending(edges.collect())
}

/// Edges that cut `[min, max]` into `buckets` pieces of equal width, ascending, each once.
///
/// Fewer than `buckets` − 1 where the range is too narrow for floats to tell them apart.
#[must_use]
pub fn uniform_edges(min: f64, max: f64, buckets: usize) -> Vec<f64> {
    let step = (max - min) / buckets as f64;
    let edges = (1..buckets).map(|i| {
        if step == 0.0 {
            // numpy, too, divides first where the width of a piece has no float.
            i as f64 / buckets as f64 * (max - min) + min
        } else if step.is_finite() {
            (i as f64 * step + min).min(max)
        } else {
            between(min, max, i as f64 / buckets as f64)
        }
    });
    ascending(edges.collect())
}

/// The `q` quantile of ascending finite values; `None` without values. `q` is in [0, 1].
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = last as f64 * q;
    let below = (rank.floor() as usize).min(last);
    let t = rank - below as f64;
    let (a, b) = (sorted[below], sorted[(below + 1).min(last)]);
    let width = b - a;
    Some(if !width.is_finite() {
        between(a, b, t)
    } else if t < 0.5 {
        a + width * t
    } else {
        b - width * (1.0 - t)
    })
}

/// Between two values whose difference has no finite float.
fn between(a: f64, b: f64, t: f64) -> f64 {
    a * (1.0 - t) + b * t
}

/// Sorted, without repetition, and without the sign of zero.
fn ascending(mut edges: Vec<f64>) -> Vec<f64> {
    for edge in &mut edges {
        *edge += 0.0;
    }
    edges.sort_unstable_by(f64::total_cmp);
    edges.dedup();
    edges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_quantile_is_taken_from_the_nearer_neighbour() {
        // From the other one it would be 0.1 + (0.8 − 0.1)·0.5 = 0.45000000000000007.
        assert_eq!(quantile_edges(&[0.1, 0.8], 2), [0.45]);
        assert_eq!(quantile_edges(&[24.08; 7], 10), [24.08]);
    }

    #[test]
    fn values_at_the_ends_of_the_floats_give_finite_edges() {
        let edges = quantile_edges(&[f64::MIN, f64::MAX], 4);
        assert!(edges.len() == 3 && edges.iter().all(|e| e.is_finite()));
        assert!(
            uniform_edges(f64::MIN, f64::MAX, 4)
                .iter()
                .all(|e| e.is_finite())
        );
    }

    #[test]
    fn pieces_too_narrow_for_a_float_are_cut_as_numpy_cuts_them() {
        let tiny = f64::from_bits(1);
        let edges = uniform_edges(-tiny, 3.0 * tiny, 10);
        assert_eq!(edges, [-tiny, 0.0, tiny, 2.0 * tiny, 3.0 * tiny]);
    }

    #[test]
    fn one_value_is_every_quantile() {
        assert_eq!(quantile_edges(&[7.0], 10), [7.0]);
        assert!(quantile_edges(&[], 10).is_empty());
    }

    #[test]
    fn uniform_edges_cut_the_range_evenly() {
        assert_eq!(uniform_edges(0.0, 10.0, 5), [2.0, 4.0, 6.0, 8.0]);
        assert!(uniform_edges(3.0, 3.0, 5) == [3.0]);
    }

    /// `numpy.quantile` as its source reads: `_lerp` of the neighbours of the virtual index.
    fn numpy(sorted: &[f64], q: f64) -> f64 {
        let virtual_index = (sorted.len() - 1) as f64 * q;
        let previous = virtual_index.floor();
        let gamma = virtual_index - previous;
        let next = ((previous as usize) + 1).min(sorted.len() - 1);
        let (a, b) = (sorted[previous as usize], sorted[next]);
        let mut lerp = a + (b - a) * gamma;
        if gamma >= 0.5 {
            lerp = b - (b - a) * (1.0 - gamma);
        }
        lerp
    }

    proptest! {
        #[test]
        fn edges_are_numpys_quantiles_on_ties(
            mut tenths in prop::collection::vec(-30i32..30, 1..200), buckets in 2usize..25,
        ) {
            tenths.sort_unstable();
            let values: Vec<f64> = tenths.into_iter().map(|v| f64::from(v) / 10.0).collect();
            let mut expected: Vec<f64> = (1..buckets)
                .map(|i| numpy(&values, i as f64 / buckets as f64))
                .collect();
            expected.dedup();
            prop_assert_eq!(quantile_edges(&values, buckets), expected);
        }

        #[test]
        fn edges_ascend_and_lie_within_the_values(
            mut values in prop::collection::vec(prop::num::f64::NORMAL, 1..60), buckets in 2usize..12,
        ) {
            values.sort_unstable_by(f64::total_cmp);
            let (min, max) = (values[0], values[values.len() - 1]);
            for edges in [quantile_edges(&values, buckets), uniform_edges(min, max, buckets)] {
                prop_assert!(edges.iter().all(|e| e.is_finite() && min <= *e && *e <= max));
                prop_assert!(edges.windows(2).all(|w| w[0] < w[1]));
                prop_assert!(!edges.is_empty() && edges.len() < buckets);
            }
        }
    }
}
