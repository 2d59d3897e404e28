//! Starts the parts of the program, connects them, and ends them in order.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::sync::mpsc::{self as blocking, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

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
use crate::source::kafka::KafkaSource;
use crate::state::{LogBody, ReportLog, StateStore};

use super::App;
use super::assigner::{Assigner, AssignerCommand};
use super::checkpointer::Checkpointer;
use super::clock::now_ms;
use super::closing::Closing;
use super::ends::Ends;
use super::evaluator::{Evaluator, Wiring};
use super::messages::{EvaluatorMessage, Positions, WorkerCommand};
use super::neighbour::Neighbour;
use super::reload::Reloader;
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
}

/// A thread, and what it is called when it ends by itself.
type Part = (&'static str, JoinHandle<()>);

/// A loop that has not turned for this long is stuck.
const LOOP_TURNS: Duration = Duration::from_secs(60);
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
    let config = Arc::new(config);
    let log: Arc<dyn ReportLog> = store.clone();
    let health = Health::default();
    health.hold("partitions", "the topics' partitions are not assigned yet");
    let metrics = Metrics::new(&config.labels, config.http.bucket_metrics);
    let head = log.head()?;
    let (log_head, head) = watch::channel(head);
    let log_head = Arc::new(log_head);
    for receiver in &config.receivers {
        metrics.channel(&receiver.name);
    }
    let positions = Positions::default();
    let give_up = CancellationToken::new();
    let readers = CancellationToken::new();

    let context = SinkContext {
        log: Arc::clone(&log),
        head: head.clone(),
        shutdown: readers.clone(),
    };
    let (notify_in, notify) = watch::channel(Arc::new(notify_config(&config, &monitors)));
    // A receiver that is new begins at the head of the log, so this comes before any evaluator.
    let notifier = sink::run_notifier(context.clone(), notify, metrics.clone());

    let (worker_commands, worker_inboxes): (Vec<_>, Vec<_>) = (0..config.kafka.threads.max(1))
        .map(|_| blocking::channel())
        .unzip();
    let (assigner_commands, assigner_inbox) = blocking::channel();

    let mut evaluators = HashMap::new();
    let mut evaluations = Vec::new();
    let mut watched = Vec::new();
    let mut handles = Vec::new();
    for monitor in &monitors {
        let name = monitor.definition.monitor.clone();
        let (mail, mailbox) = mpsc::unbounded_channel();
        let (checks_in, checks) = mpsc::channel(16);
        let (view_in, view) = watch::channel(Arc::default());
        let closed_through = Arc::new(AtomicI64::new(i64::MIN));
        let monitor_metrics = metrics.monitor(&monitor.definition, &monitor.config.topic);
        let wiring = Wiring {
            mailbox,
            checks,
            workers: worker_commands.clone(),
            ends: Ends {
                commands: assigner_commands.clone(),
                shutdown: shutdown.clone(),
            },
            log: Arc::clone(&log),
            log_head: Arc::clone(&log_head),
            view: view_in,
            metrics: Arc::clone(&monitor_metrics),
            closed_through: Arc::clone(&closed_through),
            health: health.clone(),
        };
        let evaluator = restore(monitor, &*store, wiring)
            .with_context(|| format!("restoring monitor {name:?}"))?;
        evaluations.push(tokio::spawn(evaluator.run()));
        evaluators.insert(name, mail);
        watched.push(Watched {
            monitor: Arc::clone(monitor),
            metrics: monitor_metrics,
            closed_through,
        });
        handles.push(handle(monitor, view, checks_in));
    }
    let (monitors_in, monitors_out) = watch::channel(Arc::new(handles));

    let (checkpoints_in, checkpoints) = blocking::channel();
    let mut threads: Vec<Part> = Vec::new();
    for (id, inbox) in worker_inboxes.into_iter().enumerate() {
        let again = assigner_commands.clone();
        let worker = Worker {
            id,
            source: KafkaSource::new(&config.kafka)?,
            watched: watched.clone(),
            commands: inbox,
            checkpoints: checkpoints_in.clone(),
            positions: positions.clone(),
            metrics: Arc::clone(&metrics),
            checkpoint_interval: Duration::from_millis(config.state.checkpoint_interval_ms),
            log_payloads: config.log_payloads,
            heartbeat: health.heartbeat(&format!("consuming loop {id}"), LOOP_TURNS),
            out_of_range: Box::new(move |partitions| {
                // Without an assigner the program is stopping.
                let _ = again.send(AssignerCommand::Again(partitions));
            }),
        };
        threads.push(("a consuming loop", spawn("worker", move || worker.run())?));
    }
    drop(checkpoints_in);
    let checkpointer = Checkpointer {
        store: store.clone(),
        checkpoints,
        workers: worker_commands.clone(),
        evaluators: evaluators.clone(),
        health: health.clone(),
        metrics: Arc::clone(&metrics),
        give_up: give_up.clone(),
    };
    threads.push((
        "the checkpointer",
        spawn("checkpointer", move || checkpointer.run())?,
    ));
    let assigner = Assigner {
        control: Control::new(&config.kafka)?,
        commands: assigner_inbox,
        monitors: monitors.clone(),
        workers: worker_commands.clone(),
        evaluators: evaluators.clone(),
        store,
        positions,
        health: health.clone(),
        metrics: Arc::clone(&metrics),
        neighbour: Neighbour::new(&config.kafka.group_id, &config.kafka.instance_id),
        again: BTreeSet::new(),
    };
    let assigner_thread = vec![("the assigner", spawn("assigner", move || assigner.run())?)];

    let (reload_in, reloads) = mpsc::channel(4);
    let reloader = Reloader {
        config: Arc::clone(&config),
        monitors,
        reread,
        evaluators: evaluators.clone(),
        handles: monitors_in,
        notify: notify_in,
        metrics: Arc::clone(&metrics),
        requests: reloads,
    };
    let state = AppState {
        config: Arc::new(config.http.clone()),
        monitors: monitors_out,
        log: Arc::clone(&log),
        health,
        metrics: Arc::clone(&metrics),
        log_head: head,
        reload: reload_in,
    };
    let mut tasks = vec![
        tokio::spawn(reloader.run(readers.clone())),
        tokio::spawn(crate::http::serve(
            listener,
            crate::http::router(state),
            readers.clone(),
        )),
        tokio::spawn(expire(log, config.state.history_ms, readers.clone())),
        tokio::spawn(notifier),
    ];
    if let Some(csv) = config.csv.clone() {
        tasks.push(tokio::spawn(sink::run_csv(context, csv, metrics)));
    }
    Ok(Running {
        workers_and_checkpointer: threads,
        assigner_thread,
        workers: worker_commands,
        assigner: assigner_commands,
        evaluators,
        evaluations,
        tasks,
        readers,
        give_up,
    })
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
    pub(crate) async fn drain(self) {
        for worker in &self.workers {
            // One that is gone has stopped.
            let _ = worker.send(WorkerCommand::Stop);
        }
        self.give_up.cancel();
        if !ended(&self.workers_and_checkpointer, WORKERS_DRAIN).await {
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

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread
        .spawn(run)
        .with_context(|| format!("cannot start the {name} thread"))
}

/// The evaluator where it stood: its ring over stored panes, its incidents, its last report.
fn restore<S: StateStore + ReportLog>(
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
        ring.add(sealed.id, &sealed.pane.counts);
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

fn handle(
    monitor: &Arc<Monitor>,
    view: watch::Receiver<Arc<crate::http::state::MonitorView>>,
    checks: mpsc::Sender<super::evaluator::CheckReply>,
) -> MonitorHandle {
    MonitorHandle {
        config: Arc::new(monitor.config.clone()),
        definition: Arc::new(monitor.definition.clone()),
        left_out: Arc::new(monitor.left_out.clone()),
        view,
        checks,
    }
}

/// What the notifier needs to know of the configuration.
pub(super) fn notify_config(config: &Config, monitors: &[Arc<Monitor>]) -> sink::NotifyConfig {
    sink::NotifyConfig {
        receivers: config.receivers.clone(),
        labels: config.labels.clone(),
        public_url: config.http.public_url.clone(),
        monitors: monitors
            .iter()
            .map(|m| {
                let notify = sink::MonitorNotify {
                    receivers: m.config.notify.clone(),
                    definition: Arc::new(m.definition.clone()),
                };
                (m.definition.monitor.clone(), notify)
            })
            .collect(),
    }
}

/// Drops reports that are older than the history is to be.
async fn expire(log: Arc<dyn ReportLog>, history_ms: i64, shutdown: CancellationToken) {
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
