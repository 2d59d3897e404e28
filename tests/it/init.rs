//! `psiren init` as far as it needs no broker: what is written, where, and what is refused.

use std::fs;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use psiren::config::{Config, Environment, Overrides};
use psiren::monitor::Monitor;
use tempfile::TempDir;

const SECRET: &str = "hush-hush-hush";
const OFFLINE: [&str; 3] = ["--offline", "--reference", "training.parquet"];

/// A folder with the flights as `training.parquet`.
fn home() -> TempDir {
    let folder = TempDir::new().unwrap();
    let flights = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/flights/reference.parquet");
    fs::copy(flights, folder.path().join("training.parquet")).unwrap();
    folder
}

fn psiren(folder: &TempDir) -> assert_cmd::Command {
    let mut command = assert_cmd::Command::cargo_bin("psiren").unwrap();
    command.current_dir(folder).env_clear();
    command
}

fn init(folder: &TempDir, args: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = psiren(folder);
    command.args(["init", "--topic", "flights"]).args(args);
    command.envs(variables.iter().copied()).output().unwrap()
}

fn offline(folder: &TempDir, more: &[&str]) -> (Option<i32>, String) {
    let output = init(folder, &[&OFFLINE[..], more].concat(), &[]);
    (output.status.code(), said(&output))
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn written(folder: &TempDir) -> String {
    fs::read_to_string(folder.path().join("psiren.toml")).unwrap()
}

fn monitor(path: &Path) -> Monitor {
    let environment: Environment = [("HOSTNAME", "host")].into_iter().collect();
    let config = Config::load(path, &Overrides::from(environment));
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    Monitor::build(&config.monitors[0]).unwrap()
}

#[test]
fn what_is_written_is_a_configuration_that_run_takes() {
    let folder = home();
    let (code, said) = offline(&folder, &[]);
    assert_eq!(code, Some(0), "{said}");
    for expected in [
        "13 features, 10 numeric and 3 categorical",
        "left out: ts: it is a time",
        "psiren validate --config psiren.toml",
        "psiren run --config psiren.toml",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in\n{said}");
    }
    let monitor = monitor(&folder.path().join("psiren.toml"));
    assert_eq!(monitor.definition.features.len(), 13);
    let text = written(&folder);
    assert!(text.contains("#carrier = { max_categories = 50 }       # categorical, 16 categories"));
    assert!(text.contains("# ts: it is a time"), "{text}");
}

#[test]
fn a_file_that_is_there_is_replaced_by_force_only() {
    let folder = home();
    fs::write(folder.path().join("psiren.toml"), "mine").unwrap();
    let (code, said) = offline(&folder, &[]);
    assert_eq!(code, Some(2), "{said}");
    let expected = "psiren.toml is there already; --force replaces it";
    assert!(said.contains(expected), "{said}");
    assert_eq!(written(&folder), "mine");
    assert_eq!(offline(&folder, &["--force"]).0, Some(0));
    assert!(written(&folder).contains("[monitor.flights]"));
}

#[test]
fn neither_the_reference_nor_a_folder_is_written_over() {
    let folder = home();
    for (output, code, expected) in [
        ("training.parquet", 2, "training.parquet is the reference"),
        (".", 2, ". is a folder; name a file in it"),
        ("gone/x.toml", 1, "the folder gone cannot be used"),
    ] {
        let (found, said) = offline(&folder, &["--force", "--output", output]);
        assert_eq!(found, Some(code), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_dash_is_standard_output_and_nothing_else_goes_there() {
    let folder = home();
    let output = init(&folder, &[&OFFLINE[..], &["--output", "-"]].concat(), &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    let config = Config::parse(&text, Path::new("psiren.toml"), &Overrides::default()).unwrap();
    assert_eq!(config.monitors[0].topic, "flights");
    let names: Vec<_> = fs::read_dir(&folder).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

/// Paths of a configuration are relative to its folder, wherever `init` was called.
#[test]
fn the_reference_is_named_as_seen_from_the_file() {
    let folder = home();
    fs::create_dir_all(folder.path().join("etc/psiren")).unwrap();
    let (code, said) = offline(&folder, &["--output", "etc/psiren/flights.toml"]);
    assert_eq!(code, Some(0), "{said}");
    let path = folder.path().join("etc/psiren/flights.toml");
    let text = fs::read_to_string(&path).unwrap();
    let expected = "reference = \"../../training.parquet\"";
    assert!(text.contains(expected), "{text}");
    monitor(&path);
}

#[test]
fn secrets_stay_in_the_environment() {
    let folder = home();
    let args = [&OFFLINE[..], &["--sasl", "SCRAM-SHA-512", "--tls"]].concat();
    let user = ("PSIREN_KAFKA_SASL_USERNAME", "me");
    let lacking = init(&folder, &args, &[user]);
    assert_eq!(lacking.status.code(), Some(1));
    let words = said(&lacking);
    assert!(words.contains("PSIREN_KAFKA_SASL_PASSWORD_FILE"), "{words}");
    let variables = [user, ("PSIREN_KAFKA_SASL_PASSWORD", SECRET)];
    let words = said(&init(&folder, &OFFLINE, &variables));
    assert!(words.contains("--sasl SCRAM-SHA-512"), "{words}");
    let output = init(&folder, &args, &variables);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let text = written(&folder);
    let table = "[kafka.sasl]\nmechanism = \"SCRAM-SHA-512\"";
    assert!(text.contains(table), "{text}");
    assert!(text.contains("PSIREN_KAFKA_SASL_PASSWORD"), "{text}");
    assert!(!text.contains(SECRET) && !said(&output).contains(SECRET));
}

#[test]
fn brokers_that_are_none_are_refused_and_nothing_is_written() {
    let folder = home();
    let (code, said) = offline(&folder, &["-b", &format!("me:{SECRET}@kafka:9092")]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("expected a host and a port"), "{said}");
    assert!(!said.contains(SECRET), "{said}");
    assert!(!folder.path().join("psiren.toml").exists());
}

#[test]
fn without_a_broker_the_way_to_do_without_is_named() {
    let folder = home();
    let args = ["--reference", "training.parquet", "-b", "127.0.0.1:1"];
    let output = init(&folder, &args, &[]);
    let words = said(&output);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("no broker can be reached"), "{words}");
    let way = "--offline writes the configuration";
    assert!(words.contains(way), "{words}");
    assert!(!folder.path().join("psiren.toml").exists());
}

#[test]
fn a_profile_with_buckets_of_its_own_is_taken_as_it_is() {
    let folder = home();
    let mut build = psiren(&folder);
    build.args(["reference", "build", "training.parquet"]);
    build.args(["--output", "reference.json", "--buckets", "5"]);
    build.args(["--edges", "distance=100,1000.5", "--max-categories", "7"]);
    assert!(build.output().unwrap().status.success());
    let output = init(&folder, &["--offline", "-r", "reference.json"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let monitor = monitor(&folder.path().join("psiren.toml"));
    let buckets = |name: &str| {
        let mut features = monitor.definition.features.iter();
        let feature = features.find(|f| f.name() == name).unwrap();
        feature.reference.binning.buckets()
    };
    let found = ["distance", "carrier", "temp"].map(buckets);
    assert_eq!(found, [3, 8, 5]);
}

/// Names as columns may have, an identifier among them.
#[test]
fn columns_of_any_name_are_written_so_that_the_file_loads() {
    let names = [
        "a.b",
        "\"quoted\"",
        "it's",
        "a\nb",
        "\u{1b}[2J",
        "*",
        "[x]",
        "#",
        "=",
        " ",
        "价格",
        "e\u{301}",
        "back\\slash",
        "\"\"\"",
        "'''",
        "payload.a b",
        "ünï cödé",
    ];
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values((0..200).map(|i| i % 23)));
    let texts = (0..200).map(|i| format!("k{i}"));
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let mut columns: Vec<(&str, ArrayRef)> = names.map(|name| (name, values.clone())).into();
    columns.push(("an \"id\"", ids));
    let folder = TempDir::new().unwrap();
    write(&folder.path().join("training.parquet"), columns);
    let (code, said) = offline(&folder, &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
    let path = folder.path().join("psiren.toml");
    assert_eq!(monitor(&path).definition.features.len(), names.len());
    let text = written(&folder);
    let is_key = |l: &&str| l.starts_with('#') && l.contains("= { buckets") && !l.starts_with("#>");
    let keys = text.lines().filter(is_key).count();
    let without_controls = names.len() - 2;
    assert_eq!(keys, without_controls, "{text}");
    let id = "\"an \\\"id\\\"\" = {}";
    let named = text.replace(&format!("#{id}"), id);
    assert_ne!(named, text, "an identifier can be watched all the same");
    fs::write(&path, named).unwrap();
    assert_eq!(monitor(&path).definition.features.len(), names.len() + 1);
}

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let field =
        |(name, array): &(&str, ArrayRef)| Field::new(*name, array.data_type().clone(), true);
    let schema = Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}
