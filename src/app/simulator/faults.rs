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

/// What has to happen to one process that is alone with its state.
const ALONE: [Fault; 10] = [
    Fault::Killed,
    Fault::KilledInWrite,
    Fault::PowerLost,
    Fault::PowerLostInWrite,
    Fault::KilledInStart,
    Fault::Stopped,
    Fault::Revoked,
    Fault::Released,
    Fault::DeliveredAgain,
    Fault::Retention,
];

/// What has to happen to several processes over one folder.
const TOGETHER: [Fault; 17] = [
    Fault::Killed,
    Fault::KilledInWrite,
    Fault::PowerLost,
    Fault::PowerLostInWrite,
    Fault::KilledInStart,
    Fault::Stopped,
    Fault::Joined,
    Fault::Revoked,
    Fault::Lost,
    Fault::CutOff,
    Fault::LateCheckpoint,
    Fault::Deposed,
    Fault::LateVerdict,
    Fault::Overtaken,
    Fault::DeliveredAgain,
    Fault::Retention,
    Fault::OutOfRange,
];

/// What happened in the schedules of both kinds.
#[derive(Debug, Clone, Default)]
pub(super) struct Run {
    pub alone: Happened,
    pub together: Happened,
}

impl Run {
    pub(super) fn add(&mut self, other: &Self) {
        self.alone.add(&other.alone);
        self.together.add(&other.together);
    }

    pub(super) fn schedules(&self) -> u64 {
        self.alone.schedules + self.together.schedules
    }

    /// What happened less than `least` times where it can.
    pub(super) fn seldom(&self, least: u64) -> [Vec<Fault>; 2] {
        [
            self.alone.seldom(&ALONE, least),
            self.together.seldom(&TOGETHER, least),
        ]
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alone on the embedded store: {}", self.alone)?;
        write!(f, "together over one folder: {}", self.together)
    }
}

/// How often each fault happened, in how many schedules of one kind.
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

    fn seldom(&self, faults: &[Fault], least: u64) -> Vec<Fault> {
        let times = |fault: &Fault| self.faults.get(fault).copied().unwrap_or(0);
        let seldom = faults.iter().copied().filter(|f| times(f) < least);
        seldom.collect()
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
