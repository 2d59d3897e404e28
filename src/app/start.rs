//! Where a partition is read from: its stored state, checked against the log, or `start`.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;

use crate::config::{OnLogChange, StartPosition};
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

/// Decides for every monitor of one partition. `newcomers` have never counted anything of the topic;
/// `log_id` is the topic's id now, where brokers have one.
///
/// # Errors
/// When the broker does not answer; asked again later.
pub(crate) fn begin(
    control: &Control,
    id: &TopicPartition,
    monitors: &[Arc<Monitor>],
    stored: Vec<(UnitKey, Option<UnitState>)>,
    newcomers: &BTreeSet<String>,
    log_id: Option<&str>,
) -> Result<Begun> {
    let span = control.span(id)?;
    let fresh = |offset| UnitState::fresh(offset, log_id.map(str::to_owned));
    let mut units = Vec::new();
    let mut start_over = Vec::new();
    for (monitor, (key, state)) in monitors.iter().zip(stored) {
        let state = match state {
            None if newcomers.contains(&key.monitor) => fresh(resolve(control, id, monitor, span)?),
            // A partition that appeared later: nothing in it may be skipped.
            None => fresh(span.start),
            Some(state) => match verify(control, id, span, &state, log_id)? {
                Verified::Same => identified(state, log_id),
                Verified::Overtaken => identified(overtaken(id, span, monitor, state), log_id),
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
    log_id: Option<&str>,
) -> Result<Verified> {
    if let (Some(counted), Some(now)) = (state.log_id.as_deref(), log_id)
        && counted != now
    {
        return Ok(Verified::Changed(format!(
            "the topic was made anew: it had the id {counted} and has {now}"
        )));
    }
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

/// The state with the id that its topic has now, where that is known.
fn identified(state: UnitState, log_id: Option<&str>) -> UnitState {
    UnitState {
        log_id: log_id.map(str::to_owned).or(state.log_id),
        ..state
    }
}

fn overtaken(
    id: &TopicPartition,
    span: LogSpan,
    monitor: &Monitor,
    mut state: UnitState,
) -> UnitState {
    let lost = span.start - state.next_offset;
    tracing::error!(
        monitor = monitor.definition.monitor,
        "{id}: {lost} records were deleted by retention before they were read (offsets {} to {}); windows over that time have a coverage below 1. Let retention keep records for longer than psiren may be away",
        state.next_offset,
        span.start - 1
    );
    let panes = &monitor.definition.panes;
    let counting = state.greatest_ms.map(|ms| panes.sealed_before(ms));
    let from = counting.map_or(i64::MIN, |pane| panes.start_ms(pane));
    let at_most = now_ms().saturating_add(panes.max_future_skew_ms);
    state.gaps.open(from, from, at_most);
    state.lost += lost.unsigned_abs();
    state.next_offset = span.start;
    state.splice = None;
    state
}
