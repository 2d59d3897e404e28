//! JSON numbers, classified and rounded as serde_json does with `float_roundtrip`.
//!
//! A decimal of up to 19 digits is a `u64` times a power of ten. Most are exact in one multiplication
//! or division of two exact `f64` (W. D. Clinger, "How to read floating point numbers accurately",
//! 1990). Others are multiplied by a reciprocal of 64 bits; only where its error could reach the
//! rounding does the standard library read the text.

use super::intake::Json;
use super::scan::{Scan, ShortNumber};

/// More digits than this may not fit in a `u64`.
const MOST_DIGITS: usize = 19;
/// More digits of an exponent are unusual.
const MOST_EXPONENT_DIGITS: usize = 4;

/// A number of up to 19 digits without an exponent: the two kinds apart, so that the commonest
/// numbers need not be a [`Json`] in memory.
pub(super) enum Plain {
    Unsigned(u64),
    Float(f64),
}

/// The number whose first digit is at `at`, where it is plain, and the place after it.
#[inline(always)]
pub(super) fn plain(scan: Scan<'_>, negative: bool, at: usize) -> Option<(Plain, usize)> {
    let (significand, point) = scan.digits(at, 0);
    let leading_zero = scan.byte(at) == b'0' && point > at + 1;
    if point == at || leading_zero {
        return None;
    }
    let follower = scan.byte(point);
    if follower != b'.' {
        let plain = follower | 0x20 != b'e' && point - at <= MOST_DIGITS && !negative;
        return plain.then_some((Plain::Unsigned(significand), point));
    }
    let (significand, end) = scan.digits(point + 1, significand);
    let fraction = end - (point + 1);
    if fraction == 0 || end - at > MOST_DIGITS + 1 || scan.byte(end) | 0x20 == b'e' {
        return None;
    }
    let x = divided(significand, fraction)?;
    Some((Plain::Float(signed(negative, x)), end))
}

/// The number that begins at `at`, a digit or a sign, and that [`plain`] leaves, and the place after
/// it. `None` where the reference reader is to judge: no number, an integer of 20 digits or more, or
/// one beyond `f64`.
pub(super) fn number(scan: Scan<'_>, at: usize) -> Option<(Json<'static>, usize)> {
    let negative = scan.byte(at) == b'-';
    let whole = at + usize::from(negative);
    let (significand, point) = scan.digits(whole, 0);
    let digits = point - whole;
    if digits == 0 {
        return scan.word_value(at);
    }
    if digits > 1 && scan.byte(whole) == b'0' {
        return None;
    }
    match scan.byte(point) {
        b'.' => {}
        b'e' | b'E' => return exponential(scan, at, significand, digits, 0, point),
        _ if digits > MOST_DIGITS => return None,
        _ => return Some((integer(negative, significand)?, point)),
    }
    let (significand, end) = scan.digits(point + 1, significand);
    let fraction = end - (point + 1);
    match scan.byte(end) {
        _ if fraction == 0 => None,
        b'e' | b'E' => exponential(scan, at, significand, digits + fraction, fraction, end),
        _ => read_by_the_library(scan, at, end),
    }
}

/// A number whose `e` is at `e`.
fn exponential(
    scan: Scan<'_>,
    at: usize,
    significand: u64,
    digits: usize,
    fraction: usize,
    e: usize,
) -> Option<(Json<'static>, usize)> {
    let sign = scan.byte(e + 1);
    let first = e + 1 + usize::from(matches!(sign, b'+' | b'-'));
    let (exponent, end) = scan.digits(first, 0);
    if !(1..=MOST_EXPONENT_DIGITS).contains(&(end - first)) {
        return None;
    }
    let exponent = match sign {
        b'-' => -(exponent as i32),
        _ => exponent as i32,
    };
    let exponent = exponent.checked_sub_unsigned(u32::try_from(fraction).ok()?)?;
    if digits <= MOST_DIGITS
        && let Some(x) = rounded(significand, exponent)
    {
        let x = signed(scan.byte(at) == b'-', x);
        return Some((Json::Float(x), end));
    }
    read_by_the_library(scan, at, end)
}

#[cold]
fn read_by_the_library(scan: Scan<'_>, at: usize, end: usize) -> Option<(Json<'static>, usize)> {
    let x: f64 = scan.text().get(at..end)?.parse().ok()?;
    x.is_finite().then_some((Json::Float(x), end))
}

/// A number with a fraction, rounded right: both sides of the division are exact.
#[inline(always)]
pub(super) fn few_digits(negative: bool, number: ShortNumber) -> f64 {
    let x = number.significand() as f64 / EXACT[number.fraction % 8];
    signed(negative, x)
}

#[inline(always)]
fn signed(negative: bool, x: f64) -> f64 {
    if negative { -x } else { x }
}

/// `None` below what an `i64` holds.
#[inline(always)]
pub(super) fn integer(negative: bool, significand: u64) -> Option<Json<'static>> {
    Some(match (negative, significand) {
        (false, _) => Json::Unsigned(significand),
        (true, 0) => Json::Float(-0.0),
        (true, _) => Json::Signed(0i64.checked_sub_unsigned(significand)?),
    })
}

/// Integers up to this one are exact as `f64`.
const EXACT_INTEGERS: u64 = 1 << f64::MANTISSA_DIGITS;

const EXACT: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// The `f64` nearest to `significand` · 10^`exponent`; `None` where that is not certain.
fn rounded(significand: u64, exponent: i32) -> Option<f64> {
    match (significand, exponent) {
        (0, _) => Some(0.0),
        (_, ..0) => divided(significand, exponent.unsigned_abs() as usize),
        (..=EXACT_INTEGERS, _) => Some(significand as f64 * EXACT.get(exponent as usize)?),
        (_, 0) => Some(significand as f64),
        _ => None,
    }
}

/// The `f64` nearest to `significand` / 10^`scale`; `None` where that is not certain.
#[inline(always)]
fn divided(significand: u64, scale: usize) -> Option<f64> {
    if significand <= EXACT_INTEGERS
        && let Some(power) = EXACT.get(scale)
    {
        return Some(significand as f64 / power);
    }
    divided_by_reciprocal(significand, scale)
}

/// By way of a reciprocal that is too small by less than one unit of its 64 bits.
#[inline(always)]
fn divided_by_reciprocal(significand: u64, scale: usize) -> Option<f64> {
    let (reciprocal, shift) = *RECIPROCALS.get(scale)?;
    let zeros = significand.leading_zeros();
    let product = u128::from(significand << zeros) * u128::from(reciprocal);
    // The true product is greater by less than 2^64; with the bits cut off here, what these 64 bits
    // stand for is less than two too little.
    let mut high = (product >> 64) as u64;
    let mut exponent = shift - zeros as i32;
    if high >> 63 == 0 {
        // Doubled, they are less than four too few.
        high <<= 1;
        exponent -= 1;
    }
    // 53 bits are kept and 11 decide. Just below one half, what is missing would change that.
    let rest = high & 0x7ff;
    if (0x400 - 3..=0x400).contains(&rest) {
        return None;
    }
    let mantissa = (high >> 11) + u64::from(rest > 0x400);
    // Both are exact: 2^53 at most, and a power of two far from the limits of `f64`.
    Some(mantissa as f64 * f64::from_bits(((exponent + 11 + 1023) as u64) << 52))
}

/// 10^-scale is `.0` · 2^(`.1` - 64), rounded down: the first 64 bits, of which the highest is set.
/// The powers of five up to the 27th fit in a `u64`.
static RECIPROCALS: [(u64, i32); 28] = reciprocals();

const fn reciprocals() -> [(u64, i32); 28] {
    let mut table = [(0, 0); 28];
    let mut five: u64 = 1;
    let mut scale = 0;
    while scale < table.len() {
        let quotient = (1u128 << 127) / five as u128;
        let bits = 128 - quotient.leading_zeros() as i32;
        let reciprocal = (quotient >> (bits - 64)) as u64;
        // 1 / 5^scale = reciprocal · 2^(bits - 64 - 127), the product's upper half adds 64.
        table[scale] = (reciprocal, bits - 127 - scale as i32);
        scale += 1;
        if scale < table.len() {
            five *= 5;
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// What serde_json makes of `text`, if it is a number.
    fn expected(text: &str) -> Option<Json<'static>> {
        let number: serde_json::Number = serde_json::from_str(text).ok()?;
        Some(match (number.as_u64(), number.as_i64()) {
            (Some(unsigned), _) => Json::Unsigned(unsigned),
            (None, Some(signed)) => Json::Signed(signed),
            (None, None) => Json::Float(number.as_f64()?),
        })
    }

    /// Bit for bit, so that the sign of zero counts.
    fn bits(json: Json<'_>) -> String {
        match json {
            Json::Float(x) => format!("{:x}", x.to_bits()),
            other => format!("{other:?}"),
        }
    }

    /// As the walk reads what is not short.
    fn read(text: &str) -> Option<(Json<'static>, usize)> {
        let scan = Scan::new(text).unwrap();
        let negative = text.starts_with('-');
        match plain(scan, negative, usize::from(negative)) {
            Some((Plain::Float(x), end)) => Some((Json::Float(x), end)),
            Some((Plain::Unsigned(i), end)) => Some((Json::Unsigned(i), end)),
            None => number(scan, 0),
        }
    }

    fn agrees(text: &str) -> Result<(), TestCaseError> {
        if let Some((found, end)) = read(text) {
            prop_assert_eq!(end, text.len(), "{}", text);
            let expected = expected(text).map(bits);
            prop_assert_eq!(Some(bits(found)), expected, "{}", text);
        }
        Ok(())
    }

    #[rstest]
    #[case("0")]
    #[case("-0")]
    #[case("-0.0")]
    #[case("0.1")]
    #[case("0.30000000000000004")]
    #[case("-73.98765432109876")]
    #[case("9007199254740993.5")]
    #[case("1e22")]
    #[case("123456789012345678e-20")]
    #[case("9999999999999999999")]
    #[case("-9223372036854775808")]
    #[case("1e-400")]
    #[case("0e-23")]
    #[case("-0e-25")]
    #[case("0e9999")]
    #[case("5e-324")]
    #[case("1.7976931348623157E+308")]
    #[case("0.1000000000000000055511151231257827021181583404541015625")]
    fn a_usual_number_is_read_as_serde_json_reads_it(#[case] text: &str) {
        let found = read(text).map(|(json, _)| bits(json));
        assert!(found.is_some(), "{text}");
        assert_eq!(found, expected(text).map(bits));
    }

    #[rstest]
    #[case("00")]
    #[case("-")]
    #[case("1.")]
    #[case("1e")]
    #[case("1.e5")]
    #[case("18446744073709551616")]
    #[case("-9223372036854775809")]
    #[case("1e999")]
    fn an_unusual_number_is_left_to_the_reference(#[case] text: &str) {
        assert_eq!(read(text), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_double_comes_back(x in any::<f64>()) {
            agrees(&format!("{x:?}"))?;
            agrees(&format!("{x:e}"))?;
        }

        #[test]
        fn a_fraction_of_many_digits_is_rounded_right(
            digits in 1u64..10_000_000_000_000_000_000, scale in 0usize..30,
        ) {
            agrees(&format!("{digits}e-{scale}"))?;
            let digits = format!("{digits:0width$}", width = scale + 1);
            let (whole, fraction) = digits.split_at(digits.len() - scale);
            agrees(&format!("{whole}.{fraction}"))?;
        }

        /// Halfway between two neighbours, and one digit beside it.
        #[test]
        fn ties_are_rounded_right(mantissa in (1u64 << 52)..(1 << 53), scale in 1u32..10) {
            let tie = u128::from(2 * mantissa + 1) * 5u128.pow(scale);
            for digits in [tie - 1, tie, tie + 1] {
                let digits = digits.to_string();
                let (whole, fraction) = digits.split_at(digits.len() - scale as usize);
                agrees(&format!("{whole}.{fraction}"))?;
            }
        }

        #[test]
        fn a_short_number_is_read_as_serde_json_reads_it(
            text in "-?[0-9]{1,7}\\.[0-9]{1,6}", after in "[,}\\] e.x]?",
        ) {
            let negative = text.starts_with('-');
            let followed = format!("{text}{after}");
            let scan = Scan::new(&followed).unwrap();
            if let Some(short) = ShortNumber::read(scan.word(usize::from(negative))) {
                prop_assert_eq!(short.len + usize::from(negative), text.len());
                let found = Json::Float(few_digits(negative, short));
                prop_assert_eq!(Some(bits(found)), expected(&text).map(bits));
            }
        }

        #[test]
        fn any_number_is_read_as_serde_json_reads_it(
            text in "-?[0-9]{1,21}(\\.[0-9]{0,21})?([eE][+-]?[0-9]{0,5})?",
        ) {
            agrees(&text)?;
        }
    }
}
