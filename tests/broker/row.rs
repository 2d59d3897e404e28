//! A row of psiren's CSV, as the tests compare it.

use jiff::Timestamp;

#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) window_end_ms: i64,
    pub(crate) monitor: String,
    pub(crate) feature: String,
    pub(crate) trigger: String,
    pub(crate) psi: Option<f64>,
    pub(crate) events: u64,
    pub(crate) missing: u64,
    pub(crate) coverage: f64,
    pub(crate) closed_by: String,
    pub(crate) evaluated_at: String,
    /// The row as it stands in the file.
    pub(crate) line: String,
}

impl Row {
    /// The rows of a CSV text that starts with its header. No field of the tests holds a line break.
    pub(crate) fn parse_all(text: &str) -> Vec<Self> {
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        lines.map(|line| Self::parse(&header, line)).collect()
    }

    pub(crate) fn is_final(&self, monitor: &str) -> bool {
        self.trigger == "final" && self.monitor == monitor
    }

    fn parse(header: &[&str], line: &str) -> Self {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .from_reader(line.as_bytes());
        let record = reader
            .records()
            .next()
            .expect("a line holds a row")
            .expect("a row");
        let cell = |column: &str| {
            let place = header.iter().position(|name| *name == column);
            &record[place.unwrap_or_else(|| panic!("no column {column} in {header:?}"))]
        };
        let number = |column| {
            cell(column)
                .parse()
                .unwrap_or_else(|_| panic!("{column} in {line}"))
        };
        let end: Timestamp = cell("window_end").parse().expect("RFC 3339");
        Self {
            window_end_ms: end.as_millisecond(),
            monitor: cell("monitor").to_owned(),
            feature: cell("feature").to_owned(),
            trigger: cell("trigger").to_owned(),
            psi: match cell("psi") {
                "" => None,
                psi => Some(psi.parse().expect("a number")),
            },
            events: number("events"),
            missing: number("missing"),
            coverage: cell("coverage").parse().expect("a share"),
            closed_by: cell("closed_by").to_owned(),
            evaluated_at: cell("evaluated_at").to_owned(),
            line: line.to_owned(),
        }
    }
}
