//! A plain monitor, as one would write it first: a tree of the whole event, counts per minute and partition, windows
//! added up anew. Its figures are what psiren's are held against.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use ::psiren::drift::{Cell, Found, PaneCounts, PaneId, Value};
use ::psiren::event::{FeatureField, TimeReader};
use ::psiren::monitor::Monitor;
use rdkafka::Message as _;
use rdkafka::consumer::Consumer as _;
use serde_json::Value as Json;

use super::{Pace, Task};

/// Reads everything and writes the figures of each window that closed to `windows`.
pub(super) fn watch(task: &Task, windows: &Path) -> f64 {
    let consumer = task.consumer();
    consumer.assign(&task.assignment()).expect("assigned");
    let mut plain = Plain::new(&task.monitor, task.partitions as usize);
    let mut pace = Pace::default();
    let mut records = 0;
    while records < task.records {
        let Some(message) = consumer.poll(Duration::from_millis(20)) else {
            continue;
        };
        let message = message.expect("a message");
        let payload = message.payload().expect("a payload");
        plain.count(message.partition() as usize, payload);
        records += 1;
        pace.begin(records);
    }
    let rate = pace.rate(records);
    fs::write(windows, plain.figures).expect("the figures are written");
    rate
}

struct Plain<'a> {
    monitor: &'a Monitor,
    times: TimeReader,
    /// Of each partition.
    panes: Vec<BTreeMap<PaneId, PaneCounts>>,
    greatest_ms: Vec<i64>,
    closed: Option<PaneId>,
    figures: String,
}

impl<'a> Plain<'a> {
    fn new(monitor: &'a Monitor, partitions: usize) -> Self {
        Self {
            monitor,
            times: TimeReader::default(),
            panes: vec![BTreeMap::new(); partitions],
            greatest_ms: vec![i64::MIN; partitions],
            closed: None,
            figures: String::new(),
        }
    }

    fn count(&mut self, partition: usize, payload: &[u8]) {
        let event: Json = serde_json::from_slice(payload).expect("an event");
        let ms = match &event["ts"] {
            Json::String(text) => self.times.text(text).expect("a time"),
            number => number.as_i64().expect("a time"),
        };
        let fields = self.monitor.schema.features.iter();
        let cells: Vec<Cell> = fields.map(|field| cell(field, &event)).collect();
        let panes = self.monitor.definition.panes;
        let layout = &self.monitor.layout;
        let pane = self.panes[partition].entry(panes.pane(ms));
        pane.or_insert_with(|| PaneCounts::zero(layout))
            .record(layout, &cells);
        let before = self.greatest_ms[partition];
        self.greatest_ms[partition] = before.max(ms);
        if panes.sealed_before(before) != panes.sealed_before(ms) {
            self.close();
        }
    }

    /// Closes the windows that every partition is past.
    fn close(&mut self) {
        let panes = self.monitor.definition.panes;
        let Some(least) = self.greatest_ms.iter().min().filter(|ms| **ms > i64::MIN) else {
            return;
        };
        let sealed = panes.sealed_before(*least);
        let firsts = self.panes.iter().filter_map(|panes| panes.keys().next());
        let first = firsts.min().map_or(sealed, |first| PaneId(first.0 + 1));
        let mut end = self.closed.map_or(first, |end| PaneId(end.0 + 1));
        while end <= sealed {
            self.tell(end);
            self.closed = Some(end);
            end = PaneId(end.0 + 1);
        }
    }

    fn tell(&mut self, end: PaneId) {
        let monitor = self.monitor;
        let definition = &monitor.definition;
        let from = PaneId(end.0 - definition.window.panes(&definition.panes));
        let mut sum = PaneCounts::zero(&monitor.layout);
        for panes in &mut self.panes {
            *panes = panes.split_off(&from);
            panes.range(..end).for_each(|(_, pane)| sum.merge(pane));
        }
        let end_ms = definition.panes.start_ms(end);
        for (i, feature) in definition.features.iter().enumerate() {
            let buckets = sum.buckets(&monitor.layout, i);
            let missing = sum.missing(&monitor.layout, i);
            let psi = feature.psi(buckets, missing, definition.smoothing);
            let psi = psi.map_or(f64::NAN, |psi| psi.total);
            let values: u64 = buckets.iter().sum();
            self.figures += &format!("{end_ms},{},{values},{psi}\n", feature.name());
        }
    }
}

fn cell(field: &FeatureField, event: &Json) -> Cell {
    field.binning.cell(match &event[&field.path[0]] {
        Json::Null => Value::Missing,
        Json::Number(number) => number.as_f64().map_or(Value::Missing, Value::Number),
        Json::String(text) => Value::Text(text),
        Json::Bool(_) => Value::Invalid(Found::Boolean),
        Json::Array(_) => Value::Invalid(Found::Array),
        Json::Object(_) => Value::Invalid(Found::Object),
    })
}
