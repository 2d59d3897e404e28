//! Stored state of every format there ever was, and what `run` makes of it.

mod golden;
mod run;
