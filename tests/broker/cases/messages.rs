//! What a Slack receiver hears: one message per evaluation in which features open or end, nothing of
//! history, and everything in the end, whatever the receiver answers.

use std::time::Duration;

use serde_json::{Value, json};

use crate::Case;
use crate::flights::{Golden, flights, golden, reference};
use crate::kafka::Kafka;
use crate::psiren::{Home, Psiren};
use crate::topic::{Record, Topic, unique};
use crate::wait;
use crate::webhook::{Answer, Webhook};

const LIMIT: Duration = Duration::from_secs(90);
const LIKELY: f64 = 0.25;
const RESOLVE: f64 = 0.2;
const MIN_EVENTS: u64 = 279;
const DAY_MS: i64 = 86_400_000;
const MAY_REPEAT: &str = "May repeat a message that already arrived.";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared("each_change_is_told_once", each_change_is_told_once),
        Case::shared(
            "a_difficult_receiver_hears_everything_in_the_end",
            a_difficult_receiver_hears_everything_in_the_end,
        ),
        Case::shared(
            "a_message_on_its_way_in_a_kill_is_told_again_and_says_so",
            a_message_on_its_way_in_a_kill_is_told_again_and_says_so,
        ),
        Case::shared(
            "history_is_summed_up_in_one_message",
            history_is_summed_up_in_one_message,
        ),
        Case::shared(
            "a_silence_holds_through_a_kill_and_tells_what_is_open_after_it",
            a_silence_holds_through_a_kill_and_tells_what_is_open_after_it,
        ),
    ]
}

fn monitor(topic: &Topic, webhook: &Webhook, features: &str) -> String {
    format!(
        r#"
[notify.oncall]
slack_webhook_url = "{url}"

[monitor.flights]
topic = "{topic}"
timestamp = {{ field = "ts" }}
reference = {reference}
include = {features}
window = {{ size = "7d", slide = "1d", lateness = "5m" }}
idle_timeout = "2s"
"#,
        url = webhook.url,
        topic = topic.name,
        reference = reference(),
    )
}

/// Whom the healthy evaluations of `flights` call. It answers with 204.
fn heartbeat() -> (Webhook, String) {
    let called = Webhook::start(std::iter::repeat(Answer::Status(204)));
    let key = format!("heartbeat_url = \"{}\"\n", called.url);
    (called, key)
}

/// Calls that `psiren` has made.
fn calls(psiren: &Psiren) -> Option<f64> {
    let labels = [("channel", "heartbeat/flights"), ("result", "ok")];
    psiren.metric("psiren_notifications_total", &labels)
}

/// The flights are appended now, so every change is news, and every evaluation a healthy one.
fn each_change_is_told_once(kafka: &Kafka) {
    let topic = now(kafka, "told");
    let webhook = Webhook::start([]);
    let features = ["dep_delay", "arr_delay"];
    let (_called, key) = heartbeat();
    let config = monitor(&topic, &webhook, r#"["dep_delay", "arr_delay"]"#) + &key;
    let home = Home::new(kafka, &unique("told"), &config);
    let psiren = home.start();

    let changes = evaluations_with_changes(&golden("golden-7d-1d.csv"), &features);
    wait::until("every message", LIMIT, || {
        webhook.delivered().len() >= changes.len()
    });
    wait::until("a call", LIMIT, || calls(&psiren) >= Some(1.0));
    psiren.terminate();
    let again = home.start();
    again.wait_ready();
    again.terminate();
    assert_eq!(webhook.delivered().len(), changes.len());
}

/// What comes while a message waits joins it; nothing is lost and the windows go on.
fn a_difficult_receiver_hears_everything_in_the_end(kafka: &Kafka) {
    let topic = now(kafka, "difficult");
    let webhook = Webhook::start([Answer::Later(1), Answer::Status(500), Answer::HangUp]);
    let config = monitor(&topic, &webhook, r#"["temp"]"#);
    let home = Home::new(kafka, &unique("difficult"), &config);
    let psiren = home.start();
    wait::until("a message", LIMIT, || !webhook.delivered().is_empty());
    assert!(
        home.rows().len() > 250,
        "the windows waited for the receiver"
    );
    let told = |result| {
        let labels = [("channel", "oncall"), ("result", result)];
        psiren.metric("psiren_notifications_total", &labels)
    };
    assert_eq!(told("error"), Some(3.0));
    wait::until("the message to be counted", LIMIT, || {
        told("ok") >= Some(1.0)
    });
    psiren.terminate();
}

/// The receiver has the message, psiren does not know it yet: only the cursor can tell that it may have arrived.
fn a_message_on_its_way_in_a_kill_is_told_again_and_says_so(kafka: &Kafka) {
    let topic = now(kafka, "on-its-way");
    let webhook = Webhook::start([Answer::After(Duration::from_secs(3))]);
    let config = monitor(&topic, &webhook, r#"["temp"]"#);
    let home = Home::new(kafka, &unique("on-its-way"), &config);
    let psiren = home.start();
    wait::until("a message", LIMIT, || webhook.count() == 1);
    psiren.kill9();
    let again = home.start();
    wait::until("the message again", LIMIT, || webhook.count() > 1);
    again.terminate();
    let told: Vec<String> = webhook.delivered().iter().map(Value::to_string).collect();
    assert!(!told[0].contains(MAY_REPEAT), "{}", told[0]);
    assert!(told[1].contains(MAY_REPEAT), "{}", told[1]);
    assert_eq!(first_change(&told[0]), first_change(&told[1]));
}

/// The text of a message's first incident.
fn first_change(message: &str) -> Option<&str> {
    message.split("*temp*").nth(1)?.split("UTC").next()
}

fn now(kafka: &Kafka, name: &str) -> Topic {
    let topic = Topic::create(kafka, name, 1);
    let records: Vec<Record> = flights().iter().map(|f| f.record()).collect();
    topic.produce(&records);
    topic
}

/// Records as old as their events: windows are written, nobody is called, one message says what is
/// open.
fn history_is_summed_up_in_one_message(kafka: &Kafka) {
    let topic = Topic::create(kafka, "history", 1);
    let records: Vec<Record> = flights()
        .iter()
        .map(|f| f.record().at_ms(f.ts_ms))
        .collect();
    topic.produce(&records);
    let webhook = Webhook::start([]);
    let (_called, key) = heartbeat();
    let config = monitor(&topic, &webhook, r#"["temp", "pressure"]"#) + &key;
    let home = Home::new(kafka, &unique("history"), &config);
    let psiren = home.start();
    wait::until("a message", LIMIT, || !webhook.delivered().is_empty());
    let rows = home.rows();
    assert!(rows.len() > 500, "{} rows before the message", rows.len());
    assert_eq!(calls(&psiren), Some(0.0), "nothing of now was evaluated");
    psiren.terminate();
    let delivered = webhook.delivered();
    assert_eq!(delivered.len(), 1, "{delivered:#?}");
}

fn a_silence_holds_through_a_kill_and_tells_what_is_open_after_it(kafka: &Kafka) {
    let topic = Topic::create(kafka, "silenced", 1);
    let webhook = Webhook::start([]);
    let config = monitor(&topic, &webhook, r#"["temp", "pressure"]"#);
    let home = Home::new(kafka, &unique("silenced"), &config);
    let psiren = home.start();
    let silence = json!({"for": "1h", "reason": "a release", "by": "Ada"});
    let silenced = psiren.post("/api/v1/silences", &silence);
    assert_eq!(silenced.status, 201, "{silenced:?}");
    let records: Vec<Record> = flights().iter().map(|f| f.record()).collect();
    topic.produce(&records);
    wait::until("every window", LIMIT, || home.rows().len() >= 610);
    psiren.kill9();

    let again = home.start();
    again.wait_ready();
    let list = again.get("/api/v1/silences").json();
    assert_eq!(list["silences"][0], silenced.json());
    assert_eq!(webhook.count(), 0);
    let path = format!(
        "/api/v1/silences/{}",
        silenced.json()["id"].as_str().expect("an id")
    );
    assert_eq!(again.delete(&path).status, 200);
    wait::until("a message", LIMIT, || webhook.count() == 1);
    let told = webhook.delivered()[0].to_string();
    assert!(told.contains("under a silence that is over"), "{told}");
    again.terminate();
    assert_eq!(webhook.count(), 1);
}

/// The window ends at which a feature opens or ends, by the default rules, over the golden figures
/// that close by watermark.
fn evaluations_with_changes(golden: &[Golden], features: &[&str]) -> Vec<i64> {
    let first = golden.iter().map(|g| g.window_end_ms).min().unwrap_or(0);
    let full = first + 6 * DAY_MS;
    let last = golden.iter().map(|g| g.window_end_ms).max().unwrap_or(0);
    let mut changed = std::collections::BTreeSet::new();
    for feature in features {
        let mut open = false;
        for g in golden.iter().filter(|g| g.feature == *feature) {
            let judged = g.window_end_ms >= full && g.window_end_ms < last;
            let Some(psi) = g.psi.filter(|_| judged && g.events >= MIN_EVENTS) else {
                continue;
            };
            if !open && psi > LIKELY || open && psi <= RESOLVE {
                open = !open;
                changed.insert(g.window_end_ms);
            }
        }
    }
    changed.into_iter().collect()
}
