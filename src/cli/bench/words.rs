//! Two readings as a table. Pure.

use std::fmt::Write;

use super::count::Counts;
use super::read::Reading;
use crate::event::Outcome;
use crate::text::{counted as number_of, grouped};

/// What is shorter than this says nothing of a rate.
const TOO_SHORT: f64 = 0.01;

pub(super) fn table(
    topic: &str,
    plain: &Reading,
    counted: &Reading,
    counts: &Counts<'_>,
    threads: usize,
) -> String {
    let mut text = format!(
        "topic {topic}: {}, {:.1} MB, from {}\n",
        number_of(plain.records, "record"),
        plain.bytes as f64 / 1e6,
        number_of(plain.stretches.len() as u64, "partition"),
    );
    if plain.seconds < TOO_SHORT || counted.seconds < TOO_SHORT {
        text += "too few records to say how fast they can be read\n";
        return text;
    }
    let _ = writeln!(
        text,
        "\n{:8} {:>12} {:>8} {:>18}",
        "", "records/s", "MB/s", "CPU µs per record"
    );
    for (name, reading) in [("read", plain), ("counted", counted)] {
        let rate = reading.records as f64 / reading.seconds;
        let cpu = reading.cpu_seconds.map_or("-".to_owned(), |seconds| {
            format!("{:.2}", seconds * 1e6 / reading.records as f64)
        });
        let _ = writeln!(
            text,
            "{name:8} {:>12} {:>8.1} {cpu:>18}",
            grouped(rate as u64),
            reading.bytes as f64 / 1e6 / reading.seconds,
        );
    }
    let _ = writeln!(
        text,
        "\nOne consumer counts {} of {} at {:.0} % of the rate at which it can read.",
        number_of(counts.features(), "feature"),
        number_of(counts.monitors(), "monitor"),
        plain.seconds / counted.seconds * 100.0,
    );
    if threads > 1 {
        let _ = writeln!(
            text,
            "`psiren run` shares the partitions among {threads} of them (`kafka.threads`)."
        );
    }
    text += &others(&counts.outcomes);
    text
}

/// Records that cost less than a counted one.
fn others(outcomes: &[u64; Outcome::ALL.len()]) -> String {
    let others = Outcome::ALL.iter().filter(|o| **o != Outcome::Counted);
    let others = others.map(|o| (outcomes[*o as usize], o.as_str()));
    let named: Vec<String> = others
        .filter(|(n, _)| *n > 0)
        .map(|(n, outcome)| format!("{} {outcome}", grouped(n)))
        .collect();
    match named.is_empty() {
        true => String::new(),
        false => format!(
            "Not counted: {}; `psiren validate` says why.\n",
            named.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Decoder;

    fn reading(seconds: f64) -> Reading {
        Reading {
            stretches: Vec::new(),
            records: 1_000_000,
            bytes: 328_000_000,
            seconds,
            cpu_seconds: Some(seconds),
        }
    }

    #[test]
    fn the_ratio_is_that_of_the_rates() {
        let mut counts = Counts::new(&[], Decoder::Fast);
        counts.outcomes[Outcome::Late as usize] = 1200;
        let text = table("flights", &reading(0.5), &reading(1.0), &counts, 3);
        for expected in [
            "topic flights: 1,000,000 records, 328.0 MB",
            "2,000,000    656.0               0.50",
            "1,000,000    328.0               1.00",
            "at 50 % of the rate",
            "among 3 of them",
            "Not counted: 1,200 late",
        ] {
            assert!(text.contains(expected), "{expected:?} is not in\n{text}");
        }
    }

    #[test]
    fn a_handful_of_records_has_no_rate() {
        let counts = Counts::new(&[], Decoder::Fast);
        let text = table("flights", &reading(0.001), &reading(0.001), &counts, 1);
        assert!(text.contains("too few records"), "{text}");
        assert!(!text.contains("records/s"), "{text}");
    }
}
