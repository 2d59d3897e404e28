//! The tests, by what somebody wants of the page.

mod cost;
mod figures;
mod hands;
mod names;
mod news;

use crate::driver::Driver;

pub(crate) type Case = (&'static str, fn(&Driver));

pub(crate) fn all() -> Vec<Case> {
    [
        cost::cases(),
        figures::cases(),
        hands::cases(),
        names::cases(),
        news::cases(),
    ]
    .concat()
}

/// Runs a test's steps to their end.
fn play(steps: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(steps);
}
