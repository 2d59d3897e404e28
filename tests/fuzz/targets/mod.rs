//! One function per kind of bytes that come from outside: it takes any bytes and panics when a
//! promise is broken. `tests/fuzz/main.rs` gives them the corpus, `fuzz/` what libFuzzer invents.

pub mod config;
pub mod csv;
pub mod event;
pub mod http;
pub mod parquet;
pub mod profile;
pub mod state;
pub mod store;

#[path = "../../it/support/sample.rs"]
mod sample;
#[expect(dead_code, reason = "the tests of the routes use the rest")]
#[path = "../../it/support/site.rs"]
mod site;
