//! psiren on a terminal, which `script` of util-linux provides.

use std::io::Write;
use std::process::{Command, Stdio};

/// What `psiren ARGUMENTS` shows on a terminal of 80 columns, control sequences and all; the arguments
/// need no quotes. `None`, with the reason on stderr, where there is no `script`. Under `CI=true` that
/// is a failure.
pub(crate) fn on_a_terminal(arguments: &str, variables: &[(&str, &str)]) -> Option<String> {
    let psiren = env!("CARGO_BIN_EXE_psiren");
    let command = format!("stty cols 80 && exec '{psiren}' {arguments}");
    let shown = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env_remove("NO_COLOR")
        // These colour whatever the terminal is.
        .env_remove("CI")
        .env_remove("CLICOLOR_FORCE")
        .envs([("SHELL", "/bin/sh"), ("TERM", "xterm-256color")])
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output();
    match shown {
        Ok(shown) => Some(String::from_utf8(shown.stdout).expect("text")),
        Err(error) if std::env::var_os("CI").is_none() => {
            let _ = writeln!(std::io::stderr(), "skipped: script cannot be run: {error}");
            None
        }
        Err(error) => panic!("script cannot be run: {error}; install the package bsdutils"),
    }
}
