//! `psiren alert test`: what receivers get, and what is said of their answers.

use std::fs;
use std::process::Output;

use tempfile::TempDir;
use wiremock::matchers::method;
use wiremock::{Mock, MockServer, ResponseTemplate};

async fn receiver(status: u16, body: &str) -> MockServer {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(status).set_body_string(body);
    Mock::given(method("POST"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

/// Runs `psiren alert test` with these Slack receivers.
async fn alert_test(receivers: &[(&str, &str)], arguments: &[&str]) -> Output {
    let tables = receivers
        .iter()
        .map(|(name, url)| format!("[notify.{name}]\nslack_webhook_url = \"{url}/hush\"\n"));
    alert_test_of(&tables.collect::<String>(), arguments).await
}

/// Runs `psiren alert test` with these tables of the configuration.
async fn alert_test_of(tables: &str, arguments: &[&str]) -> Output {
    let folder = TempDir::new().unwrap();
    let reference = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/fixtures/flights/reference.parquet"
    );
    let text = format!(
        "[kafka]\nbootstrap_servers = \"127.0.0.1:1\"\n[labels]\nenv = \"test\"\n\
         [monitor.flights]\ntopic = \"flights\"\nreference = {reference:?}\n\
         window = {{ size = \"7d\", slide = \"1d\" }}\n{tables}"
    );
    let config = folder.path().join("psiren.toml");
    fs::write(&config, text).unwrap();
    let mut command = assert_cmd::Command::cargo_bin("psiren").unwrap();
    command
        .args(["alert", "test", "--config"])
        .arg(&config)
        .args(arguments)
        .env_remove("SLACK_WEBHOOK_URL");
    tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn each_answer_is_printed_and_one_that_failed_is_an_exit_code() {
    let (good, gone) = (receiver(200, "ok").await, receiver(404, "no_service").await);
    let receivers = [("oncall", &*good.uri()), ("gone", &*gone.uri())];
    let output = alert_test(&receivers, &[]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("delivered      oncall, in "), "{said}");
    assert!(
        said.contains("not delivered  gone: ") && said.contains("no_service"),
        "{said}"
    );
    assert!(!said.contains("hush"), "{said}");

    let output = alert_test(&receivers, &["--receiver", "oncall"]).await;
    assert_eq!(output.status.code(), Some(0));
    let received = good.received_requests().await.unwrap();
    assert_eq!(received.len(), 2);
    let message = String::from_utf8_lossy(&received[0].body);
    assert!(
        message.contains("Test message from psiren") && message.contains("env"),
        "{message}"
    );
}

#[tokio::test]
async fn a_webhook_and_an_alertmanager_get_a_test_of_their_own_kind() {
    let (hook, good) = (receiver(202, "").await, receiver(200, "").await);
    let bad = receiver(400, "\"invalid label set\"").await;
    let tables = format!(
        "[notify.bus]\nwebhook_url = \"{}/hush\"\nbearer_token = \"hush\"\n\
         [notify.pager]\nalertmanager_url = \"{}/prefix/\"\n\
         [notify.other]\nalertmanager_url = \"{}\"\n",
        hook.uri(),
        good.uri(),
        bad.uri()
    );
    let output = alert_test_of(&tables, &[]).await;
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    for line in [
        "delivered      bus, in ",
        "delivered      pager, in ",
        "not delivered  other: the receiver answered 400 (invalid label set)",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert!(!said.contains("hush"), "{said}");
    let document = hook.received_requests().await.unwrap().remove(0);
    assert_eq!(document.headers["authorization"], "Bearer hush");
    let document: serde_json::Value = document.body_json().unwrap();
    assert_eq!(document["kind"], "test");
    assert_eq!(document["labels"]["env"], "test");
    let alerts = good.received_requests().await.unwrap().remove(0);
    assert_eq!(alerts.url.path(), "/prefix/api/v2/alerts");
    let alerts: serde_json::Value = alerts.body_json().unwrap();
    assert_eq!(alerts[0]["labels"]["alertname"], "PsirenTest");
}

#[tokio::test]
async fn receivers_that_are_not_there_are_named() {
    let output = alert_test(&[("oncall", "http://127.0.0.1:1")], &["--receiver", "onc"]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("no receiver is called \"onc\"; there are oncall"),
        "{said}"
    );
    let output = alert_test(&[], &[]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("no receiver is configured; add a [notify.…] table"),
        "{said}"
    );
}
