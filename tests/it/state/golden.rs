//! The golden state files in `fixtures/state`, each beside the JSON of what it holds.
//!
//! A file is made once, by the program whose format it is in, and never again: it stands for the
//! state that users have. [`make`] made them, and makes the next one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use psiren::config::{Config, Overrides};
use psiren::drift::{
    Cell, ClosedBy, Definition, Found, Pane, PaneCounts, PaneId, SealedPane, Trigger, WindowRing,
};
use psiren::monitor::Monitor;
use psiren::state::local::{FILE_NAME, LocalOptions, LocalStore};
use psiren::state::{
    EvaluatorState, LogBody, LogEntry, NoticeKind, ReportLog, Splice, StateStore, UnitKey,
    UnitState,
};
use serde_json::{Value, json};

const FOLDER: &str = "fixtures/state";
/// The oldest first. In the second, units are of version 2 of the codec.
const FORMATS: [&str; 2] = ["format-1", "format-1-units-2"];
const CONFIG: &str = "fixtures/state/psiren.toml";
/// 2013-03-01, in days since the epoch.
const FIRST_DAY: i64 = 15_765;
const DAY_MS: i64 = 86_400_000;
/// Wall clock of the first entry.
const WRITTEN_MS: i64 = 1_790_000_000_000;

fn monitors() -> Vec<Monitor> {
    let config = Config::load(Path::new(CONFIG), &Overrides::default()).unwrap();
    let monitors = config.monitors.iter().map(Monitor::build);
    monitors.collect::<Result<_, _>>().unwrap()
}

fn open(dir: &Path) -> LocalStore {
    LocalStore::open(dir, LocalOptions::default()).unwrap()
}

fn key(monitor: &Monitor, partition: i32) -> UnitKey {
    UnitKey {
        monitor: monitor.definition.monitor.clone(),
        topic: monitor.config.topic.clone(),
        partition,
    }
}

/// The pane of one day and partition: the values move up by a bucket every second day.
fn pane(monitor: &Monitor, partition: i32, day: i64) -> Pane {
    let mut counts = PaneCounts::zero(&monitor.layout);
    let events = 150 + 10 * i64::from(partition) + day;
    for i in 0..events {
        let cell = match (i + day) % 17 {
            0 => Cell::Missing,
            1 if partition == 1 => Cell::Invalid(Found::String),
            2 if partition == 2 => Cell::Unseen,
            n => Cell::Bucket(((n % 4 + day / 2) % 10) as u32),
        };
        counts.record(&monitor.layout, &vec![cell; monitor.layout.features()]);
    }
    let first_offset = day * 1000;
    Pane {
        counts,
        first_offset,
        last_offset: first_offset + events,
    }
}

fn unit(monitor: &Monitor, partition: i32, day: i64) -> UnitState {
    let open = pane(monitor, partition, day);
    let next_offset = open.last_offset + 1;
    UnitState {
        next_offset,
        greatest_ms: Some((FIRST_DAY + day) * DAY_MS + 43_200_000),
        outcomes: vec![next_offset as u64 - 36, 11, 7, 5, 3, 10],
        splice: Some(Splice {
            offset: next_offset - 1,
            timestamp_ms: (partition != 1).then_some((FIRST_DAY + day) * DAY_MS),
            hash: u64::MAX - next_offset as u64,
        }),
        open: BTreeMap::from([(PaneId(FIRST_DAY + day), open)]),
        ..UnitState::fresh(0, Some("zFyfYUxqQ1m2D1MXeSj6Jg".to_owned()))
    }
}

fn entry(monitor: &Monitor, n: i64, body: LogBody) -> LogEntry {
    LogEntry {
        monitor: monitor.definition.monitor.clone(),
        written_at_ms: WRITTEN_MS + n * 1000,
        news: n > 3,
        body,
    }
}

/// Six days of three partitions: checkpoints, windows that close, reports, a notice.
fn fill(store: &LocalStore, monitor: &Monitor) {
    let Definition {
        panes,
        window,
        monitor: name,
        ..
    } = &monitor.definition;
    let mut ring = WindowRing::new(monitor.layout.clone(), *panes, *window);
    let mut state = EvaluatorState::default();
    for day in 0..6 {
        let mut sealed = Vec::new();
        for partition in 0..3 {
            let pane = pane(monitor, partition, day);
            let id = PaneId(FIRST_DAY + day);
            ring.add(id, pane.counts.clone());
            sealed.push((key(monitor, partition), SealedPane { id, pane }));
        }
        let units: Vec<_> = (0..3)
            .map(|p| (key(monitor, p), unit(monitor, p, day + 1)))
            .collect();
        store.checkpoint(&sealed, &units).unwrap();

        let snapshot = ring.close(ring.next_end(None).unwrap(), []);
        let mut report = monitor.definition.evaluate(
            &monitor.scoring,
            snapshot,
            Trigger::Final,
            ClosedBy::Watermark,
            None,
        );
        report.changes = state.incidents.observe(&monitor.definition, &report);
        state.closed_through = ring.closed_through();
        state.first = ring.first();
        state.kept_from = ring.needed_from();
        state.told_at_ms = Some(WRITTEN_MS + day * 1000);
        let mut entries = vec![entry(monitor, day, LogBody::Report(report))];
        if day == 3 {
            let notice = LogBody::Notice {
                kind: NoticeKind::CaughtUp,
                changes: Vec::new(),
                open: state.incidents.open(),
            };
            entries.push(entry(monitor, day, notice));
        }
        store
            .commit(name, &state, &entries, ring.needed_from())
            .unwrap();
    }
}

/// Writes the golden file of the current format. It is not to be run for a format that has one.
#[test]
#[ignore = "writes a new file into fixtures/state"]
fn make() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for monitor in &monitors() {
        let name = &monitor.definition.monitor;
        store.adopt(name, &monitor.identity).unwrap();
        fill(&store, monitor);
    }
    let first = &monitors()[0];
    let fresh = UnitState::fresh(0, None);
    store.set_aside(&key(first, 2), &fresh, WRITTEN_MS).unwrap();
    assert_eq!(store.expire(WRITTEN_MS + 1000).unwrap(), 1);
    store
        .set_cursor("csv", br#"{"seq":11,"files":{"psi.csv":2048}}"#)
        .unwrap();
    store.set_cursor("slack", br#"{"seq":12}"#).unwrap();
    let content = content(&store);
    drop(store);
    let target = Path::new(FOLDER).join(FORMATS[FORMATS.len() - 1]);
    assert!(!target.with_extension("redb").exists());
    fs::copy(folder.path().join(FILE_NAME), target.with_extension("redb")).unwrap();
    let text = serde_json::to_string_pretty(&content).unwrap() + "\n";
    fs::write(target.with_extension("json"), text).unwrap();
}

/// All that can be read from a store, by monitor.
fn content(store: &LocalStore) -> Value {
    let monitors: BTreeMap<String, Value> = store
        .monitors()
        .unwrap()
        .into_iter()
        .map(|name| {
            let value = json!({
                "units": store.units(&name).unwrap(),
                "sealed": store.sealed(&name).unwrap().into_iter()
                    .map(|(unit, sealed)| json!([unit, sealed.id, sealed.pane]))
                    .collect::<Vec<_>>(),
                "evaluator": store.evaluator(&name).unwrap(),
                "history": store.history(&name, i64::MIN, i64::MAX, usize::MAX).unwrap().len(),
            });
            (name, value)
        })
        .collect();
    let cursor = |sink| {
        store
            .cursor(sink)
            .unwrap()
            .map(|c| String::from_utf8(c).unwrap())
    };
    json!({
        "monitors": monitors,
        "head": store.head().unwrap(),
        "log": store.read(0, usize::MAX).unwrap(),
        "cursors": {"csv": cursor("csv"), "slack": cursor("slack")},
    })
}

/// Whether `found` says all that `expected` says; fields that came later are allowed.
fn holds(found: &Value, expected: &Value, place: &str) {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            for (name, value) in expected {
                let place = format!("{place}.{name}");
                holds(found.get(name).unwrap_or(&Value::Null), value, &place);
            }
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len(), "{place}");
            for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
                holds(found, expected, &format!("{place}[{i}]"));
            }
        }
        (found, expected) => assert_eq!(found, expected, "{place}"),
    }
}

#[test]
fn state_of_every_format_is_read_to_the_last_count() {
    for format in FORMATS {
        let golden = Path::new(FOLDER).join(format);
        let folder = tempfile::tempdir().unwrap();
        fs::copy(golden.with_extension("redb"), folder.path().join(FILE_NAME)).unwrap();
        let expected = fs::read_to_string(golden.with_extension("json")).unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        for start in ["first", "second"] {
            let store = open(folder.path());
            for monitor in &monitors() {
                let name = &monitor.definition.monitor;
                let adopted = store.adopt(name, &monitor.identity).unwrap();
                assert!(adopted.changes().is_empty(), "{adopted:?}");
            }
            holds(
                &content(&store),
                &expected,
                &format!("{format}, {start} start"),
            );
        }
    }
}
