//! Holds the sources against the direction of dependencies that `src/lib.rs` states.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Below every edge.
const BELOW: &[&str] = &["config", "drift", "footer", "replace", "text", "unwind"];

/// What each module may import, itself aside. The command line may import everything.
const MAY_IMPORT: [(&str, &[&str]); 17] = [
    ("drift", &[]),
    ("replace", &[]),
    ("text", &[]),
    ("unwind", &[]),
    ("footer", &["unwind"]),
    ("health", &[]),
    ("telemetry", &[]),
    ("config", &["drift", "text"]),
    ("metrics", &["drift", "event"]),
    ("reference", BELOW),
    ("event", BELOW),
    ("source", BELOW),
    ("state", BELOW),
    ("sink", BELOW),
    ("http", &["config", "drift", "text", "health", "metrics"]),
    (
        "monitor",
        &["config", "drift", "event", "reference", "state", "text"],
    ),
    (
        "app",
        &[
            "config", "drift", "event", "health", "http", "metrics", "monitor", "sink", "source",
            "state", "text",
        ],
    ),
];

/// Edges that meet elsewhere than in `drift`: the file or folder, what it names, and why.
const EXCEPTIONS: [(&str, &str, &str); 4] = [
    (
        "src/source/file",
        "crate::event",
        "a Parquet or CSV row gives the same cells as a JSON event, without the detour over JSON",
    ),
    ("src/sink", "crate::state", "a sink reads the report log"),
    (
        "src/http",
        "crate::state",
        "history is read from the report log",
    ),
    (
        "src/http/history.rs",
        "crate::sink::csv::row",
        "history as CSV has the rows of the CSV file",
    ),
];

/// Files and folders that are there for tests only.
const TEST_ONLY: [&str; 4] = ["fixtures", "testing", "simulator", "torture"];

/// One `crate::…` path outside of tests.
struct Import {
    file: PathBuf,
    line: usize,
    path: String,
}

impl Import {
    /// `drift` of `src/drift/psi.rs`, `monitor` of `src/monitor.rs`.
    fn module(&self) -> String {
        let inside = self.file.strip_prefix("src").unwrap();
        let first = inside.iter().next().unwrap();
        let first = Path::new(first).with_extension("");
        first.to_str().unwrap().to_owned()
    }

    fn target(&self) -> &str {
        self.path.split("::").nth(1).unwrap()
    }

    fn exception(&self) -> Option<usize> {
        EXCEPTIONS.iter().position(|(place, named, _)| {
            self.file.starts_with(place) && self.path.starts_with(named)
        })
    }

    fn is_in_direction(&self) -> bool {
        let (module, target) = (self.module(), self.target());
        let may = MAY_IMPORT.iter().find(|(name, _)| *name == module);
        ["lib", "main", "cli", target].contains(&module.as_str())
            || may.is_some_and(|(_, targets)| targets.contains(&target))
    }
}

/// Every Rust file below `folder` that is no test.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_test = name.ends_with("tests") || TEST_ONLY.contains(&name);
        if path.is_dir() && !is_test {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") && !is_test {
            files.push(path);
        }
    }
    files
}

/// The lines of a file that are neither comment nor test, with their numbers.
fn code(file: &Path) -> Vec<(usize, String)> {
    let text = fs::read_to_string(file).unwrap();
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    before_tests
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(i, line)| (i + 1, line.to_owned()))
        .collect()
}

fn imports(file: &Path) -> Vec<Import> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    let mut imports = Vec::new();
    for (line, text) in code(file) {
        for (at, _) in text.match_indices("crate::") {
            let rest = &text[at..];
            imports.push(Import {
                file: file.to_owned(),
                line,
                path: rest.split(|c| !is_path(c)).next().unwrap().to_owned(),
            });
        }
    }
    imports
}

fn all_imports() -> Vec<Import> {
    let files = sources(Path::new("src"));
    files.iter().flat_map(|file| imports(file)).collect()
}

#[test]
fn imports_follow_the_stated_direction() {
    let wrong: Vec<String> = all_imports()
        .iter()
        .filter(|import| !import.is_in_direction() && import.exception().is_none())
        .map(|i| format!("{}:{}: {}", i.file.display(), i.line, i.path))
        .collect();
    assert!(
        wrong.is_empty(),
        "against the direction in src/lib.rs; let the two meet in a type of drift, or in app:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn every_exception_is_still_needed() {
    let used: BTreeSet<usize> = all_imports()
        .iter()
        .filter(|import| !import.is_in_direction())
        .filter_map(Import::exception)
        .collect();
    for (i, (place, named, _)) in EXCEPTIONS.iter().enumerate() {
        assert!(used.contains(&i), "{place} no longer names {named}");
    }
}

#[test]
fn the_core_names_no_other_crate_than_serde() {
    let manifest: toml::Table = fs::read_to_string("Cargo.toml").unwrap().parse().unwrap();
    let crates: Vec<String> = manifest["dependencies"]
        .as_table()
        .unwrap()
        .keys()
        .filter(|name| *name != "serde")
        .map(|name| format!("{}::", name.replace('-', "_")))
        .collect();
    for file in sources(Path::new("src/drift")) {
        for (line, text) in code(&file) {
            let named = crates.iter().find(|name| names(&text, name));
            assert!(
                named.is_none(),
                "{}:{line}: the drift core names {named:?}",
                file.display()
            );
        }
    }
}

/// Whether `text` has `path` as a path of its own: `super::csv::` and `my_csv::` are others.
fn names(text: &str, path: &str) -> bool {
    text.match_indices(path).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':')
    })
}

#[test]
fn every_module_is_on_the_architecture_page() {
    let page = fs::read_to_string("src/lib.rs").unwrap();
    for line in page.lines() {
        let name = line.strip_prefix("pub mod ").or(line.strip_prefix("mod "));
        let name = name.and_then(|n| n.strip_suffix(';'));
        let Some(name) = name.filter(|n| !TEST_ONLY.contains(n)) else {
            continue;
        };
        let row = |cell: String| page.contains(&format!("//! | {cell}"));
        assert!(
            row(format!("[`{name}`]")) || row(format!("`{name}`")),
            "{name} has no row in the table of modules"
        );
        assert!(
            name == "cli" || MAY_IMPORT.iter().any(|(known, _)| *known == name),
            "{name} has no rule for what it may import"
        );
    }
}
