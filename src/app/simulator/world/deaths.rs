//! How processes end: stopped, killed, in the middle of a write, or with the whole machine.

use super::{Fault, Running, World, check_told};
use crate::app::simulator::medium::Medium;

impl<M: Medium> World<M> {
    /// Lets one process die in some operation on the disk that is to come, and now and then the
    /// whole machine with it.
    pub(in crate::app::simulator) fn arm(&mut self, process: usize) {
        let operations = self.random.below(40) as i64;
        self.armed_power = self.random.once_in(2);
        match &self.leader {
            Some(leader) if self.random.once_in(3) => leader.fuse.set(operations),
            _ => self.running[process].process.fuse.set(operations),
        }
    }

    pub(in crate::app::simulator) fn calm_down(&mut self) {
        self.armed_power = false;
        self.calm = true;
        let processes = self.running.iter().chain(&self.zombies);
        let fuses = processes.map(|r| &r.process.fuse);
        let leaders = self.leader.iter().chain(&self.deposed);
        for fuse in fuses.chain(leaders.map(|l| &l.fuse)) {
            fuse.set(i64::MAX);
        }
    }

    /// Ends a process between two steps.
    pub(in crate::app::simulator) fn kill(&mut self, process: usize) {
        self.happened.count(Fault::Killed);
        self.running[process].process.fuse.set(-1);
        self.drop_dead();
        self.check(false);
    }

    /// Takes everything down that runs on the machine; those that were cut off are elsewhere.
    pub(in crate::app::simulator) fn lose_power(&mut self) {
        for running in &self.running {
            running.process.fuse.set(-1);
        }
        if let Some(leader) = self.leader.take() {
            leader.fuse.set(-1);
        }
        self.drop_dead();
        let random = &mut self.random;
        self.medium.lose_power(&mut |n| random.below(n));
    }

    pub(in crate::app::simulator) fn stop(&mut self, process: usize) {
        self.happened.count(Fault::Stopped);
        let Running { id, process, store } = self.running.swap_remove(process);
        self.seats.retain(|_, seat| seat.process != id);
        let fuse = process.fuse.clone();
        let told = process.stop();
        match self.own.take() {
            Some(mut own) => {
                told.into_iter().for_each(|p| own.hear(p, &self.promises));
                own.judge.close();
            }
            None => told.iter().for_each(|p| check_told(p, &self.promises)),
        }
        drop(store);
        if fuse.is_blown() {
            self.died_in_write();
        } else {
            self.check(false);
        }
    }

    /// Ends what has died, and checks what it left behind.
    pub(in crate::app::simulator) fn bury(&mut self) {
        let leader_died = self.leader.as_ref().is_some_and(|l| l.fuse.is_blown());
        let anybody = leader_died || self.running.iter().any(|r| r.process.fuse.is_blown());
        self.zombies.retain(|z| !z.process.fuse.is_blown());
        self.deposed.retain(|l| !l.fuse.is_blown());
        if anybody {
            self.leader = self.leader.take().filter(|l| !l.fuse.is_blown());
            self.drop_dead();
            self.died_in_write();
        }
    }

    fn died_in_write(&mut self) {
        if std::mem::take(&mut self.armed_power) {
            self.happened.count(Fault::PowerLostInWrite);
            self.lose_power();
        } else {
            self.happened.count(Fault::KilledInWrite);
        }
        self.check(false);
    }

    /// What a process told before it died has to be durable like anything else.
    fn drop_dead(&mut self) {
        for running in &mut self.running {
            if running.process.fuse.is_blown() {
                let told = running.process.hear();
                told.iter().for_each(|p| check_told(p, &self.promises));
            }
        }
        self.running.retain(|r| !r.process.fuse.is_blown());
        if self.running.is_empty() {
            self.own = None;
        }
        let alive: Vec<u64> = self.running.iter().map(|r| r.id).collect();
        self.seats.retain(|_, seat| alive.contains(&seat.process));
    }
}
