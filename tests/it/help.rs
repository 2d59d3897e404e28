//! The help of every command, as people see it.

use clap::CommandFactory;
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
