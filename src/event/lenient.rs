//! JSON as Python writes it: `NaN`, `Infinity` and `-Infinity`, and numbers beyond `f64` such as
//! `1e999`, read as null.
//!
//! Only these tokens, outside strings, are touched; the rest stays as it is and is judged by the
//! parser.

/// The whole of an event's payload, for a look at what it holds; `None` when it is no JSON. What is
/// counted is read by the [`Extractor`](super::Extractor), with the same leniency.
#[must_use]
pub fn whole(payload: &[u8]) -> Option<serde_json::Value> {
    let text = std::str::from_utf8(payload).ok()?;
    let mut lenient = String::new();
    serde_json::from_str(text).ok().or_else(|| {
        let null = replace(text, &mut lenient);
        null.then(|| serde_json::from_str(&lenient).ok())?
    })
}

/// Copies `text` to `out` with those tokens replaced by `null`. False when there were none.
pub(super) fn replace(text: &str, out: &mut String) -> bool {
    out.clear();
    let mut rest = text;
    let mut replaced = false;
    while !rest.is_empty() {
        let (token, null) = next_token(rest);
        let (token, after) = rest.split_at(token);
        out.push_str(if null { "null" } else { token });
        replaced |= null;
        rest = after;
    }
    replaced
}

/// Length in bytes (> 0) of the token that `text` starts with, and whether it is to be null.
fn next_token(text: &str) -> (usize, bool) {
    for word in ["NaN", "Infinity", "-Infinity"] {
        if text.starts_with(word) {
            return (word.len(), true);
        }
    }
    let bytes = text.as_bytes();
    match bytes[0] {
        b'"' => (string_len(bytes), false),
        b'-' | b'0'..=b'9' => {
            let len = number_len(bytes);
            let beyond = is_json_number(&bytes[..len])
                && text[..len].parse::<f64>().is_ok_and(f64::is_infinite);
            (len, beyond)
        }
        _ => {
            let plain = |c: char| !matches!(c, '"' | '-' | '0'..='9' | 'N' | 'I');
            let first = text.chars().next().map_or(1, char::len_utf8);
            let more = text[first..].find(|c| !plain(c));
            (more.map_or(text.len(), |n| first + n), false)
        }
    }
}

/// Length of the string that starts with the quote at 0, or all of it when it does not end.
fn string_len(bytes: &[u8]) -> usize {
    let mut i = 1;
    while let Some(byte) = bytes.get(i) {
        match byte {
            b'"' => return i + 1,
            b'\\' => i += 2,
            _ => i += 1,
        }
    }
    // A backslash at the very end must not step over it.
    bytes.len()
}

/// Length of the run that can belong to one number; a `-` only where JSON allows it.
fn number_len(bytes: &[u8]) -> usize {
    let mut len = 1;
    while let Some(byte) = bytes.get(len) {
        let exponent = matches!(bytes[len - 1], b'e' | b'E');
        match byte {
            b'0'..=b'9' | b'.' | b'e' | b'E' => len += 1,
            b'+' | b'-' if exponent => len += 1,
            _ => break,
        }
    }
    len
}

/// RFC 8259: `-? (0 | [1-9][0-9]*) (\. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
fn is_json_number(bytes: &[u8]) -> bool {
    let digits = |s: &[u8]| s.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut rest = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest[0] == b'0') {
        return false;
    }
    rest = &rest[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let signed = exponent
            .strip_prefix(b"-")
            .or_else(|| exponent.strip_prefix(b"+"));
        let exponent = signed.unwrap_or(exponent);
        let count = digits(exponent);
        if count == 0 {
            return false;
        }
        rest = &exponent[count..];
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn lenient(text: &str) -> (bool, String) {
        let mut out = String::new();
        (replace(text, &mut out), out)
    }

    #[rstest]
    #[case(r#"{"a":NaN}"#, r#"{"a":null}"#)]
    #[case(
        r#"{"a": [Infinity,-Infinity , 1e999,-1E+999]}"#,
        r#"{"a": [null,null , null,null]}"#
    )]
    #[case(r#"{"NaN":"\"NaN","b":NaN}"#, r#"{"NaN":"\"NaN","b":null}"#)]
    #[case(r#"{"é":"\\","b":NaN}"#, r#"{"é":"\\","b":null}"#)]
    fn python_tokens_outside_strings_become_null(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(lenient(text), (true, expected.to_owned()));
    }

    #[rstest]
    #[case(r#"{"a":1.e999}"#)]
    #[case(r#"{"a":01e999}"#)]
    #[case(r#"{"a":1e308}"#)]
    #[case(r#"{"a":"1e999"}"#)]
    #[case(r#"{"a":"NaN"}"#)]
    #[case(r#"{"a":nan}"#)]
    #[case(r#"{"a":inf}"#)]
    #[case(r#"{"a":"unended NaN\"#)]
    #[case("")]
    fn anything_else_stays_as_it_is(#[case] text: &str) {
        assert_eq!(lenient(text), (false, text.to_owned()));
    }

    proptest! {
        #[test]
        fn text_without_such_tokens_is_copied(text in "[a-zA-HO-Z0-9\"\\\\ {}:,é-]{0,40}") {
            prop_assume!(!text.contains('e') && !text.contains('E'));
            prop_assert_eq!(lenient(&text), (false, text));
        }

        /// Python's tokens in the place of nulls read as these nulls.
        #[test]
        fn only_the_tokens_change(
            items in prop::collection::vec(
                prop::sample::select(vec!["null", "1", "-2.5e3", "\"NaN\"", "\"\\\\\"", "\"-1e999\\\"\""]),
                0..8,
            ),
            token in prop::sample::select(vec!["NaN", "Infinity", "-Infinity", "1e999", "-2E400"]),
        ) {
            let expected = format!("[{}]", items.join(","));
            let python: Vec<&str> = items.iter()
                .map(|i| if *i == "null" { token } else { i }).collect();
            let (_, read) = lenient(&format!("[{}]", python.join(",")));
            prop_assert_eq!(read, expected);
        }
    }
}
