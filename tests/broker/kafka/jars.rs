//! Kafka's jars under `target/kafka/`, fetched once with Maven.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::VERSION;
use crate::process::Process;

const FETCH_LIMIT: Duration = Duration::from_secs(600);

/// A folder with every jar that a broker needs.
#[derive(Clone)]
pub(super) struct Jars(PathBuf);

impl Jars {
    /// The jars that are there, or that Maven fetches now (about ten seconds, 45 MB).
    ///
    /// # Errors
    /// When `java` does not run, or there are no jars and Maven cannot fetch them.
    pub(super) fn provide() -> Result<Self, String> {
        require("java", "-version")?;
        let folder = home()?.join(VERSION);
        if !complete(&folder) {
            fetch(&folder)?;
        }
        Ok(Self(folder))
    }

    /// For `java -cp`.
    pub(super) fn class_path(&self) -> String {
        format!("{}/*", self.0.display())
    }
}

/// `target/kafka`, wherever cargo's target folder is.
fn home() -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .ok_or("cargo's target folder has no name")?;
    Ok(target.join("kafka"))
}

fn complete(folder: &Path) -> bool {
    folder.join(format!("kafka_2.13-{VERSION}.jar")).is_file()
}

fn fetch(folder: &Path) -> Result<(), String> {
    require("mvn", "-version")?;
    // Fetched aside and renamed when whole, so that a fetch that was cut short is never taken for one.
    let aside = folder.with_file_name(format!("fetching-{}", std::process::id()));
    let pom = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/broker/kafka/pom.xml");
    let mut maven = Process::spawn(
        Command::new("mvn")
            .args(["--quiet", "--batch-mode", "--file", pom])
            .arg("dependency:copy-dependencies")
            .arg(format!("-DoutputDirectory={}", aside.display()))
            .stdout(Stdio::null()),
    )
    .map_err(|error| format!("mvn does not start: {error}"))?;
    let status = maven.exit_within(FETCH_LIMIT);
    if !status.is_some_and(|status| status.success()) || !complete(&aside) {
        // What is left is only in the way; the error that counts is Maven's.
        let _ = fs::remove_dir_all(&aside);
        return Err(format!("mvn could not fetch Kafka {VERSION}"));
    }
    match fs::rename(&aside, folder) {
        Err(_) if complete(folder) => {
            // Another test process was faster.
            let _ = fs::remove_dir_all(&aside);
            Ok(())
        }
        Err(error) => Err(format!("{} cannot be made: {error}", folder.display())),
        Ok(()) => Ok(()),
    }
}

fn require(program: &str, argument: &str) -> Result<(), String> {
    let runs = Command::new(program)
        .arg(argument)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if runs {
        Ok(())
    } else {
        Err(format!("`{program}` does not run here"))
    }
}
