//! Every command the documents show is one that the program takes.

use clap::{CommandFactory, Parser};
use psiren::cli::Cli;

use super::{documents, files_below, root};

/// The lines of shell blocks in Markdown, comments and what follows a pipe left out.
fn shell_lines(markdown: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in markdown.lines() {
        let line = line.trim();
        match line.strip_prefix("```") {
            Some(language) => inside = !inside && ["sh", "bash", "console"].contains(&language),
            None if inside => {
                let line = line.strip_prefix("$ ").unwrap_or(line);
                lines.push(
                    line.split(" #")
                        .next()
                        .unwrap_or_default()
                        .trim()
                        .to_owned(),
                );
            }
            None => {}
        }
    }
    lines
}

/// The arguments of a psiren command; `None` for other commands.
fn arguments(line: &str) -> Option<Vec<&str>> {
    let line = line.split(" | ").next().unwrap_or_default();
    let rest = line
        .strip_prefix("cargo run --release -- ")
        .or_else(|| line.strip_prefix("psiren "))
        .or_else(|| line.strip_prefix("docker compose exec psiren psiren "))?;
    let words = rest
        .split_whitespace()
        .take_while(|word| !word.starts_with(['>', '<']));
    Some(std::iter::once("psiren").chain(words).collect())
}

#[test]
fn every_command_in_a_shell_block_parses() {
    let mut parsed = 0;
    for document in documents() {
        let markdown = std::fs::read_to_string(&document).unwrap();
        for line in shell_lines(&markdown) {
            let Some(arguments) = arguments(&line) else {
                continue;
            };
            if let Err(error) = Cli::try_parse_from(&arguments) {
                let help = matches!(
                    error.kind(),
                    clap::error::ErrorKind::DisplayHelp | clap::error::ErrorKind::DisplayVersion
                );
                assert!(help, "{}: {line}\n{error}", document.display());
            }
            parsed += 1;
        }
    }
    assert!(parsed > 10, "{parsed}");
}

/// In running text a command is named by its words, so the words have to be those of a command. Error
/// texts and comments count as running text.
#[test]
fn every_command_that_is_mentioned_exists() {
    let mut places = documents();
    places.extend(files_below(&root().join("src"), "rs"));
    places.push(root().join("config.example.toml"));
    for document in places {
        let markdown = std::fs::read_to_string(&document).unwrap();
        for span in markdown.split("`psiren ").skip(1) {
            let rest = span.split('`').next().unwrap_or_default();
            let mut command = Cli::command();
            for word in rest.split_whitespace() {
                if command.get_subcommands().next().is_none() || word.starts_with('-') {
                    break;
                }
                let found = command.find_subcommand(word).cloned();
                command = found.unwrap_or_else(|| {
                    panic!("{}: `psiren {rest}` is no command", document.display())
                });
            }
            for flag in rest
                .split_whitespace()
                .filter_map(|word| word.strip_prefix("--"))
            {
                let flag = flag.split('=').next().unwrap_or_default();
                let known = command.get_arguments().any(|a| a.get_long() == Some(flag));
                assert!(
                    known || flag.is_empty(),
                    "{}: `psiren {rest}` has no --{flag}",
                    document.display()
                );
            }
        }
    }
}

/// The commands that show the guarantees run something: the last word is in the name of a test, a
/// module or a file of the target.
#[test]
fn every_command_of_a_guarantee_names_tests_that_exist() {
    let readme = super::text(super::README);
    let commands = readme.split('`').filter_map(|code| {
        let code = code.trim_start_matches("PSIREN_TORTURE=ci ");
        let rest = code.strip_prefix("cargo test --")?;
        let rest = rest.strip_prefix("test ").unwrap_or(rest);
        Some(rest.split_once(' ').unwrap_or((rest, "")))
    });
    let mut checked = 0;
    for (target, filter) in commands {
        let folder = match target {
            "lib" => "src".to_owned(),
            target => format!("tests/{target}"),
        };
        let files = files_below(&root().join(&folder), "rs");
        assert!(!files.is_empty(), "there is no target {target}");
        let wanted = filter.trim_end_matches("::");
        let wanted = wanted.rsplit("::").next().unwrap_or_default();
        let named = files.iter().any(|file| {
            let lines = super::text(file);
            file.file_stem().is_some_and(|stem| stem == wanted)
                || lines.lines().any(|line| {
                    let line = line.trim_start();
                    let is_name = ["fn ", "mod ", "\"", "Case::"];
                    is_name.iter().any(|start| line.starts_with(start)) && line.contains(wanted)
                })
        });
        assert!(named, "{target} has no test for {filter:?}");
        checked += 1;
    }
    assert!(checked >= 20, "{checked} commands");
}

/// A route in running text is one of the interface; a segment stands for a parameter where that has one.
#[test]
fn every_route_that_is_mentioned_exists() {
    let document = serde_json::to_value(psiren::http::openapi::openapi()).unwrap();
    let routes = document["paths"].as_object().unwrap().keys();
    let mut routes: Vec<&str> = routes.map(String::as_str).collect();
    routes.push("/api/v1/openapi.json");
    let is = |route: &str, path: &str| {
        let same = |(a, b): (&str, &str)| a == b || a.starts_with('{');
        route.split('/').count() == path.split('/').count()
            && route.split('/').zip(path.split('/')).all(same)
    };
    let mut mentioned = 0;
    for document in documents() {
        let markdown = std::fs::read_to_string(&document).unwrap();
        for (at, _) in markdown.match_indices("/api/v1/") {
            let ends = |c: char| !(c.is_ascii_alphanumeric() || "/._-{}".contains(c));
            let path = &markdown[at..];
            let path = &path[..path.find(ends).unwrap_or(path.len())];
            let found = routes.iter().any(|route| is(route, path));
            assert!(found, "{}: there is no {path}", document.display());
            mentioned += 1;
        }
    }
    assert!(mentioned > 5, "{mentioned}");
}
