//! The events of a seed: flat JSON of a given size, and the columns of a reference like them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use fastrand::Rng;
use jiff::Timestamp;
use parquet::arrow::ArrowWriter;

/// Fields of an event besides the ones that can be watched, its time among them.
const OTHERS: usize = 8;
const SEED: u64 = 42;

/// Fields that every event has: nine numbers and three categories.
const FIELDS: [(&str, Kind); 12] = [
    ("amount", Kind::Full(250.0)),
    ("score", Kind::Full(1.0)),
    ("lat", Kind::Full(90.0)),
    ("dist", Kind::Short(5000.0)),
    ("age", Kind::Whole(90)),
    ("clicks", Kind::Whole(400)),
    ("items", Kind::Whole(12)),
    ("ms", Kind::Whole(9000)),
    ("temp", Kind::Short(40.0)),
    (
        "country",
        Kind::OneOf(&["DE", "FR", "GB", "NL", "PL", "US"]),
    ),
    ("device", Kind::OneOf(&["desktop", "mobile", "tablet"])),
    ("plan", Kind::OneOf(&["free", "plus", "pro", "team"])),
];

#[derive(Clone, Copy)]
enum Kind {
    /// A float with all of its 15 to 17 digits.
    Full(f64),
    /// A float with one digit after the point.
    Short(f64),
    Whole(i64),
    OneOf(&'static [&'static str]),
}

/// How events look.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Features that are watched.
    pub(crate) watched: usize,
    /// Fields of an event: at least twenty, and those that are watched.
    pub(crate) fields: usize,
    /// Length of an event, filled up by a text that nobody watches.
    pub(crate) bytes: usize,
    /// Event time as RFC 3339 text, not as milliseconds.
    pub(crate) text_time: bool,
}

/// Bodies of events without their event time, which comes first.
pub(crate) struct Pool {
    bodies: Vec<String>,
    text_time: bool,
}

impl Shape {
    /// So many different bodies; each may come many times, under another event time.
    pub(crate) fn pool(&self, bodies: usize) -> Pool {
        let mut rng = Rng::with_seed(SEED);
        let time = if self.text_time { 33 } else { 20 };
        let bodies = (0..bodies).map(|_| self.body(&mut rng, self.bytes.saturating_sub(time)));
        Pool {
            bodies: bodies.collect(),
            text_time: self.text_time,
        }
    }

    /// Writes the columns of the watched features, so many rows, to a Parquet file.
    pub(crate) fn write_reference(&self, path: &Path, rows: usize) {
        let mut rng = Rng::with_seed(SEED + 1);
        let columns: Vec<(String, ArrayRef)> = (0..self.watched)
            .map(|i| {
                let (name, kind) = field(i);
                let values = (0..rows).map(|_| kind.value(&mut rng));
                let array: ArrayRef = match kind {
                    Kind::OneOf(_) => Arc::new(StringArray::from_iter_values(values)),
                    _ => Arc::new(Float64Array::from_iter_values(
                        values.map(|text| text.parse::<f64>().expect("a number")),
                    )),
                };
                (name, array)
            })
            .collect();
        let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
        let file = File::create(path).expect("a file for the reference");
        let mut writer =
            ArrowWriter::try_new(file, batch.schema(), None).expect("a Parquet writer");
        writer.write(&batch).expect("the reference is written");
        writer.close().expect("the reference is written");
    }

    fn body(&self, rng: &mut Rng, length: usize) -> String {
        let mut body = format!(
            "\"id\":\"{:08x}\",\"v\":2,\"ok\":true,\"ref\":null",
            rng.u32(..)
        );
        let watchable = self.watched.max(FIELDS.len());
        for i in 0..watchable.max(self.fields.saturating_sub(OTHERS)) {
            let (name, kind) = field(i);
            let value = kind.value(rng);
            match kind {
                Kind::OneOf(_) => body += &format!(",\"{name}\":\"{value}\""),
                _ => body += &format!(",\"{name}\":{value}"),
            }
        }
        body += &format!(",\"path\":\"/p/{}\",\"session\":\"", rng.u16(..));
        // Closing quotes, the name of the filling and the brace take 13.
        let (session, note) = (8, length.saturating_sub(body.len() + 8 + 13));
        body.extend((0..session).map(|_| rng.alphanumeric()));
        body += "\",\"note\":\"";
        body.extend((0..note).map(|_| rng.alphanumeric()));
        body + "\"}"
    }
}

impl Pool {
    /// Writes the event number `i`, dated `at_ms`, over what is in `event`.
    pub(crate) fn event(&self, i: usize, at_ms: i64, event: &mut String) {
        event.clear();
        match self.text_time {
            true => {
                let at = Timestamp::from_millisecond(at_ms).expect("an instant");
                *event += &format!("{{\"ts\":\"{at:.3}\",");
            }
            false => *event += &format!("{{\"ts\":{at_ms},"),
        }
        *event += &self.bodies[i % self.bodies.len()];
    }
}

fn field(i: usize) -> (String, Kind) {
    match FIELDS.get(i) {
        Some((name, kind)) => ((*name).to_owned(), *kind),
        None => (format!("f{i}"), Kind::Short(1000.0)),
    }
}

impl Kind {
    fn value(self, rng: &mut Rng) -> String {
        // The sum of three is bell-shaped enough for edges that lie apart.
        let mut bell = || (rng.f64() + rng.f64() + rng.f64()) / 3.0;
        match self {
            Self::Full(scale) => (bell() * scale).to_string(),
            Self::Short(scale) => format!("{:.1}", bell() * scale),
            Self::Whole(scale) => ((bell() * scale as f64) as i64).to_string(),
            Self::OneOf(words) => words[(bell() * words.len() as f64) as usize].to_owned(),
        }
    }
}
