//! One evaluation → its CSV rows, one per feature. Pure; shared by the CSV sink and `check`.
//!
//! Numbers have the shortest form that reads back as the same value, times are RFC 3339 in UTC,
//! names that a spreadsheet would take for a formula are prefixed with `'` (OWASP, "CSV
//! Injection"). Quoting is the writer's.

use std::borrow::Cow;

use crate::drift::{DriftReport, FeatureReport};
use crate::text::rfc3339;

/// The columns, in order. New ones only ever come at the end.
pub const HEADER: [&str; 16] = [
    "window_start",
    "window_end",
    "monitor",
    "segment",
    "feature",
    "trigger",
    "psi",
    "status",
    "events",
    "missing",
    "invalid",
    "coverage",
    "closed_by",
    "reference",
    "definition",
    "evaluated_at",
];

/// One row per feature, in the order of the definition. `events` is the number of values in the
/// window, `psi` is empty without values, and a bound of a window that has none is empty.
pub fn rows(report: &DriftReport) -> impl Iterator<Item = [String; HEADER.len()]> + '_ {
    report.features.iter().map(|feature| row(report, feature))
}

/// The row of one feature of `report`.
#[must_use]
pub fn row(report: &DriftReport, feature: &FeatureReport) -> [String; HEADER.len()] {
    [
        rfc3339(report.window.start_ms).unwrap_or_default(),
        rfc3339(report.window.end_ms).unwrap_or_default(),
        name(&report.monitor).into_owned(),
        name(&report.segment).into_owned(),
        name(&feature.feature).into_owned(),
        report.trigger.as_str().to_owned(),
        feature.psi.map(number).unwrap_or_default(),
        feature.status.as_str().to_owned(),
        feature.values.to_string(),
        feature.missing.to_string(),
        feature.invalid.to_string(),
        number(report.coverage),
        report.closed_by.as_str().to_owned(),
        report.reference.clone(),
        report.definition.clone(),
        report.evaluated_at_ms.and_then(rfc3339).unwrap_or_default(),
    ]
}

/// The shortest decimal that reads back as `x`; never an exponent.
#[must_use]
pub fn number(x: f64) -> String {
    x.to_string()
}

/// `text`, made harmless for spreadsheets.
#[must_use]
pub fn name(text: &str) -> Cow<'_, str> {
    match text.as_bytes().first() {
        Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r') => Cow::Owned(format!("'{text}")),
        _ => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drift::{ClosedBy, DriftStatus, Trigger, WindowBounds};

    fn report(feature: FeatureReport) -> DriftReport {
        DriftReport {
            monitor: "flights".into(),
            segment: String::new(),
            trigger: Trigger::Final,
            window: WindowBounds {
                start_ms: 1_361_577_600_000,
                end_ms: 1_362_182_400_000,
            },
            closed_by: ClosedBy::Watermark,
            coverage: 1.0 / 7.0,
            events: 203,
            reference: "4b1d".into(),
            definition: "9e0c".into(),
            evaluated_at_ms: None,
            features: vec![feature],
            changes: Vec::new(),
        }
    }

    fn feature(name: &str) -> FeatureReport {
        FeatureReport {
            feature: name.into(),
            psi: Some(0.123),
            status: DriftStatus::InsufficientData,
            values: 200,
            missing: 2,
            invalid: 1,
            unseen: 0,
            buckets: vec![150, 50].into(),
        }
    }

    #[test]
    fn a_row_has_a_value_for_every_column() {
        let row = rows(&report(feature("dep_delay"))).next().unwrap();
        assert_eq!(
            row.join(","),
            "2013-02-23T00:00:00Z,2013-03-02T00:00:00Z,flights,,dep_delay,final,\
             0.123,insufficient_data,200,2,1,0.14285714285714285,watermark,\
             4b1d,9e0c,"
        );
    }

    #[test]
    fn numbers_read_back_as_themselves() {
        for x in [9.252261660484554e-05, 0.1 + 0.2, 0.0, 13.0, 5e-324] {
            assert_eq!(number(x).parse::<f64>(), Ok(x));
            assert!(!number(x).contains('e'));
        }
    }

    #[test]
    fn a_feature_without_values_has_an_empty_psi() {
        let mut feature = feature("dep_delay");
        feature.psi = None;
        assert_eq!(rows(&report(feature)).next().unwrap()[6], "");
    }

    #[test]
    fn an_unbounded_window_has_empty_bounds() {
        let mut report = report(feature("dep_delay"));
        report.window = WindowBounds {
            start_ms: i64::MIN,
            end_ms: i64::MAX,
        };
        let row = rows(&report).next().unwrap();
        assert_eq!((row[0].as_str(), row[1].as_str()), ("", ""));
    }

    #[test]
    fn a_name_that_looks_like_a_formula_is_prefixed() {
        for start in ["=", "+", "-", "@", "\t", "\r"] {
            let hostile = format!("{start}cmd|'/c calc'!A0");
            let row = rows(&report(feature(&hostile))).next().unwrap();
            assert_eq!(row[4], format!("'{hostile}"));
        }
        assert_eq!(name("a=b"), "a=b");
    }
}
