//! The nearest known name to one that was misspelt, and which names are secrets.

/// The known name most like `name`, if any is like it at all.
#[must_use]
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ranked(name, known)
        .filter(|(score, _)| *score >= 0.5)
        .map(|(_, name)| name)
}

/// The known name most like `name`, however far.
#[must_use]
pub(super) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ranked(name, known).map(|(_, name)| name)
}

fn ranked<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<(f64, &'a str)> {
    known
        .into_iter()
        .map(|k| (likeness(name, k), k))
        .max_by(|a, b| a.0.total_cmp(&b.0))
}

/// In [0, 1], whatever the case; a name that is part of the other counts as like it.
fn likeness(name: &str, known: &str) -> f64 {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let (name, known) = (plain(name), plain(known));
    let edits = strsim::normalized_damerau_levenshtein(&name, &known);
    let part = name.len() >= 3 && (known.contains(&name) || name.contains(&known));
    if part { edits.max(0.6) } else { edits }
}

/// Whether a key's value must not be shown.
#[must_use]
pub(super) fn is_secret(key: &str) -> bool {
    const ENDINGS: [&str; 9] = [
        "password",
        "passphrase",
        "secret",
        "token",
        "webhook_url",
        "heartbeat_url",
        "key.pem",
        "keystore.pem",
        "sasl.oauthbearer.config",
    ];
    ENDINGS.iter().any(|ending| key.ends_with(ending))
}

/// Whether a key may have been meant to hold a secret, for lines that are shown in errors: a
/// misspelt `pasword` is not to be repeated with its value.
#[must_use]
pub(super) fn looks_secret(key: &str) -> bool {
    const NAMES: [&str; 8] = [
        "password",
        "key_password",
        "token",
        "bearer_token",
        "secret",
        "slack_webhook_url",
        "webhook_url",
        "heartbeat_url",
    ];
    let name = key.rsplit('.').next().unwrap_or(key);
    let alike = |secret: &str| strsim::normalized_damerau_levenshtein(name, secret) >= 0.7;
    let file = name.ends_with("_file");
    is_secret(key) || (!file && (name.contains("webhook") || NAMES.into_iter().any(alike)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_found_or_none() {
        let known = ["topic", "thresholds", "bootstrap_servers"];
        assert_eq!(nearest("tresholds", known), Some("thresholds"));
        assert_eq!(nearest("servers", known), Some("bootstrap_servers"));
        assert_eq!(
            nearest("bootstrap-servers", known),
            Some("bootstrap_servers")
        );
        assert_eq!(nearest("xyz", known), None);
    }
}
