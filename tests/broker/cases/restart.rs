//! Stopped in the middle and started again, psiren writes what an uninterrupted run writes, byte for byte.

use std::time::Duration;

use super::flights::{final_rows_through, monitors, settled_ms};
use crate::Case;
use crate::flights::flights;
use crate::kafka::Kafka;
use crate::psiren::{Home, Psiren};
use crate::topic::{Record, Topic, unique};
use crate::wait;

const PARTITIONS: i32 = 4;
const LIMIT: Duration = Duration::from_secs(60);
const HOUR_MS: i64 = 60 * 60 * 1000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "two_terminations_leave_the_rows_of_an_uninterrupted_run",
            |kafka| expect_same_rows(kafka, Psiren::terminate),
        ),
        Case::shared(
            "two_kills_leave_the_rows_of_an_uninterrupted_run",
            |kafka| expect_same_rows(kafka, Psiren::kill9),
        ),
    ]
}

/// The topic is filled in thirds, so that each interruption falls into the middle of the log and not behind it.
fn expect_same_rows(kafka: &Kafka, interrupt: fn(Psiren)) {
    let flights = flights();
    let partitions = || (0..PARTITIONS).cycle();
    let records: Vec<Record> = flights
        .iter()
        .zip(partitions())
        .map(|(flight, partition)| flight.record().on(partition))
        .collect();
    let topic = Topic::create(kafka, "restart", PARTITIONS);

    let interrupted = Home::new(kafka, &unique("interrupted"), &monitors(&topic));
    let mut thirds = records.chunks(records.len().div_ceil(3));
    for third in thirds.by_ref().take(2) {
        let psiren = interrupted.start();
        topic.produce(third);
        wait::until("some of the third", LIMIT, || {
            psiren.consumed() >= third.len() as f64 / 2.0
        });
        interrupt(psiren);
    }
    thirds.for_each(|third| {
        topic.produce(third);
    });
    let resumed = interrupted.start();

    let uninterrupted = Home::new(kafka, &unique("uninterrupted"), &monitors(&topic));
    let straight = uninterrupted.start();
    let settled = settled_ms(&flights, partitions());
    for (monitor, slide_hours) in [("week", 24), ("day", 6)] {
        let slide_ms = slide_hours * HOUR_MS;
        let last = settled / slide_ms * slide_ms;
        let lines = |home| -> Vec<String> {
            let rows = final_rows_through(home, monitor, last);
            rows.into_iter().map(|row| row.line).collect()
        };
        let (one, other) = (lines(&interrupted), lines(&uninterrupted));
        let differing = one.iter().zip(&other).find(|(one, other)| one != other);
        assert_eq!(differing, None, "{monitor}");
        assert_eq!(one.len(), other.len(), "{monitor}");
    }
    resumed.terminate();
    straight.terminate();
}
