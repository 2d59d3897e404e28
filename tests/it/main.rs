//! Everything that needs no broker.

mod config;
mod metrics;
mod reference;
mod support;
