//! Everything that needs no broker.

mod check;
mod client;
mod config;
mod http;
mod metrics;
mod reference;
mod support;
mod validate;
