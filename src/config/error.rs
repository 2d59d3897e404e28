//! Errors in a configuration, shown as: file, line, column, the line, a caret, what to do.
//!
//! Lines that hold a secret are shown without its value; the text of the file is not kept.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{serde_text, suggest};
use crate::text::without_credentials;

/// Byte range in the file.
pub(super) type Span = Range<usize>;

const MASK: &str = "\"********\"";

/// Something wrong, not yet put in its place.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) span: Option<Span>,
    pub(super) message: String,
    pub(super) help: String,
}

/// What was found wrong so far; collected, so that one run names all.
#[derive(Debug, Default)]
pub(super) struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// `span: None` for what is wrong outside the file.
    pub(super) fn add(
        &mut self,
        span: impl Into<Option<Span>>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.0.push(Fault {
            span: span.into(),
            message: message.into(),
            help: help.into(),
        });
    }
}

/// A configuration that cannot be used: every problem found, in the order of the file.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    file: PathBuf,
    problems: Vec<Problem>,
}

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
    /// `None` when it lies outside the file, as in the environment.
    pub place: Option<Place>,
}

/// A place in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line, its secrets masked.
    pub text: String,
    /// How many characters are marked, at least 1.
    pub width: usize,
}

impl ConfigError {
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The file the problems are in, as it was named.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn unreadable(file: &Path, error: &std::io::Error) -> Self {
        let problem = Problem {
            message: format!("cannot read the configuration: {error}"),
            help: "name the file with --config; config.example.toml is one to start from"
                .to_owned(),
            place: None,
        };
        Self::single(file, problem)
    }

    pub(super) fn single(file: &Path, problem: Problem) -> Self {
        Self {
            file: file.to_owned(),
            problems: vec![problem],
        }
    }

    pub(super) fn from_toml(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let (message, help) = serde_text::explain(error.message());
        let span = error.span();
        Self::new(
            file,
            text,
            Faults(vec![Fault {
                span,
                message,
                help,
            }]),
        )
    }

    pub(super) fn new(file: &Path, text: &str, Faults(mut faults): Faults) -> Self {
        faults.sort_by_key(|f| f.span.as_ref().map_or(usize::MAX, |s| s.start));
        let problems = faults
            .into_iter()
            .map(|fault| Problem {
                place: fault.span.map(|span| Place::of(text, &span)),
                message: fault.message,
                help: fault.help,
            })
            .collect();
        Self {
            file: file.to_owned(),
            problems,
        }
    }
}

impl Place {
    fn of(text: &str, span: &Span) -> Self {
        let start = floor_boundary(text, span.start);
        let from = text[..start].rfind('\n').map_or(0, |i| i + 1);
        let to = text[start..].find('\n').map_or(text.len(), |i| start + i);
        let line = text[from..to].trim_end_matches('\r');
        let end = floor_boundary(text, span.end).clamp(start, from + line.len().max(start - from));
        let (shown, mask_at) = mask(line);
        let mut column = text[from..start].chars().count();
        let mut width = text[start..end].chars().count();
        if let Some(mask_at) = mask_at {
            column = column.min(mask_at);
            width = width.min(shown.chars().count() - column);
        }
        Self {
            line: text[..from].matches('\n').count() + 1,
            column: column + 1,
            text: shown,
            width: width.max(1),
        }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The line without what follows the name of a secret, and the column where the mask begins.
fn mask(line: &str) -> (String, Option<usize>) {
    let cut = line
        .match_indices('=')
        .map(|(at, _)| at)
        .find(|&at| suggest::looks_secret(last_word(&line[..at])))
        .map(|at| at + 1)
        .or_else(|| secret_without_equals(line));
    match cut {
        Some(cut) => {
            let space = line[cut..].len() - line[cut..].trim_start().len();
            let kept = &line[..cut + space];
            let column = kept.chars().count();
            (format!("{kept}{MASK}"), Some(column))
        }
        None => {
            let shown = without_credentials(line);
            let same = line.chars().zip(shown.chars()).take_while(|(a, b)| a == b);
            let mask_at = same.count();
            let masked = (shown != line).then_some(mask_at);
            (shown, masked)
        }
    }
}

fn last_word(text: &str) -> &str {
    let text = text.trim_end().trim_end_matches(['"', '\'']);
    let from = text
        .rfind(|c: char| !(c.is_alphanumeric() || "_.-".contains(c)))
        .map_or(0, |i| {
            i + text[i..].chars().next().map_or(1, char::len_utf8)
        });
    &text[from..]
}

/// `password hunter2`, where the `=` was forgotten.
fn secret_without_equals(line: &str) -> Option<usize> {
    let start = line.len() - line.trim_start().len();
    let end = line[start..]
        .find(|c: char| !(c.is_alphanumeric() || "_.-\"'".contains(c)))
        .map_or(line.len(), |i| start + i);
    suggest::looks_secret(last_word(&line[start..end])).then_some(end)
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write_problem(f, &self.file, problem)?;
        }
        Ok(())
    }
}

fn write_problem(f: &mut fmt::Formatter, file: &Path, problem: &Problem) -> fmt::Result {
    write!(f, "{}", file.display())?;
    let Some(place) = &problem.place else {
        write!(f, ": {}", problem.message)?;
        return write_help(f, 1, &problem.help);
    };
    let Place {
        line,
        column,
        text,
        width,
    } = place;
    let margin = line.to_string().len();
    // Tabs stay tabs, so that the caret stands below its text whatever their width.
    let indent: String = text
        .chars()
        .take(column - 1)
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    writeln!(f, ":{line}:{column}: {}", problem.message)?;
    writeln!(f, "{:margin$} |", "")?;
    writeln!(f, "{line} | {text}")?;
    write!(f, "{:margin$} | {indent}{}", "", "^".repeat(*width))?;
    write_help(f, margin, &problem.help)
}

fn write_help(f: &mut fmt::Formatter, margin: usize, help: &str) -> fmt::Result {
    if help.is_empty() {
        return Ok(());
    }
    write!(f, "\n{:margin$} = {help}", "")
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("password = \"hunter2\"")]
    #[case("password hunter2")]
    #[case("  token=hunter2")]
    #[case("\"sasl.password\" = 'hunter2'")]
    #[case("sasl = { username = 'u', password = 'hunter2' }")]
    #[case("slack_webhook_url = \"https://hunter2\"")]
    #[case("public_url = \"https://user:hunter2@h\"")]
    #[case("bootstrap_servers = \"a:1,user:hunter2@h:9092\"")]
    fn no_line_shows_a_secret(#[case] line: &str) {
        assert!(!mask(line).0.contains("hunter2"), "{}", mask(line).0);
    }

    #[test]
    fn the_name_of_a_secret_file_is_shown() {
        let line = "password_file = \"/run/secrets/kafka\"";
        assert_eq!(mask(line), (line.to_owned(), None));
    }

    #[rstest]
    #[case("token=\"abc\"\n", 7)]
    #[case("token =  \"abc\"\n", 10)]
    fn a_caret_stands_below_the_mask(#[case] text: &str, #[case] column: usize) {
        let at = text.find('"').unwrap();
        let place = Place::of(text, &(at..at + 5));
        assert_eq!((place.column, place.width), (column, 5));
        assert_eq!(place.text.find(MASK), Some(at));
    }

    #[test]
    fn columns_count_characters() {
        let text = "a = 1\nµ = \"ü\" x\n";
        let at = text.find('x').unwrap();
        let place = Place::of(text, &(at..at + 1));
        assert_eq!((place.line, place.column, place.width), (2, 9, 1));
    }

    #[test]
    fn a_span_over_several_lines_is_marked_on_its_first() {
        let text = "a = [\n1,\n]\r\n";
        let place = Place::of(text, &(4..10));
        assert_eq!((place.line, place.column, place.width), (1, 5, 1));
        let end = Place::of(text, &(text.len()..text.len()));
        assert_eq!((end.line, end.width), (4, 1));
    }
}
