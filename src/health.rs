//! Whether psiren is ready, and if not, why: named latches that anybody may hold.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Shared by everything that can make psiren unready. Ready when nothing is held.
#[derive(Debug, Clone, Default)]
pub struct Health {
    held: Arc<RwLock<BTreeMap<String, String>>>,
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
}
