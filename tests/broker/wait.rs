//! Awaiting a condition instead of sleeping for a guessed time.

use std::thread::sleep;
use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(20);

/// Returns once `condition` holds; panics with `what` was awaited when it does not within `limit`.
#[track_caller]
pub(crate) fn until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    some(what, limit, || condition().then_some(()));
}

/// Returns the first value that `probe` finds; panics with `what` was awaited when there is none within `limit`.
#[track_caller]
pub(crate) fn some<T>(what: &str, limit: Duration, probe: impl FnMut() -> Option<T>) -> T {
    match poll(limit, probe) {
        Some(found) => found,
        None => panic!("waited {limit:?} in vain for {what}"),
    }
}

/// The first value that `probe` finds within `limit`, at the latest after one more try at its end.
pub(crate) fn poll<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let last = Instant::now() >= deadline;
        let found = probe();
        if found.is_some() || last {
            return found;
        }
        sleep(PAUSE);
    }
}
