//! The checklist as it is printed: one line per check as soon as it is made, details indented.

use std::io::{self, Write};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};

use crate::cli::terminal::{FAILED, OK, QUIET};
use crate::cli::{CONFIG, SURROUNDINGS};
use crate::text::counted;

const WARNING: Style = AnsiColor::Yellow.on_default().bold();

/// Width of the first column.
const LEVEL: usize = 9;

/// What a failure stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blame {
    /// The configuration or a file it names.
    Configuration,
    /// Broker, port, disk.
    Surroundings,
}

pub(super) struct Checklist {
    out: Box<dyn Write>,
    warnings: u64,
    /// Failures of the configuration, of the surroundings.
    failures: [u64; 2],
}

impl Checklist {
    /// `aside`: standard output is wanted for something else.
    pub(super) fn new(aside: bool) -> Self {
        Self::to(match aside {
            false => Box::new(anstream::stdout()),
            true => Box::new(anstream::stderr()),
        })
    }

    fn to(out: Box<dyn Write>) -> Self {
        Self {
            out,
            warnings: 0,
            failures: [0; 2],
        }
    }

    pub(super) fn ok(
        &mut self,
        title: impl AsRef<str>,
        details: impl IntoIterator<Item = String>,
    ) -> Result<()> {
        self.line(OK, "ok", title.as_ref(), details)
    }

    pub(super) fn warning(
        &mut self,
        title: impl AsRef<str>,
        details: impl IntoIterator<Item = String>,
    ) -> Result<()> {
        self.warnings += 1;
        self.line(WARNING, "warning", title.as_ref(), details)
    }

    pub(super) fn failed(
        &mut self,
        blame: Blame,
        title: impl AsRef<str>,
        details: impl IntoIterator<Item = String>,
    ) -> Result<()> {
        self.failures[blame as usize] += 1;
        self.line(FAILED, "failed", title.as_ref(), details)
    }

    /// `ok`, or `warning` where something is worth one.
    pub(super) fn judged(
        &mut self,
        good: bool,
        title: impl AsRef<str>,
        details: impl IntoIterator<Item = String>,
    ) -> Result<()> {
        match good {
            true => self.ok(title, details),
            false => self.warning(title, details),
        }
    }

    /// Prints `text` to standard output as it is.
    pub(super) fn print_aside(&mut self, text: &str) -> Result<()> {
        written(anstream::stdout().write_all(text.as_bytes()))
    }

    fn line(
        &mut self,
        style: Style,
        level: &str,
        title: &str,
        details: impl IntoIterator<Item = String>,
    ) -> Result<()> {
        let mut text = format!("{style}{level:LEVEL$}{style:#}{}\n", clean(title));
        for detail in details {
            for line in detail.lines() {
                text.push_str(&format!("{:LEVEL$}  {QUIET}{}{QUIET:#}\n", "", clean(line)));
            }
        }
        written(
            self.out
                .write_all(text.as_bytes())
                .and_then(|()| self.out.flush()),
        )
    }

    /// Sums up.
    pub(super) fn finish(mut self) -> Result<ExitCode> {
        let failures = self.failures.iter().sum::<u64>();
        let warnings = match self.warnings {
            0 => String::new(),
            n => format!(", {}", counted(n, "warning")),
        };
        let words = match failures {
            0 => format!("\n{OK}nothing failed{OK:#}{warnings}\n"),
            n => format!("\n{FAILED}{n} failed{FAILED:#}{warnings}\n"),
        };
        written(self.out.write_all(words.as_bytes()))?;
        Ok(match self.failures {
            [0, 0] => ExitCode::SUCCESS,
            [0, _] => ExitCode::from(SURROUNDINGS),
            _ => ExitCode::from(CONFIG),
        })
    }
}

/// Names come from files and from the network; none of them may command a terminal.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

/// A reader that closes the pipe has seen enough; the exit code still counts.
fn written(result: io::Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write the checklist"),
    }
}
