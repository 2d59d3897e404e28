//! Where the file is written, and how it names other files from there.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::replace::{create, replace};

/// `path` as a file in `folder` names it: relative to the folder. The last name is kept as it is, a
/// link as well, which may be meant to lead elsewhere one day.
///
/// # Errors
/// A folder that is not there; a path that is no UTF-8.
pub(super) fn seen_from(folder: &Path, path: &Path) -> Result<String> {
    let seen = match folder.as_os_str().is_empty() || path.is_absolute() {
        true => path.to_owned(),
        false => relative(path, folder)?,
    };
    let seen = seen.to_str().map(str::to_owned);
    seen.with_context(|| {
        format!(
            "the path {} is no UTF-8, which a configuration cannot name; rename it",
            path.display()
        )
    })
}

/// The way from `folder` to `path`, both of which are looked up.
fn relative(path: &Path, folder: &Path) -> Result<PathBuf> {
    let real = |place: &Path| {
        let place = if place.as_os_str().is_empty() {
            Path::new(".")
        } else {
            place
        };
        let found = place.canonicalize();
        found.with_context(|| {
            format!(
                "the folder {} cannot be used; create it, or name another",
                place.display()
            )
        })
    };
    let (from, to) = (real(folder)?, real(path.parent().unwrap_or(Path::new("")))?);
    let shared = from.iter().zip(to.iter()).take_while(|(a, b)| a == b);
    let shared = shared.count();
    let mut way: PathBuf = from.iter().skip(shared).map(|_| "..").collect();
    way.extend(to.iter().skip(shared));
    way.extend(path.file_name());
    Ok(way)
}

/// In one step: there is the whole file or none, and one that is there is only replaced by `force`.
pub(super) fn write(path: &Path, text: &str, force: bool) -> io::Result<()> {
    match force {
        true => replace(path, text.as_bytes()),
        false => create(path, text.as_bytes()),
    }
}
