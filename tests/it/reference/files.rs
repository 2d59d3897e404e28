//! Files that are unusual, and what is said of them. `checksums.parquet` and `brotli.parquet` are by
//! pyarrow, because the writer used here has neither.

use std::process::Command;

use parquet::arrow::arrow_writer::ArrowWriterOptions;
use psiren::drift::{Cell, Value};
use psiren::source::file::RowFile;

use super::*;

/// As deep as nobody nests.
const LEVELS: usize = 1000;
/// The last byte of the only page of x in `checksums.parquet`.
const END_OF_PAGE: usize = 560;

fn refusal(path: &Path) -> String {
    let error = reference::load(path, &LoadOptions::default());
    error.unwrap_err().to_string()
}

/// Writes what the writer can only write where there is room for it.
fn with_room<T: Send>(write: impl FnOnce() -> T + Send) -> T {
    let room = std::thread::Builder::new().stack_size(256 << 20);
    std::thread::scope(|scope| room.spawn_scoped(scope, write).unwrap().join().unwrap())
}

#[test]
fn columns_nested_deeper_than_a_reader_can_go_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let path = with_room(|| {
        let mut deep: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        for _ in 0..LEVELS {
            let field = Field::new("a", deep.data_type().clone(), true);
            deep = Arc::new(StructArray::new(
                Fields::from(vec![field]),
                vec![deep],
                None,
            ));
        }
        let x: ArrayRef = Arc::new(Int32Array::from(vec![1, 2]));
        let schema = Arc::new(Schema::new(vec![
            Field::new("x", DataType::Int32, true),
            Field::new("deep", deep.data_type().clone(), true),
        ]));
        let path = folder.path().join("deep.parquet");
        let options = ArrowWriterOptions::new().with_skip_arrow_metadata(true);
        let file = fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new_with_options(file, schema.clone(), options).unwrap();
        let batch = RecordBatch::try_new(schema, vec![x, deep]).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        path
    });
    let words = format!("nested {} levels deep; at most 100 are read", LEVELS + 1);
    assert!(refusal(&path).contains(&words), "{}", refusal(&path));
    let rows = RowFile::open(&path).unwrap();
    let error = rows.payloads(|_, _: &[u8]| unreachable!());
    let error = error.unwrap_err().to_string();
    assert!(error.contains(&words), "{error}");
}

#[test]
fn files_of_different_widths_are_compared_in_the_narrower_one() {
    let folder = tempfile::tempdir().unwrap();
    let tenths = |i: i32| f64::from(i * 37 % 20) / 10.0;
    let single = Float32Array::from_iter_values((0..500).map(|i| tenths(i) as f32));
    let double = Float64Array::from_iter_values((0..500).map(|i| match i {
        0 => 1e300,
        _ => tenths(i),
    }));
    let files = [
        write_as(&folder, "single.parquet", vec![("x", Arc::new(single))]),
        write_as(&folder, "double.parquet", vec![("x", Arc::new(double))]),
    ];
    for files in [files.clone(), [files[1].clone(), files[0].clone()]] {
        let profile = reference::build(&files, &LoadOptions::default()).unwrap();
        let x = &profile.feature("x").unwrap().reference;
        assert_eq!((x.values(), x.missing), (999, 1), "1e300 has no 32 bits");
        let mut counts = vec![0; x.counts.len()];
        for number in (0..500).chain(1..500).map(tenths) {
            match x.binning.cell(Value::Number(number)) {
                Cell::Bucket(bucket) => counts[bucket as usize] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(x.counts, counts);
    }
}

#[test]
fn what_only_some_files_have_is_said_in_any_order_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = |n: i64| Arc::new(Int64Array::from_iter_values((0..60).map(|i| i * n)));
    let floats = Arc::new(Float64Array::from_iter_values((60..120).map(f64::from)));
    let files = [
        write_as(
            &folder,
            "a.parquet",
            vec![("x", numbers(1)), ("user_id", numbers(3))],
        ),
        write_as(
            &folder,
            "b.parquet",
            vec![("x", numbers(2)), ("user_id", floats), ("more", numbers(1))],
        ),
    ];
    for files in [files.clone(), [files[1].clone(), files[0].clone()]] {
        let profile = reference::build(&files, &LoadOptions::default()).unwrap();
        assert!(reason(&profile, "more").contains("a.parquet does not have it"));
        let names: Vec<&str> = profile
            .features
            .iter()
            .map(|f| &*f.reference.name)
            .collect();
        assert_eq!(names, ["x"]);
        assert!(reason(&profile, "user_id").contains("an identifier by its name"));
    }
}

#[test]
fn a_column_of_times_and_one_other_text_is_judged_the_same_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let start: jiff::civil::Date = "2024-01-01".parse().unwrap();
    let mut days: Vec<String> = (0..1500)
        .map(|i| {
            format!(
                "{}T00:00:00",
                start.saturating_add(jiff::Span::new().days(i))
            )
        })
        .collect();
    days.push("unknown".to_owned());
    let texts = StringArray::from_iter_values((0..3).flat_map(|_| &days));
    let path = write(&folder, vec![("at", Arc::new(texts))]);
    for _ in 0..10 {
        assert_eq!(load(&path).features.len(), 1);
    }
}

#[test]
fn a_dictionary_that_the_decoder_does_not_read_is_a_problem_of_its_column_alone() {
    let folder = tempfile::tempdir().unwrap();
    let of = |values: ArrayRef| -> ArrayRef {
        let keys = Int32Array::from_iter_values((0..60).map(|i| i % 2));
        Arc::new(DictionaryArray::new(keys, values))
    };
    let decimals = |precision| {
        let decimals = Decimal128Array::from(vec![125, 250]);
        Arc::new(decimals.with_precision_and_scale(precision, 2).unwrap())
    };
    let path = write(
        &folder,
        vec![
            ("flag", of(Arc::new(BooleanArray::from(vec![true, false])))),
            ("large", of(decimals(30))),
            ("price", of(decimals(9))),
            ("ratio", of(Arc::new(Float32Array::from(vec![0.5, 1.5])))),
        ],
    );
    let profile = load(&path);
    let names: Vec<&str> = profile
        .features
        .iter()
        .map(|f| &*f.reference.name)
        .collect();
    assert_eq!(names, ["price", "ratio"]);
    assert!(reason(&profile, "flag").contains("its type is dictionary of bool"));
    assert!(reason(&profile, "large").contains("its type is dictionary of decimal128(30, 2)"));
}

#[test]
fn a_page_that_differs_from_its_checksum_is_damage() {
    let folder = tempfile::tempdir().unwrap();
    let whole = Path::new("tests/it/reference/checksums.parquet");
    assert_eq!(load(whole).features.len(), 2);
    let mut bytes = fs::read(whole).unwrap();
    bytes[END_OF_PAGE] ^= 0x40;
    let path = folder.path().join("r.parquet");
    fs::write(&path, bytes).unwrap();
    let words = refusal(&path);
    assert!(
        words.contains(r#"column "x""#) && words.contains("CRC"),
        "{words}"
    );
}

#[test]
fn a_compression_that_is_not_read_is_named_with_its_column() {
    let words = refusal(Path::new("tests/it/reference/brotli.parquet"));
    assert!(
        words.contains(r#"column "x" is compressed with brotli; zstd"#),
        "{words}"
    );
}

#[test]
fn a_pipe_is_refused_without_waiting_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    assert!(refusal(&pipe).contains("save it to a file"));
}

#[test]
fn zeros_of_both_signs_are_one_value() {
    let folder = tempfile::tempdir().unwrap();
    let zeros =
        Float64Array::from_iter_values((0..60).map(|i| if i % 2 == 0 { 0.0 } else { -0.0 }));
    let profile = load(&write(&folder, vec![("x", Arc::new(zeros))]));
    let x = profile.feature("x").unwrap();
    assert_eq!(x.reference.counts, [0, 60, 0]);
    assert!(x.notes[0].starts_with("every value is 0;"), "{:?}", x.notes);
}
