//! `psiren validate` as far as it needs no broker: files, state, CSV, and what it never does.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use psiren::state::local::{FILE_NAME, LocalOptions, LocalStore};
use tempfile::TempDir;

const HOOK: &str = "https://hooks.slack.com/services/T0/B0/hush";

/// A folder with a configuration: `kafka` and `monitor` are more keys of these tables, `rest` more
/// tables.
fn home(kafka: &str, monitor: &str, rest: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let reference =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/flights/reference.parquet");
    let text = format!(
        r#"
[kafka]
bootstrap_servers = "127.0.0.1:1"
{kafka}
[monitor.flights]
topic = "flights"
timestamp = {{ field = "ts" }}
reference = {reference:?}
window = {{ size = "7d", slide = "1d" }}
{monitor}
[csv]
path = "psi.csv"
[http]
listen = "127.0.0.1:0"
[state]
dir = "state"
{rest}
"#
    );
    fs::write(folder.path().join("psiren.toml"), text).unwrap();
    folder
}

fn validate(folder: &TempDir, flags: &[&str]) -> Output {
    assert_cmd::Command::cargo_bin("psiren")
        .unwrap()
        .current_dir(folder)
        .args(["validate", "--config", "psiren.toml"])
        .args(flags)
        .env_remove("SLACK_WEBHOOK_URL")
        .output()
        .unwrap()
}

/// The exit code and what was printed, of the files only.
fn files(folder: &TempDir) -> (i32, String) {
    let output = validate(folder, &["--no-environment"]);
    (output.status.code().unwrap(), stdout(&output))
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_good_configuration_passes_and_nothing_is_written() {
    let folder = home("", "", "");
    let (code, text) = files(&folder);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("ok       configuration psiren.toml: 1 monitor\n"),
        "{text}"
    );
    assert!(text.contains("reference.parquet: 13 features"), "{text}");
    assert!(
        text.contains("numeric, with buckets: distance (10)"),
        "{text}"
    );
    assert!(text.contains("not watched: ts: "), "{text}");
    assert!(text.contains("state in state: none yet"), "{text}");
    assert!(text.ends_with("\nnothing failed\n"), "{text}");
    assert!(
        !text.contains('\u{1b}'),
        "no colour where there is no terminal: {text}"
    );
    assert_eq!(names(&folder), ["psiren.toml"]);
}

#[test]
fn hundreds_of_features_are_not_listed_one_by_one() {
    let folder = home("", "", "");
    let flights = "fixtures/flights/reference.parquet".into();
    let mut profile = psiren::reference::build(&[flights], &Default::default()).unwrap();
    let distance = profile.feature("distance").unwrap().clone();
    profile.features = vec![distance; 300];
    for (i, feature) in profile.features.iter_mut().enumerate() {
        feature.reference.name = format!("distance_{i}");
        feature.reference.column = feature.reference.name.clone();
    }
    profile.save(&folder.path().join("many.json")).unwrap();
    let path = folder.path().join("psiren.toml");
    let text = fs::read_to_string(&path).unwrap();
    let reference = text.lines().find(|l| l.starts_with("reference")).unwrap();
    let text = text.replace(reference, "reference = \"many.json\"");
    fs::write(&path, text).unwrap();
    let (code, text) = files(&folder);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("many.json: 300 features"), "{text}");
    let last = "distance_39 (10) and 260 more\n";
    assert!(text.contains(last), "{text}");
}

#[test]
fn a_misspelt_key_is_shown_with_its_line() {
    let folder = home("", "tresholds = { likely = 0.3 }", "");
    let (code, text) = files(&folder);
    assert_eq!(code, 78, "{text}");
    assert!(text.contains("failed   configuration\n"), "{text}");
    assert!(text.contains("psiren.toml:"), "{text}");
    assert!(text.contains("^^^^"), "{text}");
    assert!(text.contains("thresholds"), "{text}");
}

#[test]
fn a_reference_that_cannot_be_read_fails_and_the_rest_is_still_checked() {
    let folder = home(
        "",
        "",
        "[monitor.other]\ntopic = \"other\"\nreference = \"none.parquet\"\nwindow = { size = \"1d\", slide = \"1d\" }",
    );
    let (code, text) = files(&folder);
    assert_eq!(code, 78, "{text}");
    assert!(text.contains("ok       monitor \"flights\""), "{text}");
    assert!(
        text.contains("failed   monitor \"other\": reference none.parquet"),
        "{text}"
    );
    assert!(text.contains("CSV file psi.csv"), "{text}");
    assert!(text.ends_with("\n1 failed\n"), "{text}");
}

#[test]
fn the_address_of_a_receiver_is_never_shown() {
    let receiver = format!("[notify.oncall]\nslack_webhook_url = \"{HOOK}\"");
    let folder = home("", "", &receiver);
    let output = validate(&folder, &["--no-environment", "--show"]);
    assert_eq!(output.status.code(), Some(0));
    let shown = stdout(&output);
    assert!(
        shown.contains("slack_webhook_url = \"********\""),
        "{shown}"
    );
    let parsed: toml::Table = shown.parse().unwrap();
    assert!(
        parsed.contains_key("monitor"),
        "only the configuration is there"
    );
    let list = String::from_utf8(output.stderr).unwrap();
    assert!(
        list.contains("receiver \"oncall\": told by \"flights\""),
        "{list}"
    );
    assert!(!list.contains("hush") && !shown.contains("hush"));
}

#[test]
fn addresses_with_a_secret_that_travel_in_the_clear_are_warned_about() {
    let heartbeat = "heartbeat_url = \"http://example.com/hush\"";
    let receivers = "[notify.bus]\nwebhook_url = \"http://example.com/hush\"\n\
                     [notify.pager]\nalertmanager_url = \"http://alertmanager:9093\"\n\
                     [notify.proxy]\nalertmanager_url = \"http://proxy\"\nbearer_token = \"hush\"";
    let (code, text) = files(&home("", heartbeat, receivers));
    assert_eq!(code, 0, "{text}");
    for line in [
        "warning  receiver \"bus\"",
        "ok       receiver \"pager\": told by \"flights\"",
        "warning  receiver \"proxy\"",
        "warning  heartbeat of monitor \"flights\"",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("hush"), "{text}");
}

#[test]
fn state_of_another_configuration_is_a_failure_with_the_difference() {
    let folder = home("", "", "");
    let state = folder.path().join("state");
    let config = psiren::config::Config::load(
        &folder.path().join("psiren.toml"),
        &psiren::config::Overrides::default(),
    )
    .unwrap();
    let monitor = psiren::monitor::Monitor::build(&config.monitors[0]).unwrap();
    let store = LocalStore::open(&state, LocalOptions::default()).unwrap();
    store.adopt("flights", &monitor.identity).unwrap();
    let (code, text) = files(&folder);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("in use by a running psiren"), "{text}");
    drop(store);

    let before = fs::read(state.join(FILE_NAME)).unwrap();
    let (code, text) = files(&folder);
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("monitor \"flights\": goes on where it was"),
        "{text}"
    );

    let path = folder.path().join("psiren.toml");
    let changed = fs::read_to_string(&path)
        .unwrap()
        .replace("slide = \"1d\"", "slide = \"12h\"");
    fs::write(&path, changed).unwrap();
    let (code, text) = files(&folder);
    assert_eq!(code, 78, "{text}");
    assert!(
        text.contains("pane width: 86400000 ms → 43200000 ms"),
        "{text}"
    );
    assert_eq!(
        fs::read(state.join(FILE_NAME)).unwrap(),
        before,
        "the state was changed"
    );
}

#[test]
fn a_folder_that_is_missing_fails_where_psiren_runs_and_warns_elsewhere() {
    let folder = home("", "", "");
    let path = folder.path().join("psiren.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("psi.csv", "gone/psi.csv")).unwrap();
    let (code, text) = files(&folder);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("warning  CSV file gone/psi.csv"), "{text}");
    assert!(
        text.contains("the folder gone does not exist; create it"),
        "{text}"
    );
    let output = validate(&folder, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).contains("failed   CSV file gone/psi.csv"));
}

#[test]
fn a_broker_that_is_not_there_and_a_port_in_use_fail_as_surroundings() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = home("", "", "");
    let address = taken.local_addr().unwrap().to_string();
    let output = validate(&folder, &["--listen", &address]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(
        text.contains(&format!("failed   listen on {address}")),
        "{text}"
    );
    assert!(text.contains("ok       names of 127.0.0.1:1"), "{text}");
    assert!(text.contains("failed   Kafka at 127.0.0.1:1"), "{text}");
    assert!(text.contains("no broker can be reached"), "{text}");
}

#[test]
fn a_certificate_that_is_none_is_a_fault_of_the_configuration() {
    let folder = home("", "", "[kafka.tls]\nca_file = \"ca.pem\"");
    fs::write(folder.path().join("ca.pem"), "nothing").unwrap();
    let output = validate(&folder, &[]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(78), "{text}");
    assert!(text.contains("ssl.ca.location"), "{text}");
}
