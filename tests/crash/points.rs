//! Every system call of the script as the place of a fault.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::num::NonZero;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::content::Content;
use crate::power;
use crate::script::GAVE_UP;
use crate::strace::{CALLS, Stage};
use crate::torture::sized;

pub(crate) fn cases() -> Vec<(&'static str, fn())> {
    vec![
        ("killed_at_every_call", killed_at_every_call),
        (
            "killed_again_at_every_call_of_the_recovery",
            killed_again_at_every_call_of_the_recovery,
        ),
        ("a_row_torn_at_any_byte", a_row_torn_at_any_byte),
        ("a_disk_that_is_full_once", a_disk_that_is_full_once),
        (
            "a_disk_that_is_full_for_a_while",
            a_disk_that_is_full_for_a_while,
        ),
        ("a_disk_that_stays_full", a_disk_that_stays_full),
        ("a_sync_that_fails", a_sync_that_fails),
        ("killed_on_a_full_disk", killed_on_a_full_disk),
        (
            "the_power_fails_at_every_call",
            power::the_power_fails_at_every_call,
        ),
    ]
}

/// What the script comes to undisturbed.
fn expected() -> &'static Content {
    static EXPECTED: OnceLock<Content> = OnceLock::new();
    EXPECTED.get_or_init(|| {
        let stage = Stage::new();
        stage.play().expect_end();
        stage.content()
    })
}

fn counts() -> &'static BTreeMap<&'static str, usize> {
    static COUNTS: OnceLock<BTreeMap<&'static str, usize>> = OnceLock::new();
    COUNTS.get_or_init(|| Stage::new().count())
}

/// Longer than any fault that passes.
const PATIENT: u32 = 40;

/// The n-th call of a kind, n from 1.
type Point = (&'static str, usize);

/// Every call of these kinds that the script makes where there are hours, one in `ci` of them in
/// CI, `few` otherwise.
fn points(kinds: &[&'static str], few: usize, ci: usize) -> Vec<Point> {
    let all: Vec<Point> = kinds
        .iter()
        .flat_map(|kind| (1..=counts()[kind]).map(move |n| (*kind, n)))
        .collect();
    let step = sized(all.len().div_ceil(few), ci, 1);
    // Not the same ones for every fault.
    all.into_iter().skip(few % step).step_by(step).collect()
}

/// Calls `test` with every point, `threads` of them at a time.
pub(crate) fn each<T: Sync>(points: &[T], threads: usize, test: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    test(point);
                }
            });
        }
    });
}

pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(2, NonZero::get)
}

/// The script is played to its end and comes to what it always comes to.
pub(crate) fn completes(stage: &Stage, what: &str) {
    let played = stage.play();
    assert_eq!(played.code(), Some(0), "{what}: {}", played.said());
    assert!(
        stage.content() == *expected(),
        "{what}: {:#?}",
        stage.content()
    );
}

fn killed_at_every_call() {
    let points = points(&CALLS, 16, 1);
    each(&points, cores(), |(call, n)| {
        let what = format!("killed at {call} {n}");
        let stage = Stage::new();
        let played = stage.disturbed(&[format!("{call}:signal=KILL:when={n}")], PATIENT);
        assert!(played.killed(), "{what}: {}", played.said());
        completes(&stage, &what);
    });
}

/// How many calls of a kind the second start makes before both files are open and repaired.
fn recovery(kind: &str) -> usize {
    match kind {
        "pwrite64" | "fdatasync" => 12,
        _ => 3,
    }
}

fn killed_again_at_every_call_of_the_recovery() {
    let first = points(&["pwrite64", "fdatasync", "write"], 1, 1);
    let step = first.len().div_ceil(sized(1, 6, 90));
    // What a first start left unfinished is removed by the second only.
    let kinds = CALLS
        .iter()
        .filter(|kind| counts()[*kind] > 0 || **kind == "unlink");
    let second: Vec<Point> = kinds
        .flat_map(|kind| (1..=recovery(kind)).map(move |n| (*kind, n)))
        .step_by(sized(8, 1, 1))
        .collect();
    let pairs: Vec<(Point, Point)> = first
        .into_iter()
        .step_by(step)
        .flat_map(|first| second.iter().map(move |second| (first, *second)))
        .collect();
    each(&pairs, cores(), |((call, n), (again, m))| {
        let what = format!("killed at {call} {n}, then at {again} {m}");
        let stage = Stage::new();
        let first = stage.disturbed(&[format!("{call}:signal=KILL:when={n}")], PATIENT);
        assert!(first.killed(), "{what}: {}", first.said());
        let second = stage.disturbed(&[format!("{again}:signal=KILL:when={m}")], PATIENT);
        assert!(
            second.killed() || second.code() == Some(0),
            "{what}: {}",
            second.said()
        );
        completes(&stage, &what);
    });
}

/// The kernel wrote a part of the rows when the process was killed.
fn a_row_torn_at_any_byte() {
    let cuts: Vec<(Point, usize)> = points(&["write"], 4, 1)
        .into_iter()
        .flat_map(|point| {
            sized(vec![40], vec![1, 40, 95], vec![1, 20, 40, 60, 80, 95])
                .into_iter()
                .map(move |share| (point, share))
        })
        .collect();
    each(&cuts, cores(), |((call, n), share)| {
        let what = format!("{call} {n} torn at {share} percent");
        let stage = Stage::new();
        assert!(
            stage
                .disturbed(&[format!("{call}:signal=KILL:when={n}")], PATIENT)
                .killed(),
            "{what}"
        );
        let there = std::fs::read_to_string(stage.csv()).unwrap_or_default();
        let rest = expected().csv().strip_prefix(&there).expect("a prefix");
        let row = rest.split_inclusive('\n').next().unwrap_or_default();
        let torn = &row.as_bytes()[..row.len() * share / 100];
        OpenOptions::new()
            .append(true)
            .open(stage.csv())
            .and_then(|mut file| file.write_all(torn))
            .expect("the file can be appended to");
        completes(&stage, &what);
    });
}

/// Calls that need space, or make what was written durable.
const SPACE: [&str; 7] = [
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "rename",
];

fn a_disk_that_is_full_once() {
    faults(&SPACE, (6, 1), "error=ENOSPC", |n| n.to_string(), true);
}

fn a_disk_that_is_full_for_a_while() {
    faults(
        &SPACE,
        (5, 1),
        "error=ENOSPC",
        |n| format!("{n}..{}", n + 3),
        true,
    );
}

fn a_disk_that_stays_full() {
    faults(&SPACE, (4, 1), "error=ENOSPC", |n| format!("{n}+"), false);
}

fn a_sync_that_fails() {
    faults(
        &["fsync", "fdatasync"],
        (4, 1),
        "error=EIO",
        |n| n.to_string(),
        true,
    );
}

/// The script meets `error` `when` it makes the n-th call, for every n: it says so and, where the
/// error `passes`, goes on by itself to the end. Otherwise it gives up, and the next start goes on.
fn faults(
    kinds: &[&'static str],
    (few, ci): (usize, usize),
    error: &str,
    when: fn(usize) -> String,
    passes: bool,
) {
    let points = points(kinds, few, ci);
    let patience = if passes { PATIENT } else { 2 };
    // They mostly wait for their next try.
    each(&points, 3 * cores(), |(call, n)| {
        let injection = format!("{call}:{error}:when={}", when(*n));
        let stage = Stage::new();
        let played = stage.disturbed(std::slice::from_ref(&injection), patience);
        let (code, said) = (played.code(), played.said());
        let fine = code == Some(0) || !passes && code == Some(GAVE_UP.into());
        assert!(fine, "{injection}: {code:?}: {said}");
        let words = ["No space left", "Input/output error"];
        assert!(
            !is_told(call, *n) || words.iter().any(|words| said.contains(words)),
            "{injection}: {said}"
        );
        assert!(!said.contains("panicked"), "{injection}: {said}");
        completes(&stage, &injection);
    });
}

/// Whether psiren has to say that the call failed. Folders are synced where the system lets them,
/// and what a store writes when it is closed, in the first and in the last tenth of the script, is
/// made up for by the next opening.
fn is_told(call: &str, n: usize) -> bool {
    let tenth = counts()[call] / 10;
    !matches!(call, "openat" | "fsync") && n > tenth && n + tenth < counts()[call]
}

/// The disk is full at a write, and the process is killed at a sync at about that time.
fn killed_on_a_full_disk() {
    let points = points(&["write", "pwrite64"], 3, 1);
    each(&points, 2 * cores(), |(call, n)| {
        let syncs = n * counts()["fdatasync"] / counts()[call];
        let full = format!("{call}:error=ENOSPC:when={n}..{}", n + 2);
        let kill = format!("fdatasync:signal=KILL:when={}", syncs + 1);
        let what = format!("{full}, {kill}");
        let stage = Stage::new();
        let played = stage.disturbed(&[full, kill], PATIENT);
        let said = played.said();
        assert!(
            played.killed() || played.code().is_some_and(|c| c == 0),
            "{what}: {said}"
        );
        assert!(!said.contains("panicked"), "{what}: {said}");
        completes(&stage, &what);
    });
}
