//! The extractor: one pass over the bytes of an event.
//!
//! simdutf8, then the fast reader, and the reference reader where that one gives up. The reference
//! reader is serde_json driven along the trie of configured paths; it alone decides what an event
//! means and what is wrong with it. What the fast reader reads allocates nothing once it has seen
//! such an event.

use std::fmt;

use super::intake::Intake;
use super::trie::Node;
use super::walk::Walker;
use super::{EventSchema, Extracted, InvalidRecord, lenient, visit};
use crate::config::Decoder;

/// Extracts what an [`EventSchema`] names from one event after the other.
#[derive(Debug, Clone)]
pub struct Extractor {
    root: Node,
    intake: Intake,
    timestamped: bool,
    /// The fast reader; `None` leaves everything to the reference reader.
    walker: Option<Walker>,
    /// The payload as the lenient second reading sees it.
    lenient: String,
}

/// Why a record is not counted. Its text never holds a value of the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    #[error("it does not pass a `where` filter")]
    Filtered,
    #[error("{}{}", reason.words(), At(*.position))]
    Invalid {
        reason: InvalidRecord,
        /// Where the JSON is broken or the UTF-8 ends.
        position: Option<Position>,
    },
}

/// A place in a payload: line and column count from 1, the column in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

impl Extractor {
    /// One that reads fast.
    #[must_use]
    pub fn new(schema: &EventSchema) -> Self {
        Self::with(schema, Decoder::Fast)
    }

    #[must_use]
    pub fn with(schema: &EventSchema, decoder: Decoder) -> Self {
        let mut root = Node::default();
        for (i, feature) in schema.features.iter().enumerate() {
            root.insert(&feature.path, &|targets| targets.features.push(i));
        }
        for (i, filter) in schema.filters.iter().enumerate() {
            root.insert(&filter.path, &|targets| targets.filters.push(i));
        }
        if let Some(timestamp) = &schema.timestamp {
            root.insert(&timestamp.path, &|targets| targets.timestamp = true);
        }
        root.finish();
        Self {
            root,
            intake: Intake::new(schema),
            timestamped: schema.timestamp.is_some(),
            walker: (decoder == Decoder::Fast).then(Walker::default),
            lenient: String::new(),
        }
    }

    /// Reads one event.
    ///
    /// # Errors
    /// [`Rejected`] when the record is not to be counted.
    pub fn extract(&mut self, payload: &[u8]) -> Result<Extracted<'_>, Rejected> {
        let text = simdutf8::basic::from_utf8(payload).map_err(|_| not_utf8(payload))?;
        if !self.walked(text) && !self.read(text)? {
            return Err(invalid(InvalidRecord::NotAnObject));
        }
        if !self.intake.passed() {
            return Err(Rejected::Filtered);
        }
        let event_ms = match self.timestamped {
            true => Some(self.intake.time.map_err(invalid)?),
            false => None,
        };
        Ok(Extracted {
            cells: &self.intake.cells,
            event_ms,
        })
    }

    /// Whether the fast reader has read `text`, which is then an object.
    fn walked(&mut self, text: &str) -> bool {
        let walker = self.walker.as_mut();
        walker.is_some_and(|walker| {
            walker
                .read(&mut self.root, &mut self.intake, text)
                .is_some()
        })
    }

    /// Whether `text` is an object; once more, leniently, when it is no JSON.
    fn read(&mut self, text: &str) -> Result<bool, Rejected> {
        let strict = visit::read(&mut self.root, &mut self.intake, text);
        strict.or_else(|error| {
            if lenient::replace(text, &mut self.lenient)
                && let Ok(object) = visit::read(&mut self.root, &mut self.intake, &self.lenient)
            {
                return Ok(object);
            }
            Err(Rejected::Invalid {
                reason: InvalidRecord::Json,
                position: Some(Position {
                    line: error.line(),
                    column: error.column(),
                }),
            })
        })
    }
}

fn invalid(reason: InvalidRecord) -> Rejected {
    Rejected::Invalid {
        reason,
        position: None,
    }
}

fn not_utf8(payload: &[u8]) -> Rejected {
    let valid = match std::str::from_utf8(payload) {
        Ok(_) => payload,
        Err(error) => &payload[..error.valid_up_to()],
    };
    let line_start = valid.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    Rejected::Invalid {
        reason: InvalidRecord::Utf8,
        position: Some(Position {
            line: valid.iter().filter(|b| **b == b'\n').count() + 1,
            column: valid.len() - line_start + 1,
        }),
    }
}

/// ` at line 1 column 7`, or nothing.
struct At(Option<Position>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(Position { line, column }) => write!(f, " at line {line} column {column}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
