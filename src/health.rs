//! Whether psiren is ready, and if not, why: named latches that anybody may hold. Whether it is
//! alive: loops that say so each time they turn.
//!
//! A loop's silence is counted in seconds that this process was awake, one [`Health::second`] each,
//! and not read off a clock: a process that was stopped, or slept with its machine, has missed
//! nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

/// Shared by everything that can make psiren unready. Ready when nothing is held.
#[derive(Debug, Clone, Default)]
pub struct Health {
    held: Arc<RwLock<BTreeMap<String, String>>>,
    loops: Arc<Mutex<BTreeMap<String, Silence>>>,
}

/// Seconds, awake, since a loop turned, and how many there may be.
#[derive(Debug, Clone, Copy)]
struct Silence {
    seconds: u64,
    limit: u64,
}

/// A loop that has to turn; forgotten when dropped.
#[derive(Debug)]
pub struct Heartbeat {
    name: String,
    limit: u64,
    loops: Arc<Mutex<BTreeMap<String, Silence>>>,
}

impl Health {
    /// Makes psiren unready for `reason`, in words, until `latch` is released.
    pub fn hold(&self, latch: &str, reason: impl Into<String>) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.insert(latch.to_owned(), reason.into());
    }

    pub fn release(&self, latch: &str) {
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        held.remove(latch);
    }

    /// What is held and why; empty when ready.
    #[must_use]
    pub fn held(&self) -> BTreeMap<String, String> {
        self.held
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Watches a loop from now on: it is stuck when it does not beat within `limit`, to the second.
    #[must_use]
    pub fn heartbeat(&self, name: &str, limit: Duration) -> Heartbeat {
        let heartbeat = Heartbeat {
            name: name.to_owned(),
            limit: limit.as_secs(),
            loops: Arc::clone(&self.loops),
        };
        heartbeat.beat();
        heartbeat
    }

    /// Another second has passed in which this process was awake.
    pub fn second(&self) {
        for silence in self.loops().values_mut() {
            silence.seconds += 1;
        }
    }

    /// The loops that have not turned for longer than they should, in words; empty when alive.
    #[must_use]
    pub fn stuck(&self) -> Vec<String> {
        self.loops()
            .iter()
            .filter(|(_, silence)| silence.seconds >= silence.limit)
            .map(|(name, silence)| format!("{name} has not turned for {} s", silence.seconds))
            .collect()
    }

    fn loops(&self) -> MutexGuard<'_, BTreeMap<String, Silence>> {
        self.loops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heartbeat {
    /// The loop turns.
    pub fn beat(&self) {
        let mut loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        let turned = Silence {
            seconds: 0,
            limit: self.limit,
        };
        match loops.get_mut(&self.name) {
            Some(known) => *known = turned,
            None => drop(loops.insert(self.name.clone(), turned)),
        }
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        let mut loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_stuck_until_it_beats_and_forgotten_when_it_ends() {
        let health = Health::default();
        let heartbeat = health.heartbeat("consumer", Duration::from_secs(2));
        health.second();
        assert!(health.stuck().is_empty());
        health.second();
        assert_eq!(health.stuck(), ["consumer has not turned for 2 s"]);
        heartbeat.beat();
        assert!(health.stuck().is_empty());
        health.second();
        health.second();
        drop(heartbeat);
        assert!(health.stuck().is_empty());
    }
}
