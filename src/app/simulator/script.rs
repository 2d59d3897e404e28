//! The logs of one schedule, and what is true of them by definition.
//!
//! The recount takes the events as they were made up, one after the other: no JSON, no offsets to
//! skip, no checkpoints, no panes that seal.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use crate::app::fixtures::{Logs, START, Scripted, WIDTH};
use crate::drift::{Pane, PaneCounts, PaneId};
use crate::event::Outcome;
use crate::monitor::Monitor;

use super::random::Random;
use super::setting::name;

/// What one record says.
#[derive(Debug, Clone, Copy)]
enum Said {
    Tombstone,
    NoJson,
    Event { t: i64, x: X, keep: bool },
}

#[derive(Debug, Clone, Copy)]
enum X {
    Number(i64),
    Missing,
    Text,
}

impl Said {
    fn payload(self) -> Option<String> {
        let Self::Event { t, x, keep } = self else {
            return matches!(self, Self::NoJson).then(|| "{".to_owned());
        };
        let k = if keep { "keep" } else { "drop" };
        Some(match x {
            X::Number(x) => format!(r#"{{"t":{t},"x":{x},"k":"{k}"}}"#),
            X::Missing => format!(r#"{{"k":"{k}","t":{t}}}"#),
            X::Text => format!(r#"{{"t":{t},"k":"{k}","x":"nil"}}"#),
        })
    }
}

/// Which recount: monitor, partition, and the offset after its last record.
type Asked = (&'static str, i32, i64);

/// The topic: a log per partition.
pub(super) struct Script {
    pub logs: Logs,
    /// Of each partition: offset and content, ascending.
    said: BTreeMap<i32, Vec<(i64, Said)>>,
    /// By monitor, partition and offset.
    recounts: RefCell<BTreeMap<Asked, Rc<Recount>>>,
}

impl Script {
    /// One to three partitions, 10 to 60 records in all, offsets with gaps, event time that goes
    /// forward with stragglers. Mostly the logs end at about the same time, so that windows close.
    pub(super) fn new(random: &mut Random) -> Self {
        let partitions = random.within(1, 3) as i32;
        let records = random.within(10, 60) / i64::from(partitions);
        let pace = random.within(100, 900);
        let until = START + records * pace / 2;
        let mut said = BTreeMap::new();
        for partition in 0..partitions {
            let mut log = Vec::new();
            let (mut now, mut offset) = (START, random.within(0, 2));
            for _ in 0..random.within(records / 2, records * 3 / 2) {
                now += random.within(0, pace);
                log.push((offset, say(random, now)));
                offset += random.weighted(&[(8, 1), (1, 2), (1, 4)]);
            }
            if !random.once_in(4) {
                let last = Said::Event {
                    t: until + random.within(0, 4 * WIDTH),
                    x: X::Number(5),
                    keep: true,
                };
                log.push((offset, last));
            }
            said.insert(partition, log);
        }
        let scripted = |(offset, said): &(i64, Said)| Scripted {
            payload: said.payload(),
            ..Scripted::event(*offset, 0, 0.0, "")
        };
        let logs = said.iter();
        let logs = logs.map(|(p, log)| (*p, log.iter().map(scripted).collect()));
        Self {
            logs: Arc::new(logs.collect()),
            said,
            recounts: RefCell::default(),
        }
    }

    pub(super) fn partitions(&self) -> Range<i32> {
        0..self.said.len() as i32
    }

    pub(super) fn records(&self) -> usize {
        self.said.values().map(Vec::len).sum()
    }

    /// The offset after the last record.
    pub(super) fn end(&self, partition: i32) -> i64 {
        self.said[&partition].last().map_or(0, |(o, _)| o + 1)
    }

    /// What `monitor` has counted of the records below `next_offset`. Many ask, so that each is
    /// counted once.
    pub(super) fn recount(
        &self,
        monitor: &'static Monitor,
        partition: i32,
        next_offset: i64,
    ) -> Rc<Recount> {
        let key = (name(monitor), partition, next_offset);
        let mut recounts = self.recounts.borrow_mut();
        let recount = recounts
            .entry(key)
            .or_insert_with(|| Rc::new(self.count_again(monitor, partition, next_offset)));
        Rc::clone(recount)
    }

    fn count_again(&self, monitor: &Monitor, partition: i32, next_offset: i64) -> Recount {
        let mut recount = Recount::default();
        let log = self.said[&partition].iter();
        for (offset, said) in log.take_while(|(offset, _)| *offset < next_offset) {
            let outcome = recount.count(monitor, *offset, *said);
            recount.outcomes[outcome as usize] += 1;
        }
        recount
    }
}

fn say(random: &mut Random, now: i64) -> Said {
    let x = random.within(-5, 15);
    let x = random.weighted(&[(18, X::Number(x)), (1, X::Missing), (1, X::Text)]);
    let event = |ahead| Said::Event {
        t: now + ahead,
        x,
        keep: true,
    };
    match random.below(24) {
        0 => Said::Tombstone,
        1 => Said::NoJson,
        2 => event(10_000_000),
        3..=8 => event(-random.within(0, 2_500)),
        _ => Said::Event {
            t: now + random.within(-300, 300),
            x,
            keep: !random.once_in(3),
        },
    }
}

/// The same figures as a unit's, without any of what the program does to get them.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Recount {
    pub panes: BTreeMap<PaneId, Pane>,
    pub greatest_ms: Option<i64>,
    pub outcomes: [u64; Outcome::ALL.len()],
}

impl Recount {
    fn count(&mut self, monitor: &Monitor, offset: i64, said: Said) -> Outcome {
        let (t, x) = match said {
            Said::Tombstone => return Outcome::Tombstone,
            Said::NoJson => return Outcome::Invalid,
            Said::Event { keep: false, .. } if !monitor.schema.filters.is_empty() => {
                return Outcome::Filtered;
            }
            Said::Event { t, x, .. } => (t, x),
        };
        if t > START + 1_000_000 + 60_000 {
            return Outcome::Future;
        }
        let pane = PaneId(t.div_euclid(WIDTH));
        if self.seals(monitor, pane) {
            return Outcome::Late;
        }
        self.greatest_ms = self.greatest_ms.max(Some(t));
        // Three buckets, then unseen, missing, invalid.
        let cell = match x {
            X::Number(x) => usize::from(x > 0) + usize::from(x > 10),
            X::Missing => 4,
            X::Text => 5,
        };
        let mut cells = vec![0; monitor.layout.cells()];
        cells[cell] = 1;
        let one = PaneCounts::from_cells(&monitor.layout, 1, cells).unwrap();
        let pane = self.panes.entry(pane).or_insert_with(|| Pane {
            counts: PaneCounts::zero(&monitor.layout),
            first_offset: offset,
            last_offset: offset,
        });
        pane.counts.merge(&one);
        pane.last_offset = offset;
        Outcome::Counted
    }

    /// Whether `pane` takes no more events.
    pub(super) fn seals(&self, monitor: &Monitor, pane: PaneId) -> bool {
        let end = (pane.0 + 1) * WIDTH + monitor.definition.panes.lateness_ms;
        self.greatest_ms.is_some_and(|greatest| greatest >= end)
    }

    /// The first pane that still takes events.
    pub(super) fn sealed_before(&self, monitor: &Monitor) -> Option<PaneId> {
        let lateness = monitor.definition.panes.lateness_ms;
        self.greatest_ms
            .map(|greatest| PaneId((greatest - lateness).div_euclid(WIDTH)))
    }
}
