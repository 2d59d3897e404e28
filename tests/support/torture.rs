//! How thorough the random and exhaustive tests are, and the seed they begin with.
//!
//! `PSIREN_TORTURE` is absent for the size that every `cargo test` has time for, `ci` for the one of
//! `.ci/run`, `long` for hours. `PSIREN_SEED` replays one run.

use std::hash::{BuildHasher, Hasher, RandomState};

/// One of three sizes of a test.
///
/// # Panics
/// When `PSIREN_TORTURE` is something else: a misspelt one would pass for a thorough run.
pub(crate) fn sized<T>(small: T, ci: T, long: T) -> T {
    match std::env::var("PSIREN_TORTURE").as_deref() {
        Err(_) | Ok("") => small,
        Ok("ci") => ci,
        Ok("long") => long,
        Ok(other) => panic!("PSIREN_TORTURE is {other:?}, expected ci or long"),
    }
}

/// The seed of `PSIREN_SEED` (decimal), else a new one.
///
/// # Panics
/// When `PSIREN_SEED` is no number.
pub(crate) fn seed() -> u64 {
    match std::env::var("PSIREN_SEED") {
        Ok(seed) if !seed.is_empty() => seed
            .parse()
            .unwrap_or_else(|_| panic!("PSIREN_SEED is {seed:?}, expected a number")),
        _ => RandomState::new().build_hasher().finish(),
    }
}

/// Whether one seed was asked for, so that only that one is run.
pub(crate) fn replays() -> bool {
    std::env::var("PSIREN_SEED").is_ok_and(|seed| !seed.is_empty())
}
