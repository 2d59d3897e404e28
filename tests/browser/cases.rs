//! The tests, by what somebody wants of the page.

use crate::driver::{Driver, Look};
use crate::program::{Feature, Program, Watched};
use crate::sight::Sight;

pub(crate) fn all() -> Vec<(&'static str, fn(&Driver))> {
    vec![]
}

/// Runs a test's steps to their end.
fn wait(steps: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(steps);
}
