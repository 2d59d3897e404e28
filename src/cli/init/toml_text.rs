//! TOML as people write it, of names that may hold anything. Pure.

use std::fmt::Write;

/// A basic string, on one line whatever it holds.
pub(super) fn text(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A key, quoted only where it has to be.
pub(super) fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match !name.is_empty() && name.chars().all(bare) {
        true => name.to_owned(),
        false => text(name),
    }
}

/// A path into an event: with dots, or a list where keys hold dots.
pub(super) fn path(keys: &[String]) -> String {
    match keys.iter().any(|key| key.contains('.')) {
        false => text(&keys.join(".")),
        true => list(keys),
    }
}

pub(super) fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|t| text(t)).collect();
    format!("[{}]", texts.join(", "))
}

/// Words for a comment, which ends with its line and holds no control character.
pub(super) fn words(text: &str) -> String {
    let mut words = String::new();
    for c in text.chars() {
        match c.is_control() {
            true => words.extend(c.escape_default()),
            false => words.push(c),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(name in "\\PC*|[\"'\\\\\n\r\t\u{0}\u{7f}\u{85}=#.]*") {
            let line = format!("{} = {} # {}\n", key(&name), text(&name), words(&name));
            let read: toml::Table = line.parse().unwrap();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(read[&name].as_str(), Some(name.as_str()));
        }
    }

    #[test]
    fn a_path_is_a_list_where_keys_hold_dots() {
        let keys = |keys: &[&str]| path(&keys.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>());
        assert_eq!(keys(&["a", "b"]), "\"a.b\"");
        assert_eq!(keys(&["a", "b.c"]), "[\"a\", \"b.c\"]");
    }
}
