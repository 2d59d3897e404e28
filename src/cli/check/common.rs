//! Whether a file and a reference have anything in common. Where they have not, a table of features
//! without data would only hide it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;

use super::{CheckError, Checked};
use crate::event::whole;
use crate::monitor::Monitor;
use crate::source::file::{FileError, RowFile};

/// Rows whose fields are looked at.
const ROWS: usize = 100;

/// # Errors
/// [`CheckError::NothingInCommon`]: not one feature has a value, and not one stands where a row has a
/// field. What is no regular file, such as standard input or a pipe, cannot be looked at again.
pub(super) fn check(path: &Path, monitor: &Monitor, checked: &Checked) -> Result<(), CheckError> {
    let mut figures = checked.reports.iter().flat_map(|report| &report.features);
    let anything = figures.any(|figure| figure.values + figure.invalid > 0);
    let regular = path.as_os_str() != "-" && path.is_file();
    if anything || checked.reports.is_empty() || !regular {
        return Ok(());
    }
    // A column without a JSON form is no reason to refuse what could be checked.
    let Ok(found) = fields(path) else {
        return Ok(());
    };
    let features = &monitor.schema.features;
    let is_there = |path: &[String]| path.first().is_some_and(|key| found.contains(key));
    if features.iter().any(|feature| is_there(&feature.path)) {
        return Ok(());
    }
    Err(CheckError::NothingInCommon {
        name: path.display().to_string(),
        expected: features.iter().map(|f| f.path.join(".")).collect(),
        found: found.into_iter().collect(),
    })
}

/// The names at the top of the first rows.
fn fields(path: &Path) -> Result<BTreeSet<String>, FileError> {
    let mut found = BTreeSet::new();
    let mut rows = 0;
    RowFile::open(path)?.payloads(|_, payload| {
        if let Some(serde_json::Value::Object(row)) = whole(payload) {
            found.extend(row.into_iter().map(|(name, _)| name));
        }
        rows += 1;
        match rows < ROWS {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    Ok(found)
}
