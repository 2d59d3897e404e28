//! What `psiren run` makes of the state it finds. It is looked at before any broker is asked, so
//! these need none.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use psiren::state::local::FILE_NAME;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use rstest::rstest;
use tempfile::TempDir;

const SURROUNDINGS: i32 = 1;
const CONFIGURATION: i32 = 78;

/// An offset and an encoded value.
type Stored = (i64, &'static [u8]);
const UNITS: TableDefinition<'_, (&str, &str, i32), Stored> = TableDefinition::new("units");
const SEALED: TableDefinition<'_, (&str, i64, &str, i32), Stored> =
    TableDefinition::new("sealed_panes");

/// A folder with the golden state of format 1 and the configuration it belongs to.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new() -> Self {
        Self::with(|config| config)
    }

    fn with(change: impl FnOnce(String) -> String) -> Self {
        let home = Self {
            folder: TempDir::new().unwrap(),
        };
        fs::create_dir(home.path("state")).unwrap();
        fs::copy("fixtures/state/format-1.redb", home.state()).unwrap();
        home.configure(change);
        home
    }

    fn configure(&self, change: impl FnOnce(String) -> String) {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let config = fs::read_to_string("fixtures/state/psiren.toml").unwrap();
        let config = config.replace("../", &format!("{}/", fixtures.display()));
        let changed =
            change(config) + "[http]\nlisten = \"127.0.0.1:0\"\n[state]\ndir = \"state\"\n";
        fs::write(self.path("psiren.toml"), changed).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("state").join(FILE_NAME)
    }

    fn state_names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("state")).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn run(&self, flags: &[&str]) -> Running {
        let child = Command::new(env!("CARGO_BIN_EXE_psiren"))
            .args(["run", "--config", "psiren.toml"])
            .args(flags)
            .current_dir(&self.folder)
            .env_remove("SLACK_WEBHOOK_URL")
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        Running(child.unwrap())
    }

    /// What it says until it listens, which it does when its state is fine.
    fn starts(&self, flags: &[&str]) -> String {
        self.run(flags).until_it_listens()
    }

    /// The words it ends with, and that it leaves the state as it was.
    fn is_refused(&self, code: i32) -> String {
        let before = self.raw();
        let words = self.run(&[]).ends(code);
        assert!(self.raw() == before, "it was changed");
        assert_eq!(self.state_names(), [FILE_NAME]);
        words
    }

    /// The keys and values of the state, whatever their format, or the bytes of a damaged file.
    fn raw(&self) -> Vec<String> {
        let Ok(database) = Database::open(self.state()) else {
            return vec![format!("{:?}", fs::read(self.state()).unwrap())];
        };
        let txn = database.begin_read().unwrap();
        let mut raw = Vec::new();
        macro_rules! dump {
            ($table:expr) => {
                for row in txn.open_table($table).unwrap().iter().unwrap() {
                    let (key, value) = row.unwrap();
                    raw.push(format!("{:?} {:?}", key.value(), value.value()));
                }
            };
        }
        dump!(UNITS);
        dump!(SEALED);
        dump!(TableDefinition::<u64, &[u8]>::new("report_log"));
        for table in ["evaluators", "identities", "cursors"] {
            dump!(TableDefinition::<&str, &[u8]>::new(table));
        }
        raw
    }

    /// Changes the state file with its own means.
    fn alter(&self, change: impl FnOnce(&redb::WriteTransaction)) {
        let database = Database::open(self.state()).unwrap();
        let txn = database.begin_write().unwrap();
        change(&txn);
        txn.commit().unwrap();
        database.begin_read().unwrap();
    }
}

/// A process that is killed when it is dropped.
struct Running(Child);

impl Running {
    fn until_it_listens(&mut self) -> String {
        let mut said = String::new();
        let mut lines = BufReader::new(self.0.stderr.as_mut().unwrap()).lines();
        for line in &mut lines {
            let line = line.unwrap();
            said += &format!("{line}\n");
            if line.contains("listening on") {
                return said;
            }
        }
        panic!("it ended: {said}");
    }

    /// What it says until it ends; one that listens instead is not waited for.
    fn ends(mut self, code: i32) -> String {
        let mut said = String::new();
        for line in BufReader::new(self.0.stderr.as_mut().unwrap()).lines() {
            said += &format!("{}\n", line.unwrap());
            assert!(!said.contains("listening on"), "{said}");
        }
        assert_eq!(self.0.wait().unwrap().code(), Some(code), "{said}");
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already is past killing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn state_of_an_older_format_goes_on() {
    let home = Home::new();
    home.starts(&[]);
    // Again, with what the first start made of it.
    home.starts(&[]);
}

#[test]
fn a_file_of_a_newer_format_is_refused() {
    let home = Home::new();
    home.alter(|txn| {
        let meta = TableDefinition::<&str, u64>::new("meta");
        let mut meta = txn.open_table(meta).unwrap();
        meta.insert("format", 1000).unwrap();
    });
    let words = home.is_refused(CONFIGURATION);
    assert!(
        words.contains("written by a newer psiren (format 1000"),
        "{words}"
    );
}

/// The value as a newer program would store it: another version under a right checksum.
fn newer(value: &[u8]) -> Vec<u8> {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[200]);
    hasher.update(&value[5..]);
    [
        &[200],
        hasher.finalize().to_le_bytes().as_slice(),
        &value[5..],
    ]
    .concat()
}

#[rstest]
#[case::unit("units")]
#[case::pane("sealed_panes")]
#[case::evaluator("evaluators")]
#[case::identity("identities")]
fn a_value_of_a_newer_version_is_refused(#[case] table: &str) {
    let home = Home::new();
    home.alter(|txn| match table {
        "units" => {
            let mut units = txn.open_table(UNITS).unwrap();
            let key = ("delays", "flights", 0);
            let (offset, value) = {
                let row = units.get(key).unwrap().unwrap();
                (row.value().0, newer(row.value().1))
            };
            units.insert(key, (offset, value.as_slice())).unwrap();
        }
        "sealed_panes" => {
            let mut sealed = txn.open_table(SEALED).unwrap();
            let (pane, offset, value) = {
                let (key, row) = sealed.iter().unwrap().next().unwrap().unwrap();
                assert_eq!((key.value().0, key.value().3), ("delays", 0));
                (key.value().1, row.value().0, newer(row.value().1))
            };
            let key = ("delays", pane, "flights", 0);
            sealed.insert(key, (offset, value.as_slice())).unwrap();
        }
        table => {
            let mut table = txn
                .open_table(TableDefinition::<&str, &[u8]>::new(table))
                .unwrap();
            let value = newer(table.get("delays").unwrap().unwrap().value());
            table.insert("delays", value.as_slice()).unwrap();
        }
    });
    let words = home.is_refused(CONFIGURATION);
    assert!(
        words.contains("written by a newer psiren (format 200"),
        "{words}"
    );
}

/// The first argument is what is replaced in the configuration of `delays`, which comes first.
#[rstest]
#[case::topic("topic = \"flights\"", "topic = \"others\"", &["topic", "flights", "others"])]
#[case::lateness("lateness = \"5m\"", "lateness = \"10m\"", &["lateness", "300000 ms", "600000 ms"])]
#[case::slide("slide = \"1d\", lateness = \"5m\"", "slide = \"2d\", lateness = \"5m\"", &["86400000 ms", "172800000 ms"])]
#[case::timestamp("field = \"ts\"", "field = \"at\"", &["timestamp", "at"])]
#[case::filter("include = [\"dep_delay\"", "where = [{ field = \"a\", exists = true }]\ninclude = [\"dep_delay\"", &["none"])]
#[case::edges("[monitor.routes]", "[monitor.delays.features]\ndep_delay = { buckets = 5 }\n[monitor.routes]", &["feature \"dep_delay\"", "edges"])]
#[case::path("[monitor.routes]", "[monitor.delays.features]\ndep_delay = { path = \"payload.delay\" }\n[monitor.routes]", &["feature \"dep_delay\"", "payload"])]
fn counts_of_another_configuration_are_refused_with_what_changed(
    #[case] from: &str,
    #[case] to: &str,
    #[case] expected: &[&str],
) {
    let home = Home::with(|config| {
        assert!(config.contains(from));
        config.replacen(from, to, 1)
    });
    let words = home.is_refused(CONFIGURATION);
    let (before, diff) = words
        .split_once("belong to another configuration:\n")
        .unwrap();
    assert!(before.contains("\"delays\""), "{words}");
    for word in expected {
        assert!(diff.contains(word), "{word}: {diff}");
    }
    assert!(diff.contains("--reset-state"), "{diff}");
}

#[test]
fn a_change_that_is_undone_goes_on() {
    let home = Home::with(|config| config.replace("\"5m\"", "\"10m\""));
    home.is_refused(CONFIGURATION);
    home.configure(|config| config);
    home.starts(&[]);
}

#[test]
fn a_feature_that_is_added_starts_and_the_others_go_on() {
    let home = Home::with(|config| {
        config.replace("[\"dep_delay\", \"carrier\"]", "[\"carrier\", \"origin\"]")
    });
    let words = home.starts(&[]);
    assert!(
        words.contains("origin") && words.contains("dep_delay"),
        "{words}"
    );
}

#[test]
fn a_second_process_on_the_same_state_is_refused() {
    let home = Home::new();
    let mut first = home.run(&[]);
    first.until_it_listens();
    for flags in [&[][..], &["--reset-state"]] {
        let words = home.run(flags).ends(SURROUNDINGS);
        assert!(words.contains("in use by another process"), "{words}");
    }
    assert_eq!(home.state_names(), [FILE_NAME]);
    drop(first);
    home.starts(&[]);
}

#[test]
fn reset_keeps_the_old_state_under_a_dated_name() {
    let home = Home::with(|config| config.replace("\"5m\"", "\"10m\""));
    home.is_refused(CONFIGURATION);
    let before = fs::read(home.state()).unwrap();
    let words = home.starts(&["--reset-state"]);
    let names = home.state_names();
    let [new, old] = names.as_slice() else {
        panic!("{names:?}");
    };
    assert_eq!(new, FILE_NAME);
    assert!(old.starts_with(&format!("{FILE_NAME}.2")), "{old}");
    assert!(words.contains(old.as_str()), "{words}");
    assert!(fs::read(home.path("state").join(old)).unwrap() == before);
    home.starts(&[]);
    assert_eq!(home.state_names(), names);
}

#[rstest]
#[case::flipped(|bytes: &mut Vec<u8>| bytes.iter_mut().skip(100).step_by(4096).for_each(|b| *b ^= 1))]
#[case::cut(|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / 2))]
#[case::emptied(Vec::clear)]
#[case::something_else(|bytes: &mut Vec<u8>| *bytes = b"a text".repeat(1000))]
fn a_damaged_file_is_refused_and_can_be_set_aside(#[case] damage: fn(&mut Vec<u8>)) {
    let home = Home::new();
    let mut bytes = fs::read(home.state()).unwrap();
    damage(&mut bytes);
    fs::write(home.state(), bytes).unwrap();
    let words = home.is_refused(CONFIGURATION);
    assert!(words.contains("cannot be trusted"), "{words}");
    assert!(words.contains("--reset-state"), "{words}");
    home.starts(&["--reset-state"]);
    assert_eq!(home.state_names().len(), 2);
}

#[test]
fn what_a_crash_left_of_the_first_start_is_no_obstacle() {
    let home = Home::new();
    fs::remove_file(home.state()).unwrap();
    fs::write(
        home.path("state").join(format!("{FILE_NAME}.new")),
        [0; 5000],
    )
    .unwrap();
    home.starts(&[]);
    assert_eq!(home.state_names(), [FILE_NAME]);
}
