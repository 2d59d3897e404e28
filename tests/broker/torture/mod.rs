//! psiren under torture: killed, frozen, stopped and doubled at random moments, with a broker that is not better off,
//! while every kind of record flows. At the end its counts are those of a recount of the log, its rows those of an
//! uninterrupted psiren, and each incident was told once.
//!
//! A run is made of rounds. A round has a seed, topics and state of its own; its plan, records and faults follow from the
//! seed, only the moments at which things meet do not.

mod checks;
mod faults;
mod flow;
mod messages;
mod plan;
mod records;
mod recount;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};
use std::{fmt, fs};

use jiff::Timestamp;
use psiren::monitor::Monitor;
use psiren::state::ReportLog as _;

use self::checks::Recounts;
use self::faults::Fault;
use self::flow::Flow;
use self::plan::Plan;
use crate::Case;
use crate::kafka::Kafka;
use crate::psiren::{Home, Psiren};
use crate::size;
use crate::wait;
use crate::webhook::{Answer, Webhook};

/// For everything that is left once nothing is broken any more.
const CATCH_UP: Duration = Duration::from_secs(1800);
/// Windows close all the time while psiren catches up.
const STALLED: Duration = Duration::from_secs(90);
const LIMIT: Duration = Duration::from_secs(60);
/// The webhook answers after up to so long: a kill may fall between a message and the word that it arrived.
const ANSWER_MS: u64 = 120;
/// Without a message for so long, all are probably told.
const SILENCE: Duration = Duration::from_secs(1);
const RECEIVER: &str = "oncall";

pub(crate) fn cases() -> Vec<Case> {
    vec![Case::own(
        "torture_by_kills_zombies_and_broker_faults_leaves_the_counts_of_a_recount",
        torture_by_kills_zombies_and_broker_faults_leaves_the_counts_of_a_recount,
    )]
}

/// What one round has, at least.
#[derive(Clone, Copy, Debug)]
struct Size {
    kills: usize,
    zombies: usize,
    broker_faults: usize,
    events: u64,
    /// Of event time.
    hours: i64,
}

fn torture_by_kills_zombies_and_broker_faults_leaves_the_counts_of_a_recount(kafka: &mut Kafka) {
    let small = Size {
        kills: 4,
        zombies: 1,
        broker_faults: 1,
        events: 24_000,
        hours: 4,
    };
    let ci = Size {
        kills: 10,
        zombies: 1,
        broker_faults: 2,
        events: 380_000,
        hours: 12,
    };
    let long = Size {
        kills: 50,
        zombies: 5,
        broker_faults: 10,
        events: 5_000_000,
        hours: 24,
    };
    let (rounds, size) = size::sized((1, small), (6, ci), (20, long));
    let rounds = if size::replays() { 1 } else { rounds };
    let seed = size::seed();
    for round in 0..rounds {
        play(kafka, seed.wrapping_add(round), size);
    }
}

/// Plays one round; says how to play it again when it fails.
fn play(kafka: &mut Kafka, seed: u64, size: Size) {
    let began = Instant::now();
    let _replay = Replay(seed);
    let plan = Plan::draw(kafka, seed, size);
    let done = Round::begin(kafka, &plan).play();
    // A closed standard output is no reason to fail.
    let _ = writeln!(
        std::io::stdout(),
        "torture: seed {seed}: {done}, {} s",
        began.elapsed().as_secs()
    );
    for (topic, _) in &plan.topics {
        topic.delete();
    }
}

struct Replay(u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if thread::panicking() {
            let Self(seed) = self;
            let size = std::env::var("PSIREN_TORTURE").unwrap_or_default();
            let profile = if size.is_empty() {
                ""
            } else {
                "--config profile.dev.package.psiren.opt-level=2 "
            };
            // Nobody may be there to read it.
            let _ = writeln!(
                std::io::stderr(),
                "torture: to replay: PSIREN_SEED={seed} PSIREN_TORTURE={size} cargo test {profile}--test broker -- torture"
            );
        }
    }
}

/// A round under way.
struct Round<'a> {
    kafka: &'a mut Kafka,
    plan: &'a Plan,
    rng: fastrand::Rng,
    faults: Vec<Fault>,
    flow: Flow,
    /// Records that flow for each fault.
    portion: u64,
    webhook: Webhook,
    home: Home,
    /// `None` between its end and its next start.
    psiren: Option<Psiren>,
    /// A psiren of another group that is left in peace.
    neighbour: Option<(Home, Psiren)>,
    suffered: Suffered,
}

#[derive(Clone, Copy, Default)]
struct Suffered {
    kills: usize,
    zombies: usize,
    broker_faults: usize,
}

impl<'a> Round<'a> {
    fn begin(kafka: &'a mut Kafka, plan: &'a Plan) -> Self {
        let mut rng = fastrand::Rng::with_seed(plan.seed ^ 0xFA);
        let faults = Fault::draw(&mut rng, plan.size);
        let portion = plan.size.events / (faults.len() as u64 + 1);
        let mut answers = rng.fork();
        let webhook = Webhook::start(std::iter::repeat_with(move || {
            Answer::After(Duration::from_millis(answers.u64(0..ANSWER_MS)))
        }));
        let url = &webhook.url;
        let receiver = format!("[notify.{RECEIVER}]\nslack_webhook_url = {url:?}\n");
        let home = Home::with_config(&plan.config(kafka, &receiver, plan.way));
        Self {
            flow: Flow::start(kafka, plan, portion),
            kafka,
            plan,
            rng,
            faults,
            portion,
            webhook,
            psiren: Some(home.start()),
            home,
            neighbour: None,
            suffered: Suffered::default(),
        }
    }

    /// Breaks everything, lets it settle and compares; gives what happened, in words.
    fn play(mut self) -> String {
        for fault in std::mem::take(&mut self.faults) {
            self.flow.allow(self.portion);
            self.suffer(fault);
        }
        let Self { kafka, plan, .. } = self;
        let monitors = &plan.monitors;
        self.flow.finish();
        let counts = recounts(kafka, plan);
        let psiren = self.psiren.expect("psiren runs");
        await_rows(&self.home, plan, &counts);
        await_silence(&self.webhook);
        checks::expect_conservation(&psiren, monitors);
        psiren.terminate();
        empty_outbox(&self.home);
        checks::expect_counts("tortured", &self.home, monitors, &counts);
        let entries = checks::entries(&checks::open(&self.home));
        let delivered = self.webhook.delivered();
        let told = messages::expect_told(&entries, &delivered, self.suffered.kills);
        assert!(told.messages > 0, "nothing drifted, so nothing was shown");

        let uninterrupted = Home::with_config(&plan.config(kafka, "", plan.way.other()));
        let straight = uninterrupted.start();
        await_rows(&uninterrupted, plan, &counts);
        straight.terminate();
        checks::expect_counts("uninterrupted", &uninterrupted, monitors, &counts);
        checks::expect_same("tortured", &self.home, &uninterrupted, monitors);
        if let Some((home, neighbour)) = self.neighbour {
            await_rows(&home, plan, &counts);
            neighbour.terminate();
            checks::expect_counts("neighbour", &home, monitors, &counts);
            checks::expect_same("neighbour", &home, &uninterrupted, monitors);
        }
        format!(
            "{}, {} events, {} windows, {told}",
            self.suffered,
            events(&counts, plan),
            entries.len(),
        )
    }
}

impl fmt::Display for Suffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kills,
            zombies,
            broker_faults,
        } = self;
        write!(
            f,
            "{kills} kills, {zombies} zombies, {broker_faults} broker faults"
        )
    }
}

fn recounts(kafka: &Kafka, plan: &Plan) -> Recounts {
    let mut counts = BTreeMap::new();
    for (topic, partitions) in &plan.topics {
        let monitors: Vec<_> = plan.watching(&topic.name).collect();
        let of_topic = recount::recount(kafka, &topic.name, *partitions, &monitors);
        let names = monitors.iter().map(|monitor| monitor.config.name.clone());
        counts.extend(names.zip(of_topic));
    }
    counts
}

/// Records in the logs.
fn events(counts: &Recounts, plan: &Plan) -> i64 {
    let one_of = |topic: &str| plan.watching(topic).next().map(|m| &counts[&m.config.name]);
    let topics = plan.topics.iter().filter_map(|(t, _)| one_of(&t.name));
    topics.flat_map(|c| c.values()).map(|c| c.next_offset).sum()
}

/// Waits until the row of each monitor's last window is in the file.
fn await_rows(home: &Home, plan: &Plan, counts: &Recounts) {
    let last_row = |monitor: &Arc<Monitor>| {
        let (name, panes) = (&monitor.config.name, &monitor.config.panes);
        let ends = checks::window_ends(monitor, &counts[name]);
        let end = ends.last().expect("a window that closes");
        let end = Timestamp::from_millisecond(end * panes.width_ms + panes.offset_ms);
        let end = end.expect("an instant");
        let feature = monitor.definition.features.last().expect("a feature");
        format!(",{end},{name},,{},final,", feature.name())
    };
    let rows: Vec<String> = plan.monitors.iter().map(last_row).collect();
    let (mut seen, mut grown) = (0, Instant::now());
    wait::until("the last rows", CATCH_UP, || {
        let len = fs::metadata(home.path("psi.csv")).map_or(0, |file| file.len());
        if len == seen {
            assert!(grown.elapsed() < STALLED, "no more rows for {STALLED:?}");
            return false;
        }
        (seen, grown) = (len, Instant::now());
        let text = fs::read_to_string(home.path("psi.csv")).unwrap_or_default();
        rows.iter().all(|row| text.contains(row))
    });
}

/// Waits until the webhook has heard nothing for a while.
fn await_silence(webhook: &Webhook) {
    let (mut count, mut since) = (webhook.count(), Instant::now());
    wait::until("the messages to end", CATCH_UP, || {
        if webhook.count() != count {
            (count, since) = (webhook.count(), Instant::now());
        }
        since.elapsed() > SILENCE
    });
}

/// Starts psiren until everything in its report log was told.
fn empty_outbox(home: &Home) {
    let is_empty = || {
        let store = checks::open(home);
        let cursor = store
            .cursor(&format!("slack.{RECEIVER}"))
            .expect("a cursor");
        let cursor = cursor.expect("a cursor after messages");
        let cursor: serde_json::Value = serde_json::from_slice(&cursor).expect("JSON");
        cursor["done"].as_u64() == store.head().ok() && cursor["attempting"].is_null()
    };
    wait::until("every message", LIMIT, || {
        let empty = is_empty();
        if !empty {
            let psiren = home.start();
            thread::sleep(SILENCE);
            psiren.terminate();
        }
        empty
    });
}
