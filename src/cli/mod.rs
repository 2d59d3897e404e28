//! Commands, one file each: arguments in, text and an exit code out.

pub mod reference;
