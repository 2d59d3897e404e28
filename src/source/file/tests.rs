//! The same rows as Parquet, NDJSON and CSV give the same cells.
