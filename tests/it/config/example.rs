//! `config.example.toml` against the program: it parses, its defaults are the defaults, its examples
//! are accepted, and it has every key there is.

use std::collections::BTreeSet;
use std::path::Path;

use psiren::config::{Config, Environment, Overrides};
use toml::{Table, Value};

use super::parse;

const EXAMPLE: &str = include_str!("../../../config.example.toml");

fn read(text: &str, folder: &Path) -> Config {
    let environment: Environment = [("HOSTNAME", "host")].into_iter().collect();
    Config::parse(
        text,
        &folder.join("psiren.toml"),
        &Overrides::from(environment),
    )
    .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// The example with each `#key = value` in force.
fn uncommented() -> String {
    let is_default = |line: &str| {
        let first = line.strip_prefix('#').and_then(|l| l.chars().next());
        first.is_some_and(|c| c.is_ascii_lowercase())
    };
    let lines: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| if is_default(line) { &line[1..] } else { line })
        .collect();
    lines.join("\n")
}

/// The examples after `#>`, as tables of a whole configuration. Lines under no header of their own
/// belong to the table they stand in, one example a line.
fn examples() -> Vec<Table> {
    let mut examples: Vec<String> = Vec::new();
    let mut section = "";
    let mut inside = false;
    for line in EXAMPLE.lines() {
        match line.strip_prefix("#> ") {
            Some(example) if example.starts_with('[') && !inside => {
                examples.push(format!("{example}\n"));
                inside = true;
            }
            Some(example) if inside => examples
                .last_mut()
                .unwrap()
                .push_str(&format!("{example}\n")),
            Some(example) => examples.push(format!("{section}\n{example}\n")),
            None => inside = false,
        }
        if line.starts_with('[') {
            section = line;
        }
    }
    examples
        .iter()
        .map(|text| toml::from_str(text).expect(text))
        .collect()
}

fn merge(base: &mut Table, over: &Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

#[test]
fn the_example_parses_as_it_stands() {
    let config = read(EXAMPLE, Path::new(""));
    assert_eq!(config.monitors[0].name, "flights");
    assert!(config.csv.is_none() && config.receivers.is_empty());
}

#[test]
fn the_configuration_of_the_compose_file_is_accepted() {
    let text = include_str!("../../../fixtures/compose/psiren.toml");
    let config = read(text, Path::new("fixtures/compose"));
    let reference = &config.monitors[0].reference;
    assert_eq!(
        reference,
        Path::new("fixtures/compose/../flights/reference.parquet")
    );
}

#[test]
fn the_defaults_it_shows_are_the_defaults() {
    assert_ne!(uncommented(), EXAMPLE);
    let shown = read(&uncommented(), Path::new("")).to_toml();
    assert_eq!(shown, read(EXAMPLE, Path::new("")).to_toml());
}

/// Every key that is written out in the effective configuration has its default in the example, but
/// for two whose default is no fixed value.
#[test]
fn every_default_is_shown() {
    let defaults: Table = toml::from_str(&read(EXAMPLE, Path::new("")).to_toml()).unwrap();
    let typed: Table = toml::from_str(&uncommented()).unwrap();
    let mut missing = keys(&defaults);
    missing.retain(|key| !keys(&typed).contains(key));
    let depends = ["kafka.instance_id", "monitor.*.notify"].map(str::to_owned);
    assert_eq!(missing, BTreeSet::from(depends));
}

#[test]
fn every_example_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    for secret in ["kafka", "key-password", "token"] {
        std::fs::write(folder.path().join(secret), "0123456789abcdef").unwrap();
    }
    for address in ["slack", "webhook", "heartbeat"] {
        std::fs::write(folder.path().join(address), "https://example.com/a").unwrap();
    }
    let examples = examples();
    assert!(examples.len() > 20, "{}", examples.len());
    let receivers: Table =
        toml::from_str("[notify.oncall]\nslack_webhook_url = 'http://127.0.0.1/'").unwrap();
    for example in examples {
        let mut whole: Table = toml::from_str(EXAMPLE).unwrap();
        if !example.contains_key("notify") {
            merge(&mut whole, &receivers);
        }
        merge(&mut whole, &example);
        let text = toml::to_string(&whole).unwrap();
        let text = text.replace("/run/secrets", &folder.path().to_string_lossy());
        read(&text, folder.path());
    }
}

#[test]
fn it_has_every_key_there_is() {
    let mut shown = keys(&toml::from_str(&uncommented()).unwrap());
    for example in examples() {
        shown.extend(keys(&example));
    }
    let known = known();
    assert!(known.len() > 80, "{known:?}");
    let missing: Vec<_> = known.difference(&shown).collect();
    assert!(missing.is_empty(), "not in the example: {missing:?}");
}

/// Every key the configuration takes, with `*` for names of the user's own.
pub(crate) fn known() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    collect_known("", &mut known);
    known
}

/// The configuration of the example as it is in force, defaults and all.
pub(crate) fn effective() -> Table {
    toml::from_str(&read(EXAMPLE, Path::new("")).to_toml()).unwrap()
}

/// The keys that have no default: those the example sets itself.
pub(crate) fn required() -> BTreeSet<String> {
    let mut required = keys(&toml::from_str(EXAMPLE).unwrap());
    // An empty table.
    required.remove("labels");
    required
}

/// As the error for an unknown one lists them, table by table.
fn collect_known(table: &str, known: &mut BTreeSet<String>) {
    for key in known_in(&header(table)).expect("a table with keys") {
        let path = if table.is_empty() {
            key
        } else {
            format!("{table}.{key}")
        };
        let list = format!("[[{path}]]").replace('*', "x");
        let named = format!("{path}.*");
        if known_in(&header(&path)).is_some() {
            collect_known(&path, known);
        } else if known_in(&header(&named)).is_some() {
            collect_known(&named, known);
        } else if let Some(keys) = known_in(&list) {
            known.extend(keys.into_iter().map(|key| format!("{path}.{key}")));
        } else {
            known.insert(path);
        }
    }
}

fn header(table: &str) -> String {
    if table.is_empty() {
        return String::new();
    }
    format!("[{table}]").replace('*', "x")
}

fn known_in(header: &str) -> Option<Vec<String>> {
    let error = parse(&format!("{header}\nqqqqqqqq = 0")).err()?;
    let known = error.problems()[0]
        .help
        .strip_prefix("known keys here: ")?
        .to_owned();
    Some(known.split(", ").map(str::to_owned).collect())
}

/// The dotted keys of a configuration, with `*` for names of the user's own.
fn keys(table: &Table) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    collect_keys(table, "", &mut keys);
    keys
}

fn collect_keys(table: &Table, path: &str, keys: &mut BTreeSet<String>) {
    let named = ["monitor", "notify", "monitor.*.features"].contains(&path);
    for (key, value) in table {
        let key = if named { "*" } else { key };
        let path = if path.is_empty() {
            key.to_owned()
        } else {
            format!("{path}.{key}")
        };
        match value {
            _ if path == "labels" || path == "kafka.options" => {
                keys.insert(path);
            }
            Value::Table(table) => collect_keys(table, &path, keys),
            Value::Array(list) => {
                for table in list.iter().filter_map(Value::as_table) {
                    collect_keys(table, &path, keys);
                }
                keys.insert(path);
            }
            _ => {
                keys.insert(path);
            }
        }
    }
}
