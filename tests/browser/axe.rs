//! axe-core, the accessibility checker, out of its Maven artifact.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::process::Process;

const FILE: &str = "axe.min.js";
const LIMIT: Duration = Duration::from_secs(120);

/// The source of axe-core, fetched once into cargo's target folder.
///
/// # Errors
/// When it is not there and Maven cannot fetch it.
pub(crate) fn source() -> Result<String, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("axe");
    if !folder.join(FILE).is_file() {
        fetch(&folder)?;
    }
    fs::read_to_string(folder.join(FILE)).map_err(|error| format!("{FILE}: {error}"))
}

fn fetch(folder: &PathBuf) -> Result<(), String> {
    // Fetched aside and renamed when whole.
    let aside = folder.with_file_name(format!("axe-{}", std::process::id()));
    let pom = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/axe/pom.xml");
    let mut maven = Process::spawn(
        Command::new("mvn")
            .args(["--quiet", "--batch-mode", "--file", pom])
            .arg("dependency:unpack-dependencies")
            .arg(format!("-Dmdep.unpack.includes={FILE}"))
            .arg(format!("-DoutputDirectory={}", aside.display()))
            // Else it would leave a `target` beside its pom.
            .arg(format!(
                "-DmarkersDirectory={}",
                aside.join("markers").display()
            ))
            .stdout(Stdio::null()),
    )
    .map_err(|error| format!("mvn does not start: {error}"))?;
    let status = maven.exit_within(LIMIT);
    if !status.is_some_and(|status| status.success()) || !aside.join(FILE).is_file() {
        return Err("mvn could not fetch axe-core".to_owned());
    }
    match fs::rename(&aside, folder) {
        Err(error) if !folder.join(FILE).is_file() => Err(format!("{}: {error}", folder.display())),
        _ => Ok(()),
    }
}
