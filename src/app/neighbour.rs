//! Commits group offsets for lag tools, and notices another process that does so for the same
//! group: two processes that each watch every partition would tell everything twice.
//!
//! Beside each offset stands who committed it: instance, process and a beat. Another process whose
//! beat moves is alive, whatever the clocks say.

use std::time::{Duration, Instant};

use crate::health::Health;
use crate::source::TopicPartition;
use crate::source::control::Control;
use crate::source::trouble::Trouble;

use super::messages::Positions;

const BEAT: Duration = Duration::from_secs(3);
/// The same where the group may not be read: to notice when it may.
const FORBIDDEN: Duration = Duration::from_secs(60);
/// Beats without a word from the other process after which it is taken for gone.
const GONE: u32 = 4;
/// How long a commit is waited for: at the end of the program as well, so not long.
const PATIENCE: Duration = Duration::from_millis(400);
/// What the last commit of a process ends with.
const LEFT: &str = " left";
const LATCH: &str = "group";

pub(crate) struct Neighbour {
    instance: String,
    /// Tells this process from another one of the same instance name.
    process: String,
    group: String,
    beats: u64,
    beaten: Option<Instant>,
    /// What another process wrote when it was first seen.
    foreign: Option<String>,
    quiet: u32,
    refused: bool,
    /// The last question was answered by "you may not".
    forbidden: bool,
}

impl Neighbour {
    pub(crate) fn new(group: &str, instance: &str) -> Self {
        let started = super::clock::now_ms();
        Self {
            instance: instance.to_owned(),
            process: format!("{:x}-{started:x}", std::process::id()),
            group: group.to_owned(),
            beats: 0,
            beaten: None,
            foreign: None,
            quiet: 0,
            refused: false,
            forbidden: false,
        }
    }

    /// Looks for others and commits, every few seconds.
    pub(crate) fn beat(&mut self, control: &Control, positions: &Positions, health: &Health) {
        let pause = if self.forbidden { FORBIDDEN } else { BEAT };
        if self.beaten.is_some_and(|at| at.elapsed() < pause) {
            return;
        }
        self.beaten = Some(Instant::now());
        let offsets = durable(positions);
        let Some((first, _)) = offsets.first() else {
            return;
        };
        match control.committed(std::slice::from_ref(first)) {
            Ok(committed) => {
                self.forbidden = false;
                let found = committed.into_iter().next().map(|c| c.metadata);
                self.judge(found, health);
            }
            Err(error) => return self.complain(&error),
        }
        self.commit(control, &offsets, "");
    }

    fn judge(&mut self, found: Option<String>, health: &Health) {
        let foreign = found.filter(|words| !words.contains(&self.process));
        let foreign = foreign.filter(|words| words.starts_with("psiren "));
        // One that said that it left is gone at once.
        let left = foreign.as_ref().is_some_and(|words| words.ends_with(LEFT));
        self.quiet = if left { self.quiet.min(1) } else { self.quiet };
        let alive = !left
            && match (&foreign, &self.foreign) {
                (Some(now), Some(before)) => now != before,
                (Some(_), None) => self.beats > 0,
                (None, _) => false,
            };
        self.foreign = foreign.or(self.foreign.take());
        if alive {
            let other = self.foreign.as_deref().unwrap_or_default();
            let words = format!(
                "another process watches for group {:?} ({other}, this one is instance {:?}); \
                 stop one of them, or give each a group_id of its own",
                self.group, self.instance
            );
            if self.quiet == 0 {
                tracing::error!("{words}");
            }
            health.hold(LATCH, words);
            self.quiet = GONE;
        } else if self.quiet > 0 {
            self.quiet -= 1;
            if self.quiet == 0 {
                health.release(LATCH);
            }
        }
    }

    fn commit(&mut self, control: &Control, offsets: &[(TopicPartition, i64)], end: &str) {
        self.beats += 1;
        let (instance, process, beat) = (&self.instance, &self.process, self.beats);
        let words = format!("psiren {instance} {process} {beat}{end}");
        if let Err(error) = control.commit(offsets, &words, PATIENCE) {
            self.complain(&error);
        } else {
            self.refused = false;
        }
    }

    fn complain(&mut self, error: &anyhow::Error) {
        self.forbidden = matches!(error.downcast_ref(), Some(Trouble::GroupForbidden(_)));
        if !std::mem::replace(&mut self.refused, true) {
            tracing::warn!(
                "offsets cannot be committed under group {:?}, so lag tools show nothing and a second process goes unnoticed: {error:#}",
                self.group
            );
        }
    }

    /// The last commit, so that lag tools show where this process stopped.
    pub(crate) fn leave(&mut self, control: &Control, positions: &Positions) {
        let offsets = durable(positions);
        if self.beaten.is_some() && !self.refused && !offsets.is_empty() {
            self.commit(control, &offsets, LEFT);
        }
    }
}

fn durable(positions: &Positions) -> Vec<(TopicPartition, i64)> {
    let all = positions.all().into_iter();
    all.map(|(id, position)| (id, position.durable)).collect()
}
