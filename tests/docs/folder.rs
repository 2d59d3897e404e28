//! The folder a block runs in, with the files it names.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::blocks::{self, Block, root};

/// What the documents call the user's own files, and what stands in for them.
const STAND_INS: [(&str, &str); 6] = [
    ("training.parquet", "fixtures/flights/reference.parquet"),
    ("reference.parquet", "fixtures/flights/reference.parquet"),
    ("last-week.parquet", "fixtures/flights/production.parquet"),
    (
        "last-quarter.parquet",
        "fixtures/flights/production.parquet",
    ),
    ("events.ndjson.gz", "fixtures/flights/production.ndjson.gz"),
    ("fixtures", "fixtures"),
];

/// A new folder for `block`: its files, `psiren.toml` as README.md has it, and its reference, unless the block makes
/// them itself.
pub(crate) fn of(block: &Block) -> TempDir {
    let folder = with_stand_ins();
    if block.text.contains("deploy/") {
        copy(&root().join("deploy"), &folder.path().join("deploy"));
    }
    if !block.text.contains("psiren init") {
        fs::write(folder.path().join("psiren.toml"), configuration()).expect("a configuration");
    }
    if !block.text.contains("--output reference.json") {
        build_reference(folder.path());
    }
    folder
}

pub(crate) fn with_stand_ins() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, file) in STAND_INS {
        symlink(root().join(file), folder.path().join(name)).expect("a link");
    }
    folder
}

/// A copy, because blocks write there.
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).expect("a copy");
        }
    }
}

/// The whole configuration of README.md.
fn configuration() -> String {
    let mut blocks = blocks::all().into_iter();
    let whole = blocks.find(|block| {
        block.document == "README.md"
            && block.language == "toml"
            && block.text.contains("[monitor.")
    });
    whole.expect("README.md has a whole configuration").text
}

fn build_reference(folder: &Path) {
    let built = Command::new(env!("CARGO_BIN_EXE_psiren"))
        .args(["reference", "build", "training.parquet"])
        .args(["--timestamp", "ts", "--output", "reference.json"])
        .current_dir(folder)
        .output()
        .expect("psiren starts");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
}
