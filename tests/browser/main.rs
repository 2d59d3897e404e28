//! The page in a real browser, on a real psiren: Chromium driven by WebDriver.
//!
//! Where there is no browser these tests are ignored with the reason; under `CI=true` that is a failure. Pictures of
//! the page are written for people to look at; see [`program::screenshots`].

mod axe;
mod cases;
mod console;
mod driver;
#[expect(dead_code, reason = "the tests on a broker send signals too")]
#[path = "../broker/process.rs"]
mod process;
mod program;
mod sight;
mod terminal;
#[expect(dead_code, reason = "pages are awaited elsewhere")]
#[path = "../broker/wait.rs"]
mod wait;

use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

use crate::driver::Driver;

fn main() -> ExitCode {
    let stage = Arc::new(OnceLock::new());
    let trials = cases::all()
        .into_iter()
        .map(|case| {
            let stage = Arc::clone(&stage);
            Trial::ignorable_test(case.name, move || match case.lacking {
                Some(reason) => Ok(Completion::ignored_with(reason)),
                None => play(stage.get_or_init(Driver::start), case.run),
            })
        })
        .collect();
    let mut arguments = Arguments::from_args();
    // Most of the time a test waits for a browser.
    arguments.test_threads.get_or_insert(4);
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn play(driver: &Result<Driver, String>, run: fn(&Driver)) -> Result<Completion, Failed> {
    match driver {
        Ok(driver) => {
            run(driver);
            Ok(Completion::Completed)
        }
        Err(reason) if std::env::var("CI").is_ok_and(|ci| ci == "true") => Err(reason.into()),
        Err(reason) => Ok(Completion::ignored_with(reason)),
    }
}
