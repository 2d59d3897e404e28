//! The tables of the local store, and the format they are in.
//!
//! Keys are tuples, so that what belongs together lies together: a monitor's sealed panes ascend by
//! pane, and dropping the old ones is one range. Counts carry their offset beside the encoded
//! value, so that a checkpoint is compared without decoding what it replaces.

use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};

use super::failure::Failure;
use crate::state::StateError;

/// The format of keys and tables; values have versions of their own.
pub(super) const FORMAT: u64 = 1;

/// Numbers by name.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(super) const META_FORMAT: &str = "format";
/// The sequence number of the last entry ever appended to the log.
pub(super) const META_LAST_ENTRY: &str = "last_entry";
/// A random number, new with every transaction: says which one was the last.
pub(super) const META_LAST_WRITE: &str = "last_write";

/// An offset, and the encoded value that belongs to it.
type AtOffset = (i64, &'static [u8]);

/// (monitor, topic, partition) → (`next_offset`, unit).
pub(super) const UNITS: TableDefinition<'_, (&str, &str, i32), AtOffset> =
    TableDefinition::new("units");

/// (monitor, pane, topic, partition) → (`last_offset`, pane).
pub(super) const SEALED: TableDefinition<'_, (&str, i64, &str, i32), AtOffset> =
    TableDefinition::new("sealed_panes");

/// (monitor, topic, partition, set aside at ms, pane) → as in the tables above. The unit itself is
/// where a pane would be [`UNIT`].
pub(super) const ASIDE: TableDefinition<'_, (&str, &str, i32, i64, i64), AtOffset> =
    TableDefinition::new("set_aside");
pub(super) const UNIT: i64 = i64::MIN;

/// monitor → evaluator state.
pub(super) const EVALUATORS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("evaluators");

/// Sequence number → entry.
pub(super) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("report_log");

/// (monitor, window end in ms, sequence number): where the reports are in the log.
pub(super) const HISTORY: TableDefinition<'_, (&str, i64, u64), ()> =
    TableDefinition::new("history");

/// sink → its cursor.
pub(super) const CURSORS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("cursors");

/// monitor → what its counts are counts of.
pub(super) const IDENTITIES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("identities");

/// Makes every table, so that no reader meets a missing one.
pub(super) fn create(txn: &WriteTransaction) -> Result<(), Failure> {
    txn.open_table(META)?.insert(META_FORMAT, FORMAT)?;
    txn.open_table(UNITS)?;
    txn.open_table(SEALED)?;
    txn.open_table(ASIDE)?;
    txn.open_table(EVALUATORS)?;
    txn.open_table(LOG)?;
    txn.open_table(HISTORY)?;
    txn.open_table(CURSORS)?;
    txn.open_table(IDENTITIES)?;
    Ok(())
}

/// True when this is a store of this format, false when it is empty.
pub(super) fn exists(txn: &ReadTransaction, path: &str) -> Result<bool, Failure> {
    let format = match txn.open_table(META) {
        Ok(meta) => meta.get(META_FORMAT)?.map(|format| format.value()),
        Err(TableError::TableDoesNotExist(_)) if txn.list_tables()?.next().is_none() => {
            return Ok(false);
        }
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    match format {
        Some(FORMAT) => Ok(true),
        Some(found) if found > FORMAT => Err(Failure::State(StateError::Newer {
            path: path.to_owned(),
            found: u32::try_from(found).unwrap_or(u32::MAX),
            supported: FORMAT as u32,
        })),
        found => Err(Failure::Damaged(format!(
            "it is no psiren state: its format is {found:?}, expected {FORMAT}"
        ))),
    }
}

/// A number of the meta table, 0 when it was never set.
pub(super) fn meta(
    table: &impl ReadableTable<&'static str, u64>,
    name: &str,
) -> Result<u64, Failure> {
    Ok(table.get(name)?.map_or(0, |value| value.value()))
}
