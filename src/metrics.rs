//! Every metric, declared once.

/// All metrics of the program.
#[derive(Debug, Default)]
pub struct Metrics {}
