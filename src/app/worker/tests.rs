//! The loop turned by hand over scripted logs, stopped and killed at any point.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::mpsc;

use proptest::prelude::*;
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
use crate::event::Outcome;
use crate::health::Health;
use crate::state::local::LocalStore;
use crate::state::{StateStore, UnitState};

/// What may happen to a running program.
#[derive(Debug, Clone, Copy)]
enum Move {
    Turn,
    /// The checkpointer takes what was handed over.
    Store,
    Snapshot,
    /// The next window ends so many panes after the first, and far too much is held for it.
    Crowd(i64),
    /// Nothing more gets durable.
    Kill,
    Stop,
}

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
            checkpoints: checkpoints_in,
            positions: Positions::default(),
            metrics: metrics(),
            checkpoint_interval: interval,
            heartbeat: Health::default().heartbeat("loop", Duration::from_secs(60)),
            health: Health::default(),
            log_payloads: false,
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

    /// Everything counted so far, as an evaluator sees it: what it was told and what is open.
    fn snapshot(&mut self, logs: &Logs) {
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
                    assert_eq!(seen.insert(id, counts), None, "pane {id:?} is there twice");
                }
                let taken = logs[&unit.partition].iter();
                let taken = taken.filter(|r| r.offset < unit.next_offset);
                let expected = Recount::of(monitor, taken);
                let expected = expected.panes.into_iter().map(|(id, p)| (id, p.counts));
                assert_eq!(seen, expected.collect());
            }
        }
    }

    /// The first monitor's next window, and whether more is held for it than may be.
    fn crowd(&self, next_end: Option<i64>) {
        let end = next_end.map(|panes| PaneId(START / WIDTH + panes));
        let held = if end.is_some() { usize::MAX / 2 } else { 0 };
        self.this.worker.watched[0].frontier.hold(end, held);
    }

    fn stop(self) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.checkpointer.run());
            self.this.finish();
        });
    }
}

/// The same figures, without offsets to skip, checkpoints or panes that seal.
#[derive(Default)]
struct Recount {
    panes: BTreeMap<PaneId, crate::drift::Pane>,
    greatest_ms: Option<i64>,
    outcomes: [u64; Outcome::ALL.len()],
}

impl Recount {
    fn of<'a>(monitor: &Monitor, log: impl Iterator<Item = &'a Scripted>) -> Self {
        let mut recount = Self::default();
        for record in log {
            let outcome = recount.count(monitor, record);
            recount.outcomes[outcome as usize] += 1;
        }
        recount
    }

    fn count(&mut self, monitor: &Monitor, record: &Scripted) -> Outcome {
        let lateness = monitor.definition.panes.lateness_ms;
        let Some(payload) = &record.payload else {
            return Outcome::Tombstone;
        };
        let Ok(event) = serde_json::from_str::<serde_json::Value>(payload) else {
            return Outcome::Invalid;
        };
        if !monitor.schema.filters.is_empty() && event["k"] != "keep" {
            return Outcome::Filtered;
        }
        let t = event["t"].as_i64().unwrap();
        let pane = t.div_euclid(WIDTH);
        if t > record.timestamp_ms.unwrap() + 60_000 {
            return Outcome::Future;
        }
        if self
            .greatest_ms
            .is_some_and(|g| g >= (pane + 1) * WIDTH + lateness)
        {
            return Outcome::Late;
        }
        self.greatest_ms = self.greatest_ms.max(Some(t));
        let x = event["x"].as_f64().unwrap();
        let mut cells = vec![0; monitor.layout.cells()];
        cells[usize::from(x > 0.0) + usize::from(x > 10.0)] = 1;
        let one = PaneCounts::from_cells(&monitor.layout, 1, cells).unwrap();
        let pane = self.panes.entry(PaneId(pane));
        let pane = pane.or_insert_with(|| crate::drift::Pane {
            counts: PaneCounts::zero(&monitor.layout),
            first_offset: record.offset,
            last_offset: record.offset,
        });
        pane.counts.merge(&one);
        pane.last_offset = record.offset;
        Outcome::Counted
    }
}

/// What is stored of every partition equals a recount of its whole log, integer for integer.
fn assert_recounted(store: &LocalStore, logs: &Logs) {
    for monitor in monitors() {
        let name = &monitor.definition.monitor;
        let sealed = store.sealed(name).unwrap();
        let units: BTreeMap<_, _> = store.units(name).unwrap().into_iter().collect();
        for (partition, log) in &**logs {
            let key = key(monitor, *partition);
            let expected = Recount::of(monitor, log.iter());
            let unit = &units[&key];
            let after = log.last().map_or(0, |r| r.offset + 1);
            assert_eq!(unit.next_offset, after);
            assert_eq!(unit.unaccounted(), 0);
            let mut outcomes = unit.outcomes.clone();
            outcomes.resize(expected.outcomes.len(), 0);
            assert_eq!(outcomes, expected.outcomes);
            assert_eq!(unit.greatest_ms, expected.greatest_ms);
            let seals = |id: &PaneId| {
                let end = (id.0 + 1) * WIDTH + monitor.definition.panes.lateness_ms;
                expected.greatest_ms.is_some_and(|g| g >= end)
            };
            let of_this = sealed.iter().filter(|(k, _)| *k == key);
            let of_this: BTreeMap<_, _> = of_this.map(|(_, s)| (s.id, s.pane.clone())).collect();
            assert!(of_this.keys().all(seals));
            let mut all = unit.open.clone();
            assert!(!all.keys().any(seals));
            all.extend(of_this);
            assert_eq!(all, expected.panes);
        }
    }
}

fn any_record() -> impl Strategy<Value = (i64, i64, Scripted)> {
    let payload = prop_oneof![
        20 => (-1_500i64..900, -5.0..15.0f64, prop::bool::ANY).prop_map(|(jitter, x, keep)| {
            let k = if keep { "keep" } else { "drop" };
            (jitter, Scripted::event(0, 0, x, k))
        }),
        1 => Just((0, Scripted { payload: None, ..Scripted::event(0, 0, 0.0, "") })),
        1 => Just((0, Scripted { payload: Some("{".into()), ..Scripted::event(0, 0, 0.0, "") })),
        1 => Just((10_000_000, Scripted::event(0, 0, 1.0, "keep"))),
    ];
    (0i64..400, payload).prop_map(|(forward, (jitter, scripted))| (forward, jitter, scripted))
}

/// Event time goes forward with stragglers; offsets have gaps.
fn any_log() -> impl Strategy<Value = Vec<Scripted>> {
    let records = prop::collection::vec((any_record(), 1i64..3), 0..80);
    records.prop_map(|records| {
        let (mut now, mut offset) = (START, 0);
        let place = |((forward, jitter, mut scripted), gap): ((i64, i64, Scripted), i64)| {
            now += forward;
            offset += gap;
            scripted.offset = offset;
            let with_time = |p: String| p.replace(r#""t":0"#, &format!(r#""t":{}"#, now + jitter));
            scripted.payload = scripted.payload.map(with_time);
            scripted
        };
        records.into_iter().map(place).collect()
    })
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        8 => Just(Move::Turn),
        4 => Just(Move::Store),
        3 => Just(Move::Snapshot),
        3 => (0i64..30).prop_map(Move::Crowd),
        1 => Just(Move::Kill),
        1 => Just(Move::Stop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn counts_survive_stops_and_kills_at_any_point_integer_for_integer(
        logs in prop::collection::vec(any_log(), 1..4),
        moves in prop::collection::vec(any_move(), 0..80),
        batch in 1usize..20,
        eager in prop::bool::ANY,
    ) {
        let interval = if eager { Duration::ZERO } else { Duration::from_secs(3600) };
        let logs: Logs = Arc::new((0..).zip(logs).collect());
        let store = Arc::new(LocalStore::in_memory().unwrap());
        let begin = || Life::begin(&store, &logs, batch, interval);
        let mut life = begin();
        for next in moves {
            match next {
                Move::Turn => life.this.turn(),
                Move::Store => drop(life.store()),
                Move::Snapshot => life.snapshot(&logs),
                Move::Crowd(panes) => life.crowd(Some(panes)),
                Move::Kill => life = begin(),
                Move::Stop => {
                    life.stop();
                    life = begin();
                }
            }
        }
        life.crowd(None);
        for _ in 0..logs.values().map(Vec::len).sum::<usize>() + 2 {
            life.this.turn();
            life.store();
        }
        life.snapshot(&logs);
        life.stop();
        assert_recounted(&store, &logs);
    }
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

/// Each record seals a pane; nothing comes back from the store.
#[test]
fn a_loop_whose_checkpoint_does_not_come_back_stops_to_take_records() {
    let width = WIDTH * 2;
    let log = (0..16_000).map(|i| Scripted::event(i, START + i * width, 1.0, "keep"));
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

/// A life that has read 20 records, and asks to release partition 0.
fn releasing() -> (Arc<LocalStore>, Life, Receiver<()>) {
    let log = (0..50).map(|i| Scripted::event(i, START + i * 100, 1.0, "keep"));
    let logs: Logs = Arc::new([(0, log.collect())].into());
    let store = Arc::new(LocalStore::in_memory().unwrap());
    let mut life = Life::begin(&store, &logs, 20, Duration::from_secs(3600));
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
    let log = (0..50).map(|i| Scripted::event(i, START + i * 100, 1.0, "keep"));
    let logs: Logs = Arc::new([(0, log.collect())].into());
    let store = Arc::new(LocalStore::in_memory().unwrap());
    let mut life = Life::begin(&store, &logs, 30, Duration::ZERO);
    life.this.turn();
    assert!(life.this.in_flight.is_some());
    life.snapshot(&logs);
    life.this.turn();
    life.snapshot(&logs);
    assert!(life.store());
    life.snapshot(&logs);
    life.this.turn();
    life.snapshot(&logs);
}
