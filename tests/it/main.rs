//! Everything that needs no broker.

mod metrics;
mod reference;
mod support;
