//! Parquet: columns → rows, a batch at a time. Only columns that are asked for are read.
//!
//! A path is a column of its own name, else a column of the name its elements make joined by dots,
//! else a way through struct and list columns.

use std::fs::File;
use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::column::{Column, Field, time_text};
use super::render::Object;
use super::row::{RowReader, RowValues, paths};
use super::{FileError, RowNumber, RowResult};
use crate::config::FilterTest;
use crate::drift::{Binning, Cell};
use crate::event::{self, EventSchema, InvalidRecord, Json, TimeReader};
use crate::footer;
use crate::unwind;

const BATCH_ROWS: usize = 8192;

pub(super) fn read(
    name: &str,
    file: File,
    schema: &EventSchema,
    each: &mut dyn FnMut(RowNumber, RowResult<'_>),
) -> Result<u64, FileError> {
    let builder = open(name, file)?;
    let names: Vec<String> = column_names(&builder);
    let wanted = paths(schema);
    let places: Vec<Option<Place<'_>>> =
        wanted.iter().map(|path| Place::of(path, &names)).collect();
    let mut roots: Vec<usize> = places.iter().flatten().map(|place| place.column).collect();
    roots.sort_unstable();
    roots.dedup();
    let mut reader = RowReader::new(schema);
    let mut number = 0;
    each_batch(name, builder, Some(&roots), |columns, rows| {
        for row in 0..rows {
            number += 1;
            let row = ParquetRow {
                columns: &columns,
                places: &places,
                roots: &roots,
                row,
            };
            each(number, reader.read(&row));
        }
        Ok(ControlFlow::Continue(()))
    })
}

pub(super) fn payloads(
    name: &str,
    file: File,
    each: &mut dyn FnMut(RowNumber, &[u8]) -> ControlFlow<()>,
) -> Result<u64, FileError> {
    let builder = open(name, file)?;
    let schema = builder.schema().clone();
    let mut payload = Vec::new();
    let mut number = 0;
    each_batch(name, builder, None, |columns, rows| {
        if let Some(i) = columns.iter().position(|column| !column.has_json()) {
            return Err(FileError::NoJson {
                name: name.to_owned(),
                column: schema.field(i).name().clone(),
                data_type: schema.field(i).data_type().to_string(),
            });
        }
        for row in 0..rows {
            number += 1;
            let mut object = Object::open(&mut payload);
            for (field, column) in schema.fields().iter().zip(&columns) {
                column.render(row, object.key(field.name()));
            }
            object.close();
            if each(number, &payload).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(number)
}

type Builder = ParquetRecordBatchReaderBuilder<File>;

fn open(name: &str, file: File) -> Result<Builder, FileError> {
    let metadata = footer::load(&file).map_err(|what| FileError::corrupt(name, what))?;
    Ok(Builder::new_with_metadata(file, metadata))
}

fn column_names(builder: &Builder) -> Vec<String> {
    let fields = builder.schema().fields().iter();
    fields.map(|field| field.name().clone()).collect()
}

/// Reads the columns `roots`, or all, and hands over each batch with its number of rows; says how
/// many rows there were.
fn each_batch(
    name: &str,
    builder: Builder,
    roots: Option<&[usize]>,
    mut visit: impl FnMut(Vec<Column>, usize) -> Result<ControlFlow<()>, FileError>,
) -> Result<u64, FileError> {
    let mask = match roots {
        Some(roots) => ProjectionMask::roots(builder.parquet_schema(), roots.iter().copied()),
        None => ProjectionMask::all(),
    };
    let mut reader = guarded(name, || {
        let builder = builder.with_projection(mask).with_batch_size(BATCH_ROWS);
        builder.build().map_err(ArrowError::from)
    })?;
    let mut rows = 0;
    while let Some((columns, count)) = guarded(name, || next(&mut reader))? {
        rows += count as u64;
        if visit(columns, count)?.is_break() {
            break;
        }
    }
    Ok(rows)
}

fn next(reader: &mut ParquetRecordBatchReader) -> Result<Option<(Vec<Column>, usize)>, ArrowError> {
    let Some(batch) = reader.next() else {
        return Ok(None);
    };
    let batch: RecordBatch = batch?;
    let columns: Result<Vec<Column>, _> = batch.columns().iter().map(Column::new).collect();
    Ok(Some((columns?, batch.num_rows())))
}

/// Runs a read of untrusted bytes.
fn guarded<T>(name: &str, read: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, FileError> {
    unwind::quietly(read).map_err(|what| FileError::corrupt(name, what))
}

/// The column a path begins in and the rest of the way.
struct Place<'p> {
    column: usize,
    rest: &'p [String],
}

impl<'p> Place<'p> {
    fn of(path: &'p [String], names: &[String]) -> Option<Self> {
        let find = |name: &str| names.iter().position(|n| n == name);
        if let Some(column) = find(&path.join(".")) {
            return Some(Self { column, rest: &[] });
        }
        let (first, rest) = path.split_first()?;
        find(first).map(|column| Self { column, rest })
    }
}

struct ParquetRow<'a> {
    columns: &'a [Column],
    places: &'a [Option<Place<'a>>],
    /// Which column of the file each of `columns` is, ascending.
    roots: &'a [usize],
    row: usize,
}

impl ParquetRow<'_> {
    fn field(&self, slot: usize) -> Field<'_> {
        let missing = Field::Value(Json::Null);
        let Some(place) = &self.places[slot] else {
            return missing;
        };
        let column = self.roots.binary_search(&place.column).ok();
        column
            .and_then(|i| self.columns.get(i))
            .map_or(missing, |column| column.at(self.row, place.rest))
    }
}

impl RowValues for ParquetRow<'_> {
    fn cell(&self, slot: usize, binning: &Binning) -> Cell {
        match self.field(slot) {
            Field::Value(value) => event::cell(binning, value),
            Field::Time(ns) => event::cell(binning, Json::Text(&time_text(ns))),
            Field::Blocked(found) => Cell::Invalid(found),
        }
    }

    fn passes(&self, slot: usize, test: &FilterTest) -> bool {
        match self.field(slot) {
            Field::Value(value) => event::passes(test, value),
            Field::Time(ns) => event::passes(test, Json::Text(&time_text(ns))),
            Field::Blocked(_) => event::passes(test, Json::Null),
        }
    }

    fn time(&self, slot: usize, reader: &TimeReader) -> Result<i64, InvalidRecord> {
        match self.field(slot) {
            Field::Value(value) => event::event_time(reader, value),
            Field::Time(ns) => TimeReader::instant(ns),
            Field::Blocked(_) => Err(InvalidRecord::TimestampFormat),
        }
    }
}
