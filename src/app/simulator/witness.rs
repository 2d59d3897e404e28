//! A store that remembers what it promised: everything it has once said was durable.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::drift::{Pane, PaneId, SealedPane};
use crate::state::{
    EvaluatorState, LogEntry, ReportLog, StateError, StateStore, UnitKey, UnitState,
};

/// What must be there whatever happens, over all processes.
#[derive(Debug, Clone, Default)]
pub(super) struct Promises(Arc<Mutex<Promised>>);

#[derive(Debug, Default)]
pub(super) struct Promised {
    /// The unit that reaches furthest.
    pub units: BTreeMap<UnitKey, UnitState>,
    pub panes: BTreeMap<(UnitKey, PaneId), Pane>,
    /// By monitor.
    pub closed_through: BTreeMap<String, PaneId>,
}

impl Promises {
    pub(super) fn lock(&self) -> MutexGuard<'_, Promised> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Witness<S> {
    pub store: S,
    pub promises: Promises,
}

impl<S: StateStore> StateStore for Witness<S> {
    fn checkpoint(
        &self,
        sealed: &[(UnitKey, SealedPane)],
        units: &[(UnitKey, UnitState)],
    ) -> Result<(), StateError> {
        self.store.checkpoint(sealed, units)?;
        let mut promised = self.promises.lock();
        for (unit, sealed) in sealed {
            let key = (unit.clone(), sealed.id);
            promised.panes.insert(key, sealed.pane.clone());
        }
        for (unit, state) in units {
            let before = promised.units.get(unit).map(|s| s.next_offset);
            if before.is_none_or(|before| before <= state.next_offset) {
                promised.units.insert(unit.clone(), state.clone());
            }
        }
        Ok(())
    }

    fn set_aside(&self, unit: &UnitKey, fresh: &UnitState, at_ms: i64) -> Result<bool, StateError> {
        self.store.set_aside(unit, fresh, at_ms)
    }

    fn units(&self, monitor: &str) -> Result<Vec<(UnitKey, UnitState)>, StateError> {
        self.store.units(monitor)
    }

    fn sealed(&self, monitor: &str) -> Result<Vec<(UnitKey, SealedPane)>, StateError> {
        self.store.sealed(monitor)
    }
}

impl<S: ReportLog> ReportLog for Witness<S> {
    fn commit(
        &self,
        monitor: &str,
        state: &EvaluatorState,
        entries: &[LogEntry],
        needed_from: Option<PaneId>,
    ) -> Result<u64, StateError> {
        let head = self.store.commit(monitor, state, entries, needed_from)?;
        if let Some(end) = state.closed_through {
            let mut promised = self.promises.lock();
            let promised = promised.closed_through.entry(monitor.to_owned());
            let before = promised.or_insert(end);
            *before = end.max(*before);
        }
        Ok(head)
    }

    fn evaluator(&self, monitor: &str) -> Result<EvaluatorState, StateError> {
        self.store.evaluator(monitor)
    }

    fn head(&self) -> Result<u64, StateError> {
        self.store.head()
    }

    fn read(&self, after: u64, limit: usize) -> Result<Vec<(u64, LogEntry)>, StateError> {
        ReportLog::read(&self.store, after, limit)
    }

    fn history(&self, m: &str, from: i64, to: i64, n: usize) -> Result<Vec<LogEntry>, StateError> {
        self.store.history(m, from, to, n)
    }

    fn cursor(&self, sink: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.store.cursor(sink)
    }

    fn set_cursor(&self, sink: &str, cursor: &[u8]) -> Result<(), StateError> {
        self.store.set_cursor(sink, cursor)
    }

    fn expire(&self, before_ms: i64) -> Result<u64, StateError> {
        self.store.expire(before_ms)
    }
}
