//! The tests, by subject.

mod bad_records;
mod beginnings;
mod bench;
mod degraded;
mod flights;
mod harness;
mod init;
mod live;
mod log_changes;
mod messages;
mod partitions;
mod restart;
mod security;
mod source;
mod validate;

use crate::{Case, torture};

pub(crate) fn all() -> Vec<Case> {
    // The longest first, so that no processor waits at the end.
    [
        torture::cases(),
        degraded::cases(),
        harness::cases(),
        flights::cases(),
        restart::cases(),
        partitions::cases(),
        bad_records::cases(),
        live::cases(),
        beginnings::cases(),
        log_changes::cases(),
        messages::cases(),
        init::cases(),
        validate::cases(),
        bench::cases(),
        security::cases(),
        source::cases(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
