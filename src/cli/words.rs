//! Shares, times, lists and patterns in words. Pure.

use jiff::Timestamp;

use crate::config::durations;

/// `97.1 %` of `of`; `0 %` and `100 %` are exact.
pub(super) fn share(n: u64, of: u64) -> String {
    match n {
        0 => "0 %".to_owned(),
        n if n >= of => "100 %".to_owned(),
        n => format!("{:.1} %", (100.0 * n as f64 / of as f64).clamp(0.1, 99.9)),
    }
}

/// RFC 3339 in UTC, to the second.
pub(super) fn time(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| format!("{ms} ms"),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// How far `ms` is from `now_ms`: `2d 3h ago`, `in 5m`.
pub(super) fn distance(ms: i64, now_ms: i64) -> String {
    match now_ms.saturating_sub(ms) {
        0..1_000 => "now".to_owned(),
        ago @ 1_000.. => format!("{} ago", span(ago)),
        ahead => format!("in {}", span(ahead.saturating_neg())),
    }
}

/// A duration with its two greatest units: `2d 3h`.
pub(super) fn span(ms: i64) -> String {
    let whole = durations::show(if ms >= 1_000 { ms / 1_000 * 1_000 } else { ms });
    let parts: Vec<&str> = whole.split(' ').take(2).collect();
    parts.join(" ")
}

/// `a, b and c`.
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

/// A pattern that matches `name` and nothing else. globset's own does not escape backslashes.
pub(super) fn pattern_of(name: &str) -> String {
    globset::escape(name).replace('\\', "\\\\")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pattern_of_a_name_matches_that_name_only(
            name in "[a-c*?!,{}\\\\\\[\\]^-]{0,8}",
            other in "[a-c*?!,{}\\\\\\[\\]^-]{0,8}",
        ) {
            let glob = globset::Glob::new(&pattern_of(&name)).unwrap().compile_matcher();
            prop_assert!(glob.is_match(&name));
            prop_assert_eq!(glob.is_match(&other), other == name);
        }
    }

    #[test]
    fn shares_never_round_to_none_or_all() {
        assert_eq!(share(0, 10), "0 %");
        assert_eq!(share(1, 100_000), "0.1 %");
        assert_eq!(share(99_999, 100_000), "99.9 %");
        assert_eq!(share(10, 10), "100 %");
    }

    #[test]
    fn distances_have_two_units_and_a_direction() {
        assert_eq!(distance(0, 90_061_000), "1d 1h ago");
        assert_eq!(distance(300_000, 0), "in 5m");
        assert_eq!(distance(5, 10), "now");
    }

    #[test]
    fn lists_read_well() {
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(listed(&names), "a, b and c");
    }
}
