//! A state file that was damaged at rest: one bit of every byte flipped, and every shorter file.
//!
//! The file is the golden one of format 1. What a damaged one gives is an error in words, or all
//! that was in it; and when it opens, going on with it gives what going on with the whole one does.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{fs, io, thread};

use redb::{ReadableDatabase, StorageBackend};

use crate::drift::SealedPane;
use crate::state::fixtures::notice;
use crate::state::local::{Adopted, LocalOptions, LocalStore, builder, stored, tables};
use crate::state::{
    CountsIdentity, EvaluatorState, LogEntry, ReportLog, StateError, StateStore, UnitKey, UnitState,
};
use crate::torture::sized;

const MONITORS: [&str; 2] = ["delays", "routes"];

fn golden() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/state/format-1.redb");
    fs::read(path).unwrap()
}

/// A file in memory.
#[derive(Debug, Clone)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl StorageBackend for Bytes {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().unwrap();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let found = from
            .checked_add(out.len())
            .and_then(|to| bytes.get(from..to));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // What a damaged header may ask for is not to be had.
        if len > 64 << 20 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.lock().unwrap().resize(len as usize, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let place = from
            .checked_add(data.len())
            .and_then(|to| bytes.get_mut(from..to));
        place
            .ok_or(io::ErrorKind::UnexpectedEof)?
            .copy_from_slice(data);
        Ok(())
    }
}

/// As [`LocalStore::open`] opens a file that exists.
fn open(bytes: Vec<u8>) -> Result<LocalStore, StateError> {
    let file = Bytes(Arc::new(Mutex::new(bytes)));
    let options = LocalOptions {
        cache_bytes: 1 << 20,
    };
    let store = LocalStore::of("golden".to_owned(), None, move || {
        builder(options).create_with_backend(file.clone())
    });
    drop(store.opened()?);
    Ok(store)
}

fn identities(store: &LocalStore) -> Vec<CountsIdentity> {
    let identity = |name: &&str| {
        store.using(|database| {
            let table = database.begin_read()?.open_table(tables::IDENTITIES)?;
            let bytes = table.get(*name)?.unwrap();
            stored(bytes.value(), || "identity".to_owned())
        })
    };
    MONITORS
        .iter()
        .map(identity)
        .collect::<Result<_, _>>()
        .unwrap()
}

#[derive(Debug, PartialEq)]
struct Content {
    monitors: Vec<Monitor>,
    head: u64,
    log: Vec<(u64, LogEntry)>,
    cursors: [Option<Vec<u8>>; 2],
}

#[derive(Debug, PartialEq)]
struct Monitor {
    units: Vec<(UnitKey, UnitState)>,
    sealed: Vec<(UnitKey, SealedPane)>,
    evaluator: EvaluatorState,
    history: Vec<LogEntry>,
}

fn content(store: &LocalStore) -> Result<Content, StateError> {
    let monitor = |name: &&str| {
        Ok(Monitor {
            units: store.units(name)?,
            sealed: store.sealed(name)?,
            evaluator: store.evaluator(name)?,
            history: store.history(name, i64::MIN, i64::MAX, usize::MAX)?,
        })
    };
    Ok(Content {
        monitors: MONITORS
            .iter()
            .map(monitor)
            .collect::<Result<_, StateError>>()?,
        head: store.head()?,
        log: ReportLog::read(store, 0, usize::MAX)?,
        cursors: [store.cursor("csv")?, store.cursor("slack")?],
    })
}

/// What psiren does with its state at a start: nothing else is asked before.
fn start(bytes: Vec<u8>, identities: &[CountsIdentity]) -> Result<LocalStore, StateError> {
    let store = open(bytes)?;
    for (name, identity) in MONITORS.iter().zip(identities) {
        assert_eq!(store.adopt(name, identity)?, Adopted::Same);
    }
    Ok(store)
}

/// Every partition reads on, a window closes, the CSV file grows, old entries go.
fn go_on(store: &LocalStore) -> Result<(), StateError> {
    for name in MONITORS {
        let mut units = store.units(name)?;
        let sealed: Vec<_> = units
            .iter_mut()
            .filter_map(|(key, unit)| {
                unit.next_offset += 1000;
                let (id, pane) = unit.open.pop_first()?;
                Some((key.clone(), SealedPane { id, pane }))
            })
            .collect();
        store.checkpoint(&sealed, &units)?;
        let mut state = store.evaluator(name)?;
        state.closed_through = sealed.first().map(|(_, pane)| pane.id);
        store.commit(
            name,
            &state,
            &[notice(name, i64::MAX)],
            state.closed_through,
        )?;
    }
    store.set_cursor("csv", b"moved on")?;
    store.expire(i64::MAX)?;
    Ok(())
}

/// The whole file, and what comes of it.
struct Whole {
    bytes: Vec<u8>,
    identities: Vec<CountsIdentity>,
    first: Content,
    later: Content,
}

impl Whole {
    fn new() -> Self {
        let bytes = golden();
        let identities = identities(&open(bytes.clone()).unwrap());
        let store = start(bytes.clone(), &identities).unwrap();
        let first = content(&store).unwrap();
        assert_eq!(first.monitors.len(), 2);
        assert!(first.monitors.iter().any(|m| m.sealed.len() >= 2));
        go_on(&store).unwrap();
        let later = content(&store).unwrap();
        Self {
            bytes,
            identities,
            first,
            later,
        }
    }

    /// True when the damage was noticed.
    fn holds_against(&self, damaged: Vec<u8>, what: &str) -> bool {
        let store = match start(damaged, &self.identities) {
            Ok(store) => store,
            Err(error) => return in_words(error, what),
        };
        match content(&store) {
            Ok(found) => assert!(found == self.first, "{what}: other content"),
            Err(error) => return in_words(error, what),
        }
        match go_on(&store).and_then(|()| content(&store)) {
            Ok(found) => assert!(found == self.later, "{what}: other content later"),
            Err(error) => return in_words(error, what),
        }
        false
    }
}

fn in_words(error: StateError, what: &str) -> bool {
    let expected = matches!(
        error,
        StateError::Damaged { .. } | StateError::Newer { .. } | StateError::Io { .. }
    );
    assert!(expected, "{what}: {error}");
    true
}

/// Calls `test` with each of `cases`, on every core; gives how often it said yes.
fn count(cases: &[usize], test: impl Fn(usize) -> bool + Sync) -> usize {
    let (next, yes) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    yes.fetch_add(usize::from(test(*case)), Ordering::Relaxed);
                }
            });
        }
    });
    yes.into_inner()
}

/// Where redb keeps what says where everything else is.
const HEADER: usize = 320;

/// Numbers below `end`: all of them, or a fourth of the header's and `few` of the others.
fn spread(end: usize, few: usize) -> Vec<usize> {
    let header = (0..HEADER).step_by(sized(4, 1, 1));
    let rest = (HEADER..end).step_by(sized((end / few).max(1), 1, 1));
    header.chain(rest).collect()
}

/// One bit of each byte, another one each time; of the header all of them where there is time.
fn bits(place: usize) -> Vec<usize> {
    match place < HEADER && sized(false, true, true) {
        true => (0..8).collect(),
        false => vec![place * 5 / 4 % 8],
    }
}

#[test]
fn a_flipped_bit_in_any_byte_gives_an_error_or_what_was_there() {
    let whole = Whole::new();
    let flips: Vec<usize> = spread(whole.bytes.len(), 60)
        .into_iter()
        .flat_map(|place| bits(place).into_iter().map(move |bit| place * 8 + bit))
        .collect();
    let noticed = count(&flips, |flip| {
        let (place, bit) = (flip / 8, flip % 8);
        let mut bytes = whole.bytes.clone();
        bytes[place] ^= 1 << bit;
        whole.holds_against(bytes, &format!("byte {place}, bit {bit}"))
    });
    assert!(noticed > 0 && noticed < flips.len());
}

#[test]
fn a_file_cut_short_anywhere_gives_an_error() {
    let whole = Whole::new();
    let lengths = spread(whole.bytes.len(), 40);
    let noticed = count(&lengths, |len| {
        whole.holds_against(whole.bytes[..len].to_vec(), &format!("cut at {len}"))
    });
    assert_eq!(noticed, lengths.len());
    assert!(!whole.holds_against(whole.bytes.clone(), "as it was"));
}
