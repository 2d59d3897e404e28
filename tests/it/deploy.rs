//! The files for Kubernetes against the program, and against the rules and the dashboard they carry.
//!
//! `PSIREN_UPDATE_DEPLOY=1 cargo test --test it deploy` makes the carried files anew.

mod carried;
mod kustomization;
mod pod;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

const FOLDER: &str = "deploy/kubernetes";

fn text(file: impl AsRef<Path>) -> String {
    let file = file.as_ref();
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The documents of one YAML file under [`FOLDER`].
fn yaml(file: &str) -> Vec<Value> {
    documents(&Path::new(FOLDER).join(file))
}

fn documents(file: &Path) -> Vec<Value> {
    let text = text(file);
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    let documents = documents.map(Value::deserialize).collect::<Result<_, _>>();
    documents.unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Every file below [`FOLDER`].
fn files() -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(FOLDER)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value}"))
}
