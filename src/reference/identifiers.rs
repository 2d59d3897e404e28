//! Columns no model learns from, told by their names and values: identifiers and times.
//!
//! A guess, so it only decides about columns nobody named.

use std::collections::HashMap;

use super::parquet::Values;
use super::time::epoch_seconds;

/// Fewer values than this show nothing about being different from each other.
const FEW_VALUES: usize = 20;

/// Why a column looks like an identifier or a time, which no model learns from; `None` when it
/// does not. `integer`: the column's type is a whole number.
///
/// - Text: more than half of the values differ and there are more of them than `max_categories`,
///   or all (20 or more) differ; or all of them are dates or times.
/// - Integers: the name ends like an identifier's and more than half of the values differ; or the
///   name ends like a time's and all values are epoch times between 1990 and 2200.
#[must_use]
pub fn identifier_reason(
    name: &str,
    values: &Values,
    integer: bool,
    max_categories: usize,
) -> Option<String> {
    match values {
        Values::Texts(texts) => text_reason(texts, max_categories),
        Values::Numbers(numbers) if integer => integer_reason(name, numbers),
        Values::Numbers(_) => None,
    }
}

fn text_reason(texts: &HashMap<String, u64>, max_categories: usize) -> Option<String> {
    let total: u64 = texts.values().sum();
    let distinct = texts.len();
    if distinct > 0 && texts.keys().all(|text| is_time(text)) {
        return Some("its text is dates or times".to_owned());
    }
    let mostly_different = distinct > max_categories && distinct as u64 * 2 > total;
    let all_different = distinct >= FEW_VALUES && distinct as u64 == total;
    (mostly_different || all_different).then(|| {
        format!("it looks like an identifier: {distinct} different texts among {total} values")
    })
}

fn is_time(text: &str) -> bool {
    text.contains(['-', ':'])
        && (text.parse::<jiff::Timestamp>().is_ok()
            || text.parse::<jiff::civil::DateTime>().is_ok())
}

/// What to say of whole numbers that only grow: they may count rows. Not enough to leave them out.
#[must_use]
pub fn growing_note(values: &Values) -> Option<String> {
    let Values::Numbers(numbers) = values else {
        return None;
    };
    let grows = numbers.len() >= FEW_VALUES && numbers.windows(2).all(|w| w[0] < w[1]);
    grows.then(|| {
        "each value is greater than the one before; if it only counts rows, exclude it".to_owned()
    })
}

fn integer_reason(name: &str, numbers: &[f64]) -> Option<String> {
    if names_an_identifier(name) {
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.dedup();
        if sorted.len() * 2 > numbers.len() {
            return Some(format!(
                "it looks like an identifier by its name, and {} of its {} values differ",
                sorted.len(),
                numbers.len()
            ));
        }
    }
    let is_epoch = names_a_time(name) && numbers.iter().all(|x| epoch_seconds(*x).is_some());
    is_epoch.then(|| "it looks like a time by its name and its values".to_owned())
}

/// The last word of `name`, lower case: `id` of `user_id`, `userId`, `User ID`.
fn last_word(name: &str) -> String {
    let trimmed = name.trim_end_matches(|c: char| !c.is_alphanumeric());
    let start = trimmed
        .char_indices()
        .rev()
        .scan(None::<char>, |after, (i, c)| {
            let boundary =
                !c.is_alphanumeric() || (c.is_lowercase() && after.is_some_and(char::is_uppercase));
            *after = Some(c);
            Some((i + c.len_utf8(), boundary))
        })
        .find(|(_, boundary)| *boundary)
        .map_or(0, |(i, _)| i);
    trimmed[start..].to_lowercase()
}

fn names_an_identifier(name: &str) -> bool {
    [
        "id", "uuid", "guid", "key", "pk", "index", "idx", "row", "rowid", "rownum", "seq",
        "offset",
    ]
    .contains(&last_word(name).as_str())
        || name.starts_with("__index_level_")
        || name.starts_with("Unnamed: ")
}

/// Whether the last word of `name` is one that times have: `created_at`, `eventTime`, `ts`.
#[must_use]
pub fn names_a_time(name: &str) -> bool {
    [
        "ts",
        "time",
        "timestamp",
        "date",
        "datetime",
        "at",
        "epoch",
        "ms",
    ]
    .contains(&last_word(name).as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers(name: &str, values: impl Iterator<Item = i32>) -> Option<String> {
        let numbers = Values::Numbers(values.map(f64::from).collect());
        identifier_reason(name, &numbers, true, 50)
    }

    #[test]
    fn integers_that_name_records_are_identifiers() {
        assert!(integers("row", 0..100).is_some());
        assert!(integers("n", 0..100).is_none());
        assert!(integers("user_id", (0..100).map(|i| i * 37 % 100)).is_some());
        assert!(integers("VendorID", (0..100).map(|i| i % 2)).is_none());
        assert!(integers("created_at", (0..100).map(|i| 1_400_000_000 + i % 7)).is_some());
        assert!(integers("air_time", (0..100).map(|i| 20 + i % 7)).is_none());
    }

    #[test]
    fn texts_that_hardly_repeat_are_identifiers() {
        let texts = |n: usize, each| (0..n).map(|i| (format!("k{i}"), each)).collect();
        let reason = |texts| identifier_reason("x", &Values::Texts(texts), false, 50);
        assert!(reason(texts(30, 1)).is_some());
        assert!(reason(texts(5, 1)).is_none());
        assert!(reason(texts(4000, 12)).is_none());
        let dates = (1..9).map(|d| (format!("2024-01-0{d}"), 50)).collect();
        assert!(reason(dates).is_some());
    }

    #[test]
    fn the_last_word_of_a_name_follows_its_writing() {
        for name in ["user_id", "userId", "userID", "User ID", "id", "ID"] {
            assert_eq!(last_word(name), "id", "{name}");
        }
        assert_eq!(last_word("paid"), "paid");
    }
}
