//! One running process: consuming loops, the checkpointer between them and the store, and a wire on
//! which the evaluators are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::app::checkpointer::Checkpointer;
use crate::app::messages::{
    Assignment, Checkpoint, EvaluatorMessage, Positions, Progress, SnapshotRequest, UnitSnapshot,
    WorkerCommand,
};
use crate::app::worker::{Loop, Worker};
use crate::health::Health;
use crate::source::SourceEvent;
use crate::state::disk::Fuse;
use crate::state::{StateStore, UnitKey, UnitState};

use super::feed::Feed;
use super::setting::{metrics, monitors, name, place, watched};

/// Loops that share a checkpointer.
pub(super) struct Process {
    pub loops: Vec<Member>,
    pub fuse: Fuse,
    checkpointer: Checkpointer,
    /// To say to a served checkpointer that no more comes.
    handed: Sender<Checkpoint>,
    wire: UnboundedReceiver<EvaluatorMessage>,
}

/// One loop and the ways to reach it.
pub(super) struct Member {
    this: Loop<Feed>,
    commands: Sender<WorkerCommand>,
    again: Arc<AtomicI64>,
    idle: Arc<AtomicBool>,
    /// It was sent to an offset that is not in the log any more.
    out_of_range: Arc<AtomicBool>,
}

/// The worker of a checkpoint that only says that no more comes.
const NOBODY: usize = usize::MAX;

impl Process {
    pub(super) fn begin<S: StateStore + 'static>(
        store: Arc<S>,
        fuse: Fuse,
        feeds: impl IntoIterator<Item = Feed>,
        interval: Duration,
    ) -> Self {
        let (handed, checkpoints) = mpsc::channel();
        let (mail, wire) = tokio::sync::mpsc::unbounded_channel();
        let health = Health::default();
        let member = |(id, feed)| Member::begin(id, feed, handed.clone(), &health, interval);
        let loops: Vec<Member> = (0..).zip(feeds).map(member).collect();
        let give_up = CancellationToken::new();
        give_up.cancel();
        let evaluators = monitors().iter();
        let evaluators = evaluators.map(|m| (name(m).to_owned(), mail.clone()));
        let checkpointer = Checkpointer {
            store,
            checkpoints,
            workers: loops.iter().map(|l| l.commands.clone()).collect(),
            evaluators: evaluators.collect(),
            health,
            metrics: metrics(),
            topic_ids: Box::new(|_| None),
            other_log: Box::new(|| {}),
            give_up,
        };
        Self {
            loops,
            fuse,
            checkpointer,
            handed,
            wire,
        }
    }

    pub(super) fn assign(
        &self,
        member: usize,
        partition: i32,
        units: Vec<(UnitKey, UnitState)>,
        at: Instant,
    ) {
        let assignment = Assignment {
            partition: place(partition),
            offset: units.iter().map(|(_, s)| s.next_offset).min().unwrap(),
            units,
            at,
        };
        self.loops[member].idle.store(false, Ordering::Relaxed);
        let event = SourceEvent::Assigned(vec![assignment]);
        self.send(member, WorkerCommand::Source(event));
    }

    pub(super) fn send(&self, member: usize, command: WorkerCommand) {
        self.loops[member].commands.send(command).unwrap();
    }

    /// Turns a loop once. True when it stands outside of its log.
    pub(super) fn turn(&mut self, member: usize) -> bool {
        let member = &mut self.loops[member];
        member.this.turn();
        member.out_of_range.swap(false, Ordering::Relaxed)
    }

    /// The next batch of a loop goes back by this many records.
    pub(super) fn deliver_again(&self, member: usize, records: i64) {
        let again = &self.loops[member].again;
        again.store(records, Ordering::Relaxed);
    }

    /// Whether no loop had anything to read when it last turned.
    pub(super) fn is_idle(&self) -> bool {
        self.loops.iter().all(|l| l.idle.load(Ordering::Relaxed))
    }

    /// Serves the next checkpoint that was handed over; false when there is none.
    pub(super) fn store(&mut self) -> bool {
        let next = self.checkpointer.checkpoints.try_recv();
        let some = next.is_ok();
        next.into_iter().for_each(|c| self.checkpointer.serve(c));
        some
    }

    /// Sends a command that waits until counts are durable, and serves the checkpointer meanwhile.
    pub(super) fn send_and_wait(&mut self, member: usize, command: WorkerCommand) {
        self.send(member, command);
        let no_more = NoMore(self.handed.clone());
        let this = &mut self.loops[member].this;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                this.serve_commands();
                drop(no_more);
            });
            serve(&self.checkpointer, &self.fuse);
        });
    }

    /// Stops every loop as a signal does: what was counted is durable, unless the process dies
    /// over it. Gives what the evaluators are still to hear.
    pub(super) fn stop(self) -> Vec<Progress> {
        let Self {
            loops,
            fuse,
            checkpointer,
            handed,
            mut wire,
        } = self;
        for member in loops {
            let no_more = NoMore(handed.clone());
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    member.this.finish();
                    drop(no_more);
                });
                serve(&checkpointer, &fuse);
            });
        }
        heard(&mut wire)
    }

    /// What was told to the evaluators since it was last asked.
    pub(super) fn hear(&mut self) -> Vec<Progress> {
        heard(&mut self.wire)
    }

    /// What a loop holds for one monitor beside what is durable and sealed.
    pub(super) fn snapshot(&mut self, member: usize, monitor: &str) -> Vec<UnitSnapshot> {
        let (reply, mut answer) = oneshot::channel();
        let request = SnapshotRequest {
            monitor: monitor.to_owned(),
            durable: false,
            reply,
        };
        self.send(member, WorkerCommand::Snapshot(request));
        self.loops[member].this.serve_commands();
        answer.try_recv().unwrap()
    }
}

impl Member {
    fn begin(
        id: usize,
        source: Feed,
        checkpoints: Sender<Checkpoint>,
        health: &Health,
        checkpoint_interval: Duration,
    ) -> Self {
        let (commands, inbox) = mpsc::channel();
        let (again, idle) = (Arc::clone(&source.again), Arc::clone(&source.idle));
        let out_of_range = Arc::<AtomicBool>::default();
        let fallen_out = Arc::clone(&out_of_range);
        let worker = Worker {
            id,
            source,
            watched: watched(),
            commands: inbox,
            checkpoints,
            positions: Positions::default(),
            metrics: metrics(),
            checkpoint_interval,
            heartbeat: health.heartbeat("loop", Duration::from_secs(60)),
            health: health.clone(),
            log_payloads: false,
            out_of_range: Box::new(move |_| fallen_out.store(true, Ordering::Relaxed)),
        };
        Self {
            this: Loop::new(worker),
            commands,
            again,
            idle,
            out_of_range,
        }
    }
}

/// Serves checkpoints until no more come. A loop that waits for one of a dead process is let go.
fn serve(checkpointer: &Checkpointer, fuse: &Fuse) {
    while let Ok(checkpoint) = checkpointer.checkpoints.recv() {
        if checkpoint.worker == NOBODY {
            return;
        }
        checkpointer.serve(checkpoint);
        if fuse.is_blown() {
            for worker in &checkpointer.workers {
                // A loop that is gone waits for nothing.
                let _ = worker.send(WorkerCommand::Stop);
            }
        }
    }
}

/// Says when dropped, also by a panic, that no more checkpoints come.
struct NoMore(Sender<Checkpoint>);

impl Drop for NoMore {
    fn drop(&mut self) {
        // Without a checkpointer nobody waits for it.
        let _ = self.0.send(Checkpoint {
            worker: NOBODY,
            sealed: Arc::default(),
            units: Vec::new(),
            progress: Vec::new(),
            snapshots: Vec::new(),
        });
    }
}

fn heard(wire: &mut UnboundedReceiver<EvaluatorMessage>) -> Vec<Progress> {
    let mut heard = Vec::new();
    while let Ok(message) = wire.try_recv() {
        if let EvaluatorMessage::Progress(progress) = message {
            heard.push(*progress);
        }
    }
    heard
}
