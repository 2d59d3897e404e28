//! One running process: consuming loops, the checkpointer between them and the store, and a wire on
//! which the evaluators are told.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use crate::config::Decoder;
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
    desk: Desk,
    wire: UnboundedReceiver<EvaluatorMessage>,
}

/// Where the loops of a process hand checkpoints over.
#[derive(Clone)]
struct Desk(Arc<Mutex<Inner>>);

struct Inner {
    checkpointer: Checkpointer,
    handed: Sender<Checkpoint>,
    /// Some loop waits until its checkpoint is durable, so that it is served at once. Else it lies
    /// here until a step of the schedule serves it.
    awaited: bool,
    fuse: Fuse,
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
        let give_up = CancellationToken::new();
        give_up.cancel();
        let evaluators = monitors().iter();
        let evaluators = evaluators.map(|m| (name(m).to_owned(), mail.clone()));
        let checkpointer = Checkpointer {
            store,
            checkpoints,
            workers: Vec::new(),
            evaluators: evaluators.collect(),
            health: health.clone(),
            metrics: metrics(),
            topic_ids: Box::new(|_| None),
            other_log: Box::new(|| {}),
            give_up,
        };
        let desk = Desk::new(checkpointer, handed, fuse.clone());
        let member = |(id, feed)| Member::begin(id, feed, &desk, &health, interval);
        let loops = (0..).zip(feeds).map(member).collect();
        Self {
            loops,
            fuse,
            desk,
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
        self.desk.lock().serve_next()
    }

    /// Sends a command that waits until counts are durable, and serves the checkpointer meanwhile.
    pub(super) fn send_and_wait(&mut self, member: usize, command: WorkerCommand) {
        self.send(member, command);
        self.desk.lock().await_all();
        self.loops[member].this.serve_commands();
        self.desk.lock().awaited = false;
    }

    /// Stops every loop as a signal does: what was counted is durable, unless the process dies
    /// over it. Gives what the evaluators are still to hear.
    pub(super) fn stop(mut self) -> Vec<Progress> {
        self.desk.lock().await_all();
        for member in &mut self.loops {
            member.this.finish();
        }
        self.hear()
    }

    /// What was told to the evaluators since it was last asked.
    pub(super) fn hear(&mut self) -> Vec<Progress> {
        let mut heard = Vec::new();
        while let Ok(message) = self.wire.try_recv() {
            if let EvaluatorMessage::Progress(progress) = message {
                heard.push(*progress);
            }
        }
        heard
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
        desk: &Desk,
        health: &Health,
        checkpoint_interval: Duration,
    ) -> Self {
        let (commands, inbox) = mpsc::channel();
        let (again, idle) = (Arc::clone(&source.again), Arc::clone(&source.idle));
        let out_of_range = Arc::<AtomicBool>::default();
        let fallen_out = Arc::clone(&out_of_range);
        desk.lock().checkpointer.workers.push(commands.clone());
        let desk = desk.clone();
        let worker = Worker {
            id,
            source,
            watched: watched(),
            commands: inbox,
            hand_over: Box::new(move |checkpoint| desk.lock().take(checkpoint)),
            positions: Positions::default(),
            metrics: metrics(),
            checkpoint_interval,
            heartbeat: health.heartbeat("loop", Duration::from_secs(60)),
            health: health.clone(),
            log_payloads: false,
            decoder: Decoder::Fast,
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

impl Desk {
    fn new(checkpointer: Checkpointer, handed: Sender<Checkpoint>, fuse: Fuse) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            checkpointer,
            handed,
            awaited: false,
            fuse,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn take(&mut self, checkpoint: Checkpoint) -> bool {
        let taken = self.handed.send(checkpoint).is_ok();
        if self.awaited {
            self.serve_all();
        }
        taken
    }

    fn await_all(&mut self) {
        self.awaited = true;
        self.serve_all();
    }

    fn serve_next(&mut self) -> bool {
        let next = self.checkpointer.checkpoints.try_recv();
        let some = next.is_ok();
        next.into_iter().for_each(|c| self.checkpointer.serve(c));
        some
    }

    /// A loop that waits for a checkpoint of a dead process is let go.
    fn serve_all(&mut self) {
        while self.serve_next() {}
        if self.fuse.is_blown() {
            for worker in &self.checkpointer.workers {
                // A loop that is gone waits for nothing.
                let _ = worker.send(WorkerCommand::Stop);
            }
        }
    }
}
