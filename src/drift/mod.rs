//! The pure drift core: values → buckets → panes → windows → PSI → status → incidents → silences.
//!
//! Nothing here does I/O, reads a clock, is async, knows Kafka or panics on input; time comes in as
//! milliseconds since the Unix epoch. Types that are stored or shown derive serde's traits, which
//! describe shape and nothing else (see `docs/decisions/0001-serde-in-the-core.md`).
//!
//! ```text
//! Value ─ Finder::cell ─▶ Cell ─ PartitionPanes::record ─▶ Pane ─ take_sealed ─▶ SealedPane
//!       ─ WindowRing::add / close ─▶ WindowSnapshot ─ Definition::evaluate ─▶ DriftReport
//!       ─ IncidentBook::observe ─▶ IncidentChange ─ SilenceBook::hush ─▶ told or silenced
//! ```
#![deny(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    expect(clippy::unwrap_used, clippy::panic, reason = "a test may panic")
)]

pub mod counts;
pub mod edges;
pub mod feature;
pub mod finder;
pub mod gaps;
pub mod incident;
mod logarithm;
pub mod partition;
pub mod psi;
pub mod reference;
pub mod report;
pub mod ring;
pub mod silence;
pub mod status;
pub mod text_table;
pub mod window;
pub mod words;

pub use counts::{BucketCounts, Cell, Layout, PaneCounts};
pub use edges::{Binning, Closed};
pub use feature::{FeatureKind, Found, Value};
pub use finder::Finder;
pub use gaps::{Gap, Gaps};
pub use incident::{IncidentBook, IncidentChange, IncidentRules, OpenIncident, Reason};
pub use partition::{Acceptance, Pane, PartitionPanes, SealedPane};
pub use psi::{Psi, Shares, Smoothing, psi};
pub use reference::{FeatureReference, ReferenceProfile};
pub use report::{
    ClosedBy, Definition, DriftReport, FeatureDefinition, FeatureReport, MissingRule, Scoring,
    Trigger,
};
pub use ring::{WindowRing, WindowSnapshot};
pub use silence::{Silence, SilenceBook};
pub use status::{DriftStatus, Thresholds};
pub use text_table::TextTable;
pub use window::{PaneId, PaneSpec, WindowBounds, WindowSpec};
