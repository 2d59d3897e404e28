//! The Prometheus files operators load: promtool accepts them, and every rule fires and stays
//! silent when it should.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::promtool::{promtool, said};

const FOLDER: &str = "grafana/prometheus";

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(FOLDER).join(folder);
    let entries = fs::read_dir(folder).expect("a folder");
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

/// One alert: its name and its lines.
struct Alert {
    name: String,
    lines: Vec<String>,
}

impl Alert {
    fn value(&self, key: &str) -> &str {
        let mut lines = self.lines.iter();
        let value = lines.find_map(|line| line.strip_prefix(&format!("{key}: ")));
        value.unwrap_or_else(|| panic!("{} has no {key}", self.name))
    }
}

fn alerts() -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    for rules in files("rules") {
        for line in fs::read_to_string(rules).expect("a file").lines() {
            let line = line.trim();
            if let Some(name) = line.strip_prefix("- alert: ") {
                let (name, lines) = (name.to_owned(), Vec::new());
                alerts.push(Alert { name, lines });
            } else if let Some(alert) = alerts.last_mut() {
                alert.lines.push(line.to_owned());
            }
        }
    }
    alerts
}

#[test]
fn every_alert_is_tested_firing_and_silent() {
    let read = |path: &PathBuf| fs::read_to_string(path).expect("a file");
    let tests: String = files("tests").iter().map(read).collect();
    let lines: Vec<&str> = tests.lines().map(str::trim).collect();
    for Alert { name, .. } in alerts() {
        let cases = lines
            .windows(2)
            .filter(|pair| pair[0] == format!("alertname: {name}"));
        let expected: Vec<&str> = cases.map(|pair| pair[1]).collect();
        let silent = |line: &&str| line.starts_with("exp_alerts: []");
        assert!(expected.iter().any(silent), "{name} is never silent");
        assert!(!expected.iter().all(silent), "{name} never fires");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_what_it_is_and_what_to_do() {
    let runbook = fs::read_to_string("docs/runbook.md").expect("the runbook");
    let (overview, sections) = runbook.split_once("\n## ").expect("sections");
    let alerts = alerts();
    assert!(alerts.len() > 15, "{}", alerts.len());
    for alert in &alerts {
        let name = &alert.name;
        let severity = alert.value("severity");
        let anchor = name.to_lowercase();
        for key in ["summary", "description"] {
            assert!(!alert.value(key).is_empty(), "{name}: {key}");
        }
        let url = alert.value("runbook_url");
        assert!(
            url.ends_with(&format!("/docs/runbook.md#{anchor}")),
            "{url}"
        );

        let row = overview
            .lines()
            .find(|line| line.starts_with(&format!("| {severity} |")));
        let row = row.unwrap_or_else(|| panic!("no row {severity} in the runbook"));
        assert!(
            row.contains(&format!("[{name}](#{anchor})")),
            "{name}: {row}"
        );

        let section = sections
            .split("\n### ")
            .find(|s| s.starts_with(&format!("{name}\n")));
        let section = section.unwrap_or_else(|| panic!("{name} is not in the runbook"));
        for part in ["\n**Means.** ", "\n**Check.** ", "\n**Do.** "] {
            assert!(section.contains(part), "{name}: no {}", part.trim());
        }
    }
    let listed = overview.matches("](#").count();
    assert_eq!(listed, alerts.len(), "the runbook's table lists others");
}

#[test]
fn promtool_accepts_the_configuration_of_prometheus() {
    let config = Path::new(FOLDER).join("prometheus.yml");
    accepts(&["check", "config", "--syntax-only"], &[config]);
}
