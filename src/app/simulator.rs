//! The counting, the checkpoints and the closing of windows under every fault that a seed can name.
//!
//! Everything below is the program's own: the consuming loop, the checkpointer, the evaluators and
//! the store. Only threads and time are taken from them: a schedule says who does the next step, and
//! all of it runs on one thread.
//!
//! ```text
//! random      one seed → everything that chance decides
//! script      the logs of a schedule, and a recount of them without any of the program
//! feed        the logs as a consumer sees them
//! process     loops and checkpointer of one process        judge   its evaluators
//! leader      evaluators that know of other processes' counts from the store alone
//! world       processes over one disk, partitions that move between them; how they die
//! schedule    which step is next, and the calm at the end
//! witness     what the store promised      told   what the evaluators were told
//! oracle      what has to hold
//! ```
//!
//! Two kinds of schedules: one process on the embedded store, as psiren runs today, and several on a
//! [folder](crate::state::folder) that stands for the state topic of replicas.

mod faults;
mod feed;
mod judge;
mod leader;
mod medium;
mod oracle;
mod process;
mod random;
mod schedule;
mod script;
mod setting;
mod told;
mod witness;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use self::faults::Run;
use crate::torture;

#[test]
#[expect(clippy::print_stdout, reason = "a run says what happened in it")]
fn counts_and_reports_survive_every_fault_integer_for_integer() {
    if torture::replays() {
        println!("{}", schedule::run(torture::seed(), true));
        return;
    }
    let began = Instant::now();
    let happened = run_all(torture::seed(), torture::sized(500, 40_000, 1_000_000));
    println!("{happened}{:.0} a second", rate(&happened, began.elapsed()));
    if happened.schedules() >= 10_000 {
        let seldom = happened.seldom(10);
        assert_eq!(seldom, [[], []], "too few schedules had any of these");
    }
}

fn rate(happened: &Run, took: Duration) -> f64 {
    happened.schedules() as f64 / took.as_secs_f64()
}

/// Runs `schedules` of them, whose seeds all come from `seed`, on all processors.
fn run_all(seed: u64, schedules: u64) -> Run {
    let (next, all) = (AtomicU64::new(0), Mutex::new(Run::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut happened = Run::default();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= schedules {
                        break;
                    }
                    happened.add(&run_one(seed, number, &next, schedules));
                }
                all.lock().unwrap().add(&happened);
            });
        }
    });
    all.into_inner().unwrap()
}

#[expect(clippy::print_stderr, reason = "the one line that replays a failure")]
fn run_one(seed: u64, number: u64, next: &AtomicU64, schedules: u64) -> Run {
    let seed = random::Random::new(seed.wrapping_add(number)).next();
    catch_unwind(AssertUnwindSafe(|| schedule::run(seed, false))).unwrap_or_else(|panic| {
        next.store(schedules, Ordering::Relaxed);
        eprintln!(
            "schedule {number} failed; PSIREN_SEED={seed} cargo test --lib simulator -- --nocapture"
        );
        resume_unwind(panic)
    })
}
