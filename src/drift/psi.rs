//! The population stability index of two histograms over the same buckets.
//!
//! `PSI = Σ (q − p)·ln(q / p)` with p the reference share and q the production share of a bucket,
//! natural logarithm; the symmetrised Kullback–Leibler divergence (Jeffreys, 1946).

use serde::{Deserialize, Serialize};

use super::logarithm::ln_ratio;

/// What keeps an empty bucket from an infinite term. Shares are not renormalised after `Clip`,
/// `Replace` and `Add`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "smoothing", content = "epsilon", rename_all = "lowercase")]
pub enum Smoothing {
    /// `max(share, ε)`; the default with ε = 1e-4.
    Clip(f64),
    /// ε in the place of a share of 0.
    Replace(f64),
    /// `share + ε`.
    Add(f64),
    /// ½ added to every count before the shares are taken.
    Half,
}

impl Default for Smoothing {
    fn default() -> Self {
        Self::Clip(1e-4)
    }
}

/// A PSI with the term of each bucket; `total` is their sum in bucket order and finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Psi {
    pub total: f64,
    pub terms: Vec<f64>,
    /// Smoothed reference shares.
    pub reference: Vec<f64>,
    /// Smoothed production shares.
    pub production: Vec<f64>,
}

impl Psi {
    /// The bucket with the greatest term, and the term; of equal ones the last.
    #[must_use]
    pub fn greatest(&self) -> Option<(usize, f64)> {
        let terms = self.terms.iter().copied().enumerate();
        terms.max_by(|(_, a), (_, b)| a.total_cmp(b))
    }
}

/// The PSI of `production` against `reference`, counts in bucket order and of equal length.
///
/// `None` when either side has no values, or ε is not in [1e-300, 1]: there are shares without a
/// logarithm then.
///
/// ```
/// use psiren::drift::{psi, Smoothing};
/// // p = (0.5, 0.5), q = (0.75, 0.25): 0.25·ln 1.5 + (−0.25)·ln 0.5 = 0.25·ln 3
/// let got = psi(&[10, 10], &[3, 1], Smoothing::Clip(1e-4)).unwrap();
/// assert!((got.total - 0.25 * 3f64.ln()).abs() < 1e-12);
/// assert!(psi(&[10, 10], &[0, 0], Smoothing::default()).is_none());
/// ```
#[must_use]
pub fn psi(reference: &[u64], production: &[u64], smoothing: Smoothing) -> Option<Psi> {
    debug_assert_eq!(reference.len(), production.len());
    let reference = Shares::of(reference, smoothing)?.shares;
    let production = Shares::of(production, smoothing)?.shares;
    let mut terms = vec![0.0; reference.len()];
    find_terms(&reference, &production, &mut terms);
    let total: f64 = terms.iter().sum();
    Some(Psi {
        total,
        terms,
        reference,
        production,
    })
}

/// The smoothed shares of a reference's buckets, with which many windows are compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Shares {
    shares: Vec<f64>,
    smoothing: Smoothing,
}

impl Shares {
    /// The shares of `counts`; `None` where [`psi`] is.
    #[must_use]
    pub fn of(counts: &[u64], smoothing: Smoothing) -> Option<Self> {
        let scale = Scale::new(counts.iter().sum(), counts.len(), smoothing)?;
        let mut shares = vec![0.0; counts.len()];
        scale.smooth(counts, &mut shares);
        Some(Self { shares, smoothing })
    }

    /// The `total` of [`psi`] against these, bit for bit, without what it is made of. The counts are
    /// `production` and then the `last`, if these shares have one more; `values` is the sum of all.
    #[must_use]
    pub fn psi_total(&self, production: &[u64], last: Option<u64>, values: u64) -> Option<f64> {
        debug_assert_eq!(self.shares.len(), production.len() + last.iter().len());
        debug_assert_eq!(values, production.iter().chain(&last).sum::<u64>());
        let scale = Scale::new(values, self.shares.len(), self.smoothing)?;
        let [mut qs, mut terms] = [[0.0; TOGETHER]; 2];
        // What a sum of no terms is.
        let mut total = -0.0;
        let together = self.shares.chunks(TOGETHER);
        for (ps, counts) in together.zip(production.chunks(TOGETHER)) {
            let terms = &mut terms[..counts.len()];
            scale.smooth(counts, &mut qs);
            find_terms(ps, &qs, terms);
            for term in terms {
                total += *term;
            }
        }
        if let (Some(p), Some(count)) = (self.shares.get(production.len()), last) {
            total += term(*p, scale.smoothed(count));
        }
        Some(total)
    }
}

/// Buckets whose terms are found together.
const TOGETHER: usize = 32;

/// A function of its own, so that it becomes vector instructions.
#[inline(never)]
fn find_terms(ps: &[f64], qs: &[f64], terms: &mut [f64]) {
    for ((to, p), q) in terms.iter_mut().zip(ps).zip(qs) {
        *to = term(*p, *q);
    }
}

#[inline(always)]
fn term(p: f64, q: f64) -> f64 {
    (q - p) * ln_ratio(q, p)
}

/// Turns counts into shares.
struct Scale {
    /// Of all buckets.
    total: f64,
    /// The total of [`Smoothing::Half`].
    total_with_halves: f64,
    smoothing: Smoothing,
}

impl Scale {
    /// For counts of so many `values` in all; `None` without any, and when ε does not keep a share
    /// within what [`ln_ratio`] takes.
    fn new(values: u64, buckets: usize, smoothing: Smoothing) -> Option<Self> {
        let keeps = match smoothing {
            Smoothing::Clip(e) | Smoothing::Replace(e) | Smoothing::Add(e) => {
                (1e-300..=1.0).contains(&e)
            }
            Smoothing::Half => true,
        };
        let total = values as f64;
        (values > 0 && keeps).then_some(Self {
            total,
            total_with_halves: total + 0.5 * buckets as f64,
            smoothing,
        })
    }

    fn smooth(&self, counts: &[u64], shares: &mut [f64]) {
        let total = self.total;
        let share = |count: u64| count as f64 / total;
        match self.smoothing {
            Smoothing::Clip(epsilon) => each(counts, shares, |count| {
                let share = share(count);
                if share < epsilon { epsilon } else { share }
            }),
            Smoothing::Replace(epsilon) => each(counts, shares, |count| {
                if count == 0 { epsilon } else { share(count) }
            }),
            Smoothing::Add(epsilon) => each(counts, shares, |count| share(count) + epsilon),
            Smoothing::Half => each(counts, shares, |count| {
                (count as f64 + 0.5) / self.total_with_halves
            }),
        }
    }

    fn smoothed(&self, count: u64) -> f64 {
        let mut share = [0.0];
        self.smooth(&[count], &mut share);
        share[0]
    }
}

/// A loop for each way of smoothing, so that each becomes vector instructions.
#[inline(never)]
fn each(counts: &[u64], shares: &mut [f64], smoothed: impl Fn(u64) -> f64) {
    for (share, count) in shares.iter_mut().zip(counts) {
        *share = smoothed(*count);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Smoothing; 4] = [
        Smoothing::Clip(1e-4),
        Smoothing::Replace(1e-4),
        Smoothing::Add(1e-4),
        Smoothing::Half,
    ];

    #[test]
    fn an_empty_bucket_is_clipped_without_renormalising() {
        let got = psi(&[1, 1], &[2, 0], Smoothing::Clip(1e-4)).unwrap();
        let expected = (1.0 - 0.5) * 2f64.ln() + (1e-4 - 0.5) * (1e-4f64 / 0.5).ln();
        assert!((got.total - expected).abs() < 1e-15);
    }

    #[test]
    fn there_is_no_psi_when_a_share_could_be_without_a_logarithm() {
        for epsilon in [0.0, 1e-301, f64::NAN, -1.0, 1f64.next_up(), f64::INFINITY] {
            for smoothing in [Smoothing::Clip, Smoothing::Replace, Smoothing::Add] {
                assert_eq!(psi(&[1, 1], &[2, 0], smoothing(epsilon)), None);
            }
        }
        assert!(psi(&[1, 1], &[2, 0], Smoothing::Clip(1.0)).is_some());
        let least = psi(&[1, 1], &[2, 0], Smoothing::Clip(1e-300)).unwrap();
        let expected = 0.5 * 2f64.ln() - 0.5 * (2e-300f64).ln();
        assert!((least.total - expected).abs() < 1e-12);
    }

    #[test]
    fn half_adds_half_a_count_and_renormalises() {
        let got = psi(&[1, 1], &[2, 0], Smoothing::Half).unwrap();
        let q = [2.5 / 3.0, 0.5 / 3.0];
        assert_eq!(got.production, q);
    }

    proptest! {
        #[test]
        fn equal_shares_have_psi_exactly_zero(counts in prop::collection::vec(0u64..100_000, 1..20)) {
            for smoothing in ALL {
                if let Some(psi) = psi(&counts, &counts, smoothing) {
                    prop_assert_eq!(psi.total, 0.0);
                }
            }
        }

        #[test]
        fn the_total_alone_is_the_total_of_the_terms(
            pairs in prop::collection::vec((0u64..1_000, prop_oneof![Just(0), 0u64..1_000]), 1..100),
        ) {
            let (p, q): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            let (last, values) = (q.len() - 1, q.iter().sum());
            for smoothing in ALL {
                let shares = Shares::of(&p, smoothing);
                let alone = shares.as_ref().and_then(|p| p.psi_total(&q, None, values));
                let with_terms = psi(&p, &q, smoothing).map(|psi| psi.total);
                prop_assert_eq!(alone.map(f64::to_bits), with_terms.map(f64::to_bits));
                let apart = shares.and_then(|p| p.psi_total(&q[..last], Some(q[last]), values));
                prop_assert_eq!(alone.map(f64::to_bits), apart.map(f64::to_bits));
            }
        }

        #[test]
        fn psi_is_finite_and_not_negative(
            pairs in prop::collection::vec((0u64..1_000_000, 0u64..1_000_000), 1..20),
        ) {
            let (p, q): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            for smoothing in ALL {
                if let Some(psi) = psi(&p, &q, smoothing) {
                    prop_assert!(psi.total.is_finite() && psi.total >= 0.0);
                }
            }
        }
    }
}
