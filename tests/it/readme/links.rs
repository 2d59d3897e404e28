//! Links between the documents lead somewhere, the examples in them are accepted, and the PSI worked
//! out by hand is the program's.

use std::path::Path;

use psiren::config::{Config, Environment, Overrides};
use psiren::drift::{Smoothing, psi};

use super::{documents, text};

#[test]
fn links_to_files_lead_to_files() {
    for document in documents() {
        let markdown = std::fs::read_to_string(&document).unwrap();
        for target in markdown.split("](").skip(1) {
            let target = target.split(')').next().unwrap_or_default();
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if path.contains("://") {
                continue;
            }
            let file = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            assert!(file.exists(), "{}: {target}", document.display());
            if !anchor.is_empty() {
                let there = headings(&std::fs::read_to_string(&file).unwrap());
                assert!(
                    there.iter().any(|h| h == anchor),
                    "{}: {target}",
                    document.display()
                );
            }
        }
    }
}

/// The anchors of the headings, as GitHub makes them.
fn headings(markdown: &str) -> Vec<String> {
    let titles = markdown.lines().filter(|line| line.starts_with('#'));
    titles
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.collect::<String>().replace(' ', "-")
        })
        .collect()
}

/// Every TOML block of the documents is a configuration, or a part of one that fits any.
#[test]
fn the_toml_in_the_documents_is_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef").unwrap();
    let mut seen = 0;
    for document in documents() {
        let markdown = std::fs::read_to_string(&document).unwrap();
        for block in markdown.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            let block = files_of(block, &secret);
            let whole = complete(&block);
            let environment: Environment = [("HOSTNAME", "host")].into_iter().collect();
            let path = folder.path().join("psiren.toml");
            if let Err(error) = Config::parse(&whole, &path, &Overrides::from(environment)) {
                panic!("{}:\n{whole}\n{error}", document.display());
            }
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
}

/// `block` with `secret` for each file under /run/secrets.
fn files_of(block: &str, secret: &Path) -> String {
    let mut parts = block.split("\"/run/secrets/");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.split_once('"').map_or("", |(_, rest)| rest);
        out.push_str(&format!("\"{}\"{rest}", secret.display()));
    }
    out
}

fn complete(block: &str) -> String {
    let mut whole = block.to_owned();
    if !block.contains("[monitor.") {
        whole.push_str(
            "\n[monitor.m]\ntopic = 't'\nreference = 'r'\nwindow = { size = '1d', slide = '1d' }\n",
        );
    }
    if !block.contains("bootstrap_servers") {
        whole = match whole.contains("[kafka]\n") {
            true => whole.replacen("[kafka]\n", "[kafka]\nbootstrap_servers = 'localhost'\n", 1),
            false => format!("{whole}\n[kafka]\nbootstrap_servers = 'localhost'\n"),
        };
    }
    whole
}

#[test]
fn the_psi_worked_out_by_hand_is_the_programs() {
    let semantics = text("docs/semantics.md");
    let (reference, production) = ([19_000, 17_582, 15_373, 0], [560, 511, 548, 0]);
    let psi = psi(&reference, &production, Smoothing::Clip(1e-4)).unwrap();
    let shares = psi.reference.iter().zip(&psi.production).zip(&psi.terms);
    for ((p, q), term) in shares {
        let row = format!("| {p:.6} | {q:.6} | {term:.6} |");
        assert!(semantics.contains(&row), "{row}");
    }
    let total = format!("{:.6}", psi.total);
    assert!(semantics.contains(&total), "{total}");
}
