//! The configuration table: every key there is, each with the default of the program.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

use super::{README, block, expect_block, text};
use crate::config::example;

/// Keys whose default depends on something: the table says so in words.
const IN_WORDS: [&str; 3] = [
    "kafka.instance_id",
    "monitor.*.notify",
    "monitor.*.window.lateness",
];

/// The key of a row under the heading `table`, with `*` for names of the user's own.
fn key(table: &str, cell: &str) -> String {
    let cell = cell.trim_matches('`').replace("[]", "");
    match (table, cell.as_str()) {
        ("", cell) => cell.to_owned(),
        (table, "*") => table.to_owned(),
        (table, cell) => format!("{table}.{cell}"),
    }
}

fn heading(line: &str) -> Option<String> {
    let title = line.strip_prefix("**")?.strip_suffix("**")?;
    let table = title.trim_matches('`').trim_matches(['[', ']']);
    let table = table.replace("NAME", "*").replace("FEATURE", "*");
    Some(if title == "Top level" {
        String::new()
    } else {
        table
    })
}

/// What the table has to say of a key's default, where that is one value.
fn default_of(
    key: &str,
    required: &BTreeSet<String>,
    defaults: &BTreeMap<String, Value>,
) -> Option<String> {
    if IN_WORDS.contains(&key) {
        return None;
    }
    if required.contains(key) {
        return Some("required".to_owned());
    }
    defaults.get(key).map(|value| format!("`{value}`"))
}

#[test]
fn the_configuration_table_has_every_key_with_its_default() {
    let defaults = values(&example::effective(), "");
    let required: BTreeSet<String> = example::required();
    let readme = text(README);
    let mut shown = BTreeSet::new();
    let mut table = String::new();
    let mut lines = Vec::new();
    for line in block(&readme, "config").lines() {
        if let Some(title) = heading(line) {
            table = title;
        }
        let mut cells: Vec<String> = line.split('|').map(|c| c.trim().to_owned()).collect();
        if !line.starts_with("| `") {
            lines.push(line.to_owned());
            continue;
        }
        assert_eq!(cells.len(), 6, "{line}");
        let key = key(&table, &cells[1]);
        assert!(shown.insert(key.clone()), "{key} is there twice");
        if let Some(default) = default_of(&key, &required, &defaults) {
            cells[3] = default;
        }
        assert_ne!(
            cells[3], "?",
            "{key} has no one default: say in words what holds"
        );
        lines.push(format!("| {} |", cells[1..5].join(" | ")).replace("|  |", "| |"));
    }
    let known: BTreeSet<String> = example::known();
    let missing: Vec<_> = known.difference(&shown).collect();
    let unknown: Vec<_> = shown.difference(&known).collect();
    assert!(missing.is_empty(), "not in README.md: {missing:?}");
    assert!(unknown.is_empty(), "no such keys: {unknown:?}");
    expect_block("config", &lines.join("\n"));
}

/// The values of a configuration by dotted key, `*` standing for names.
fn values(table: &Table, path: &str) -> BTreeMap<String, Value> {
    let mut values = BTreeMap::new();
    for (name, value) in table {
        let name = if path == "monitor" { "*" } else { name };
        let key = if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        };
        match value {
            Value::Table(inner) => values.extend(self::values(inner, &key)),
            value => drop(values.insert(key, value.clone())),
        }
    }
    values
}
