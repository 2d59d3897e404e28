use std::path::{Path, PathBuf};

use psiren::config::{Channel, Config, Environment, Overrides, Property};
use secrecy::ExposeSecret;

use super::{MINIMAL, monitor, parse_with};

#[test]
fn a_flag_beats_the_environment_beats_the_file_beats_the_default() {
    let text = format!("{MINIMAL}[http]\nlisten = \"127.0.0.1:1\"\n[state]\ndir = \"file\"\n");
    let file = parse_with(&text, &[]).unwrap();
    assert_eq!(file.http.listen.port(), 1);
    let variables = [
        ("PSIREN_HTTP_LISTEN", "0.0.0.0:2"),
        ("PSIREN_STATE_DIR", "environment"),
        ("PSIREN_KAFKA_GROUP_ID", "g"),
        ("PSIREN_KAFKA_BOOTSTRAP_SERVERS", "a:1,b:2"),
        ("PSIREN_CSV_PATH", "psi.csv"),
    ];
    let environment = parse_with(&text, &variables).unwrap();
    assert_eq!(environment.http.listen.to_string(), "0.0.0.0:2");
    assert_eq!(environment.state.dir, Path::new("environment"));
    assert_eq!(environment.kafka.group_id, "g");
    assert_eq!(environment.kafka.bootstrap_servers, "a:1,b:2");
    assert_eq!(environment.csv.unwrap().path, Path::new("psi.csv"));
    let overrides = Overrides {
        listen: Some("localhost:3".to_owned()),
        state_dir: Some(PathBuf::from("flag")),
        bootstrap_servers: Some("c:3".to_owned()),
        ..Overrides::from(variables.into_iter().collect::<Environment>())
    };
    let flag = Config::parse(&text, Path::new("etc/psiren.toml"), &overrides).unwrap();
    assert_eq!(flag.http.listen.to_string(), "127.0.0.1:3");
    assert_eq!(flag.state.dir, Path::new("flag"));
    assert_eq!(flag.kafka.bootstrap_servers, "c:3");
    assert_eq!(flag.kafka.group_id, "g");
}

#[test]
fn the_webhook_of_the_environment_is_a_receiver_for_all() {
    let url = "https://hooks.slack.com/services/T/B/X";
    let config = parse_with(MINIMAL, &[("SLACK_WEBHOOK_URL", url)]).unwrap();
    assert_eq!(config.receivers.len(), 1);
    assert_eq!(config.receivers[0].name, "slack");
    let Channel::Slack { webhook_url, .. } = &config.receivers[0].channel else {
        panic!("{:?}", config.receivers[0]);
    };
    assert_eq!(webhook_url.expose_secret(), url);
    assert_eq!(config.monitors[0].notify, ["slack"]);
    assert!(!config.to_toml().contains("hooks.slack.com"));
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let config = parse_with(
        MINIMAL,
        &[("SLACK_WEBHOOK_URL", ""), ("PSIREN_HTTP_TOKEN", "")],
    )
    .unwrap();
    assert!(config.receivers.is_empty() && config.http.token.is_none());
}

#[test]
fn a_declared_slack_receiver_takes_its_address_from_the_environment() {
    let text = monitor("[notify.slack]\nmention = \"<!here>\"");
    let config = parse_with(&text, &[("SLACK_WEBHOOK_URL", "http://127.0.0.1:9/x")]).unwrap();
    assert_eq!(config.receivers.len(), 1);
    let channel = &config.receivers[0].channel;
    assert!(
        matches!(channel, Channel::Slack { mention: Some(m), .. } if m == "<!here>"),
        "{channel:?}"
    );
}

#[test]
fn secrets_come_from_files_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("token"), "0123456789abcdef\n").unwrap();
    std::fs::write(folder.path().join("password"), "from file\n").unwrap();
    let text = monitor(
        "[http]\ntoken_file = \"token\"\n[kafka.sasl]\nmechanism = \"PLAIN\"\nusername = \"u\"\npassword_file = \"password\"",
    );
    let path = folder.path().join("psiren.toml");
    std::fs::write(&path, &text).unwrap();
    let password = |overrides: &Overrides| {
        let config = Config::load(&path, overrides).unwrap();
        assert_eq!(
            config.http.token.unwrap().expose_secret(),
            "0123456789abcdef"
        );
        match &config.kafka.properties["sasl.password"] {
            Property::Secret(secret) => secret.expose_secret().to_owned(),
            Property::Plain(_) => panic!("the password is shown"),
        }
    };
    assert_eq!(password(&Overrides::default()), "from file");
    let environment: Environment = [("PSIREN_KAFKA_SASL_PASSWORD", "from environment")]
        .into_iter()
        .collect();
    assert_eq!(password(&Overrides::from(environment)), "from environment");
}

#[test]
fn the_host_names_the_instance() {
    let text = MINIMAL.replace("instance_id = \"test\"\n", "");
    let config = parse_with(&text, &[("HOSTNAME", "psiren-7f")]).unwrap();
    assert_eq!(config.kafka.instance_id, "psiren-7f");
}
