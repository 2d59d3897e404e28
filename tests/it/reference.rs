//! References from files: every Parquet type read or refused with the column named, edges equal to
//! the golden ones bit for bit, damaged files refused with words.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Int8Type, Int32Type, Schema, TimeUnit, i256};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use psiren::config::{BinningConfig, EdgeRule, FeatureConfig};
use psiren::drift::{Binning, Closed, FeatureKind};
use psiren::reference::profile::Source;
use psiren::reference::{self, LoadOptions, Profile, ProfileFeature, ReferenceError};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

mod files;

const REFERENCE: &str = "fixtures/flights/reference.parquet";

fn write(folder: &TempDir, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    write_as(folder, "r.parquet", columns)
}

fn write_as(folder: &TempDir, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let schema = Arc::new(Schema::new(fields));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(schema.clone(), arrays).unwrap();
    let path = folder.path().join(name);
    let mut writer = ArrowWriter::try_new(fs::File::create(&path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    path
}

fn load(path: &Path) -> Profile {
    reference::load(path, &LoadOptions::default()).unwrap()
}

fn load_with(path: &Path, features: Vec<FeatureConfig>) -> Result<Profile, ReferenceError> {
    let options = LoadOptions {
        features,
        ..LoadOptions::default()
    };
    reference::load(path, &options)
}

fn feature(name: &str, kind: Option<FeatureKind>) -> FeatureConfig {
    FeatureConfig {
        name: name.into(),
        kind,
        ..FeatureConfig::default()
    }
}

fn reason<'a>(profile: &'a Profile, column: &str) -> &'a str {
    let all = profile.left_out.iter().chain(&profile.problems);
    &all.clone()
        .find(|l| l.column == column)
        .unwrap_or_else(|| panic!("{column} is not among {:?}", all.collect::<Vec<_>>()))
        .reason
}

fn edges(feature: &ProfileFeature) -> &[f64] {
    match &feature.reference.binning {
        Binning::Numeric { edges, .. } => edges,
        Binning::Categorical { .. } => panic!("{} is categorical", feature.reference.name),
    }
}

fn float32(feature: &ProfileFeature) -> bool {
    matches!(
        feature.reference.binning,
        Binning::Numeric { float32: true, .. }
    )
}

fn categories(feature: &ProfileFeature) -> &[String] {
    match &feature.reference.binning {
        Binning::Categorical { categories, .. } => categories,
        Binning::Numeric { .. } => panic!("{} is numeric", feature.reference.name),
    }
}

#[test]
fn flights_equals_the_golden_reference_bit_for_bit() {
    let golden = fs::read("fixtures/flights/golden-reference.json").unwrap();
    let golden: serde_json::Value = serde_json::from_slice(&golden).unwrap();
    let profile = load(Path::new(REFERENCE));
    for (name, expected) in golden.as_object().unwrap() {
        let feature = profile.feature(name).unwrap();
        let counts: Vec<u64> = serde_json::from_value(expected["counts"].clone()).unwrap();
        assert_eq!(feature.reference.counts, counts, "{name}");
        assert_eq!(feature.reference.values(), expected["events"], "{name}");
        if expected["kind"] == "numeric" {
            let list = expected["interior_edges"].clone();
            let golden: Vec<f64> = serde_json::from_value(list).unwrap();
            let bits = |edges: &[f64]| edges.iter().map(|e| e.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(edges(feature)), bits(&golden), "{name}");
        } else {
            let list = expected["categories"].clone();
            let golden: Vec<String> = serde_json::from_value(list).unwrap();
            assert_eq!(categories(feature), &golden[..golden.len() - 1], "{name}");
        }
    }
    // The golden file leaves dest out: it has more values than buckets.
    let dest = profile.feature("dest").unwrap();
    assert_eq!(categories(dest).len(), 50);
    assert!(dest.notes[0].contains("share the bucket other"));
    assert!(reason(&profile, "ts").contains("it is a time (timestamp[ms, tz=UTC])"));
}

#[test]
fn every_width_of_number_gives_the_same_edges() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Arc::new(Int64Array::from_iter(
        (0..60).map(|i| (i % 7 != 6).then_some(i * 7 % 60)),
    ));
    let whole: ArrayRef = whole;
    let types = [
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::UInt8,
        DataType::UInt16,
        DataType::UInt32,
        DataType::UInt64,
        DataType::Float16,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal32(9, 2),
        DataType::Decimal64(18, 3),
        DataType::Decimal128(20, 0),
        DataType::Decimal128(38, 10),
        DataType::Decimal256(60, 20),
    ];
    let names: Vec<String> = types.iter().map(|t| t.to_string()).collect();
    let columns = names
        .iter()
        .zip(&types)
        .map(|(name, t)| (name.as_str(), cast(&whole, t).unwrap()))
        .collect();
    let profile = load(&write(&folder, columns));
    let expected = edges(profile.feature("Int64").unwrap());
    assert_eq!(expected.len(), 9);
    for name in &names {
        let feature = profile
            .feature(name)
            .unwrap_or_else(|| panic!("{name}: {profile:?}"));
        assert_eq!(edges(feature), expected, "{name}");
        assert_eq!(feature.reference.missing, 8, "{name}");
        assert_eq!(feature.reference.values(), 52, "{name}");
        assert_eq!(
            float32(feature),
            name == "Float32" || name == "Float16",
            "{name}"
        );
    }
}

#[test]
fn a_decimal_is_the_number_its_text_says() {
    let folder = tempfile::tempdir().unwrap();
    let tenths = Decimal128Array::from(vec![1, 2, 3])
        .with_precision_and_scale(38, 1)
        .unwrap();
    let large = Decimal256Array::from(vec![
        i256::from_string("100000000000000000000000000000000000001").unwrap(),
        i256::from_i128(3),
        i256::from_i128(-3),
    ])
    .with_precision_and_scale(60, 30)
    .unwrap();
    let columns: Vec<(&str, ArrayRef)> =
        vec![("tenths", Arc::new(tenths)), ("large", Arc::new(large))];
    let profile = load(&write(&folder, columns));
    let tenths = &profile.feature("tenths").unwrap().reference;
    assert_eq!((tenths.min, tenths.max), (Some(0.1), Some(0.3)));
    let large = &profile.feature("large").unwrap().reference;
    assert_eq!(large.min, Some(-3e-30));
    assert_eq!(
        large.max,
        Some(100_000_000.000_000_000_000_000_000_000_000_000_001)
    );
}

#[test]
fn a_32_bit_column_keeps_its_values_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let values = Float32Array::from_iter((0..100).map(|i| Some(i as f32 / 10.0)));
    let profile = load(&write(&folder, vec![("x", Arc::new(values))]));
    let x = profile.feature("x").unwrap();
    assert!(float32(x));
    assert_eq!(x.reference.max, Some(f64::from(9.9_f32)));
    assert_eq!(x.data_type, "float");
}

#[test]
fn every_encoding_of_text_gives_the_same_categories() {
    let folder = tempfile::tempdir().unwrap();
    let text: ArrayRef = Arc::new(StringArray::from_iter(
        (0..40).map(|i| (i % 10 != 0).then_some(["b", "nil", "", "ä"][i % 4])),
    ));
    let dictionary = |key, value| DataType::Dictionary(Box::new(key), Box::new(value));
    let types = [
        DataType::Utf8,
        DataType::LargeUtf8,
        DataType::Utf8View,
        dictionary(DataType::Int8, DataType::Utf8),
        dictionary(DataType::Int32, DataType::LargeUtf8),
        dictionary(DataType::UInt16, DataType::Utf8View),
    ];
    let names: Vec<String> = types.iter().map(|t| t.to_string()).collect();
    let columns = names
        .iter()
        .zip(&types)
        .map(|(name, t)| (name.as_str(), cast(&text, t).unwrap()))
        .collect();
    let profile = load(&write(&folder, columns));
    for name in &names {
        let feature = profile
            .feature(name)
            .unwrap_or_else(|| panic!("{name}: {profile:?}"));
        assert_eq!(categories(feature), ["", "b", "nil", "ä"], "{name}");
        assert_eq!(feature.reference.counts, [8, 8, 10, 10, 0], "{name}");
        assert_eq!(feature.reference.missing, 4, "{name}");
    }
}

#[test]
fn booleans_and_named_integers_are_categories_by_their_text() {
    let folder = tempfile::tempdir().unwrap();
    let flags = BooleanArray::from_iter((0..30).map(|i| (i != 7).then_some(i % 3 == 0)));
    let codes = Int16Array::from_iter((0..30).map(|i| Some(i % 3 - 1)));
    let dictionary: DictionaryArray<Int8Type> = DictionaryArray::new(
        (0..30).map(|i| i % 2).collect(),
        Arc::new(Int32Array::from(vec![40, 5])),
    );
    let path = write(
        &folder,
        vec![
            ("flag", Arc::new(flags)),
            ("code", Arc::new(codes)),
            ("class", Arc::new(dictionary)),
        ],
    );
    let categorical = Some(FeatureKind::Categorical);
    let configured = vec![feature("code", categorical), feature("class", categorical)];
    let profile = load_with(&path, configured).unwrap();
    assert_eq!(
        categories(profile.feature("flag").unwrap()),
        ["false", "true"]
    );
    assert_eq!(profile.feature("flag").unwrap().reference.missing, 1);
    assert_eq!(
        categories(profile.feature("code").unwrap()),
        ["-1", "0", "1"]
    );
    assert_eq!(categories(profile.feature("class").unwrap()), ["40", "5"]);
    assert!(matches!(
        load(&path).feature("class").unwrap().reference.binning,
        Binning::Numeric { .. }
    ));
}

#[test]
fn times_nested_and_binary_columns_are_refused_one_by_one() {
    let folder = tempfile::tempdir().unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..20).map(|i| Some(i % 7))));
    let whole: Arc<Int32Array> = Arc::new((0..20).map(Some).collect());
    let timestamp = |unit| DataType::Timestamp(unit, Some("UTC".into()));
    let list = ListArray::new(
        Arc::new(Field::new("item", DataType::Int32, true)),
        OffsetBuffer::from_lengths([1; 20]),
        whole.clone(),
        None,
    );
    let inner = Fields::from(vec![Field::new("a", DataType::Int32, true)]);
    let nested = StructArray::new(inner, vec![whole], None::<NullBuffer>);
    let bytes = BinaryArray::from_iter_values((0..20).map(|i| [i as u8]));
    let cast = |t: &DataType| cast(&numbers, t).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", numbers.clone()),
        ("s", cast(&timestamp(TimeUnit::Second))),
        ("ms", cast(&timestamp(TimeUnit::Millisecond))),
        ("us", cast(&timestamp(TimeUnit::Microsecond))),
        ("ns", cast(&timestamp(TimeUnit::Nanosecond))),
        (
            "day",
            cast(&DataType::Int32)
                .as_primitive::<Int32Type>()
                .reinterpret_cast_date(),
        ),
        ("clock", cast(&DataType::Time64(TimeUnit::Microsecond))),
        ("list", Arc::new(list)),
        ("nested", Arc::new(nested)),
        ("bytes", Arc::new(bytes)),
        ("nothing", Arc::new(NullArray::new(20))),
    ];
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).skip(1).collect();
    let path = write(&folder, columns.clone());
    let profile = load(&path);
    assert_eq!(profile.features.len(), 1, "{profile:?}");
    for name in &names {
        assert!(reason(&profile, name).starts_with("it"), "{name}");
    }
    assert!(reason(&profile, "list").contains("nested (list of int32)"));
    assert!(reason(&profile, "bytes").contains("its type is binary"));

    let named = names.iter().map(|name| feature(name, None)).collect();
    let profile = load_with(&path, named).unwrap();
    let problems: Vec<_> = profile.problems.iter().map(|p| p.column.as_str()).collect();
    assert_eq!(problems, names);
}

trait Dates {
    fn reinterpret_cast_date(&self) -> ArrayRef;
}

impl Dates for Int32Array {
    fn reinterpret_cast_date(&self) -> ArrayRef {
        Arc::new(self.reinterpret_cast::<arrow::datatypes::Date32Type>())
    }
}

#[test]
fn a_kind_that_does_not_fit_the_column_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = StringArray::from_iter_values((0..20).map(|i| ["1", "2"][i % 2]));
    let fractions = Float64Array::from_iter_values((0..20).map(|i| i as f64 / 2.0));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("text", Arc::new(text)),
        ("fraction", Arc::new(fractions)),
        (
            "ok",
            Arc::new(Int32Array::from_iter_values((0..20).map(|i| i % 3))),
        ),
    ];
    let path = write(&folder, columns);
    let configured = vec![
        feature("text", Some(FeatureKind::Numeric)),
        feature("fraction", Some(FeatureKind::Categorical)),
    ];
    let profile = load_with(&path, configured).unwrap();
    assert!(reason(&profile, "text").contains("its values are no numbers (string)"));
    assert!(reason(&profile, "fraction").contains("has no one text"));
    assert_eq!(profile.features.len(), 1);
}

#[test]
fn a_column_without_values_is_a_problem_and_an_error_when_strict() {
    let folder = tempfile::tempdir().unwrap();
    let nan = Float64Array::from(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]);
    let ok = Float64Array::from(vec![1.0, 2.0, f64::NAN]);
    let path = write(&folder, vec![("nan", Arc::new(nan)), ("ok", Arc::new(ok))]);
    let profile = load(&path);
    assert_eq!(
        profile.problems[0].reason,
        "all of its 3 rows are without a value"
    );
    let ok = profile.feature("ok").unwrap();
    assert_eq!(
        (ok.reference.counts.as_slice(), ok.reference.missing),
        (&[1, 1][..], 1)
    );
    assert_eq!((ok.reference.min, ok.reference.max), (Some(1.0), Some(2.0)));
    let strict = LoadOptions {
        strict: true,
        ..LoadOptions::default()
    };
    let error = reference::load(&path, &strict).unwrap_err().to_string();
    assert!(error.contains("nan: all of its 3 rows"), "{error}");
}

#[test]
fn identifiers_are_left_out_unless_they_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let rows = Int64Array::from_iter_values(0..100);
    let keys = StringArray::from_iter_values((0..100).map(|i| format!("user-{i}")));
    let age = Int64Array::from_iter_values((0..100).map(|i| i % 40));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("row", Arc::new(rows)),
        ("key", Arc::new(keys)),
        ("age", Arc::new(age)),
    ];
    let path = write(&folder, columns);
    let profile = load(&path);
    assert_eq!(profile.features.len(), 1);
    assert!(reason(&profile, "row").contains("100 of its 100 values differ"));
    assert!(reason(&profile, "key").contains("100 different texts among 100 values"));
    let profile = load_with(&path, vec![feature("row", None)]).unwrap();
    assert_eq!(profile.features[0].reference.name, "row");
    let include = LoadOptions {
        include: vec!["key".into()],
        ..LoadOptions::default()
    };
    let profile = reference::load(&path, &include).unwrap();
    assert_eq!(profile.features[0].reference.name, "key");
}

fn sha256(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).unwrap());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn several_files_make_one_reference() {
    let folder = tempfile::tempdir().unwrap();
    let part = |name, from: i32| {
        let x = Int32Array::from_iter_values((from..from + 50).map(|i| i * 37 % 100));
        let y: ArrayRef = if from == 0 {
            Arc::new(Int32Array::from_iter_values((0..50).map(|i| i % 3)))
        } else {
            Arc::new(StringArray::from_iter_values((0..50).map(|_| "a")))
        };
        write_as(&folder, name, vec![("x", Arc::new(x)), ("y", y)])
    };
    let files = [part("a.parquet", 0), part("b.parquet", 50)];
    let profile = reference::build(&files, &LoadOptions::default()).unwrap();
    let sources = files.each_ref().map(|path| Source {
        path: path.display().to_string(),
        sha256: sha256(path),
        rows: 50,
    });
    assert_eq!((profile.rows, &profile.sources[..]), (100, &sources[..]));
    assert_eq!(profile.feature("x").unwrap().reference.counts, [10; 10]);
    assert!(
        reason(&profile, "y").contains("it is int32 in"),
        "{:?}",
        profile.problems
    );
}

#[test]
fn the_span_of_event_time_is_kept() {
    let options = LoadOptions {
        timestamp_column: Some("ts".into()),
        ..LoadOptions::default()
    };
    let profile = reference::load(Path::new(REFERENCE), &options).unwrap();
    let span = profile.event_time.as_ref().unwrap();
    assert_eq!(span.column, "ts");
    assert!(
        span.from.starts_with("2013-01-01T") && span.to.starts_with("2013-03-01T"),
        "{span:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.json");
    profile.save(&path).unwrap();
    assert_eq!(reference::load(&path, &options).unwrap(), profile);
}

#[test]
fn uniform_explicit_and_left_closed_buckets_are_built() {
    let with = |edges, closed| {
        let options = LoadOptions {
            binning: BinningConfig {
                edges,
                closed,
                ..BinningConfig::default()
            },
            ..LoadOptions::default()
        };
        let profile = reference::load(Path::new(REFERENCE), &options).unwrap();
        profile.feature("visib").unwrap().clone()
    };
    let uniform = with(EdgeRule::Uniform { buckets: 5 }, Closed::Right);
    assert_eq!(edges(&uniform).len(), 4);
    let explicit = with(EdgeRule::Explicit(vec![9.99]), Closed::Right);
    assert_eq!(edges(&explicit), [9.99]);
    assert_eq!(explicit.reference.values(), 51_874);
    let left = with(EdgeRule::Quantile { buckets: 10 }, Closed::Left);
    assert_eq!(edges(&left), [4.0, 8.0, 10.0]);
    assert!(left.reference.counts[3] > 0);
}

#[test]
fn a_file_that_cannot_be_read_is_named_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(REFERENCE).unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let rows = write_as(
        &folder,
        "rows",
        vec![("x", Arc::new(Int32Array::from(Vec::<i32>::new())))],
    );
    for (path, what) in [
        (folder.path().join("none"), "there is no such file"),
        (folder.path().to_owned(), "it is a folder"),
        (file("empty", b""), "the file has no bytes"),
        (file("text", b"a,b\n1,2\n"), "begins neither with PAR1"),
        (file("cut", &whole[..1000]), "is not usable"),
        (file("magic", b"PAR1"), "is not usable"),
        (file("json", b"{\"version\": 1}"), "missing field"),
        (rows, "has no rows"),
    ] {
        let error = reference::load(&path, &LoadOptions::default())
            .unwrap_err()
            .to_string();
        assert!(error.contains(what), "{error}");
        assert!(error.contains(&*path.to_string_lossy()), "{error}");
    }
}

#[test]
fn a_damaged_file_is_refused_or_read_but_never_panics() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = Int32Array::from_iter((0..500).map(|i| (i % 5 != 0).then_some(i * 37 % 101)));
    let texts = StringArray::from_iter_values((0..500).map(|i| ["a", "b", "c"][i % 3]));
    let path = write(
        &folder,
        vec![("n", Arc::new(numbers)), ("t", Arc::new(texts))],
    );
    let whole = fs::read(&path).unwrap();
    for at in (4..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        fs::write(&path, &bytes).unwrap();
        if let Ok(profile) = reference::load(&path, &LoadOptions::default()) {
            for feature in profile.features {
                let reference = feature.reference;
                assert_eq!(reference.counts.len(), reference.binning.buckets());
            }
        }
    }
}

#[test]
fn a_profile_answers_for_the_columns_it_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let age = Int64Array::from_iter_values((0..100).map(|i| i % 40));
    let none = Float64Array::from(vec![f64::NAN; 100]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("age", Arc::new(age.clone())),
        ("weight", Arc::new(age)),
        ("none", Arc::new(none)),
    ];
    let built = LoadOptions {
        exclude: vec!["weight".into()],
        ..LoadOptions::default()
    };
    let profile = reference::load(&write(&folder, columns), &built).unwrap();
    let path = folder.path().join("p.json");
    profile.save(&path).unwrap();

    let error = load_with(&path, vec![feature("weight", None)]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("was left out of it (excluded by name)"),
        "{error}"
    );
    let error = load_with(&path, vec![feature("wait", None)]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("its columns are age, weight, none"),
        "{error}"
    );
    let error = load_with(&path, vec![feature("age", Some(FeatureKind::Categorical))]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("built as numeric, and categorical is configured"),
        "{error}"
    );

    let mut strict = LoadOptions {
        strict: true,
        ..LoadOptions::default()
    };
    assert!(matches!(
        reference::load(&path, &strict),
        Err(ReferenceError::Strict { .. })
    ));
    strict.exclude = vec!["none".into()];
    assert_eq!(reference::load(&path, &strict).unwrap().features.len(), 1);
    let renamed = FeatureConfig {
        column: Some("age".into()),
        ..feature("years", None)
    };
    let profile = load_with(&path, vec![renamed]).unwrap();
    assert_eq!(profile.features[0].reference.name, "years");
}
