//! The HTTP interface: status, history, the trigger, metrics and health on one port.

pub mod state;
