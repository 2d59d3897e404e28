use psiren::config::{Change, Config};

use super::{MINIMAL, monitor, parse};

fn changes(old: &str, new: &str) -> Vec<(String, bool)> {
    Config::changes(&parse(old).unwrap(), &parse(new).unwrap())
        .into_iter()
        .map(|Change { key, needs_restart }| (key, needs_restart))
        .collect()
}

fn live(key: &str) -> (String, bool) {
    (key.to_owned(), false)
}

fn restart(key: &str) -> (String, bool) {
    (key.to_owned(), true)
}

#[test]
fn the_same_configuration_has_no_changes() {
    assert_eq!(changes(MINIMAL, MINIMAL), []);
    assert_eq!(changes(MINIMAL, &monitor("buckets = 10\n# a comment")), []);
}

#[test]
fn what_judges_and_tells_is_in_force_at_once() {
    let new = monitor(
        "thresholds = { possible = 0.1, likely = 0.3 }\nfor_windows = 2\nresolve_below = 0.1\nrepeat_after = \"1h\"\nstale_after = \"1h\"\nlive_interval = \"1s\"\nmin_events = 5\n[labels]\nenv = \"prod\"",
    );
    let keys = changes(MINIMAL, &new);
    assert!(keys.iter().all(|(_, restart)| !restart), "{keys:?}");
    assert_eq!(keys.len(), 8);
    assert!(keys.contains(&live("monitor.flights.thresholds.likely")));
    assert!(keys.contains(&live("labels.env")));
}

#[test]
fn what_is_read_and_counted_needs_a_restart() {
    let new = monitor("edges = \"uniform\"\nexclude = [\"x\"]\n[http]\nlisten = \"127.0.0.1:1\"")
        .replace("7d", "14d")
        .replace("localhost", "kafka");
    assert_eq!(
        changes(MINIMAL, &new),
        [
            restart("kafka.bootstrap_servers"),
            restart("monitor.flights.exclude"),
            restart("monitor.flights.window.size"),
            restart("monitor.flights.edges"),
            restart("http.listen"),
        ]
    );
}

#[test]
fn a_changed_secret_is_named_and_not_told() {
    let with = |url: &str| monitor(&format!("[notify.a]\nslack_webhook_url = \"{url}\""));
    assert_eq!(
        changes(&with("http://h/1"), &with("http://h/2")),
        [live("notify.a.slack_webhook_url")]
    );
    let beats = |url: &str| monitor(&format!("heartbeat_url = \"{url}\""));
    assert_eq!(
        changes(&beats("http://h/1"), &beats("http://h/2")),
        [live("monitor.flights.heartbeat_url")]
    );
}

#[test]
fn a_receiver_may_become_another_kind_at_once() {
    let with = |keys: &str| monitor(&format!("[notify.a]\n{keys}"));
    assert_eq!(
        changes(
            &with("slack_webhook_url = \"http://h/\""),
            &with("alertmanager_url = \"http://h\"\nbearer_token = \"t\"")
        ),
        [
            live("notify.a.alertmanager_url"),
            live("notify.a.bearer_token"),
            live("notify.a.slack_webhook_url"),
        ]
    );
}

#[test]
fn features_that_come_go_or_move_need_a_restart_and_their_thresholds_do_not() {
    let with = |features: &str| monitor(&format!("[monitor.flights.features]\n{features}"));
    assert_eq!(
        changes(&with("a = {}\nb = {}"), &with("b = {}\na = {}")),
        [restart("monitor.flights.features")]
    );
    assert_eq!(
        changes(&with("a = { likely = 0.3 }"), &with("a = { likely = 0.4 }")),
        [live("monitor.flights.features.a.likely")]
    );
    assert_eq!(
        changes(&with("a = {}"), &with("")),
        [restart("monitor.flights.features")]
    );
}

#[test]
fn another_monitor_needs_a_restart() {
    let text =
        "[monitor.b]\ntopic = \"t\"\nreference = \"r\"\nwindow = { size = \"1h\", slide = \"1h\" }";
    let keys = changes(MINIMAL, &monitor(text));
    assert!(keys.contains(&restart("monitor.b.topic")));
    assert!(keys.iter().all(|(_, restart)| *restart), "{keys:?}");
}

#[test]
fn the_thresholds_of_a_feature_that_is_new_wait_for_it() {
    let new = monitor("[monitor.flights.features]\na = { likely = 0.3 }");
    assert_eq!(
        changes(MINIMAL, &new),
        [
            restart("monitor.flights.features.a.likely"),
            restart("monitor.flights.features")
        ]
    );
}

/// What is said to be in force at once and what is taken over are the same.
#[test]
fn what_is_taken_over_is_what_needs_no_restart() {
    let old = monitor("[monitor.flights.features]\na = { likely = 0.3 }\nb = {}");
    let new = monitor(
        r#"
thresholds = { possible = 0.12, likely = 0.3 }
min_events = 7
alert_on = "possible"
for_windows = 2
resolve_below = 0.1
resolve_windows = 2
repeat_after = "1h"
alert_max_age = "2h"
missing_above = 0.2
invalid_above = 0.2
stale_after = "1h"
live_interval = "1s"
heartbeat_url = "http://h/ping"
idle_timeout = "1m"
epsilon = 0.001
[monitor.flights.features]
a = { possible = 0.2, min_events = 3, buckets = 4 }
b = {}
c = { likely = 0.4 }
[labels]
env = "prod"
[notify.x]
slack_webhook_url = "http://h/"
[csv]
path = "a.csv"
"#,
    );
    let (old, new) = (parse(&old).unwrap(), parse(&new).unwrap());
    let mut merged = old.clone();
    merged.take_what_needs_no_restart(&new);
    assert!(
        Config::changes(&merged, &new)
            .iter()
            .all(|c| c.needs_restart)
    );
    assert!(
        Config::changes(&old, &merged)
            .iter()
            .all(|c| !c.needs_restart)
    );
    let at_once = |changes: Vec<Change>| changes.iter().filter(|c| !c.needs_restart).count();
    assert_eq!(
        at_once(Config::changes(&old, &merged)),
        at_once(Config::changes(&old, &new))
    );
}
