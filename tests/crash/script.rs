//! What the child process does: a fixed sequence of checkpoints, commits and CSV appends.
//!
//! It resumes as psiren does: what is stored says how far it came. Whatever happens to it, and
//! however often it is started, it ends in the same content and the same file. A failing disk is
//! met as psiren meets it: told once, tried again until it works; here the patience ends, so that
//! an error that never goes is a result too.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use psiren::config::CsvConfig;
use psiren::drift::{PaneId, SealedPane};
use psiren::sink::{SinkContext, run_csv};
use psiren::state::local::{LocalOptions, LocalStore};
use psiren::state::{EvaluatorState, ReportLog, StateError, StateStore, UnitState};
use tokio_util::sync::CancellationToken;

use crate::content::{CSV, MONITOR, STATE};
use crate::progress::Progress;
use crate::values::{entries, key, pane, unit, written_ms};

/// Checkpoints and commits; three partitions each.
pub(crate) const STEPS: i64 = 24;
/// After this step partition 2 is set aside and begins again at a lower offset.
const SET_ASIDE: i64 = 8;
/// Sealed panes that windows still need.
const KEPT: i64 = 3;
/// Entries written before that step are expired in the end.
const EXPIRED: i64 = 6;
/// Set to how often a failing call is tried before the child gives up.
pub(crate) const PATIENCE: &str = "PSIREN_CRASH_PATIENCE";
/// Exit code of a child whose disk did not get well.
pub(crate) const GAVE_UP: u8 = 3;

/// Plays the script in the current folder.
pub(crate) fn play() -> ExitCode {
    // One thread makes all calls that touch files, so that their order is always the same.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::from_secs(3600))
        .build();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    let played = match runtime {
        Ok(runtime) => runtime.block_on(all_steps()),
        Err(error) => Err(error.to_string()),
    };
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            tracing::error!("gave up: {why}");
            ExitCode::from(GAVE_UP)
        }
    }
}

async fn all_steps() -> Result<(), String> {
    let store = blocking(|| {
        let open = || LocalStore::open(STATE.as_ref(), LocalOptions::default());
        insist("the state cannot be opened", open)
    })
    .await?;
    let store = Arc::new(store);
    let resumed = Arc::clone(&store);
    let (done, head) = blocking(move || resume(&resumed)).await?;

    let progress = Progress::new(Arc::clone(&store), head);
    let shutdown = CancellationToken::new();
    let context = SinkContext {
        log: progress.clone(),
        head: progress.head(),
        shutdown: shutdown.clone(),
    };
    let config = CsvConfig { path: CSV.into() };
    let csv = tokio::spawn(run_csv(context, config, progress.clone()));
    let played = play_from(done, &store, &progress).await;
    shutdown.cancel();
    csv.await.map_err(|error| error.to_string())?;
    drop(progress);
    // It writes once more when it is closed.
    blocking(move || {
        drop(store);
        Ok(())
    })
    .await?;
    played
}

async fn play_from(
    done: i64,
    store: &Arc<LocalStore>,
    progress: &Arc<Progress>,
) -> Result<(), String> {
    for n in done + 1..=STEPS {
        let store = Arc::clone(store);
        let head = blocking(move || step(&store, n)).await?;
        progress.grown(head);
        progress.csv_has_done_what_it_can(patience()).await;
    }
    progress.csv_has_all(patience()).await?;
    let store = Arc::clone(store);
    blocking(move || {
        insist("entries cannot be expired", || {
            store.expire(written_ms(EXPIRED))
        })
    })
    .await
    .map(|_| ())
}

/// Everything of step `n`; may be done again when a crash came before its end.
fn step(store: &LocalStore, n: i64) -> Result<u64, String> {
    let sealed: Vec<_> = (0..3)
        .map(|partition| {
            let id = PaneId(n);
            let pane = pane(n, offset(partition, n));
            (key(partition), SealedPane { id, pane })
        })
        .collect();
    let units: Vec<_> = (0..3).map(|p| (key(p), state_after(p, n))).collect();
    insist("checkpoint failed", || store.checkpoint(&sealed, &units))?;
    if n == SET_ASIDE {
        insist("a unit cannot be set aside", || {
            store.set_aside(&key(2), &UnitState::fresh(0, None), written_ms(n))
        })?;
    }
    if n % 3 == 0 {
        let cursor = n.to_string();
        insist("a cursor cannot be stored", || {
            store.set_cursor("slack", cursor.as_bytes())
        })?;
    }
    let state = evaluator_after(n);
    let needed = Some(PaneId(n - KEPT));
    insist("commit failed", || {
        store.commit(MONITOR, &state, &entries(n), needed)
    })
}

fn evaluator_after(n: i64) -> EvaluatorState {
    EvaluatorState {
        closed_through: Some(PaneId(n)),
        first: Some(PaneId(1)),
        ..EvaluatorState::default()
    }
}

fn state_after(partition: i32, n: i64) -> UnitState {
    unit(n, offset(partition, n))
}

/// The next offset after step `n`.
fn offset(partition: i32, n: i64) -> i64 {
    match partition {
        2 if n > SET_ASIDE => (n - SET_ASIDE) * 10,
        _ => n * 10 + i64::from(partition),
    }
}

/// The last step that is complete, and the head of the log. What is stored must be the state
/// after that step, or on the way to the next one.
fn resume(store: &LocalStore) -> Result<(i64, u64), String> {
    let read = |error: StateError| error.to_string();
    let state = store.evaluator(MONITOR).map_err(read)?;
    let done = state.closed_through.map_or(0, |pane| pane.0);
    assert!(done == 0 || state == evaluator_after(done), "{state:?}");
    for (unit, found) in store.units(MONITOR).map_err(read)? {
        let expected = [done, done + 1].map(|n| state_after(unit.partition, n));
        // It starts over in this step, and counts again in the next one.
        let starts_over = unit.partition == 2
            && [done, done + 1].contains(&SET_ASIDE)
            && found == UnitState::fresh(0, None);
        let known = starts_over || expected.contains(&found);
        assert!(known, "after step {done}: {found:?}");
    }
    let head = store.head().map_err(read)?;
    let log: Vec<_> = store.read(0, usize::MAX).map_err(read)?;
    let written: Vec<_> = (1..=done).flat_map(entries).collect();
    assert_eq!(head, written.len() as u64, "after step {done}");
    for (seq, entry) in log {
        assert_eq!(entry, written[seq as usize - 1], "entry {seq}");
    }
    Ok((done, head))
}

fn patience() -> u32 {
    std::env::var(PATIENCE).map_or(40, |text| text.parse().expect("a number"))
}

/// As psiren does with calls that fail: tells once, then tries again; faster, and not for ever.
fn insist<T>(what: &str, call: impl Fn() -> Result<T, StateError>) -> Result<T, String> {
    let mut told = false;
    for _ in 0..patience() {
        match call() {
            Ok(value) => {
                if told {
                    tracing::info!("the state can be written again");
                }
                return Ok(value);
            }
            Err(error) if !told => {
                told = true;
                tracing::error!("{what}, trying again: {error}");
            }
            Err(_) => {}
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    call().map_err(|error| format!("{what}: {error}"))
}

async fn blocking<T: Send + 'static>(
    call: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, String> {
    tokio::task::spawn_blocking(call)
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
