//! The natural logarithm of ratios, without branches, tables and calls, so that the compiler can take
//! several at a time, and with the same last bit on every machine: the C library's depends on its
//! version and on the processor.
//!
//! `x = m · 2^e` with m in [√½, √2), and `ln m = 2 artanh s = 2 (s + s³/3 + s⁵/5 + …)` with
//! `s = (m − 1) / (m + 1)`, which is 0.172 at most. Method and coefficients are those of FDLIBM's
//! `e_log.c` (Sun Microsystems, 1993).

/// Of the fraction of an `f64`.
const BITS: u32 = f64::MANTISSA_DIGITS - 1;
const FRACTION: u64 = (1 << BITS) - 1;
const ONE: u64 = 1f64.to_bits();
const SQRT_HALF: u64 = std::f64::consts::FRAC_1_SQRT_2.to_bits();

/// 2/3, 2/5, 2/7, …, changed so that they stand for all that would follow, to within 2^-58.
const SERIES: [f64; 7] = [
    0.6666666666666735,
    0.3999999999940942,
    0.2857142874366239,
    0.22222198432149784,
    0.1818357216161805,
    0.15313837699209373,
    0.14798198605116586,
];

/// The logarithm of a positive, normal number, to within 2^-51 of its size, which is two to four units
/// of its last place; NaN of any other.
#[inline(always)]
pub(super) fn ln(x: f64) -> f64 {
    // Counted from √½, so that the integer part of the binary logarithm is that of m's range.
    let bits = x.to_bits().wrapping_add(ONE - SQRT_HALF);
    let m = f64::from_bits((bits & FRACTION) + SQRT_HALF);
    // An integer below 2^52 in the last bits of 2^52 is that much more.
    const LARGE: f64 = (1u64 << BITS) as f64;
    let biased = f64::from_bits((bits >> BITS) | LARGE.to_bits());
    let e = biased - (LARGE + 1023.0);
    let s = (m - 1.0) / (m + 1.0);
    let u = s * s;
    let mut series = SERIES[6];
    for coefficient in SERIES[..6].iter().rev() {
        series = series * u + coefficient;
    }
    let ln = e * std::f64::consts::LN_2 + (2.0 * s + s * (u * series));
    #[expect(
        clippy::manual_range_contains,
        reason = "a range asks one after the other, which is a branch"
    )]
    let normal = (x >= f64::MIN_POSITIVE) & (x <= f64::MAX);
    if normal { ln } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_close(x: f64) {
        let (got, expected) = (ln(x), x.ln());
        let allowed = 2.0 * f64::EPSILON * expected.abs();
        assert!(
            (got - expected).abs() <= allowed,
            "ln {x:e}: {got:e}, expected {expected:e}"
        );
    }

    #[test]
    fn the_logarithm_of_one_is_zero_and_its_neighbours_have_the_right_sign() {
        assert_eq!(ln(1.0), 0.0);
        assert!(ln(1f64.next_up()) > 0.0);
        assert!(ln(1f64.next_down()) < 0.0);
    }

    #[test]
    fn what_has_no_finite_logarithm_has_none() {
        for x in [
            0.0,
            -0.0,
            -1.0,
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::NAN,
            5e-324,
        ] {
            assert!(ln(x).is_nan(), "ln {x}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn it_is_the_logarithm_of_the_standard_library(exponent in -1022i32..=1023, m in 1.0f64..2.0) {
            assert_close(m * 2f64.powi(exponent));
        }

        #[test]
        fn it_is_so_near_one_and_at_the_ends_of_the_range(d in -0.5f64..0.5, ulps in 0u64..1000) {
            assert_close(1.0 + d);
            assert_close(f64::from_bits(ONE + ulps));
            assert_close(f64::from_bits(ONE - 1 - ulps));
            for end in [SQRT_HALF, 2f64.sqrt().to_bits(), f64::MIN_POSITIVE.to_bits()] {
                assert_close(f64::from_bits(end + ulps));
            }
            assert_close(f64::from_bits(SQRT_HALF - 1 - ulps));
            assert_close(f64::from_bits(f64::MAX.to_bits() - ulps));
        }
    }
}
