//! The rows of a file: Parquet, NDJSON, CSV, the latter two also gzipped or from standard input.
//!
//! [`RowFile::read`] gives the cells and event time of each row by the same rules as
//! [`Extractor`](crate::event::Extractor) does for an event, [`RowFile::payloads`] each row as the
//! JSON object a producer would send. Rows come in the order of the file and are never all held in
//! memory.

mod column;
mod csv;
mod error;
mod format;
mod lines;
mod parquet;
mod render;
mod row;

use std::fs::File;
use std::io::{self, BufRead};
use std::ops::ControlFlow;
use std::path::Path;

pub use error::FileError;
pub use format::Format;

use crate::event::{EventSchema, Extracted, Rejected};

/// Where a row stands: the line in a text file, the row in a Parquet file, both counted from 1.
pub type RowNumber = u64;

/// What `read` hands over for each row.
pub type RowResult<'a> = Result<Extracted<'a>, Rejected>;

/// A file of rows, opened and recognised, not yet read.
pub struct RowFile {
    name: String,
    format: Format,
    content: Content,
}

enum Content {
    Text(Box<dyn BufRead>),
    Parquet(File),
}

impl RowFile {
    /// Opens `path`; `-` is standard input. Parquet and gzip are recognised by their first bytes,
    /// CSV and NDJSON by the name's ending or, failing that, by the first character.
    ///
    /// # Errors
    /// It cannot be read, or what it holds is none of these formats.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        if path.as_os_str() == "-" {
            let stdin = Box::new(io::stdin().lock());
            return Self::text("standard input".to_owned(), Some(Format::Ndjson), stdin);
        }
        let name = path.display().to_string();
        let file = open_regular(path).map_err(|error| FileError::unreadable(&name, &error))?;
        if format::is_parquet(&file).map_err(|error| FileError::unreadable(&name, &error))? {
            return Ok(Self {
                name,
                format: Format::Parquet,
                content: Content::Parquet(file),
            });
        }
        let by_name = Format::by_name(path);
        if by_name == Some(Format::Parquet) {
            return Err(FileError::corrupt(
                &name,
                "it does not begin with PAR1, as Parquet does",
            ));
        }
        Self::text(name, by_name, Box::new(io::BufReader::new(file)))
    }

    fn text(
        name: String,
        expected: Option<Format>,
        content: Box<dyn BufRead>,
    ) -> Result<Self, FileError> {
        let unreadable = |error: io::Error| FileError::unreadable(&name, &error);
        let mut content = format::decompressed(content).map_err(unreadable)?;
        let start = content.fill_buf().map_err(unreadable)?;
        let format = Format::by_content(&name, expected, start)?;
        Ok(Self {
            name,
            format,
            content: Content::Text(content),
        })
    }

    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// The path as given, or `standard input`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a [`RowNumber`] counts.
    #[must_use]
    pub fn row_word(&self) -> &'static str {
        match self.format {
            Format::Parquet => "row",
            _ => "line",
        }
    }

    /// Hands over each row, blank lines left out, and says how many there were.
    ///
    /// # Errors
    /// The file cannot be read to its end.
    pub fn read(
        self,
        schema: &EventSchema,
        mut each: impl FnMut(RowNumber, RowResult<'_>),
    ) -> Result<u64, FileError> {
        match self.content {
            Content::Parquet(file) => parquet::read(&self.name, file, schema, &mut each),
            Content::Text(text) if self.format.is_csv() => {
                csv::read(&self.name, text, self.format, schema, &mut each)
            }
            Content::Text(text) => lines::read(&self.name, text, schema, &mut each),
        }
    }

    /// Hands over each row as one JSON object, a line of NDJSON as it stands, until `each` breaks;
    /// says how many there were.
    ///
    /// # Errors
    /// The file cannot be read, or holds a column that has no JSON form.
    pub fn payloads(
        self,
        mut each: impl FnMut(RowNumber, &[u8]) -> ControlFlow<()>,
    ) -> Result<u64, FileError> {
        match self.content {
            Content::Parquet(file) => parquet::payloads(&self.name, file, &mut each),
            Content::Text(text) if self.format.is_csv() => {
                csv::payloads(&self.name, text, self.format, &mut each)
            }
            Content::Text(text) => lines::each_line(&self.name, text, &mut each),
        }
    }
}

fn open_regular(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::other("it is a folder; name a file in it"));
    }
    Ok(file)
}

#[cfg(test)]
mod tests;
