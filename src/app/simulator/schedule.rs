//! One schedule: what happens, in which order, and the calm at its end.

use crate::state::disk::{Folder, Pages};

use super::faults::{Fault, Happened, Run};
use super::medium::Medium;
use super::random::Random;
use super::world::World;

/// What may happen next.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A loop reads a batch.
    Turn,
    /// A checkpointer makes durable what was handed over.
    Store,
    /// The evaluators hear of it.
    Listen,
    /// The evaluators close windows.
    Close,
    Snapshot,
    Kill,
    LosePower,
    /// Some operation on the disk from now on will be a process's last.
    Arm,
    Stop,
    Join,
    Rebalance(Fault),
    CutOff,
    /// One that was cut off reads or stores.
    ZombieActs,
    ZombieDies,
    KillLeader,
    Depose,
    /// Evaluators that were deposed look and close.
    DeposedActs,
    DeliverAgain,
    DropDurable,
}

/// One process, alone with its state.
const ALONE: [(usize, Step); 13] = [
    (20, Step::Turn),
    (10, Step::Store),
    (8, Step::Listen),
    (8, Step::Close),
    (4, Step::Snapshot),
    (1, Step::Kill),
    (1, Step::LosePower),
    (4, Step::Arm),
    (1, Step::Stop),
    (2, Step::Rebalance(Fault::Revoked)),
    (2, Step::Rebalance(Fault::Released)),
    (2, Step::DeliverAgain),
    (1, Step::DropDurable),
];

/// Several processes over one folder.
const TOGETHER: [(usize, Step); 19] = [
    (24, Step::Turn),
    (12, Step::Store),
    (8, Step::Listen),
    (8, Step::Close),
    (1, Step::Kill),
    (1, Step::LosePower),
    (2, Step::Arm),
    (1, Step::Stop),
    (2, Step::Join),
    (3, Step::Rebalance(Fault::Revoked)),
    (2, Step::Rebalance(Fault::Lost)),
    (1, Step::CutOff),
    (5, Step::ZombieActs),
    (1, Step::ZombieDies),
    (1, Step::KillLeader),
    (1, Step::Depose),
    (2, Step::DeposedActs),
    (2, Step::DeliverAgain),
    (2, Step::DropDurable),
];

/// Runs the schedule of `seed`, with a line per step when `told`.
pub(super) fn run(seed: u64, told: bool) -> Run {
    let mut random = Random::new(seed);
    let mut run = Run::default();
    // The embedded store costs some ten times what the folder does.
    match random.once_in(50) {
        true => run.alone = World::<Pages>::new(random).run(&ALONE, told),
        false => run.together = World::<Folder<_>>::new(random).run(&TOGETHER, told),
    }
    run
}

impl<M: Medium> World<M> {
    fn run(mut self, steps: &[(usize, Step)], told: bool) -> Happened {
        self.count_script();
        self.revive();
        for _ in 0..self.random.within(10, 120) {
            let step = self.random.weighted(steps);
            if told {
                tell(step);
            }
            self.step(step);
            self.bury();
            self.revive();
        }
        if told {
            tell("calm");
        }
        self.come_to_rest();
        self.happened
    }

    fn step(&mut self, step: Step) {
        let process = self.random.below(self.running.len());
        let partitions = self.script.partitions();
        let partition = self.random.below(partitions.len()) as i32;
        match step {
            Step::Turn => self.turn(process),
            Step::Store => drop(self.running[process].process.store()),
            Step::Listen => self.hear(),
            Step::Close => self.close(),
            Step::Snapshot => self.snapshot(),
            Step::Kill => self.kill(process),
            Step::LosePower => {
                self.happened.count(Fault::PowerLost);
                self.lose_power();
                self.check(false);
            }
            Step::Arm => self.arm(process),
            Step::Stop => self.stop(process),
            Step::Join if self.running.len() < 3 => {
                self.happened.count(Fault::Joined);
                self.join();
            }
            Step::Rebalance(how) => self.rebalance(partition, how),
            Step::CutOff if self.zombies.len() < 2 => self.cut_off(process),
            Step::ZombieActs => self.zombie_acts(),
            Step::ZombieDies => drop(self.zombies.pop()),
            Step::KillLeader => {
                self.happened.count(Fault::Killed);
                self.leader = None;
            }
            Step::Depose if self.deposed.is_empty() => self.begin_elsewhere(),
            Step::DeposedActs => self.deposed_act(),
            Step::DeliverAgain => {
                self.happened.count(Fault::DeliveredAgain);
                let records = self.random.within(1, 20);
                self.running[process].process.deliver_again(0, records);
            }
            Step::DropDurable => self.drop_durable(partition),
            Step::Join | Step::CutOff | Step::Depose => {}
        }
    }

    fn hear(&mut self) {
        self.listen();
        if let Some(leader) = &mut self.leader {
            // A store that fails is that of a process that died.
            assert!(leader.look().is_ok() || leader.fuse.is_blown());
        }
    }

    fn zombie_acts(&mut self) {
        let reads = self.random.once_in(2);
        let Some(zombie) = self.zombies.first_mut() else {
            return;
        };
        if reads {
            zombie.process.turn(0);
        } else if zombie.process.store() {
            self.happened.count(Fault::LateCheckpoint);
        }
    }

    fn deposed_act(&mut self) {
        for leader in &mut self.deposed {
            // What it cannot read, or is refused, is no harm.
            let _ = leader.look();
            leader.judge.close();
            self.happened.count(Fault::LateVerdict);
        }
        self.deposed.retain(|leader| !leader.judge.is_refused());
    }

    /// No more faults: everything is read, made durable and evaluated, and then those that were cut
    /// off write what they have.
    fn come_to_rest(&mut self) {
        self.calm_down();
        self.revive();
        for process in 0..self.running.len() {
            for _ in 0..self.script.records() * 2 + 20 {
                self.turn(process);
                while self.running[process].process.store() {}
                if self.running[process].process.is_idle() {
                    break;
                }
            }
        }
        self.hear();
        self.close();
        self.revive();
        self.snapshot();
        while !self.running.is_empty() {
            self.stop(0);
        }
        self.hear();
        self.close();
        self.check(true);
        for _ in 0..10 {
            self.zombie_acts();
        }
        for zombie in &mut self.zombies {
            while zombie.process.store() {}
        }
        self.deposed_act();
        self.check(true);
        self.lose_power();
        self.check(true);
    }
}

#[expect(clippy::print_stdout, reason = "a replay says what it does")]
fn tell(what: impl std::fmt::Debug) {
    println!("{what:?}");
}
