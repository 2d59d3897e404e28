//! What stands in the timestamp field → milliseconds since the Unix epoch, rounded down.
//!
//! Numbers are epoch times, their unit given or told by magnitude: below 1e11 seconds, below 1e14
//! milliseconds, below 1e17 microseconds, else nanoseconds; fractions are allowed. Text is RFC 3339
//! with an offset; without one it needs a `timezone`. A number in a string is no time. What lies
//! outside the years 1990 to 2200 is refused: nearly always the unit is not what was thought.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{InvalidRecord, rfc3339};
use crate::config::{TimeUnit, TimestampField};

/// 1990-01-01T00:00:00Z.
const EARLIEST_MS: i64 = 631_152_000_000;
/// 2201-01-01T00:00:00Z, the first instant after 2200.
const AFTER_LATEST_MS: i64 = 7_289_654_400_000;

/// Reads event times by the rules of one timestamp field.
#[derive(Debug, Clone, Default)]
pub struct TimeReader {
    unit: Option<TimeUnit>,
    zone: Option<TimeZone>,
}

impl TimeReader {
    /// A time zone that the system does not know is as none; the configuration refuses it earlier.
    #[must_use]
    pub fn new(field: &TimestampField) -> Self {
        let zone = field.timezone.as_deref();
        Self {
            unit: field.unit,
            zone: zone.and_then(|name| TimeZone::get(name).ok()),
        }
    }

    /// # Errors
    /// [`InvalidRecord::TimestampRange`].
    pub fn integer(&self, number: i128) -> Result<i64, InvalidRecord> {
        let unit = self.unit.unwrap_or_else(|| by_magnitude(number as f64));
        let ms = match unit {
            TimeUnit::Seconds => number.saturating_mul(1_000),
            TimeUnit::Milliseconds => number,
            TimeUnit::Microseconds => number.div_euclid(1_000),
            TimeUnit::Nanoseconds => number.div_euclid(1_000_000),
        };
        i64::try_from(ms)
            .map_err(|_| InvalidRecord::TimestampRange)
            .and_then(in_range)
    }

    /// An instant that needs no reading: milliseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`InvalidRecord::TimestampRange`].
    pub fn milliseconds(ms: i64) -> Result<i64, InvalidRecord> {
        in_range(ms)
    }

    /// An instant that needs no reading: nanoseconds since the Unix epoch.
    ///
    /// # Errors
    /// [`InvalidRecord::TimestampRange`].
    pub fn instant(nanoseconds: i128) -> Result<i64, InvalidRecord> {
        i64::try_from(nanoseconds.div_euclid(1_000_000))
            .map_err(|_| InvalidRecord::TimestampRange)
            .and_then(in_range)
    }

    /// # Errors
    /// [`InvalidRecord::TimestampMissing`] when `number` is not finite,
    /// [`InvalidRecord::TimestampRange`].
    pub fn float(&self, number: f64) -> Result<i64, InvalidRecord> {
        if !number.is_finite() {
            return Err(InvalidRecord::TimestampMissing);
        }
        let ms = match self.unit.unwrap_or_else(|| by_magnitude(number)) {
            TimeUnit::Seconds => number * 1e3,
            TimeUnit::Milliseconds => number,
            TimeUnit::Microseconds => number / 1e3,
            TimeUnit::Nanoseconds => number / 1e6,
        };
        in_range(floor(ms) as i64)
    }

    /// # Errors
    /// [`InvalidRecord::TimestampFormat`], [`InvalidRecord::TimestampOffset`] for text that lacks
    /// only the offset, [`InvalidRecord::TimestampRange`].
    pub fn text(&self, text: &str) -> Result<i64, InvalidRecord> {
        match rfc3339::milliseconds(text).map(in_range) {
            Some(Ok(ms)) => Ok(ms),
            _ => self.any_text(text),
        }
    }

    /// Every form, by way of a calendar that knows them all.
    fn any_text(&self, text: &str) -> Result<i64, InvalidRecord> {
        if let Ok(time) = text.parse::<Timestamp>() {
            return Self::instant(time.as_nanosecond());
        }
        let local: DateTime = text.parse().map_err(|_| InvalidRecord::TimestampFormat)?;
        let zone = self.zone.as_ref().ok_or(InvalidRecord::TimestampOffset)?;
        let time = zone
            .to_timestamp(local)
            .map_err(|_| InvalidRecord::TimestampRange)?;
        Self::instant(time.as_nanosecond())
    }
}

fn by_magnitude(number: f64) -> TimeUnit {
    match number.abs() {
        x if x < 1e11 => TimeUnit::Seconds,
        x if x < 1e14 => TimeUnit::Milliseconds,
        x if x < 1e17 => TimeUnit::Microseconds,
        _ => TimeUnit::Nanoseconds,
    }
}

/// Rounds down, but takes a whole millisecond for whole when binary floating point cannot tell:
/// 1073741824.001 s times 1000 must not lose its millisecond to the last bit.
fn floor(ms: f64) -> f64 {
    let whole = ms.round();
    if (ms - whole).abs() <= whole.abs() * f64::EPSILON {
        whole
    } else {
        ms.floor()
    }
}

fn in_range(ms: i64) -> Result<i64, InvalidRecord> {
    if (EARLIEST_MS..AFTER_LATEST_MS).contains(&ms) {
        Ok(ms)
    } else {
        Err(InvalidRecord::TimestampRange)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const T: i64 = 1_700_000_000_000;

    fn reader(unit: Option<TimeUnit>, timezone: Option<&str>) -> TimeReader {
        TimeReader::new(&TimestampField {
            path: vec!["ts".into()],
            unit,
            timezone: timezone.map(str::to_owned),
        })
    }

    #[rstest]
    #[case(1_700_000_000, T)]
    #[case(1_700_000_000_123, T + 123)]
    #[case(1_700_000_000_123_999, T + 123)]
    #[case(1_700_000_000_123_999_999, T + 123)]
    fn the_unit_of_an_integer_is_told_by_magnitude(#[case] number: i128, #[case] ms: i64) {
        assert_eq!(reader(None, None).integer(number), Ok(ms));
    }

    #[rstest]
    #[case(1_700_000_000.123, T + 123)]
    #[case(1_700_000_000.123_9, T + 123)]
    #[case(1_700_000_000_123.9, T + 123)]
    #[case(1_700_000_000_123_999.5, T + 123)]
    #[case(1.7e18, T)]
    #[case(1.7e9, T)]
    fn fractions_are_rounded_down(#[case] number: f64, #[case] ms: i64) {
        assert_eq!(reader(None, None).float(number), Ok(ms));
    }

    #[test]
    fn whole_milliseconds_survive_as_fractions_of_a_second() {
        for base in [
            1_073_741_824_i64,
            1_099_000_000,
            1_700_000_000,
            7_200_000_000,
        ] {
            for ms in 0..1000 {
                let number: f64 = format!("{base}.{ms:03}").parse().unwrap();
                assert_eq!(reader(None, None).float(number), Ok(base * 1000 + ms));
            }
        }
    }

    #[test]
    fn a_given_unit_overrules_magnitude() {
        let seconds = reader(Some(TimeUnit::Seconds), None);
        assert_eq!(seconds.integer(1_700_000_000), Ok(T));
        let out_of_range = Err(InvalidRecord::TimestampRange);
        assert_eq!(seconds.integer(1_700_000_000_000), out_of_range);
        let milliseconds = reader(Some(TimeUnit::Milliseconds), None);
        assert_eq!(milliseconds.integer(1_700_000_000), out_of_range);
        assert_eq!(milliseconds.integer(1_700_000_000_000), Ok(T));
    }

    #[rstest]
    #[case(-1_700_000_000)]
    #[case(0)]
    #[case(631_151_999)]
    #[case(7_289_654_400)]
    #[case(i128::MAX)]
    #[case(i128::MIN)]
    fn times_before_1990_or_after_2200_are_out_of_range(#[case] number: i128) {
        let out_of_range = Err(InvalidRecord::TimestampRange);
        assert_eq!(reader(None, None).integer(number), out_of_range);
        assert_eq!(reader(None, None).float(number as f64), out_of_range);
    }

    #[test]
    fn the_first_and_last_instants_in_range_are_valid() {
        let reader = reader(None, None);
        assert_eq!(reader.integer(631_152_000), Ok(EARLIEST_MS));
        assert_eq!(
            reader.text("2200-12-31T23:59:59.999Z"),
            Ok(AFTER_LATEST_MS - 1)
        );
        assert_eq!(
            reader.text("1989-12-31T23:59:59.999Z"),
            Err(InvalidRecord::TimestampRange)
        );
    }

    fn near_rfc_3339() -> impl Strategy<Value = String> {
        let date = "(19[89][0-9]|20[0-9]{2}|2200|[0-9]{4})-[01][0-9]-[0-3][0-9]";
        let time = "[012][0-9]:[0-5][0-9]:([0-5][0-9]|60)";
        let rest = "(\\.[0-9]{1,10})?(Z|[+-][01][0-9]:[0-5][0-9]|[+-][0-9]{2}:[0-9]{2})";
        (date, "[T ]", time, rest).prop_map(|(date, t, time, rest)| date + &t + &time + &rest)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn text_is_the_time_that_the_calendar_says(
            text in near_rfc_3339(), at in 0usize..40, other in "[0-9TZ:+., a\\-]|",
        ) {
            let reader = reader(None, None);
            prop_assert_eq!(reader.text(&text), reader.any_text(&text), "{}", text);
            let (before, after) = text.split_at(at.min(text.len()));
            let damaged = format!("{before}{other}{}", after.get(1..).unwrap_or_default());
            prop_assert_eq!(reader.text(&damaged), reader.any_text(&damaged), "{}", damaged);
        }
    }

    #[test]
    fn every_day_in_range_is_the_day_that_the_calendar_says() {
        for year in 1989..=2201 {
            for month in 0..=13 {
                for day in 0..=32 {
                    let text = format!("{year}-{month:02}-{day:02}T12:34:56.789+01:30");
                    let reader = reader(None, None);
                    assert_eq!(reader.text(&text), reader.any_text(&text), "{text}");
                }
            }
        }
    }

    #[rstest]
    #[case("2023-11-14T22:13:20Z", T)]
    #[case("2023-11-14T22:13:20.123999Z", T + 123)]
    #[case("2023-11-15T00:13:20+02:00", T)]
    #[case("2023-11-14 22:13:20-00:00", T)]
    #[case("2023-11-14t22:13:20z", T)]
    fn rfc_3339_text_is_a_time(#[case] text: &str, #[case] ms: i64) {
        assert_eq!(reader(None, None).text(text), Ok(ms));
    }

    #[rstest]
    #[case("2023-11-14T22:13:20")]
    #[case("2023-11-14 22:13:20.5")]
    #[case("2023-11-14")]
    fn text_without_an_offset_needs_a_timezone(#[case] text: &str) {
        let offset = Err(InvalidRecord::TimestampOffset);
        assert_eq!(reader(None, None).text(text), offset);
        assert!(reader(None, Some("UTC")).text(text).is_ok());
    }

    #[test]
    fn a_timezone_serves_text_without_an_offset_only() {
        let reader = reader(None, Some("America/New_York"));
        assert_eq!(reader.text("2023-11-14T17:13:20"), Ok(T));
        assert_eq!(reader.text("2023-11-14T22:13:20Z"), Ok(T));
    }

    #[rstest]
    #[case("1700000000")]
    #[case("")]
    #[case("yesterday")]
    #[case("14/11/2023 22:13")]
    #[case("2023-13-14T22:13:20Z")]
    #[case("NaN")]
    fn other_text_is_no_time(#[case] text: &str) {
        let format = Err(InvalidRecord::TimestampFormat);
        assert_eq!(reader(None, Some("UTC")).text(text), format);
    }
}
