//! Ends the process when a consuming loop is stuck, so that its supervisor starts it again.
//!
//! Only the consuming loops are watched. A loop that turns has polled its client and taken what
//! was there; one that does not, for a minute, will not by itself, and everything it counted since
//! the last checkpoint is read again after a restart. All else that can take long is told on
//! `/readyz` and goes on by itself, so ending the process would only lose time: the checkpointer
//! waits for the disk, the assigner for brokers, an evaluator for the disk, sinks for theirs. That
//! one of those has *ended* is noticed where the parts of the program are joined.
//!
//! A minute is sixty of this thread's own ticks. A process that was stopped, or whose machine was
//! suspended, did not tick, so it is not taken for stuck when it goes on.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::health::Health;

pub(super) const TICK: Duration = Duration::from_secs(1);
/// How long the orderly exit of a process with a stuck thread is waited for.
const EXIT: Duration = Duration::from_secs(2);
/// An internal fault, as `EX_SOFTWARE` of sysexits.h; differs from what a command returns.
pub const STUCK: u8 = 70;

/// Watches until `stop` is dropped or a loop is stuck; then `end` is given the words for it.
pub(super) fn watch(health: &Health, tick: Duration, stop: &Receiver<()>, end: impl FnOnce(&str)) {
    while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(tick) {
        health.second();
        if let Some(words) = health.stuck().first() {
            return end(words);
        }
    }
}

/// Ends the process with a code that is not zero, whatever its threads hold.
pub(super) fn end(words: &str) {
    tracing::error!("{words}; ending, so that the supervisor starts psiren again");
    // Handlers at exit belong to libraries that may be what is stuck.
    std::thread::spawn(|| std::process::exit(STUCK.into()));
    std::thread::sleep(EXIT);
    std::process::abort();
}

#[cfg(test)]
mod tests;
