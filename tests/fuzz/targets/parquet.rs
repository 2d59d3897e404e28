//! A Parquet file of any bytes: refused with words, or a reference that can be saved and used.
//!
//! The same bytes are read as a file of events, too.

use std::ops::ControlFlow;
use std::path::Path;

use psiren::drift::{Layout, PaneCounts};
use psiren::event::{EventSchema, FeatureField};
use psiren::reference::{self, LoadOptions, Profile};
use psiren::source::file::RowFile;

pub fn judge(bytes: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("reference.parquet");
    std::fs::write(&path, bytes).expect("the file can be written");
    let options = LoadOptions {
        timestamp_column: Some("ts".to_owned()),
        ..LoadOptions::default()
    };
    match reference::load(&path, &options) {
        Ok(profile) => {
            let text = profile.to_json();
            let again =
                Profile::parse(&path, text.as_bytes()).expect("what is built passes the check");
            assert_eq!(again, profile);
            super::profile::judge_profile(&profile);
            rows(&path, &profile);
        }
        Err(error) => assert!(error.to_string().contains("reference.parquet"), "{error}"),
    }
    payloads(&path);
}

/// Read as events, the reference's own rows are counted where the reference counted them.
fn rows(path: &Path, profile: &Profile) {
    let field = |feature: &reference::ProfileFeature| FeatureField {
        path: vec![feature.reference.column.clone()],
        binning: feature.reference.binning.clone(),
    };
    let schema = EventSchema {
        features: profile.features.iter().map(field).collect(),
        timestamp: None,
        filters: Vec::new(),
    };
    let layout = Layout::new(schema.features.iter().map(|f| f.binning.buckets()));
    let mut counts = PaneCounts::zero(&layout);
    let file = RowFile::open(path).expect("what is a reference is a file of rows");
    let read = file.read(&schema, |_, row| {
        counts.record(&layout, row.expect("a row is an event").cells);
    });
    if read.is_err() {
        return;
    }
    for (i, feature) in profile.features.iter().enumerate() {
        let reference = &feature.reference;
        // A damaged file may say two things of a column's type; then no value is taken for one.
        if counts.invalid(&layout, i) == profile.rows - reference.missing {
            continue;
        }
        assert_eq!(
            counts.buckets(&layout, i),
            reference.counts,
            "{reference:?}"
        );
        assert_eq!(
            counts.missing(&layout, i),
            reference.missing,
            "{reference:?}"
        );
    }
}

fn payloads(path: &Path) {
    if let Ok(file) = RowFile::open(path) {
        let _ = file.payloads(|_, payload| {
            serde_json::from_slice::<serde_json::Value>(payload).expect("a payload is JSON");
            ControlFlow::Continue(())
        });
    }
}
