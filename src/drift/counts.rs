//! Counts of one pane or window: a flat vector of integers, `[feature][slot]`.
//!
//! The slots of a feature with B buckets are its buckets, then unseen, missing and invalid:
//! `B + 3` cells. An unseen value counts in `other` (the last bucket) and in `unseen`.
//! Counts form a group under addition, so adding a pane to a window and subtracting it later is
//! exact in any order.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::feature::Found;

/// Where one value of one feature is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    Bucket(u32),
    /// A category the reference does not have: counted in `other` and as unseen.
    Unseen,
    Missing,
    Invalid(Found),
}

/// Where the cells of each feature lie; shared by all counts of one monitor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// `starts[f]..starts[f + 1]` are the cells of feature f; `starts.len() == features + 1`.
    starts: Vec<usize>,
}

const EXTRA: usize = 3;
const UNSEEN: usize = 0;
const MISSING: usize = 1;
const INVALID: usize = 2;

impl Layout {
    /// A layout for features with the given numbers of buckets.
    pub fn new(buckets: impl IntoIterator<Item = usize>) -> Self {
        let mut starts = vec![0];
        let mut next = 0;
        for b in buckets {
            next += b + EXTRA;
            starts.push(next);
        }
        Self { starts }
    }

    #[must_use]
    pub fn features(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of cells over all features.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    /// The cells of a feature: its buckets, then unseen, missing and invalid.
    #[must_use]
    pub fn span(&self, feature: usize) -> Range<usize> {
        self.starts[feature]..self.starts[feature + 1]
    }

    fn buckets(&self, feature: usize) -> Range<usize> {
        self.starts[feature]..self.extra(feature)
    }

    fn extra(&self, feature: usize) -> usize {
        self.starts[feature + 1] - EXTRA
    }
}

/// The counts of one pane or of one window. `cells.len() == layout.cells()`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaneCounts {
    /// Records counted.
    pub events: u64,
    cells: Vec<u64>,
}

impl PaneCounts {
    #[must_use]
    pub fn zero(layout: &Layout) -> Self {
        Self {
            events: 0,
            cells: vec![0; layout.cells()],
        }
    }

    /// Counts from stored cells.
    ///
    /// # Errors
    /// `None` when the number of cells is not that of the layout.
    #[must_use]
    pub fn from_cells(layout: &Layout, events: u64, cells: Vec<u64>) -> Option<Self> {
        (cells.len() == layout.cells()).then_some(Self { events, cells })
    }

    #[must_use]
    pub fn cells(&self) -> &[u64] {
        &self.cells
    }

    /// Counts one record: one cell per feature, in layout order.
    pub fn record(&mut self, layout: &Layout, cells: &[Cell]) {
        debug_assert_eq!(cells.len(), layout.features());
        self.events += 1;
        for (span, cell) in layout.starts.windows(2).zip(cells) {
            let (start, extra) = (span[0], span[1] - EXTRA);
            match *cell {
                Cell::Bucket(b) => self.cells[start + b as usize] += 1,
                Cell::Unseen => {
                    self.cells[extra - 1] += 1;
                    self.cells[extra + UNSEEN] += 1;
                }
                Cell::Missing => self.cells[extra + MISSING] += 1,
                Cell::Invalid(_) => self.cells[extra + INVALID] += 1,
            }
        }
    }

    /// Back to zero.
    pub fn clear(&mut self) {
        self.events = 0;
        self.cells.fill(0);
    }

    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.cells.len(), other.cells.len());
        self.events += other.events;
        for (a, b) in self.cells.iter_mut().zip(&other.cells) {
            *a += b;
        }
    }

    /// Undoes a [`merge`](Self::merge) of `other`.
    pub fn subtract(&mut self, other: &Self) {
        debug_assert_eq!(self.cells.len(), other.cells.len());
        self.events -= other.events;
        for (a, b) in self.cells.iter_mut().zip(&other.cells) {
            *a -= b;
        }
    }

    /// What is left of `whole` when these are subtracted from it, in the memory of these.
    #[must_use]
    pub fn left_of(mut self, whole: &Self) -> Self {
        debug_assert_eq!(self.cells.len(), whole.cells.len());
        self.events = whole.events - self.events;
        for (a, b) in self.cells.iter_mut().zip(&whole.cells) {
            *a = b - *a;
        }
        self
    }

    /// Bucket counts of a feature, in bucket order.
    #[must_use]
    pub fn buckets(&self, layout: &Layout, feature: usize) -> &[u64] {
        &self.cells[layout.buckets(feature)]
    }

    #[must_use]
    pub fn unseen(&self, layout: &Layout, feature: usize) -> u64 {
        self.cells[layout.extra(feature) + UNSEEN]
    }

    #[must_use]
    pub fn missing(&self, layout: &Layout, feature: usize) -> u64 {
        self.cells[layout.extra(feature) + MISSING]
    }

    #[must_use]
    pub fn invalid(&self, layout: &Layout, feature: usize) -> u64 {
        self.cells[layout.extra(feature) + INVALID]
    }
}

/// The values per bucket of one feature in one window, in bucket order: a part of the window's
/// counts, which all its features share.
#[derive(Clone, Deserialize)]
#[serde(from = "Vec<u64>")]
pub struct BucketCounts {
    /// Of the window, or of these buckets alone when they were read back.
    counts: Arc<PaneCounts>,
    span: Range<usize>,
}

impl BucketCounts {
    /// The buckets of a feature.
    #[must_use]
    pub fn of(counts: &Arc<PaneCounts>, layout: &Layout, feature: usize) -> Self {
        Self {
            counts: Arc::clone(counts),
            span: layout.buckets(feature),
        }
    }
}

impl Deref for BucketCounts {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        &self.counts.cells[self.span.clone()]
    }
}

impl From<Vec<u64>> for BucketCounts {
    fn from(cells: Vec<u64>) -> Self {
        Self {
            span: 0..cells.len(),
            counts: Arc::new(PaneCounts { events: 0, cells }),
        }
    }
}

impl Serialize for BucketCounts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(to)
    }
}

impl PartialEq for BucketCounts {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for BucketCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn layout() -> Layout {
        Layout::new([3, 2])
    }

    fn counts() -> impl Strategy<Value = PaneCounts> {
        (
            0u64..1000,
            prop::collection::vec(0u64..1000, layout().cells()),
        )
            .prop_map(|(events, cells)| PaneCounts { events, cells })
    }

    #[test]
    fn an_unseen_value_counts_in_other_and_as_unseen() {
        let layout = layout();
        let mut counts = PaneCounts::zero(&layout);
        counts.record(&layout, &[Cell::Unseen, Cell::Missing]);
        counts.record(&layout, &[Cell::Bucket(0), Cell::Invalid(Found::String)]);
        assert_eq!(counts.buckets(&layout, 0), [1, 0, 1]);
        assert_eq!(counts.unseen(&layout, 0), 1);
        assert_eq!(counts.missing(&layout, 1), 1);
        assert_eq!(counts.invalid(&layout, 1), 1);
        assert_eq!(counts.events, 2);
    }

    #[test]
    fn buckets_within_shared_counts_are_as_those_by_themselves() {
        let layout = layout();
        let mut counts = PaneCounts::zero(&layout);
        counts.record(&layout, &[Cell::Bucket(2), Cell::Bucket(1)]);
        counts.record(&layout, &[Cell::Missing, Cell::Bucket(1)]);
        let within = BucketCounts::of(&Arc::new(counts), &layout, 1);
        let alone = BucketCounts::from(vec![0, 2]);
        assert_eq!(within, alone);
        assert_eq!(format!("{within:?}"), "[0, 2]");
        assert_eq!(serde_json::to_string(&within).unwrap(), "[0,2]");
        let bytes = |buckets: &BucketCounts| postcard::to_stdvec(buckets).unwrap();
        assert_eq!(bytes(&within), postcard::to_stdvec(&vec![0u64, 2]).unwrap());
        let back: BucketCounts = postcard::from_bytes(&bytes(&within)).unwrap();
        assert_eq!(back, within);
    }

    proptest! {
        #[test]
        fn merge_commutes_and_associates(a in counts(), b in counts(), c in counts()) {
            let sum = |x: &PaneCounts, y: &PaneCounts| { let mut s = x.clone(); s.merge(y); s };
            prop_assert_eq!(sum(&a, &b), sum(&b, &a));
            prop_assert_eq!(sum(&sum(&a, &b), &c), sum(&a, &sum(&b, &c)));
        }

        #[test]
        fn subtract_undoes_merge(a in counts(), b in counts()) {
            let mut s = a.clone();
            s.merge(&b);
            prop_assert_eq!(&b.clone().left_of(&s), &a);
            s.subtract(&b);
            prop_assert_eq!(s, a);
        }
    }
}
