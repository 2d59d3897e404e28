//! What a running psiren does when asked, frozen, or left without its broker.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;

use super::flights::monitors;
use crate::Case;
use crate::flights::flights;
use crate::kafka::Kafka;
use crate::psiren::{Home, Psiren};
use crate::topic::{Record, Topic, unique};
use crate::wait;

const LIMIT: Duration = Duration::from_secs(60);
const FLIGHTS: usize = 2_000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::shared(
            "a_check_on_demand_answers_and_writes_manual_rows",
            a_check_on_demand_answers_and_writes_manual_rows,
        ),
        Case::shared(
            "a_frozen_psiren_goes_on_where_it_was",
            a_frozen_psiren_goes_on_where_it_was,
        ),
        Case::own(
            "a_broker_away_is_told_and_survived",
            a_broker_away_is_told_and_survived,
        )
        .when_thorough(),
        Case::own(
            "a_frozen_broker_does_not_delay_the_exit",
            a_frozen_broker_does_not_delay_the_exit,
        ),
    ]
}

fn a_check_on_demand_answers_and_writes_manual_rows(kafka: &Kafka) {
    let (topic, home) = flights_home(kafka);
    topic.produce(&some_flights());
    let psiren = home.start();
    await_consumed(&psiren, FLIGHTS);
    let before = Timestamp::now();
    let answer = psiren.post("/api/v1/check", &json!({"monitor": "week"}));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(answer.json().is_object(), "{answer:?}");
    let manual = || {
        let mut rows = home.rows();
        rows.retain(|row| row.trigger == "manual");
        rows
    };
    wait::until("the manual rows", LIMIT, || !manual().is_empty());
    for row in manual() {
        assert_eq!(row.monitor, "week", "{}", row.line);
        let at: Timestamp = row.evaluated_at.parse().expect("evaluated_at");
        assert!(at >= before && at <= Timestamp::now(), "{}", row.line);
    }
    psiren.terminate();
}

fn a_frozen_psiren_goes_on_where_it_was(kafka: &Kafka) {
    let (topic, home) = flights_home(kafka);
    let records = some_flights();
    let (early, late) = records.split_at(FLIGHTS / 2);
    topic.produce(early);
    let psiren = home.start();
    await_consumed(&psiren, early.len());
    psiren.freeze();
    topic.produce(late);
    psiren.cont();
    await_consumed(&psiren, FLIGHTS);
    assert_eq!(psiren.consumed(), FLIGHTS as f64);
    psiren.terminate();
}

fn a_broker_away_is_told_and_survived(broker: &mut Kafka) {
    let (topic, home) = flights_home(broker);
    let records = some_flights();
    let (early, late) = records.split_at(FLIGHTS / 2);
    topic.produce(early);
    let psiren = home.start();
    await_consumed(&psiren, early.len());
    psiren.wait_ready();
    broker.kill();
    psiren.wait_unready("", LIMIT);
    assert_eq!(psiren.get("/livez").status, 200);
    broker.restart();
    topic.produce(late);
    await_consumed(&psiren, FLIGHTS);
    psiren.wait_ready();
    psiren.terminate();
}

fn a_frozen_broker_does_not_delay_the_exit(broker: &mut Kafka) {
    let (topic, home) = flights_home(broker);
    topic.produce(&some_flights());
    let psiren = home.start();
    await_consumed(&psiren, FLIGHTS);
    broker.freeze();
    psiren.terminate();
}

fn flights_home(kafka: &Kafka) -> (Topic, Home) {
    let topic = Topic::create(kafka, "live", 2);
    let home = Home::new(kafka, &unique("live"), &monitors(&topic));
    (topic, home)
}

fn some_flights() -> Vec<Record> {
    flights()
        .iter()
        .take(FLIGHTS)
        .map(crate::flights::Flight::record)
        .collect()
}

fn await_consumed(psiren: &Psiren, records: usize) {
    wait::until("the records to be consumed", LIMIT, || {
        psiren.consumed() >= records as f64
    });
}
