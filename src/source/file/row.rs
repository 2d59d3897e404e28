//! One row of a table → its cells and event time, by the rules of `event`.

use crate::config::FilterTest;
use crate::drift::{Binning, Cell};
use crate::event::{EventSchema, Extracted, InvalidRecord, Rejected, TimeReader};

/// The values of one row, by slot: an index into [`paths`].
pub(super) trait RowValues {
    fn cell(&self, slot: usize, binning: &Binning) -> Cell;
    fn passes(&self, slot: usize, test: &FilterTest) -> bool;
    fn time(&self, slot: usize, reader: &TimeReader) -> Result<i64, InvalidRecord>;
}

/// Everything `schema` asks for: the features in layout order, the filters, the timestamp.
pub(super) fn paths(schema: &EventSchema) -> Vec<&[String]> {
    let features = schema.features.iter().map(|f| f.path.as_slice());
    let filters = schema.filters.iter().map(|f| f.path.as_slice());
    let timestamp = schema.timestamp.iter().map(|t| t.path.as_slice());
    features.chain(filters).chain(timestamp).collect()
}

/// Reads row after row by one schema.
pub(super) struct RowReader<'s> {
    schema: &'s EventSchema,
    reader: Option<TimeReader>,
    cells: Vec<Cell>,
}

impl<'s> RowReader<'s> {
    pub(super) fn new(schema: &'s EventSchema) -> Self {
        Self {
            schema,
            reader: schema.timestamp.as_ref().map(TimeReader::new),
            cells: vec![Cell::Missing; schema.features.len()],
        }
    }

    pub(super) fn read(&mut self, row: &impl RowValues) -> Result<Extracted<'_>, Rejected> {
        let features = self.schema.features.len();
        for (i, filter) in self.schema.filters.iter().enumerate() {
            if !row.passes(features + i, &filter.test) {
                return Err(Rejected::Filtered);
            }
        }
        let slot = features + self.schema.filters.len();
        let time = self.reader.as_ref().map(|reader| row.time(slot, reader));
        let event_ms = time.transpose().map_err(|reason| Rejected::Invalid {
            reason,
            position: None,
        })?;
        for (i, feature) in self.schema.features.iter().enumerate() {
            self.cells[i] = row.cell(i, &feature.binning);
        }
        Ok(Extracted {
            cells: &self.cells,
            event_ms,
        })
    }
}
