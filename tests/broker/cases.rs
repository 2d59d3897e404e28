//! The tests, by subject.

mod bad_records;
mod flights;
mod harness;
mod live;
mod partitions;
mod restart;
mod validate;

use crate::Case;

pub(crate) fn all() -> Vec<Case> {
    [
        harness::cases(),
        flights::cases(),
        restart::cases(),
        partitions::cases(),
        bad_records::cases(),
        live::cases(),
        validate::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
