//! Everything that needs no broker.

mod metrics;
mod support;
