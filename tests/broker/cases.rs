//! The tests, by subject.

mod bad_records;
mod beginnings;
mod flights;
mod harness;
mod live;
mod messages;
mod partitions;
mod restart;
mod validate;

use crate::{Case, torture};

pub(crate) fn all() -> Vec<Case> {
    [
        harness::cases(),
        flights::cases(),
        restart::cases(),
        partitions::cases(),
        bad_records::cases(),
        live::cases(),
        beginnings::cases(),
        messages::cases(),
        validate::cases(),
        torture::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
