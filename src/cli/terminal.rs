//! How verdicts stand in a terminal: colours, figures, order. Pure; the writer strips the colours
//! where they do not belong.

use std::cmp::Ordering;

use anstyle::{AnsiColor, Style};

use crate::drift::DriftStatus;

pub(super) const TITLE: Style = Style::new().bold();
pub(super) const QUIET: Style = Style::new().dimmed();
pub(super) const OK: Style = AnsiColor::Green.on_default();
pub(super) const FAILED: Style = AnsiColor::Red.on_default().bold();

/// The colour of a verdict, which also stands there in words.
pub(super) fn style(status: DriftStatus) -> Style {
    match status {
        DriftStatus::InsufficientData => QUIET,
        DriftStatus::NoDrift => AnsiColor::Green.on_default(),
        DriftStatus::PossibleDrift => AnsiColor::Yellow.on_default(),
        DriftStatus::LikelyDrift => AnsiColor::Red.on_default().bold(),
    }
}

/// Four decimals, or a dash without a value.
pub(super) fn psi(psi: Option<f64>) -> String {
    psi.map_or_else(|| "–".to_owned(), |psi| format!("{psi:.4}"))
}

/// By status, then by PSI; a feature without a PSI comes first.
pub(super) fn severity(a: (DriftStatus, Option<f64>), b: (DriftStatus, Option<f64>)) -> Ordering {
    let figure = |psi: Option<f64>| psi.unwrap_or(-1.0);
    a.0.cmp(&b.0)
        .then_with(|| figure(a.1).total_cmp(&figure(b.1)))
}

/// Names come from topics and files; control characters would move the cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
    }

    #[test]
    fn the_verdict_goes_before_the_figure() {
        let likely = (DriftStatus::LikelyDrift, Some(0.3));
        let few = (DriftStatus::InsufficientData, Some(9.0));
        let none = (DriftStatus::InsufficientData, None);
        assert_eq!(severity(likely, few), Ordering::Greater);
        assert_eq!(severity(none, few), Ordering::Less);
    }
}
