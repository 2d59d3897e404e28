//! The span of a reference's event times, for people to see; nothing is computed from it.

use super::error::ReferenceError;
use super::parquet::{Column, ColumnClass, ColumnValues, ParquetFile, Values};

/// Least and greatest time of `column` in milliseconds since the Unix epoch: times as they are,
/// integers by magnitude, text as RFC 3339. `None` when it holds no times.
///
/// # Errors
/// The column's pages are damaged.
pub(super) fn span(
    file: &ParquetFile,
    column: &Column,
) -> Result<Option<(i64, i64)>, ReferenceError> {
    let mut values = match column.class {
        ColumnClass::Time => return file.time_span(&column.name),
        ColumnClass::Integer | ColumnClass::Fraction { .. } => ColumnValues::numbers(),
        ColumnClass::Text => ColumnValues::texts(),
        _ => return Ok(None),
    };
    file.read(&column.name, &mut values)?;
    let times: Vec<i64> = match values.values {
        Values::Numbers(numbers) => numbers
            .into_iter()
            .filter_map(epoch_seconds)
            .map(|seconds| (seconds * 1e3) as i64)
            .collect(),
        Values::Texts(texts) => texts
            .keys()
            .filter_map(|text| text.parse::<jiff::Timestamp>().ok())
            .map(|time| time.as_millisecond())
            .collect(),
    };
    let least = times.iter().copied().min();
    Ok(least.zip(times.iter().copied().max()))
}

/// Seconds since the Unix epoch, the unit told by the magnitude; `None` before 1990 or after 2200.
pub(super) fn epoch_seconds(x: f64) -> Option<f64> {
    let seconds = match x {
        x if x < 1e11 => x,
        x if x < 1e14 => x / 1e3,
        x if x < 1e17 => x / 1e6,
        x => x / 1e9,
    };
    (631_152_000.0..7_258_118_400.0)
        .contains(&seconds)
        .then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_of_an_epoch_is_its_magnitude() {
        for x in [1.7e9, 1.7e12, 1.7e15, 1.7e18] {
            assert_eq!(epoch_seconds(x), Some(1.7e9));
        }
        assert_eq!(
            [
                epoch_seconds(0.0),
                epoch_seconds(-1.7e9),
                epoch_seconds(1e30)
            ],
            [None; 3]
        );
    }
}
