//! NDJSON: each line is an event, read by the same extractor as a Kafka record.

use std::io::BufRead;
use std::ops::ControlFlow;

use super::{FileError, RowNumber, RowResult};
use crate::event::{EventSchema, Extractor};

pub(super) fn read(
    name: &str,
    text: Box<dyn BufRead>,
    schema: &EventSchema,
    each: &mut dyn FnMut(RowNumber, RowResult<'_>),
) -> Result<u64, FileError> {
    let mut extractor = Extractor::new(schema);
    each_line(name, text, &mut |line, payload| {
        each(line, extractor.extract(payload));
        ControlFlow::Continue(())
    })
}

/// Hands over each line that is not blank, without its end and the file's byte order mark.
pub(super) fn each_line(
    name: &str,
    mut text: Box<dyn BufRead>,
    each: &mut dyn FnMut(RowNumber, &[u8]) -> ControlFlow<()>,
) -> Result<u64, FileError> {
    let mut line = Vec::new();
    let mut number = 0;
    let mut rows = 0;
    loop {
        line.clear();
        let read = text.read_until(b'\n', &mut line);
        if read.map_err(|error| FileError::unreadable(name, &error))? == 0 {
            return Ok(rows);
        }
        number += 1;
        let mut payload = line.as_slice();
        if number == 1 {
            payload = payload.strip_prefix(b"\xef\xbb\xbf").unwrap_or(payload);
        }
        let payload = payload.trim_ascii();
        if payload.is_empty() {
            continue;
        }
        rows += 1;
        if each(number, payload).is_break() {
            return Ok(rows);
        }
    }
}
