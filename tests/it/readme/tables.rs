//! Metrics, alerts and exit codes.

use std::fmt::Write as _;

use psiren::cli;
use psiren::metrics::Metrics;

use super::{README, block, expect_block, rows, text};

const RULES: [&str; 2] = ["drift.yml", "health.yml"];

#[test]
fn the_metrics_table_is_what_the_program_declares() {
    let mut table = "| name | type | labels | |\n| --- | --- | --- | --- |\n".to_owned();
    for metric in Metrics::describe() {
        let mut labels: Vec<String> = metric.labels.iter().map(|l| format!("`{l}`")).collect();
        if metric.name == "psiren_monitor_info" {
            labels.push("those of `[labels]`".to_owned());
        }
        let (name, kind, help) = (metric.name, metric.kind, metric.help);
        assert!(!help.is_empty() && !help.contains('|'), "{name}: {help:?}");
        writeln!(
            table,
            "| `{name}` | {kind} | {} | {help} |",
            labels.join(", ")
        )
        .unwrap();
    }
    expect_block("metrics", &table);
}

#[derive(Debug, Default)]
struct Alert {
    name: String,
    held: Option<String>,
    severity: String,
}

/// The alerts of one rule file: lines of `key: value`, each alert begun by `- alert:`.
fn alerts(yaml: &str) -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    for line in yaml.lines().map(str::trim) {
        let Some((key, value)) = line.split_once(": ") else {
            continue;
        };
        if key == "- alert" {
            alerts.push(Alert {
                name: value.to_owned(),
                ..Alert::default()
            });
        }
        let Some(alert) = alerts.last_mut() else {
            continue;
        };
        match key {
            "for" => alert.held = Some(value.to_owned()),
            "severity" => alert.severity = value.to_owned(),
            _ => {}
        }
    }
    alerts
}

/// The first sentence of what the runbook says an alert means.
fn meaning(runbook: &str, alert: &str) -> String {
    let heading = format!("\n### {alert}\n");
    let (_, section) = runbook
        .split_once(&heading)
        .unwrap_or_else(|| panic!("docs/runbook.md has no section {alert}"));
    let (_, means) = section.split_once("**Means.** ").expect(alert);
    let sentence = means.lines().next().unwrap();
    let end = sentence.find(". ").unwrap_or(sentence.len() - 1);
    sentence[..end].to_owned()
}

#[test]
fn the_alerts_table_is_what_the_rule_files_say() {
    let runbook = text("docs/runbook.md");
    let mut table = "| alert | for | severity | means |\n| --- | --- | --- | --- |\n".to_owned();
    let mut count = 0;
    for file in RULES {
        let yaml = text(format!("grafana/prometheus/rules/{file}"));
        let found = alerts(&yaml);
        assert_eq!(found.len(), yaml.matches("- alert:").count(), "{file}");
        for alert in found {
            let Alert { name, severity, .. } = &alert;
            assert!(!severity.is_empty(), "{alert:?}");
            let held = alert.held.as_deref().unwrap_or("at once");
            let means = meaning(&runbook, name);
            let anchor = name.to_lowercase();
            writeln!(
                table,
                "| [{name}](docs/runbook.md#{anchor}) | {held} | {severity} | {means} |"
            )
            .unwrap();
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
    expect_block("alerts", &table);
}

#[test]
fn every_rule_file_is_in_the_table() {
    let folder = super::root().join("grafana/prometheus/rules");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, RULES);
}

#[test]
fn the_exit_codes_are_those_of_the_program() {
    let readme = text(README);
    let block = block(&readme, "exit");
    let codes: Vec<u8> = rows(&block).map(|row| row[0].parse().unwrap()).collect();
    let known = [
        0,
        cli::SURROUNDINGS,
        cli::USAGE,
        cli::DRIFTED,
        psiren::app::STUCK,
        cli::CONFIG,
    ];
    assert_eq!(codes, known);
}
