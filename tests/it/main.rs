//! Everything that needs no broker.

mod alert;
mod architecture;
mod canary;
mod check;
mod client;
mod config;
mod confined;
mod dashboard;
mod deploy;
mod help;
mod http;
mod init;
mod metrics;
mod readme;
mod reference;
mod rules;
mod state;
mod support;
mod validate;
