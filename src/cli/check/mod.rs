//! `psiren check`: the drift of a file against a reference, by the engine that watches Kafka.
//!
//! The rows count in panes, the panes slide through the ring, each window is evaluated as a final
//! one. Unless a lateness is given it is unlimited, so the order of rows does not matter.

mod args;
mod common;
mod csv;
mod engine;
mod error;
mod explain;
mod json;
mod openmetrics;
mod output;
mod settings;
mod table;
mod warnings;
mod why;

use std::process::ExitCode;

pub use self::args::{CheckArgs, OutputFormat};
pub use self::engine::{Checked, Tally};
pub use self::error::CheckError;

use super::progress::Progress;
use super::{DRIFTED, say};
use crate::drift::DriftStatus;
use crate::monitor::Monitor;
use crate::reference::{self, LoadOptions};
use crate::source::file::RowFile;

/// Runs the command. What is wrong with the arguments or with a file they name is told on standard
/// error and becomes the exit code.
///
/// # Errors
/// The surroundings failed: the output cannot be written.
pub fn run(args: CheckArgs) -> anyhow::Result<ExitCode> {
    match check(&args) {
        Ok(false) => Ok(ExitCode::SUCCESS),
        Ok(true) => Ok(ExitCode::from(DRIFTED)),
        Err(error @ CheckError::Output { .. }) => Err(error.into()),
        Err(error) => {
            say::error(&error.to_string());
            Ok(ExitCode::from(error.exit_code()))
        }
    }
}

/// Checks and writes the result; true when `--fail-on` is reached.
///
/// # Errors
/// [`CheckError`].
pub fn check(args: &CheckArgs) -> Result<bool, CheckError> {
    let settings = settings::resolve(args)?;
    let options = LoadOptions {
        as_built: settings.as_built,
        ..LoadOptions::from(&settings.monitor)
    };
    let wanted = !args.no_progress;
    let reading = Progress::reference(wanted);
    let profile = reference::load(&settings.monitor.reference, &options)?;
    reading.done();
    let monitor = Monitor::with_profile(&settings.monitor, profile);
    output::possible(args, &settings, &monitor)?;
    let file = RowFile::open(&settings.input)?;
    let row_word = file.row_word();
    let progress = Progress::rows(wanted, row_word);
    let checked = engine::check(file, &monitor, settings.windows, |rows| progress.at(rows))?;
    progress.done();
    common::check(&settings.input, &monitor, &checked)?;
    warnings::tell(&monitor, &checked, row_word);
    if checked.reports.is_empty() {
        return Err(CheckError::NothingCounted {
            name: settings.input.display().to_string(),
            tally: warnings::summary(&checked.tally, row_word),
            timestamp: monitor.config.timestamp.as_ref().map(|t| t.path.join(".")),
        });
    }
    output::write(args, &settings, &monitor, &checked)?;
    Ok(reached(args, &checked))
}

/// Whether a row with enough events and full coverage has the status `--fail-on` names, or worse.
fn reached(args: &CheckArgs, checked: &Checked) -> bool {
    let Some(bar) = args.fail_on.map(DriftStatus::from) else {
        return false;
    };
    let full = checked.reports.iter().filter(|report| !report.is_filling());
    full.flat_map(|report| &report.features)
        .any(|feature| feature.status >= bar)
}
