//! Parquet columns in: one column at a time, streamed in batches.
//!
//! Memory is that of the columns that are read, however wide the file. Integers, floats and decimals
//! give numbers; strings, booleans and (when asked for) integers give text. What has no meaning for
//! drift is refused with the column named: nested columns, binary, times. A damaged file is an error,
//! never a panic.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, Float64Type, TimeUnit,
    TimestampMillisecondType,
};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, Type as PhysicalType};
use parquet::schema::types::Type;
use sha2::{Digest, Sha256};

use super::error::ReferenceError;
use crate::footer;
use crate::text::hex;
use crate::unwind;

const BATCH_ROWS: usize = 8192;

/// An opened Parquet file: its columns are known, its rows not yet read.
#[derive(Debug)]
pub struct ParquetFile {
    path: PathBuf,
    /// Its clones share one position, so one column is read at a time.
    file: Mutex<File>,
    metadata: ArrowReaderMetadata,
    columns: Vec<Column>,
    pub rows: u64,
}

/// What a column holds, as far as drift is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnClass {
    /// Whole numbers; text when asked for.
    Integer,
    /// Floats and decimals. `single`: 32 bits or fewer, so edges come from rounded values.
    Fraction {
        single: bool,
    },
    /// Strings.
    Text,
    Boolean,
    /// Timestamps and dates.
    Time,
    /// Lists, structs, maps.
    Nested,
    /// No values at all.
    Null,
    /// Anything else.
    Other,
}

/// One column of the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub class: ColumnClass,
    /// The type as people write it: `int32`, `large_string`, `timestamp[ms]`.
    pub data_type: String,
}

/// The values of one column.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Finite, in row order.
    Numbers(Vec<f64>),
    /// How often each text occurs.
    Texts(HashMap<String, u64>),
}

/// The values of one column and the number of rows without one (null, NaN, ±infinity).
#[derive(Debug, Clone, PartialEq)]
pub struct ColumnValues {
    pub values: Values,
    pub missing: u64,
}

impl ColumnValues {
    /// Numbers as 32 bits hold them, as those of events are; without a value where 32 bits do not reach.
    pub(super) fn narrow(&mut self) {
        let Values::Numbers(numbers) = &mut self.values else {
            return;
        };
        let before = numbers.len();
        numbers.retain_mut(|x| {
            *x = f64::from(*x as f32);
            x.is_finite()
        });
        self.missing += (before - numbers.len()) as u64;
    }

    #[must_use]
    pub fn numbers() -> Self {
        Self {
            values: Values::Numbers(Vec::new()),
            missing: 0,
        }
    }

    #[must_use]
    pub fn texts() -> Self {
        Self {
            values: Values::Texts(HashMap::new()),
            missing: 0,
        }
    }
}

/// Opens any file for reading.
///
/// # Errors
/// It does not exist, may not be read, or is no regular file.
pub(super) fn open_file(path: &Path) -> Result<File, ReferenceError> {
    let unreadable = |e| ReferenceError::unreadable(path, &e);
    // Before it is opened: a pipe would be waited for.
    let kind = path.metadata().map_err(unreadable)?.file_type();
    let what = match (kind.is_file(), kind.is_dir()) {
        (true, _) => return File::open(path).map_err(unreadable),
        (_, true) => "it is a folder; name the files in it",
        _ => "it is a pipe or a device, and a reference is read more than once; save it to a file",
    };
    Err(ReferenceError::Unreadable {
        path: path.to_owned(),
        what: what.to_owned(),
    })
}

impl ParquetFile {
    /// Reads the file's footer.
    ///
    /// # Errors
    /// The file is missing, has no rows, is cut short, or its footer makes no sense.
    pub fn open(path: &Path) -> Result<Self, ReferenceError> {
        let file = open_file(path)?;
        let metadata = footer::load(&file).map_err(|what| ReferenceError::corrupt(path, what))?;
        let rows = metadata.metadata().file_metadata().num_rows();
        let rows = u64::try_from(rows)
            .map_err(|_| ReferenceError::corrupt(path, format!("it claims {rows} rows")))?;
        if rows == 0 {
            return Err(ReferenceError::Empty {
                path: path.to_owned(),
            });
        }
        Ok(Self {
            path: path.to_owned(),
            file: Mutex::new(file),
            columns: columns_of(&metadata),
            metadata,
            rows,
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The top-level columns, in the file's order.
    #[must_use]
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The top-level column of this name; of several, the first.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Adds the values of the column `name` to `into`, as numbers or as text as `into` has them.
    ///
    /// # Errors
    /// The column's pages are damaged, or its type does not give such values.
    pub fn read(&self, name: &str, into: &mut ColumnValues) -> Result<(), ReferenceError> {
        self.each_batch(name, |array| add(array, into))
    }

    /// Least and greatest instant of the column `name` in milliseconds since the Unix epoch; `None`
    /// when it has none.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn time_span(&self, name: &str) -> Result<Option<(i64, i64)>, ReferenceError> {
        let mut span: Option<(i64, i64)> = None;
        self.each_batch(name, |array| {
            let millis = cast(array, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
            for ms in millis
                .as_primitive::<TimestampMillisecondType>()
                .iter()
                .flatten()
            {
                span = Some(span.map_or((ms, ms), |(a, b)| (a.min(ms), b.max(ms))));
            }
            Ok(())
        })?;
        Ok(span)
    }

    fn each_batch(
        &self,
        name: &str,
        mut visit: impl FnMut(&ArrayRef) -> Result<(), ArrowError>,
    ) -> Result<(), ReferenceError> {
        let schema = self.metadata.parquet_schema();
        let roots = schema.root_schema().get_fields();
        let index = roots.iter().position(|field| field.name() == name);
        let mask = ProjectionMask::roots(schema, index);
        if let Some(codec) = index.and_then(|root| self.unread_codec(root)) {
            let what = format!(
                "column {name:?} is compressed with {codec}; zstd, snappy, gzip and lz4 are read"
            );
            return Err(ReferenceError::corrupt(&self.path, what));
        }
        let mut rows = 0;
        let held = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = held
            .try_clone()
            .map_err(|e| ReferenceError::unreadable(&self.path, &e))?;
        unwind::quietly(|| {
            let reader =
                ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                    .with_projection(mask)
                    .with_batch_size(BATCH_ROWS)
                    .build()
                    .map_err(ArrowError::from)?;
            for batch in reader {
                let batch = batch?;
                let column = batch.columns().first().ok_or_else(|| {
                    ArrowError::SchemaError("the file's own schema does not have it".to_owned())
                })?;
                rows += column.len() as u64;
                visit(column)?;
            }
            Ok::<_, ArrowError>(())
        })
        .map_err(|what| ReferenceError::corrupt(&self.path, format!("column {name:?}: {what}")))?;
        if rows != self.rows {
            let what = format!("column {name:?} has {rows} rows, the file {}", self.rows);
            return Err(ReferenceError::corrupt(&self.path, what));
        }
        Ok(())
    }

    /// A compression of the top-level column `root` that this program does not read.
    fn unread_codec(&self, root: usize) -> Option<&'static str> {
        let schema = self.metadata.parquet_schema();
        let leaves =
            (0..schema.num_columns()).filter(|leaf| schema.get_column_root_idx(*leaf) == root);
        let groups = self.metadata.metadata().row_groups();
        leaves
            .flat_map(|leaf| groups.iter().map(move |group| group.column(leaf)))
            .find_map(|chunk| match chunk.compression() {
                Compression::BROTLI(_) => Some("brotli"),
                Compression::LZO => Some("lzo"),
                _ => None,
            })
    }

    /// SHA-256 of the file's bytes, in hexadecimal.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn sha256(&self) -> Result<String, ReferenceError> {
        let unreadable = |e| ReferenceError::unreadable(&self.path, &e);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.rewind().map_err(unreadable)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let n = file.read(&mut buffer).map_err(unreadable)?;
            if n == 0 {
                return Ok(hex(&hash.finalize()));
            }
            hash.update(&buffer[..n]);
        }
    }
}

fn columns_of(metadata: &ArrowReaderMetadata) -> Vec<Column> {
    let roots = metadata.parquet_schema().root_schema().get_fields();
    let fields = metadata.schema().fields().iter().zip(roots);
    let columns = fields.map(|(field, root)| Column {
        name: field.name().clone(),
        class: match field.data_type() {
            DataType::Dictionary(..) if !has_dictionary_reader(root) => ColumnClass::Other,
            data_type => class_of(data_type),
        },
        data_type: type_name(field.data_type()),
    });
    columns.collect()
}

/// Whether the decoder gives such a column as a dictionary.
fn has_dictionary_reader(root: &Type) -> bool {
    root.is_primitive()
        && !matches!(
            root.get_physical_type(),
            PhysicalType::BOOLEAN | PhysicalType::FIXED_LEN_BYTE_ARRAY
        )
}

fn add(array: &ArrayRef, into: &mut ColumnValues) -> Result<(), ArrowError> {
    match &mut into.values {
        Values::Numbers(numbers) => {
            let before = numbers.len();
            add_numbers(array, numbers)?;
            into.missing += (array.len() - (numbers.len() - before)) as u64;
        }
        Values::Texts(texts) => {
            let array = cast(array, &DataType::LargeUtf8)?;
            let strings = array.as_string::<i64>();
            into.missing += strings.null_count() as u64;
            for text in strings.iter().flatten() {
                match texts.get_mut(text) {
                    Some(n) => *n += 1,
                    None => {
                        texts.insert(text.to_owned(), 1);
                    }
                }
            }
        }
    }
    Ok(())
}

fn add_numbers(array: &ArrayRef, numbers: &mut Vec<f64>) -> Result<(), ArrowError> {
    /// A decimal's text parsed is the nearest float, which is what a JSON number gives too;
    /// dividing the unscaled integer rounds twice.
    macro_rules! decimals {
        ($decimal:ty) => {{
            let array = array.as_primitive::<$decimal>();
            for i in (0..array.len()).filter(|i| array.is_valid(*i)) {
                let text = array.value_as_string(i);
                let number: f64 = text.parse().map_err(|_| {
                    ArrowError::ParseError(format!("the decimal {text} is no number"))
                })?;
                numbers.extend(Some(number).filter(|x| x.is_finite()));
            }
        }};
    }
    match array.data_type() {
        DataType::Decimal32(..) => decimals!(Decimal32Type),
        DataType::Decimal64(..) => decimals!(Decimal64Type),
        DataType::Decimal128(..) => decimals!(Decimal128Type),
        DataType::Decimal256(..) => decimals!(Decimal256Type),
        DataType::Dictionary(_, values) => add_numbers(&cast(array, values)?, numbers)?,
        _ => {
            let floats = cast(array, &DataType::Float64)?;
            let floats = floats.as_primitive::<Float64Type>();
            numbers.extend(floats.iter().flatten().filter(|x| x.is_finite()));
        }
    }
    Ok(())
}

fn class_of(data_type: &DataType) -> ColumnClass {
    use DataType as T;
    match data_type {
        t if t.is_integer() => ColumnClass::Integer,
        T::Float16 | T::Float32 => ColumnClass::Fraction { single: true },
        T::Float64 => ColumnClass::Fraction { single: false },
        T::Decimal32(_, scale)
        | T::Decimal64(_, scale)
        | T::Decimal128(_, scale)
        | T::Decimal256(_, scale) => match scale {
            0 => ColumnClass::Integer,
            _ => ColumnClass::Fraction { single: false },
        },
        T::Utf8 | T::LargeUtf8 | T::Utf8View => ColumnClass::Text,
        T::Boolean => ColumnClass::Boolean,
        T::Timestamp(..) | T::Date32 | T::Date64 => ColumnClass::Time,
        T::Null => ColumnClass::Null,
        T::Dictionary(_, values) => class_of(values),
        t if t.is_nested() => ColumnClass::Nested,
        _ => ColumnClass::Other,
    }
}

/// The type as Arrow's tools write it.
fn type_name(data_type: &DataType) -> String {
    use DataType as T;
    let unit = |unit: &TimeUnit| match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    };
    match data_type {
        T::Float16 => "halffloat".to_owned(),
        T::Float32 => "float".to_owned(),
        T::Float64 => "double".to_owned(),
        T::Utf8 => "string".to_owned(),
        T::LargeUtf8 => "large_string".to_owned(),
        T::Utf8View => "string_view".to_owned(),
        T::Boolean => "bool".to_owned(),
        T::Timestamp(u, None) => format!("timestamp[{}]", unit(u)),
        T::Timestamp(u, Some(zone)) => format!("timestamp[{}, tz={zone}]", unit(u)),
        T::Time32(u) | T::Time64(u) => format!("time[{}]", unit(u)),
        T::Duration(u) => format!("duration[{}]", unit(u)),
        T::Dictionary(_, values) => format!("dictionary of {}", type_name(values)),
        T::Struct(_) => "struct".to_owned(),
        T::Map(..) => "map".to_owned(),
        T::List(item) | T::LargeList(item) | T::ListView(item) | T::LargeListView(item) => {
            format!("list of {}", type_name(item.data_type()))
        }
        other => other.to_string().to_lowercase(),
    }
}
