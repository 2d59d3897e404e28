//! The help of every command, as people see it.

use clap::{CommandFactory, Parser};
use psiren::cli::Cli;

/// `psiren`, `psiren check`, `psiren reference build` …, each with its long help.
fn collect(command: &clap::Command, name: &str, helps: &mut Vec<(String, String)>) {
    let mut shown = command.clone().bin_name(name).term_width(100);
    // What the variables of whoever runs the tests hold is no part of it.
    shown = shown.mut_args(|argument| argument.hide_env_values(true));
    helps.push((name.to_owned(), shown.render_long_help().to_string()));
    for inner in command.get_subcommands().filter(|c| c.get_name() != "help") {
        collect(inner, &format!("{name} {}", inner.get_name()), helps);
    }
}

#[test]
fn every_command_explains_itself() {
    let mut helps = Vec::new();
    collect(&Cli::command(), "psiren", &mut helps);
    assert!(helps.len() > 10, "{}", helps.len());
    for (name, help) in helps {
        let help: Vec<&str> = help.lines().map(str::trim_end).collect();
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(name.replace(' ', "-"), help.join("\n"));
        });
    }
}

/// The words of an example behind `psiren`; what a shell would do with them is left out.
fn example(line: &str) -> Option<Vec<&str>> {
    let (before, after) = line.trim().split_once("psiren ")?;
    let by_itself = before.is_empty() || before.ends_with("| ") || before.ends_with("debug ");
    let words = after.split_whitespace();
    let words = words.take_while(|word| !["|", ">"].contains(word));
    let all = std::iter::once("psiren").chain(words).collect();
    (line.starts_with("  ") && by_itself).then_some(all)
}

#[test]
fn every_example_is_a_command_the_program_takes() {
    let mut helps = Vec::new();
    collect(&Cli::command(), "psiren", &mut helps);
    let mut without = Vec::new();
    for (name, help) in helps {
        let (_, rest) = help.split_once("Examples:").unwrap_or_default();
        let wide = rest.lines().find(|line| line.chars().count() > 80);
        assert_eq!(wide, None, "{name}: a usual terminal breaks this line");
        let examples: Vec<_> = rest.lines().filter_map(example).collect();
        for words in &examples {
            if let Err(error) = Cli::try_parse_from(words) {
                panic!("{name}: {words:?}\n{error}");
            }
        }
        let is_own = |words: &Vec<&str>| words.join(" ").starts_with(&name);
        assert!(examples.is_empty() || examples.iter().any(is_own), "{name}");
        if examples.is_empty() {
            without.push(name);
        }
    }
    // These have nothing to choose, or the choice is in what they list.
    let expected = [
        "psiren reference",
        "psiren alert",
        "psiren alert test",
        "psiren completions",
        "psiren man",
    ];
    assert_eq!(without, expected);
}

/// An option without a word of explanation helps nobody.
#[test]
fn every_command_has_a_description() {
    fn check(command: &clap::Command) {
        assert!(
            command.get_about().is_some(),
            "{} says nothing",
            command.get_name()
        );
        command.get_subcommands().for_each(check);
    }
    check(&Cli::command());
}

/// `psiren man | head -1` is no failure.
#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    for args in [&["man"][..], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut psiren = std::process::Command::new(env!("CARGO_BIN_EXE_psiren"));
        let status = psiren.args(args).stdout(writer).status().unwrap();
        assert_eq!(status.code(), Some(0), "{args:?}");
    }
}
