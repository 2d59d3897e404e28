//! A spinner while files are read, on a terminal only; nothing of it stays.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// Rows between two updates.
const STEP: u64 = 512;

pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Counts rows, by [`at`](Self::at).
    pub(super) fn rows(wanted: bool, row_word: &str) -> Self {
        let template = format!("{{spinner}} {{human_pos}} {row_word}s read, {{elapsed}}");
        Self::with_template(wanted, &template)
    }

    /// For a reference, which is read as a whole.
    pub(super) fn reference(wanted: bool) -> Self {
        Self::with_template(wanted, "{spinner} reading the reference, {elapsed}")
    }

    fn with_template(wanted: bool, template: &str) -> Self {
        if !wanted || !std::io::stderr().is_terminal() {
            return Self { bar: None };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar: Some(bar) }
    }

    pub(super) fn at(&self, rows: u64) {
        if let Some(bar) = &self.bar
            && rows.is_multiple_of(STEP)
        {
            bar.set_position(rows);
        }
    }

    pub(super) fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done();
    }
}
