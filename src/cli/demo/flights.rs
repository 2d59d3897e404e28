//! The flights that are inside the binary; see `fixtures/flights/README.md` for their source.

use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::read::GzDecoder;
use serde::Deserialize;

const REFERENCE: &[u8] = include_bytes!("../../../fixtures/flights/reference.parquet");
const PRODUCTION: &[u8] = include_bytes!("../../../fixtures/flights/production.ndjson.gz");

/// One flight, as it is sent.
pub(super) struct Flight {
    pub json: String,
    /// Scheduled departure.
    pub at_ms: i64,
}

impl Flight {
    /// The day of departure.
    pub(super) fn date(&self) -> String {
        jiff::Timestamp::from_millisecond(self.at_ms)
            .map(|at| at.strftime("%-d %B %Y").to_string())
            .unwrap_or_default()
    }
}

/// Every flight, by departure.
pub(super) fn read() -> Result<Vec<Flight>> {
    #[derive(Deserialize)]
    struct Departure {
        ts: String,
    }
    let lines = BufReader::new(GzDecoder::new(PRODUCTION)).lines();
    lines
        .map(|line| {
            let json = line?;
            let departure: Departure =
                serde_json::from_str(&json).context("a flight inside the binary")?;
            let at: jiff::Timestamp = departure.ts.parse()?;
            Ok(Flight {
                at_ms: at.as_millisecond(),
                json,
            })
        })
        .collect()
}

pub(super) fn write_reference(path: &Path) -> Result<()> {
    std::fs::write(path, REFERENCE).with_context(|| format!("cannot write {}", path.display()))
}
