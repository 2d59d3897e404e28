//! Tests of the whole crate that need no broker.

mod config;
