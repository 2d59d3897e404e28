use super::{MINIMAL, monitor, parse, parse_with};

/// The text of the error for each configuration.
fn errors<'a>(cases: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<String> = cases
        .into_iter()
        .map(|text| match parse(text) {
            Ok(_) => panic!("accepted:\n{text}"),
            Err(error) => error.to_string(),
        })
        .collect();
    texts.join("\n\n")
}

fn monitor_errors(cases: &[&str]) -> String {
    let texts: Vec<String> = cases.iter().map(|keys| monitor(keys)).collect();
    errors(texts.iter().map(String::as_str))
}

#[test]
fn unknown_keys_and_wrong_types() {
    snapshot!(monitor_errors(&[
        "windw = { size = \"7d\" }",
        "thresholds = { posible = 0.1 }",
        "zzz = 1",
        "idle_timeout = 10",
        "min_events = -5",
        "buckets = \"ten\"",
        "strict = \"yes\"",
        "smoothing = \"clipp\"",
        "edges = \"quantiles\"",
        "timestamp = { field = \"ts\", unit = \"sec\" }",
        "features = { a = 5 }",
        "[http]\ntoken = 12345",
        "[kafka.sasl]\nmechanism = SCRAM",
        "[kafka.sasl]\npassword = hunter2",
        "[state]\nbackend = \"kafka\"",
        "[notify.oncall]\nslack_webhook = \"https://hunter2\"",
        "[csvv]\npath = \"a\"",
        "topic = \"twice\"",
        "kafka = 5",
        "log_payloads = true",
        "topic \"x\"",
    ]));
}

#[test]
fn a_lateness_that_would_hold_too_many_panes_open() {
    let with = |lateness: &str| {
        let window = format!(r#"{{ size = "1h", slide = "1m", lateness = "{lateness}" }}"#);
        MINIMAL.replace("{ size = \"7d\", slide = \"1d\" }", &window)
    };
    assert!(parse(&with("6d")).is_ok());
    let error = errors([with("7d").as_str()]);
    assert!(error.contains("holds 10080 panes"), "{error}");
    assert!(error.contains("at most 10000 fit"), "{error}");
}

#[test]
fn windows_and_durations() {
    let window = |w: &str| MINIMAL.replace("{ size = \"7d\", slide = \"1d\" }", w);
    let cases = [
        window("{ size = \"7d\", slide = \"2d\" }"),
        window("{ size = \"1h\", slide = \"7m\" }"),
        window("{ size = \"1h\" }"),
        window("{ size = \"0s\", slide = \"-1d\" }"),
        window("{ size = \"1mo\", slide = \"1 day and a half\" }"),
        window("{ size = \"7d\", slide = \"1d\", lateness = \"-1s\" }"),
        MINIMAL.replace("window", "# window"),
        monitor("stale_after = \"0s\"\nstart = \"yesterday\""),
    ];
    snapshot!(errors(cases.iter().map(String::as_str)));
}

#[test]
fn figures_that_do_not_fit_together() {
    snapshot!(monitor_errors(&[
        "thresholds = { possible = 0.3, likely = 0.2 }",
        "thresholds = { likely = 0.05 }",
        "thresholds = { possible = 0 }",
        "epsilon = 0.0",
        "epsilon = nan",
        "smoothing = \"half\"\nepsilon = 0.1",
        "buckets = 1",
        "edges = [1, 2, 2]",
        "edges = [1, inf]",
        "edges = []",
        "edges = [1, 2]\nbuckets = 3",
        "resolve_below = 0.3",
        "alert_on = \"possible\"\nresolve_below = 0.2",
        "resolve_below = 0.2\n[monitor.flights.features]\na = { likely = 0.15 }",
        "missing_above = 10",
        "for_windows = 0",
        "[monitor.flights.features]\na = { possible = 0.5 }",
    ]));
}

#[test]
fn names_and_paths() {
    snapshot!(monitor_errors(&[
        "notify = [\"oncal\"]\n[notify.oncall]\nslack_webhook_url = \"http://h/\"",
        "notify = [\"slack\"]",
        "notify = [\"a\", \"a\"]\n[notify.a]\nslack_webhook_url = \"http://h/\"",
        "include = [\"dep_[\"]",
        "timestamp = { field = \"a..b\" }",
        "timestamp = { field = \"ts\", timezone = \"Berlin\" }",
        "timestamp = { unit = \"ms\" }",
        "where = [{ field = \"type\" }]",
        "where = [{ field = \"type\", in = [] }]",
        "[labels]\n\"my-env\" = \"prod\"\nmonitor = \"x\"",
        "[monitor.\"a b\"]\ntopic = \"a b\"\nreference = \"\"\nwindow = { size = \"1h\", slide = \"1h\" }",
        "[monitor.other]",
    ]));
    let no_monitor = "[kafka]\nbootstrap_servers = \"localhost:9092\"";
    snapshot!("nothing_to_watch", errors(["", no_monitor]));
}

#[test]
fn kafka_settings() {
    snapshot!(monitor_errors(&[
        "[kafka.sasl]\nusername = \"u\"",
        "[kafka.sasl]\nmechanism = \"SCRAM-SHA-512\"\npassword = \"hunter2\"",
        "[kafka.sasl]\nmechanism = \"SCRAM-SHA512\"\nusername = \"u\"\npassword = \"hunter2\"",
        "[kafka.sasl]\nmechanism = \"AWS_MSK_IAM\"",
        "[kafka.tls]\nkey_file = \"k.pem\"",
        "[kafka.tls]\ncert_file = \"c.pem\"",
        "[kafka.tls]\nkey_password = \"a\"\nkey_password_file = \"b\"",
        "[kafka.options]\n\"client.rak\" = \"a\"",
        "[kafka.options]\n\"auto.offset.reset\" = \"latest\"",
        "[kafka.options]\n\"plugin.library.paths\" = \"x.so\"",
        "[kafka.options]\n\"fetch.min.bytes\" = \"many\"",
        "[kafka.options]\n\"security.protocol\" = \"ssl\"\n[kafka.tls]",
    ]));
    let servers = MINIMAL.replace("localhost:9092", "localhost:port");
    snapshot!("kafka_servers", errors([servers.as_str()]));
}

#[test]
fn http_and_secrets() {
    snapshot!(monitor_errors(&[
        "[http]\nlisten = \"10774\"",
        "[http]\ntoken = \"hunter2\"",
        "[http]\ntoken = \"hunter2 hunter2 hunter2\"",
        "[http]\npublic_url = \"psiren.example.com\"",
        "[http]\ndashboard_url = \"https://u:p@grafana.example.com/d/psiren-drift?orgId=1\"",
        "[http]\ntoken_file = \"no/such/file\"",
        "[notify.oncall]\nmention = \"<!here>\"",
        "[notify.oncall]\nslack_webhook_url = \"hunter2\"",
    ]));
}

#[test]
fn receivers_and_heartbeats() {
    let with = |keys: &str| format!("[notify.oncall]\n{keys}");
    let receivers = [
        "slack_webhook_url = \"https://h/hunter2\"\nwebhook_url = \"https://h/hunter2\"",
        "webhook_url_file = \"a\"\nalertmanager_url = \"http://h:9093\"",
        "webhook_url = \"https://h/hunter2\"\nmention = \"<!here>\"",
        "slack_webhook_url = \"https://h/hunter2\"\nbearer_token = \"hunter2\"",
        "webhook_url = \"hunter2\"",
        "webhook_url = \"https://h/hunter2\"\nbearer_token = \"Bearer hunter2\"",
        "webhook_url = \"https://user:hunter2@h/\"\nbearer_token = \"hunter2\"",
        "alertmanager_url = \"alertmanager:9093\"",
        "alertmanager_url = \"http://user:hunter2@alertmanager:9093/api/v2/alerts\"",
        "webhook_url = \"https://h/\"\nwebhook_url_file = \"hook\"",
    ];
    let mut cases = receivers.map(with).to_vec();
    cases.push("heartbeat_url = \"ping/hunter2\"".to_owned());
    cases.push("heartbeat_url_file = \"no/such/file\"".to_owned());
    let cases: Vec<&str> = cases.iter().map(String::as_str).collect();
    snapshot!(monitor_errors(&cases));
}

#[test]
fn a_receiver_called_slack_has_no_second_address_beside_the_variable() {
    let text = monitor("[notify.slack]\nalertmanager_url = \"http://h:9093\"");
    assert!(parse(&text).is_ok());
    let error = parse_with(&text, &[("SLACK_WEBHOOK_URL", "https://h/hunter2")]).unwrap_err();
    let words = "`slack` has two addresses, SLACK_WEBHOOK_URL and alertmanager_url";
    assert!(error.to_string().contains(words), "{error}");
}

#[test]
fn what_is_wrong_in_the_environment_has_no_place_in_the_file() {
    let texts: Vec<String> = [
        ("PSIREN_HTTP_LISTEN", "everywhere"),
        ("PSIREN_HTTP_TOKEN", "hunter2"),
        ("PSIREN_HTTP_TOKEN_FILE", "no/such/file"),
        ("PSIREN_KAFKA_SASL_PASSWORD", "hunter2"),
        ("SLACK_WEBHOOK_URL", "hunter2"),
    ]
    .into_iter()
    .map(|variable| parse_with(MINIMAL, &[variable]).unwrap_err().to_string())
    .collect();
    snapshot!(texts.join("\n\n"));
}

#[test]
fn all_problems_are_named_at_once_in_the_order_of_the_file() {
    let text = monitor("buckets = 1\nepsilon = 2.0\nmissing_above = 5");
    let error = parse(&text).unwrap_err();
    let lines: Vec<usize> = error
        .problems()
        .iter()
        .map(|p| p.place.as_ref().unwrap().line)
        .collect();
    assert_eq!(lines, [9, 10, 11]);
}

#[test]
fn no_error_repeats_a_secret() {
    let cases = [
        "[http]\ntoken = \"hunter2\"",
        "[kafka.sasl]\npassword = hunter2",
        "[kafka.sasl]\npassword hunter2",
        "[kafka.sasl]\nmechanism = 5\npassword = \"hunter2\"",
        "[kafka.options]\n\"sasl.passwort\" = \"hunter2\"",
        "[notify.a]\nslack_webhook_url = \"hunter2\"",
        "[notify.a]\nslack_webhook_url = [\"hunter2\"]",
        "[notify.a]\nwebhook_url = \"hunter2\"",
        "[notify.a]\nwebhok_url = \"hunter2\"",
        "[notify.a]\nalertmanager_url = \"http://h\"\nbearer_tokn = \"hunter2\"",
        "heartbeat_url = \"hunter2\"",
        "heartbeat_ur = \"hunter2\"",
        "[kafka.sasl]\nmechanism = \"x\"\npasword = \"hunter2\"",
    ];
    for case in cases {
        let error = parse(&monitor(case)).unwrap_err();
        assert!(!error.to_string().contains("hunter2"), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}
