//! The tests, by what somebody wants of the page.

mod cost;
mod figures;
mod hands;
mod names;
mod news;
mod terminal;

use crate::driver::Driver;

/// One test: its name and what it does with a browser. It fails by a panic.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Driver),
    /// Why it does not run now.
    pub(crate) lacking: Option<&'static str>,
}

impl Case {
    fn new(name: &'static str, run: fn(&Driver)) -> Self {
        let lacking = None;
        Self { name, run, lacking }
    }

    /// Ignored with `reason`, unless the environment has `variable`.
    fn only_with(self, variable: &str, reason: &'static str) -> Self {
        let lacking = std::env::var_os(variable).is_none().then_some(reason);
        Self { lacking, ..self }
    }
}

pub(crate) fn all() -> Vec<Case> {
    [
        cost::cases(),
        figures::cases(),
        hands::cases(),
        names::cases(),
        news::cases(),
        terminal::cases(),
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
