//! What a webhook gets: the document that `docs/webhook.md` describes.

use serde_json::json;

use super::*;
use crate::drift::{FeatureDefinition, OpenIncident, Reason, Trigger};
use crate::sink::testing::{DAY, START};
use crate::state::NoticeKind;

fn webhook(name: &str, base: &str) -> ReceiverConfig {
    ReceiverConfig {
        name: name.to_owned(),
        channel: Channel::Webhook {
            url: format!("{base}{SECRET}").into(),
            bearer_token: Some("bearer-canary".into()),
        },
    }
}

/// All documents that arrived; when they were sent is checked and left out.
async fn documents(server: &MockServer) -> Vec<Value> {
    let requests = server.received_requests().await.unwrap();
    let document = |request: &Request| {
        assert_eq!(request.headers["content-type"], "application/json");
        assert_eq!(request.headers["authorization"], "Bearer bearer-canary");
        let mut document: Value = request.body_json().unwrap();
        let sent: jiff::Timestamp = document["sent_at"].as_str().unwrap().parse().unwrap();
        let age = jiff::Timestamp::now().duration_since(sent);
        assert!(age.as_secs() < 60, "{age}");
        document.as_object_mut().unwrap().remove("sent_at");
        document
    };
    requests.iter().map(document).collect()
}

/// An evaluation in which two incidents open and one ends.
fn evaluation() -> LogEntry {
    let mut dep_delay = feature_report("dep_delay", 0.41, &[4000, 4000, 4345]);
    (dep_delay.missing, dep_delay.invalid) = (12, 3);
    let features = vec![
        dep_delay,
        feature_report("air_time", 0.1, &[500, 400, 100]),
        feature_report("carrier", 0.9, &[900, 90, 10]),
    ];
    let mut report = report("flights", 1, features);
    report.changes = vec![
        change("dep_delay", Opened, 0.41),
        change("air_time", Resolved, 0.1),
        change("carrier", Opened, 0.9),
    ];
    entry(LogBody::Report(report))
}

fn notice(kind: NoticeKind, open: &[(&str, f64)]) -> LogEntry {
    let open = open.iter().map(|(feature, value)| OpenIncident {
        feature: (*feature).to_owned(),
        reason: Reason::Psi,
        since_ms: START,
        value: *value,
    });
    entry(LogBody::Notice {
        kind,
        changes: Vec::new(),
        open: open.collect(),
    })
}

/// Delivers `entries`, each by itself, and gives what arrived.
async fn delivered(
    config: NotifyConfig,
    server: &MockServer,
    entries: Vec<LogEntry>,
) -> Vec<Value> {
    let log = MemoryLog::new();
    let started = Started::at(FAST, &log, Arc::new(config));
    for (entry, n) in entries.into_iter().zip(1..) {
        log.push(entry);
        started.metrics.until("delivered", n).await;
    }
    started.stop().await;
    documents(server).await
}

#[tokio::test]
async fn the_documented_example_is_what_is_sent() {
    let server = ok_server().await;
    let mut config = notify_config(vec![webhook("bus", &server.uri())]);
    config.labels = [("env".to_owned(), "prod".to_owned())].into();
    config.public_url = Some("https://psiren.example.com/drift/".to_owned());
    config.dashboard_url = Some("https://grafana.example.com/d/psiren-drift/psiren".to_owned());
    let [sent] = delivered(config, &server, vec![evaluation()])
        .await
        .try_into()
        .unwrap();
    let page = include_str!("../../../../docs/webhook.md");
    let (_, example) = page.split_once("```json\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let mut documented: Value = serde_json::from_str(example).unwrap();
    documented
        .as_object_mut()
        .unwrap()
        .remove("sent_at")
        .unwrap();
    assert_eq!(documented, sent, "docs/webhook.md should hold {sent:#}");
    let mut fields: Vec<&String> = sent.as_object().unwrap().keys().collect();
    fields.extend(sent["opened"][0].as_object().unwrap().keys());
    for field in fields {
        assert!(
            page.contains(&format!("| `{field}` |")),
            "{field} is not described"
        );
    }
}

#[tokio::test]
async fn each_kind_of_message_says_what_it_is() {
    let server = ok_server().await;
    let config = notify_config(vec![webhook("bus", &server.uri())]);
    let entries = vec![
        notice(
            NoticeKind::Reminder,
            &[("air_time", 0.3), ("dep_delay", 0.6)],
        ),
        notice(NoticeKind::CaughtUp, &[]),
        news("flights", "dep_delay", Opened),
    ];
    let sent = delivered(config, &server, entries).await;
    let kinds: Vec<&Value> = sent.iter().map(|d| &d["kind"]).collect();
    assert_eq!(kinds, ["reminder", "summary", "incidents"]);
    let open = sent[0]["open"].as_array().unwrap();
    let features: Vec<&Value> = open.iter().map(|i| &i["feature"]).collect();
    assert_eq!(features, ["dep_delay", "air_time"], "the worst first");
    assert_eq!(sent[0]["title"], "2 incidents are still open · flights");

    send_test(&webhook("bus", &server.uri()), &BTreeMap::new())
        .await
        .unwrap();
    let sent = documents(&server).await;
    let test = sent.last().unwrap();
    assert_eq!(test["kind"], "test");
    assert_eq!(
        (&test["version"], &test["monitor"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(test["opened"], json!([]));
}

#[tokio::test]
async fn a_stale_monitor_has_no_feature_and_no_window() {
    let server = ok_server().await;
    let config = notify_config(vec![webhook("bus", &server.uri())]);
    let mut stale = change("", Opened, 900.0);
    stale.reason = Reason::Stale;
    let entry = entry(LogBody::Notice {
        kind: NoticeKind::Stale,
        changes: vec![stale],
        open: Vec::new(),
    });
    let sent = delivered(config, &server, vec![entry]).await;
    let incident = &sent[0]["opened"][0];
    assert_eq!(incident["reason"], "stale");
    assert_eq!(incident["value"], 900.0);
    for absent in ["feature", "window", "events", "threshold", "moved"] {
        assert_eq!(incident[absent], Value::Null, "{absent}");
    }
}

#[tokio::test]
async fn a_redacted_feature_shows_shares_and_no_category() {
    let server = ok_server().await;
    let mut config = notify_config(vec![webhook("bus", &server.uri())]);
    let carrier = FeatureDefinition {
        redact: true,
        ..categorical("carrier")
    };
    let flights = config.monitors.get_mut("flights").unwrap();
    flights.definition = Arc::new(definition("flights", vec![carrier]));
    let features = vec![feature_report("carrier", 0.9, &[900, 90, 10])];
    let mut report = report("flights", 1, features);
    report.trigger = Trigger::Manual;
    report.changes = vec![change("carrier", Opened, 0.9)];
    let sent = delivered(config, &server, vec![entry(LogBody::Report(report))]).await;
    let incident = &sent[0]["opened"][0];
    let moved = json!({ "bucket": null, "reference_share": 0.49, "production_share": 0.09 });
    assert_eq!(incident["moved"], moved);
    assert_eq!(incident["trigger"], "manual");
    let text = sent[0].to_string();
    assert!(!text.contains("AA") && !text.contains("UA"), "{text}");
}

#[tokio::test]
async fn a_message_keeps_its_id_over_retries_and_no_other_has_it() {
    let (server, log) = (ok_server().await, MemoryLog::new());
    answer(503).up_to_n_times(2).mount(&server).await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_delay(Duration::from_secs(60)))
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let started = Started::new(&log, vec![webhook("bus", &server.uri())]);
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("delivered", 1).await;
    started.stop().await;
    let sent = documents(&server).await;
    let ids: Vec<&Value> = sent.iter().map(|d| &d["id"]).collect();
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(sent.last().unwrap()["may_repeat"], true);

    // The same place in the log of another state, with other news.
    let another = ok_server().await;
    let config = notify_config(vec![webhook("bus", &another.uri())]);
    let later = news("flights", "carrier", Opened);
    let other = delivered(config, &another, vec![later]).await;
    assert_ne!(&other[0]["id"], ids[0]);
}

#[tokio::test]
async fn an_answer_of_a_webhook_is_never_repeated() {
    let server = MockServer::start().await;
    let refusal = ResponseTemplate::new(403).set_body_string(format!("\"no {SECRET}\""));
    Mock::given(method("POST"))
        .respond_with(refusal)
        .mount(&server)
        .await;
    let webhook = webhook("bus", &server.uri());
    let failure = send_test(&webhook, &BTreeMap::new()).await.unwrap_err();
    assert!(matches!(failure, Failure::Refused { .. }));
    assert_eq!(failure.to_string(), "the receiver answered 403");
}

#[tokio::test]
async fn figures_are_not_rounded_and_times_are_rfc_3339() {
    let server = ok_server().await;
    let config = notify_config(vec![webhook("bus", &server.uri())]);
    let mut evaluation = news("flights", "dep_delay", Opened);
    let LogBody::Report(report) = &mut evaluation.body else {
        unreachable!()
    };
    report.changes[0].value = 0.1 + 0.2;
    report.changes[0].since_ms = START + DAY + 250;
    let sent = delivered(config, &server, vec![evaluation]).await;
    let incident = &sent[0]["opened"][0];
    assert_eq!(incident["value"].as_f64(), Some(0.1 + 0.2));
    assert_eq!(incident["since"], "2013-03-02T00:00:00.25Z");
}
