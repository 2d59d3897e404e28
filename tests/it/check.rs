//! `psiren check` on real data: figures of an independent program, and every way to ask.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use clap::Parser;
use flate2::read::MultiGzDecoder;
use psiren::cli::check::{CheckArgs, CheckError, check};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::promtool::{promtool, said};
use crate::support::terminal::on_a_terminal;

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    args: CheckArgs,
}

const REFERENCE: &str = "fixtures/flights/reference.parquet";
const NDJSON: &str = "fixtures/flights/production.ndjson.gz";
const PARQUET: &str = "fixtures/flights/production.parquet";

fn parse(args: &[&str]) -> Result<CheckArgs, clap::Error> {
    Command::try_parse_from([&["check"], args].concat()).map(|command| command.args)
}

/// What `check` writes, and whether `--fail-on` was reached.
fn run(args: &[&str]) -> Result<(String, bool), CheckError> {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("out");
    let output_args = ["--output", output.to_str().unwrap()];
    let args = parse(&[args, &output_args].concat()).unwrap();
    let reached = check(&args)?;
    Ok((std::fs::read_to_string(output).unwrap(), reached))
}

fn written(args: &[&str]) -> String {
    run(args).unwrap().0
}

fn document(args: &[&str]) -> Value {
    serde_json::from_str(&written(&[args, &["--format", "json"]].concat())).unwrap()
}

/// Window start and end, feature → values, missing, PSI, production counts.
type Figures = BTreeMap<(String, String, String), (u64, u64, Option<f64>, String)>;

fn golden(path: &str) -> Figures {
    let mut text = Vec::new();
    let file = std::fs::File::open(path).unwrap();
    match path.ends_with(".gz") {
        true => MultiGzDecoder::new(file).read_to_end(&mut text).unwrap(),
        false => BufReader::new(file).read_to_end(&mut text).unwrap(),
    };
    let time = |ms: &str| {
        let ms = ms.parse().unwrap();
        jiff::Timestamp::from_millisecond(ms).unwrap().to_string()
    };
    let mut reader = csv::Reader::from_reader(text.as_slice());
    let rows = reader.records().map(Result::unwrap);
    rows.map(|row| {
        let psi = row[5].parse::<f64>().ok().filter(|psi| psi.is_finite());
        let key = (time(&row[0]), time(&row[1]), row[2].to_owned());
        let figures = (
            row[3].parse().unwrap(),
            row[4].parse().unwrap(),
            psi,
            row[6].to_owned(),
        );
        (key, figures)
    })
    .collect()
}

fn checked(args: &[&str]) -> Figures {
    let text = written(&[args, &["--format", "csv", "--counts"]].concat());
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let place = |name: &str| header.iter().position(|h| h == name).unwrap();
    let mut figures = Figures::new();
    for row in reader.records().map(Result::unwrap) {
        let cell = |name: &str| row[place(name)].to_owned();
        assert_eq!((&*cell("trigger"), &*cell("closed_by")), ("final", "end"));
        let key = (cell("window_start"), cell("window_end"), cell("feature"));
        let number = |name: &str| cell(name).parse().unwrap();
        let value = (
            number("events"),
            number("missing"),
            cell("psi").parse().ok(),
            cell("production_counts"),
        );
        assert_eq!(
            figures.insert(key, value),
            None,
            "one row per window and feature"
        );
    }
    figures
}

#[track_caller]
fn assert_golden(input: &str, golden_file: &str, window: &str, slide: &str) {
    let expected = golden(golden_file);
    let mut got = checked(&[
        "--reference",
        REFERENCE,
        input,
        "--timestamp",
        "ts",
        "--window",
        window,
        "--slide",
        slide,
    ]);
    got.retain(|(_, _, feature), _| feature != "dest");
    let keys = |figures: &Figures| figures.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&got), keys(&expected), "no row missing or extra");
    for (key, (values, missing, psi, counts)) in expected {
        let found = &got[&key];
        assert_eq!(
            (found.0, found.1, &found.3),
            (values, missing, &counts),
            "{key:?}"
        );
        match (found.2, psi) {
            (Some(a), Some(b)) => assert!((a - b).abs() < 1e-9, "{key:?}: {a} and {b}"),
            (a, b) => assert_eq!(a, b, "{key:?}"),
        }
    }
}

const WEEKS: &str = "fixtures/flights/golden-7d-1d.csv";
const DAYS: &str = "fixtures/flights/golden-1d-6h.csv.gz";

#[test]
fn flights_as_ndjson_give_the_golden_figures() {
    assert_golden(NDJSON, WEEKS, "7d", "1d");
    assert_golden(NDJSON, DAYS, "1d", "6h");
}

#[test]
fn flights_as_parquet_give_the_golden_figures() {
    assert_golden(PARQUET, WEEKS, "7d", "1d");
    assert_golden(PARQUET, DAYS, "1d", "6h");
}

#[test]
fn the_order_of_rows_does_not_matter() {
    let folder = tempfile::tempdir().unwrap();
    let shuffled = shuffle(folder.path());
    assert_golden(shuffled.to_str().unwrap(), WEEKS, "7d", "1d");
}

fn lines() -> Vec<String> {
    let file = std::fs::File::open(NDJSON).unwrap();
    let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
    lines.map(Result::unwrap).collect()
}

/// The production rows in another order, the same one each time.
fn shuffle(folder: &Path) -> PathBuf {
    let lines = lines();
    let path = folder.join("shuffled.ndjson");
    let mut file = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    // 48,271 and the number of rows have no common divisor, so each row comes once.
    for i in 0..lines.len() {
        writeln!(file, "{}", lines[i * 48_271 % lines.len()]).unwrap();
    }
    path
}

#[test]
fn flights_as_csv_give_the_golden_figures() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("production.csv");
    let mut writer = csv::Writer::from_path(&path).unwrap();
    for (i, line) in lines().iter().enumerate() {
        let row: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        if i == 0 {
            writer.write_record(row.keys()).unwrap();
        }
        let cells = row.values().map(|value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        writer.write_record(cells).unwrap();
    }
    writer.flush().unwrap();
    assert_golden(path.to_str().unwrap(), WEEKS, "7d", "1d");
}

#[test]
fn the_reference_over_itself_has_a_psi_of_exactly_zero() {
    let whole = document(&["--reference", REFERENCE, REFERENCE, "--timestamp", "ts"]);
    let windows = whole["windows"].as_array().unwrap();
    assert_eq!(windows.len(), 1);
    assert_eq!(windows[0]["events"], 51_955);
    assert_eq!(windows[0]["start"], "2013-01-01T10:15:00Z");
    let features = windows[0]["features"].as_array().unwrap();
    assert_eq!(features.len(), 13);
    for feature in features {
        assert_eq!(feature["psi"], 0.0, "{feature}");
        for bucket in feature["buckets"].as_array().unwrap() {
            assert_eq!(bucket["reference"], bucket["production"]);
        }
    }
}

#[test]
fn the_terms_of_a_document_add_up_to_its_psi() {
    let document = document(&["--reference", REFERENCE, PARQUET]);
    let window = &document["windows"][0];
    assert_eq!(
        (&window["start"], &window["coverage"]),
        (&Value::Null, &json!(1.0))
    );
    assert_eq!(document["rows"]["counted"], 71_205);
    for feature in window["features"].as_array().unwrap() {
        let terms = feature["buckets"].as_array().unwrap().iter();
        let sum: f64 = terms.map(|b| b["term"].as_f64().unwrap()).sum();
        assert!((sum - feature["psi"].as_f64().unwrap()).abs() < 1e-12);
    }
}

#[test]
fn the_value_of_one_feature_is_one_number() {
    let args = [
        "--reference",
        REFERENCE,
        "--input",
        PARQUET,
        "--format",
        "value",
    ];
    let number = written(&[&args[..], &["--feature", "dep_delay"]].concat());
    let psi: f64 = number.strip_suffix('\n').unwrap().parse().unwrap();
    let whole = document(&["--reference", REFERENCE, PARQUET, "--features", "dep_delay"]);
    assert_eq!(whole["windows"][0]["features"][0]["psi"], psi);
    let error = run(&args).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("--feature NAME"), "{error}");
}

#[test]
fn features_are_chosen_and_ordered() {
    let args = [
        "--reference",
        REFERENCE,
        PARQUET,
        "--features",
        "visib,origin",
    ];
    let features = document(&args)["windows"][0]["features"].clone();
    let names: Vec<&Value> = features
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["feature"])
        .collect();
    assert_eq!(names, ["visib", "origin"]);
    let args = ["--reference", REFERENCE, PARQUET, "--exclude", "dep_*,d*"];
    let csv = written(&[&args[..], &["--format", "csv"]].concat());
    assert!(!csv.contains(",dep_delay,") && csv.contains(",arr_delay,"));
}

#[test]
fn a_feature_is_chosen_by_its_name_once() {
    let twice = ["--reference", REFERENCE, PARQUET, "--features", "temp,temp"];
    assert_refused(&twice, 2, &["\"temp\" twice"]);
    let fixture = Fixture::new();
    let row = json!({ "price [USD]": 1.5, "price U": 2.5 });
    let rows = fixture.file("rows.ndjson", format!("{row}\n"));
    let built = psiren::reference::build(&[REFERENCE.into()], &Default::default());
    let profile = built.unwrap().to_json();
    let profile = profile.replace("\"temp\"", "\"price [USD]\"");
    let profile = profile.replace("\"dewp\"", "\"price U\"");
    let profile = fixture.file("profile.json", profile);
    let args = ["--reference", &profile, &rows, "--features", "price [USD]"];
    let features = document(&args)["windows"][0]["features"].clone();
    assert_eq!(features.as_array().unwrap().len(), 1);
}

#[test]
fn fail_on_looks_at_full_windows_with_enough_values() {
    let args = ["--reference", REFERENCE, PARQUET, "--format", "csv"];
    let fails = |more: &[&str]| run(&[&args[..], more].concat()).unwrap().1;
    assert!(fails(&["--feature", "temp", "--fail-on", "likely"]));
    assert!(!fails(&["--feature", "distance", "--fail-on", "possible"]));
    let few = [
        "--feature",
        "temp",
        "--fail-on",
        "likely",
        "--min-events",
        "100000",
    ];
    assert!(!fails(&few));
    let filling = [
        "--feature",
        "temp",
        "--fail-on",
        "possible",
        "--timestamp",
        "ts",
        "--window",
        "4000d",
        "--slide",
        "400d",
    ];
    assert!(!fails(&filling));
}

#[test]
fn a_table_names_the_worst_first() {
    let table = written(&[
        "--reference",
        REFERENCE,
        PARQUET,
        "--timestamp",
        "ts",
        "--window",
        "7d",
        "--slide",
        "1d",
    ]);
    insta::assert_snapshot!(table);
}

#[test]
fn openmetrics_are_what_promtool_takes() {
    let folder = tempfile::tempdir().unwrap();
    let args = [
        "--reference",
        REFERENCE,
        PARQUET,
        "--timestamp",
        "ts",
        "--window",
        "7d",
        "--slide",
        "7d",
        "--features",
        "dep_delay",
        "--format",
        "openmetrics",
    ];
    let text = written(&args);
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("psiren_psi{monitor=\"check\",feature=\"dep_delay\"} 0."));
    let input = folder.path().join("history.om");
    std::fs::write(&input, &text).unwrap();
    let command = ["tsdb", "create-blocks-from", "openmetrics"].map(PathBuf::from);
    let paths = [input, folder.path().join("blocks")];
    if let Some(output) = promtool(&[&command[..], &paths].concat(), "") {
        assert!(output.status.success(), "{}", said(&output));
    }
}

struct Fixture(TempDir);

impl Fixture {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn invalid_lines_are_left_out_and_the_rest_counts() {
    let fixture = Fixture::new();
    let input = fixture.file(
        "in.ndjson",
        "\u{feff}{\"dep_delay\":1}\n\n{\"dep_delay\":\n[1]\n{\"dep_delay\":\"nil\"}\n{\"dep_delay\":NaN}\r\n",
    );
    let args = ["--reference", REFERENCE, &input, "--features", "dep_delay"];
    let document = document(&args);
    let rows = &document["rows"];
    assert_eq!((&rows["read"], &rows["counted"]), (&json!(5), &json!(3)));
    let invalid = json!([{"reason": "json", "rows": 1}, {"reason": "not_an_object", "rows": 1}]);
    assert_eq!(rows["invalid"], invalid);
    let feature = &document["windows"][0]["features"][0];
    assert_eq!(feature["events"], 1);
    assert_eq!(
        (&feature["missing"], &feature["invalid"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(feature["status"], "insufficient_data");
}

#[test]
fn gaps_have_rows_and_long_gaps_are_skipped() {
    let fixture = Fixture::new();
    let rows = |days: &[i64]| -> String {
        let row = |d: &i64| {
            format!(
                "{{\"ts\":{},\"dep_delay\":1}}\n",
                1_600_000_000 + d * 86_400
            )
        };
        days.iter().map(row).collect()
    };
    let args = |input: &str| {
        let args = ["--reference", REFERENCE, input, "--feature", "dep_delay"];
        let window = ["--timestamp", "ts", "--window", "2d", "--slide", "1d"];
        document(&[&args[..], &window].concat())
    };
    let gap = args(&fixture.file("gap.ndjson", rows(&[5, 0])));
    let events: Vec<u64> = gap["windows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| w["events"].as_u64().unwrap())
        .collect();
    assert_eq!(events, [1, 1, 0, 0, 0, 1]);
    assert_eq!(gap["windows"][2]["features"][0]["psi"], Value::Null);
    assert_eq!(gap["windows"][0]["coverage"], 0.5);
    let long = args(&fixture.file("long.ndjson", rows(&[0, 20_000])));
    assert_eq!(long["windows"].as_array().unwrap().len(), 3);
    assert_eq!(long["skipped_windows"], 19_998);
}

#[test]
fn a_given_lateness_leaves_out_late_rows() {
    let fixture = Fixture::new();
    let times = [1_600_000_000, 1_600_300_000, 1_600_000_001];
    let rows: String = times
        .iter()
        .map(|t| format!("{{\"ts\":{t},\"dep_delay\":1}}\n"))
        .collect();
    let input = fixture.file("late.ndjson", rows);
    let args = ["--reference", REFERENCE, &input, "--feature", "dep_delay"];
    let windows = ["--timestamp", "ts", "--window", "1d"];
    let counted = |more: &[&str]| {
        let document = document(&[&args[..], &windows, more].concat());
        document["rows"]["counted"].as_u64().unwrap()
    };
    assert_eq!((counted(&[]), counted(&["--lateness", "1h"])), (3, 2));
}

#[track_caller]
fn assert_refused(args: &[&str], code: u8, words: &[&str]) {
    let error = run(args).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_code(), code, "{text}");
    for word in words {
        assert!(text.contains(word), "{text:?} lacks {word:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused_with_words() {
    let fixture = Fixture::new();
    let base = ["--reference", REFERENCE, PARQUET];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    let window = with(&["--timestamp", "ts", "--window", "7d", "--slide", "2d"]);
    assert_refused(&window, 2, &["--slide 2d", "--window 7d"]);
    assert_refused(&with(&["--window", "7d"]), 2, &["--timestamp"]);
    assert_refused(&with(&["--format", "openmetrics"]), 2, &["--timestamp"]);
    assert_refused(&with(&["--possible", "0.5"]), 2, &["0.5", "0.25"]);
    assert_refused(&with(&["--epsilon", "0"]), 2, &["--epsilon"]);
    let least = &["--epsilon", "1e-101", "at least 1e-100"];
    assert_refused(&with(&["--epsilon", "1e-101"]), 2, least);
    assert_refused(
        &with(&["--timestamp", "ts", "--timezone", "Mars"]),
        2,
        &["Mars"],
    );
    assert_refused(&with(&["--features", "dep_dely"]), 78, &["dep_delay"]);
    assert_refused(
        &["--reference", REFERENCE, "nowhere.ndjson"],
        78,
        &["nowhere.ndjson"],
    );
    assert_refused(
        &["--reference", "nowhere.parquet", PARQUET],
        78,
        &["nowhere.parquet"],
    );
    let corrupt = fixture.file("corrupt.parquet", b"PAR1 and then nothing that fits PAR1");
    assert_refused(&["--reference", REFERENCE, &corrupt], 78, &["damaged"]);
    let array = fixture.file("array.json", "[{\"dep_delay\":1}]");
    assert_refused(
        &["--reference", REFERENCE, &array],
        78,
        &["one object per line"],
    );
    let empty = fixture.file("empty.ndjson", "");
    assert_refused(&["--reference", REFERENCE, &empty], 78, &["no lines"]);
    let local = fixture.file("local.ndjson", "{\"ts\":\"2020-01-01T00:00:00\"}\n");
    let args = ["--reference", REFERENCE, &local, "--timestamp", "ts"];
    assert_refused(&args, 78, &["offset", "timezone"]);
    assert!(parse(&["--reference", REFERENCE]).is_err());
    assert!(parse(&[PARQUET]).is_err());
}

#[test]
fn each_mistake_says_the_next_step() {
    let fixture = Fixture::new();
    let rows = fixture.file(
        "rows.ndjson",
        "{\"dep_delay\":1,\"ts\":1600000000}\n".repeat(9),
    );
    let folder = fixture.0.path().to_str().unwrap();
    let header = fixture.file("header.csv", "dep_delay,ts\n");
    let foreign = fixture.file("foreign.ndjson", "{\"colour\": 1, \"shape\": 2}\n");
    for (args, code, words) in [
        (vec![REFERENCE, "nowhere.csv"], 78, "is the path right"),
        (vec!["nowhere.json", &rows], 78, "is the path right"),
        (
            vec![REFERENCE, folder],
            78,
            "it is a folder; name a file in it",
        ),
        (
            vec![folder, &rows],
            78,
            "it is a folder; name the files in it",
        ),
        (
            vec![&rows, &rows],
            78,
            "as Parquet or with `psiren reference build`",
        ),
        (vec![REFERENCE, &header], 78, "was it written to its end?"),
        (
            vec![REFERENCE, &foreign],
            78,
            "its fields are colour, shape",
        ),
        (
            vec![REFERENCE, &foreign],
            78,
            "none of the reference's 13 features",
        ),
        (
            vec![REFERENCE, &rows, "--timestamp", "time", "--window", "1d"],
            78,
            "--timestamp names another field",
        ),
        (
            vec![REFERENCE, &rows, "--window", "1d"],
            2,
            "needs --timestamp FIELD",
        ),
        (
            vec![REFERENCE, &rows, "--format", "explain"],
            2,
            "choose one of the 13 with --feature NAME",
        ),
        (
            vec![
                REFERENCE,
                &rows,
                "--feature",
                "dep_dely",
                "--format",
                "explain",
            ],
            78,
            "did you mean \"dep_delay\"?",
        ),
    ] {
        assert_refused(&[&["--reference"], &args[..]].concat(), code, &[words]);
    }
    let syntax = parse(&["-r", REFERENCE, &rows, "--window", "7 days long"]);
    let syntax = syntax.unwrap_err().to_string();
    assert!(syntax.contains("write it like \"1h 30m\""), "{syntax}");
}

/// They are missing; that the columns are there shows that it is the right file.
#[test]
fn a_file_of_nothing_but_nan_has_its_features_in_common() {
    let fixture = Fixture::new();
    let rows = fixture.file("rows.ndjson", "{\"dep_delay\":NaN}\n".repeat(300));
    let document = document(&["--reference", REFERENCE, &rows]);
    assert_eq!(document["rows"]["counted"], 300);
}

fn psiren_check(args: &[&str], variables: &[(&str, &str)]) -> (String, String) {
    let mut command = assert_cmd::Command::cargo_bin("psiren").unwrap();
    command.args(["check", "--reference", REFERENCE]).args(args);
    command
        .env_remove("NO_COLOR")
        .envs(variables.iter().copied());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr))
}

#[test]
fn many_features_without_values_are_summed_up() {
    let fixture = Fixture::new();
    let rows = fixture.file("rows.ndjson", "{\"dep_delay\":1}\n");
    let (_, said) = psiren_check(&[&rows], &[]);
    assert_eq!(said.lines().count(), 6, "{said}");
    assert!(said.contains("and so have 7 more: "), "{said}");
}

#[test]
fn colours_are_for_terminals_and_for_those_who_insist() {
    let coloured = |variables: &[(&str, &str)]| {
        let (table, _) = psiren_check(&[PARQUET, "--features", "temp"], variables);
        assert!(table.contains("likely drift"), "{table}");
        table.contains('\u{1b}')
    };
    assert!(!coloured(&[]), "a pipe is no terminal");
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
}

const ON_A_TERMINAL: &str = "check fixtures/flights/production.parquet \
    --reference fixtures/flights/reference.parquet --timestamp ts --window 7d --slide 1d";

#[test]
fn a_terminal_shows_colours_and_progress_that_leaves_nothing() {
    let Some(shown) = on_a_terminal(ON_A_TERMINAL, &[]) else {
        return;
    };
    assert!(shown.contains("reading the reference"), "{shown:?}");
    assert!(shown.contains("rows read"), "{shown:?}");
    let (_, left) = shown.rsplit_once("\r\u{1b}[2K").unwrap();
    assert!(
        !left.contains("read,") && left.contains("likely drift"),
        "{left:?}"
    );
    assert!(left.contains("\u{1b}["), "{left:?}");
    let plain = anstream::adapter::strip_str(left).to_string();
    let table = plain
        .lines()
        .take_while(|line| !line.starts_with("possible drift from"));
    let widest = table
        .map(|line| line.trim_end().chars().count())
        .max()
        .unwrap();
    assert!((60..=80).contains(&widest), "{widest}\n{plain}");
}

#[test]
fn who_wants_no_colours_gets_none_on_a_terminal_either() {
    for variable in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let arguments = format!("{ON_A_TERMINAL} --no-progress");
        let Some(shown) = on_a_terminal(&arguments, &[variable]) else {
            return;
        };
        assert!(shown.contains("likely drift"), "{shown:?}");
        assert!(!shown.contains('\u{1b}'), "{variable:?}: {shown:?}");
    }
}

#[test]
fn a_window_of_ones_own_keeps_the_offset_of_the_configuration() {
    let fixture = Fixture::new();
    let reference = std::fs::canonicalize(REFERENCE).unwrap();
    let config = fixture.file(
        "one.toml",
        format!(
            "[kafka]\nbootstrap_servers = \"localhost:9092\"\n[monitor.a]\ntopic = \"t\"\n\
             timestamp = {{ field = \"ts\" }}\nreference = {reference:?}\n\
             window = {{ size = \"7d\", slide = \"1d\", offset = \"5h\" }}\n"
        ),
    );
    let args = ["--config", &config, PARQUET, "--window", "14d"];
    let end = document(&args)["windows"][0]["end"].clone();
    assert!(end.as_str().unwrap().ends_with("T05:00:00Z"), "{end}");
    let end = document(&[&args[..], &["--offset", "6h"]].concat())["windows"][0]["end"].clone();
    assert!(end.as_str().unwrap().ends_with("T06:00:00Z"), "{end}");
}

#[test]
fn an_output_that_cannot_be_written_is_told_once() {
    let fixture = Fixture::new();
    let rows = fixture.file("rows.ndjson", "{\"dep_delay\":1}\n");
    let args = ["--reference", REFERENCE, &rows, "--output", "/nowhere/x"];
    let error = check(&parse(&args).unwrap()).unwrap_err();
    assert_eq!(error.exit_code(), 1);
    let text = format!("{:#}", anyhow::Error::from(error));
    assert!(text.starts_with("cannot write /nowhere/x: "), "{text}");
    assert_eq!(text.matches("os error").count(), 1, "{text}");
}

#[test]
fn a_feature_of_the_wrong_type_is_told_from_one_that_is_not_there() {
    let fixture = Fixture::new();
    let rows = fixture.file("rows.ndjson", "{\"dep_delay\":\"nil\"}\n");
    let output = assert_cmd::Command::cargo_bin("psiren")
        .unwrap()
        .args(["check", "--reference", REFERENCE, &rows])
        .args(["--features", "dep_delay,temp"])
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("\"dep_delay\" has no value in any line; found others, expected numbers")
    );
    assert!(told.contains("\"temp\" has no value in any line; is \"temp\" where it is?"));
}

#[test]
fn what_is_read_is_not_written_over() {
    let fixture = Fixture::new();
    let input = fixture.file("rows.ndjson", "{\"dep_delay\":1}\n");
    let reference = fixture.file("reference.parquet", std::fs::read(REFERENCE).unwrap());
    for output in [&input, &reference] {
        let args = ["--reference", &reference, &input, "--output", output];
        let error = check(&parse(&args).unwrap()).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("both read and written"));
    }
    assert_eq!(
        std::fs::read_to_string(input).unwrap(),
        "{\"dep_delay\":1}\n"
    );
}

#[test]
fn a_profile_is_taken_with_the_buckets_it_was_built_with() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("profile.json");
    let options = psiren::reference::LoadOptions {
        binning: psiren::config::BinningConfig {
            edges: psiren::config::EdgeRule::Uniform { buckets: 4 },
            max_categories: 7,
            ..Default::default()
        },
        ..Default::default()
    };
    let profile = psiren::reference::build(&[REFERENCE.into()], &options).unwrap();
    profile.save(&path).unwrap();
    let profile = path.to_str().unwrap();
    let buckets = |args: &[&str]| {
        let document = document(&[&["--reference", profile, PARQUET], args].concat());
        let features = document["windows"][0]["features"]
            .as_array()
            .unwrap()
            .clone();
        let buckets = features.into_iter().map(|f| {
            (
                f["feature"].as_str().unwrap().to_owned(),
                f["buckets"].as_array().unwrap().len(),
            )
        });
        buckets.collect::<BTreeMap<_, _>>()
    };
    let all = buckets(&[]);
    assert_eq!((all["dep_delay"], all["carrier"], all.len()), (4, 8, 13));
    let one = buckets(&["--feature", "temp"]);
    assert_eq!(
        one.into_iter().collect::<Vec<_>>(),
        [("temp".to_owned(), 4)]
    );
    assert_eq!(buckets(&["--exclude", "temp"]).len(), 12);
    let other = ["--reference", profile, PARQUET, "--buckets", "20"];
    assert_refused(&other, 78, &["was built with", "profile.json"]);
}

#[test]
fn a_monitor_of_a_configuration_can_be_checked() {
    let fixture = Fixture::new();
    let reference = std::fs::canonicalize(REFERENCE).unwrap();
    let monitor = |name: &str| {
        format!(
            "[monitor.{name}]\ntopic = \"t\"\ntimestamp = {{ field = \"ts\" }}\n\
             reference = {reference:?}\nwindow = {{ size = \"7d\", slide = \"7d\" }}\n\
             where = [{{ field = \"origin\", equals = \"JFK\" }}]\n\
             [monitor.{name}.features]\ndistance = {{ buckets = 20 }}\n"
        )
    };
    let kafka = "[kafka]\nbootstrap_servers = \"localhost:9092\"\n";
    let one = fixture.file("one.toml", format!("{kafka}{}", monitor("a")));
    let two = fixture.file(
        "two.toml",
        format!("{kafka}{}{}", monitor("a"), monitor("b")),
    );
    let checked = document(&["--config", &one, PARQUET]);
    assert!(checked["windows"].as_array().unwrap().len() > 40);
    assert!(checked["rows"]["filtered"].as_u64().unwrap() > 10_000);
    let first = &checked["windows"][0]["features"][0];
    assert_eq!(first["feature"], "distance");
    assert_eq!(first["buckets"].as_array().unwrap().len(), 20);
    assert_refused(&["--config", &two, PARQUET], 2, &["--monitor", "a, b"]);
    assert_refused(&["--config", &two, "--monitor", "c", PARQUET], 2, &["a, b"]);
    assert_refused(
        &["--config", "nowhere.toml", PARQUET],
        78,
        &["nowhere.toml"],
    );
    let whole = document(&[
        "--config",
        &two,
        "--monitor",
        "b",
        PARQUET,
        "--buckets",
        "5",
        "--window",
        "400d",
    ]);
    assert_eq!(whole["monitor"], "b");
    assert_eq!(
        whole["windows"][0]["features"][0]["buckets"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
}
