//! CSV with a header row.
//!
//! An empty cell is missing. A numeric feature takes a cell that parses as a number (`NaN` and
//! `inf` are missing); a categorical one takes the text as it stands, `True` and `False` being
//! booleans unless they are categories. A path of several elements is a column whose name joins
//! them by dots.

use std::io::BufRead;
use std::ops::ControlFlow;

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::render::Object;
use super::row::{RowReader, RowValues, paths};
use super::{FileError, Format, RowNumber, RowResult};
use crate::config::FilterTest;
use crate::drift::{Binning, Cell, FeatureKind};
use crate::event::{self, EventSchema, InvalidRecord, Json, TimeReader};

pub(super) fn read(
    name: &str,
    text: Box<dyn BufRead>,
    format: Format,
    schema: &EventSchema,
    each: &mut dyn FnMut(RowNumber, RowResult<'_>),
) -> Result<u64, FileError> {
    let mut table = Table::open(name, text, format)?;
    let columns: Vec<Option<usize>> = paths(schema)
        .into_iter()
        .map(|path| table.columns.iter().position(|c| *c == path.join(".")))
        .collect();
    let mut reader = RowReader::new(schema);
    let mut record = StringRecord::new();
    let mut rows = 0;
    while let Some(line) = table.next(&mut record)? {
        rows += 1;
        let row = CsvRow {
            record: &record,
            columns: &columns,
        };
        each(line, reader.read(&row));
    }
    Ok(rows)
}

pub(super) fn payloads(
    name: &str,
    text: Box<dyn BufRead>,
    format: Format,
    each: &mut dyn FnMut(RowNumber, &[u8]) -> ControlFlow<()>,
) -> Result<u64, FileError> {
    let mut table = Table::open(name, text, format)?;
    let mut record = StringRecord::new();
    let mut payload = Vec::new();
    let mut rows = 0;
    while let Some(line) = table.next(&mut record)? {
        rows += 1;
        let mut object = Object::open(&mut payload);
        for (column, cell) in table.columns.iter().zip(&record) {
            object.member(column, typed(cell));
        }
        object.close();
        if each(line, &payload).is_break() {
            break;
        }
    }
    Ok(rows)
}

struct Table<'n> {
    name: &'n str,
    reader: Reader<Box<dyn BufRead>>,
    columns: Vec<String>,
}

impl<'n> Table<'n> {
    fn open(name: &'n str, text: Box<dyn BufRead>, format: Format) -> Result<Self, FileError> {
        let mut reader = ReaderBuilder::new()
            .delimiter(format.delimiter())
            .from_reader(text);
        let header = reader.headers().map_err(|error| explain(name, &error))?;
        let columns: Vec<String> = header.iter().map(|c| c.trim().to_owned()).collect();
        if columns
            .iter()
            .all(|c| c.is_empty() || c.parse::<f64>().is_ok())
        {
            return Err(FileError::NoHeader {
                name: name.to_owned(),
            });
        }
        Ok(Self {
            name,
            reader,
            columns,
        })
    }

    /// Reads the next row and gives the line it begins at; `None` at the end.
    fn next(&mut self, record: &mut StringRecord) -> Result<Option<RowNumber>, FileError> {
        let read = self.reader.read_record(record);
        if !read.map_err(|error| explain(self.name, &error))? {
            return Ok(None);
        }
        Ok(Some(record.position().map_or(0, csv::Position::line)))
    }
}

fn explain(name: &str, error: &csv::Error) -> FileError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.kind() {
        ErrorKind::Io(io) => FileError::unreadable(name, io),
        ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => FileError::FieldCount {
            name: name.to_owned(),
            line,
            found: *len,
            expected: *expected_len,
        },
        ErrorKind::Utf8 { .. } => FileError::corrupt(name, format!("line {line} is not UTF-8")),
        _ => FileError::corrupt(name, format!("line {line} is no CSV")),
    }
}

struct CsvRow<'a> {
    record: &'a StringRecord,
    columns: &'a [Option<usize>],
}

impl CsvRow<'_> {
    fn text(&self, slot: usize) -> &str {
        let column = self.columns[slot];
        column.and_then(|c| self.record.get(c)).unwrap_or("")
    }
}

impl RowValues for CsvRow<'_> {
    fn cell(&self, slot: usize, binning: &Binning) -> Cell {
        let text = self.text(slot);
        if text.is_empty() || binning.kind() == FeatureKind::Numeric {
            return event::cell(binning, typed(text));
        }
        match (event::cell(binning, Json::Text(text)), boolean(text)) {
            (Cell::Unseen, Some(b)) => event::cell(binning, Json::Boolean(b)),
            (cell, _) => cell,
        }
    }

    fn passes(&self, slot: usize, test: &FilterTest) -> bool {
        let text = self.text(slot);
        let as_boolean = || boolean(text).is_some_and(|b| event::passes(test, Json::Boolean(b)));
        match test {
            FilterTest::In(_) if !text.is_empty() => {
                event::passes(test, typed(text))
                    || event::passes(test, Json::Text(text))
                    || as_boolean()
            }
            _ => event::passes(test, typed(text)),
        }
    }

    fn time(&self, slot: usize, reader: &TimeReader) -> Result<i64, InvalidRecord> {
        event::event_time(reader, typed(self.text(slot)))
    }
}

/// A number where the cell parses as one, null where it is empty, else text.
fn typed(text: &str) -> Json<'_> {
    let trimmed = text.trim_ascii();
    if trimmed.is_empty() {
        Json::Null
    } else if let Ok(i) = trimmed.parse() {
        Json::Signed(i)
    } else if let Ok(i) = trimmed.parse() {
        Json::Unsigned(i)
    } else if let Ok(x) = trimmed.parse() {
        Json::Float(x)
    } else {
        Json::Text(text)
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}
