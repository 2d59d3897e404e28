use std::path::Path;

use psiren::config::{
    EdgeRule, FilterTest, OnLogChange, Property, Scalar, StartPosition, TimeUnit,
};
use psiren::drift::{Closed, DriftStatus, FeatureKind, MissingRule, Smoothing};
use secrecy::ExposeSecret;

use super::{MINIMAL, monitor, parse};

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;

#[test]
fn the_least_configuration_has_the_stated_defaults() {
    let config = parse(MINIMAL).unwrap();
    snapshot!(config.to_toml());
}

#[test]
fn everything_typed_arrives() {
    let text = monitor(
        r#"
timestamp = { field = ["payload", "unit.ts"], unit = "us", timezone = "Europe/Berlin" }
where = [{ field = "type", equals = "scored" }, { field = "n", in = [1, 2.5, true] }, { field = "a.b", exists = false }]
include = ["dep_*"]
exclude = ["dep_time"]
max_future_skew = "1m"
idle_timeout = "20s"
live_interval = "1s"
stale_after = "1h"
thresholds = { possible = 0.2, likely = 0.5 }
min_events = 100
smoothing = "add"
epsilon = 0.001
buckets = 20
edges = "uniform"
closed = "left"
max_categories = 5
missing = "bucket"
alert_on = "possible"
for_windows = 3
resolve_below = 0.1
resolve_windows = 2
repeat_after = "1d"
alert_max_age = "2h"
missing_above = 0.2
invalid_above = 0
notify = []
start = "2026-01-31T00:00:00Z"
on_log_change = "reset"
strict = true
[monitor.flights.features]
plain = {}
price = { path = "payload.price", column = "unit_price", kind = "numeric", edges = [0, 1.5, 3], closed = "right", likely = 0.6, min_events = 7, missing = "exclude", redact = true }
[monitor.flights.features.carrier]
path = ["a.b"]
kind = "categorical"
max_categories = 3
[monitor.flights.features.distance]
buckets = 4
"#,
    );
    let config = parse(&text).unwrap();
    let monitor = &config.monitors[0];
    let timestamp = monitor.timestamp.as_ref().unwrap();
    assert_eq!(timestamp.path, ["payload", "unit.ts"]);
    assert_eq!(timestamp.unit, Some(TimeUnit::Microseconds));
    assert_eq!(
        monitor.filters[1].test,
        FilterTest::In(vec![
            Scalar::Number(1.0),
            Scalar::Number(2.5),
            Scalar::Boolean(true)
        ])
    );
    assert_eq!(monitor.filters[2].test, FilterTest::Exists(false));
    assert_eq!(monitor.panes.max_future_skew_ms, MINUTE);
    assert_eq!(monitor.smoothing, Smoothing::Add(0.001));
    assert_eq!(monitor.binning.edges, EdgeRule::Uniform { buckets: 20 });
    assert_eq!(monitor.binning.closed, Closed::Left);
    assert_eq!(monitor.missing, MissingRule::Bucket);
    assert_eq!(monitor.incidents.alert_on, DriftStatus::PossibleDrift);
    assert_eq!(monitor.incidents.invalid_above, 0.0);
    assert_eq!(
        monitor.start,
        StartPosition::At {
            ms: 1_769_817_600_000
        }
    );
    assert_eq!(monitor.on_log_change, OnLogChange::Reset);
    let names: Vec<_> = monitor.features.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["plain", "price", "carrier", "distance"]);
    let price = &monitor.features[1];
    assert_eq!(price.path.as_deref().unwrap(), ["payload", "price"]);
    assert_eq!(price.edges, Some(EdgeRule::Explicit(vec![0.0, 1.5, 3.0])));
    assert_eq!(price.kind, Some(FeatureKind::Numeric));
    assert!(price.redact);
    assert_eq!(monitor.features[2].path.as_deref().unwrap(), ["a.b"]);
    assert_eq!(
        monitor.features[3].edges,
        Some(EdgeRule::Uniform { buckets: 4 }),
        "the rule is the monitor's"
    );
}

#[test]
fn what_is_shown_reads_back_and_means_the_same() {
    let text = monitor(
        r#"timestamp = { field = "a.b" }
where = [{ field = "x", equals = "a\"b" }, { field = "y", in = [1.5] }]
start = "36h"
[monitor.flights.features]
"weird name.é" = {}
b = { edges = [1, 2], possible = 0.05 }
a = { buckets = 3 }
[monitor."a.b"]
topic = "t"
reference = "/abs/r.parquet"
window = { size = "1h", slide = "1h", offset = "-5m" }
[labels]
env = "prod"
[kafka.tls]
ca_file = "/ca.pem"
[csv]
path = "/data/{date}.csv"
[state]
dir = "/state"
"#,
    );
    let shown = parse(&text).unwrap().to_toml();
    let again = shown.replace("reference = \"etc/", "reference = \"");
    assert_eq!(parse(&again).unwrap().to_toml(), shown);
}

#[test]
fn lateness_is_the_slide_but_at_most_five_minutes() {
    let text = MINIMAL.replace("slide = \"1d\"", "slide = \"1m\"");
    assert_eq!(parse(&text).unwrap().monitors[0].panes.lateness_ms, MINUTE);
    let panes = parse(MINIMAL).unwrap().monitors[0].panes;
    assert_eq!((panes.lateness_ms, panes.width_ms), (5 * MINUTE, DAY));
}

#[test]
fn an_offset_counts_modulo_the_slide() {
    let offset = |offset: &str| {
        let text = MINIMAL.replace(
            "slide = \"1d\"",
            &format!("slide = \"1d\", offset = \"{offset}\""),
        );
        parse(&text).unwrap().monitors[0].panes.offset_ms
    };
    assert_eq!(offset("5h"), 300 * MINUTE);
    assert_eq!(offset("-19h"), offset("5h"));
    assert_eq!(offset("29h"), offset("5h"));
}

#[test]
fn paths_are_relative_to_the_file() {
    let config = parse(&monitor("[csv]\npath = \"psi.csv\"")).unwrap();
    assert_eq!(
        config.monitors[0].reference,
        Path::new("etc/reference.parquet")
    );
    assert_eq!(config.csv.unwrap().path, Path::new("etc/psi.csv"));
    assert_eq!(config.state.dir, Path::new("etc/psiren-state"));
}

#[test]
fn sasl_and_tls_become_librdkafka_properties() {
    let text = monitor(
        r#"
[kafka.sasl]
mechanism = "scram-sha-512"
username = "psiren"
password = "hunter2"
[kafka.tls]
ca_file = "ca.pem"
cert_file = "c.pem"
key_file = "/k.pem"
[kafka.options]
"client.rack" = "a"
"ssl.crl.location" = "crl.pem"
"#,
    );
    let config = parse(&text).unwrap();
    let plain = |key: &str| match &config.kafka.properties[key] {
        Property::Plain(value) => value.clone(),
        Property::Secret(_) => panic!("{key} is a secret"),
    };
    assert_eq!(plain("security.protocol"), "sasl_ssl");
    assert_eq!(plain("sasl.mechanism"), "SCRAM-SHA-512");
    assert_eq!(plain("ssl.ca.location"), "etc/ca.pem");
    assert_eq!(plain("ssl.key.location"), "/k.pem");
    assert_eq!(plain("client.rack"), "a");
    assert_eq!(plain("ssl.crl.location"), "etc/crl.pem");
    match &config.kafka.properties["sasl.password"] {
        Property::Secret(secret) => assert_eq!(secret.expose_secret(), "hunter2"),
        Property::Plain(_) => panic!("the password is shown"),
    }
    assert!(!config.to_toml().contains("hunter2"));
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn the_word_probe_is_no_path() {
    let options =
        "[kafka.options]\n\"security.protocol\" = \"ssl\"\n\"ssl.ca.location\" = \"probe\"";
    let config = parse(&monitor(options)).unwrap();
    let property = &config.kafka.properties["ssl.ca.location"];
    assert!(matches!(property, Property::Plain(value) if value == "probe"));
}

#[test]
fn tls_can_be_switched_off_or_on_alone() {
    let protocol = |tls: &str| {
        let config = parse(&monitor(tls)).unwrap();
        match config.kafka.properties.get("security.protocol") {
            Some(Property::Plain(value)) => Some(value.clone()),
            _ => None,
        }
    };
    assert_eq!(protocol(""), None);
    assert_eq!(protocol("[kafka.tls]").as_deref(), Some("ssl"));
    assert_eq!(protocol("[kafka.tls]\nenabled = false"), None);
}

#[test]
fn a_monitor_that_names_no_receiver_has_all_of_them() {
    let receivers = "[notify.a]\nslack_webhook_url = \"http://127.0.0.1/a\"\n[notify.b]\nslack_webhook_url = \"http://127.0.0.1/b\"";
    let config = parse(&monitor(receivers)).unwrap();
    assert_eq!(config.monitors[0].notify, ["a", "b"]);
    let silent = parse(&monitor(&format!("notify = []\n{receivers}"))).unwrap();
    assert!(silent.monitors[0].notify.is_empty());
}
