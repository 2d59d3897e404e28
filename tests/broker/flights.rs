//! The flights of `fixtures/flights`: as events, and as the golden figures of an independent program.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use jiff::Timestamp;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::Value;

use crate::topic::Record;

pub(crate) struct Flight {
    pub(crate) origin: String,
    pub(crate) ts_ms: i64,
    pub(crate) line: String,
}

/// One golden figure. `psi` is `None` for a window without values.
#[derive(Debug)]
pub(crate) struct Golden {
    pub(crate) window_end_ms: i64,
    pub(crate) feature: String,
    pub(crate) events: u64,
    pub(crate) missing: u64,
    pub(crate) psi: Option<f64>,
    /// In bucket order.
    pub(crate) counts: Vec<u64>,
}

/// Every production flight, in order of scheduled departure.
pub(crate) fn flights() -> Vec<Flight> {
    BufReader::new(open("production.ndjson.gz"))
        .lines()
        .map(|line| Flight::parse(line.expect("a line of text")))
        .collect()
}

/// The golden figures of `golden-7d-1d.csv` or `golden-1d-6h.csv.gz`.
pub(crate) fn golden(name: &str) -> Vec<Golden> {
    csv::Reader::from_reader(open(name))
        .records()
        .map(|row| Golden::parse(&row.expect("a row")))
        .collect()
}

/// Every row of the reference as an event.
pub(crate) fn reference_events() -> Vec<Record> {
    let file = File::open(path("reference.parquet")).expect("the reference");
    let reader = SerializedFileReader::new(file).expect("a Parquet file");
    let rows = reader.get_row_iter(None).expect("rows");
    rows.map(|row| Record::json(&event(&row.expect("a row"))))
        .collect()
}

/// `reference.parquet`, quoted for TOML.
pub(crate) fn reference() -> String {
    toml::Value::String(path("reference.parquet").display().to_string()).to_string()
}

impl Flight {
    fn parse(line: String) -> Self {
        let event: Value = serde_json::from_str(&line).expect("a flight");
        let text = |field: &str| event[field].as_str().expect("text").to_owned();
        let ts: Timestamp = text("ts").parse().expect("RFC 3339");
        Self {
            origin: text("origin"),
            ts_ms: ts.as_millisecond(),
            line,
        }
    }

    pub(crate) fn record(&self) -> Record {
        Record::bytes(self.line.as_str())
    }
}

impl Golden {
    fn parse(row: &csv::StringRecord) -> Self {
        let psi: f64 = row[5].parse().expect("psi");
        Self {
            window_end_ms: row[1].parse().expect("window_end_ms"),
            feature: row[2].to_owned(),
            events: row[3].parse().expect("events"),
            missing: row[4].parse().expect("missing"),
            psi: (!psi.is_nan()).then_some(psi),
            counts: row[6]
                .split(' ')
                .map(|n| n.parse().expect("a count"))
                .collect(),
        }
    }
}

fn event(row: &Row) -> Value {
    let fields = row
        .get_column_iter()
        .map(|(name, field)| (name.clone(), value(field)));
    Value::Object(fields.collect())
}

fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Int(number) => (*number).into(),
        Field::Long(number) | Field::TimestampMillis(number) => (*number).into(),
        Field::Double(number) => (*number).into(),
        Field::Str(text) => text.as_str().into(),
        other => panic!("the flights hold no {other:?}"),
    }
}

/// A file of the fixture.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures/flights")
        .join(name)
}

fn open(name: &str) -> Box<dyn Read> {
    let file = File::open(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    if name.ends_with(".gz") {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    }
}
