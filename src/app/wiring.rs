//! Starts the parts of the program, connects them, and ends them in order.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{self as blocking, Receiver, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle as Task;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::drift::{DriftReport, Trigger, WindowRing};
use crate::health::Health;
use crate::http::state::{AppState, MonitorHandle};
use crate::metrics::Metrics;
use crate::monitor::Monitor;
use crate::sink::{self, SinkContext};
use crate::source::control::Control;
use crate::source::kafka;
use crate::state::local::LocalStore;
use crate::state::{LogBody, ReportLog, StateStore};

use super::App;
use super::assigner::{Assigner, AssignerCommand, IDS};
use super::checkpointer::Checkpointer;
use super::clock::now_ms;
use super::closing::Closing;
use super::ends::Ends;
use super::evaluator::{Evaluator, Wiring};
use super::messages::{EvaluatorMessage, Positions, WorkerCommand};
use super::neighbour::Neighbour;
use super::pausing::Frontier;
use super::reload::Reloader;
use super::watchdog;
use super::worker::{Watched, Worker};

/// The parts of a running program, as far as ending them goes.
pub(crate) struct Running {
    workers_and_checkpointer: Vec<Part>,
    assigner_thread: Vec<Part>,
    workers: Vec<Sender<WorkerCommand>>,
    assigner: Sender<AssignerCommand>,
    evaluators: HashMap<String, UnboundedSender<EvaluatorMessage>>,
    evaluations: Vec<Task<()>>,
    /// Sinks and HTTP, which end with `readers`.
    tasks: Vec<Task<()>>,
    readers: CancellationToken,
    give_up: CancellationToken,
    /// Ends the watchdog when dropped.
    _watched: Sender<()>,
}

/// A thread, what it is called when it ends by itself, and whether it left everything durable.
type Part = (&'static str, JoinHandle<bool>);

/// A loop that has not turned for this long is stuck.
const LOOP_TURNS: Duration = Duration::from_secs(60);
/// After a question that was not answered, checkpoints ask none for this long.
const ASK_AGAIN: Duration = Duration::from_secs(5);
const WORKERS_DRAIN: Duration = Duration::from_millis(7500);
const ASSIGNER_DRAIN: Duration = Duration::from_millis(500);

/// Starts everything. Nothing is read before every part is there.
pub(crate) fn start(app: App, shutdown: &CancellationToken) -> Result<Running> {
    let App {
        config,
        monitors,
        store,
        listener,
        reread,
    } = app;
    let (workers, inboxes): (Vec<_>, Vec<_>) = (0..config.kafka.threads.max(1))
        .map(|_| blocking::channel())
        .unzip();
    let (assigner, assigner_inbox) = blocking::channel();
    let (log_head, head) = watch::channel(store.head()?);
    let parts = Parts {
        metrics: Metrics::new(&config.labels, config.http.bucket_metrics),
        config: Arc::new(config),
        monitors,
        store,
        health: Health::default(),
        positions: Positions::default(),
        workers,
        assigner,
        log_head: Arc::new(log_head),
        shutdown: shutdown.clone(),
    };
    if let Some(url) = &parts.config.http.public_url {
        parts.metrics.page(url);
    }
    let brokers = &parts.config.kafka.bootstrap_servers;
    let words = format!("the topics' partitions are not assigned yet; asking {brokers}");
    parts.health.hold("partitions", words);
    let give_up = CancellationToken::new();
    let readers = CancellationToken::new();

    // A receiver that is new begins at the head of the log, so sinks come before any evaluator.
    let context = SinkContext {
        log: parts.store.clone(),
        head: head.clone(),
        shutdown: readers.clone(),
    };
    let (notify, mut tasks) = parts.start_sinks(&context);
    let evaluation = parts.start_evaluators()?;
    let control = Arc::new(Control::new(&parts.config.kafka)?);
    let workers_and_checkpointer = parts.start_workers(inboxes, &evaluation, &control, &give_up)?;
    let assigner_thread = parts.start_assigner(assigner_inbox, &evaluation, control)?;

    let watchdog = start_watchdog(&parts.health)?;

    let (handles, monitors_out) = watch::channel(Arc::new(evaluation.handles));
    let (reload, requests) = mpsc::channel(4);
    let reloader = Reloader {
        config: Arc::clone(&parts.config),
        monitors: parts.monitors.clone(),
        reread,
        evaluators: evaluation.mailboxes.clone(),
        handles,
        notify,
        metrics: Arc::clone(&parts.metrics),
        requests,
    };
    let state = AppState {
        config: Arc::new(parts.config.http.clone()),
        monitors: monitors_out,
        log: parts.store.clone(),
        health: parts.health.clone(),
        metrics: Arc::clone(&parts.metrics),
        log_head: head,
        reload,
    };
    let router = crate::http::router(state);
    tasks.push(tokio::spawn(reloader.run(readers.clone())));
    tasks.push(tokio::spawn(crate::http::serve(
        listener,
        router,
        readers.clone(),
    )));
    let history_ms = parts.config.state.history_ms;
    tasks.push(tokio::spawn(expire(
        parts.store.clone(),
        history_ms,
        readers.clone(),
    )));
    Ok(Running {
        workers_and_checkpointer,
        assigner_thread: vec![assigner_thread],
        workers: parts.workers,
        assigner: parts.assigner,
        evaluators: evaluation.mailboxes,
        evaluations: evaluation.tasks,
        tasks,
        readers,
        give_up,
        _watched: watchdog,
    })
}

/// What the parts of the program share.
struct Parts {
    config: Arc<Config>,
    monitors: Vec<Arc<Monitor>>,
    store: Arc<LocalStore>,
    health: Health,
    metrics: Arc<Metrics>,
    positions: Positions,
    workers: Vec<Sender<WorkerCommand>>,
    assigner: Sender<AssignerCommand>,
    log_head: Arc<watch::Sender<u64>>,
    shutdown: CancellationToken,
}

/// The evaluators, and how the others reach them.
struct Evaluation {
    /// By monitor.
    mailboxes: HashMap<String, UnboundedSender<EvaluatorMessage>>,
    tasks: Vec<Task<()>>,
    watched: Vec<Watched>,
    handles: Vec<MonitorHandle>,
}

type NotifySender = watch::Sender<Arc<sink::NotifyConfig>>;

impl Parts {
    fn start_sinks(&self, context: &SinkContext) -> (NotifySender, Vec<Task<()>>) {
        for channel in sink::channels(&self.config) {
            self.metrics.channel(&channel);
        }
        let notify = Arc::new(notify_config(&self.config, &self.monitors));
        let (notify_in, notify) = watch::channel(notify);
        let health = self.health.clone();
        let heartbeats = sink::run_heartbeats(
            context.clone(),
            notify.clone(),
            Arc::new(move || health.held().is_empty()),
            self.metrics.clone(),
        );
        let notifier = sink::run_notifier(context.clone(), notify, self.metrics.clone());
        let mut tasks = vec![tokio::spawn(notifier), tokio::spawn(heartbeats)];
        if let Some(csv) = self.config.csv.clone() {
            let csv = sink::run_csv(context.clone(), csv, self.metrics.clone());
            tasks.push(tokio::spawn(csv));
        }
        (notify_in, tasks)
    }

    fn start_evaluators(&self) -> Result<Evaluation> {
        let mut evaluation = Evaluation {
            mailboxes: HashMap::new(),
            tasks: Vec::new(),
            watched: Vec::new(),
            handles: Vec::new(),
        };
        for monitor in &self.monitors {
            let name = monitor.definition.monitor.clone();
            let (mail, mailbox) = mpsc::unbounded_channel();
            let (checks_in, checks) = mpsc::channel(16);
            let (silences_in, silences) = mpsc::channel(16);
            let (view_in, view) = watch::channel(Arc::default());
            let watched = Watched {
                monitor: Arc::clone(monitor),
                metrics: self
                    .metrics
                    .monitor(&monitor.definition, &monitor.config.topic),
                frontier: Arc::new(Frontier::default()),
            };
            let wiring = Wiring {
                mailbox,
                checks,
                silences,
                workers: self.workers.clone(),
                ends: Ends {
                    commands: self.assigner.clone(),
                    shutdown: self.shutdown.clone(),
                },
                log: self.store.clone(),
                log_head: Arc::clone(&self.log_head),
                view: view_in,
                metrics: Arc::clone(&watched.metrics),
                frontier: Arc::clone(&watched.frontier),
                health: self.health.clone(),
            };
            let evaluator = restore(monitor, &*self.store, wiring)
                .with_context(|| format!("restoring monitor {name:?}"))?;
            evaluation.tasks.push(tokio::spawn(evaluator.run()));
            evaluation.mailboxes.insert(name, mail);
            evaluation.watched.push(watched);
            evaluation.handles.push(MonitorHandle {
                config: Arc::new(monitor.config.clone()),
                definition: Arc::new(monitor.definition.clone()),
                left_out: Arc::new(monitor.left_out.clone()),
                view,
                checks: checks_in,
                silences: silences_in,
            });
        }
        Ok(evaluation)
    }

    fn start_workers(
        &self,
        inboxes: Vec<Receiver<WorkerCommand>>,
        evaluation: &Evaluation,
        control: &Arc<Control>,
        give_up: &CancellationToken,
    ) -> Result<Vec<Part>> {
        let (checkpoints_in, checkpoints) = blocking::channel();
        let control = Arc::clone(control);
        let unanswered = Cell::new(None);
        let assigner = self.assigner.clone();
        let checkpointer = Checkpointer {
            store: self.store.clone(),
            checkpoints,
            workers: self.workers.clone(),
            evaluators: evaluation.mailboxes.clone(),
            health: self.health.clone(),
            metrics: Arc::clone(&self.metrics),
            topic_ids: Box::new(move |topics| {
                let waited = unanswered.get();
                if waited.is_some_and(|at: Instant| at.elapsed() < ASK_AGAIN) {
                    return None;
                }
                let ids = control.topic_ids(topics, IDS).ok();
                unanswered.set(ids.is_none().then(Instant::now));
                ids
            }),
            other_log: Box::new(move || {
                // Without an assigner the program is stopping.
                let _ = assigner.send(AssignerCommand::Look);
            }),
            give_up: give_up.clone(),
        };
        let checkpointer = spawn("checkpointer", move || {
            checkpointer.run();
            true
        })?;
        let mut threads = vec![("the checkpointer", checkpointer)];
        for (id, commands) in inboxes.into_iter().enumerate() {
            let again = self.assigner.clone();
            let checkpoints = checkpoints_in.clone();
            let loop_name = format!("consuming loop {id}");
            let worker = Worker {
                id,
                source: kafka::open(&self.config.kafka)?,
                watched: evaluation.watched.clone(),
                commands,
                hand_over: Box::new(move |checkpoint| checkpoints.send(checkpoint).is_ok()),
                positions: self.positions.clone(),
                metrics: Arc::clone(&self.metrics),
                checkpoint_interval: Duration::from_millis(
                    self.config.state.checkpoint_interval_ms,
                ),
                log_payloads: self.config.log_payloads,
                decoder: self.config.kafka.decoder,
                heartbeat: self.health.heartbeat(&loop_name, LOOP_TURNS),
                health: self.health.clone(),
                out_of_range: Box::new(move |partitions| {
                    // Without an assigner the program is stopping.
                    let _ = again.send(AssignerCommand::Again(partitions));
                }),
            };
            threads.push(("a consuming loop", spawn("worker", move || worker.run())?));
        }
        Ok(threads)
    }

    fn start_assigner(
        &self,
        commands: Receiver<AssignerCommand>,
        evaluation: &Evaluation,
        control: Arc<Control>,
    ) -> Result<Part> {
        let kafka = &self.config.kafka;
        let assigner = Assigner {
            control,
            commands,
            monitors: self.monitors.clone(),
            workers: self.workers.clone(),
            evaluators: evaluation.mailboxes.clone(),
            store: self.store.clone(),
            positions: self.positions.clone(),
            health: self.health.clone(),
            metrics: Arc::clone(&self.metrics),
            neighbour: Neighbour::new(&kafka.group_id, &kafka.instance_id),
            again: BTreeSet::new(),
            ids_missed: false,
        };
        let thread = spawn("assigner", move || {
            assigner.run();
            true
        })?;
        Ok(("the assigner", thread))
    }
}

impl Running {
    /// Waits for `shutdown`; gives the name of a part that ended by itself instead.
    pub(crate) async fn until(&self, shutdown: &CancellationToken) -> Option<&'static str> {
        let mut look = tokio::time::interval(Duration::from_millis(500));
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return None,
                _ = look.tick() => {}
            }
            let mut threads = self
                .workers_and_checkpointer
                .iter()
                .chain(&self.assigner_thread);
            if let Some((part, _)) = threads.find(|(_, thread)| thread.is_finished()) {
                return Some(part);
            }
            if self.evaluations.iter().any(Task::is_finished) {
                return Some("an evaluator");
            }
        }
    }

    /// Ends the parts along the data path: what one has made durable, the next still takes in.
    /// False when the last counts are not durable.
    pub(crate) async fn drain(self) -> bool {
        for worker in &self.workers {
            // One that is gone has stopped.
            let _ = worker.send(WorkerCommand::Stop);
        }
        self.give_up.cancel();
        let in_time = ended(&self.workers_and_checkpointer, WORKERS_DRAIN).await;
        if !in_time {
            tracing::warn!("a consuming loop or the checkpointer did not end in time");
        }
        // The assigner after them: it commits where they stopped. It may hang with a dead broker,
        // and nothing depends on it.
        let _ = self.assigner.send(AssignerCommand::Stop);
        for evaluator in self.evaluators.values() {
            let _ = evaluator.send(EvaluatorMessage::Stop);
        }
        for evaluation in self.evaluations {
            let _ = evaluation.await;
        }
        ended(&self.assigner_thread, ASSIGNER_DRAIN).await;
        self.readers.cancel();
        for task in self.tasks {
            let _ = task.await;
        }
        let mut parts = self.workers_and_checkpointer.into_iter();
        in_time && parts.all(|(_, thread)| thread.join().unwrap_or(false))
    }
}

/// Waits until these threads have ended, or for `limit`; says whether they have.
async fn ended(parts: &[Part], limit: Duration) -> bool {
    let mut look = tokio::time::interval(Duration::from_millis(10));
    let all = async {
        while !parts.iter().all(|(_, thread)| thread.is_finished()) {
            look.tick().await;
        }
    };
    tokio::time::timeout(limit, all).await.is_ok()
}

/// Watches the consuming loops until what it gives is dropped.
fn start_watchdog(health: &Health) -> Result<Sender<()>> {
    let (watched, stop) = blocking::channel();
    let health = health.clone();
    let watch = move || watchdog::watch(&health, watchdog::TICK, &stop, watchdog::end);
    spawn("watchdog", watch)?;
    Ok(watched)
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread
        .spawn(run)
        .with_context(|| format!("cannot start the {name} thread"))
}

/// The evaluator where it stood: its ring over stored panes, its incidents, its last report.
pub(super) fn restore<S: StateStore + ReportLog>(
    monitor: &Arc<Monitor>,
    store: &S,
    wiring: Wiring,
) -> Result<Evaluator> {
    let definition = &monitor.definition;
    let name = &definition.monitor;
    let state = store.evaluator(name)?;
    let ring = WindowRing::new(monitor.layout.clone(), definition.panes, definition.window);
    // A window that is longer than before reaches back to panes that are gone: it is filling.
    let first = state.first.max(state.kept_from);
    let mut ring = ring.resume(state.closed_through, first);
    for (_, sealed) in store.sealed(name)? {
        ring.add(sealed.id, sealed.pane.counts);
    }
    let idle = Duration::from_millis(monitor.config.idle_timeout_ms.max(0) as u64);
    let closing = Closing::new(definition.panes, definition.window, ring, idle);
    let last = last_final(store, monitor)?;
    Ok(Evaluator::new(
        Arc::clone(monitor),
        wiring,
        closing,
        state,
        last,
    ))
}

/// The last final report, if it was made by the same features.
fn last_final(log: &dyn ReportLog, monitor: &Monitor) -> Result<Option<DriftReport>> {
    let entries = log.history(&monitor.definition.monitor, i64::MIN, i64::MAX, 64)?;
    let reports = entries
        .into_iter()
        .rev()
        .filter_map(|entry| match entry.body {
            LogBody::Report(report) if report.trigger == Trigger::Final => Some(report),
            _ => None,
        });
    let features = monitor.definition.features.len();
    Ok(reports
        .take(1)
        .find(|report| report.features.len() == features))
}

/// What the notifier needs to know of the configuration.
pub(super) fn notify_config(config: &Config, monitors: &[Arc<Monitor>]) -> sink::NotifyConfig {
    sink::NotifyConfig {
        receivers: config.receivers.clone(),
        labels: config.labels.clone(),
        public_url: config.http.public_url.clone(),
        dashboard_url: config.http.dashboard_url.clone(),
        monitors: monitors
            .iter()
            .map(|m| {
                let notify = sink::MonitorNotify {
                    receivers: m.config.notify.clone(),
                    definition: Arc::new(m.definition.clone()),
                    heartbeat_url: m.config.heartbeat_url.clone(),
                };
                (m.definition.monitor.clone(), notify)
            })
            .collect(),
    }
}

/// Drops reports that are older than the history is to be.
async fn expire(log: Arc<LocalStore>, history_ms: i64, shutdown: CancellationToken) {
    let mut hourly = tokio::time::interval(Duration::from_secs(3600));
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = hourly.tick() => {}
        }
        let log = Arc::clone(&log);
        let before = now_ms().saturating_sub(history_ms);
        let expired = tokio::task::spawn_blocking(move || log.expire(before)).await;
        if let Ok(Err(error)) = expired {
            tracing::warn!("old reports could not be dropped: {error}");
        }
    }
}
