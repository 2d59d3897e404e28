//! Replays the corpus of each fuzz target, file by file, and random changes of it; see
//! `docs/fuzzing.md`.

mod mutate;
#[path = "../support/odd_events.rs"]
mod odd_events;
mod readers;
#[expect(unreachable_pub, reason = "the fuzz crate uses the same files")]
mod targets;
#[path = "../support/torture.rs"]
mod torture;

use std::any::Any;
use std::fs;
use std::io::Read;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

use fastrand::Rng;
use flate2::read::GzDecoder;
use peak_alloc::PeakAlloc;
use psiren::config::TimestampField;
use psiren::event::{EventSchema, FeatureField};
use psiren::reference::{self, LoadOptions};
use rstest::rstest;

use mutate::mutated;
use torture::sized;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What any input of a few kilobytes may make a target hold at a time, in bytes.
const MOST_MEMORY: usize = 64 << 20;

/// A stored value may say that it is as large as the codec reads.
const MOST_MEMORY_OF_STATE: usize = MOST_MEMORY + psiren::state::codec::MAX_BYTES;

#[rstest]
#[case::config("config", targets::config::judge, MOST_MEMORY)]
#[case::csv("csv", targets::csv::judge, MOST_MEMORY)]
#[case::event("event", targets::event::judge, MOST_MEMORY)]
#[case::http("http", targets::http::judge, MOST_MEMORY)]
#[case::parquet("parquet", targets::parquet::judge, MOST_MEMORY)]
#[case::profile("profile", targets::profile::judge, MOST_MEMORY)]
#[case::state("state", targets::state::judge, MOST_MEMORY_OF_STATE)]
#[case::store("store", targets::store::judge, MOST_MEMORY)]
fn the_corpus_holds(#[case] target: &str, #[case] judge: fn(&[u8]), #[case] most_memory: usize) {
    // One at a time, so that memory and panics belong to one input.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let corpus = corpus(target);
    let broken: Vec<String> = corpus
        .iter()
        .filter_map(|(path, bytes)| {
            let what = replay(judge, bytes, most_memory).err()?;
            Some(format!("{}: {what}", path.display()))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
    let inputs: Vec<&[u8]> = corpus.iter().map(|(_, bytes)| &bytes[..]).collect();
    for seed in seeds() {
        let mut rng = Rng::with_seed(seed);
        let mut any = || inputs[rng.usize(..inputs.len())];
        let (input, other) = (any(), any());
        let bytes = mutated(input, other, &mut rng);
        if let Err(what) = replay(judge, &bytes, most_memory) {
            let kept = keep(target, &bytes);
            panic!(
                "{}: {what}\nagain: PSIREN_SEED={seed} cargo test --test fuzz {target}",
                kept.display()
            );
        }
    }
}

#[test]
fn the_fast_reader_finds_what_the_reference_reader_finds() {
    for seed in seeds() {
        let again = format!("again: PSIREN_SEED={seed} cargo test --test fuzz fast_reader");
        let compared = catch_unwind(|| readers::compare(&mut Rng::with_seed(seed)));
        compared.unwrap_or_else(|panic| panic!("{}\n{again}", words(panic.as_ref())));
    }
}

#[test]
fn both_readers_find_the_same_in_every_flight() {
    let file = fs::File::open("fixtures/flights/production.ndjson.gz").unwrap();
    let mut lines = Vec::new();
    GzDecoder::new(file).read_to_end(&mut lines).unwrap();
    let flights = Path::new("fixtures/flights/reference.parquet");
    let profile = reference::load(flights, &LoadOptions::default()).unwrap();
    let features = profile.features.into_iter().map(|f| FeatureField {
        path: vec![f.reference.name],
        binning: f.reference.binning,
    });
    let schema = EventSchema {
        features: features.collect(),
        timestamp: Some(TimestampField {
            path: vec!["ts".to_owned()],
            unit: None,
            timezone: None,
        }),
        filters: Vec::new(),
    };
    readers::compare_all(&schema, lines.split(|byte| *byte == b'\n'));
}

/// One seed for each changed input, for a while. Only the long form looks where nobody has looked before: what it finds
/// is for who looks for it, and not for who changes something else.
fn seeds() -> impl Iterator<Item = u64> {
    let time = sized(
        Duration::from_millis(300),
        Duration::from_secs(10),
        Duration::from_secs(1800),
    );
    let first = match torture::replays() {
        true => torture::seed(),
        false => sized(0, 0, torture::seed()),
    };
    let begun = Instant::now();
    let many = (0..).take_while(move |n| *n == 0 || begun.elapsed() < time);
    let most = if torture::replays() { 1 } else { usize::MAX };
    many.take(most).map(move |n| first.wrapping_add(n))
}

/// Writes an input that breaks a promise where fuzzing would leave it.
fn keep(target: &str, bytes: &[u8]) -> PathBuf {
    let folder = Path::new("fuzz/artifacts").join(target);
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(format!("mutated-{:08x}", crc32fast::hash(bytes)));
    fs::write(&path, bytes).unwrap();
    path
}

/// The files of a target with what is in them, by name.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new("fixtures/fuzz").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

/// What is wrong with how one input is judged.
fn replay(judge: fn(&[u8]), bytes: &[u8], most_memory: usize) -> Result<(), String> {
    let panics = panics();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    catch_unwind(AssertUnwindSafe(|| judge(bytes))).map_err(|panic| words(panic.as_ref()))?;
    if self::panics() > panics {
        return Err("a task or thread panicked".to_owned());
    }
    match MEMORY.peak_usage().saturating_sub(before) {
        held if held > most_memory => Err(format!(
            "{held} bytes were held, at most {most_memory} may be"
        )),
        _ => Ok(()),
    }
}

/// How many panics there were so far, also those that nobody but the hook hears of.
fn panics() -> usize {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    static COUNTED: Once = Once::new();
    COUNTED.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            report(info);
        }));
    });
    PANICS.load(Ordering::Relaxed)
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without words").to_owned()
}

#[test]
#[ignore = "writes the golden state file anew, for a new format of state"]
fn write_golden_state() {
    targets::store::write_golden();
}
