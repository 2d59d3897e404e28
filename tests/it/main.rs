//! Everything that needs no broker.

mod config;
mod metrics;
mod support;
