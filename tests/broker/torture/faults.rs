//! What happens to psiren and to its broker: the kinds of it, and how each is done.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Round;
use crate::psiren::{Home, Psiren};
use crate::wait;

const LIMIT: Duration = Duration::from_secs(60);
/// What a kill waits for may not come; then it is a kill at a random moment like others.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Kill(Moment),
    Stop,
    /// Stopped in its tracks, and continued.
    Freeze,
    /// Frozen while others run: one on its state, one beside it.
    Zombie,
    Broker(Harm, Meanwhile),
}

/// When psiren is killed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Moment {
    Anytime,
    /// Before it listens, restores its state, asks for partitions or reads its first records.
    Starting,
    /// As it writes its state.
    Checkpoint,
    /// As it writes rows.
    Rows,
    /// As a message has arrived, and mostly before it has heard so.
    Message,
    /// After it was asked to stop.
    Stopping,
    Frozen,
}

/// What is done to the broker.
#[derive(Clone, Copy, Debug)]
pub(super) enum Harm {
    Freeze,
    Stop,
    Kill,
}

/// What happens to psiren while the broker is away.
#[derive(Clone, Copy, Debug)]
pub(super) enum Meanwhile {
    Nothing,
    Kill,
    Stop,
}

impl Fault {
    /// The faults of a round, in random order.
    pub(super) fn draw(rng: &mut fastrand::Rng, size: super::Size) -> Vec<Self> {
        // In turn, so that few kills are of different kinds too.
        let moments = [
            Moment::Message,
            Moment::Checkpoint,
            Moment::Starting,
            Moment::Anytime,
            Moment::Stopping,
            Moment::Rows,
            Moment::Frozen,
        ];
        let harms = [Harm::Kill, Harm::Freeze, Harm::Stop];
        let meanwhile = [Meanwhile::Kill, Meanwhile::Nothing, Meanwhile::Stop];
        let (harm, also) = (rng.usize(0..harms.len()), rng.usize(0..meanwhile.len()));
        let first = rng.usize(0..moments.len());
        let mut faults = Vec::new();
        faults.extend((0..size.kills).map(|i| Self::Kill(moments[(first + i) % moments.len()])));
        faults.extend((0..size.zombies).map(|_| Self::Zombie));
        // The two lists have the same length: an extra step at each turn brings all pairs.
        faults.extend((0..size.broker_faults).map(|i| {
            let pair = (also + i + i / harms.len()) % meanwhile.len();
            Self::Broker(harms[(harm + i) % harms.len()], meanwhile[pair])
        }));
        faults.extend((0..size.kills.div_ceil(5)).flat_map(|_| [Self::Stop, Self::Freeze]));
        rng.shuffle(&mut faults);
        faults
    }
}

impl Round<'_> {
    /// Does it, and leaves psiren and the broker running.
    pub(super) fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(moment) => self.kill_at(moment),
            Fault::Stop => self.stop(),
            Fault::Freeze => self.freeze(),
            Fault::Zombie => self.outlive_as_zombie(),
            Fault::Broker(harm, meanwhile) => self.harm_broker(harm, meanwhile),
        }
        let ended = self.psiren().exit_within(Duration::ZERO);
        assert!(ended.is_none(), "psiren ended by itself: {ended:?}");
    }

    fn kill_at(&mut self, moment: Moment) {
        match moment {
            Moment::Anytime => self.pause(1500),
            Moment::Starting => {
                self.kill();
                self.psiren = Some(self.home.launch());
                self.pause(1500);
            }
            Moment::Checkpoint => {
                let state = self.home.path("state/psiren.redb");
                await_change(|| written(&state));
                // Anywhere in the transaction, or right behind it.
                self.pause(25);
            }
            Moment::Rows => {
                let rows = self.home.path("psi.csv");
                await_change(|| written(&rows));
                self.pause(10);
            }
            Moment::Message => await_change(|| self.webhook.count()),
            Moment::Stopping => {
                self.psiren().ask_to_stop();
                self.pause(200);
            }
            Moment::Frozen => {
                self.psiren().freeze();
                self.pause(1000);
            }
        }
        self.kill();
        self.psiren = Some(self.home.start());
    }

    /// Ends psiren in the middle of whatever it does. Nothing runs afterwards.
    fn kill(&mut self) {
        self.psiren.take().expect("psiren runs").kill9();
        self.suffered.kills += 1;
    }

    fn stop(&mut self) {
        self.psiren.take().expect("psiren runs").terminate();
        self.psiren = Some(self.home.start());
    }

    fn freeze(&mut self) {
        self.psiren().freeze();
        self.pause(1500);
        self.psiren().cont();
    }

    /// The first zombie of a round gets a neighbour for the rest of it.
    fn outlive_as_zombie(&mut self) {
        if self.neighbour.is_none() {
            let home = Home::with_config(&self.plan.config(self.kafka, "", self.plan.way));
            let psiren = home.start();
            self.neighbour = Some((home, psiren));
        }
        self.psiren().freeze();
        expect_refused(&self.home);
        let (_, neighbour) = self.neighbour.as_ref().expect("a neighbour");
        let before = neighbour.consumed();
        self.flow.allow(self.portion / 2);
        wait::until("the neighbour to count", LIMIT, || {
            neighbour.consumed() > before
        });
        self.psiren().cont();
        self.suffered.zombies += 1;
    }

    fn harm_broker(&mut self, harm: Harm, meanwhile: Meanwhile) {
        match harm {
            Harm::Freeze => self.kafka.freeze(),
            Harm::Stop => self.kafka.stop(),
            Harm::Kill => self.kafka.kill(),
        }
        self.pause(1000);
        match meanwhile {
            Meanwhile::Nothing => self.pause(1000),
            Meanwhile::Kill => {
                self.kill();
                self.psiren = Some(self.home.start());
            }
            Meanwhile::Stop => self.stop(),
        }
        match harm {
            Harm::Freeze => self.kafka.cont(),
            Harm::Stop | Harm::Kill => self.kafka.restart(),
        }
        self.suffered.broker_faults += 1;
    }

    fn psiren(&mut self) -> &mut Psiren {
        self.psiren.as_mut().expect("psiren runs")
    }

    /// Sleeps for up to so many milliseconds.
    fn pause(&mut self, most_ms: u64) {
        sleep(Duration::from_micros(self.rng.u64(0..most_ms * 1000)));
    }
}

/// A second process on the same state must be told so, and end.
fn expect_refused(home: &Home) {
    let mut second = home.launch();
    let status = second.exit_within(LIMIT);
    let said = second.log();
    assert!(
        status.is_some_and(|status| !status.success()),
        "a second process on the state of a frozen one: {status:?}"
    );
    assert!(said.contains("in use by another process"), "{said}");
}

/// Waits until `look` sees something else than before, for a while.
fn await_change<T: PartialEq>(look: impl Fn() -> T) {
    let (before, began) = (look(), Instant::now());
    while look() == before && began.elapsed() < PATIENCE {
        sleep(Duration::from_millis(1));
    }
}

fn written(path: &Path) -> Option<(u64, std::time::SystemTime)> {
    let metadata = path.metadata().ok()?;
    Some((metadata.len(), metadata.modified().ok()?))
}
