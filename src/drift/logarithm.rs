//! The natural logarithm of a ratio, without branches, tables and calls, so that the compiler can take
//! several at a time, and with the same last bit on every machine: the C library's depends on its
//! version and on the processor.
//!
//! `a = a' · 2^e` with `a' / b` in [2/3, 3/2), and `ln (a' / b) = 2 artanh s = 2 (s + s³/3 + s⁵/5 + …)`
//! with `s = (a' − b) / (a' + b)`, which is 1/5 at most: one division, and the difference is exact.

/// Of the fraction of an `f64`.
const BITS: u32 = f64::MANTISSA_DIGITS - 1;
const FRACTION: u64 = (1 << BITS) - 1;
/// 2048 in the bits of the exponent: exponents are counted from it, so that none is negative.
const ZERO: u64 = 1 << 63;
const HALF: u64 = 1 << (BITS - 1);

/// 2/3, 2/5, 2/7, …, changed so that they stand for all that would follow, to within 2^-55 of the
/// logarithm's size: the minimax polynomial of `(2 artanh √u / √u − 2) / u` for u in [0, 0.0402],
/// weighed by u, found by Remez' exchange and rounded.
const SERIES: [f64; 7] = [
    0.6666666666667294,
    0.3999999999604198,
    0.28571429416731303,
    0.22222136753081972,
    0.18186427571081004,
    0.15248760038587217,
    0.153792857246184,
];

/// `ln (a / b)` to within 2^-51 of its size, which is two to four units of its last place, for both
/// in [1e-300, 1e300]; without meaning for others.
#[inline(always)]
pub(super) fn ln_ratio(a: f64, b: f64) -> f64 {
    // The difference of two numbers' bits is that of their binary logarithms, to within 0.087.
    let apart = a.to_bits().wrapping_sub(b.to_bits());
    let steps = apart.wrapping_add(ZERO + HALF);
    // An integer below 2^52 in the last bits of 2^52 is that much more.
    const LARGE: f64 = (1u64 << BITS) as f64;
    let e = f64::from_bits((steps >> BITS) | LARGE.to_bits()) - (LARGE + 2048.0);
    let exponent = (steps & !FRACTION).wrapping_sub(ZERO);
    let near = f64::from_bits(a.to_bits().wrapping_sub(exponent));
    let s = (near - b) / (near + b);
    let u = s * s;
    // By pairs, of which none waits for another.
    let pair = |i: usize| SERIES[i] + SERIES[i + 1] * u;
    let u2 = u * u;
    let series = (pair(0) + pair(2) * u2) + (pair(4) + SERIES[6] * u2) * (u2 * u2);
    e * std::f64::consts::LN_2 + (2.0 * s + s * (u * series))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn assert_close(a: f64, b: f64) {
        let ratio = a / b;
        let expected = if (0.5..2.0).contains(&ratio) {
            // The ratio has lost what the difference still has.
            ((a - b) / b).ln_1p()
        } else if (1e-150..1e150).contains(&ratio) {
            ratio.ln()
        } else {
            a.ln() - b.ln()
        };
        let got = ln_ratio(a, b);
        let allowed = 4.0 * f64::EPSILON * expected.abs();
        assert!(
            (got - expected).abs() <= allowed,
            "ln ({a:e} / {b:e}): {got:e}, expected {expected:e}"
        );
    }

    #[test]
    fn equal_numbers_have_zero_and_their_neighbours_the_right_sign() {
        for x in [1e-300, 1e-4, 0.1, 1.0, 1e300] {
            assert_eq!(ln_ratio(x, x), 0.0);
            assert!(ln_ratio(x, 0.5 * x).to_bits() == std::f64::consts::LN_2.to_bits());
        }
        assert!(ln_ratio(1f64.next_up(), 1.0) > 0.0);
        assert!(ln_ratio(1f64.next_down(), 1.0) < 0.0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn it_is_the_logarithm_of_the_standard_library(
            exponents in (-300i32..=299, -300i32..=299),
            fractions in (1.0f64..10.0, 1.0f64..10.0),
        ) {
            assert_close(
                fractions.0 * 10f64.powi(exponents.0),
                fractions.1 * 10f64.powi(exponents.1),
            );
        }

        #[test]
        fn it_is_so_for_shares(a in 1e-4f64..1.0, b in 1e-4f64..1.0, near in 0.999f64..1.001) {
            assert_close(a, b);
            assert_close(a, a * near);
        }

        #[test]
        fn it_is_so_where_the_exponent_changes(b in 1.0f64..2.0, ulps in 0u64..1000) {
            for halfway in [1.0, 0.5, std::f64::consts::FRAC_1_SQRT_2, 2.0 / 3.0, 1.5, 2.0] {
                assert_close(f64::from_bits((b * halfway).to_bits() + ulps), b);
                assert_close(f64::from_bits((b * halfway).to_bits() - ulps), b);
            }
            let half = b.to_bits() + HALF;
            assert_close(f64::from_bits(half + ulps), b);
            assert_close(f64::from_bits(half - ulps), b);
        }
    }
}
