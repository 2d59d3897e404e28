//! What several tests share.

pub(crate) mod sample;
pub(crate) mod site;
