//! The Grafana dashboard as a file: what Grafana's own conventions ask of every panel and query.
//!
//! `tests/prometheus` runs its queries against a real Prometheus. Grafana itself is not run.

use std::collections::BTreeSet;
use std::fs;

use psiren::metrics::{Description, Metrics};
use serde_json::Value;

const UID: &str = "psiren-drift";

fn dashboard() -> Value {
    let text = fs::read_to_string("grafana/dashboards/psiren.json").expect("the dashboard");
    serde_json::from_str(&text).expect("the dashboard is JSON")
}

/// Rows of the dashboard are panels too, but show nothing themselves.
fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    panels.filter(|panel| panel["type"] != "row")
}

fn targets(panel: &Value) -> &Vec<Value> {
    panel["targets"].as_array().expect("targets")
}

/// The queries of panels and annotations.
fn queries(dashboard: &Value) -> Vec<String> {
    let annotations = dashboard["annotations"]["list"].as_array();
    let annotations = annotations.into_iter().flatten();
    let targets = panels(dashboard).flat_map(targets);
    let exprs = targets.chain(annotations.filter(|a| a["builtIn"] != 1));
    exprs
        .map(|query| query["expr"].as_str().expect("a query").to_owned())
        .collect()
}

/// Each metric that a query names, what stands before it, and its selector in braces.
fn selections(expr: &str) -> Vec<(&str, &str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut selections = Vec::new();
    for (at, _) in expr.match_indices('{') {
        let before = &expr[..at];
        let start = before.rfind(|c| !is_name(c)).map_or(0, |i| i + 1);
        let end = at + expr[at..].find('}').expect("a closing brace");
        selections.push((&before[start..], &expr[..start], &expr[at + 1..end]));
    }
    selections
}

fn described(metric: &str) -> Option<&'static Description> {
    Metrics::describe().iter().find(|d| d.name == metric)
}

#[test]
fn a_copy_in_grafana_cannot_drift_from_the_file() {
    let dashboard = dashboard();
    assert_eq!(dashboard["editable"], false);
    assert_eq!(dashboard["uid"], UID);
    for file in ["config.example.toml", "fixtures/compose/psiren.toml"] {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains(&format!("/d/{UID}/psiren\"")), "{file}");
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit() {
    let dashboard = dashboard();
    let mut titles = BTreeSet::new();
    for panel in panels(&dashboard) {
        let title = panel["title"].as_str().unwrap_or_default();
        assert!(!title.is_empty(), "{panel}");
        assert!(titles.insert(title), "{title} is there twice");
        let description = panel["description"].as_str().unwrap_or_default();
        assert!(description.ends_with('.'), "{title}: {description:?}");
        assert!(
            panel["fieldConfig"]["defaults"]["unit"].is_string(),
            "{title}"
        );
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in targets(panel) {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
        }
    }
}

#[test]
fn no_panel_lies_over_another() {
    let dashboard = dashboard();
    let mut taken = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
        assert!(x + w <= 24, "{}", panel["title"]);
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{} at {cell:?}", panel["title"]);
        }
    }
}

#[test]
fn every_query_asks_for_what_was_chosen() {
    for expr in queries(&dashboard()) {
        for (metric, _, selector) in selections(&expr) {
            let has = |matcher: &str| selector.split(", ").any(|m| m == matcher);
            assert!(has(r#"job=~"$job""#), "{metric} in {expr}");
            assert!(has(r#"instance=~"$instance""#), "{metric} in {expr}");
            let labels = described(metric).map_or(&[][..], |metric| metric.labels);
            if labels.contains(&"monitor") {
                assert!(has(r#"monitor="$monitor""#), "{metric} in {expr}");
            }
            let features = [
                r#"feature=~"$feature""#,
                // With the monitor itself, whose feature is empty.
                r#"feature=~"$feature|""#,
                r#"feature="$detail""#,
                r#"feature="""#,
            ];
            if labels.contains(&"feature") {
                assert!(features.into_iter().any(has), "{metric} in {expr}");
            }
        }
    }
}

#[test]
fn every_metric_is_one_of_the_program_and_counters_are_rates() {
    for expr in queries(&dashboard()) {
        let found = selections(&expr);
        assert_eq!(found.len(), expr.matches("job=~").count(), "{expr}");
        for (metric, before, _) in found {
            let known = described(metric);
            let others = [
                "up",
                "process_cpu_seconds_total",
                "process_resident_memory_bytes",
            ];
            assert!(known.is_some() || others.contains(&metric), "{metric}");
            let counts = known.is_some_and(|metric| metric.kind == "counter");
            let rate = before.ends_with("rate(") || before.ends_with("increase(");
            assert!(!counts || rate, "{metric} in {expr}");
        }
        let spans = expr.matches('[').count();
        assert_eq!(spans, expr.matches("[$__rate_interval]").count(), "{expr}");
    }
}

/// Grafana makes `$__rate_interval` of it.
#[test]
fn the_data_source_knows_how_often_prometheus_scrapes() {
    let value = |file: &str, key: &str| {
        let text = fs::read_to_string(file).unwrap();
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
        line.unwrap_or_else(|| panic!("no {key} in {file}"))
            .to_owned()
    };
    assert_eq!(
        value(
            "grafana/provisioning/datasources/prometheus.yml",
            "timeInterval: "
        ),
        value("grafana/prometheus/prometheus.yml", "scrape_interval: "),
    );
}

#[test]
fn the_runbook_names_panels_that_there_are() {
    let dashboard = dashboard();
    let all = dashboard["panels"].as_array().unwrap();
    let runbook = fs::read_to_string("docs/runbook.md").unwrap();
    let mut named = 0;
    for quoted in runbook.split('“').skip(1) {
        let quoted = quoted.split('”').next().unwrap();
        let is_title = |panel: &Value| panel["title"].as_str().unwrap().starts_with(quoted);
        let is_verdict = quoted == "no drift";
        assert!(
            is_verdict || all.iter().any(is_title),
            "no panel “{quoted}”"
        );
        named += usize::from(!is_verdict);
    }
    assert!(named > 5, "{named}");
}
