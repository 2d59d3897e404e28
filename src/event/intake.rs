//! What a visited value means to the features, the timestamp and the filters that want it.

use super::trie::Targets;
use super::{EventSchema, InvalidRecord, TimeReader};
use crate::config::{Filter, FilterTest, Scalar};
use crate::drift::{Binning, Cell, FeatureKind, Finder, Found, Value};

/// One JSON value, or that an array or object stands there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Json<'a> {
    Null,
    Boolean(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text(&'a str),
    Array,
    Object,
}

/// Text of an integer, on the stack.
#[derive(Debug, Default)]
struct IntegerText {
    bytes: [u8; 20],
}

impl IntegerText {
    fn of(&mut self, negative: bool, mut magnitude: u64) -> &str {
        // 20 bytes hold every u64, and every i64 with its sign.
        let mut at = self.bytes.len();
        loop {
            at -= 1;
            self.bytes[at] = b'0' + (magnitude % 10) as u8;
            magnitude /= 10;
            if magnitude == 0 {
                break;
            }
        }
        if negative {
            at -= 1;
            self.bytes[at] = b'-';
        }
        std::str::from_utf8(&self.bytes[at..]).unwrap_or_default()
    }
}

/// The cell of `value` for a feature binned by `binning`: numbers for numeric features; strings,
/// booleans and integers for categorical ones; null and non-finite numbers are missing.
#[must_use]
pub fn cell(binning: &Binning, value: Json<'_>) -> Cell {
    let mut text = IntegerText::default();
    binning.cell(feature_value(binning.kind(), value, &mut text))
}

#[inline]
fn feature_value<'v>(kind: FeatureKind, value: Json<'v>, text: &'v mut IntegerText) -> Value<'v> {
    let categorical = kind == FeatureKind::Categorical;
    match value {
        Json::Null => Value::Missing,
        Json::Float(x) if !x.is_finite() => Value::Missing,
        Json::Float(x) => Value::Number(x),
        Json::Signed(i) if categorical => Value::Text(text.of(i < 0, i.unsigned_abs())),
        Json::Signed(i) => Value::Number(i as f64),
        Json::Unsigned(i) if categorical => Value::Text(text.of(false, i)),
        Json::Unsigned(i) => Value::Number(i as f64),
        Json::Boolean(b) if categorical => Value::Text(if b { "true" } else { "false" }),
        Json::Boolean(_) => Value::Invalid(Found::Boolean),
        Json::Text(s) => Value::Text(s),
        Json::Array => Value::Invalid(Found::Array),
        Json::Object => Value::Invalid(Found::Object),
    }
}

/// As [`cell`], for values that are not of the commonest kinds.
#[inline(never)]
fn other_cell(finder: &Finder, value: Json<'_>) -> Cell {
    let mut text = IntegerText::default();
    finder.cell(feature_value(finder.kind(), value, &mut text))
}

/// The event time of `value`.
///
/// # Errors
/// A `Timestamp…` reason.
pub fn event_time(reader: &TimeReader, value: Json<'_>) -> Result<i64, InvalidRecord> {
    match value {
        Json::Null => Err(InvalidRecord::TimestampMissing),
        Json::Signed(i) => reader.integer(i.into()),
        Json::Unsigned(i) => reader.integer(i.into()),
        Json::Float(x) => reader.float(x),
        Json::Text(text) => reader.text(text),
        Json::Boolean(_) | Json::Array | Json::Object => Err(InvalidRecord::TimestampFormat),
    }
}

/// Whether `value` passes `test`. Numbers compare as `f64`.
#[must_use]
pub fn passes(test: &FilterTest, value: Json<'_>) -> bool {
    match test {
        FilterTest::Exists(wanted) => (value != Json::Null) == *wanted,
        FilterTest::In(scalars) => scalars.iter().any(|scalar| equals(scalar, value)),
    }
}

fn equals(scalar: &Scalar, value: Json<'_>) -> bool {
    match (scalar, value) {
        (Scalar::Text(a), Json::Text(b)) => a == b,
        (Scalar::Boolean(a), Json::Boolean(b)) => *a == b,
        (Scalar::Number(a), Json::Signed(b)) => *a == b as f64,
        (Scalar::Number(a), Json::Unsigned(b)) => *a == b as f64,
        (Scalar::Number(a), Json::Float(b)) => *a == b,
        _ => false,
    }
}

/// The figures of the event being read.
#[derive(Debug, Clone)]
pub(super) struct Intake {
    finders: Vec<Finder>,
    filters: Vec<Filter>,
    reader: Option<TimeReader>,
    pub(super) cells: Vec<Cell>,
    pub(super) time: Result<i64, InvalidRecord>,
    passed: Vec<bool>,
}

impl Intake {
    pub(super) fn new(schema: &EventSchema) -> Self {
        let mut intake = Self {
            finders: schema
                .features
                .iter()
                .map(|f| Finder::new(&f.binning))
                .collect(),
            filters: schema.filters.clone(),
            reader: schema.timestamp.as_ref().map(TimeReader::new),
            cells: vec![Cell::Missing; schema.features.len()],
            time: Err(InvalidRecord::TimestampMissing),
            passed: vec![false; schema.filters.len()],
        };
        intake.clear();
        intake
    }

    /// Everything absent.
    pub(super) fn clear(&mut self) {
        self.cells.fill(Cell::Missing);
        self.time = Err(InvalidRecord::TimestampMissing);
        for (passed, filter) in self.passed.iter_mut().zip(&self.filters) {
            *passed = passes(&filter.test, Json::Null);
        }
    }

    pub(super) fn passed(&self) -> bool {
        self.passed.iter().all(|passed| *passed)
    }

    /// `value` is what `targets` asked for.
    pub(super) fn take(&mut self, targets: &Targets, value: Json<'_>) {
        for feature in &targets.features {
            self.take_feature(*feature, value);
        }
        self.take_beside(targets, value);
    }

    /// `value` is that of one feature. Both readers hand on finite numbers only: `NaN`, `Infinity`
    /// and `1e999` come as null.
    #[inline(always)]
    pub(super) fn take_feature(&mut self, feature: usize, value: Json<'_>) {
        let finder = &self.finders[feature];
        // The commonest values first.
        let common = match value {
            Json::Float(x) => finder.number(x),
            Json::Unsigned(i) => finder.number(i as f64),
            Json::Signed(i) => finder.number(i as f64),
            Json::Text(text) => finder.text(text),
            _ => None,
        };
        self.cells[feature] = match common {
            Some(cell) => cell,
            None => other_cell(finder, value),
        };
    }

    /// For filters and the timestamp, which fewer places have.
    fn take_beside(&mut self, targets: &Targets, value: Json<'_>) {
        for filter in &targets.filters {
            self.passed[*filter] = passes(&self.filters[*filter].test, value);
        }
        if targets.timestamp
            && let Some(reader) = &self.reader
        {
            self.time = event_time(reader, value);
        }
    }

    /// What `targets` asked for is not there.
    pub(super) fn reset(&mut self, targets: &Targets) {
        self.take(targets, Json::Null);
    }

    /// `value` stands where an object or list on the way to `targets` should.
    pub(super) fn block(&mut self, targets: &Targets, value: Json<'_>) {
        let found = match value {
            Json::Null => return self.reset(targets),
            Json::Boolean(_) => Found::Boolean,
            Json::Signed(_) | Json::Unsigned(_) => Found::Number,
            Json::Float(_) => Found::Number,
            Json::Text(_) => Found::String,
            Json::Array => Found::Array,
            Json::Object => Found::Object,
        };
        self.reset(targets);
        for feature in &targets.features {
            self.cells[*feature] = Cell::Invalid(found);
        }
        if targets.timestamp {
            self.time = Err(InvalidRecord::TimestampFormat);
        }
    }
}
