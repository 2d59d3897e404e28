//! The documents against the program: tables, commands, exit codes, links and worked examples.
//!
//! `PSIREN_UPDATE_DOCS=1 cargo test --test it readme` rewrites the tables of README.md: metrics and
//! alerts as a whole, of the configuration the defaults.

mod commands;
mod config_table;
mod links;
mod tables;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

const README: &str = "README.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The Markdown at the root, and everything under `docs` and `deploy`.
fn documents() -> Vec<PathBuf> {
    let at_the_root = [README, "CHANGELOG.md", "SECURITY.md"];
    let mut documents: Vec<PathBuf> = at_the_root.iter().map(|name| root().join(name)).collect();
    for folder in ["docs", "deploy"] {
        documents.extend(files_below(&root().join(folder), "md"));
    }
    documents
}

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                files.push(path);
            }
        }
    }
    files
}

/// What stands between the markers of `name` in README.md.
fn block(readme: &str, name: &str) -> String {
    let (begin, end) = markers(name);
    let (_, rest) = readme.split_once(&begin).expect(&begin);
    let (block, _) = rest.split_once(&end).expect(&end);
    block.trim().to_owned()
}

fn markers(name: &str) -> (String, String) {
    (
        format!("<!-- {name}:begin -->"),
        format!("<!-- {name}:end -->"),
    )
}

/// Holds the block `name` against `expected`, or rewrites it where that is asked for.
fn expect_block(name: &str, expected: &str) {
    // Tests that rewrite the same file must not do so at once.
    static WRITING: Mutex<()> = Mutex::new(());
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let readme = text(README);
    let found = block(&readme, name);
    if found == expected.trim() {
        return;
    }
    if std::env::var_os("PSIREN_UPDATE_DOCS").is_some() {
        let (begin, end) = markers(name);
        let (before, rest) = readme.split_once(&begin).unwrap();
        let (_, after) = rest.split_once(&end).unwrap();
        let new = format!("{before}{begin}\n\n{}\n\n{end}{after}", expected.trim());
        std::fs::write(root().join(README), new).unwrap();
        return;
    }
    let differs = expected
        .trim()
        .lines()
        .zip(found.lines())
        .find(|(a, b)| a != b);
    panic!(
        "README.md, {name}: not as the program is; run with PSIREN_UPDATE_DOCS=1. First difference (program, file): {differs:#?}"
    );
}

/// The cells of each row of the Markdown tables in `text`, headers and rules left out.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |line: &str| line.starts_with("| ---");
    let kept: Vec<&str> = (0..lines.len())
        .filter(|&i| lines[i].starts_with('|') && !is_rule(lines[i]))
        .filter(|&i| !lines.get(i + 1).is_some_and(|next| is_rule(next)))
        .map(|i| lines[i])
        .collect();
    kept.into_iter().map(|line| {
        let inner = line.trim_start_matches('|').trim_end_matches('|');
        inner.split('|').map(str::trim).collect()
    })
}
