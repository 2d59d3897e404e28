//! SIGTERM ends psiren within ten seconds, whatever has failed: with 0 when everything counted is durable, with 1 when
//! it is not.

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use super::{LIMIT, await_consumed};
use crate::Case;
use crate::cases::flights::monitors;
use crate::disk::{self, Disk};
use crate::flights::flights;
use crate::kafka::Kafka;
use crate::psiren::{Home, Psiren};
use crate::topic::{Record, Topic, unique};
use crate::wait;
use crate::webhook::{Answer, Webhook};

const TERMINATE_LIMIT: Duration = Duration::from_secs(10);
const FLIGHTS: usize = 3_000;
const SIGTERM: i32 = 15;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::own(
            "termination_is_in_time_without_a_broker",
            termination_is_in_time_without_a_broker,
        )
        .when_thorough(),
        Case::shared(
            "termination_is_in_time_with_a_full_disk_and_says_so",
            termination_is_in_time_with_a_full_disk_and_says_so,
        )
        .unless(disk::refused())
        .when_thorough(),
    ]
}

fn some_flights() -> Vec<Record> {
    let flights = flights();
    let some = flights.iter().take(FLIGHTS);
    some.map(|flight| flight.record()).collect()
}

/// Ends psiren and gives its exit code; `None` where the signal came before it listened for signals.
#[track_caller]
fn end(mut psiren: Psiren) -> Option<i32> {
    let status = psiren.exit_within(TERMINATE_LIMIT);
    let status = status.unwrap_or_else(|| panic!("no exit within {TERMINATE_LIMIT:?}"));
    if status.signal() == Some(SIGTERM) {
        return None;
    }
    Some(status.code().expect("no other signal"))
}

/// The broker was never there, is frozen in the middle of an assignment, and is killed; the receiver hangs.
fn termination_is_in_time_without_a_broker(broker: &mut Kafka) {
    let topic = Topic::create(broker, "ends", 4);
    topic.produce(&some_flights());
    let webhook = Webhook::start([Answer::Silence]);
    let config =
        monitors(&topic) + &format!("[notify.oncall]\nslack_webhook_url = \"{}\"\n", webhook.url);
    let home = Home::new(broker, &unique("ends"), &config);

    let psiren = home.start();
    await_consumed(&psiren, FLIGHTS);
    // Both are delivered when it goes on, so the second meets a program that is stopping.
    psiren.freeze();
    psiren.signal("TERM");
    psiren.signal("INT");
    psiren.cont();
    assert_eq!(end(psiren), Some(1), "a second signal ends at once");

    // At any moment of the start: opening, restoring, assigning.
    for pause_ms in [0, 100, 400, 900] {
        let psiren = home.launch();
        std::thread::sleep(Duration::from_millis(pause_ms));
        psiren.signal("TERM");
        let code = end(psiren);
        assert!(matches!(code, None | Some(0)), "{pause_ms} ms: {code:?}");
    }

    broker.freeze();
    let psiren = home.start();
    psiren.signal("TERM");
    assert_eq!(end(psiren), Some(0), "nothing was assigned yet");
    broker.cont();

    let psiren = home.start();
    psiren.wait_ready();
    broker.kill();
    psiren.wait_unready("broker", LIMIT);
    psiren.terminate();

    let never_there = home.start();
    never_there.wait_unready("broker", LIMIT);
    never_there.terminate();
}

/// What is not durable is read again, and counted once.
fn termination_is_in_time_with_a_full_disk_and_says_so(kafka: &Kafka) {
    let topic = Topic::create(kafka, "full", 2);
    let records = some_flights();
    let (early, late) = records.split_at(FLIGHTS / 2);
    topic.produce(early);
    let home = Home::new(kafka, &unique("full"), &monitors(&topic));
    let disk = Disk::mount(home.path("state"), 32 << 10);
    let psiren = home.start();
    await_consumed(&psiren, early.len());
    psiren.wait_ready();
    disk.fill();
    topic.produce(late);
    await_consumed(&psiren, FLIGHTS);
    // The store makes room of its own at times: then the last counts are durable after all, and it is their windows
    // that cannot be stored.
    psiren.wait_unready("No space left on device", LIMIT);
    psiren.signal("TERM");
    let code = end(psiren);
    assert!(matches!(code, Some(0 | 1)), "{code:?}");

    disk.make_read_only();
    let psiren = home.launch();
    let log = psiren.log_later();
    assert_eq!(end(psiren), Some(1), "a start on a read-only disk");
    assert!(log().contains("Read-only file system"), "{}", log());

    disk.make_writable();
    disk.empty();
    // Of this state, over all its processes.
    let accounted = |psiren: &Psiren| {
        let week = [("monitor", "week")];
        psiren
            .metric("psiren_partition_records", &week)
            .unwrap_or(0.0)
    };
    let psiren = home.start();
    wait::until("the rest to be counted again", LIMIT, || {
        accounted(&psiren) >= FLIGHTS as f64
    });
    psiren.wait_ready();
    let read_again = psiren.consumed() > 0.0;
    assert!(!read_again || code == Some(1), "exit code {code:?}");
    psiren.terminate();
    let psiren = home.start();
    psiren.wait_ready();
    wait::until("the stored account", LIMIT, || accounted(&psiren) > 0.0);
    assert_eq!(accounted(&psiren), FLIGHTS as f64);
    assert_eq!(psiren.consumed(), 0.0, "all of it is durable now");
    psiren.terminate();
}
