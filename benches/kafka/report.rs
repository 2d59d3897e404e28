//! The table of all runs, and what it says of the targets.

use std::fmt::Write as _;

use crate::contestants::Run;
use crate::settings::Contestant;

/// All runs of each contestant.
pub(crate) struct Results(pub(crate) Vec<(Contestant, Vec<Run>)>);

/// Median, least and greatest of a figure.
struct Spread {
    median: f64,
    least: f64,
    greatest: f64,
}

impl Results {
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{:<22} {:>10} {:>19} {:>7} {:>13} {:>8} {:>8} {:>6}\n",
            "contestant",
            "records/s",
            "least to greatest",
            "CPU us",
            "(spread)",
            "x batch",
            "x poll",
            "MiB"
        );
        for (contestant, _) in &self.0 {
            let (Some(rate), Some(cpu), Some(peak)) = (
                self.spread(*contestant, |run| run.rate),
                self.spread(*contestant, |run| run.cpu_us),
                self.spread(*contestant, |run| run.peak_mib),
            ) else {
                continue;
            };
            let _ = writeln!(
                text,
                "{:<22} {:>10.0} {:>9.0} {:>9.0} {:>7.2} {:>6.2} {:>6.2} {:>8} {:>8} {:>6.0}",
                contestant.name(),
                rate.median,
                rate.least,
                rate.greatest,
                cpu.median,
                cpu.least,
                cpu.greatest,
                ratio(self.rates(*contestant, Contestant::Batch)),
                ratio(self.rates(*contestant, Contestant::Poll)),
                peak.greatest,
            );
        }
        if let Some(first) = self.spread(Contestant::Psiren, |run| run.first_ms) {
            let _ = writeln!(
                text,
                "psiren said {:.0} ms after its start that it had read a record ({:.0} to {:.0})",
                first.median, first.least, first.greatest
            );
        }
        text
    }

    /// One line per target whose contestants ran.
    pub(crate) fn targets(&self) -> String {
        use Contestant::{Batch, Naive, Poll, Psiren, Python};
        let mib = self.spread(Psiren, |run| run.peak_mib);
        let lines = [
            (
                "rate of psiren / batch drain",
                self.rates(Psiren, Batch),
                At::Least(0.60),
            ),
            (
                "rate of psiren / poll drain",
                self.rates(Psiren, Poll),
                At::Least(0.85),
            ),
            (
                "CPU of psiren / batch drain",
                self.cpus(Psiren, Batch),
                At::Most(2.0),
            ),
            (
                "CPU of Python, orjson + numpy / psiren",
                self.cpus(Python, Psiren),
                At::Least(4.5),
            ),
            (
                "CPU of Python, naive / psiren",
                self.cpus(Naive, Psiren),
                At::Least(45.0),
            ),
            (
                "memory of psiren, MiB",
                mib.map(|mib| mib.greatest),
                At::Most(128.0),
            ),
        ];
        let mut text = format!("{:<40} {:>8} {:>9}\n", "target", "", "measured");
        for (what, measured, target) in lines {
            let Some(measured) = measured else { continue };
            let (bound, met) = match target {
                At::Least(bound) => (format!(">= {bound}"), measured >= bound),
                At::Most(bound) => (format!("<= {bound}"), measured <= bound),
            };
            let verdict = if met { "ok" } else { "MISSED" };
            let _ = writeln!(text, "{what:<40} {bound:>8} {measured:>9.2} {verdict}");
        }
        text
    }

    /// The median rate of a contestant, in records per second.
    pub(crate) fn rate(&self, contestant: Contestant) -> Option<f64> {
        Some(self.spread(contestant, |run| run.rate)?.median)
    }

    /// The median, over the rounds, of what `a` took over what `b` took: what the machine did otherwise in a round
    /// befell both.
    fn rates(&self, a: Contestant, b: Contestant) -> Option<f64> {
        self.over(a, b, |run| run.rate)
    }

    fn cpus(&self, a: Contestant, b: Contestant) -> Option<f64> {
        self.over(a, b, |run| run.cpu_us)
    }

    fn over(&self, a: Contestant, b: Contestant, figure: fn(&Run) -> f64) -> Option<f64> {
        let rounds = self.runs(a)?.iter().zip(self.runs(b)?);
        let ratios = rounds.map(|(a, b)| figure(a) / figure(b)).collect();
        Some(Spread::of(ratios)?.median)
    }

    /// In the order of the rounds.
    fn runs(&self, contestant: Contestant) -> Option<&[Run]> {
        let (_, runs) = self.0.iter().find(|(c, _)| *c == contestant)?;
        Some(runs)
    }

    fn spread<F: Into<Option<f64>>>(
        &self,
        contestant: Contestant,
        figure: fn(&Run) -> F,
    ) -> Option<Spread> {
        let runs = self.runs(contestant)?.iter();
        Spread::of(runs.filter_map(|run| figure(run).into()).collect())
    }
}

impl Spread {
    fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let last = figures.len().checked_sub(1)?;
        Some(Self {
            median: f64::midpoint(figures[last / 2], figures[last.div_ceil(2)]),
            least: *figures.first()?,
            greatest: *figures.last()?,
        })
    }
}

enum At {
    Least(f64),
    Most(f64),
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(String::new, |ratio| format!("{ratio:.3}"))
}
