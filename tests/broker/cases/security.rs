//! A broker with SASL_SSL and an authorizer: what psiren needs there, and what it says when one thing is missing.

use std::thread;
use std::time::Duration;

use psiren::config::{Config, ConsumerKind, KafkaConfig, Overrides};
use psiren::source::{self, Source as _, SourceError, TopicPartition};

use super::validate::validate;
use crate::Case;
use crate::flights::{flights, reference};
use crate::kafka::secured::{Listener, PASSWORD, Right, Secured, USER};
use crate::psiren::Home;
use crate::topic::{Record, Topic, unique};
use crate::wait;

const RECORDS: usize = 60;
const LIMIT: Duration = Duration::from_secs(60);
const WAIT: Duration = Duration::from_millis(20);

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::secured(
            "secured::read_on_topic_and_group_is_all_that_psiren_needs",
            read_on_topic_and_group_is_all_that_psiren_needs,
        ),
        Case::secured(
            "secured::a_topic_that_may_not_be_read_is_named_until_it_may",
            a_topic_that_may_not_be_read_is_named_until_it_may,
        ),
        Case::secured(
            "secured::a_topic_that_may_only_be_described_makes_unready",
            a_topic_that_may_only_be_described_makes_unready,
        ),
        Case::secured(
            "secured::a_partition_goes_on_at_the_offset_that_could_not_be_read",
            a_partition_goes_on_at_the_offset_that_could_not_be_read,
        ),
        Case::secured(
            "secured::without_read_on_the_group_everything_is_counted",
            without_read_on_the_group_everything_is_counted,
        ),
        Case::secured(
            "secured::a_client_certificate_is_enough",
            a_client_certificate_is_enough,
        ),
        Case::secured(
            "secured::who_is_not_let_in_is_told_why",
            who_is_not_let_in_is_told_why,
        ),
    ]
}

fn read_on_topic_and_group_is_all_that_psiren_needs(kafka: &Secured) {
    let (topic, group) = (filled(kafka, "readable"), unique("readers"));
    kafka.grant(&Right::ReadTopic(&topic.name));
    kafka.grant(&Right::ReadGroup(&group));
    let home = home(
        kafka,
        Listener::Sasl,
        &topic,
        &group,
        &login(kafka, PASSWORD),
    );
    let (output, text) = validate(&home);
    assert_eq!(output.status.code(), Some(0), "{text}");
    for expected in [
        "by sasl_ssl, authenticated with SCRAM-SHA-512",
        &format!("ok       group \"{group}\""),
        "nothing failed",
    ] {
        assert!(text.contains(expected), "{expected:?} is not in\n{text}");
    }
    counts_everything_and_commits(&home, &topic, &group);
}

fn a_client_certificate_is_enough(kafka: &Secured) {
    let (topic, group) = (filled(kafka, "mutual"), unique("mutual"));
    kafka.grant(&Right::ReadTopic(&topic.name));
    kafka.grant(&Right::ReadGroup(&group));
    let tls = format!(
        "{}cert_file = {:?}\nkey_file = {:?}\n",
        trusting(kafka, "ca.pem"),
        kafka.file("client.pem"),
        kafka.file("client.key")
    );
    let home = home(kafka, Listener::Mutual, &topic, &group, &tls);
    counts_everything_and_commits(&home, &topic, &group);
}

fn counts_everything_and_commits(home: &Home, topic: &Topic, group: &str) {
    let psiren = home.start();
    psiren.wait_ready();
    wait::until("every record", LIMIT, || {
        psiren.consumed() == RECORDS as f64
    });
    wait::until("committed offsets", LIMIT, || {
        let committed = topic.committed(group);
        committed.values().map(|(offset, _)| *offset).sum::<i64>() == RECORDS as i64
    });
    let log = psiren.log();
    assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    psiren.terminate();
    // Once more, with all that psiren and librdkafka can say.
    let psiren = home.start_with(&[("PSIREN_LOG", "trace")]);
    psiren.wait_ready();
    let log = psiren.log();
    assert!(
        log.contains("DEBUG STATE: ") && log.contains("-> UP"),
        "{log}"
    );
    assert!(!log.contains(PASSWORD), "{log}");
    psiren.terminate();
}

fn a_topic_that_may_not_be_read_is_named_until_it_may(kafka: &Secured) {
    let (topic, group) = (filled(kafka, "forbidden"), unique("readers"));
    kafka.grant(&Right::ReadGroup(&group));
    let home = home(
        kafka,
        Listener::Sasl,
        &topic,
        &group,
        &login(kafka, PASSWORD),
    );
    let words = format!(
        "topic \\\"{}\\\" may not be read; give the user",
        topic.name
    );
    let (output, text) = validate(&home);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains(&words.replace('\\', "")), "{text}");
    let psiren = home.start();
    psiren.wait_unready(&words, LIMIT);
    kafka.grant(&Right::ReadTopic(&topic.name));
    psiren.wait_ready();
    wait::until("every record", LIMIT, || {
        psiren.consumed() == RECORDS as f64
    });
    let said = psiren.log().matches("may not be read").count();
    assert_eq!(said, 1, "{}", psiren.log());
    psiren.terminate();
}

fn a_topic_that_may_only_be_described_makes_unready(kafka: &Secured) {
    let (topic, group) = (
        Topic::create(kafka.plain(), "described", 1),
        unique("readers"),
    );
    kafka.grant(&Right::DescribeTopic(&topic.name));
    kafka.grant(&Right::ReadGroup(&group));
    let home = home(
        kafka,
        Listener::Sasl,
        &topic,
        &group,
        &login(kafka, PASSWORD),
    );
    let (output, text) = validate(&home);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("right to read (READ) the topic"), "{text}");
    let psiren = home.start();
    psiren.wait_unready("a topic may not be read", LIMIT);
    kafka.grant(&Right::ReadTopic(&topic.name));
    topic.produce(&records(1));
    psiren.wait_ready();
    assert_eq!(psiren.consumed(), 1.0);
    psiren.terminate();
}

/// Also when it is paused before the right is there: librdkafka goes on from its position then.
fn a_partition_goes_on_at_the_offset_that_could_not_be_read(kafka: &Secured) {
    const AT: i64 = 7;
    for consumer in [ConsumerKind::Batch, ConsumerKind::Poll] {
        let (topic, group) = (filled(kafka, "later"), unique("readers"));
        kafka.grant(&Right::DescribeTopic(&topic.name));
        kafka.grant(&Right::ReadGroup(&group));
        let security = login(kafka, PASSWORD);
        let home = home(kafka, Listener::Sasl, &topic, &group, &security);
        let config = Config::load(&home.path("psiren.toml"), &Overrides::default());
        let config = config.expect("a configuration").kafka;
        let config = KafkaConfig { consumer, ..config };
        let mut source = source::kafka::open(&config).expect("a client");
        let partition = TopicPartition {
            topic: topic.name.clone(),
            partition: 0,
        };
        source.assign(&partition, AT).expect("assigned");
        wait::until("the refusal", LIMIT, || {
            let drained = source.drain(WAIT, 100, &mut |run| panic!("handed over {run:?}"));
            matches!(drained, Err(SourceError::Refused(words)) if words.contains("READ"))
        });
        assert!(source.position(&partition).is_none_or(|at| at == AT));
        source.pause(&partition).expect("paused");
        kafka.grant(&Right::ReadTopic(&topic.name));
        source.resume(&partition).expect("resumed");
        let mut first = None;
        wait::until("a record", LIMIT, || {
            // The refusal may be told once more.
            let _ = source.drain(WAIT, 100, &mut |run| {
                first = first.or(Some(run[0].offset));
            });
            first.is_some()
        });
        assert_eq!(first, Some(AT), "{consumer:?}");
    }
}

fn without_read_on_the_group_everything_is_counted(kafka: &Secured) {
    let (topic, group) = (filled(kafka, "groupless"), unique("strangers"));
    kafka.grant(&Right::ReadTopic(&topic.name));
    let home = home(
        kafka,
        Listener::Sasl,
        &topic,
        &group,
        &login(kafka, PASSWORD),
    );
    let words = "give the user of this configuration the right to read (READ) the group";
    let (output, text) = validate(&home);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains(&format!("warning  group \"{group}\"")),
        "{text}"
    );
    assert!(text.contains(words), "{text}");
    let psiren = home.start();
    psiren.wait_ready();
    wait::until("every record", LIMIT, || {
        psiren.consumed() == RECORDS as f64
    });
    wait::until("a word on the group", LIMIT, || {
        psiren.log().contains(words)
    });
    let log = psiren.log();
    assert!(log.contains("lag tools show nothing"), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
    assert!(topic.committed(&group).is_empty());
    psiren.terminate();
}

/// One way not to be let in, and what is said of it.
struct Locked {
    listener: Listener,
    security: String,
    expected: &'static [&'static str],
}

/// They wait for their brokers side by side, which takes little longer than one.
fn who_is_not_let_in_is_told_why(kafka: &Secured) {
    let topic = Topic::create(kafka.plain(), "locked", 1);
    let locked = locked(kafka);
    thread::scope(|scope| {
        for way in &locked {
            let topic = &topic;
            scope.spawn(move || is_told(kafka, topic, way));
        }
    });
}

fn locked(kafka: &Secured) -> Vec<Locked> {
    let way = |listener, security, expected| Locked {
        listener,
        security,
        expected,
    };
    let stranger = login(kafka, PASSWORD).replace(USER, "nobody");
    let foreign = login(kafka, PASSWORD).replace("ca.pem", "another-ca.pem");
    vec![
        way(
            Listener::Sasl,
            login(kafka, "canary-that-is-wrong"),
            &[
                "authentication failed",
                "invalid credentials",
                "password in [kafka.sasl]",
            ],
        ),
        way(
            Listener::Sasl,
            stranger,
            &[
                "authentication failed",
                "invalid credentials",
                "look at mechanism, username",
            ],
        ),
        way(
            Listener::Sasl,
            foreign,
            &[
                "TLS failed",
                "signed by an authority that ca_file does not hold",
                "[kafka.tls]",
            ],
        ),
        way(
            Listener::Elsewhere,
            login(kafka, PASSWORD),
            &[
                "TLS failed",
                "is for another name",
                "localhost",
                "elsewhere.example",
            ],
        ),
        way(
            Listener::Expired,
            login(kafka, PASSWORD),
            &["TLS failed", "its certificate has expired"],
        ),
        way(
            Listener::Mutual,
            trusting(kafka, "ca.pem"),
            &["TLS failed", "set cert_file and key_file"],
        ),
        way(
            Listener::Plain,
            trusting(kafka, "ca.pem"),
            &["connecting to a PLAINTEXT broker listener?"],
        ),
        way(
            Listener::Sasl,
            String::new(),
            &["is it a TLS or SASL listener?"],
        ),
    ]
}

fn is_told(kafka: &Secured, topic: &Topic, way: &Locked) {
    let home = home(kafka, way.listener, topic, &unique("locked"), &way.security);
    let (output, text) = validate(&home);
    assert_eq!(output.status.code(), Some(1), "{text}");
    // Where the password is what is wrong, with all that psiren and librdkafka can say.
    let level = match way.security.contains("canary-that-is-wrong") {
        true => "trace",
        false => "info",
    };
    let psiren = home.start_with(&[("PSIREN_LOG", level)]);
    psiren.wait_unready(way.expected[0], LIMIT);
    let log = psiren.log();
    let ready = psiren.get("/readyz").body;
    for expected in way.expected {
        for said in [&text, &log, &ready] {
            assert!(said.contains(expected), "{expected:?} is not in\n{said}");
        }
    }
    for said in [&text, &log, &ready, &psiren.get("/metrics").body] {
        assert!(!said.contains("canary"), "{said}");
    }
    psiren.terminate();
}

fn filled(kafka: &Secured, prefix: &str) -> Topic {
    let topic = Topic::create(kafka.plain(), prefix, 2);
    topic.produce(&records(RECORDS));
    topic
}

fn records(count: usize) -> Vec<Record> {
    let all = flights().into_iter().take(count).enumerate();
    all.map(|(n, flight)| flight.record().on((n % 2.min(count)) as i32))
        .collect()
}

/// `[kafka.tls]` and `[kafka.sasl]` of the user.
fn login(kafka: &Secured, password: &str) -> String {
    format!(
        "{}[kafka.sasl]\nmechanism = \"SCRAM-SHA-512\"\nusername = \"{USER}\"\npassword = \"{password}\"\n",
        trusting(kafka, "ca.pem")
    )
}

fn trusting(kafka: &Secured, file: &str) -> String {
    format!("[kafka.tls]\nca_file = {:?}\n", kafka.file(file))
}

fn home(kafka: &Secured, listener: Listener, topic: &Topic, group: &str, security: &str) -> Home {
    Home::with_config(&format!(
        r#"
[kafka]
bootstrap_servers = "{address}"
group_id = "{group}"
{security}
[kafka.options]
debug = "all"
[monitor.flights]
topic = "{topic}"
timestamp = {{ field = "ts" }}
reference = {reference}
window = {{ size = "7d", slide = "1d" }}

[csv]
path = "psi.csv"

[http]
listen = "127.0.0.1:0"

[state]
dir = "state"
checkpoint_interval = "200ms"
"#,
        address = kafka.address(listener),
        topic = topic.name,
        reference = reference(),
    ))
}
