//! Readers of the report log, isolated from each other and from counting.

pub mod csv;
