//! Lines on standard error.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use super::terminal::FAILED;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// What went wrong.
pub(super) fn error(text: &str) {
    say(FAILED, "error", text);
}

/// What a person should know.
pub(super) fn warning(text: &str) {
    say(WARNING, "warning", text);
}

/// There is nowhere to report that it cannot be written.
fn say(style: Style, level: &str, text: &str) {
    let text = harmless(text);
    let _ = writeln!(anstream::stderr(), "{style}{level}{style:#}: {text}");
}

/// Names come from files and from the network; none of them may command a terminal. Lines stay.
fn harmless(text: &str) -> String {
    let commands = |c: char| c.is_control() && c != '\n' && c != '\t';
    let shown = text
        .chars()
        .map(|c| if commands(c) { '\u{fffd}' } else { c });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_command_the_terminal_and_lines_stay() {
        assert_eq!(harmless("a\u{1b}[2J\n\tb\r"), "a\u{fffd}[2J\n\tb\u{fffd}");
    }
}
