//! The loop turned by hand over a scripted log. What becomes of it when it is stopped, killed or cut
//! off at any point is in the simulator.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::app::checkpointer::Checkpointer;
use crate::app::fixtures::{
    Logs, Replay, START, Scripted, TOPIC, WIDTH, config, keep_only, monitor,
};
use crate::app::messages::EvaluatorMessage;
use crate::drift::PaneCounts;
use crate::health::Health;
use crate::state::local::LocalStore;
use crate::state::{StateStore, UnitState};

/// A program between two starts.
struct Life {
    this: Loop<Replay>,
    checkpointer: Checkpointer,
    commands: Sender<WorkerCommand>,
    mailbox: UnboundedReceiver<EvaluatorMessage>,
    /// What the evaluators hold: stored at the start, or told since.
    known: BTreeMap<(UnitKey, PaneId), PaneCounts>,
    sealed_before: BTreeMap<UnitKey, PaneId>,
}

fn monitors() -> &'static [Arc<Monitor>; 2] {
    static MONITORS: OnceLock<[Arc<Monitor>; 2]> = OnceLock::new();
    MONITORS.get_or_init(|| {
        let mut picky = config("picky");
        picky.filters = vec![keep_only()];
        picky.panes.lateness_ms = 0;
        [monitor(&config("all")), monitor(&picky)]
    })
}

fn metrics() -> Arc<Metrics> {
    static METRICS: OnceLock<Arc<Metrics>> = OnceLock::new();
    Arc::clone(METRICS.get_or_init(|| Metrics::new(&BTreeMap::new(), None)))
}

fn watched() -> Vec<Watched> {
    static WATCHED: OnceLock<Vec<Watched>> = OnceLock::new();
    let build = |monitor: &Arc<Monitor>| Watched {
        metrics: metrics().monitor(&monitor.definition, TOPIC),
        monitor: Arc::clone(monitor),
        frontier: Arc::default(),
    };
    let mut watched = WATCHED
        .get_or_init(|| monitors().iter().map(build).collect())
        .clone();
    for w in &mut watched {
        w.frontier = Arc::default();
    }
    watched
}

fn key(monitor: &Monitor, partition: i32) -> UnitKey {
    UnitKey {
        monitor: monitor.definition.monitor.clone(),
        topic: TOPIC.into(),
        partition,
    }
}

impl Life {
    /// Starts from the store as the assigner does.
    fn begin(store: &Arc<LocalStore>, logs: &Logs, batch: usize, interval: Duration) -> Self {
        let (commands, inbox) = mpsc::channel();
        let (checkpoints_in, checkpoints) = mpsc::channel();
        let (mail, mailbox) = tokio::sync::mpsc::unbounded_channel();
        let evaluators = monitors().iter();
        let evaluators = evaluators.map(|m| (m.definition.monitor.clone(), mail.clone()));
        let mut known = BTreeMap::new();
        let mut units = BTreeMap::new();
        for monitor in monitors() {
            let name = &monitor.definition.monitor;
            for (key, pane) in store.sealed(name).unwrap() {
                known.insert((key, pane.id), pane.pane.counts);
            }
            units.extend(store.units(name).unwrap());
        }
        let mut sealed_before = BTreeMap::new();
        for partition in logs.keys() {
            let of = |m: &Arc<Monitor>| {
                let key = key(m, *partition);
                let state = units
                    .get(&key)
                    .cloned()
                    .unwrap_or_else(|| UnitState::fresh(0, None));
                let at = Instant::now();
                let progress = restored_progress(&key, &state, m, at);
                if let Some(before) = progress.sealed_before {
                    sealed_before.insert(key.clone(), before);
                }
                (key, state)
            };
            let units: Vec<_> = monitors().iter().map(of).collect();
            store.checkpoint(&[], &units).unwrap();
            let assignment = Assignment {
                partition: TopicPartition {
                    topic: TOPIC.into(),
                    partition: *partition,
                },
                offset: units.iter().map(|(_, s)| s.next_offset).min().unwrap(),
                units,
                at: Instant::now(),
            };
            let event = SourceEvent::Assigned(vec![assignment]);
            commands.send(WorkerCommand::Source(event)).unwrap();
        }
        let give_up = CancellationToken::new();
        give_up.cancel();
        let worker = Worker {
            id: 0,
            source: Replay::new(Arc::clone(logs), batch),
            watched: watched(),
            commands: inbox,
            hand_over: Box::new(move |checkpoint| checkpoints_in.send(checkpoint).is_ok()),
            positions: Positions::default(),
            metrics: metrics(),
            checkpoint_interval: interval,
            heartbeat: Health::default().heartbeat("loop", Duration::from_secs(60)),
            health: Health::default(),
            log_payloads: false,
            decoder: Decoder::Fast,
            out_of_range: Box::new(|_| {}),
        };
        Self {
            this: Loop::new(worker),
            checkpointer: Checkpointer {
                store: Arc::clone(store) as Arc<dyn StateStore>,
                checkpoints,
                workers: vec![commands.clone()],
                evaluators: evaluators.collect(),
                health: Health::default(),
                metrics: metrics(),
                topic_ids: Box::new(|_| None),
                other_log: Box::new(|| {}),
                give_up,
            },
            commands,
            mailbox,
            known,
            sealed_before,
        }
    }

    fn store(&mut self) -> bool {
        let checkpoint = self.checkpointer.checkpoints.try_recv();
        let some = checkpoint.is_ok();
        checkpoint
            .into_iter()
            .for_each(|c| self.checkpointer.serve(c));
        some
    }

    fn listen(&mut self) {
        while let Ok(message) = self.mailbox.try_recv() {
            let EvaluatorMessage::Progress(progress) = message else {
                continue;
            };
            for sealed in progress.sealed {
                let pane = (progress.key.clone(), sealed.id);
                let told = self.known.insert(pane, sealed.pane.counts);
                assert_eq!(told, None, "pane {:?} was told twice", sealed.id);
            }
            if let Some(before) = progress.sealed_before {
                self.sealed_before.insert(progress.key, before);
            }
        }
    }

    /// Every event counted so far is in one pane, as an evaluator sees it: in those it was told of
    /// or in those that are open.
    fn snapshot(&mut self) {
        for monitor in monitors() {
            let (reply, mut answer) = oneshot::channel();
            let request = SnapshotRequest {
                monitor: monitor.definition.monitor.clone(),
                durable: false,
                reply,
            };
            self.commands
                .send(WorkerCommand::Snapshot(request))
                .unwrap();
            self.this.serve_commands();
            self.listen();
            for unit in answer.try_recv().unwrap() {
                let key = key(monitor, unit.partition);
                let durable = self.sealed_before.get(&key);
                let told = self.known.range((key.clone(), PaneId(i64::MIN))..);
                let told = told.take_while(|((k, _), _)| *k == key);
                let told = told.map(|((_, id), counts)| (*id, counts.clone()));
                let open = unit.panes.into_iter();
                let open = open.filter(|(id, _)| durable.is_none_or(|d| id >= d));
                let mut seen = BTreeMap::new();
                for (id, counts) in told.chain(open) {
                    let before = seen.insert(id, counts.events);
                    assert_eq!(before, None, "pane {id:?} is there twice");
                }
                let mut expected = BTreeMap::new();
                for event in 0..unit.next_offset {
                    let pane = PaneId((START + event * STEP) / WIDTH);
                    *expected.entry(pane).or_default() += 1;
                }
                assert_eq!(seen, expected);
            }
        }
    }

    /// The first monitor's next window, and whether more is held for it than may be.
    fn crowd(&self, next_end: Option<i64>) {
        let end = next_end.map(|panes| PaneId(START / WIDTH + panes));
        let held = if end.is_some() { usize::MAX / 2 } else { 0 };
        self.this.worker.watched[0].frontier.hold(end, held);
    }
}

/// From one event to the next, in milliseconds.
const STEP: i64 = 100;

/// One partition, 50 events, none of them late.
fn one_log() -> Logs {
    let event = |i| Scripted::event(i, START + i * STEP, 1.0, "keep");
    Arc::new([(0, (0..50).map(event).collect())].into())
}

#[test]
fn a_partition_too_far_ahead_is_paused_and_goes_on_where_it_was() {
    let log = (0..200).map(|i| Scripted::event(i, START + i * 100, 1.0, "keep"));
    let logs: Logs = Arc::new([(0, log.collect())].into());
    let store = Arc::new(LocalStore::in_memory().unwrap());
    let mut life = Life::begin(&store, &logs, 60, Duration::from_secs(3600));
    life.crowd(Some(0));
    life.this.turn();
    assert!(life.this.worker.source.paused.contains(&0));
    let position = |life: &Life| life.this.position(&life.this.partitions[0]);
    assert_eq!(position(&life), 60);
    for _ in 0..3 {
        life.this.turn();
    }
    assert_eq!(position(&life), 60, "nothing is read of it");
    life.this.positioned_at = Instant::now() - Duration::from_secs(1);
    life.this.publish_positions();
    assert_eq!(life.this.worker.positions.paused(), 1);

    life.crowd(Some(5));
    life.this.turn();
    assert!(!life.this.worker.source.paused.contains(&0));
    life.crowd(None);
    for _ in 0..3 {
        life.this.turn();
    }
    assert_eq!(position(&life), 200);
    life.this
        .worker
        .positions
        .update(&life.this.partitions[0].id, |p| p.paused = true);
    let partition = life.this.partitions[0].id.clone();
    life.this.end(&partition);
    assert_eq!(
        life.this.worker.positions.paused(),
        0,
        "what is gone waits no more"
    );
}

/// The first turns end before all that is at hand was looked at.
#[test]
fn a_sealed_pane_waits_for_the_interval_while_there_is_more_to_read() {
    let log = (0..100).map(|i| Scripted::event(i, START + i * WIDTH, 1.0, "keep"));
    let logs: Logs = Arc::new([(0, log.collect())].into());
    let store = Arc::new(LocalStore::in_memory().unwrap());
    let mut life = Life::begin(&store, &logs, 40, Duration::from_secs(3600));
    for _ in 0..2 {
        life.this.turn();
        assert!(!life.this.partitions[0].units[0].sealed.is_empty());
        assert!(life.this.in_flight.is_none());
    }
    life.this.turn();
    assert!(life.this.in_flight.is_some());
}

/// Each record seals a pane; nothing comes back from the store.
#[test]
fn a_loop_whose_checkpoint_does_not_come_back_stops_to_take_records() {
    let width = WIDTH * 2;
    let log = (0..16_000).map(|i| Scripted {
        timestamp_ms: Some(START + i * width),
        ..Scripted::event(i, START + i * width, 1.0, "keep")
    });
    let logs: Logs = Arc::new([(0, log.collect())].into());
    let store = Arc::new(LocalStore::in_memory().unwrap());
    let mut life = Life::begin(&store, &logs, 4096, Duration::from_secs(3600));
    let position = |life: &Life| life.this.position(&life.this.partitions[0]);
    for _ in 0..5 {
        life.this.turn();
    }
    assert!(life.this.is_held_up());
    let stopped_at = position(&life);
    assert!(stopped_at < 16_000, "{stopped_at}");
    life.this.turn();
    assert_eq!(position(&life), stopped_at);
    life.this.positioned_at = Instant::now() - Duration::from_secs(1);
    life.this.turn();
    assert_eq!(life.this.worker.positions.paused(), 1);

    life.this.checkpointed_at = Instant::now() - Duration::from_secs(60);
    life.this.turn();
    let health = life.this.worker.health.clone();
    let reasons = health.held();
    let words = reasons
        .get("checkpoint of loop 0")
        .expect("a slow checkpoint is told");
    assert!(words.contains("no more records are read"), "{words}");
    while position(&life) < 16_000 {
        if life.this.in_flight.is_some() {
            life.commands.send(WorkerCommand::Checkpointed).unwrap();
        }
        life.this.turn();
    }
    assert!(health.held().is_empty());
}

/// A life that has read 20 records, whose checkpoint is in flight, and that asks to release partition
/// 0.
fn releasing() -> (Arc<LocalStore>, Life, Receiver<()>) {
    let logs = one_log();
    let store = Arc::new(LocalStore::in_memory().unwrap());
    let mut life = Life::begin(&store, &logs, 20, Duration::ZERO);
    life.this.turn();
    let partition = life.this.partitions[0].id.clone();
    let (done, is_done) = mpsc::channel();
    let release = WorkerCommand::Release { partition, done };
    life.commands.send(release).unwrap();
    (store, life, is_done)
}

#[test]
fn a_released_partition_is_durable_before_it_is_let_go() {
    let (store, life, is_done) = releasing();
    let Life {
        mut this,
        checkpointer,
        commands,
        ..
    } = life;
    std::thread::scope(|scope| {
        scope.spawn(|| checkpointer.run());
        this.serve_commands();
        assert!(is_done.try_recv().is_ok());
        assert!(this.partitions.is_empty());
        for (key, unit) in store.units("all").unwrap() {
            assert_eq!((key.partition, unit.next_offset), (0, 20));
        }
        commands.send(WorkerCommand::Stop).unwrap();
        this.serve_commands();
        assert!(this.stopping);
        this.finish();
        drop(this);
    });
}

#[test]
fn a_stop_cuts_the_wait_for_a_release_short() {
    let (_store, mut life, is_done) = releasing();
    assert!(life.this.in_flight.is_some());
    life.commands.send(WorkerCommand::Stop).unwrap();
    let began = Instant::now();
    life.this.serve_commands();
    assert!(began.elapsed() < RELEASE);
    assert!(is_done.try_recv().is_err());
    assert!(life.this.stopping);
    assert_eq!(life.this.partitions.len(), 1, "it is read on");
}

#[test]
fn no_pane_is_both_known_and_open_while_its_checkpoint_is_in_flight() {
    let logs = one_log();
    let store = Arc::new(LocalStore::in_memory().unwrap());
    let mut life = Life::begin(&store, &logs, 30, Duration::ZERO);
    life.this.turn();
    assert!(life.this.in_flight.is_some());
    life.snapshot();
    life.this.turn();
    life.snapshot();
    assert!(life.store());
    life.snapshot();
    life.this.turn();
    life.snapshot();
}
