//! Silences: added, ended and let run out, durably, and what opened under one told after it.

use crate::drift::Silence;
use crate::http::state::SilenceChange;
use crate::state::NoticeKind;
use crate::text::rfc3339;

use super::super::clock::now_ms;
use super::Evaluator;

const NOT_STORED: &str = "the silence could not be stored; see /readyz";

impl Evaluator {
    /// Adds or ends a silence. `None`: there is none to end.
    pub(super) fn change_silence(
        &mut self,
        change: SilenceChange,
    ) -> Result<Option<Silence>, String> {
        if !self.write() {
            return Err(NOT_STORED.to_owned());
        }
        let before = self.state.silences.clone();
        let (silence, done) = match change {
            SilenceChange::Add(asked) => (Some(self.state.silences.add(asked)), "silenced"),
            SilenceChange::End(id) => (self.state.silences.end(id), "a silence was ended"),
        };
        let Some(silence) = silence else {
            return Ok(None);
        };
        self.silences_changed = true;
        if !self.write() {
            // What was not confirmed is undone, in the store too once it can be written again.
            self.state.silences = before;
            return Err(NOT_STORED.to_owned());
        }
        tracing::info!(
            monitor = self.monitor.definition.monitor,
            feature = silence.feature,
            until = rfc3339(silence.until_ms),
            reason = silence.reason,
            by = silence.by,
            "{done}"
        );
        Ok(Some(silence))
    }

    /// Lets silences run out, and tells what opened under one and is still open. That waits until
    /// history is read, as it may end there.
    pub(super) fn end_silences(&mut self) {
        let now = now_ms();
        let over = self.state.silences.expire(now);
        self.silences_changed |= !over.is_empty();
        for silence in over {
            let (monitor, feature) = (&self.monitor.definition.monitor, silence.feature);
            tracing::info!(
                monitor,
                feature,
                reason = silence.reason,
                "a silence is over"
            );
        }
        if !self.history_read() {
            return;
        }
        let open = self.state.incidents.open();
        let due = self.state.silences.release(&open, now);
        if !due.is_empty() {
            self.state.told_at_ms = Some(now);
            self.notice(NoticeKind::Unsilenced, due);
        }
    }
}
