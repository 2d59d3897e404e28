//! The reference: Parquet columns → edges, categories and counts; a versioned profile.
