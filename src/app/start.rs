//! Where a partition is read from: its stored state, checked against the log, or `start`.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;

use crate::config::{OnLogChange, StartPosition};
use crate::event::Outcome;
use crate::monitor::Monitor;
use crate::source::TopicPartition;
use crate::source::control::{Control, LogSpan};
use crate::state::{Splice, UnitKey, UnitState};

use super::clock::now_ms;
use super::unit::splice_of;

/// What became of a partition.
pub(crate) enum Begun {
    At {
        /// The least of the units' offsets.
        offset: i64,
        units: Vec<(UnitKey, UnitState)>,
        /// Those of the units whose stored counts are of another log.
        start_over: Vec<UnitKey>,
    },
    Stopped {
        reason: &'static str,
        words: String,
    },
}

/// Decides for every monitor of one partition. `newcomers` have never counted anything of the topic.
///
/// # Errors
/// When the broker does not answer; asked again later.
pub(crate) fn begin(
    control: &Control,
    id: &TopicPartition,
    monitors: &[Arc<Monitor>],
    stored: Vec<(UnitKey, Option<UnitState>)>,
    newcomers: &BTreeSet<String>,
) -> Result<Begun> {
    let span = control.span(id)?;
    let mut units = Vec::new();
    let mut start_over = Vec::new();
    for (monitor, (key, state)) in monitors.iter().zip(stored) {
        let state = match state {
            None if newcomers.contains(&key.monitor) => fresh(resolve(control, id, monitor, span)?),
            // A partition that appeared later: nothing in it may be skipped.
            None => fresh(span.start),
            Some(state) => match verify(control, id, span, &state)? {
                Verified::Same => state,
                Verified::Overtaken => overtaken(id, span, state),
                Verified::Changed(how) if monitor.config.on_log_change == OnLogChange::Reset => {
                    tracing::warn!(
                        monitor = key.monitor,
                        "{id}: {how}; starting over as on_log_change says, the old counts are set aside"
                    );
                    start_over.push(key.clone());
                    fresh(span.start)
                }
                Verified::Changed(how) => {
                    return Ok(Begun::Stopped {
                        reason: "log_changed",
                        words: format!(
                            "{id} is not the log that monitor {:?} has counted: {how}; \
                             if the topic was recreated, set on_log_change = \"reset\" or start with --reset-state",
                            key.monitor
                        ),
                    });
                }
            },
        };
        units.push((key, state));
    }
    let offset = units.iter().map(|(_, s)| s.next_offset).min();
    let offset = offset.unwrap_or(span.start);
    tracing::info!(
        "{id}: reading from offset {offset}, {} records ahead",
        (span.end - offset).max(0)
    );
    Ok(Begun::At {
        offset,
        units,
        start_over,
    })
}

fn fresh(next_offset: i64) -> UnitState {
    UnitState {
        next_offset,
        greatest_ms: None,
        open: std::collections::BTreeMap::new(),
        outcomes: vec![0; Outcome::ALL.len()],
        splice: None,
    }
}

fn resolve(
    control: &Control,
    id: &TopicPartition,
    monitor: &Monitor,
    span: LogSpan,
) -> Result<i64> {
    let config = &monitor.config;
    let from = match config.start {
        StartPosition::Earliest => return Ok(span.start),
        StartPosition::Latest => return Ok(span.end),
        StartPosition::Window => {
            let back = config
                .window
                .size_ms
                .saturating_add(config.panes.lateness_ms);
            now_ms().saturating_sub(back)
        }
        StartPosition::At { ms } => ms,
        StartPosition::Ago { ms } => now_ms().saturating_sub(ms),
    };
    Ok(control.offset_at(id, from)?.unwrap_or(span.end))
}

enum Verified {
    Same,
    /// Retention took records that were not read yet.
    Overtaken,
    Changed(String),
}

/// Holds the stored state against the log: is it still the one that was counted?
fn verify(
    control: &Control,
    id: &TopicPartition,
    span: LogSpan,
    state: &UnitState,
) -> Result<Verified> {
    if span.end < state.next_offset {
        return Ok(Verified::Changed(format!(
            "its end is offset {}, before offset {} that is to be read next",
            span.end, state.next_offset
        )));
    }
    if span.start > state.next_offset {
        return Ok(Verified::Overtaken);
    }
    let Some(splice) = state.splice else {
        return Ok(Verified::Same);
    };
    let found = match splice.offset < span.start {
        true => None,
        false => control.read(id, splice.offset, splice_of)?,
    };
    Ok(match found {
        Some(Splice { offset, .. }) if offset != splice.offset => not_verifiable(id),
        None => not_verifiable(id),
        Some(found) if found == splice => Verified::Same,
        Some(_) => Verified::Changed(format!(
            "the record at offset {} is another one than was counted",
            splice.offset
        )),
    })
}

fn not_verifiable(id: &TopicPartition) -> Verified {
    tracing::info!(
        "{id}: the last counted record is gone (retention or compaction), so the log is not verifiable; going on"
    );
    Verified::Same
}

fn overtaken(id: &TopicPartition, span: LogSpan, mut state: UnitState) -> UnitState {
    let lost = span.start - state.next_offset;
    tracing::error!(
        "{id}: {lost} records were deleted by retention before they were read (offsets {} to {}); windows over that time are incomplete",
        state.next_offset,
        span.start - 1
    );
    state.next_offset = span.start;
    state.splice = None;
    state
}
