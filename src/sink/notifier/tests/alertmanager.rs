//! What an Alertmanager gets. `tests/prometheus` holds a real one against it.

use super::*;
use crate::drift::{IncidentBook, OpenIncident, Reason, Silence};
use crate::sink::testing::START;
use crate::state::{EvaluatorState, NoticeKind};

const API: &str = "/prefix/api/v2/alerts";
const OFTEN: Pace = Pace {
    refresh: Duration::from_millis(20),
    ..FAST
};

fn alertmanager(base: &str) -> ReceiverConfig {
    ReceiverConfig {
        name: "pager".to_owned(),
        channel: Channel::Alertmanager {
            url: format!("{base}/prefix"),
            bearer_token: None,
        },
    }
}

async fn server(status: u16) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(API))
        .respond_with(ResponseTemplate::new(status))
        .with_priority(9)
        .mount(&server)
        .await;
    server
}

/// The alerts of each request.
async fn posted(server: &MockServer) -> Vec<Vec<Value>> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|r| r.body_json().unwrap()).collect()
}

fn time(alert: &Value, key: &str) -> jiff::Timestamp {
    alert[key].as_str().unwrap().parse().unwrap()
}

/// Seconds until an alert ends.
fn lasts(alert: &Value) -> i64 {
    time(alert, "endsAt")
        .duration_since(jiff::Timestamp::now())
        .as_secs()
}

/// An evaluator with an open incident of `dep_delay`, and the entry that opened it.
fn open_incident() -> (EvaluatorState, LogEntry) {
    let entry = news("flights", "dep_delay", Opened);
    let LogBody::Report(report) = &entry.body else {
        unreachable!()
    };
    let mut incidents = IncidentBook::default();
    incidents.observe(&definition("flights", vec![numeric("dep_delay")]), report);
    let state = EvaluatorState {
        incidents,
        ..EvaluatorState::default()
    };
    assert_eq!(state.incidents.open().len(), 1);
    (state, entry)
}

#[tokio::test]
async fn an_incident_fires_until_it_ends_under_the_same_labels() {
    let (server, log) = (server(200).await, MemoryLog::new());
    let mut config = notify_config(vec![alertmanager(&server.uri())]);
    let labels = [
        ("env", "prod"),
        ("severity", "critical"),
        ("reason", "mine"),
    ];
    config.labels = labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    config.public_url = Some("https://psiren.example.com/drift/".to_owned());
    let started = Started::at(FAST, &log, Arc::new(config));
    log.push(news("flights", "dep_delay", Opened));
    started.metrics.until("pager delivered", 1).await;
    log.push(news("flights", "dep_delay", Resolved));
    started.metrics.until("pager delivered", 2).await;
    started.stop().await;
    let posted = posted(&server).await;
    let [opened, resolved] = posted.as_slice() else {
        panic!("{posted:?}");
    };
    let (opened, resolved) = (&opened[0], &resolved[0]);
    assert_eq!(opened["labels"], resolved["labels"]);
    insta::assert_snapshot!(format!(
        "{:#}\n{:#}\n{}",
        opened["labels"], opened["annotations"], opened["generatorURL"]
    ));
    assert_eq!(time(opened, "startsAt").as_millisecond(), START);
    assert!((280..=300).contains(&lasts(opened)), "{opened}");
    assert!((-20..=0).contains(&lasts(resolved)), "{resolved}");
}

#[tokio::test]
async fn a_stale_monitor_has_no_feature_and_no_alert_begins_in_the_future() {
    let (server, log) = (server(200).await, MemoryLog::new());
    let mut config = notify_config(vec![alertmanager(&server.uri())]);
    config.labels = [("feature".to_owned(), "mine".to_owned())].into();
    let started = Started::at(FAST, &log, Arc::new(config));
    let mut stale = change("", Opened, 900.0);
    (stale.reason, stale.since_ms) = (Reason::Stale, now_ms() + 3_600_000);
    log.push(entry(LogBody::Notice {
        kind: NoticeKind::Stale,
        changes: vec![stale],
        open: Vec::new(),
    }));
    started.metrics.until("pager delivered", 1).await;
    started.stop().await;
    let alert = &posted(&server).await[0][0];
    let labels = alert["labels"].as_object().unwrap();
    assert!(!labels.contains_key("feature"), "{labels:?}");
    assert_eq!(labels["reason"], "stale");
    assert_eq!(labels["severity"], "warning");
    assert!(time(alert, "startsAt") <= jiff::Timestamp::now());
}

#[tokio::test]
async fn what_is_open_is_sent_again_and_again() {
    let (server, log) = (server(200).await, MemoryLog::new());
    let (state, entry) = open_incident();
    log.push_with(&state, entry);
    // The entry was there before the receiver: only the state says that something is open.
    let config = notify(vec![alertmanager(&server.uri())]);
    let started = Started::at(OFTEN, &log, Arc::clone(&config));
    started.metrics.until("pager delivered", 2).await;
    let cursor = log.cursor("slack.pager");
    started.metrics.until("pager delivered", 4).await;
    assert_eq!(log.cursor("slack.pager"), cursor, "it moves no cursor");
    // Once it has ended it is told so, and no refresh lets it fire again.
    log.push(news("flights", "dep_delay", Resolved));
    let ended = async {
        loop {
            let posted = posted(&server).await;
            let is_end = |alerts: &Vec<Value>| lasts(&alerts[0]) <= 0;
            if posted.last().is_some_and(is_end) {
                return posted.len();
            }
            tokio::task::yield_now().await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(20), ended)
        .await
        .unwrap();
    started.config.send_replace(config);
    log.push(news("trains", "dep_delay", Opened));
    let delivered = started.metrics.get("pager delivered");
    started
        .metrics
        .until("pager delivered", delivered + 1)
        .await;
    started.stop().await;
    let after = posted(&server).await.split_off(ended);
    let flights = |alert: &Value| alert["labels"]["monitor"] == "flights";
    assert!(!after.iter().flatten().any(flights), "{after:?}");
}

#[tokio::test]
async fn nothing_is_sent_again_while_history_is_read_or_for_monitors_of_others() {
    let (server, log) = (server(200).await, MemoryLog::new());
    let (mut state, entry) = open_incident();
    log.push_with(&state, entry.clone());
    let mut config = notify_config(vec![alertmanager(&server.uri())]);
    config
        .monitors
        .get_mut("flights")
        .unwrap()
        .receivers
        .clear();
    state.owes_summary = true;
    let mut history = news("trains", "dep_delay", Opened);
    history.news = false;
    log.push_with(&state, history);
    let started = Started::at(OFTEN, &log, Arc::new(config));
    // By then several refreshes are due.
    tokio::time::sleep(10 * OFTEN.refresh).await;
    log.push(news("trains", "air_time", Opened));
    started.metrics.until("pager delivered", 1).await;
    started.stop().await;
    let posted = posted(&server).await;
    assert_eq!(posted.len(), 1, "{posted:?}");
    assert_eq!(posted[0][0]["labels"]["feature"], "air_time");
}

#[tokio::test]
async fn a_silenced_incident_is_not_sent_again_until_its_silence_is_over() {
    let (server, log) = (server(200).await, MemoryLog::new());
    let (mut state, entry) = open_incident();
    let silence = state.silences.add(Silence {
        id: 0,
        feature: Some("dep_delay".to_owned()),
        from_ms: now_ms(),
        until_ms: now_ms() + 3_600_000,
        reason: "a release".to_owned(),
        by: None,
    });
    log.push_with(&state, entry.clone());
    let started = Started::at(OFTEN, &log, notify(vec![alertmanager(&server.uri())]));
    tokio::time::sleep(10 * OFTEN.refresh).await;
    assert_eq!(posted(&server).await.len(), 0);
    state.silences.end(silence.id).unwrap();
    let mut history = entry;
    history.news = false;
    log.push_with(&state, history);
    started.metrics.until("pager delivered", 1).await;
    started.stop().await;
}

#[tokio::test]
async fn a_refresh_that_fails_is_counted_and_holds_up_no_message() {
    let (server, log) = (server(200).await, MemoryLog::new());
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(500))
        .up_to_n_times(3)
        .mount(&server)
        .await;
    let (state, entry) = open_incident();
    log.push_with(&state, entry);
    let config = notify(vec![alertmanager(&server.uri())]);
    let started = Started::at(OFTEN, &log, config);
    started.metrics.until("pager retried", 3).await;
    started.metrics.until("pager delivered", 1).await;
    log.push(news("trains", "carrier", Opened));
    let told = async {
        let trains = |alert: &Value| alert["labels"]["monitor"] == "trains";
        while !posted(&server).await.iter().flatten().any(trains) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), told)
        .await
        .unwrap();
    started.stop().await;
}

#[tokio::test]
async fn why_a_refresh_fails_is_logged_once() {
    let captured = logged();
    let (server, log) = (server(500).await, MemoryLog::new());
    let (state, entry) = open_incident();
    log.push_with(&state, entry);
    let named = ReceiverConfig {
        name: "refreshed".to_owned(),
        ..alertmanager(&server.uri())
    };
    let started = Started::at(OFTEN, &log, notify(vec![named]));
    started.metrics.until("refreshed retried", 4).await;
    started.stop().await;
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    let ours = text.lines().filter(|line| line.contains("\"refreshed\""));
    let ours: Vec<&str> = ours.filter(|line| line.contains("psiren::sink")).collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    let words = "what is open could not be sent again: the receiver answered 500";
    assert!(ours[0].contains(words), "{ours:?}");
}

#[tokio::test]
async fn a_reminder_needs_no_message_and_a_summary_fires_what_is_open() {
    let (server, log) = (server(200).await, MemoryLog::new());
    let started = Started::new(&log, vec![alertmanager(&server.uri())]);
    let notice = |kind, feature: &str| {
        entry(LogBody::Notice {
            kind,
            changes: Vec::new(),
            open: vec![OpenIncident {
                feature: feature.to_owned(),
                reason: Reason::Psi,
                since_ms: START,
                value: 0.5,
            }],
        })
    };
    log.push(notice(NoticeKind::Reminder, "carrier"));
    log.push(notice(NoticeKind::CaughtUp, "air_time"));
    started.metrics.until("pager delivered", 1).await;
    started.stop().await;
    let posted = posted(&server).await;
    assert_eq!(posted.len(), 1, "{posted:?}");
    assert_eq!(posted[0][0]["labels"]["feature"], "air_time");
    let cursor = String::from_utf8(log.cursor("slack.pager").unwrap()).unwrap();
    assert!(cursor.contains("\"done\":2"), "{cursor}");
}

#[tokio::test]
async fn what_alertmanager_says_is_wrong_is_shown() {
    let server = MockServer::start().await;
    let refusal = ResponseTemplate::new(400).set_body_json("invalid label set");
    Mock::given(method("POST"))
        .respond_with(refusal)
        .mount(&server)
        .await;
    let failure = send_test(&alertmanager(&server.uri()), &BTreeMap::new()).await;
    let failure = failure.unwrap_err();
    assert!(matches!(failure, Failure::Refused { .. }));
    let words = failure.to_string();
    assert_eq!(words, "the receiver answered 400 (invalid label set)");
}

#[tokio::test]
async fn an_answer_to_a_request_with_a_token_is_not_shown() {
    let server = MockServer::start().await;
    let refusal = ResponseTemplate::new(400).set_body_json("you sent Bearer SECRET");
    Mock::given(method("POST"))
        .respond_with(refusal)
        .mount(&server)
        .await;
    let mut receiver = alertmanager(&server.uri());
    let Channel::Alertmanager { bearer_token, .. } = &mut receiver.channel else {
        unreachable!()
    };
    *bearer_token = Some("SECRET".into());
    let failure = send_test(&receiver, &BTreeMap::new()).await.unwrap_err();
    assert_eq!(failure.to_string(), "the receiver answered 400");
}

#[tokio::test]
async fn a_test_alert_ends_by_itself() {
    let server = server(200).await;
    send_test(&alertmanager(&server.uri()), &BTreeMap::new())
        .await
        .unwrap();
    let alert = &posted(&server).await[0][0];
    assert_eq!(alert["labels"]["alertname"], "PsirenTest");
    assert!((40..=60).contains(&lasts(alert)), "{alert}");
}
