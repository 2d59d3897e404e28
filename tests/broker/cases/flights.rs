//! The flights through a real topic give the golden figures of an independent program.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::Case;
use crate::flights::{Flight, Golden, flights, golden, reference, reference_events};
use crate::kafka::Kafka;
use crate::psiren::{Home, Psiren};
use crate::row::Row;
use crate::topic::{Record, Topic, unique};
use crate::wait;

const PARTITIONS: i32 = 4;
const LIMIT: Duration = Duration::from_secs(120);
const LATENESS_MS: i64 = 5 * 60 * 1000;
/// Those of the golden files, which leave out `dest`.
const FEATURES: usize = 12;
const TOLERANCE: f64 = 1e-9;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "flights_keyed_by_origin_give_the_golden_rows",
            keyed_by_origin,
        ),
        Case::shared("flights_without_a_key_give_the_golden_rows", without_a_key),
        Case::shared(
            "the_reference_as_events_has_a_psi_of_zero",
            the_reference_as_events_has_a_psi_of_zero,
        ),
    ]
}

/// Three origins leave at least one partition empty, so these windows close over an idle partition.
fn keyed_by_origin(kafka: &Kafka) {
    expect_golden_rows(kafka, |flight| flight.record().key(flight.origin.as_str()));
}

fn without_a_key(kafka: &Kafka) {
    expect_golden_rows(kafka, Flight::record);
}

/// One window of 60 days that begins with 2013 holds the whole reference; the next flight closes it.
fn the_reference_as_events_has_a_psi_of_zero(kafka: &Kafka) {
    let events = reference_events();
    let topic = Topic::create(kafka, "reference", 1);
    topic.produce(&events);
    let end: Timestamp = "2013-03-02T00:00:00Z".parse().expect("RFC 3339");
    let closing_ms = end.as_millisecond() + LATENESS_MS;
    let later = flights()
        .into_iter()
        .find(|flight| flight.ts_ms >= closing_ms);
    topic.produce(&[later.expect("flights of March").record()]);

    let home = Home::new(
        kafka,
        &unique("reference"),
        &monitor(
            &topic,
            "span",
            r#"size = "60d", slide = "60d", offset = "46d""#,
        ),
    );
    let psiren = home.start();
    let rows = wait::some("a row of each feature", LIMIT, || {
        let rows = final_rows(&home, "span");
        (rows.len() >= FEATURES).then_some(rows)
    });
    for row in rows {
        assert_eq!(row.window_end_ms, end.as_millisecond(), "{}", row.line);
        assert_eq!(row.psi, Some(0.0), "{}", row.line);
        assert_eq!(
            row.events + row.missing,
            events.len() as u64,
            "{}",
            row.line
        );
    }
    psiren.terminate();
}

fn expect_golden_rows(kafka: &Kafka, record: impl Fn(&Flight) -> Record) {
    let flights = flights();
    let topic = Topic::create(kafka, "flights", PARTITIONS);
    let positions = topic.produce(&flights.iter().map(record).collect::<Vec<_>>());
    let through = settled_ms(&flights, positions.iter().map(|&(partition, _)| partition));

    let home = Home::new(kafka, &unique("flights"), &monitors(&topic));
    let psiren = home.start();
    psiren.wait_ready();
    for (monitor, golden) in [
        ("week", golden("golden-7d-1d.csv")),
        ("day", golden("golden-1d-6h.csv.gz")),
    ] {
        let rows = await_final_rows(&home, monitor, &golden, through);
        compare(monitor, &rows, &golden, through);
        compare_buckets(&psiren, monitor, &golden, through);
    }
    psiren.terminate();
}

/// Two monitors on one topic: 7 days by 1 day, and 1 day by 6 hours.
pub(super) fn monitors(topic: &Topic) -> String {
    monitor(topic, "week", r#"size = "7d", slide = "1d""#)
        + &monitor(topic, "day", r#"size = "1d", slide = "6h""#)
}

fn monitor(topic: &Topic, name: &str, window: &str) -> String {
    format!(
        r#"
[monitor.{name}]
topic = "{topic}"
timestamp = {{ field = "ts" }}
reference = {reference}
window = {{ {window}, lateness = "5m" }}
"#,
        topic = topic.name,
        reference = reference(),
    )
}

/// The time through which every partition that holds flights has sealed, so that windows ending by then must close.
pub(super) fn settled_ms(flights: &[Flight], partitions: impl Iterator<Item = i32>) -> i64 {
    let mut greatest = BTreeMap::new();
    for (flight, partition) in flights.iter().zip(partitions) {
        let time = greatest.entry(partition).or_insert(flight.ts_ms);
        *time = flight.ts_ms.max(*time);
    }
    let least = greatest.into_values().min().expect("there are flights");
    least - LATENESS_MS
}

/// Waits for the last golden window that ends by `through`; returns the monitor's final rows up to it, in file order.
fn await_final_rows(home: &Home, monitor: &str, golden: &[Golden], through: i64) -> Vec<Row> {
    let expected = golden.iter().filter(|row| row.window_end_ms <= through);
    let last = expected.map(|row| row.window_end_ms).max();
    let last = last.expect("some window closes");
    final_rows_through(home, monitor, last)
}

/// Waits until the monitor's window ending at `last` is in the CSV; returns its final rows up to there, in file order.
pub(super) fn final_rows_through(home: &Home, monitor: &str, last: i64) -> Vec<Row> {
    // Rows come one by one: the last window is whole once it has as many as the first.
    let per_window = |rows: &[Row]| {
        let first = rows.first()?.window_end_ms;
        Some(rows.iter().filter(|row| row.window_end_ms == first).count())
    };
    let found = wait::poll(LIMIT, || {
        let rows = final_rows(home, monitor);
        let at_last = rows.iter().filter(|row| row.window_end_ms == last).count();
        (at_last > 0 && Some(at_last) == per_window(&rows)).then_some(rows)
    });
    let mut rows =
        found.unwrap_or_else(|| panic!("{monitor}: the window ending at {last} never closed"));
    rows.retain(|row| row.window_end_ms <= last);
    rows
}

fn final_rows(home: &Home, monitor: &str) -> Vec<Row> {
    let mut rows = home.rows();
    rows.retain(|row| row.is_final(monitor));
    rows
}

/// Every golden row whose window ends by `through` is there once, and no other row but those of `dest`, which the
/// golden files leave out.
fn compare(monitor: &str, rows: &[Row], golden: &[Golden], through: i64) {
    let mut found: BTreeMap<(i64, &str), &Row> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.feature != "dest") {
        let before = found.insert((row.window_end_ms, &row.feature), row);
        assert!(before.is_none(), "{monitor}: twice: {}", row.line);
    }
    for expected in golden.iter().filter(|row| row.window_end_ms <= through) {
        let row = found
            .remove(&(expected.window_end_ms, expected.feature.as_str()))
            .unwrap_or_else(|| panic!("{monitor}: no row for {expected:?}"));
        assert!(
            agrees(row, expected),
            "{monitor}: {row:?}, not {expected:?}"
        );
    }
    assert!(found.is_empty(), "{monitor}: not golden: {found:?}");
}

/// The report log holds the golden counts of every bucket.
fn compare_buckets(psiren: &Psiren, monitor: &str, golden: &[Golden], through: i64) {
    let path = format!("/api/v1/history?monitor={monitor}&limit=10000");
    let history = psiren.get(&path).json();
    let mut found = BTreeMap::new();
    for evaluation in history["evaluations"].as_array().expect("evaluations") {
        let end = evaluation["window"]["end"].as_str().expect("a time");
        let end: Timestamp = end.parse().expect("RFC 3339");
        for feature in evaluation["features"].as_array().expect("features") {
            let name = feature["feature"].as_str().expect("a name").to_owned();
            let counts: Vec<u64> =
                serde_json::from_value(feature["bucket_events"].clone()).expect("counts");
            found.insert((end.as_millisecond(), name), counts);
        }
    }
    for expected in golden.iter().filter(|row| row.window_end_ms <= through) {
        let counts = found.get(&(expected.window_end_ms, expected.feature.clone()));
        assert_eq!(counts, Some(&expected.counts), "{monitor}: {expected:?}");
    }
}

fn agrees(row: &Row, golden: &Golden) -> bool {
    let same_psi = match (row.psi, golden.psi) {
        (Some(psi), Some(expected)) => (psi - expected).abs() <= TOLERANCE,
        (psi, expected) => psi.is_none() && expected.is_none(),
    };
    same_psi && row.events == golden.events && row.missing == golden.missing
}
