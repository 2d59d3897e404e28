//! The processes of one schedule, the disk below them, and who owns which partition.

mod deaths;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::app::messages::{Progress, WorkerCommand};
use crate::app::worker::restored_progress;
use crate::source::SourceEvent;
use crate::state::disk::Fuse;
use crate::state::{StateError, StateStore, UnitKey, UnitState};

use super::faults::{Fault, Happened};
use super::feed::{Feed, Starts};
use super::judge::Judge;
use super::leader::Leader;
use super::medium::Medium;
use super::oracle::{Oracle, check_told};
use super::process::Process;
use super::random::Random;
use super::script::Script;
use super::setting::{monitor_of, monitors, name, place, unit_key};
use super::told::Told;
use super::witness::{Promises, Witness};

/// A process among others.
pub(super) struct Running<S> {
    id: u64,
    pub process: Process,
    store: Arc<Witness<S>>,
}

/// The evaluators of a process that is alone with its state.
pub(super) struct Own {
    pub judge: Judge,
    told: Told,
}

/// Which loop of which process reads a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seat {
    process: u64,
    member: usize,
}

pub(super) struct World<M: Medium> {
    medium: M,
    pub script: Script,
    oracle: Oracle,
    pub random: Random,
    pub happened: Happened,
    promises: Promises,
    starts: Starts,
    batch: usize,
    interval: Duration,
    /// Loops of each process.
    members: usize,
    pub running: Vec<Running<M::Store>>,
    seats: BTreeMap<i32, Seat>,
    processes_begun: u64,
    /// Cut off, and not told.
    pub zombies: Vec<Running<M::Store>>,
    pub own: Option<Own>,
    pub leader: Option<Leader<Witness<M::Store>>>,
    pub deposed: Vec<Leader<Witness<M::Store>>>,
    /// What blows next takes the power of the whole machine with it.
    armed_power: bool,
    /// No process dies any more.
    calm: bool,
}

impl<M: Medium> World<M> {
    pub(super) fn new(mut random: Random) -> Self {
        let script = Script::new(&mut random);
        let eager = random.once_in(2);
        Self {
            medium: M::begin(),
            oracle: Oracle::new(&script),
            happened: Happened::default(),
            script,
            promises: Promises::default(),
            starts: Starts::default(),
            batch: random.within(1, 20) as usize,
            interval: Duration::from_secs(if eager { 0 } else { 3600 }),
            members: if M::SHARED { 1 } else { 1 + random.below(2) },
            running: Vec::new(),
            seats: BTreeMap::new(),
            processes_begun: 0,
            zombies: Vec::new(),
            own: None,
            leader: None,
            deposed: Vec::new(),
            armed_power: false,
            calm: false,
            random,
        }
    }

    fn open(&self, fuse: Fuse) -> Result<Arc<Witness<M::Store>>, StateError> {
        let store = self.medium.open(fuse)?;
        let promises = self.promises.clone();
        Ok(Arc::new(Witness { store, promises }))
    }

    /// Starts what has to run, until every partition has an owner.
    pub(super) fn revive(&mut self) {
        while !self.is_up() {
            if self.running.is_empty() {
                self.join();
            }
            if M::SHARED && self.leader.is_none() {
                self.begin_leader();
            }
            for partition in self.script.partitions() {
                if !self.seats.contains_key(&partition) && !self.running.is_empty() {
                    self.assign_somewhere(partition);
                }
            }
            self.bury();
        }
    }

    fn is_up(&self) -> bool {
        let owned = |p: &i32| self.seats.contains_key(p);
        let led = self.leader.is_some() || !M::SHARED;
        led && !self.running.is_empty() && self.script.partitions().all(|p| owned(&p))
    }

    /// Starts one more process. Now and then it dies over it.
    pub(super) fn join(&mut self) {
        let fuse = self.fuse_for_start();
        let store = match self.open(fuse.clone()) {
            Ok(store) => store,
            Err(error) => return self.died_in_start(&fuse, &error),
        };
        if !M::SHARED {
            let judge = Judge::begin(&store, self.script.partitions());
            match (judge, Told::begin(&*store)) {
                (Ok(judge), Ok(told)) => self.own = Some(Own { judge, told }),
                (Err(error), _) => return self.died_in_start(&fuse, &error),
                (_, Err(error)) => return self.died_in_start(&fuse, &error),
            }
        }
        self.processes_begun += 1;
        let feed = |_| {
            Feed::new(
                Arc::clone(&self.script.logs),
                self.starts.clone(),
                self.batch,
            )
        };
        let feeds = (0..self.members).map(feed);
        let process = Process::begin(Arc::clone(&store), fuse, feeds, self.interval);
        self.running.push(Running {
            id: self.processes_begun,
            process,
            store,
        });
    }

    fn begin_leader(&mut self) {
        let fuse = self.fuse_for_start();
        let partitions = self.script.partitions();
        let store = self.open(fuse.clone()).map_err(anyhow::Error::from);
        match store.and_then(|s| Leader::begin(s, fuse.clone(), partitions)) {
            Ok(leader) => self.leader = Some(leader),
            Err(error) => self.died_in_start(&fuse, &error),
        }
    }

    /// A state that cannot be read is that of a process that died while it did.
    fn died_in_start(&mut self, fuse: &Fuse, error: &dyn std::fmt::Display) {
        assert!(fuse.is_blown(), "the state cannot be read: {error:#}");
        self.happened.count(Fault::KilledInStart);
    }

    fn fuse_for_start(&mut self) -> Fuse {
        let fuse = Fuse::default();
        if self.random.once_in(12) && !self.calm {
            fuse.set(self.random.below(12) as i64);
        }
        fuse
    }

    pub(super) fn assign_somewhere(&mut self, partition: i32) {
        let process = self.random.below(self.running.len());
        let seat = Seat {
            process: self.running[process].id,
            member: self.random.below(self.members),
        };
        self.assign(partition, seat);
    }

    /// Restores a partition for a loop as the assigner does: its offset is durable before the first
    /// record counts.
    fn assign(&mut self, partition: i32, seat: Seat) {
        let Some(running) = self.running.iter().position(|r| r.id == seat.process) else {
            return;
        };
        let store = Arc::clone(&self.running[running].store);
        let Ok(units) = restored(&*store, partition) else {
            return;
        };
        let at = Instant::now();
        // What the checkpointer told before is on the same wire, ahead of it.
        self.listen();
        if let Some(own) = &mut self.own {
            for (key, state) in &units {
                let progress = restored_progress(key, state, monitor_of(key), at);
                own.hear(progress, &self.promises);
            }
        }
        let process = &self.running[running].process;
        process.assign(seat.member, partition, units, at);
        self.seats.insert(partition, seat);
    }

    /// The process that reads `partition`, and its loop.
    fn reader(&self, partition: i32) -> Option<(usize, usize)> {
        let seat = self.seats.get(&partition)?;
        let process = self.running.iter().position(|r| r.id == seat.process)?;
        Some((process, seat.member))
    }

    /// Takes a partition from its owner, who may make it durable before, and gives it to another.
    pub(super) fn rebalance(&mut self, partition: i32, how: Fault) {
        let Some((process, member)) = self.reader(partition) else {
            return;
        };
        self.happened.count(how);
        let process = &mut self.running[process].process;
        let gone = vec![place(partition)];
        match how {
            Fault::Lost => process.send(member, WorkerCommand::Source(SourceEvent::Lost(gone))),
            Fault::Released => {
                let (done, is_done) = std::sync::mpsc::channel();
                let partition = place(partition);
                process.send_and_wait(member, WorkerCommand::Release { partition, done });
                assert!(is_done.try_recv().is_ok() || process.fuse.is_blown());
            }
            _ => {
                let command = WorkerCommand::Source(SourceEvent::Revoked(gone));
                process.send_and_wait(member, command);
            }
        }
        self.seats.remove(&partition);
    }

    pub(super) fn turn(&mut self, process: usize) {
        let member = self.random.below(self.members);
        let running = &mut self.running[process];
        if running.process.turn(member) {
            let id = running.id;
            let seat = Seat {
                process: id,
                member,
            };
            self.happened.count(Fault::OutOfRange);
            for partition in self.script.partitions() {
                if self.seats.get(&partition) == Some(&seat) {
                    self.rebalance(partition, Fault::Revoked);
                    if !self.running[process].process.fuse.is_blown() {
                        self.assign(partition, seat);
                    }
                }
            }
        }
    }

    /// Delivers what the checkpointers told to the evaluators.
    pub(super) fn listen(&mut self) {
        for running in self.running.iter_mut().chain(&mut self.zombies) {
            for progress in running.process.hear() {
                match &mut self.own {
                    Some(own) => own.hear(progress, &self.promises),
                    None => check_told(&progress, &self.promises),
                }
            }
        }
    }

    /// What the evaluators of the only process were told, together with what its loops hold, is
    /// what was counted.
    pub(super) fn snapshot(&mut self) {
        self.listen();
        let Some(own) = &self.own else {
            return;
        };
        let members = self.members;
        for running in &mut self.running {
            for monitor in monitors() {
                for member in 0..members {
                    for unit in running.process.snapshot(member, name(monitor)) {
                        own.told.check(&self.script, monitor, unit);
                    }
                }
            }
        }
    }

    /// The log drops records that are durable for every monitor.
    pub(super) fn drop_durable(&mut self, partition: i32) {
        let promised = self.promises.lock();
        let durable = monitors().iter().map(|m| {
            let unit = promised.units.get(&unit_key(m, partition));
            unit.map_or(0, |unit| unit.next_offset)
        });
        let start = durable.min().unwrap_or(0);
        drop(promised);
        if start > self.starts.of(partition) {
            self.happened.count(Fault::Retention);
            self.starts.raise(partition, start);
        }
    }

    /// Cuts a process off: its partitions are free, and it does not know.
    pub(super) fn cut_off(&mut self, process: usize) {
        self.happened.count(Fault::CutOff);
        let zombie = self.running.swap_remove(process);
        self.seats.retain(|_, seat| seat.process != zombie.id);
        self.zombies.push(zombie);
    }

    /// Holds what is stored against the oracle. Where another process cannot look, the next one
    /// that starts does.
    pub(super) fn check(&mut self, finished: bool) {
        let oracle = &self.oracle;
        let looks = |store: &M::Store| oracle.check(store, &self.script, &self.promises, finished);
        match self.running.first() {
            Some(running) if !M::SHARED => looks(&running.store.store),
            _ => looks(&self.medium.open(Fuse::default()).unwrap()),
        }
    }

    /// The evaluators close what they can. Where others were faster, they are to begin again from
    /// what those have written.
    pub(super) fn close(&mut self) {
        if let Some(own) = &mut self.own {
            own.judge.close();
        }
        if let Some(leader) = &mut self.leader {
            leader.judge.close();
            if leader.judge.is_refused() && !leader.fuse.is_blown() {
                self.happened.count(Fault::Overtaken);
                self.leader = None;
            }
        }
    }

    pub(super) fn begin_elsewhere(&mut self) {
        self.happened.count(Fault::Deposed);
        self.deposed.extend(self.leader.take());
    }

    pub(super) fn count_script(&mut self) {
        self.happened.schedules = 1;
        self.happened.records = self.script.records() as u64;
        self.happened.windows = self.oracle.windows() as u64;
    }
}

impl Own {
    fn hear(&mut self, progress: Progress, promises: &Promises) {
        check_told(&progress, promises);
        self.told.hear(&progress);
        self.judge.hear(progress);
    }
}

/// The units of a partition as they are stored, or at the beginning of its log; durable.
fn restored(
    store: &impl StateStore,
    partition: i32,
) -> Result<Vec<(UnitKey, UnitState)>, StateError> {
    let mut units = Vec::new();
    for monitor in monitors() {
        let key = unit_key(monitor, partition);
        let stored = store.units(name(monitor))?.into_iter();
        let stored = stored
            .filter(|(k, _)| *k == key)
            .map(|(_, state)| state)
            .next();
        units.push((key, stored.unwrap_or_else(|| UnitState::fresh(0, None))));
    }
    store.checkpoint(&[], &units)?;
    Ok(units)
}
