//! How verdicts stand in a terminal: colours, figures, order, widths, bars. Pure but for the question
//! how wide the terminal is; the writer strips the colours where they do not belong.

use std::cmp::Ordering;
use std::io::IsTerminal;

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

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

/// Columns of the terminal that standard output is; `None` when it is none.
pub(super) fn columns() -> Option<usize> {
    let out = std::io::stdout();
    let size = out
        .is_terminal()
        .then(|| rustix::termios::tcgetwinsize(&out).ok());
    let columns = size.flatten().map(|size| usize::from(size.ws_col));
    columns.filter(|columns| *columns > 0)
}

/// Columns that `text` takes: two for a wide character, none for one that combines.
pub(super) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` with what fills it up to `columns`.
pub(super) fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", fill(text, columns))
}

/// `text` behind what fills it up to `columns`.
pub(super) fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", fill(text, columns))
}

fn fill(text: &str, columns: usize) -> String {
    " ".repeat(columns.saturating_sub(width(text)))
}

/// `text` in at most `columns`, with an ellipsis where something was cut.
pub(super) fn shortened(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = columns.saturating_sub(1);
    let fits = |c: &char| {
        let wide = c.width().unwrap_or(0);
        let fits = wide <= left;
        left = left.saturating_sub(wide);
        fits
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

/// `share` of a bar of `longest` columns, in eighths of a column; a share above 0 shows.
pub(super) fn bar(share: f64, longest: f64) -> String {
    let eighths = ((share * longest * 8.0).round() as usize).max(usize::from(share > 0.0));
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8]);
    bar
}

/// One column for each share, as high as the share is of `greatest`; a dot for one of 0.
pub(super) fn columns_of(shares: &[f64], greatest: f64) -> String {
    let column = |share: &f64| match share / greatest {
        height if height > 0.0 => {
            let eighths = (height * 8.0).ceil().clamp(1.0, 8.0) as usize;
            ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][eighths - 1]
        }
        _ => '·',
    };
    shares.iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_columns_and_those_that_combine_none() {
        let widths = ["价格", "e\u{301}", "abc"].map(width);
        assert_eq!(widths, [4, 1, 3]);
        assert_eq!(left("价", 4), "价  ");
        assert_eq!(right("e\u{301}", 3), "  e\u{301}");
    }

    #[test]
    fn what_is_too_long_is_cut_between_characters() {
        assert_eq!(shortened("价格价格", 5), "价格…");
        assert_eq!(shortened("价格价格", 4), "价…");
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(width(&shortened(&"e\u{301}".repeat(9), 4)), 4);
    }

    #[test]
    fn a_bar_shows_its_share_in_eighths() {
        assert_eq!(bar(0.0, 24.0), "");
        assert_eq!(bar(1e-9, 24.0), "▏");
        assert_eq!(width(&bar(1.0, 24.0)), 24);
    }

    #[test]
    fn a_share_above_none_is_told_from_none() {
        assert_eq!(columns_of(&[0.0, 1e-9, 0.25, 0.5], 0.5), "·▁▄█");
    }

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
