//! Configuration text: a configuration that can be shown and read again, or an error that has a
//! place and words and none of the secrets.

use std::path::Path;

use psiren::config::{Config, ConfigError, Environment, Overrides};

/// Stands for a secret in the inputs.
const CANARY: &str = "canary-0123456789";

/// What the program writes in a secret's place.
const MASK: &str = "\"********\"";

pub fn judge(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match read(text, "psiren.toml") {
        Ok(config) => judge_accepted(&config, text),
        Err(error) => judge_refused(&error, text),
    }
}

fn read(text: &str, path: &str) -> Result<Config, ConfigError> {
    let environment: Environment = [("HOSTNAME", "host")].into_iter().collect();
    Config::parse(text, Path::new(path), &Overrides::from(environment))
}

fn judge_accepted(config: &Config, text: &str) {
    let shown = config.to_toml();
    assert!(!is_only_secret(text) || !shown.contains(CANARY), "{shown}");
    if text.contains("***") {
        return;
    }
    let again = read(&unmasked(&shown), "psiren.toml")
        .unwrap_or_else(|error| panic!("what is shown is refused: {error}"));
    assert_eq!(again.to_toml(), shown);
    let changed: Vec<_> = Config::changes(config, &again)
        .into_iter()
        .filter(|change| !shown.contains(&format!("{} = {MASK}", last(&change.key))))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}

fn last(key: &str) -> &str {
    // An option's key is quoted for its dots.
    match key.strip_suffix('"').and_then(|rest| rest.rfind('"')) {
        Some(quote) => &key[quote..],
        None => key.rsplit('.').next().unwrap_or(key),
    }
}

/// With secrets that are accepted in the place of the masks.
fn unmasked(shown: &str) -> String {
    let mut shown = shown.to_owned();
    // Of `slack_webhook_url`, too.
    for key in ["webhook_url", "heartbeat_url"] {
        let address = format!("{key} = \"https://127.0.0.1/\"");
        shown = shown.replace(&format!("{key} = {MASK}"), &address);
    }
    shown.replace(MASK, "\"0123456789abcdef\"")
}

fn judge_refused(error: &ConfigError, text: &str) {
    assert!(!error.problems().is_empty());
    let lines: Vec<&str> = text.split('\n').collect();
    for problem in error.problems() {
        assert!(!problem.message.is_empty());
        match &problem.place {
            // What is absent is nowhere, and the parser does not say where it gave up.
            None => assert!(!problem.help.is_empty(), "{problem:?}"),
            Some(place) => {
                let line = lines.get(place.line - 1).expect("a line of the text");
                let end = line.chars().count() + 1;
                assert!((1..=end).contains(&place.column), "{problem:?}");
                assert!(place.width >= 1, "{problem:?}");
            }
        }
    }
    let shown = error.to_string();
    assert!(shown.starts_with("psiren.toml"), "{shown}");
    assert!(!is_only_secret(text) || !shown.contains(CANARY), "{shown}");
}

/// Whether the canary stands where secrets do, in lines of their own, and nowhere else.
fn is_only_secret(text: &str) -> bool {
    let of_secret = |line: &str| {
        let key = line.split('=').next().unwrap_or_default().trim();
        let named = [
            "token",
            "password",
            "slack_webhook_url",
            "webhook_url",
            "heartbeat_url",
            "bearer_token",
            "key_password",
        ]
        .contains(&key);
        named && line.matches('=').count() == 1
    };
    let plain = !text.contains("\"\"\"") && !text.contains("'''") && !text.contains("[labels");
    plain
        && text
            .lines()
            .filter(|line| line.contains(CANARY))
            .all(of_secret)
}
