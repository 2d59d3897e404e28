//! The targets, shared with the test that replays their corpus.

#[path = "../../tests/fuzz/targets/mod.rs"]
pub mod targets;
