//! What several tests share.

pub(crate) mod promtool;
pub(crate) mod sample;
pub(crate) mod site;
pub(crate) mod terminal;
