//! The whole output of `/metrics`, and what outside programs say of it.

use std::collections::{BTreeMap, BTreeSet};

use std::sync::Arc;
use std::time::Duration;

use psiren::drift::{Found, OpenIncident, Reason, Trigger};
use psiren::event::{InvalidRecord, Outcome};
use psiren::metrics::{Account, Metrics, MonitorMetrics};

use crate::support::promtool::{promtool, said};
use crate::support::sample::{END, definition, report};

/// A program that has seen everything once.
fn filled() -> (Arc<Metrics>, Arc<MonitorMetrics>) {
    let labels = BTreeMap::from([("env".to_owned(), "prod \"eu\"\n".to_owned())]);
    let metrics = Metrics::new(&labels, None);
    let monitor = metrics.monitor(&definition(), "flights");
    monitor.add_outcome(Outcome::Counted, 200);
    monitor.add_outcome(Outcome::Invalid, 3);
    monitor.add_invalid_record(InvalidRecord::Json, 2);
    monitor.add_invalid_record(InvalidRecord::TimestampRange, 1);
    monitor.add_invalid_value(2, Found::Number, 200);
    monitor.add_unseen(1, 4);
    monitor.add_after_close(1);
    monitor.add_windows_skipped(2);
    monitor.event_delay(1500, 200);
    let took = Duration::from_millis(2);
    monitor.report(&report(Trigger::Final, 1.0), took, END + 300_000);
    monitor.report(&report(Trigger::Live, 1.0), took, END + 301_000);
    monitor.report_failed(Trigger::Manual);
    monitor.incidents(&[OpenIncident {
        feature: "dep_delay".into(),
        reason: Reason::Psi,
        since_ms: END,
        value: 2.0,
    }]);
    monitor.caught_up(true);
    metrics.record_processing().record(Duration::from_micros(2));
    metrics.lag("flights", 0, 17);
    metrics.watermark("flights", "flights", 0, END + 299_999);
    let account = Account {
        passed: 208,
        outcomes: [200, 0, 0, 0, 0, 3],
        absent: 1,
        lost: 4,
    };
    metrics.account("flights", "flights", 0, &account);
    metrics.log_changed("flights");
    metrics.partitions(&[("consuming", 1)]);
    metrics.partition_stopped("flights", 1, Some("log_changed"));
    metrics.rebalance();
    metrics.checkpoint(true, END + 302_000);
    metrics.checkpoint(false, END + 303_000);
    metrics.channel("oncall");
    metrics.notified("oncall", "ok");
    metrics.page("https://psiren.example.com/drift");
    metrics.csv_rows(3);
    metrics.csv_error();
    metrics.csv_failing(false);
    metrics.ready(true);
    (metrics, monitor)
}

/// The output without what differs from machine to machine.
fn stable(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.contains("process_"));
    kept.map(|line| match line.starts_with("psiren_build_info") {
        true => "psiren_build_info{…} 1\n".to_owned(),
        false => format!("{line}\n"),
    })
    .collect()
}

#[test]
fn the_output_of_a_filled_program_is_as_documented() {
    insta::assert_snapshot!("metrics", stable(&filled().0.render()));
}

#[test]
fn every_declared_metric_is_in_the_output_of_a_filled_program() {
    let text = filled().0.render();
    for metric in Metrics::describe() {
        let typed = format!("# TYPE {} {}\n", metric.name, metric.kind);
        assert!(text.contains(&typed), "{} is missing", metric.name);
    }
}

#[test]
fn promtool_finds_nothing_to_complain_about() {
    let fresh = Metrics::new(&BTreeMap::new(), None);
    fresh.monitor(&definition(), "flights");
    for text in [filled().0.render(), fresh.render()] {
        if let Some(output) = promtool(&["check", "metrics"], &text) {
            assert!(output.status.success());
            assert_eq!(said(&output), "");
        }
    }
}

#[test]
fn counters_begin_at_zero_and_gauges_without_a_value_have_no_series() {
    let metrics = Metrics::new(&BTreeMap::new(), None);
    metrics.monitor(&definition(), "flights");
    let text = metrics.render();
    for zero in [
        "psiren_records_total{monitor=\"flights\",outcome=\"tombstone\"} 0",
        "psiren_invalid_records_total{monitor=\"flights\",reason=\"utf8\"} 0",
        "psiren_evaluations_total{monitor=\"flights\",result=\"error\",trigger=\"manual\"} 0",
        "psiren_incident{feature=\"carrier\",monitor=\"flights\",reason=\"missing\"} 0",
        "psiren_incident{feature=\"\",monitor=\"flights\",reason=\"stale\"} 0",
        "psiren_checkpoints_total{result=\"error\"} 0",
        "psiren_event_delay_seconds_count{monitor=\"flights\"} 0",
        "psiren_csv_rows_total 0",
    ] {
        assert!(text.contains(&format!("{zero}\n")), "{zero} is missing");
    }
    for absent in [
        "psiren_psi",
        "psiren_status",
        "psiren_window_end",
        "psiren_checkpoint_time",
    ] {
        assert!(!text.contains(absent), "{absent} has a series");
    }
}

#[test]
fn a_window_that_is_filling_or_too_small_takes_the_psi_away() {
    let (metrics, monitor) = filled();
    let line = "psiren_psi{feature=\"dep_delay\",monitor=\"flights\"}";
    assert!(metrics.render().contains(line));
    monitor.show(&report(Trigger::Final, 0.5));
    assert!(!metrics.render().contains(line));
    let carrier = "psiren_psi{feature=\"gate\"";
    assert!(!metrics.render().contains(carrier), "gate has no values");
}

#[test]
fn a_silent_topic_is_stale_until_it_speaks_again() {
    let (metrics, monitor) = filled();
    let status = |code| format!("psiren_status{{feature=\"\",monitor=\"flights\"}} {code}\n");
    assert!(metrics.render().contains(&status(2)));
    monitor.stale(true);
    assert!(metrics.render().contains(&status(-2)));
    monitor.stale(false);
    assert!(metrics.render().contains(&status(2)));
}

#[test]
fn a_feature_that_vanishes_loses_its_series_and_counters_go_on() {
    let (metrics, _) = filled();
    let mut smaller = definition();
    smaller.features.remove(0);
    metrics.monitor(&smaller, "flights");
    let text = metrics.render();
    assert!(!text.contains("dep_delay"), "{text}");
    assert!(text.contains("psiren_records_consumed_total{monitor=\"flights\"} 203\n"));
    assert!(text.contains("psiren_watermark_timestamp_seconds{monitor=\"flights\""));
    metrics.forget_monitor("flights");
    assert!(!metrics.render().contains("monitor=\"flights\""));
}

#[test]
fn buckets_above_the_limit_have_series_only_when_asked_for() {
    let mut large = definition();
    if let psiren::drift::Binning::Numeric { edges, .. } = &mut large.features[0].reference.binning
    {
        *edges = (0..700).map(f64::from).collect();
    }
    large.features[0].reference.counts = vec![1; 701];
    for (asked, expected) in [(None, false), (Some(true), true), (Some(false), false)] {
        let metrics = Metrics::new(&BTreeMap::new(), asked);
        metrics.monitor(&large, "flights");
        assert_eq!(
            metrics.render().contains("reference_ratio"),
            expected,
            "{asked:?}"
        );
    }
}

#[test]
fn names_are_unique_and_helped() {
    let names: BTreeSet<&str> = Metrics::describe().iter().map(|m| m.name).collect();
    assert_eq!(names.len(), Metrics::describe().len());
    assert!(Metrics::describe().iter().all(|m| m.help.ends_with('.')));
}
