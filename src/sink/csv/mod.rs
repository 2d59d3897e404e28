//! The CSV file: one row per feature and window.

pub mod row;
