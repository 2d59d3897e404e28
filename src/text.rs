//! How numbers and instants are spelt wherever a person or a file reads them. Pure.

use std::fmt::Write;

use jiff::Timestamp;

/// Thousands apart: `1,234,567`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 monitor`, `1,000 records`.
pub(crate) fn counted(n: u64, what: &str) -> String {
    let s = if n == 1 { "" } else { "s" };
    format!("{} {what}{s}", grouped(n))
}

/// RFC 3339 in UTC, with a fraction only where there is one: `2013-03-02T00:00:00Z`; `None` for
/// what is no instant, such as an end of an unbounded window.
pub(crate) fn rfc3339(ms: i64) -> Option<String> {
    Timestamp::from_millisecond(ms).ok().map(|t| t.to_string())
}

/// The text with what stands before an `@` masked where it may be a password, as in
/// `https://user:password@host` or `user:password@host:9092`.
pub(crate) fn without_credentials(text: &str) -> String {
    const BEFORE: &[char] = &[' ', '\t', '"', '\'', '/', ',', '=', '(', '[', '{', '<'];
    let mut shown = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let (head, tail) = rest.split_at(at);
        let start = head.rfind(BEFORE).map_or(0, |i| i + 1);
        let (kept, credentials) = head.split_at(start);
        shown.push_str(kept);
        let hide = credentials.contains(':') || (kept.ends_with("//") && !credentials.is_empty());
        shown.push_str(if hide { "********" } else { credentials });
        shown.push('@');
        rest = &tail[1..];
    }
    shown + rest
}

/// Text for one segment or one value of a URL (RFC 3986, unreserved characters stay).
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => {
                // Writing to a string cannot fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
    }
    encoded
}

/// `dashboard_url` with the monitor chosen; `monitor` is a variable of the dashboard.
pub(crate) fn dashboard_of(dashboard_url: &str, monitor: &str) -> String {
    format!("{dashboard_url}?var-monitor={}", encode(monitor))
}

/// The page at `public_url` with the monitor chosen, and the feature where there is one.
pub(crate) fn page_of(public_url: &str, monitor: &str, feature: Option<&str>) -> String {
    let url = public_url.trim_end_matches('/');
    let feature = feature.map(|feature| format!("&feature={}", encode(feature)));
    format!(
        "{url}/?monitor={}{}",
        encode(monitor),
        feature.unwrap_or_default()
    )
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_values_of_a_url() {
        assert_eq!(
            dashboard_of("https://g.example/d/psiren-drift/psiren", "a/b?ü&"),
            "https://g.example/d/psiren-drift/psiren?var-monitor=a%2Fb%3F%C3%BC%26"
        );
    }

    #[test]
    fn the_page_is_linked_with_what_it_is_to_show() {
        assert_eq!(
            page_of("https://p.example/drift/", "flights", Some("a&b")),
            "https://p.example/drift/?monitor=flights&feature=a%26b"
        );
        assert_eq!(
            page_of("https://p.example", "flights", None),
            "https://p.example/?monitor=flights"
        );
    }

    #[test]
    fn what_stands_before_an_at_is_masked_where_it_may_be_a_password() {
        for (text, shown) in [
            (
                "url = \"https://u:p@h/x\"",
                "url = \"https://********@h/x\"",
            ),
            ("a:1,u:p@b:2", "a:1,********@b:2"),
            ("https://token@h", "https://********@h"),
            ("mail me@example.org", "mail me@example.org"),
            ("é:ü@ñ", "********@ñ"),
            ("nothing", "nothing"),
        ] {
            assert_eq!(without_credentials(text), shown);
        }
    }

    #[test]
    fn thousands_stand_apart() {
        let shown = [0, 999, 1234, 1_234_567].map(grouped);
        assert_eq!(shown, ["0", "999", "1,234", "1,234,567"]);
    }

    #[test]
    fn one_of_a_thing_has_no_plural() {
        assert_eq!(counted(1, "monitor"), "1 monitor");
        assert_eq!(counted(1_234_567, "record"), "1,234,567 records");
    }

    #[test]
    fn instants_are_in_utc_and_what_is_none_has_no_text() {
        let shown = [1_362_182_400_000, 1_362_182_400_250].map(rfc3339);
        let expected = ["2013-03-02T00:00:00Z", "2013-03-02T00:00:00.25Z"];
        assert_eq!(shown, expected.map(|text| Some(text.to_owned())));
        assert_eq!(rfc3339(i64::MIN), None);
    }

    #[test]
    fn each_byte_has_two_digits() {
        assert_eq!(hex(&[0, 10, 255]), "000aff");
    }
}
