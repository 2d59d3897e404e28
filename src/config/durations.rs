//! Durations as people write them: `1h 30m`, `7d`, `500ms`.
//!
//! The grammar is that of jiff's spans. A day is 24 hours and a week 7 days; months and years have
//! no fixed length and are refused, as is anything finer than a millisecond.

use jiff::{Span, SpanRelativeTo};

const EXAMPLE: &str = "write it like \"1h 30m\", \"7d\" or \"500ms\"";
/// Ten thousand years: more than anybody means, and less than the grammar can tell in days.
const LONGEST_DAYS: i64 = 3_652_500;
const DAY_MS: i64 = 86_400_000;
const UNITS: [(&str, i64); 5] = [
    ("d", DAY_MS),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Milliseconds of a duration; may be negative (`-5h`).
///
/// # Errors
/// What was found and how to write it.
pub fn parse(text: &str) -> Result<i64, String> {
    let span: Span = text
        .parse()
        .map_err(|_| format!("found {text:?}, expected a duration; {EXAMPLE}"))?;
    let duration = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| {
            format!("found {text:?}, but months and years have no fixed length; use days")
        })?;
    if duration.subsec_nanos() % 1_000_000 != 0 {
        return Err(format!("found {text:?}, expected whole milliseconds"));
    }
    i64::try_from(duration.as_millis())
        .ok()
        .filter(|ms| ms.unsigned_abs() <= LONGEST_DAYS.unsigned_abs() * DAY_MS.unsigned_abs())
        .ok_or_else(|| format!("found {text:?}, expected at most {LONGEST_DAYS}d"))
}

/// The shortest text in days, hours, minutes, seconds and milliseconds; [`parse`] reads it back.
#[must_use]
pub fn show(ms: i64) -> String {
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut rest = ms.unsigned_abs();
    let mut parts = Vec::new();
    for (unit, length) in UNITS {
        let length = length.unsigned_abs();
        if rest >= length {
            parts.push(format!("{}{unit}", rest / length));
            rest %= length;
        }
    }
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1h 30m", 5_400_000)]
    #[case("7d", 604_800_000)]
    #[case("1w", 604_800_000)]
    #[case("500ms", 500)]
    #[case("0s", 0)]
    #[case("-5h", -18_000_000)]
    #[case("1.5s", 1_500)]
    fn durations_are_milliseconds(#[case] text: &str, #[case] ms: i64) {
        assert_eq!(parse(text), Ok(ms));
    }

    #[rstest]
    #[case("5", "expected a duration")]
    #[case("", "expected a duration")]
    #[case("5 parsecs", "expected a duration")]
    #[case("1mo", "months and years")]
    #[case("10us", "whole milliseconds")]
    #[case("3652500d 1ms", "at most 3652500d")]
    #[case("-90000000h", "at most 3652500d")]
    fn what_is_no_duration_is_refused(#[case] text: &str, #[case] reason: &str) {
        let error = parse(text).unwrap_err();
        assert!(error.contains(reason), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(ms in -LONGEST_DAYS * DAY_MS..=LONGEST_DAYS * DAY_MS) {
            prop_assert_eq!(parse(&show(ms)), Ok(ms));
        }
    }
}
