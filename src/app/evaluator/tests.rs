//! An evaluator told by hand, on a report log that fails when asked to.

use std::sync::Mutex;

use super::*;
use crate::app::clock::now_ms;
use crate::app::fixtures::{START, TOPIC, WIDTH, config, monitor};
use crate::app::messages::Progress;
use crate::app::unit::SealStamp;
use crate::config::MonitorConfig;
use crate::drift::incident::ChangeKind;
use crate::drift::{Gaps, Pane, PaneCounts, PaneId, SealedPane, Silence, WindowRing};
use crate::http::state::SilenceChange;
use crate::metrics::Metrics;
use crate::state::local::LocalStore;
use crate::state::{NoticeKind, StateError, UnitKey};

/// The first pane of every test.
const FIRST: i64 = START / WIDTH;
const HOUR: i64 = 3_600_000;

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Works,
    Fails,
    /// What is written gets through, but nobody is told so.
    Mute,
}

/// Recognises the repetition of what got through by its content, as the local store does.
struct MoodyLog {
    store: LocalStore,
    mood: Mutex<Mood>,
    landed: Mutex<Option<String>>,
}

impl MoodyLog {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            store: LocalStore::in_memory().unwrap(),
            mood: Mutex::new(Mood::Works),
            landed: Mutex::default(),
        })
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn entries(&self) -> Vec<LogEntry> {
        let entries = self.store.read(0, 1000).unwrap();
        entries.into_iter().map(|(_, entry)| entry).collect()
    }

    /// End of the window in panes since the first, and whether it was news.
    fn finals(&self) -> Vec<(i64, bool)> {
        let of = |entry: LogEntry| match entry.body {
            LogBody::Report(r) if r.trigger == Trigger::Final => {
                Some((r.window.end_ms / WIDTH - FIRST, entry.news))
            }
            _ => None,
        };
        self.entries().into_iter().filter_map(of).collect()
    }

    fn notices(&self) -> Vec<(NoticeKind, usize, usize)> {
        let of = |entry: LogEntry| match entry.body {
            LogBody::Notice {
                kind,
                changes,
                open,
            } => Some((kind, changes.len(), open.len())),
            LogBody::Report(_) => None,
        };
        self.entries().into_iter().filter_map(of).collect()
    }
}

impl ReportLog for MoodyLog {
    fn commit(
        &self,
        monitor: &str,
        state: &EvaluatorState,
        entries: &[LogEntry],
        needed_from: Option<PaneId>,
    ) -> Result<u64, StateError> {
        let refused = || StateError::Io {
            path: "memory".into(),
            what: "disk full".into(),
        };
        let mood = *self.mood.lock().unwrap();
        if mood == Mood::Fails {
            return Err(refused());
        }
        let bodies: Vec<_> = entries.iter().map(|e| &e.body).collect();
        let content = format!("{:?} {bodies:?}", state.silences);
        let landed = self.landed.lock().unwrap().take();
        if landed.as_ref() != Some(&content) {
            self.store.commit(monitor, state, entries, needed_from)?;
        }
        if mood == Mood::Mute {
            *self.landed.lock().unwrap() = Some(content);
            return Err(refused());
        }
        self.store.head()
    }

    fn evaluator(&self, monitor: &str) -> Result<EvaluatorState, StateError> {
        self.store.evaluator(monitor)
    }

    fn head(&self) -> Result<u64, StateError> {
        self.store.head()
    }

    fn read(&self, after: u64, limit: usize) -> Result<Vec<(u64, LogEntry)>, StateError> {
        ReportLog::read(&self.store, after, limit)
    }

    fn history(&self, m: &str, from: i64, to: i64, n: usize) -> Result<Vec<LogEntry>, StateError> {
        self.store.history(m, from, to, n)
    }

    fn cursor(&self, sink: &str) -> Result<Option<Vec<u8>>, StateError> {
        self.store.cursor(sink)
    }

    fn set_cursor(&self, sink: &str, cursor: &[u8]) -> Result<(), StateError> {
        self.store.set_cursor(sink, cursor)
    }

    fn expire(&self, before_ms: i64) -> Result<u64, StateError> {
        self.store.expire(before_ms)
    }
}

/// An evaluator of one partition that goes on from what `log` holds. It has no workers, so that
/// nothing is open but what it was told of.
fn evaluator(config: &MonitorConfig, log: &Arc<MoodyLog>) -> Evaluator {
    let monitor = monitor(config);
    let definition = &monitor.definition;
    let metrics = Metrics::new(&std::collections::BTreeMap::new(), None);
    let wiring = Wiring {
        mailbox: tokio::sync::mpsc::unbounded_channel().1,
        checks: tokio::sync::mpsc::channel(1).1,
        silences: tokio::sync::mpsc::channel(1).1,
        workers: vec![],
        ends: Ends {
            commands: std::sync::mpsc::channel().0,
            shutdown: tokio_util::sync::CancellationToken::new(),
        },
        log: log.clone(),
        log_head: Arc::new(watch::Sender::new(0)),
        view: watch::Sender::new(Arc::default()),
        metrics: metrics.monitor(definition, TOPIC),
        frontier: Arc::default(),
        health: Health::default(),
    };
    let state = log.evaluator(&definition.monitor).unwrap();
    let ring = WindowRing::new(monitor.layout.clone(), definition.panes, definition.window);
    let ring = ring.resume(state.closed_through, state.first);
    let idle = Duration::from_millis(config.idle_timeout_ms as u64);
    let closing = Closing::new(definition.panes, definition.window, ring, idle);
    let mut evaluator = Evaluator::new(Arc::clone(&monitor), wiring, closing, state, None);
    evaluator.take(EvaluatorMessage::Partitions(vec![0]));
    evaluator
}

#[derive(Clone, Copy)]
enum Shape {
    /// As in the reference.
    Even,
    /// All in one bucket.
    Drifted,
}

/// Pane `k` since the first is sealed by a record that was appended `age_ms` ago.
fn seals(k: i64, shape: Shape, age_ms: i64) -> EvaluatorMessage {
    let layout = crate::drift::Layout::new([3]);
    let mut cells = vec![0; layout.cells()];
    match shape {
        Shape::Even => cells[..3].fill(100),
        Shape::Drifted => cells[2] = 300,
    }
    let pane = Pane {
        counts: PaneCounts::from_cells(&layout, 300, cells).unwrap(),
        first_offset: k,
        last_offset: k,
    };
    let before = PaneId(FIRST + k + 1);
    let record_ms = Some(now_ms() - age_ms);
    let at = Instant::now();
    EvaluatorMessage::Progress(Box::new(Progress {
        key: UnitKey {
            monitor: "m".into(),
            topic: TOPIC.into(),
            partition: 0,
        },
        sealed: vec![SealedPane {
            id: PaneId(FIRST + k),
            pane,
        }],
        sealed_before: Some(before),
        greatest_ms: Some(before.0 * WIDTH),
        first_open: None,
        last_open: None,
        newest_record_ms: record_ms,
        gaps: Gaps::default(),
        _on_the_way: None,
        stamps: vec![SealStamp {
            before,
            record_ms,
            seen: at,
        }],
        arrived: at,
        assigned: at,
    }))
}

impl Evaluator {
    fn tell(&mut self, panes: impl IntoIterator<Item = i64>, shape: Shape, age_ms: i64) {
        for k in panes {
            self.take(seals(k, shape, age_ms));
        }
        self.close_by_watermark();
    }

    /// Caught up for so long that idleness has had its time.
    fn settle(&mut self) {
        self.take(EvaluatorMessage::CaughtUp(true));
        let long = Duration::from_secs(60);
        self.caught_up_since = self.caught_up_since.and_then(|at| at.checked_sub(long));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn history_is_told_in_order_without_news_and_then_summed_up_once() {
    let log = MoodyLog::new();
    let mut evaluator = evaluator(&config("m"), &log);
    evaluator.tell(0..2, Shape::Even, 2 * HOUR);
    evaluator.tell(2..4, Shape::Drifted, 2 * HOUR);
    evaluator.tick().await;
    assert_eq!(log.notices(), [], "history is not read yet");
    evaluator.settle();
    evaluator.tell(4..6, Shape::Drifted, 0);
    let expected = [
        (1, false),
        (2, false),
        (3, false),
        (4, false),
        (5, true),
        (6, true),
    ];
    assert_eq!(log.finals(), expected);
    for _ in 0..3 {
        evaluator.tick().await;
    }
    assert_eq!(log.notices(), [(NoticeKind::CaughtUp, 0, 1)]);
    // A late window of history that changes nothing is not worth a second message.
    evaluator.tell(6..7, Shape::Drifted, 2 * HOUR);
    evaluator.tick().await;
    assert_eq!(log.notices().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_that_was_told_and_ended_in_history_is_not_left_hanging() {
    let log = MoodyLog::new();
    let mut before = evaluator(&config("m"), &log);
    before.tell(0..3, Shape::Drifted, 0);
    assert_eq!(before.view.incidents.len(), 1);
    let mut after = evaluator(&config("m"), &log);
    assert_eq!(after.view.incidents.len(), 1, "shown from the start");
    after.tell(3..6, Shape::Even, 2 * HOUR);
    after.settle();
    for _ in 0..2 {
        after.tick().await;
    }
    assert_eq!(log.notices(), [(NoticeKind::CaughtUp, 0, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_is_told_once_also_over_a_restart() {
    let log = MoodyLog::new();
    let mut config = config("m");
    config.stale_after_ms = 0;
    let mut before = evaluator(&config, &log);
    for _ in 0..3 {
        before.tick().await;
    }
    assert_eq!(log.notices(), [(NoticeKind::Stale, 1, 1)]);
    config.stale_after_ms = HOUR;
    let mut after = evaluator(&config, &log);
    after.tick().await;
    assert!(after.view.stale);
    assert_eq!(log.notices().len(), 1, "nothing was counted since");
    after.counted_at = Some(Instant::now());
    for _ in 0..2 {
        after.tick().await;
    }
    assert_eq!(log.notices()[1..], [(NoticeKind::Stale, 1, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_waits_for_history_and_comes_once_in_its_time() {
    let log = MoodyLog::new();
    let mut config = config("m");
    config.repeat_after_ms = HOUR;
    let mut evaluator = evaluator(&config, &log);
    evaluator.tell(0..3, Shape::Drifted, 0);
    evaluator.state.told_at_ms = Some(now_ms() - HOUR);
    evaluator.tick().await;
    assert_eq!(log.notices(), []);
    evaluator.settle();
    for _ in 0..3 {
        evaluator.tick().await;
    }
    assert_eq!(log.notices(), [(NoticeKind::Reminder, 0, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manual_check_opens_an_incident_and_ends_none() {
    let log = MoodyLog::new();
    let mut evaluator = evaluator(&config("m"), &log);
    assert!(evaluator.check().await.unwrap().live.is_none());
    evaluator.tell(0..2, Shape::Even, 0);
    // Pane 2 is known and no window ends after it yet.
    let drifted = |k, shape| match seals(k, shape, 0) {
        EvaluatorMessage::Progress(mut progress) => {
            progress.sealed_before = Some(PaneId(FIRST + 2));
            progress.stamps.clear();
            EvaluatorMessage::Progress(progress)
        }
        other => other,
    };
    evaluator.take(drifted(2, Shape::Drifted));
    let kinds = |report: &DriftReport| report.changes.iter().map(|c| c.kind).collect::<Vec<_>>();
    let outcome = evaluator.check().await.unwrap();
    let live = outcome.live.unwrap();
    assert_eq!(kinds(&live), [ChangeKind::Opened]);
    assert_eq!(live.events, 600);
    assert_eq!(
        outcome.last_final.unwrap().window.end_ms,
        (FIRST + 2) * WIDTH
    );
    let again = evaluator.check().await.unwrap().live.unwrap();
    assert_eq!(kinds(&again), []);
    evaluator.take(drifted(3, Shape::Even));
    evaluator.take(drifted(4, Shape::Even));
    let even = evaluator.check().await.unwrap().live.unwrap();
    assert!(even.features[0].psi.unwrap() < 0.1);
    assert_eq!(kinds(&even), []);
    assert_eq!(evaluator.view.incidents.len(), 1);
    assert_eq!(log.entries().len(), 2 + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn live_figures_after_the_last_window_closed_are_of_the_next_one() {
    let log = MoodyLog::new();
    let mut evaluator = evaluator(&config("m"), &log);
    evaluator.tell(0..3, Shape::Even, 0);
    let live = evaluator.check().await.unwrap().live.unwrap();
    assert_eq!(live.window.end_ms, (FIRST + 4) * WIDTH);
    assert_eq!(live.events, 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_failing_log_did_not_take_is_stored_once_and_in_order() {
    for mood in [Mood::Fails, Mood::Mute] {
        let log = MoodyLog::new();
        let mut config = config("m");
        config.stale_after_ms = 0;
        let mut evaluator = evaluator(&config, &log);
        evaluator.tell(0..2, Shape::Even, 0);
        log.set(mood);
        evaluator.tell(2..4, Shape::Drifted, 0);
        assert!(!evaluator.wiring.health.held().is_empty());
        assert!(evaluator.check().await.is_err());
        for _ in 0..2 {
            evaluator.tick().await;
        }
        evaluator.tell(4..6, Shape::Drifted, 0);
        let shown = evaluator.view.last_final.as_ref().unwrap().window.end_ms;
        assert_eq!(
            shown,
            (FIRST + 2) * WIDTH,
            "nothing is shown before it is durable"
        );
        log.set(Mood::Works);
        for _ in 0..2 {
            evaluator.tick().await;
            evaluator.close_by_watermark();
        }
        assert!(evaluator.wiring.health.held().is_empty());
        let expected: Vec<_> = (1..=6).map(|end| (end, true)).collect();
        assert_eq!(log.finals(), expected);
        assert_eq!(log.notices(), [(NoticeKind::Stale, 1, 2)]);
        assert_eq!(log.entries().len(), 7);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_behind_the_last_window_and_repeats_none() {
    let log = MoodyLog::new();
    let mut before = evaluator(&config("m"), &log);
    before.tell(0..3, Shape::Even, 0);
    let mut after = evaluator(&config("m"), &log);
    assert_eq!(after.wiring.frontier.closed_through(), PaneId(FIRST + 3));
    // The store still holds what the next window needs.
    after.tell(2..5, Shape::Even, 0);
    let ends: Vec<_> = log.finals().into_iter().map(|(end, _)| end).collect();
    assert_eq!(ends, [1, 2, 3, 4, 5]);
}

fn hour_of_silence(feature: Option<&str>) -> SilenceChange {
    SilenceChange::Add(Silence {
        id: 0,
        feature: feature.map(str::to_owned),
        from_ms: now_ms(),
        until_ms: now_ms() + HOUR,
        reason: "a release".to_owned(),
        by: None,
    })
}

/// By report that changes something: whether each change is told.
fn told(log: &MoodyLog) -> Vec<Vec<bool>> {
    let of = |entry: LogEntry| match entry.body {
        LogBody::Report(r) if !r.changes.is_empty() => {
            Some(r.changes.iter().map(|c| !c.silenced).collect())
        }
        _ => None,
    };
    log.entries().into_iter().filter_map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_outlives_the_process_and_what_is_open_after_it_is_told_once() {
    let log = MoodyLog::new();
    let mut before = evaluator(&config("m"), &log);
    let silence = before
        .change_silence(hour_of_silence(None))
        .unwrap()
        .unwrap();
    assert_eq!(before.view.silences, std::slice::from_ref(&silence));
    before.tell(0..3, Shape::Drifted, 0);
    assert_eq!(before.view.incidents.len(), 1, "figures go on");
    assert_eq!(told(&log), [[false]]);

    let mut after = evaluator(&config("m"), &log);
    assert_eq!(after.view.silences, std::slice::from_ref(&silence));
    after.settle();
    after.state.told_at_ms = Some(0);
    after.tick().await;
    assert_eq!(log.notices(), [], "no reminder of what is silenced");
    let ended = after
        .change_silence(SilenceChange::End(silence.id))
        .unwrap();
    assert_eq!(ended, Some(silence.clone()));
    for _ in 0..3 {
        after.tick().await;
    }
    assert_eq!(log.notices(), [(NoticeKind::Unsilenced, 1, 1)]);
    assert_eq!(after.view.silences, []);
    after.tell(3..6, Shape::Even, 0);
    assert_eq!(told(&log), [[false], [true]], "its end is told");
    let again = after.change_silence(SilenceChange::End(silence.id));
    assert_eq!(again, Ok(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_runs_out_by_itself_and_leaves_the_store() {
    let log = MoodyLog::new();
    let mut evaluator = evaluator(&config("m"), &log);
    let SilenceChange::Add(mut silence) = hour_of_silence(Some("x")) else {
        unreachable!()
    };
    silence.until_ms = now_ms();
    evaluator
        .change_silence(SilenceChange::Add(silence))
        .unwrap();
    evaluator.tick().await;
    assert_eq!(evaluator.view.silences, []);
    let stored = log.evaluator("m").unwrap().silences;
    assert_eq!(stored.silences(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silence_that_was_not_confirmed_is_not_in_force() {
    for mood in [Mood::Fails, Mood::Mute] {
        let log = MoodyLog::new();
        let mut evaluator = evaluator(&config("m"), &log);
        log.set(mood);
        assert!(evaluator.change_silence(hour_of_silence(None)).is_err());
        log.set(Mood::Works);
        evaluator.tick().await;
        assert_eq!(evaluator.view.silences, []);
        let stored = log.evaluator("m").unwrap().silences;
        assert_eq!(stored.silences(), []);
        assert!(evaluator.wiring.health.held().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opened_in_history_and_is_silenced_is_told_after_its_silence() {
    let log = MoodyLog::new();
    let mut evaluator = evaluator(&config("m"), &log);
    evaluator.tell(0..3, Shape::Drifted, 2 * HOUR);
    let silence = evaluator.change_silence(hour_of_silence(None));
    let silence = silence.unwrap().unwrap();
    evaluator.settle();
    for _ in 0..3 {
        evaluator.tick().await;
    }
    assert_eq!(log.notices(), [], "nor that all is well");
    let end = SilenceChange::End(silence.id);
    evaluator.change_silence(end).unwrap();
    for _ in 0..3 {
        evaluator.tick().await;
    }
    assert_eq!(log.notices(), [(NoticeKind::Unsilenced, 1, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_summary_has_told_is_not_told_again_for_its_silence() {
    let log = MoodyLog::new();
    let mut evaluator = evaluator(&config("m"), &log);
    let silence = evaluator.change_silence(hour_of_silence(None));
    evaluator.tell(0..3, Shape::Drifted, 2 * HOUR);
    let end = SilenceChange::End(silence.unwrap().unwrap().id);
    evaluator.change_silence(end).unwrap();
    evaluator.settle();
    for _ in 0..3 {
        evaluator.tick().await;
    }
    assert_eq!(log.notices(), [(NoticeKind::CaughtUp, 0, 1)]);
}
