//! A broker as a Java process of ours.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::Machine;
use super::jars::Jars;
use super::properties::{Ports, single_node};
use crate::process::Process;

const STOP_LIMIT: Duration = Duration::from_secs(30);
/// The cluster's id is a UUID in base64; a cluster of one on loopback needs no unique one.
const CLUSTER: &str = "cHNpcmVuLXRlc3RzLTAwMQ";

/// The storage tool's word for the first, and here only, controller of a cluster.
pub(super) const ALONE: &str = "--standalone";

pub(super) struct Java {
    jars: Jars,
    folder: TempDir,
    process: Process,
}

impl Java {
    pub(super) fn new(jars: Jars, ports: Ports) -> Result<Self, String> {
        let folder = TempDir::new().map_err(|error| format!("no temporary folder: {error}"))?;
        Self::with(jars, folder, ports, &[], &[ALONE])
    }

    /// A broker in `folder` with more settings, which go before the usual ones, and more arguments for the tool that
    /// formats its storage.
    pub(super) fn with(
        jars: Jars,
        folder: TempDir,
        ports: Ports,
        settings: &[(String, String)],
        format: &[&str],
    ) -> Result<Self, String> {
        let mut lines = properties(&folder, ports);
        // The last of two lines for a key counts.
        lines.extend(
            settings
                .iter()
                .map(|(key, value)| format!("{key}={value}\n")),
        );
        fs::write(folder.path().join("server.properties"), lines)
            .map_err(|error| format!("server.properties cannot be written: {error}"))?;
        format_storage(&jars, &folder, format)?;
        let process = spawn(&jars, &folder)?;
        Ok(Self {
            jars,
            folder,
            process,
        })
    }

    fn log(&self) -> String {
        fs::read_to_string(log_path(&self.folder)).unwrap_or_default()
    }
}

impl Machine for Java {
    fn start(&mut self) -> Result<(), String> {
        self.process = spawn(&self.jars, &self.folder)?;
        Ok(())
    }

    fn stop(&mut self) {
        self.process.signal("TERM");
        let ended = self.process.exit_within(STOP_LIMIT);
        assert!(
            ended.is_some(),
            "the broker did not stop within {STOP_LIMIT:?}"
        );
    }

    fn kill(&mut self) {
        self.process.kill();
    }

    fn freeze(&mut self) {
        self.process.signal("STOP");
    }

    fn cont(&mut self) {
        self.process.signal("CONT");
    }

    fn failure(&mut self) -> Option<String> {
        let status = self.process.exit_within(Duration::ZERO)?;
        Some(format!(
            "the broker ended with {status}, saying:\n{}",
            self.log()
        ))
    }

    fn version(&self) -> String {
        let log = self.log();
        let told = log
            .lines()
            .find_map(|line| line.split_once("Kafka version: "));
        let version = told.map_or("of a version it did not log", |(_, version)| version);
        format!("Apache Kafka {version}")
    }
}

fn properties(folder: &TempDir, ports: Ports) -> String {
    let mut settings = single_node(ports, "127.0.0.1");
    let controller = format!("127.0.0.1:{}", ports.controller);
    settings.push(("controller.quorum.bootstrap.servers", controller));
    let log = folder.path().join("log");
    settings.push(("log.dirs", log.display().to_string()));
    let lines = settings
        .iter()
        .map(|(key, value)| format!("{key}={value}\n"));
    lines.collect()
}

fn java(jars: &Jars, folder: &TempDir) -> Command {
    let mut java = Command::new("java");
    java.current_dir(folder)
        // A short life: less than half of the processor time until it listens.
        .args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"])
        .arg("-cp")
        .arg(jars.class_path());
    java
}

fn format_storage(jars: &Jars, folder: &TempDir, more: &[&str]) -> Result<(), String> {
    let output = java(jars, folder)
        .args(["kafka.tools.StorageTool", "format"])
        .args(["-t", CLUSTER, "-c", "server.properties"])
        .args(more)
        .output()
        .map_err(|error| format!("java does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("Kafka's storage could not be formatted: {said}"))
}

fn spawn(jars: &Jars, folder: &TempDir) -> Result<Process, String> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_path(folder))
        .and_then(|log| Ok((log.try_clone()?, log)));
    let (out, err) = log.map_err(|error| format!("the broker's log cannot be opened: {error}"))?;
    let mut command = java(jars, folder);
    command
        .args([
            "-Xmx512m",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            // Says the version, which is the proof of what ran.
            "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.utils.AppInfoParser=info",
            "kafka.Kafka",
            "server.properties",
        ])
        .stdout(Stdio::from(out))
        .stderr(Stdio::from(err));
    Process::spawn(&mut command).map_err(|error| format!("java does not start: {error}"))
}

fn log_path(folder: &TempDir) -> PathBuf {
    folder.path().join("broker.log")
}
