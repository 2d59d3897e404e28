//! PSI over time in columns, held against the history it is made of.

use axum::http::StatusCode;
use psiren::drift::incident::ChangeKind;
use psiren::drift::{DriftReport, DriftStatus, IncidentChange, Reason, Trigger};
use psiren::state::{EvaluatorState, LogBody, LogEntry, ReportLog};
use serde_json::{Value, json};

use super::{error, site};
use crate::support::sample::{DAY, END, report};
use crate::support::site::Site;

/// The sample's window `days` later, with a PSI of `dep_delay`.
fn later(days: i64, psi: Option<f64>) -> DriftReport {
    let mut later = report(Trigger::Final, 1.0);
    later.window.start_ms += days * DAY;
    later.window.end_ms += days * DAY;
    later.features[0].psi = psi;
    later
}

fn append(site: &Site, report: DriftReport) {
    let entry = LogEntry {
        monitor: report.monitor.clone(),
        written_at_ms: report.window.end_ms,
        news: true,
        body: LogBody::Report(report),
    };
    let state = EvaluatorState::default();
    site.log.commit("flights", &state, &[entry], None).unwrap();
}

fn rounded(psi: &Value) -> Value {
    let digits = |x: f64| format!("{x:.5e}").parse::<f64>().unwrap();
    psi.as_f64().map_or(Value::Null, |x| json!(digits(x)))
}

#[tokio::test]
async fn the_series_has_the_final_evaluations_of_the_history() {
    let site = site();
    append(&site, later(1, None));
    append(&site, later(2, Some(0.123_456_789)));
    let mut manual = later(3, Some(1.0));
    manual.trigger = Trigger::Manual;
    append(&site, manual);
    let series = site.json("/api/v1/series?monitor=flights").await;
    let history = site.json("/api/v1/history?monitor=flights").await;
    let finals = history["evaluations"].as_array().unwrap().iter();
    let finals: Vec<&Value> = finals.filter(|e| e["trigger"] == "final").collect();
    assert_eq!(finals.len(), 4);
    let ends: Vec<i64> = (-1..3).map(|days| END + days * DAY).collect();
    assert_eq!(series["window_end"], json!(ends));
    for (i, evaluation) in finals.into_iter().enumerate() {
        assert_eq!(series["events"][i], evaluation["events"]);
        assert_eq!(series["coverage"][i], evaluation["coverage"]);
        for feature in evaluation["features"].as_array().unwrap() {
            let name = feature["feature"].as_str().unwrap();
            assert_eq!(
                series["features"][name]["psi"][i],
                rounded(&feature["psi"]),
                "{name}"
            );
        }
    }
    assert_eq!(series["features"]["dep_delay"]["psi"][3], 0.123_457);
    // All values of `gate` are of a wrong type, so it has no PSI that could rest on too few.
    assert_eq!(series["features"]["gate"]["insufficient"], json!([]));
}

#[tokio::test]
async fn fewer_points_keep_the_peaks() {
    let site = site();
    for (days, psi) in [(1, Some(9.0)), (2, None), (3, Some(0.5)), (4, Some(0.25))] {
        append(&site, later(days, psi));
    }
    let path = "/api/v1/series?monitor=flights&feature=dep_delay&from=1772409600000&points=2";
    let series = site.json(path).await;
    assert_eq!(
        series["features"],
        json!({"dep_delay": {"psi": [9.0, 0.5], "insufficient": []}})
    );
    assert_eq!(series["window_end"], json!([END + 2 * DAY, END + 4 * DAY]));
}

#[tokio::test]
async fn windows_without_a_verdict_are_named() {
    let site = site();
    let mut few = later(1, Some(2.0));
    few.features[0].status = DriftStatus::InsufficientData;
    append(&site, few);
    let path = "/api/v1/series?monitor=flights&feature=dep_delay";
    let insufficient = site.json(path).await["features"]["dep_delay"]["insufficient"].take();
    assert_eq!(insufficient, json!([2]));
}

#[tokio::test]
async fn incidents_are_spans_and_leave_with_the_log() {
    let site = site();
    let path = "/api/v1/series?monitor=flights&feature=carrier";
    assert_eq!(site.json(path).await["incidents"], json!([]));
    let mut resolving = later(5, Some(0.1));
    resolving.changes.push(IncidentChange {
        feature: "carrier".into(),
        reason: Reason::Missing,
        kind: ChangeKind::Resolved,
        value: 0.01,
        previous: Some(0.5),
        since_ms: END + DAY,
        silenced: false,
    });
    append(&site, resolving);
    let span =
        json!({"feature": "carrier", "reason": "missing", "from": END + DAY, "to": END + 5 * DAY});
    assert_eq!(site.json(path).await["incidents"], json!([span]));
    let open = json!({"feature": "dep_delay", "reason": "psi", "from": END, "to": null});
    let all = site.json("/api/v1/series?monitor=flights").await;
    assert_eq!(all["incidents"], json!([span, open]));
    site.log.expire(i64::MAX).unwrap();
    let nothing = site.json(path).await;
    assert_eq!(nothing["incidents"], json!([]));
    assert_eq!(nothing["window_end"], json!([]));
}

#[tokio::test]
async fn a_series_that_cannot_be_read_is_refused_in_words() {
    let site = site();
    for (query, status, expected) in [
        ("", StatusCode::BAD_REQUEST, "monitor"),
        (
            "monitor=fligths",
            StatusCode::NOT_FOUND,
            "did you mean \"flights\"?",
        ),
        (
            "monitor=flights&feature=gat",
            StatusCode::NOT_FOUND,
            "did you mean \"gate\"?",
        ),
        (
            "monitor=flights&points=0",
            StatusCode::BAD_REQUEST,
            "at least 1",
        ),
        (
            "monitor=flights&points=many",
            StatusCode::BAD_REQUEST,
            "points",
        ),
        (
            "monitor=flights&from=2&to=1",
            StatusCode::BAD_REQUEST,
            "swap",
        ),
        (
            "monitor=flights&from=yesterday",
            StatusCode::BAD_REQUEST,
            "RFC 3339",
        ),
        ("monitor=flights&limit=1", StatusCode::BAD_REQUEST, "limit"),
    ] {
        let (found, text) = site.get(&format!("/api/v1/series?{query}")).await;
        assert_eq!(found, status, "{query}: {text}");
        assert!(error(&text).contains(expected), "{query}: {text}");
    }
}

/// What the series of hundreds of features cost; it asserts nothing.
#[tokio::test]
#[ignore = "a measurement: cargo test --release --test it measure -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "a measurement is there to be read")]
async fn measure_a_series_of_many_features() {
    use std::time::Instant;
    let site = site();
    let wide = |days: i64| {
        let mut wide = later(days, Some(0.1));
        wide.features = (0..500)
            .map(|i| {
                let mut feature = wide.features[0].clone();
                feature.feature = format!("feature_{i}").into();
                feature.buckets = vec![100; 10].into();
                feature
            })
            .collect();
        wide
    };
    for days in 1..=1000 {
        append(&site, wide(days));
    }
    for what in ["first", "second"] {
        let began = Instant::now();
        let (_, text) = site.get("/api/v1/series?monitor=flights&points=56").await;
        println!("{what}: {:?}, {} bytes", began.elapsed(), text.len());
    }
    append(&site, wide(1001));
    let began = Instant::now();
    site.get("/api/v1/series?monitor=flights&points=56").await;
    println!("after one more window: {:?}", began.elapsed());
}
