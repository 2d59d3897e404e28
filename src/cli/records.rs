//! Which records of a topic are looked at from outside: some from the end of each partition, and
//! the first of each. Pure but for the questions to the probe.

use std::time::{Duration, Instant};

use crate::source::control::LogSpan;
use crate::source::probe::{Piece, Probe};

/// Records read of one topic, all partitions together.
const RECORDS: i64 = 1_000;
/// The most a question takes.
pub(super) const ANSWER: Duration = Duration::from_secs(10);

/// The log of a topic as its leaders describe it.
pub(super) struct Log {
    /// Partitions whose leader answered, each with where its log begins and ends.
    pub(super) spans: Vec<(i32, LogSpan)>,
    /// Why the others are not among them.
    pub(super) silent: Vec<String>,
}

impl Log {
    /// Asks for the log of each of `partitions`.
    pub(super) fn ask(probe: &Probe, topic: &str, partitions: &[i32]) -> Self {
        let until = Instant::now() + ANSWER;
        let mut log = Self {
            spans: Vec::new(),
            silent: Vec::new(),
        };
        for partition in partitions {
            match probe.span(topic, *partition, until) {
                Ok(span) => log.spans.push((*partition, span)),
                Err(error) => log.silent.push(format!("partition {partition}: {error}")),
            }
        }
        log
    }

    /// The most records there can be; compaction and transactions leave gaps.
    pub(super) fn records(&self) -> u64 {
        let lengths = self.spans.iter().map(|(_, s)| (s.end - s.start).max(0));
        lengths.sum::<i64>().unsigned_abs()
    }

    /// The same number of records from the end of each partition.
    pub(super) fn near_the_end(&self) -> Vec<Piece> {
        let each = (RECORDS / self.spans.len().max(1) as i64).max(1);
        let most = usize::try_from(RECORDS).unwrap_or(usize::MAX);
        self.spans
            .iter()
            .filter(|(_, span)| span.start < span.end)
            .take(most)
            .map(|(partition, span)| Piece {
                partition: *partition,
                offset: span.start.max(span.end - each),
                most: usize::try_from(each).unwrap_or(1),
            })
            .collect()
    }

    /// The first record of each partition whose piece begins later.
    pub(super) fn at_the_beginning(&self, pieces: &[Piece]) -> Vec<Piece> {
        let start = |partition| {
            let span = self.spans.iter().find(|(p, _)| *p == partition);
            span.map(|(_, span)| span.start)
        };
        pieces
            .iter()
            .filter_map(|piece| Some((piece, start(piece.partition)?)))
            .filter(|(piece, start)| *start < piece.offset)
            .map(|(piece, start)| Piece {
                offset: start,
                most: 1,
                ..*piece
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_shared_by_the_partitions_and_stays_inside_the_log() {
        let span = |start, end| LogSpan { start, end };
        let log = Log {
            spans: vec![
                (0, span(0, 10_000)),
                (1, span(900, 1_000)),
                (2, span(5, 5)),
                (3, span(0, 250)),
            ],
            silent: Vec::new(),
        };
        let places = |pieces: &[Piece]| -> Vec<_> {
            let places = pieces.iter().map(|p| (p.partition, p.offset, p.most));
            places.collect()
        };
        let pieces = log.near_the_end();
        assert_eq!(
            places(&pieces),
            [(0, 9_750, 250), (1, 900, 250), (3, 0, 250)]
        );
        assert_eq!(places(&log.at_the_beginning(&pieces)), [(0, 0, 1)]);
        assert_eq!(log.records(), 10_350);
    }
}
