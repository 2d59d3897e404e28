//! The same rows as Parquet, NDJSON and CSV give the same cells.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int32Array, Int64Array, LargeStringArray, RecordBatch, StringArray,
    StringViewArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int8Type, Int32Type};
use flate2::Compression;
use flate2::write::GzEncoder;
use rstest::rstest;
use tempfile::TempDir;

use super::*;
use crate::config::{Filter, FilterTest, Scalar, TimestampField};
use crate::drift::{Binning, Cell, Closed, Found};
use crate::event::{FeatureField, InvalidRecord};

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    fn gzipped(&self, name: &str, content: &[u8]) -> PathBuf {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        self.file(name, &encoder.finish().unwrap())
    }

    fn parquet(&self, name: &str, columns: Vec<(&str, ArrayRef)>) -> PathBuf {
        let batch = RecordBatch::try_from_iter_with_nullable(
            columns.into_iter().map(|(name, array)| (name, array, true)),
        )
        .unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        self.file(name, &bytes)
    }
}

fn numeric() -> Binning {
    Binning::Numeric {
        edges: vec![0.0, 10.0],
        closed: Closed::Right,
        float32: false,
    }
}

fn categorical(categories: &[&str]) -> Binning {
    Binning::Categorical {
        categories: categories.iter().map(|&c| c.to_owned()).collect(),
        pooled: Vec::new(),
    }
}

fn dotted(path: &str) -> Vec<String> {
    path.split('.').map(str::to_owned).collect()
}

fn schema(features: &[(&str, Binning)], timestamp: Option<&str>) -> EventSchema {
    EventSchema {
        features: features
            .iter()
            .map(|(path, binning)| FeatureField {
                path: dotted(path),
                binning: binning.clone(),
            })
            .collect(),
        timestamp: timestamp.map(|path| TimestampField {
            path: dotted(path),
            unit: None,
            timezone: None,
        }),
        filters: Vec::new(),
    }
}

type Row = Result<(Vec<Cell>, Option<i64>), Rejected>;

fn rows(path: &Path, schema: &EventSchema) -> Vec<Row> {
    let mut rows = Vec::new();
    let read = RowFile::open(path).unwrap().read(schema, |_, row| {
        rows.push(row.map(|row| (row.cells.to_vec(), row.event_ms)));
    });
    assert_eq!(read.unwrap(), rows.len() as u64);
    rows
}

fn payloads(path: &Path) -> String {
    let mut text = String::new();
    let file = RowFile::open(path).unwrap();
    file.payloads(|_, payload| {
        text.push_str(std::str::from_utf8(payload).unwrap());
        text.push('\n');
        ControlFlow::Continue(())
    })
    .unwrap();
    text
}

fn table() -> Vec<(&'static str, ArrayRef)> {
    vec![
        (
            "x",
            Arc::new(Float64Array::from(vec![Some(0.5), None, Some(11.0)])) as ArrayRef,
        ),
        (
            "n",
            Arc::new(Int64Array::from(vec![Some(-3), Some(10), None])),
        ),
        (
            "c",
            Arc::new(StringArray::from(vec![Some("a"), None, Some("zz")])),
        ),
        (
            "b",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        ),
        (
            "ts",
            Arc::new(Int64Array::from(vec![
                1_700_000_000,
                1_700_000_001,
                1_700_000_002,
            ])),
        ),
    ]
}

const LINES: &str = r#"{"x":0.5,"n":-3,"c":"a","b":true,"ts":1700000000}
{"x":null,"n":10,"c":null,"b":false,"ts":1700000001}
{"x":11.0,"n":null,"c":"zz","b":null,"ts":1700000002}
"#;

fn table_schema() -> EventSchema {
    let features = [
        ("x", numeric()),
        ("n", numeric()),
        ("n", categorical(&["-3"])),
        ("c", categorical(&["a"])),
        ("c", numeric()),
        ("b", categorical(&["true"])),
        ("absent", numeric()),
    ];
    schema(&features, Some("ts"))
}

#[test]
fn parquet_ndjson_and_csv_give_equal_cells() {
    let folder = Folder::new();
    let schema = table_schema();
    let expected = rows(&folder.file("in.ndjson", LINES.as_bytes()), &schema);
    assert_eq!(expected[0].as_ref().unwrap().1, Some(1_700_000_000_000));
    assert_eq!(expected[2].as_ref().unwrap().0[3], Cell::Unseen);
    assert_eq!(
        rows(&folder.gzipped("in.ndjson.gz", LINES.as_bytes()), &schema),
        expected
    );
    assert_eq!(
        rows(&folder.gzipped("no-ending", LINES.as_bytes()), &schema),
        expected
    );
    assert_eq!(
        rows(&folder.parquet("in.parquet", table()), &schema),
        expected
    );
    let csv = "x,n,c,b,ts\n0.5,-3,a,true,1700000000\n,10,,False,1700000001\n11,,zz,,1700000002\n";
    assert_eq!(
        rows(&folder.file("in.csv", csv.as_bytes()), &schema),
        expected
    );
    let tsv = csv.replace(',', "\t");
    assert_eq!(
        rows(&folder.file("in.tsv", tsv.as_bytes()), &schema),
        expected
    );
}

#[test]
fn a_table_is_produced_as_the_json_it_stands_for() {
    let folder = Folder::new();
    assert_eq!(payloads(&folder.file("in.ndjson", LINES.as_bytes())), LINES);
    assert_eq!(payloads(&folder.parquet("in.parquet", table())), LINES);
    let csv = "a,b,c\n1,x y,\n2.5,\"q\"\"\",NaN\n";
    let json = "{\"a\":1,\"b\":\"x y\",\"c\":null}\n{\"a\":2.5,\"b\":\"q\\\"\",\"c\":null}\n";
    assert_eq!(payloads(&folder.file("in.csv", csv.as_bytes())), json);
}

fn dictionary() -> ArrayRef {
    let array: DictionaryArray<Int32Type> = vec!["a"].into_iter().collect();
    Arc::new(array)
}

fn decimal(unscaled: i128, scale: i8) -> ArrayRef {
    let array = Decimal128Array::from(vec![unscaled]);
    Arc::new(array.with_precision_and_scale(20, scale).unwrap())
}

#[rstest]
#[case(Arc::new(Int8Array::from(vec![5])) as ArrayRef, Cell::Bucket(1), Cell::Bucket(0))]
#[case(Arc::new(UInt64Array::from(vec![u64::MAX])), Cell::Bucket(2), Cell::Unseen)]
#[case(Arc::new(Float32Array::from(vec![5.0])), Cell::Bucket(1), Cell::Invalid(Found::Number))]
#[case(Arc::new(Float64Array::from(vec![f64::NAN])), Cell::Missing, Cell::Missing)]
#[case(Arc::new(Float64Array::from(vec![f64::INFINITY])), Cell::Missing, Cell::Missing)]
#[case(Arc::new(LargeStringArray::from(vec!["a"])), Cell::Invalid(Found::String), Cell::Bucket(1))]
#[case(Arc::new(StringViewArray::from(vec!["a"])), Cell::Invalid(Found::String), Cell::Bucket(1))]
#[case(dictionary(), Cell::Invalid(Found::String), Cell::Bucket(1))]
#[case(Arc::new(BooleanArray::from(vec![true])), Cell::Invalid(Found::Boolean), Cell::Bucket(2))]
#[case(decimal(5, 0), Cell::Bucket(1), Cell::Bucket(0))]
#[case(decimal(1050, 2), Cell::Bucket(2), Cell::Invalid(Found::Number))]
#[case(Arc::new(Date32Array::from(vec![1])), Cell::Invalid(Found::String), Cell::Unseen)]
fn columns_of_every_type_are_read(
    #[case] array: ArrayRef,
    #[case] as_number: Cell,
    #[case] as_category: Cell,
) {
    let folder = Folder::new();
    let path = folder.parquet("in.parquet", vec![("v", array)]);
    let schema = schema(
        &[("v", numeric()), ("v", categorical(&["5", "a", "true"]))],
        None,
    );
    assert_eq!(
        rows(&path, &schema),
        [Ok((vec![as_number, as_category], None))]
    );
}

#[rstest]
#[case(Arc::new(TimestampSecondArray::from(vec![1_700_000_000])) as ArrayRef)]
#[case(Arc::new(TimestampMillisecondArray::from(vec![1_700_000_000_000]).with_timezone("UTC")))]
#[case(Arc::new(TimestampMicrosecondArray::from(vec![1_700_000_000_000_999])))]
#[case(Arc::new(TimestampNanosecondArray::from(vec![1_700_000_000_000_999_999])))]
#[case(Arc::new(Int32Array::from(vec![1_700_000_000])))]
#[case(Arc::new(Float64Array::from(vec![1.7e9])))]
#[case(Arc::new(StringArray::from(vec!["2023-11-14T22:13:20Z"])))]
fn event_time_comes_from_columns_of_many_types(#[case] array: ArrayRef) {
    let folder = Folder::new();
    let path = folder.parquet("in.parquet", vec![("ts", array)]);
    let rows = rows(&path, &schema(&[], Some("ts")));
    assert_eq!(rows, [Ok((vec![], Some(1_700_000_000_000)))]);
}

#[test]
fn a_date_is_its_first_instant_and_a_null_time_is_missing() {
    let folder = Folder::new();
    let dates = Arc::new(Date32Array::from(vec![Some(19_675), None, Some(1)]));
    let path = folder.parquet("in.parquet", vec![("day", dates)]);
    let invalid = |reason| {
        Err(Rejected::Invalid {
            reason,
            position: None,
        })
    };
    let expected = [
        Ok((vec![], Some(19_675 * 86_400_000))),
        invalid(InvalidRecord::TimestampMissing),
        invalid(InvalidRecord::TimestampRange),
    ];
    assert_eq!(rows(&path, &schema(&[], Some("day"))), expected);
}

#[test]
fn a_path_leads_through_structs_and_to_names_with_dots() {
    let folder = Folder::new();
    let inner: ArrayRef = Arc::new(Int32Array::from(vec![Some(5), None]));
    let field = Arc::new(Field::new("price", DataType::Int32, true));
    let structs = StructArray::from(vec![(field, inner)]);
    let names = cast(
        &(Arc::new(StringArray::from(vec!["a", "b"])) as ArrayRef),
        &DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8)),
    );
    let names = names.unwrap();
    assert_eq!(names.as_dictionary::<Int8Type>().len(), 2);
    let path = folder.parquet(
        "in.parquet",
        vec![
            ("item", Arc::new(structs) as ArrayRef),
            ("a.b", Arc::new(Int32Array::from(vec![50, 50]))),
            ("name", names),
        ],
    );
    let features = [
        ("item.price", numeric()),
        ("item", numeric()),
        ("a.b", numeric()),
        ("name.x", numeric()),
    ];
    let object = Cell::Invalid(Found::Object);
    let string = Cell::Invalid(Found::String);
    let cells = |first| vec![first, object, Cell::Bucket(2), string];
    let expected = [
        Ok((cells(Cell::Bucket(1)), None)),
        Ok((cells(Cell::Missing), None)),
    ];
    assert_eq!(rows(&path, &schema(&features, None)), expected);
    let json = "{\"item\":{\"price\":5},\"a.b\":50,\"name\":\"a\"}\n\
                {\"item\":{\"price\":null},\"a.b\":50,\"name\":\"b\"}\n";
    assert_eq!(payloads(&path), json);
}

#[test]
fn filters_come_before_the_timestamp_in_every_format() {
    let folder = Folder::new();
    let mut schema = schema(&[], Some("ts"));
    schema.filters.push(Filter {
        path: dotted("kind"),
        test: FilterTest::In(vec![Scalar::Text("1".into()), Scalar::Boolean(true)]),
    });
    let csv = "kind,ts\n1,1700000000\nTrue,1700000000\n2,never\n,1700000000\n1,never\n";
    let got = rows(&folder.file("in.csv", csv.as_bytes()), &schema);
    assert!(got[0].is_ok() && got[1].is_ok());
    assert_eq!(
        got[2..4],
        [Err(Rejected::Filtered), Err(Rejected::Filtered)]
    );
    assert!(matches!(got[4], Err(Rejected::Invalid { .. })));
}

#[test]
fn lines_are_numbered_as_an_editor_does() {
    let folder = Folder::new();
    let path = folder.file("in.jsonl", b"\xef\xbb\xbf{}\r\n\n  \n{\n{}");
    let mut seen = Vec::new();
    let file = RowFile::open(&path).unwrap();
    assert_eq!((file.format(), file.row_word()), (Format::Ndjson, "line"));
    file.read(&schema(&[], None), |line, row| {
        seen.push((line, row.is_ok()));
    })
    .unwrap();
    assert_eq!(seen, [(1, true), (4, false), (5, true)]);
}

#[rstest]
#[case("a.bin", b"\x00\x01", "cannot tell what")]
#[case("a.json", b"\n [1]", "one object per line")]
#[case("a.parquet", b"{}", "PAR1")]
#[case("a.ndjson.gz", b"\x1f\x8bnot gzip at all", "")]
#[case("a.csv", b"1,2\n3,4\n", "no header row")]
#[case("a.csv", b"", "no header row")]
#[case("a.csv", b"a,b\n1,2,3\n", "line 2: found 3 fields, expected 2")]
#[case("a.csv", b"a,b\n1,\xff\n", "line 2 is not UTF-8")]
#[case("a.parquet", b"PAR1 cut short", "damaged")]
fn files_that_make_no_sense_are_refused_by_name(
    #[case] name: &str,
    #[case] content: &[u8],
    #[case] words: &str,
) {
    let folder = Folder::new();
    let path = folder.file(name, content);
    let schema = schema(&[], None);
    let read = RowFile::open(&path).and_then(|file| file.read(&schema, |_, _| {}));
    let text = read.unwrap_err().to_string();
    assert!(text.contains(words) && text.contains(name), "{text}");
}

#[test]
fn a_folder_or_a_missing_file_is_refused() {
    let folder = Folder::new();
    let open = |path: &Path| RowFile::open(path).err().unwrap().to_string();
    assert!(open(folder.0.path()).contains("folder"));
    assert!(open(&folder.0.path().join("none")).contains("none"));
}
