//! One PSI as a sum that a person can do again: counts, shares and the term of each bucket. Pure;
//! styles are ANSI codes that the writer strips where they do not belong.

use std::fmt::Write;

use super::terminal::{QUIET, TITLE, bar, left, printable, right, shortened, style, width};
use crate::drift::{DriftStatus, Psi, Smoothing, psi};
use crate::text::grouped;

/// Cells of the longest bar.
const BAR_CELLS: usize = 16;
const RANGE_CELLS: usize = 32;

/// One feature in one window, against its reference.
pub(super) struct Sum {
    pub(super) feature: String,
    /// Which window, in words.
    pub(super) window: String,
    pub(super) smoothing: Smoothing,
    pub(super) buckets: Vec<Bucket>,
    pub(super) verdict: DriftStatus,
    /// Why it is that, in words.
    pub(super) reason: String,
    /// What is no bucket: how many values, and what they are.
    pub(super) beside: Vec<(u64, &'static str)>,
}

pub(super) struct Bucket {
    /// What it holds, in words.
    pub(super) range: String,
    pub(super) reference: u64,
    pub(super) production: u64,
}

/// The sum, bucket by bucket, with its verdict. `columns`: how wide the terminal is.
pub(super) fn render(sum: &Sum, columns: Option<usize>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, sum, columns);
    out
}

fn write(out: &mut String, sum: &Sum, columns: Option<usize>) -> std::fmt::Result {
    let reference: Vec<u64> = sum.buckets.iter().map(|b| b.reference).collect();
    let production: Vec<u64> = sum.buckets.iter().map(|b| b.production).collect();
    let psi = psi(&reference, &production, sum.smoothing);
    let name = printable(&sum.feature);
    writeln!(out, "{TITLE}{name}{TITLE:#} · {}", printable(&sum.window))?;
    writeln!(
        out,
        "{QUIET}PSI = Σ (q − p) · ln(q / p), p the share of a bucket in the reference, q in production{QUIET:#}"
    )?;
    writeln!(out, "{QUIET}{}{QUIET:#}\n", smoothing(sum.smoothing))?;
    let mut rows = vec![HEAD.map(str::to_owned)];
    for (i, bucket) in sum.buckets.iter().enumerate() {
        rows.push(row(bucket, i, psi.as_ref()));
    }
    rows.push([
        "total".to_owned(),
        grouped(reference.iter().sum()),
        grouped(production.iter().sum()),
        String::new(),
        String::new(),
        psi.as_ref().map_or_else(dash, |psi| term(psi.total)),
    ]);
    aligned(out, &rows, psi.as_ref(), columns)?;
    for (values, what) in sum.beside.iter().filter(|(values, _)| *values > 0) {
        writeln!(
            out,
            "{QUIET}not in the sum: {} {what}{QUIET:#}",
            grouped(*values)
        )?;
    }
    let verdict = style(sum.verdict);
    let (words, reason) = (sum.verdict.words(), printable(&sum.reason));
    writeln!(out, "{verdict}{words}{verdict:#}: {reason}")
}

const HEAD: [&str; 6] = [
    "bucket",
    "reference",
    "production",
    "p",
    "q",
    "(q − p) · ln(q / p)",
];

fn row(bucket: &Bucket, i: usize, psi: Option<&Psi>) -> [String; 6] {
    let figure = |of: fn(&Psi) -> &Vec<f64>, text: fn(f64) -> String| {
        let figure = psi.and_then(|psi| of(psi).get(i)).copied();
        figure.map_or_else(dash, text)
    };
    [
        shortened(&printable(&bucket.range), RANGE_CELLS),
        grouped(bucket.reference),
        grouped(bucket.production),
        figure(|psi| &psi.reference, share),
        figure(|psi| &psi.production, share),
        figure(|psi| &psi.terms, term),
    ]
}

/// The first column to the left, figures to the right, and a bar for each term.
fn aligned(
    out: &mut String,
    rows: &[[String; 6]],
    psi: Option<&Psi>,
    columns: Option<usize>,
) -> std::fmt::Result {
    let widest = |column: usize| rows.iter().map(|r| width(&r[column])).max();
    let widths: [usize; 6] = std::array::from_fn(|column| widest(column).unwrap_or(0));
    let whole = widths.iter().sum::<usize>() + 2 * (widths.len() - 1);
    let room = columns.map_or(BAR_CELLS, |columns| columns.saturating_sub(whole + 2));
    let longest = room.min(BAR_CELLS) as f64;
    let greatest = psi.map_or(0.0, |psi| psi.terms.iter().copied().fold(0.0, f64::max));
    let last = rows.len() - 1;
    for (i, [range, figures @ ..]) in rows.iter().enumerate() {
        let quiet = i == 0;
        if i == last {
            writeln!(out, "{QUIET}{}{QUIET:#}", "─".repeat(whole))?;
        }
        if quiet {
            write!(out, "{QUIET}")?;
        }
        write!(out, "{}", left(range, widths[0]))?;
        for (figure, width) in figures.iter().zip(&widths[1..]) {
            write!(out, "  {}", right(figure, *width))?;
        }
        if quiet {
            write!(out, "{QUIET:#}")?;
        }
        let own = i.checked_sub(1).filter(|_| i < last);
        let own = own.and_then(|i| psi?.terms.get(i)).copied();
        let bar = bar(
            own.unwrap_or(0.0) / greatest.max(f64::MIN_POSITIVE),
            longest,
        );
        match bar.as_str() {
            _ if room == 0 => writeln!(out)?,
            "" => writeln!(out)?,
            bar => writeln!(out, "  {bar}")?,
        }
    }
    Ok(())
}

fn smoothing(smoothing: Smoothing) -> String {
    match smoothing {
        Smoothing::Clip(epsilon) => format!("a share below {epsilon} counts as {epsilon}"),
        Smoothing::Replace(epsilon) => format!("a share of 0 counts as {epsilon}"),
        Smoothing::Add(epsilon) => format!("{epsilon} is added to every share"),
        Smoothing::Half => {
            "½ is added to every count before the shares are taken, so a share is (n + ½) / (total + ½ · buckets)".to_owned()
        }
    }
}

fn share(share: f64) -> String {
    format!("{share:.6}")
}

fn term(term: f64) -> String {
    format!("{term:.8}")
}

fn dash() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(production: [u64; 3]) -> Sum {
        let ranges = ["x ≤ 0", "0 < x ≤ 10", "x > 10"];
        let buckets = ranges.iter().zip([50, 30, 20]).zip(production);
        let buckets = buckets.map(|((range, reference), production)| Bucket {
            range: (*range).to_owned(),
            reference,
            production,
        });
        Sum {
            feature: "x\u{1b}[2J".to_owned(),
            window: "flights, the whole input".to_owned(),
            smoothing: Smoothing::default(),
            buckets: buckets.collect(),
            verdict: DriftStatus::LikelyDrift,
            reason: "PSI 1.2 is above 0.25".to_owned(),
            beside: vec![(3, "missing"), (0, "invalid")],
        }
    }

    fn plain(sum: &Sum) -> String {
        anstream::adapter::strip_str(&render(sum, None)).to_string()
    }

    #[test]
    fn every_figure_of_the_sum_is_there() {
        insta::assert_snapshot!(plain(&sum([1_000, 300, 700])));
    }

    #[test]
    fn bars_are_as_long_as_a_narrow_terminal_lets_them_be() {
        let sum = sum([1_000, 300, 700]);
        let table = |columns| {
            let text = anstream::adapter::strip_str(&render(&sum, Some(columns))).to_string();
            let rows = text.lines().skip(4).take(6).map(width);
            rows.max().unwrap()
        };
        let widest = table(200);
        assert_eq!(table(widest - 5), widest - 5);
        assert_eq!(
            table(20),
            widest - 18,
            "no bars, and the figures as they are"
        );
    }

    #[test]
    fn without_values_there_is_no_sum() {
        let text = plain(&sum([0, 0, 0]));
        assert!(text.contains("total             100           0"), "{text}");
        assert!(text.lines().any(|line| line.ends_with("–")), "{text}");
    }

    #[test]
    fn the_terms_shown_add_up_to_the_total_shown() {
        let text = plain(&sum([1_000, 0, 700]));
        let last = |line: &str| {
            let figures = line
                .split("  ")
                .filter_map(|f| f.trim().parse::<f64>().ok());
            figures.last()
        };
        let terms: Vec<f64> = text.lines().filter_map(last).collect();
        let (total, terms) = terms.split_last().unwrap();
        assert!((terms.iter().sum::<f64>() - total).abs() < 5e-8, "{text}");
    }
}
