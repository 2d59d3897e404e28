//! Units and sealed panes in the local store.

use std::collections::BTreeSet;

use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use super::failure::Failure;
use super::tables::{ASIDE, SEALED, UNIT, UNITS};
use super::{LocalStore, encoded, stored};
use crate::drift::{Pane, PaneId, SealedPane};
use crate::state::{StateError, StateStore, UnitKey, UnitState};

impl StateStore for LocalStore {
    fn checkpoint(
        &self,
        sealed: &[(UnitKey, SealedPane)],
        units: &[(UnitKey, UnitState)],
    ) -> Result<(), StateError> {
        if sealed.is_empty() && units.is_empty() {
            return Ok(());
        }
        self.write(|txn| {
            let outdated = put_units(txn, units)?;
            put_sealed(txn, sealed, &outdated)
        })
    }

    fn set_aside(&self, unit: &UnitKey, fresh: &UnitState, at_ms: i64) -> Result<bool, StateError> {
        self.write(|txn| set_aside(txn, unit, fresh, at_ms))
    }

    fn units(&self, monitor: &str) -> Result<Vec<(UnitKey, UnitState)>, StateError> {
        self.read(|txn| units_of(txn, monitor))
    }

    fn sealed(&self, monitor: &str) -> Result<Vec<(UnitKey, SealedPane)>, StateError> {
        self.read(|txn| sealed_of(txn, monitor))
    }
}

/// Stores the units that are not behind what is stored, and names those that are: they come from
/// a process that has been overtaken.
fn put_units<'a>(
    txn: &WriteTransaction,
    units: &'a [(UnitKey, UnitState)],
) -> Result<BTreeSet<&'a UnitKey>, Failure> {
    let mut table = txn.open_table(UNITS)?;
    let mut outdated = BTreeSet::new();
    for (unit, state) in units {
        let key = (unit.monitor.as_str(), unit.topic.as_str(), unit.partition);
        let durable = table.get(key)?.map(|value| value.value().0);
        if durable.is_some_and(|next_offset| next_offset > state.next_offset) {
            outdated.insert(unit);
        } else {
            table.insert(key, (state.next_offset, encoded(state)?.as_slice()))?;
        }
    }
    Ok(outdated)
}

/// Stores sealed panes, except those that come with an outdated unit: its pane is stored already,
/// or no window needs it any more.
fn put_sealed(
    txn: &WriteTransaction,
    sealed: &[(UnitKey, SealedPane)],
    outdated: &BTreeSet<&UnitKey>,
) -> Result<(), Failure> {
    let mut table = txn.open_table(SEALED)?;
    for (unit, SealedPane { id, pane }) in sealed {
        let key = (
            unit.monitor.as_str(),
            id.0,
            unit.topic.as_str(),
            unit.partition,
        );
        let durable = table.get(key)?.map(|value| value.value().0);
        if outdated.contains(unit) || durable.is_some_and(|last| last > pane.last_offset) {
            continue;
        }
        table.insert(key, (pane.last_offset, encoded(pane)?.as_slice()))?;
    }
    Ok(())
}

fn set_aside(
    txn: &WriteTransaction,
    unit: &UnitKey,
    fresh: &UnitState,
    at_ms: i64,
) -> Result<bool, Failure> {
    let (monitor, topic) = (unit.monitor.as_str(), unit.topic.as_str());
    let mut aside = txn.open_table(ASIDE)?;
    let mut units = txn.open_table(UNITS)?;
    let Some(state) = units.remove((monitor, topic, unit.partition))? else {
        return Ok(false);
    };
    let key = (monitor, topic, unit.partition, at_ms, UNIT);
    aside.insert(key, state.value())?;
    drop(state);
    let place = (monitor, topic, unit.partition);
    units.insert(place, (fresh.next_offset, encoded(fresh)?.as_slice()))?;
    let mut sealed = txn.open_table(SEALED)?;
    let first = (monitor, i64::MIN, "", i32::MIN);
    let last = (monitor, i64::MAX, topic, i32::MAX);
    for row in sealed.extract_from_if(first..=last, |(_, _, of, partition), _| {
        of == topic && partition == unit.partition
    })? {
        let (pane, counts) = row?;
        let key = (monitor, topic, unit.partition, at_ms, pane.value().1);
        aside.insert(key, counts.value())?;
    }
    Ok(true)
}

pub(super) fn units_of(
    txn: &ReadTransaction,
    monitor: &str,
) -> Result<Vec<(UnitKey, UnitState)>, Failure> {
    let table = txn.open_table(UNITS)?;
    let mut units = Vec::new();
    for row in table.range((monitor, "", i32::MIN)..)? {
        let (key, value) = row?;
        let (of, topic, partition) = key.value();
        if of != monitor {
            break;
        }
        let (next_offset, bytes) = value.value();
        let unit = UnitKey {
            monitor: of.to_owned(),
            topic: topic.to_owned(),
            partition,
        };
        let state: UnitState = stored(bytes, || unit_name(&unit))?;
        if state.next_offset != next_offset {
            return Err(Failure::Damaged(format!(
                "{}: its offset is {next_offset} beside the counts and {} in them",
                unit_name(&unit),
                state.next_offset
            )));
        }
        units.push((unit, state));
    }
    Ok(units)
}

pub(super) fn sealed_of(
    txn: &ReadTransaction,
    monitor: &str,
) -> Result<Vec<(UnitKey, SealedPane)>, Failure> {
    let table = txn.open_table(SEALED)?;
    let mut sealed = Vec::new();
    for row in table.range((monitor, i64::MIN, "", i32::MIN)..)? {
        let (key, value) = row?;
        let (of, id, topic, partition) = key.value();
        if of != monitor {
            break;
        }
        let unit = UnitKey {
            monitor: of.to_owned(),
            topic: topic.to_owned(),
            partition,
        };
        let pane: Pane = stored(value.value().1, || {
            format!("{}, sealed pane {id}", unit_name(&unit))
        })?;
        let id = PaneId(id);
        sealed.push((unit, SealedPane { id, pane }));
    }
    Ok(sealed)
}

/// Drops the sealed panes of `monitor` before `needed_from`.
pub(super) fn prune(
    txn: &WriteTransaction,
    monitor: &str,
    needed_from: PaneId,
) -> Result<(), Failure> {
    let from = (monitor, i64::MIN, "", i32::MIN);
    let to = (monitor, needed_from.0, "", i32::MIN);
    txn.open_table(SEALED)?.retain_in(from..to, |_, _| false)?;
    Ok(())
}

pub(super) fn unit_name(unit: &UnitKey) -> String {
    format!(
        "monitor {:?}, topic {:?}, partition {}",
        unit.monitor, unit.topic, unit.partition
    )
}
