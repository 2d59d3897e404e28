//! The fenced blocks of the documents.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders whose Markdown is read, besides the files at the root.
const FOLDERS: [&str; 4] = ["deploy", "docs", "fixtures", "grafana"];

pub(crate) struct Block {
    /// The document, by its path from the root.
    pub(crate) document: String,
    /// The heading it stands under.
    pub(crate) section: String,
    /// What stands after the fence.
    pub(crate) language: String,
    pub(crate) text: String,
}

impl Block {
    /// The first line that says something.
    pub(crate) fn first_line(&self) -> &str {
        let lines = self.text.lines().map(str::trim);
        let mut said = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        said.next().unwrap_or_default()
    }

    pub(crate) fn name(&self) -> String {
        format!("{}: {}", self.document, self.first_line())
    }

    pub(crate) fn is_shell(&self) -> bool {
        ["sh", "bash", "shell", "console"].contains(&self.language.as_str())
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every block of every document, in order.
pub(crate) fn all() -> Vec<Block> {
    let mut documents = markdown_in(root(), false);
    for folder in FOLDERS {
        documents.extend(markdown_in(&root().join(folder), true));
    }
    documents.sort();
    documents.iter().flat_map(|file| blocks(file)).collect()
}

fn markdown_in(folder: &Path, below: bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of documents") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && below {
            found.extend(markdown_in(&path, below));
        } else if path.extension().is_some_and(|e| e == "md") {
            found.push(path);
        }
    }
    found
}

fn blocks(file: &Path) -> Vec<Block> {
    let text = fs::read_to_string(file).expect("a document");
    let document = file.strip_prefix(root()).expect("below the root");
    let document = document.display().to_string();
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut section = String::new();
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(language), None) => {
                open = Some(Block {
                    document: document.clone(),
                    section: section.clone(),
                    language: language.trim().to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(block)) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) if line.starts_with('#') => {
                line.trim_start_matches('#').trim().clone_into(&mut section);
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{document}: a block is not closed");
    blocks
}
