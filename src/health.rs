//! Whether psiren is ready, and if not, why: named latches that anybody may hold. Whether it is
//! alive: loops that say so each time they turn.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// Shared by everything that can make psiren unready. Ready when nothing is held.
#[derive(Debug, Clone, Default)]
pub struct Health {
    held: Arc<RwLock<BTreeMap<String, String>>>,
    loops: Arc<Mutex<BTreeMap<String, Turned>>>,
}

#[derive(Debug)]
struct Turned {
    at: Instant,
    limit: Duration,
}

/// A loop that has to turn; forgotten when dropped.
#[derive(Debug)]
pub struct Heartbeat {
    name: String,
    limit: Duration,
    loops: Arc<Mutex<BTreeMap<String, Turned>>>,
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

    /// Watches a loop from now on: it is stuck when it does not beat for longer than `limit`.
    #[must_use]
    pub fn heartbeat(&self, name: &str, limit: Duration) -> Heartbeat {
        let heartbeat = Heartbeat {
            name: name.to_owned(),
            limit,
            loops: Arc::clone(&self.loops),
        };
        heartbeat.beat();
        heartbeat
    }

    /// The loops that have not turned for longer than they should, in words; empty when alive.
    #[must_use]
    pub fn stuck(&self) -> Vec<String> {
        let loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        loops
            .iter()
            .filter(|(_, turned)| turned.at.elapsed() > turned.limit)
            .map(|(name, turned)| {
                let silent = turned.at.elapsed().as_secs();
                format!("{name} has not turned for {silent} s")
            })
            .collect()
    }
}

impl Heartbeat {
    /// The loop turns.
    pub fn beat(&self) {
        let mut loops = self.loops.lock().unwrap_or_else(PoisonError::into_inner);
        let turned = Turned {
            at: Instant::now(),
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
        let heartbeat = health.heartbeat("consumer", Duration::ZERO);
        while health.stuck().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(health.stuck(), ["consumer has not turned for 0 s"]);
        drop(heartbeat);
        assert!(health.stuck().is_empty());
        let _patient = health.heartbeat("consumer", Duration::from_secs(3600));
        assert!(health.stuck().is_empty());
    }
}
