//! The log changes under psiren: made anew while it reads or is frozen, deleted by retention before it was read, full
//! of offsets without a record.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::Case;
use crate::flights::reference;
use crate::kafka::Kafka;
use crate::kafka::cluster::Cluster;
use crate::psiren::{Home, Psiren};
use crate::size::sized;
use crate::topic::{Record, Topic, unique};
use crate::wait;

const LIMIT: Duration = Duration::from_secs(90);
const MARCH_MS: i64 = 1_362_096_000_000;
const HOUR_MS: i64 = 3_600_000;
const PARTITIONS: i32 = 3;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "a_topic_made_anew_while_psiren_is_frozen_adds_nothing_to_the_old_counts",
            a_topic_made_anew_while_psiren_is_frozen_adds_nothing_to_the_old_counts,
        ),
        Case::shared(
            "a_topic_made_anew_while_it_is_read_is_counted_from_its_beginning_when_asked",
            a_topic_made_anew_while_it_is_read_is_counted_from_its_beginning_when_asked,
        ),
        Case::shared(
            "a_topic_made_anew_with_fewer_partitions_does_not_hold_its_windows",
            a_topic_made_anew_with_fewer_partitions_does_not_hold_its_windows,
        ),
        Case::shared(
            "records_that_retention_deleted_unread_are_counted_and_mark_their_windows",
            records_that_retention_deleted_unread_are_counted_and_mark_their_windows,
        ),
        Case::shared(
            "aborted_and_compacted_records_are_absent_and_never_counted",
            aborted_and_compacted_records_are_absent_and_never_counted,
        ),
        Case::cluster(
            "leaders_that_move_and_brokers_that_are_away_cost_no_record",
            leaders_that_move_and_brokers_that_are_away_cost_no_record,
        )
        .when_thorough(),
    ]
}

/// One monitor named `delays` over windows of six hours.
fn home(kafka: &Kafka, topic: &Topic, extra: &str) -> Home {
    home_at(kafka.address(), topic, extra)
}

fn home_at(brokers: &str, topic: &Topic, extra: &str) -> Home {
    let monitor = format!(
        r#"
[monitor.delays]
topic = "{topic}"
timestamp = {{ field = "ts", unit = "ms" }}
reference = {reference}
include = ["dep_delay"]
window = {{ size = "6h", slide = "1h", lateness = "0s" }}
min_events = 1
idle_timeout = "1h"
{extra}
"#,
        topic = topic.name,
        reference = reference(),
    );
    Home::at(brokers, &unique("changes"), &monitor)
}

/// `n` events on each of the first `partitions`, a minute apart from `hour` on.
fn events(partitions: i32, n: i64, hour: i64) -> Vec<Record> {
    let event = |i: i64| json!({"ts": MARCH_MS + hour * HOUR_MS + i * 60_000, "dep_delay": i % 60});
    let on_each = |i: i64| (0..partitions).map(move |p| (i, p));
    (0..n)
        .flat_map(on_each)
        .map(|(i, p)| Record::json(&event(i)).on(p))
        .collect()
}

/// Offsets with this outcome since the state began, over all partitions.
fn passed(psiren: &Psiren, outcome: &str) -> f64 {
    psiren
        .metric("psiren_partition_records", &[("outcome", outcome)])
        .unwrap_or_default()
}

#[track_caller]
fn await_passed(psiren: &Psiren, outcome: &str, n: usize) {
    wait::until(&format!("{n} offsets that are {outcome}"), LIMIT, || {
        passed(psiren, outcome) >= n as f64
    });
    assert_eq!(passed(psiren, outcome), n as f64, "{outcome}");
}

/// What is committed is durable; what is only counted is lost with the log it came from.
#[track_caller]
fn await_durable(topic: &Topic, home: &Home, n: usize) {
    wait::until(&format!("{n} offsets to be committed"), LIMIT, || {
        let committed = topic.committed(&home.group);
        committed.values().map(|(offset, _)| *offset).sum::<i64>() == n as i64
    });
}

fn make_anew(topic: &Topic, partitions: i32) {
    topic.delete();
    topic.come_to_be(partitions, &[]);
}

/// The new log is longer than what was read of the old one, which no offset can tell.
fn a_topic_made_anew_while_psiren_is_frozen_adds_nothing_to_the_old_counts(kafka: &Kafka) {
    let topic = Topic::create(kafka, "anew-frozen", PARTITIONS);
    let first = events(PARTITIONS, 100, 0);
    topic.produce(&first);
    let home = home(kafka, &topic, "");
    let psiren = home.start();
    await_durable(&topic, &home, first.len());
    psiren.freeze();
    make_anew(&topic, PARTITIONS);
    topic.produce(&events(PARTITIONS, 300, 2));
    psiren.cont();

    psiren.wait_unready("made anew", LIMIT);
    wait::until("all partitions to be stopped", LIMIT, || {
        psiren.metric("psiren_partition_stopped", &[("reason", "log_changed")])
            == Some(f64::from(PARTITIONS))
    });
    let changes = psiren.metric("psiren_log_changes_total", &[("topic", &topic.name)]);
    assert_eq!(changes, Some(f64::from(PARTITIONS)));
    assert!(
        psiren.log().contains("deleted and made anew"),
        "{}",
        psiren.log()
    );
    psiren.terminate();
    for unit in home.units("delays") {
        assert_eq!((unit.next_offset, unit.outcomes[0]), (100, 100));
    }
}

fn a_topic_made_anew_while_it_is_read_is_counted_from_its_beginning_when_asked(kafka: &Kafka) {
    let topic = Topic::create(kafka, "anew-read", PARTITIONS);
    let first = events(PARTITIONS, 100, 0);
    topic.produce(&first);
    let home = home(kafka, &topic, r#"on_log_change = "reset""#);
    let psiren = home.start();
    await_durable(&topic, &home, first.len());
    make_anew(&topic, PARTITIONS);
    let second = events(PARTITIONS, 250, 3);
    topic.produce(&second);
    await_passed(&psiren, "counted", second.len());
    psiren.wait_ready();
    let changes = psiren.metric("psiren_log_changes_total", &[("topic", &topic.name)]);
    assert_eq!(changes, Some(f64::from(PARTITIONS)));
    psiren.terminate();
    for unit in home.units("delays") {
        assert_eq!((unit.began_at, unit.next_offset), (0, 250));
        assert_eq!(unit.unaccounted(), 0);
        // The hours that were set aside with the old log.
        let gap = unit.gaps.all().next().expect("a gap");
        assert_eq!(gap.from_ms, MARCH_MS);
    }
}

fn a_topic_made_anew_with_fewer_partitions_does_not_hold_its_windows(kafka: &Kafka) {
    let topic = Topic::create(kafka, "anew-fewer", PARTITIONS);
    let first = events(PARTITIONS, 100, 0);
    topic.produce(&first);
    let home = home(kafka, &topic, r#"on_log_change = "reset""#);
    let psiren = home.start();
    await_durable(&topic, &home, first.len());
    make_anew(&topic, 1);
    topic.produce(&events(1, 1500, 24));
    let row = wait::some("a window of the new log", LIMIT, || {
        let ends = MARCH_MS + 40 * HOUR_MS;
        home.rows()
            .into_iter()
            .find(|row| row.window_end_ms == ends)
    });
    assert_eq!((row.events, row.closed_by.as_str()), (360, "watermark"));
    psiren.terminate();
}

fn records_that_retention_deleted_unread_are_counted_and_mark_their_windows(kafka: &Kafka) {
    let topic = Topic::create(kafka, "overtaken", PARTITIONS);
    let first = events(PARTITIONS, 100, 0);
    topic.produce(&first);
    let home = home(kafka, &topic, "");
    let psiren = home.start();
    await_passed(&psiren, "counted", first.len());
    // While it is frozen, and while it is stopped.
    psiren.freeze();
    topic.produce(&events(PARTITIONS, 60, 4));
    topic.delete_before(130);
    psiren.cont();
    await_passed(&psiren, "lost", 30 * PARTITIONS as usize);
    await_passed(&psiren, "counted", first.len() + 30 * PARTITIONS as usize);
    psiren.terminate();
    topic.produce(&events(PARTITIONS, 60, 8));
    topic.delete_before(170);
    topic.produce(&events(PARTITIONS, 900, 9));
    let psiren = home.start();
    await_passed(&psiren, "lost", 40 * PARTITIONS as usize);
    assert!(
        psiren.log().contains("were deleted by retention"),
        "{}",
        psiren.log()
    );

    let covered = |hour: i64| {
        let row = wait::some("the window", LIMIT, || {
            let ends = MARCH_MS + hour * HOUR_MS;
            home.rows()
                .into_iter()
                .find(|row| row.window_end_ms == ends)
        });
        row.coverage
    };
    // From the hour that was being counted to that of the first event after: 1 to 4, then 4 to 8.
    assert_eq!(covered(7), 0.0);
    assert_eq!(covered(12), 0.5);
    assert_eq!(covered(15), 1.0);
    psiren.terminate();
    assert!(home.units("delays").iter().all(|u| u.unaccounted() == 0));
}

fn aborted_and_compacted_records_are_absent_and_never_counted(kafka: &Kafka) {
    let topic = Topic::unborn(kafka, "gaps");
    let eager = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "200"),
        ("min.cleanable.dirty.ratio", "0.001"),
    ];
    topic.come_to_be(1, &eager);
    // Each key of the first hour comes again and again, those of the others once.
    let keyed = |n: i64, hour: i64| -> Vec<Record> {
        let records = events(1, n, hour).into_iter().enumerate();
        let key = |i: usize| {
            if hour == 0 {
                i % 10
            } else {
                1000 * hour as usize + i
            }
        };
        records.map(|(i, r)| r.key(key(i).to_string())).collect()
    };
    topic.produce(&keyed(50, 0));
    wait::until("compaction", LIMIT, || {
        // Only closed segments are compacted, and only a newer record closes one.
        topic.produce(&keyed(1, 0));
        topic.starts_with_a_gap()
    });
    topic.transact(&keyed(20, 1), false);
    topic.transact(&keyed(30, 2), true);
    topic.transact(&keyed(5, 4), false);
    let after = keyed(7, 3);
    let end = topic.produce(&after)[6].1 + 1;
    let home = home(kafka, &topic, "");
    let psiren = home.start();
    wait::until("the end of the log", LIMIT, || {
        psiren.metric("psiren_partition_offsets", &[]) == Some(end as f64)
    });
    psiren.wait_ready();
    let counted = passed(&psiren, "counted");
    assert_eq!(counted + passed(&psiren, "absent"), end as f64);
    // Compaction may take more of them meanwhile, and what is aborted never counts.
    assert!(
        (30.0..end as f64 - 25.0).contains(&counted),
        "{counted} of {end}"
    );
    psiren.terminate();
    let unit = &home.units("delays")[0];
    assert_eq!((unit.next_offset, unit.unaccounted()), (end, 0));
}

fn leaders_that_move_and_brokers_that_are_away_cost_no_record(cluster: &mut Cluster) {
    let topic = Topic::unborn(cluster.first(), "led");
    topic.come_to_be_on(&[&[2, 1], &[1, 2], &[2, 1]]);
    let home = home_at(&cluster.addresses(), &topic, "");
    let psiren = home.start();
    let mut counted = 0;
    let mut more = |psiren: &Psiren, topic: &Topic| {
        // Later than all before, so that none is late.
        let records = events(PARTITIONS, 200, 4 * (counted as i64 / 600));
        topic.produce(&records);
        counted += records.len();
        await_passed(psiren, "counted", counted);
    };
    more(&psiren, &topic);
    cluster.kill_second();
    wait::until("the first broker to lead", LIMIT, || {
        topic.leaders() == [1; 3]
    });
    more(&psiren, &topic);
    cluster.restart_second();
    wait::until("the second broker to lead again", LIMIT, || {
        topic.leaders() == [2, 1, 2]
    });
    more(&psiren, &topic);

    cluster.freeze();
    let begun = Instant::now();
    psiren.wait_unready("brokers do not answer", LIMIT);
    let away = sized(
        Duration::ZERO,
        Duration::from_secs(150),
        Duration::from_secs(400),
    );
    wait::until(
        "the brokers to be away for long enough",
        LIMIT + away,
        || {
            assert_eq!(psiren.get("/livez").status, 200);
            begun.elapsed() >= away
        },
    );
    cluster.cont();
    wait::until("leaders after the thaw", LIMIT, || {
        topic.leaders().iter().all(|leader| *leader > 0)
    });
    more(&psiren, &topic);
    psiren.wait_ready();
    assert_eq!(psiren.metric("psiren_partition_stopped", &[]), None);
    psiren.terminate();
    for unit in home.units("delays") {
        assert_eq!((unit.next_offset, unit.unaccounted()), (800, 0));
    }
}
