//! The alert rules and the dashboard, which kustomize wants below its own folders.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{FOLDER, documents, text};

/// A file that is made of others: where it is, and what is to be in it.
struct Carried {
    file: &'static str,
    content: String,
}

fn carried() -> Vec<Carried> {
    vec![
        Carried {
            file: "prometheus/health.yaml",
            content: rules("health"),
        },
        Carried {
            file: "drift-rules/drift.yaml",
            content: rules("drift"),
        },
        Carried {
            file: "dashboard/psiren.json",
            content: text("grafana/dashboards/psiren.json"),
        },
        Carried {
            file: "sidecar/reference.json",
            content: text("deploy/kubernetes/base/reference.json"),
        },
        Carried {
            file: "overlays/alertmanager/psiren.toml",
            content: told_by_alertmanager(),
        },
    ]
}

/// A rule file of Prometheus as its operator takes it.
fn rules(name: &str) -> String {
    let source = format!("grafana/prometheus/rules/{name}.yml");
    let mut rule = format!(
        "# Made of {source} by `PSIREN_UPDATE_DEPLOY=1 cargo test --test it deploy`.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: psiren-{name}
spec:
"
    );
    for line in text(source).lines() {
        if !line.is_empty() {
            rule.push_str("  ");
        }
        rule.push_str(line);
        rule.push('\n');
    }
    rule
}

/// The configuration of the base, with nobody told by psiren itself.
fn told_by_alertmanager() -> String {
    let config = text("deploy/kubernetes/base/psiren.toml");
    let (before, after) = config.split_once("\n\n[csv]").expect("[csv]");
    format!("{before}\n# Alertmanager tells of drift.\nnotify = []\n\n[csv]{after}")
}

#[test]
fn carried_files_are_what_their_sources_say() {
    for Carried { file, content } in carried() {
        let path = Path::new(FOLDER).join(file);
        if std::env::var_os("PSIREN_UPDATE_DEPLOY").is_some() {
            fs::write(&path, &content).unwrap();
        }
        assert!(
            text(&path) == content,
            "{file}: not as its source is; run with PSIREN_UPDATE_DEPLOY=1"
        );
    }
}

#[test]
fn a_rule_of_the_operator_holds_the_groups_that_prometheus_reads() {
    for (file, name) in [
        ("prometheus/health.yaml", "health"),
        ("drift-rules/drift.yaml", "drift"),
    ] {
        let rule: Vec<Value> = documents(&Path::new(FOLDER).join(file));
        let source = Path::new("grafana/prometheus/rules").join(format!("{name}.yml"));
        assert_eq!(rule[0]["spec"], documents(&source)[0], "{file}");
    }
}
