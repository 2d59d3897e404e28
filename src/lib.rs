//! psiren watches Kafka topics and raises the alarm when what flows through them no longer looks
//! like the data a model was built on. This page says how the program is laid out; what its
//! numbers mean is in `docs/semantics.md`, and why it is as it is in `docs/decisions/`.
//!
//! The library is there for the binary and its tests. It promises nothing to other crates.
//!
//! # The data path
//!
//! One function per arrow:
//!
//! ```text
//! message in librdkafka's buffer
//!    │  Source::drain                  borrows, copies nothing
//!    ▼
//! Record { topic, partition, offset, timestamp, key, payload }
//!    │  Extractor::extract             bytes → (feature, value) → Finder::cell
//!    ▼
//! Extracted { one Cell per feature, event time }
//!    │  PartitionPanes::record         counted, late or future
//!    ▼
//! open Pane ── PartitionPanes::take_sealed ──▶ SealedPane
//!    │  StateStore::checkpoint         counts and next offset in one transaction
//!    ▼
//! durable panes
//!    │  WindowRing::add, ::close       one addition and one subtraction per pane
//!    ▼
//! WindowSnapshot
//!    │  Definition::evaluate           psi, DriftStatus
//!    ▼
//! DriftReport
//!    │  IncidentBook::observe          what opened, what ended
//!    │  SilenceBook::hush              what of it nobody is told
//!    │  ReportLog::commit              with closed_through and the incidents, one transaction
//!    ▼
//! report log ──▶ CSV, messages, HTTP and page, each at its own pace
//! ```
//!
//! | arrow | runs on |
//! | --- | --- |
//! | [`Source::drain`](source::Source::drain), [`Extractor::extract`](event::Extractor::extract), [`Finder::cell`](drift::Finder::cell), [`PartitionPanes::record`](drift::PartitionPanes::record), [`take_sealed`](drift::PartitionPanes::take_sealed) | a worker: one thread that owns its consumer and all that is counted of its partitions |
//! | [`StateStore::checkpoint`](state::StateStore::checkpoint) | the checkpointer, a thread; only then are the evaluators told |
//! | [`WindowRing::add`](drift::WindowRing::add), [`WindowRing::close`](drift::WindowRing::close), [`Definition::evaluate`](drift::Definition::evaluate), [`IncidentBook::observe`](drift::IncidentBook::observe), [`ReportLog::commit`](state::ReportLog::commit) | an evaluator: one task per monitor |
//! | [`sink::run_csv`], [`sink::run_notifier`], [`sink::run_heartbeats`], [`http::serve()`] | tasks that read the report log |
//!
//! Which partitions there are, and the offset each is read from, is asked and decided by the
//! assigner, a thread with a client of its own, so that the consuming loop never waits for an
//! answer. [`app`] starts these parts and ends them along the data path. `check` drives the same
//! functions over a [`RowFile`](source::file::RowFile) without any of the threads.
//!
//! # Invariants
//!
//! 1. **State at offset X is a pure function of configuration, reference and log prefix up to X.**
//!    No wall clock and no other partition decides what is counted; see [`drift::partition`].
//!    Counts and the next offset are one record, [`state::UnitState`], so they cannot disagree,
//!    and after a crash the log is read again from there. Start offsets never come from a group.
//! 2. **A window closes only over durable panes.** An evaluator hears of a pane from the
//!    checkpointer, after the transaction that holds it. Sealed panes never change.
//! 3. **Nothing is told before it is durable, nothing twice.** A report enters the report log in
//!    the transaction that advances `closed_through` and the incidents. The log is history and
//!    outbox at once: every sink reads it with a durable cursor of its own.
//! 4. **Counts of two identities never mix.** What stored counts belong to is a
//!    [`CountsIdentity`](state::CountsIdentity); a change that would discard counts is refused
//!    with its difference. What only changes the verdict, such as thresholds, is named by
//!    [`Definition::definition_id`](drift::Definition::definition_id) and leaves counts alone.
//! 5. **Counts are integers and a window's sum is exact.** [`WindowRing`](drift::WindowRing) adds
//!    the pane that enters and subtracts the one that leaves; debug builds recount each time.
//! 6. **Every offset is accounted for, of one log.** What was passed since a state began is counted,
//!    refused by an outcome, absent or lost: [`UnitState::unaccounted`](state::UnitState::unaccounted)
//!    is 0. A log is known by the id of its topic, which is asked for before a checkpoint, and by a
//!    hash of the last record.
//! 7. **A figure that is not known is absent.** A PSI is finite or `None`; too few values, a window
//!    that is still filling and a silent topic are states, never "no drift".
//!
//! # Modules
//!
//! | module | holds |
//! | --- | --- |
//! | [`drift`] | the pure core: values, edges, counts, panes, windows, PSI, status, incidents |
//! | [`reference`](mod@reference) | Parquet columns → edges and counts; the profile file |
//! | [`event`] | the bytes of an event → cells and event time |
//! | [`source`] | records from Kafka or a file; everything that is asked of a broker |
//! | [`state`] | what outlives the process: units, sealed panes, the report log |
//! | [`sink`] | the CSV file, the messages and their channels, the heartbeat |
//! | [`http`] | API, page and `/metrics` |
//! | [`config`] | what was typed → what it means |
//! | [`monitor`] | one monitor's configuration and reference → schema, layout, definition, identity |
//! | [`metrics`] | every metric, declared once |
//! | [`health`] | why psiren is not ready, and which loop is stuck |
//! | `replace` | a file that is written as a whole or not at all |
//! | `text` | numbers and instants as people read them |
//! | `unwind` | a decoder's panic over damaged bytes, as a value |
//! | `footer` | what a Parquet file says of its columns |
//! | [`app`] | the running program: threads, tasks, messages between them, start and end |
//! | [`cli`] | one file per command; exit codes |
//! | [`telemetry`] | where log lines go |
//!
//! # Dependencies
//!
//! ```text
//! main → cli → app → { reference, event, source, state, sink, http } → drift
//! ```
//!
//! [`drift`] imports itself, `std` and serde's derives: no I/O, no clock, no runtime, no Kafka. The
//! edges in braces do not import each other; they meet in `drift`'s types, or in a trait of one
//! of them that another reads. [`config`], `footer`, `replace`, `text` and `unwind` lie below
//! the edges, [`monitor`] and [`metrics`] above them. `tests/it/architecture.rs` holds the sources
//! against this and names the few exceptions with their reasons.

pub mod app;
pub mod cli;
pub mod config;
pub mod drift;
pub mod event;
mod footer;
pub mod health;
pub mod http;
pub mod metrics;
pub mod monitor;
pub mod reference;
mod replace;
pub mod sink;
pub mod source;
pub mod state;
pub mod telemetry;
mod text;
#[cfg(test)]
#[path = "../tests/support/torture.rs"]
mod torture;
mod unwind;
