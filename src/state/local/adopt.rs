//! What stored counts are counts of, and moving them to another set of features.

use redb::{ReadableTable, WriteTransaction};

use super::checkpoint::{sealed_of, unit_name, units_of};
use super::failure::Failure;
use super::tables::{EVALUATORS, IDENTITIES, SEALED, UNITS};
use super::{LocalStore, encoded, stored};
use crate::drift::{Layout, Pane, PaneCounts, PaneId};
use crate::state::identity::{CountsIdentity, FeatureChange};
use crate::state::{ReportLog as _, StateError, UnitKey, UnitState};

/// What became of a monitor's stored counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adopted {
    /// There were none.
    New,
    /// They go on as they are.
    Same,
    /// Features that stayed go on; both lists may be empty when only the order changed.
    Remapped {
        /// Start from zero in every pane.
        added: Vec<String>,
        /// Their counts are gone.
        removed: Vec<String>,
    },
}

impl Adopted {
    /// In words, one line per feature that came or went.
    #[must_use]
    pub fn changes(&self) -> Vec<String> {
        let Self::Remapped { added, removed } = self else {
            return Vec::new();
        };
        let added = added
            .iter()
            .map(|name| format!("feature {name:?} is new and starts from zero"));
        let removed = removed
            .iter()
            .map(|name| format!("feature {name:?} is gone, and its counts with it"));
        added.chain(removed).collect()
    }
}

impl LocalStore {
    /// Makes the stored counts of each monitor those of its identity, or refuses all of them. To be
    /// called before anything else is asked of the store.
    ///
    /// # Errors
    /// [`StateError::OtherCounts`] when counts of a feature that is still watched would be lost,
    /// `Newer` and `Damaged` when a part of what is stored cannot be read: here, rather than once
    /// the program runs. Then nothing has changed.
    pub fn adopt_all(
        &self,
        monitors: &[(&str, &CountsIdentity)],
    ) -> Result<Vec<Adopted>, StateError> {
        for (monitor, _) in monitors {
            self.check(monitor)?;
        }
        self.write(|txn| {
            let each = monitors.iter();
            each.map(|(monitor, identity)| adopt(txn, monitor, identity))
                .collect()
        })
    }

    /// [`adopt_all`](Self::adopt_all) of one monitor.
    ///
    /// # Errors
    /// The same.
    pub fn adopt(&self, monitor: &str, identity: &CountsIdentity) -> Result<Adopted, StateError> {
        self.check(monitor)?;
        self.write(|txn| adopt(txn, monitor, identity))
    }

    /// Reads everything that is stored of `monitor`, and holds its panes against its identity.
    fn check(&self, monitor: &str) -> Result<(), StateError> {
        self.evaluator(monitor)?;
        self.read(|txn| {
            let identity = stored_identity(&txn.open_table(IDENTITIES)?, monitor)?;
            let cells = identity.map(|identity| identity.layout().cells());
            for (unit, state) in units_of(txn, monitor)? {
                for (id, pane) in &state.open {
                    check_pane(&unit, *id, pane, cells)?;
                }
            }
            for (unit, sealed) in sealed_of(txn, monitor)? {
                check_pane(&unit, sealed.id, &sealed.pane, cells)?;
            }
            Ok(())
        })
    }

    /// The monitors that have state here, by name, whether they are configured or not.
    ///
    /// # Errors
    /// Those of reading.
    pub fn monitors(&self) -> Result<Vec<String>, StateError> {
        self.read(|txn| {
            let mut names = Vec::new();
            for table in [IDENTITIES, EVALUATORS] {
                for row in txn.open_table(table)?.iter()? {
                    names.push(row?.0.value().to_owned());
                }
            }
            for row in txn.open_table(UNITS)?.iter()? {
                names.push(row?.0.value().0.to_owned());
            }
            names.sort_unstable();
            names.dedup();
            Ok(names)
        })
    }
}

fn adopt(
    txn: &WriteTransaction,
    monitor: &str,
    identity: &CountsIdentity,
) -> Result<Adopted, Failure> {
    let before = stored_identity(&txn.open_table(IDENTITIES)?, monitor)?;
    let adopted = match &before {
        None => {
            refuse_unknown_counts(txn, monitor)?;
            Adopted::New
        }
        Some(before) if before == identity => return Ok(Adopted::Same),
        Some(before) => remap_monitor(txn, monitor, before, identity)?,
    };
    txn.open_table(IDENTITIES)?
        .insert(monitor, encoded(identity)?.as_slice())?;
    Ok(adopted)
}

fn stored_identity(
    identities: &impl ReadableTable<&'static str, &'static [u8]>,
    monitor: &str,
) -> Result<Option<CountsIdentity>, Failure> {
    identities
        .get(monitor)?
        .map(|bytes| stored(bytes.value(), || format!("identity of monitor {monitor:?}")))
        .transpose()
}

/// `expected` is unknown for counts without an identity, which are refused anyway.
fn check_pane(
    unit: &UnitKey,
    id: PaneId,
    pane: &Pane,
    expected: Option<usize>,
) -> Result<(), Failure> {
    let found = pane.counts.cells().len();
    match expected {
        Some(expected) if found != expected => {
            let whose = format!("{}, pane {}", unit_name(unit), id.0);
            Err(miscounted(&whose, found, expected))
        }
        _ => Ok(()),
    }
}

fn miscounted(whose: &str, found: usize, expected: usize) -> Failure {
    Failure::Damaged(format!(
        "{whose}: it has {found} counts, expected {expected}"
    ))
}

fn refuse_unknown_counts(txn: &WriteTransaction, monitor: &str) -> Result<(), Failure> {
    if unit_keys(txn, monitor)?.is_empty() {
        return Ok(());
    }
    Err(Failure::State(StateError::OtherCounts {
        monitor: monitor.to_owned(),
        diff: "  counts are stored without a description of what they count".to_owned(),
    }))
}

fn remap_monitor(
    txn: &WriteTransaction,
    monitor: &str,
    before: &CountsIdentity,
    after: &CountsIdentity,
) -> Result<Adopted, Failure> {
    let comparison = CountsIdentity::compare(before, after);
    if !comparison.keeps_counts() {
        return Err(Failure::State(StateError::OtherCounts {
            monitor: monitor.to_owned(),
            diff: comparison.text().unwrap_or_default(),
        }));
    }
    let remap = Remap {
        from: before.layout(),
        to: after.layout(),
        sources: after.sources(before),
    };
    remap_units(txn, monitor, &remap)?;
    remap_sealed(txn, monitor, &remap)?;
    let named = |change: FeatureChange| {
        let features = comparison.features.iter();
        let changed = features.filter(|(_, c)| *c == change);
        changed.map(|(name, _)| name.clone()).collect()
    };
    Ok(Adopted::Remapped {
        added: named(FeatureChange::Added),
        removed: named(FeatureChange::Removed),
    })
}

/// From the cells of one layout to those of another.
struct Remap {
    from: Layout,
    to: Layout,
    /// For each feature of `to`, the one of `from` whose cells it has.
    sources: Vec<Option<usize>>,
}

impl Remap {
    fn pane(&self, pane: &mut Pane, whose: impl FnOnce() -> String) -> Result<(), Failure> {
        let counts = self
            .counts(&pane.counts)
            .ok_or_else(|| miscounted(&whose(), pane.counts.cells().len(), self.from.cells()))?;
        pane.counts = counts;
        Ok(())
    }

    fn counts(&self, counts: &PaneCounts) -> Option<PaneCounts> {
        if counts.cells().len() != self.from.cells() {
            return None;
        }
        let mut cells = vec![0; self.to.cells()];
        for (feature, source) in self.sources.iter().enumerate() {
            if let Some(source) = source {
                cells[self.to.span(feature)]
                    .copy_from_slice(&counts.cells()[self.from.span(*source)]);
            }
        }
        PaneCounts::from_cells(&self.to, counts.events, cells)
    }
}

fn remap_units(txn: &WriteTransaction, monitor: &str, remap: &Remap) -> Result<(), Failure> {
    let keys = unit_keys(txn, monitor)?;
    let mut table = txn.open_table(UNITS)?;
    for (topic, partition) in keys {
        let key = (monitor, topic.as_str(), partition);
        let whose = || format!("monitor {monitor:?}, topic {topic:?}, partition {partition}");
        let Some(mut unit) = table
            .get(key)?
            .map(|value| stored::<UnitState>(value.value().1, whose))
            .transpose()?
        else {
            continue;
        };
        for (id, pane) in &mut unit.open {
            remap.pane(pane, || format!("{}, pane {}", whose(), id.0))?;
        }
        table.insert(key, (unit.next_offset, encoded(&unit)?.as_slice()))?;
    }
    Ok(())
}

fn remap_sealed(txn: &WriteTransaction, monitor: &str, remap: &Remap) -> Result<(), Failure> {
    let mut table = txn.open_table(SEALED)?;
    let mut keys = Vec::new();
    for row in table.range((monitor, i64::MIN, "", i32::MIN)..)? {
        let (key, _) = row?;
        let (of, id, topic, partition) = key.value();
        if of != monitor {
            break;
        }
        keys.push((id, topic.to_owned(), partition));
    }
    for (id, topic, partition) in keys {
        let key = (monitor, id, topic.as_str(), partition);
        let whose = || {
            format!("monitor {monitor:?}, topic {topic:?}, partition {partition}, sealed pane {id}")
        };
        let Some(mut pane) = table
            .get(key)?
            .map(|value| stored::<Pane>(value.value().1, whose))
            .transpose()?
        else {
            continue;
        };
        remap.pane(&mut pane, whose)?;
        table.insert(key, (pane.last_offset, encoded(&pane)?.as_slice()))?;
    }
    Ok(())
}

/// Topic and partition of each unit of `monitor`.
fn unit_keys(txn: &WriteTransaction, monitor: &str) -> Result<Vec<(String, i32)>, Failure> {
    let table = txn.open_table(UNITS)?;
    let mut keys = Vec::new();
    for row in table.range((monitor, "", i32::MIN)..)? {
        let (key, _) = row?;
        let (of, topic, partition) = key.value();
        if of != monitor {
            break;
        }
        keys.push((topic.to_owned(), partition));
    }
    Ok(keys)
}
