//! Everything that needs no broker.

mod config;
mod http;
mod metrics;
mod reference;
mod support;
