//! RFC 3339 text as programs write it: `2024-05-01T12:00:00.123Z`, `2024-05-01 12:00:00+02:00`.
//!
//! Only these forms are read here. A leap second, other forms and what is no time are left to the
//! calendar library.

/// Milliseconds since the Unix epoch, rounded down; `None` for anything unusual.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    let (instant, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let separators = matches!(
        instant,
        [
            _,
            _,
            _,
            _,
            b'-',
            _,
            _,
            b'-',
            _,
            _,
            b'T' | b' ',
            _,
            _,
            b':',
            _,
            _,
            b':',
            _,
            _
        ]
    );
    if !separators {
        return None;
    }
    let two = |at: usize| digits(&instant[at..at + 2]);
    let (year, month, day) = (digits(&instant[..4])?, two(5)?, two(8)?);
    let (hour, minute, second) = (two(11)?, two(14)?, two(17)?);
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (fraction_ms, offset) = fraction(rest)?;
    let offset_minutes = minutes(offset)?;
    let minutes = (day_number(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    Some((minutes * 60 + second) * 1_000 + fraction_ms)
}

#[inline]
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then_some(number * 10 + i64::from(digit))
    })
}

/// The milliseconds of a fraction of up to nine digits, and what follows it.
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let Some(text) = text.strip_prefix(b".") else {
        return Some((0, text));
    };
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return None;
    }
    let (fraction, rest) = text.split_at(count);
    let read = digits(&fraction[..count.min(3)])?;
    let scale = [1, 100, 10, 1][count.min(3)];
    Some((read * scale, rest))
}

/// `Z`, `+02:00`: minutes east of UTC.
fn minutes(offset: &[u8]) -> Option<i64> {
    let [sign @ (b'+' | b'-'), hours @ .., b':', tens, ones] = offset else {
        return (offset == b"Z").then_some(0);
    };
    if hours.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(&[*tens, *ones])?);
    if hours > 23 || minutes > 59 {
        return None;
    }
    let east = hours * 60 + minutes;
    Some(if *sign == b'-' { -east } else { east })
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar. After Howard Hinnant, "chrono-compatible
/// low-level date algorithms": years begin in March, so that the leap day is their last.
fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1970-01-01T00:00:00Z", 0)]
    #[case("2023-11-14T22:13:20Z", 1_700_000_000_000)]
    #[case("2023-11-14T22:13:20.1Z", 1_700_000_000_100)]
    #[case("2023-11-14 22:13:20.123999999+00:00", 1_700_000_000_123)]
    #[case("2023-11-15T00:13:20+02:00", 1_700_000_000_000)]
    #[case("2024-02-29T00:00:00-00:30", 1_709_166_600_000)]
    fn usual_text_is_read(#[case] text: &str, #[case] ms: i64) {
        assert_eq!(milliseconds(text), Some(ms));
    }

    #[rstest]
    #[case("2023-11-14T22:13:20")]
    #[case("2023-11-14T22:13:60Z")]
    #[case("2023-02-29T22:13:20Z")]
    #[case("2023-11-14t22:13:20z")]
    #[case("2023-11-14T22:13:20.Z")]
    #[case("2023-11-14T22:13:20.1234567890Z")]
    #[case("2023-11-14T22:13:20+2:00")]
    #[case("2023-11-14T22:13:20+02:00[Europe/Paris]")]
    #[case("2023-11-14T22:13:2é")]
    #[case("")]
    fn other_text_is_left_to_the_calendar(#[case] text: &str) {
        assert_eq!(milliseconds(text), None);
    }
}
