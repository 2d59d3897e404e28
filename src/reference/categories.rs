//! Which reference values get a bucket of their own.
//!
//! Each value is one bucket, in byte order, and `other` is the last. Above the cap the most frequent
//! values keep theirs and the rest pool into `other`; of equally frequent values those first in byte
//! order keep theirs.

use std::collections::HashMap;

/// Values with buckets of their own, and those that share `other`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Categories {
    /// In byte order, without repetition.
    pub categories: Vec<String>,
    /// In byte order, without repetition.
    pub pooled: Vec<String>,
    /// Values per category, then the pooled ones' sum; `categories.len() + 1`.
    pub counts: Vec<u64>,
}

/// The `cap` most frequent values as categories, the rest pooled.
#[must_use]
pub fn categories(values: HashMap<String, u64>, cap: usize) -> Categories {
    let mut values: Vec<(String, u64)> = values.into_iter().collect();
    values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let mut rare = values.split_off(cap.min(values.len()));
    values.sort_unstable();
    rare.sort_unstable();
    let other = rare.iter().map(|(_, n)| n).sum();
    let (categories, mut counts): (Vec<_>, Vec<_>) = values.into_iter().unzip();
    counts.push(other);
    Categories {
        categories,
        pooled: rare.into_iter().map(|(value, _)| value).collect(),
        counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[(&str, u64)], cap: usize) -> Categories {
        categories(values.iter().map(|(v, n)| ((*v).into(), *n)).collect(), cap)
    }

    #[test]
    fn categories_are_in_byte_order_and_other_is_last() {
        let got = of(&[("b", 2), ("é", 1), ("B", 5), ("a", 3)], 50);
        assert_eq!(got.categories, ["B", "a", "b", "é"]);
        assert_eq!(got.counts, [5, 3, 2, 1, 0]);
        assert!(got.pooled.is_empty());
    }

    #[test]
    fn above_the_cap_the_rarest_pool_into_other() {
        let got = of(&[("x", 10), ("y", 1), ("a", 2), ("b", 30)], 2);
        assert_eq!(got.categories, ["b", "x"]);
        assert_eq!(got.pooled, ["a", "y"]);
        assert_eq!(got.counts, [30, 10, 3]);
    }

    #[test]
    fn of_equally_rare_values_the_first_in_byte_order_keep_their_bucket() {
        let got = of(&[("c", 1), ("a", 1), ("d", 1), ("b", 1)], 3);
        assert_eq!(got.categories, ["a", "b", "c"]);
        assert_eq!(got.pooled, ["d"]);
    }
}
