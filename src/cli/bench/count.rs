//! Records through the monitors of a topic, as the consuming loop takes them, down to the panes.

use std::collections::BTreeMap;

use crate::config::Decoder;
use crate::drift::PartitionPanes;
use crate::event::{Extractor, Outcome, Rejected, TimeReader};
use crate::monitor::Monitor;
use crate::source::Record;

/// What became of the records, over all monitors.
pub(super) struct Counts<'a> {
    watching: Vec<Watching<'a>>,
    pub(super) outcomes: [u64; Outcome::ALL.len()],
}

struct Watching<'a> {
    monitor: &'a Monitor,
    extractor: Extractor,
    panes: BTreeMap<i32, PartitionPanes>,
}

impl<'a> Counts<'a> {
    pub(super) fn new(monitors: &[&'a Monitor], decoder: Decoder) -> Self {
        let watching = monitors.iter().map(|monitor| Watching {
            monitor,
            extractor: Extractor::with(&monitor.schema, decoder),
            panes: BTreeMap::new(),
        });
        Self {
            watching: watching.collect(),
            outcomes: [0; Outcome::ALL.len()],
        }
    }

    pub(super) fn take(&mut self, record: &Record<'_>) {
        for watching in &mut self.watching {
            self.outcomes[watching.take(record) as usize] += 1;
        }
    }

    pub(super) fn monitors(&self) -> u64 {
        self.watching.len() as u64
    }

    pub(super) fn features(&self) -> u64 {
        let features = self.watching.iter().map(|w| w.monitor.layout.features());
        features.sum::<usize>() as u64
    }
}

impl Watching<'_> {
    fn take(&mut self, record: &Record<'_>) -> Outcome {
        let Some(payload) = record.payload else {
            return Outcome::Tombstone;
        };
        let event = match self.extractor.extract(payload) {
            Ok(event) => event,
            Err(Rejected::Filtered) => return Outcome::Filtered,
            Err(Rejected::Invalid { .. }) => return Outcome::Invalid,
        };
        let record_ms = || TimeReader::milliseconds(record.timestamp_ms?).ok();
        let Some(event_ms) = event.event_ms.or_else(record_ms) else {
            return Outcome::Invalid;
        };
        let spec = &self.monitor.definition.panes;
        let panes = self.panes.entry(record.partition).or_default();
        let accepted = panes.record(
            spec,
            &self.monitor.layout,
            event_ms,
            record.timestamp_ms,
            record.offset,
            event.cells,
        );
        if panes.has_sealed(spec) {
            // Where they go from here is no part of the consuming loop.
            drop(panes.take_sealed(spec));
        }
        accepted.into()
    }
}
