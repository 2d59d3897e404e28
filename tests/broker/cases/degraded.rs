//! What psiren does when its surroundings fail: it counts on where it can, says so where it cannot, goes on by
//! itself, and ends in time when it is told to.

mod bounds;
mod disks;
mod ends;

use std::time::Duration;

use crate::Case;
use crate::psiren::Psiren;
use crate::wait;

const LIMIT: Duration = Duration::from_secs(90);

pub(super) fn cases() -> Vec<Case> {
    [disks::cases(), ends::cases(), bounds::cases()]
        .into_iter()
        .flatten()
        .collect()
}

fn await_consumed(psiren: &Psiren, records: usize) {
    wait::until("the records to be consumed", LIMIT, || {
        psiren.consumed() >= records as f64
    });
}

fn await_metric(psiren: &Psiren, name: &str, labels: &[(&str, &str)], holds: fn(f64) -> bool) {
    wait::until(name, LIMIT, || {
        psiren.metric(name, labels).is_some_and(holds)
    });
}
