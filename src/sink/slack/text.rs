//! Text that is safe in Slack markup, and figures as people read them.
//!
//! Escaping: <https://docs.slack.dev/messaging/formatting-message-text#escaping>.

use jiff::Timestamp;

/// Characters a name may have before it is cut.
const NAME: usize = 80;

/// `text` without control characters, at most `limit` characters after `& < >` are escaped; a
/// longer one ends in `…`.
pub(super) fn escaped(text: &str, limit: usize) -> String {
    let mut out = String::new();
    let mut len = 0;
    for c in text.chars().filter(|c| !is_unwelcome(*c)) {
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            _ => "",
        };
        let width = piece.len().max(1);
        if len + width > limit {
            while len + 1 > limit {
                len -= pop(&mut out);
            }
            out.push('…');
            return out;
        }
        len += width;
        match piece {
            "" => out.push(c),
            _ => out.push_str(piece),
        }
    }
    out
}

/// A name of a monitor, feature or category.
pub(super) fn name(text: &str) -> String {
    escaped(text, NAME)
}

/// Control characters, and those that turn the direction of text around.
fn is_unwelcome(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Takes the last character off, an escaped one as a whole; gives its width.
fn pop(out: &mut String) -> usize {
    for entity in ["&amp;", "&lt;", "&gt;"] {
        if out.ends_with(entity) {
            out.truncate(out.len() - entity.len());
            return entity.len();
        }
    }
    out.pop();
    1
}

/// `19 %`, `4.2 %`, `<0.1 %`.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.1 {
        return "&lt;0.1 %".to_owned();
    }
    let digits = usize::from(percent < 10.0);
    let text = format!("{percent:.digits$}");
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

/// An instant that Slack shows in each reader's own time zone, with seconds where there are any:
/// `<!date^1362182400^{date_num} {time}|2013-03-02 00:00 UTC>`; what stands behind the bar is for
/// clients that cannot. Slack knows no instant before 1970; such a one is text in UTC.
///
/// <https://docs.slack.dev/messaging/formatting-message-text#date-formatting>
pub(super) fn time(ms: i64) -> String {
    let (utc, local) = match ms.rem_euclid(60_000) {
        0 => ("%Y-%m-%d %H:%M UTC", "{date_num} {time}"),
        _ => ("%Y-%m-%d %H:%M:%S UTC", "{date_num} {time_secs}"),
    };
    let Ok(instant) = Timestamp::from_millisecond(ms) else {
        return "?".to_owned();
    };
    let utc = instant.strftime(utc);
    match instant.as_second() {
        ..0 => utc.to_string(),
        seconds => format!("<!date^{seconds}^{local}|{utc}>"),
    }
}

/// `45 s`, `15 min`, `2 h 3 min`, `3 d 4 h`: the two largest units.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let first = units.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let shown: Vec<String> = units[first..]
        .iter()
        .take(2)
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n} {unit}"))
        .collect();
    match shown.is_empty() {
        true => "0 s".to_owned(),
        false => shown.join(" "),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn markup_and_control_characters_are_made_harmless() {
        assert_eq!(escaped("<!channel>\u{7}&\n", 80), "&lt;!channel&gt;&amp;");
        assert_eq!(escaped("a\u{202e}b", 80), "ab");
    }

    #[test]
    fn figures_read_as_people_write_them() {
        let shown = [0.0, 0.000_01, 0.042, 0.0999, 0.1, 0.194, 1.0].map(percent);
        assert_eq!(
            shown,
            ["0 %", "&lt;0.1 %", "4.2 %", "10 %", "10 %", "19 %", "100 %"]
        );
        let spans = [0.0, 45.0, 900.0, 7380.0, 86_400.0, 273_600.0].map(duration);
        assert_eq!(
            spans,
            ["0 s", "45 s", "15 min", "2 h 3 min", "1 d", "3 d 4 h"]
        );
    }

    #[test]
    fn instants_are_shown_in_the_time_zone_of_the_reader() {
        let shown = [1_362_182_400_000, 1_362_182_401_500, -60_000, i64::MAX].map(time);
        let expected = [
            "<!date^1362182400^{date_num} {time}|2013-03-02 00:00 UTC>",
            "<!date^1362182401^{date_num} {time_secs}|2013-03-02 00:00:01 UTC>",
            "1969-12-31 23:59 UTC",
            "?",
        ];
        assert_eq!(shown, expected);
    }

    proptest! {
        #[test]
        fn an_escaped_text_keeps_its_limit_and_whole_entities(text in "[a&<>é]{0,40}", limit in 1usize..30) {
            let out = escaped(&text, limit);
            prop_assert!(out.chars().count() <= limit);
            let rest = out.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
            prop_assert!(!rest.contains(['&', '<', '>']));
        }
    }
}
