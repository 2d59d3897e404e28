//! The machine: the state folder, the CSV file, the port. Nothing here is changed.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cli::checklist::{Blame, Checklist};
use crate::config::Config;
use crate::monitor::Monitor;
use crate::sink::csv::row::HEADER;
use crate::state::StateError;
use crate::state::local::Adopted;
use crate::state::rehearse::rehearse;

/// Whether the state can be written and belongs to this configuration; true when a process has it
/// open. `here`: psiren is to run on this machine.
pub(super) fn state(
    config: &Config,
    monitors: &[Monitor],
    here: bool,
    list: &mut Checklist,
) -> Result<bool> {
    let dir = &config.state.dir;
    let title = format!("state in {}", dir.display());
    if let Err(why) = writable(dir, true) {
        unusable(here, title, why, list)?;
        return Ok(false);
    }
    let identities: Vec<_> = monitors
        .iter()
        .map(|m| (m.definition.monitor.as_str(), &m.identity))
        .collect();
    match rehearse(dir, &identities) {
        Ok(None) => list.ok(format!("{title}: none yet, it will be made"), [])?,
        Ok(Some(adopted)) => {
            let names = identities.iter().map(|(name, _)| *name);
            let details = names.zip(&adopted).flat_map(|(name, a)| told(name, a));
            list.ok(format!("{title}: belongs to this configuration"), details)?;
        }
        Err(StateError::Locked { .. }) => {
            let why = "in use by a running psiren; whether it belongs to this configuration was not looked at";
            list.warning(title, [why.to_owned()])?;
            return Ok(true);
        }
        Err(
            error @ (StateError::OtherCounts { .. }
            | StateError::Newer { .. }
            | StateError::Damaged { .. }),
        ) => {
            list.failed(Blame::Configuration, title, [error.to_string()])?;
        }
        Err(error) => unusable(here, title, error.to_string(), list)?,
    }
    Ok(false)
}

fn told(monitor: &str, adopted: &Adopted) -> Vec<String> {
    let words = match adopted {
        Adopted::New => vec!["begins anew".to_owned()],
        Adopted::Same => vec!["goes on where it was".to_owned()],
        Adopted::Remapped { .. } => adopted.changes(),
    };
    let words = words.into_iter();
    words.map(|w| format!("monitor {monitor:?}: {w}")).collect()
}

/// Whether rows can be appended.
pub(super) fn csv(config: &Config, here: bool, list: &mut Checklist) -> Result<()> {
    let Some(csv) = &config.csv else {
        return list.ok("no CSV file is asked for", []);
    };
    let path = &csv.path;
    let title = format!("CSV file {}", path.display());
    match appendable(path) {
        Err(why) => unusable(here, title, why, list),
        Ok(false) => list.ok(title, []),
        Ok(true) => list.warning(
            title,
            ["it has other columns; it will be set aside under a dated name".to_owned()],
        ),
    }
}

/// Whether the file has other columns than are to be written.
fn appendable(path: &Path) -> Result<bool, String> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    writable(folder, folder.to_string_lossy().contains("{date}"))?;
    let file = match OpenOptions::new().read(true).append(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => {
            return Err(format!(
                "cannot be written: {error}; set csv.path to a file that can be written"
            ));
        }
    };
    let mut first = String::new();
    // What is no text is no header either.
    let read = BufReader::new(file).read_line(&mut first);
    Ok(match read {
        Ok(0) => false,
        Ok(_) => first.trim_end() != HEADER.join(","),
        Err(_) => true,
    })
}

/// Whether the address to listen on is free.
pub(super) fn port(config: &Config, in_use: bool, list: &mut Checklist) -> Result<()> {
    let listen = config.http.listen;
    let title = format!("listen on {listen}");
    match TcpListener::bind(listen) {
        Ok(_) => list.ok(title, []),
        Err(error) if in_use && error.kind() == io::ErrorKind::AddrInUse => list.warning(
            title,
            ["in use, probably by the psiren that is running".to_owned()],
        ),
        Err(error) => {
            let advice = "choose another http.listen or stop what uses it";
            list.failed(Blame::Surroundings, title, [format!("{error}; {advice}")])
        }
    }
}

/// A disk that does not do is a failure where psiren is to run, elsewhere a warning.
fn unusable(here: bool, title: String, why: String, list: &mut Checklist) -> Result<()> {
    match here {
        true => list.failed(Blame::Surroundings, title, [why]),
        false => list.warning(title, [why]),
    }
}

/// Whether files can be made in `dir`; where it may be made itself, in what it would be made in.
/// Tried with a file that never has a name.
fn writable(dir: &Path, may_be_made: bool) -> Result<(), String> {
    let mut dir: PathBuf = match dir.as_os_str().is_empty() {
        true => PathBuf::from("."),
        false => dir.to_owned(),
    };
    while may_be_made
        && fs::symlink_metadata(&dir).is_err_and(|e| e.kind() == io::ErrorKind::NotFound)
    {
        dir = match dir.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
    }
    match fs::metadata(&dir) {
        Ok(found) if !found.is_dir() => Err(format!("{} is no folder", dir.display())),
        Ok(_) => tempfile::tempfile_in(&dir).map(|_| ()).map_err(|error| {
            format!(
                "{} cannot be written: {error}; let psiren's user write to it",
                dir.display()
            )
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(format!(
            "the folder {} does not exist; create it",
            dir.display()
        )),
        Err(error) => Err(format!("{}: {error}", dir.display())),
    }
}
