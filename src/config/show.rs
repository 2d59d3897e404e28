//! The effective configuration as TOML, with secrets masked.
//!
//! It can be read again and then means the same, but for the secrets. SASL and TLS appear as the
//! librdkafka options they stand for.

use std::fmt::Write;

use toml::Value;

use super::Config;
use super::entries::{self, Entry};
use crate::text::without_credentials;

/// Stands for a secret; what it hides is not told, not even its length.
const MASK: &str = "********";

impl Config {
    /// This configuration as TOML, every default written out and every secret masked.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        let mut current: Vec<String> = Vec::new();
        for entry in entries::of(self) {
            if entry.table != current {
                if !text.is_empty() {
                    text.push('\n');
                }
                line(&mut text, &format!("[{}]", dotted(&entry.table)));
                current.clone_from(&entry.table);
            }
            line(
                &mut text,
                &format!("{} = {}", dotted(&entry.key), value(&entry)),
            );
        }
        text
    }
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string can always be written to");
}

fn value(entry: &Entry) -> String {
    if entry.secret {
        format!("\"{MASK}\"")
    } else {
        without_credentials(&entry.value.to_string())
    }
}

/// Keys with dots between them, in quotes where they are no bare keys.
pub(super) fn dotted(keys: &[String]) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let keys: Vec<String> = keys
        .iter()
        .map(|key| {
            if !key.is_empty() && key.chars().all(bare) {
                key.clone()
            } else {
                Value::from(key.as_str()).to_string()
            }
        })
        .collect();
    keys.join(".")
}
