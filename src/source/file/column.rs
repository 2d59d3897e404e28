//! One Arrow column with its type reduced to what drift knows.
//!
//! Integers of all widths become 64 bits, floats `f64` (a Float32 is widened), strings of all kinds
//! and dictionaries their text, decimals numbers, timestamps and dates instants; a timestamp
//! without a zone is UTC.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal32Array, Decimal64Array, Decimal128Array,
    Decimal256Array, Float64Array, Int64Array, LargeListArray, LargeStringArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field as ArrowField, TimeUnit};
use arrow::error::ArrowError;
use jiff::Timestamp;

use super::render::{Object, scalar};
use crate::drift::Found;
use crate::event::Json;

const NS_PER_DAY: i128 = 86_400_000_000_000;

/// The values of one column in one batch.
#[derive(Debug)]
pub(super) enum Column {
    Null,
    Signed(Int64Array),
    Unsigned(UInt64Array),
    Float(Float64Array),
    /// Whole numbers of a decimal column, as far as 64 bits hold them.
    Whole(Float64Array, Int64Array),
    Boolean(BooleanArray),
    Text(LargeStringArray),
    /// Ticks since the Unix epoch and the nanoseconds of one.
    Time(Int64Array, i128),
    Struct(ArrayRef, Vec<(String, Column)>),
    List(LargeListArray, Box<Column>),
    /// Binary, maps, durations, …: present or null, without a value.
    Other(ArrayRef),
}

/// What stands at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Field<'a> {
    Value(Json<'a>),
    /// Nanoseconds since the Unix epoch.
    Time(i128),
    /// This stands on the way, where an object or list should.
    Blocked(Found),
}

impl Column {
    pub(super) fn new(array: &ArrayRef) -> Result<Self, ArrowError> {
        use DataType as T;
        Ok(match array.data_type() {
            T::Null => Self::Null,
            T::UInt64 => Self::Unsigned(array.as_primitive().clone()),
            t if t.is_integer() => Self::Signed(cast(array, &T::Int64)?.as_primitive().clone()),
            t if t.is_floating() => Self::Float(cast(array, &T::Float64)?.as_primitive().clone()),
            T::Decimal32(..) | T::Decimal64(..) | T::Decimal128(..) | T::Decimal256(..) => {
                decimals(array)
            }
            T::Boolean => Self::Boolean(array.as_boolean().clone()),
            T::Utf8 | T::LargeUtf8 | T::Utf8View => {
                Self::Text(cast(array, &T::LargeUtf8)?.as_string().clone())
            }
            T::Dictionary(_, values) => Self::new(&cast(array, values)?)?,
            T::Timestamp(unit, _) => Self::Time(ticks(array)?, nanoseconds(*unit)),
            T::Date32 => Self::Time(ticks(&cast(array, &T::Int32)?)?, NS_PER_DAY),
            T::Date64 => Self::Time(ticks(array)?, nanoseconds(TimeUnit::Millisecond)),
            T::Struct(fields) => {
                let parts = fields.iter().zip(array.as_struct().columns());
                let parts: Result<_, ArrowError> = parts
                    .map(|(field, part)| Ok((field.name().clone(), Self::new(part)?)))
                    .collect();
                Self::Struct(array.clone(), parts?)
            }
            T::List(item) | T::LargeList(item) | T::FixedSizeList(item, _) => list(array, item)?,
            _ => Self::Other(array.clone()),
        })
    }

    /// Whether every value has a JSON form.
    pub(super) fn has_json(&self) -> bool {
        match self {
            Self::Other(_) => false,
            Self::Struct(_, parts) => parts.iter().all(|(_, part)| part.has_json()),
            Self::List(_, items) => items.has_json(),
            _ => true,
        }
    }

    /// The value at `row`, followed along `path`.
    pub(super) fn at(&self, row: usize, path: &[String]) -> Field<'_> {
        let here = self.value(row);
        let Some((name, rest)) = path.split_first() else {
            return here;
        };
        match (self, here) {
            (_, Field::Value(Json::Null)) => here,
            (Self::Struct(_, parts), _) => match parts.iter().find(|(part, _)| part == name) {
                Some((_, part)) => part.at(row, rest),
                None => Field::Value(Json::Null),
            },
            (Self::List(lists, items), _) => match name.parse::<usize>() {
                Ok(index) if index < lists.value_length(row) as usize => {
                    items.at(lists.value_offsets()[row] as usize + index, rest)
                }
                Ok(_) => Field::Value(Json::Null),
                Err(_) => Field::Blocked(Found::Array),
            },
            _ => Field::Blocked(found(here)),
        }
    }

    fn value(&self, row: usize) -> Field<'_> {
        let value = match self {
            column if column.is_null(row) => Json::Null,
            Self::Null => Json::Null,
            Self::Signed(array) => Json::Signed(array.value(row)),
            Self::Unsigned(array) => Json::Unsigned(array.value(row)),
            Self::Float(array) => Json::Float(array.value(row)),
            Self::Whole(_, whole) if whole.is_valid(row) => Json::Signed(whole.value(row)),
            Self::Whole(array, _) => Json::Float(array.value(row)),
            Self::Boolean(array) => Json::Boolean(array.value(row)),
            Self::Text(array) => Json::Text(array.value(row)),
            Self::Time(array, tick) => return Field::Time(i128::from(array.value(row)) * tick),
            Self::Struct(..) | Self::Other(_) => Json::Object,
            Self::List(..) => Json::Array,
        };
        Field::Value(value)
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Null => true,
            Self::Signed(array) => array.is_null(row),
            Self::Unsigned(array) => array.is_null(row),
            Self::Float(array) | Self::Whole(array, _) => array.is_null(row),
            Self::Boolean(array) => array.is_null(row),
            Self::Text(array) => array.is_null(row),
            Self::Time(array, _) => array.is_null(row),
            Self::Struct(array, _) | Self::Other(array) => array.is_null(row),
            Self::List(array, _) => array.is_null(row),
        }
    }

    /// Writes the value at `row` as JSON.
    pub(super) fn render(&self, row: usize, out: &mut Vec<u8>) {
        match (self, self.value(row)) {
            (_, Field::Time(ns)) => scalar(out, Json::Text(&time_text(ns))),
            (Self::Struct(_, parts), Field::Value(Json::Object)) => {
                let mut object = Object::nested(out);
                for (name, part) in parts {
                    part.render(row, object.key(name));
                }
                object.close();
            }
            (Self::List(lists, items), Field::Value(Json::Array)) => {
                let start = lists.value_offsets()[row] as usize;
                out.push(b'[');
                for i in 0..lists.value_length(row) as usize {
                    if i > 0 {
                        out.push(b',');
                    }
                    items.render(start + i, out);
                }
                out.push(b']');
            }
            (_, Field::Value(value)) => scalar(out, value),
            (_, Field::Blocked(_)) => scalar(out, Json::Null),
        }
    }
}

/// RFC 3339 in UTC; what no calendar reaches, as its number of nanoseconds.
pub(super) fn time_text(ns: i128) -> String {
    Timestamp::from_nanosecond(ns).map_or_else(|_| ns.to_string(), |time| time.to_string())
}

fn found(field: Field<'_>) -> Found {
    match field {
        Field::Blocked(found) => found,
        Field::Time(_) | Field::Value(Json::Text(_)) => Found::String,
        Field::Value(Json::Boolean(_)) => Found::Boolean,
        Field::Value(Json::Array) => Found::Array,
        Field::Value(Json::Object | Json::Null) => Found::Object,
        Field::Value(_) => Found::Number,
    }
}

fn list(array: &ArrayRef, item: &std::sync::Arc<ArrowField>) -> Result<Column, ArrowError> {
    let lists = cast(array, &DataType::LargeList(item.clone()))?;
    let lists: LargeListArray = lists.as_list().clone();
    let items = Column::new(lists.values())?;
    Ok(Column::List(lists, Box::new(items)))
}

fn ticks(array: &ArrayRef) -> Result<Int64Array, ArrowError> {
    Ok(cast(array, &DataType::Int64)?.as_primitive().clone())
}

fn nanoseconds(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

/// A decimal's text parsed is the nearest float, which is what a JSON number gives too; dividing
/// the unscaled integer would round twice.
fn decimals(array: &ArrayRef) -> Column {
    macro_rules! texts {
        ($array:ty) => {{
            let array = array.as_any().downcast_ref::<$array>();
            array.map(|a| {
                let text = |i| a.is_valid(i).then(|| a.value_as_string(i));
                (0..a.len()).map(text).collect()
            })
        }};
    }
    let texts: Option<Vec<Option<String>>> = match array.data_type() {
        DataType::Decimal32(..) => texts!(Decimal32Array),
        DataType::Decimal64(..) => texts!(Decimal64Array),
        DataType::Decimal128(..) => texts!(Decimal128Array),
        _ => texts!(Decimal256Array),
    };
    let texts = texts.unwrap_or_default();
    let floats: Float64Array = texts.iter().map(|t| t.as_ref()?.parse().ok()).collect();
    let whole: Int64Array = texts.iter().map(|t| t.as_ref()?.parse().ok()).collect();
    Column::Whole(floats, whole)
}
