//! The words of the TOML parser in ours: key for field, table for map, the nearest known name.

use super::suggest;

/// `(message, help)` for a message of the `toml` crate or of serde.
pub(super) fn explain(message: &str) -> (String, String) {
    if let Some(rest) = message.strip_prefix("unknown field ") {
        return unknown_key(&quoted(rest));
    }
    if let Some(rest) = message.strip_prefix("unknown variant ") {
        return unknown_choice(&quoted(rest));
    }
    for prefix in ["invalid type: ", "invalid value: "] {
        if let Some((found, expected)) = message
            .strip_prefix(prefix)
            .and_then(|rest| rest.split_once(", expected "))
        {
            return (wrong_type(found, expected), String::new());
        }
    }
    if message.starts_with("duplicate key") {
        return (
            "this key is there twice".to_owned(),
            "keep one of the two".to_owned(),
        );
    }
    if message.starts_with("string values must be quoted") {
        return (
            "found a text without quotes".to_owned(),
            "put it in quotes".to_owned(),
        );
    }
    if message.starts_with("recursion limit") {
        return (
            "tables or lists are nested too deep to be read".to_owned(),
            "config.example.toml shows how deep each key lies".to_owned(),
        );
    }
    let message = message.strip_prefix("invalid type: ").unwrap_or(message);
    (message.replace('\n', ", "), String::new())
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

fn unknown_key(names: &[&str]) -> (String, String) {
    let (found, known) = names.split_first().unwrap_or((&"", &[]));
    let help = match suggest::nearest(found, known.iter().copied()) {
        _ if *found == "log_payloads" => {
            "it belongs at the top of the file, before the first [table]".to_owned()
        }
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known keys here: {}", known.join(", ")),
    };
    (format!("unknown key `{found}`"), help)
}

fn unknown_choice(names: &[&str]) -> (String, String) {
    let (found, known) = names.split_first().unwrap_or((&"", &[]));
    let choices: Vec<String> = known.iter().map(|k| format!("\"{k}\"")).collect();
    let help = match suggest::nearest(found, known.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => String::new(),
    };
    let expected = match choices.as_slice() {
        [one] => one.clone(),
        [one, other] => format!("{one} or {other}"),
        all => format!("one of {}", all.join(", ")),
    };
    (format!("found \"{found}\", expected {expected}"), help)
}

fn wrong_type(found: &str, expected: &str) -> String {
    let expected = match expected {
        "a string" => "a text in quotes",
        "a boolean" => "true or false",
        "f64" => "a number",
        "a sequence" => "a list in square brackets",
        struct_name if struct_name.starts_with("struct ") || struct_name == "a map" => "a table",
        other => other,
    };
    let found = match found {
        "map" => "a table".to_owned(),
        "sequence" => "a list".to_owned(),
        other => other
            .replacen("string ", "text ", 1)
            .replacen("floating point", "number", 1)
            .replace('`', ""),
    };
    format!("found {found}, expected {expected}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_our_types_do_not_show() {
        let (message, _) = explain("invalid type: integer `5`, expected struct RawKafka");
        assert_eq!(message, "found integer 5, expected a table");
    }

    #[test]
    fn an_unknown_key_far_from_all_lists_the_known_ones() {
        let (message, help) = explain("unknown field `zzz`, expected `topic` or `csv`");
        assert_eq!(message, "unknown key `zzz`");
        assert_eq!(help, "known keys here: topic, csv");
    }

    #[test]
    fn what_is_too_deep_is_told_in_words() {
        let deep = format!("[{}]", ["a"; 200].join("."));
        let error = toml::from_str::<toml::Table>(&deep).unwrap_err();
        let (message, help) = explain(error.message());
        assert!(message.contains("nested too deep"), "{message}");
        assert!(!help.is_empty());
    }
}
