//! What happened in the schedules of a run, so that a run can show that everything did.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// A process died between two steps.
    Killed,
    /// A process died in the middle of an operation on the disk.
    KilledInWrite,
    /// Power was lost between two steps.
    PowerLost,
    /// Power was lost in the middle of an operation on the disk.
    PowerLostInWrite,
    /// A process died while it read its state.
    KilledInStart,
    Stopped,
    Joined,
    Revoked,
    Lost,
    Released,
    /// A process was cut off: others got its partitions, and it knew nothing of it.
    CutOff,
    /// A process that was cut off made a checkpoint durable.
    LateCheckpoint,
    /// The evaluators were begun elsewhere while the old ones went on.
    Deposed,
    /// Evaluators that were overtaken tried to close windows.
    LateVerdict,
    /// The evaluators in office found that deposed ones had been faster.
    Overtaken,
    DeliveredAgain,
    /// The log dropped what was durable.
    Retention,
    /// A loop stood before the beginning of its log.
    OutOfRange,
}

impl Fault {
    pub(super) const ALL: [Self; 18] = [
        Self::Killed,
        Self::KilledInWrite,
        Self::PowerLost,
        Self::PowerLostInWrite,
        Self::KilledInStart,
        Self::Stopped,
        Self::Joined,
        Self::Revoked,
        Self::Lost,
        Self::Released,
        Self::CutOff,
        Self::LateCheckpoint,
        Self::Deposed,
        Self::LateVerdict,
        Self::Overtaken,
        Self::DeliveredAgain,
        Self::Retention,
        Self::OutOfRange,
    ];
}

/// How often each of them happened, in how many schedules.
#[derive(Debug, Clone, Default)]
pub(super) struct Happened {
    faults: BTreeMap<Fault, u64>,
    pub schedules: u64,
    pub records: u64,
    pub windows: u64,
}

impl Happened {
    pub(super) fn count(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (fault, n) in &other.faults {
            *self.faults.entry(*fault).or_default() += n;
        }
        self.schedules += other.schedules;
        self.records += other.records;
        self.windows += other.windows;
    }

    pub(super) fn never(&self) -> Vec<Fault> {
        let never = |fault: &Fault| !self.faults.contains_key(fault);
        Fault::ALL.into_iter().filter(never).collect()
    }
}

impl fmt::Display for Happened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} schedules, {} records, {} windows",
            self.schedules, self.records, self.windows
        )?;
        for (fault, n) in &self.faults {
            writeln!(f, "{n:>9} {fault:?}")?;
        }
        Ok(())
    }
}
