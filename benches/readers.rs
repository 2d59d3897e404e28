//! Holds the fast reader of events against the reference reader, a hundred million times or as often
//! as `PSIREN_EVENTS` says. `cargo bench --bench readers`; `PSIREN_SEED` repeats a run.

#[path = "../tests/support/odd_events.rs"]
mod odd_events;
#[path = "../tests/fuzz/readers.rs"]
mod readers;

use fastrand::Rng;

const EVENTS: usize = 100_000_000;

#[expect(clippy::print_stdout, reason = "that is what it is run for")]
fn main() {
    let number = |name| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().unwrap_or_else(|_| {
            panic!("{name} is {text:?}, expected a number");
        }))
    };
    let most = number("PSIREN_EVENTS").map_or(EVENTS, |n| n as usize);
    let first = number("PSIREN_SEED").unwrap_or_else(|| Rng::new().u64(..));
    println!("the first seed is {first}");
    let mut events = 0;
    for seed in (0..).map(|n| first.wrapping_add(n)) {
        events += readers::compare(&mut Rng::with_seed(seed));
        if events >= most {
            break;
        }
    }
    println!("both readers agree over {events} events");
}
