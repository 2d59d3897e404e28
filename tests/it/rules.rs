//! The Prometheus files operators load: promtool accepts them, and every rule fires and stays
//! silent when it should.

use std::path::{Path, PathBuf};

use crate::support::promtool::{promtool, said};

const FOLDER: &str = "grafana/prometheus";

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(FOLDER).join(folder);
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries
        .map(|entry| entry.expect("an entry").path())
        .collect()
}

fn accepts(command: &[&str], files: &[PathBuf]) {
    let command = command.iter().map(PathBuf::from);
    let args: Vec<PathBuf> = command.chain(files.iter().cloned()).collect();
    if let Some(output) = promtool(&args, "") {
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn promtool_accepts_the_alert_rules() {
    accepts(&["check", "rules"], &files("rules"));
}

#[test]
fn every_alert_rule_fires_and_stays_silent_when_it_should() {
    accepts(&["test", "rules"], &files("tests"));
}

#[test]
fn every_alert_rule_has_a_test() {
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("a file");
    let tests: String = files("tests").iter().map(read).collect();
    for rules in files("rules").iter().map(read) {
        for line in rules.lines() {
            if let Some(name) = line.trim().strip_prefix("- alert: ") {
                let tested = format!("alertname: {name}");
                assert!(tests.contains(&tested), "{name} has no test");
            }
        }
    }
}

#[test]
fn promtool_accepts_the_configuration_of_prometheus() {
    let config = Path::new(FOLDER).join("prometheus.yml");
    accepts(&["check", "config", "--syntax-only"], &[config]);
}
