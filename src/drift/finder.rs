//! A [`Binning`] made ready for many values: the same cells, found faster.
//!
//! Numbers are searched among the edges without a branch, texts are looked up in a table.

use super::counts::Cell;
use super::edges::{Binning, Closed};
use super::feature::{FeatureKind, Found, Value};
use super::text_table::TextTable;

/// Edges that are searched without a branch.
const BLOCK: usize = 16;

/// Finds the cells of one feature, each equal to [`Binning::cell`].
#[derive(Debug, Clone)]
pub struct Finder(Kind);

#[derive(Debug, Clone)]
enum Kind {
    /// The commonest: fewer edges than fill a block.
    FewEdges(Box<Block>),
    Numeric {
        edges: Edges,
        float32: bool,
    },
    /// The bucket of every category, and that of `other` for the pooled ones.
    Categorical(TextTable),
}

impl Finder {
    #[must_use]
    pub fn new(binning: &Binning) -> Self {
        Self(match binning {
            Binning::Numeric {
                edges,
                closed,
                float32,
            } => {
                let edges = Edges::new(edges, *closed);
                match edges.blocks.as_slice() {
                    [block] if !float32 => Kind::FewEdges(Box::new(*block)),
                    _ => Kind::Numeric {
                        edges,
                        float32: *float32,
                    },
                }
            }
            Binning::Categorical { categories, pooled } => {
                let mut table = TextTable::default();
                for (bucket, category) in (0..).zip(categories) {
                    table.insert(category, bucket);
                }
                for category in pooled {
                    table.insert(category, categories.len() as u32);
                }
                Kind::Categorical(table)
            }
        })
    }

    #[must_use]
    pub fn kind(&self) -> FeatureKind {
        match &self.0 {
            Kind::FewEdges(_) | Kind::Numeric { .. } => FeatureKind::Numeric,
            Kind::Categorical(_) => FeatureKind::Categorical,
        }
    }

    /// Where `value` is counted, as [`Binning::cell`] says.
    #[must_use]
    pub fn cell(&self, value: Value<'_>) -> Cell {
        match (&self.0, value) {
            (_, Value::Missing) => Cell::Missing,
            (_, Value::Invalid(found)) => Cell::Invalid(found),
            (_, Value::Number(x)) if !x.is_finite() => match self.kind() {
                FeatureKind::Numeric => Cell::Missing,
                FeatureKind::Categorical => Cell::Invalid(Found::Number),
            },
            (_, Value::Number(x)) => self.number(x).unwrap_or(Cell::Invalid(Found::Number)),
            (_, Value::Text(text)) => self.text(text).unwrap_or(Cell::Invalid(Found::String)),
        }
    }

    /// Where a finite number is counted; `None` for a categorical feature.
    #[inline(always)]
    #[must_use]
    pub(crate) fn number(&self, x: f64) -> Option<Cell> {
        debug_assert!(x.is_finite(), "{x}");
        match &self.0 {
            Kind::FewEdges(block) => Some(Cell::Bucket(below(block, x))),
            Kind::Numeric { edges, float32 } => Some(edges.cell(x, *float32)),
            Kind::Categorical(_) => None,
        }
    }

    /// Where a text is counted; `None` for a numeric feature.
    #[inline(always)]
    #[must_use]
    pub(crate) fn text(&self, text: &str) -> Option<Cell> {
        match &self.0 {
            Kind::Categorical(table) => Some(table.get(text).map_or(Cell::Unseen, Cell::Bucket)),
            Kind::FewEdges(_) | Kind::Numeric { .. } => None,
        }
    }
}

/// Ascending edges; where there are none, infinity.
type Block = [f64; BLOCK];

/// The number of edges < `x`, which is finite and not above the last.
#[inline(always)]
fn below(block: &Block, x: f64) -> u32 {
    // Halved four times, so that no comparison decides what is done next.
    let mut below = 0;
    for half in [8, 4, 2, 1] {
        let next = (below + half - 1) % BLOCK;
        below += half * usize::from(block[next] < x);
    }
    below as u32
}

/// Ascending edges in blocks, of which only the last one ends with infinity.
#[derive(Debug, Clone)]
struct Edges {
    blocks: Vec<Block>,
    /// The last edge of each block but the last.
    lasts: Vec<f64>,
}

impl Edges {
    /// The number of edges ≤ x is that of edges whose next lower number is < x, so that one
    /// comparison serves both sides.
    fn new(edges: &[f64], closed: Closed) -> Self {
        let mut blocks = vec![[f64::INFINITY; BLOCK]; edges.len() / BLOCK + 1];
        for (to, edge) in blocks.as_flattened_mut().iter_mut().zip(edges) {
            *to = match closed {
                Closed::Right => *edge,
                Closed::Left => edge.next_down(),
            };
        }
        let lasts = blocks.iter().map(|block| block[BLOCK - 1]);
        let lasts = lasts.take(blocks.len() - 1).collect();
        Self { blocks, lasts }
    }

    /// Where a finite number is counted. Out of line: fewer features have so many edges or are rounded.
    #[inline(never)]
    fn cell(&self, x: f64, float32: bool) -> Cell {
        let x = if float32 { f64::from(x as f32) } else { x };
        if !x.is_finite() {
            return Cell::Missing;
        }
        let full = self.lasts.partition_point(|last| *last < x);
        Cell::Bucket((full * BLOCK) as u32 + below(&self.blocks[full], x))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Few enough numbers that values often lie on edges, and the odd ones.
    fn number() -> impl Strategy<Value = f64> {
        let odd = [
            0.0,
            -0.0,
            5e-324,
            -5e-324,
            f64::MAX,
            f64::MIN,
            0.1,
            f64::from(0.1_f32),
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        prop_oneof![
            4 => (-60i32..60).prop_map(|i| f64::from(i) / 4.0),
            2 => prop::sample::select(odd.to_vec()),
            1 => any::<f64>(),
        ]
    }

    fn closed() -> impl Strategy<Value = Closed> {
        prop::sample::select(vec![Closed::Left, Closed::Right])
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_number_is_found_where_its_binning_counts_it(
            mut edges in prop::collection::vec(number(), 0..70),
            closed in closed(),
            float32 in any::<bool>(),
            values in prop::collection::vec(number(), 1..40),
        ) {
            edges.retain(|edge| edge.is_finite());
            edges.sort_by(f64::total_cmp);
            edges.dedup();
            let values: Vec<f64> = values.into_iter().chain(edges.clone()).collect();
            let binning = Binning::Numeric { edges, closed, float32 };
            let finder = Finder::new(&binning);
            for x in values {
                let value = Value::Number(x);
                prop_assert_eq!(finder.cell(value), binning.cell(value), "{}", x);
            }
        }

        #[test]
        fn a_text_is_found_where_its_binning_counts_it(
            mut categories in prop::collection::vec("[ab]{0,3}", 0..6),
            mut pooled in prop::collection::vec("[ab]{0,3}", 0..6),
            texts in prop::collection::vec("[ab]{0,3}", 1..10),
        ) {
            for texts in [&mut categories, &mut pooled] {
                texts.sort();
                texts.dedup();
            }
            let binning = Binning::Categorical { categories, pooled };
            let finder = Finder::new(&binning);
            for text in &texts {
                let value = Value::Text(text);
                prop_assert_eq!(finder.cell(value), binning.cell(value));
            }
        }
    }

    #[test]
    fn what_is_no_value_of_the_kind_is_told_as_the_binning_does() {
        let numeric = Binning::Numeric {
            edges: vec![0.0],
            closed: Closed::Right,
            float32: false,
        };
        let categorical = Binning::Categorical {
            categories: vec!["a".into()],
            pooled: Vec::new(),
        };
        let values = [
            Value::Missing,
            Value::Invalid(Found::Array),
            Value::Number(1.0),
            Value::Text("a"),
        ];
        for binning in [numeric, categorical] {
            let finder = Finder::new(&binning);
            assert_eq!(finder.kind(), binning.kind());
            for value in values {
                assert_eq!(finder.cell(value), binning.cell(value));
            }
        }
    }
}
