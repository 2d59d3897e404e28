//! What of a topic is read: event time, filters, columns and the first position.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use toml::Spanned;

use super::Resolver;
use crate::config::raw::{RawFilter, RawTimestamp, RawUnit, Typed};
use crate::config::{Filter, FilterTest, StartPosition, TimeUnit, TimestampField, durations};

impl Resolver<'_> {
    pub(super) fn timestamp(&mut self, table: &Spanned<RawTimestamp>) -> Option<TimestampField> {
        let raw = table.get_ref();
        if let Some(zone) = &raw.timezone
            && TimeZone::get(zone.get_ref()).is_err()
        {
            self.faults.add(
                zone.span(),
                format!("found {:?}, which is no known time zone", zone.get_ref()),
                "use a name of the IANA database, such as \"Europe/Berlin\" or \"UTC\"",
            );
        }
        let Some(field) = &raw.field else {
            self.faults.add(
                table.span(),
                "`timestamp` has no `field`",
                "name the event's field, such as timestamp = { field = \"ts\" }; without \
                 `timestamp` the record's own time counts",
            );
            return None;
        };
        Some(TimestampField {
            path: self.event_path(field),
            unit: raw.unit.map(|unit| match unit {
                RawUnit::S => TimeUnit::Seconds,
                RawUnit::Ms => TimeUnit::Milliseconds,
                RawUnit::Us => TimeUnit::Microseconds,
                RawUnit::Ns => TimeUnit::Nanoseconds,
            }),
            timezone: raw.timezone.as_ref().map(|zone| zone.get_ref().clone()),
        })
    }

    pub(super) fn filter(&mut self, table: &Spanned<RawFilter>) -> Option<Filter> {
        let raw = table.get_ref();
        let test = match (&raw.equals, &raw.r#in, &raw.exists) {
            (Some(value), None, None) => Some(FilterTest::In(vec![value.get_ref().clone()])),
            (None, Some(values), None) if !values.get_ref().is_empty() => {
                Some(FilterTest::In(values.get_ref().clone()))
            }
            (None, None, Some(exists)) => Some(FilterTest::Exists(*exists.get_ref())),
            _ => None,
        };
        let (Some(field), Some(test)) = (&raw.field, test) else {
            self.faults.add(
                table.span(),
                "a filter needs a `field` and one of `equals`, `in` (not empty) and `exists`",
                "write it like { field = \"type\", equals = \"scored\" }",
            );
            return None;
        };
        let path = self.event_path(field);
        Some(Filter { path, test })
    }

    pub(super) fn globs(&mut self, raw: Option<&[Spanned<String>]>) -> Option<Vec<String>> {
        let globs = raw?;
        for glob in globs {
            if let Err(error) = globset::Glob::new(glob.get_ref()) {
                self.faults.add(
                    glob.span(),
                    format!(
                        "found {:?}, which is no pattern: {}",
                        glob.get_ref(),
                        error.kind()
                    ),
                    "patterns are like \"dep_*\" or \"{lat,lon}\"",
                );
            }
        }
        Some(globs.iter().map(|g| g.get_ref().clone()).collect())
    }

    pub(super) fn start(&mut self, raw: &Typed<String>) -> StartPosition {
        let Some(typed) = raw else {
            return StartPosition::Earliest;
        };
        start(typed.get_ref()).unwrap_or_else(|| {
            self.faults.add(
                typed.span(),
                format!("found {:?} as the first position", typed.get_ref()),
                "use \"earliest\", \"latest\", \"window\", a time like \"2026-01-31T00:00:00Z\" \
                 or an age like \"7d\"",
            );
            StartPosition::Earliest
        })
    }
}

fn start(text: &str) -> Option<StartPosition> {
    match text {
        "earliest" => return Some(StartPosition::Earliest),
        "latest" => return Some(StartPosition::Latest),
        "window" => return Some(StartPosition::Window),
        _ => {}
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(StartPosition::At {
            ms: time.as_millisecond(),
        });
    }
    let ms = durations::parse(text).ok().filter(|ms| *ms > 0)?;
    Some(StartPosition::Ago { ms })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("latest", StartPosition::Latest)]
    #[case("window", StartPosition::Window)]
    #[case("7d", StartPosition::Ago { ms: 604_800_000 })]
    #[case("1970-01-01T01:00:00+01:00", StartPosition::At { ms: 0 })]
    fn a_first_position_is_a_word_a_time_or_an_age(
        #[case] text: &str,
        #[case] position: StartPosition,
    ) {
        assert_eq!(start(text), Some(position));
    }

    #[rstest]
    #[case("yesterday")]
    #[case("-7d")]
    #[case("2026-01-31T00:00:00")]
    fn other_first_positions_are_refused(#[case] text: &str) {
        assert_eq!(start(text), None);
    }
}
