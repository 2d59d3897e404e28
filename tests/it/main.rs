//! Everything that needs no broker.

mod http;
mod metrics;
mod support;
