//! Each fact of the module head, and a naive walk over `serde_json::Value` that must agree.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value as Tree, json};

use super::*;
use crate::config::{Filter, FilterTest, Scalar, TimestampField};
use crate::drift::{Binning, Cell, Closed, Found};
use crate::event::FeatureField;

fn path(dotted: &str) -> Vec<String> {
    dotted.split('.').map(str::to_owned).collect()
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

fn schema(features: &[(&str, Binning)]) -> EventSchema {
    EventSchema {
        features: features
            .iter()
            .map(|(at, binning)| FeatureField {
                path: path(at),
                binning: binning.clone(),
            })
            .collect(),
        timestamp: None,
        filters: Vec::new(),
    }
}

fn timed(mut schema: EventSchema, at: &str) -> EventSchema {
    schema.timestamp = Some(TimestampField {
        path: path(at),
        unit: None,
        timezone: None,
    });
    schema
}

fn filtered(mut schema: EventSchema, at: &str, test: FilterTest) -> EventSchema {
    schema.filters.push(Filter {
        path: path(at),
        test,
    });
    schema
}

fn cells(schema: &EventSchema, payload: &str) -> Vec<Cell> {
    let mut reference = Extractor::with(schema, Decoder::Reference);
    let mut extractor = Extractor::new(schema);
    let extracted = extractor.extract(payload.as_bytes());
    assert_eq!(extracted, reference.extract(payload.as_bytes()));
    extracted.expect("the record is valid").cells.to_vec()
}

fn reason(schema: &EventSchema, payload: impl AsRef<[u8]>) -> InvalidRecord {
    let mut reference = Extractor::with(schema, Decoder::Reference);
    let mut extractor = Extractor::new(schema);
    let extracted = extractor.extract(payload.as_ref());
    assert_eq!(extracted, reference.extract(payload.as_ref()));
    match extracted {
        Err(Rejected::Invalid { reason, .. }) => reason,
        other => panic!("expected an invalid record, got {other:?}"),
    }
}

#[rstest]
#[case("5", Cell::Bucket(1))]
#[case("-3", Cell::Bucket(0))]
#[case("10.5", Cell::Bucket(2))]
#[case("1e-400", Cell::Bucket(0))]
#[case("18446744073709551615", Cell::Bucket(2))]
#[case("184467440737095516150", Cell::Bucket(2))]
#[case("null", Cell::Missing)]
#[case("NaN", Cell::Missing)]
#[case("Infinity", Cell::Missing)]
#[case("-Infinity", Cell::Missing)]
#[case("1e999", Cell::Missing)]
#[case("-1e999", Cell::Missing)]
#[case("true", Cell::Invalid(Found::Boolean))]
#[case("\"3.5\"", Cell::Invalid(Found::String))]
#[case("\"nil\"", Cell::Invalid(Found::String))]
#[case("\"\"", Cell::Invalid(Found::String))]
#[case("[1]", Cell::Invalid(Found::Array))]
#[case("{\"x\":1}", Cell::Invalid(Found::Object))]
fn a_numeric_feature_takes_numbers_only(#[case] value: &str, #[case] cell: Cell) {
    let schema = schema(&[("x", numeric())]);
    assert_eq!(cells(&schema, &format!("{{\"x\":{value}}}")), [cell]);
}

#[rstest]
#[case("\"a\"", Cell::Bucket(2))]
#[case("\"\\u0061\"", Cell::Bucket(2))]
#[case("true", Cell::Bucket(3))]
#[case("-7", Cell::Bucket(0))]
#[case("18446744073709551615", Cell::Bucket(1))]
#[case("\"-7\"", Cell::Bucket(0))]
#[case("false", Cell::Unseen)]
#[case("\"\"", Cell::Unseen)]
#[case("null", Cell::Missing)]
#[case("NaN", Cell::Missing)]
#[case("7.0", Cell::Invalid(Found::Number))]
#[case("1e2", Cell::Invalid(Found::Number))]
#[case("184467440737095516150", Cell::Invalid(Found::Number))]
#[case("[\"a\"]", Cell::Invalid(Found::Array))]
#[case("{}", Cell::Invalid(Found::Object))]
fn a_categorical_feature_takes_text_booleans_and_integers(#[case] value: &str, #[case] cell: Cell) {
    let schema = schema(&[(
        "x",
        categorical(&["-7", "18446744073709551615", "a", "true"]),
    )]);
    assert_eq!(cells(&schema, &format!("{{\"x\":{value}}}")), [cell]);
}

#[rstest]
#[case(r#"{"p":{"items":[{"price":5},{"price":50}]}}"#, Cell::Bucket(2))]
#[case(r#"{"p":{"items":{"1":{"price":5}}}}"#, Cell::Bucket(1))]
#[case(r#"{"p":{"items":[{"price":5}]}}"#, Cell::Missing)]
#[case(r#"{"p":{"items":[{"price":5},null]}}"#, Cell::Missing)]
#[case(r#"{"p":null}"#, Cell::Missing)]
#[case("{}", Cell::Missing)]
#[case(r#"{"p":7}"#, Cell::Invalid(Found::Number))]
#[case(r#"{"p":{"items":"none"}}"#, Cell::Invalid(Found::String))]
#[case(r#"{"p":{"items":[1,true]}}"#, Cell::Invalid(Found::Boolean))]
#[case(r#"{"p":[{"items":1}]}"#, Cell::Invalid(Found::Array))]
fn a_path_leads_through_objects_and_lists(#[case] payload: &str, #[case] cell: Cell) {
    let schema = schema(&[("p.items.1.price", numeric())]);
    assert_eq!(cells(&schema, payload), [cell]);
}

#[test]
fn a_key_that_holds_dots_is_one_element() {
    let mut schema = schema(&[("x", numeric()), ("a.b", numeric())]);
    schema.features[0].path = vec!["a.b".into()];
    let payload = r#"{"a.b":5,"a":{"b":50}}"#;
    assert_eq!(cells(&schema, payload), [Cell::Bucket(1), Cell::Bucket(2)]);
}

#[test]
fn one_field_may_serve_a_feature_the_timestamp_and_a_filter() {
    let schema = schema(&[("t", numeric()), ("t", categorical(&["1700000000"]))]);
    let schema = filtered(timed(schema, "t"), "t", FilterTest::Exists(true));
    let mut extractor = Extractor::new(&schema);
    let extracted = extractor.extract(br#"{"t":1700000000}"#).unwrap();
    assert_eq!(extracted.event_ms, Some(1_700_000_000_000));
    assert_eq!(extracted.cells, [Cell::Bucket(2), Cell::Bucket(0)]);
}

#[test]
fn a_field_and_one_below_it_may_both_be_asked_for() {
    let schema = schema(&[("a", numeric()), ("a.b", numeric())]);
    let object = Cell::Invalid(Found::Object);
    assert_eq!(
        cells(&schema, r#"{"a":{"b":5}}"#),
        [object, Cell::Bucket(1)]
    );
    let number = Cell::Invalid(Found::Number);
    assert_eq!(cells(&schema, r#"{"a":5}"#), [Cell::Bucket(1), number]);
}

#[rstest]
#[case(r#"{"a":{"b":5},"a":{"b":50}}"#, Cell::Bucket(2))]
#[case(r#"{"a":{"b":5},"a":{}}"#, Cell::Missing)]
#[case(r#"{"a":{"b":5},"a":null}"#, Cell::Missing)]
#[case(r#"{"a":{"b":5},"a":[]}"#, Cell::Invalid(Found::Array))]
#[case(r#"{"a":3,"a":{"b":5}}"#, Cell::Bucket(1))]
#[case(r#"{"a":{"b":5,"b":50}}"#, Cell::Bucket(2))]
fn of_a_repeated_key_the_last_one_counts(#[case] payload: &str, #[case] cell: Cell) {
    assert_eq!(cells(&schema(&[("a.b", numeric())]), payload), [cell]);
}

#[rstest]
#[case("")]
#[case("{")]
#[case("{\"x\":}")]
#[case("{\"x\":1} x")]
#[case("{\"x\":1}{\"x\":2}")]
#[case("{\"x\":1,}")]
#[case("\u{feff}{\"x\":1}")]
#[case("{\"x\":\"\\ud800\"}")]
#[case("{\"x\":nan}")]
#[case("{\"x\":NaN} x")]
#[case("{\"x\":01}")]
#[case("{\"x\":1.e999}")]
#[case("{\"x\":+1}")]
#[case("{NaN:1}")]
#[case("{'x':1}")]
#[case("{\"x\":\"a\nb\"}")]
fn broken_json_is_invalid_whatever_the_filters_say(#[case] payload: &str) {
    let schema = schema(&[("x", numeric())]);
    assert_eq!(reason(&schema, payload), InvalidRecord::Json);
    let schema = filtered(schema, "never", FilterTest::Exists(true));
    assert_eq!(reason(&schema, payload), InvalidRecord::Json);
}

#[rstest]
#[case("1")]
#[case("null")]
#[case("NaN")]
#[case("\"x\"")]
#[case("[{\"x\":1}]")]
fn a_record_must_be_an_object(#[case] payload: &str) {
    let schema = timed(schema(&[("x", numeric())]), "t");
    assert_eq!(reason(&schema, payload), InvalidRecord::NotAnObject);
}

#[test]
fn bytes_that_are_no_utf8_are_invalid_even_where_nothing_is_asked_for() {
    let schema = schema(&[("x", numeric())]);
    let mut payload = br#"{"x":1,"y":"#.to_vec();
    payload.extend(b"\"\xff\"}");
    let rejected = Extractor::new(&schema).extract(&payload).unwrap_err();
    assert_eq!(rejected.to_string(), "not UTF-8 at line 1 column 13");
    assert_eq!(reason(&schema, &payload), InvalidRecord::Utf8);
}

#[test]
fn the_text_of_a_rejection_names_the_place_and_no_value() {
    let schema = schema(&[("x", numeric())]);
    let payload = b"{\"x\":1,\n \"secret\":hunter2}";
    let rejected = Extractor::new(&schema).extract(payload).unwrap_err();
    assert_eq!(rejected.to_string(), "not JSON at line 2 column 11");
}

#[rstest]
#[case("[", "skipped")]
#[case("{\"a\":", "skipped")]
#[case("[", "x")]
#[case("{\"a\":", "x")]
#[case("[", "deep")]
#[case("{\"0\":", "deep")]
fn deep_nesting_does_not_overflow_the_stack(#[case] open: &str, #[case] key: &str) {
    let deep = vec!["0"; 200].join(".");
    let schema = schema(&[("x", numeric()), (&format!("deep.{deep}"), numeric())]);
    for close in ["", "]"] {
        let payload = format!(
            "{{\"{key}\":{}1{}",
            open.repeat(200_000),
            close.repeat(200_000)
        );
        assert_eq!(reason(&schema, payload), InvalidRecord::Json);
    }
}

#[test]
fn a_deep_value_that_nobody_asked_for_harms_nothing() {
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let schema = schema(&[("x", numeric())]);
    let payload = format!("{{\"y\":{nested},\"x\":5}}");
    assert_eq!(cells(&schema, &payload), [Cell::Bucket(1)]);
    let payload = format!("{{\"x\":{nested}}}");
    assert_eq!(cells(&schema, &payload), [Cell::Invalid(Found::Array)]);
}

#[test]
fn a_second_reading_forgets_the_first() {
    let schema = schema(&[("x", numeric()), ("y", numeric())]);
    let payload = r#"{"x":5,"x":NaN,"y":5}"#;
    assert_eq!(cells(&schema, payload), [Cell::Missing, Cell::Bucket(1)]);
}

#[rstest]
#[case(r#"{}"#, InvalidRecord::TimestampMissing)]
#[case(r#"{"t":null}"#, InvalidRecord::TimestampMissing)]
#[case(r#"{"t":NaN}"#, InvalidRecord::TimestampMissing)]
#[case(r#"{"t":true}"#, InvalidRecord::TimestampFormat)]
#[case(r#"{"t":[1]}"#, InvalidRecord::TimestampFormat)]
#[case(r#"{"t":"1700000000"}"#, InvalidRecord::TimestampFormat)]
#[case(r#"{"t":"2023-11-14T22:13:20"}"#, InvalidRecord::TimestampOffset)]
#[case(r#"{"t":-1}"#, InvalidRecord::TimestampRange)]
#[case(r#"{"t":1e300}"#, InvalidRecord::TimestampRange)]
fn a_record_without_a_valid_time_is_invalid(
    #[case] payload: &str,
    #[case] expected: InvalidRecord,
) {
    let schema = timed(schema(&[]), "t");
    assert_eq!(reason(&schema, payload), expected);
    let schema = filtered(schema, "type", FilterTest::Exists(true));
    let mut extractor = Extractor::new(&schema);
    let rejected = extractor.extract(payload.as_bytes());
    assert_eq!(rejected, Err(Rejected::Filtered));
}

#[rstest]
#[case(r#"{"k":"a"}"#, true)]
#[case(r#"{"k":"b"}"#, false)]
#[case(r#"{"k":1}"#, true)]
#[case(r#"{"k":1.0}"#, true)]
#[case(r#"{"k":2}"#, false)]
#[case(r#"{"k":"1"}"#, false)]
#[case(r#"{"k":false}"#, true)]
#[case(r#"{"k":true}"#, false)]
#[case(r#"{"k":null}"#, false)]
#[case(r#"{"k":["a"]}"#, false)]
#[case(r#"{}"#, false)]
fn equals_and_in_compare_scalars_of_the_same_type(#[case] payload: &str, #[case] passes: bool) {
    let one_of = FilterTest::In(vec![
        Scalar::Text("a".into()),
        Scalar::Number(1.0),
        Scalar::Boolean(false),
    ]);
    let schema = filtered(schema(&[]), "k", one_of);
    let got = Extractor::new(&schema).extract(payload.as_bytes()).is_ok();
    assert_eq!(got, passes);
}

#[rstest]
#[case(r#"{"a":{"b":0}}"#, true)]
#[case(r#"{"a":{"b":{}}}"#, true)]
#[case(r#"{"a":{"b":null}}"#, false)]
#[case(r#"{"a":{}}"#, false)]
#[case(r#"{"a":1}"#, false)]
#[case(r#"{}"#, false)]
fn exists_means_there_and_not_null(#[case] payload: &str, #[case] there: bool) {
    for wanted in [true, false] {
        let schema = filtered(schema(&[]), "a.b", FilterTest::Exists(wanted));
        let got = Extractor::new(&schema).extract(payload.as_bytes()).is_ok();
        assert_eq!(got, there == wanted);
    }
}

#[test]
fn nothing_of_one_event_reaches_the_next() {
    let schema = filtered(
        timed(schema(&[("x", numeric())]), "t"),
        "k",
        FilterTest::Exists(false),
    );
    let mut extractor = Extractor::new(&schema);
    assert!(extractor.extract(br#"{"x":5,"t":1700000000}"#).is_ok());
    assert!(extractor.extract(br#"{"k":1}"#).is_err());
    let extracted = extractor.extract(br#"{"t":1700000001}"#).unwrap();
    assert_eq!(extracted.cells, [Cell::Missing]);
    assert!(extractor.extract(br#"{"x":5}"#).is_err());
}

/// What the extractor should give, by a plain walk over the whole parsed event.
fn naive(binning: &Binning, path: &[String], tree: &Tree) -> Cell {
    let Some((name, rest)) = path.split_first() else {
        return match tree {
            Tree::Null => cell_of(binning, super::super::Json::Null),
            Tree::Bool(b) => cell_of(binning, super::super::Json::Boolean(*b)),
            Tree::String(s) => cell_of(binning, super::super::Json::Text(s)),
            Tree::Array(_) => Cell::Invalid(Found::Array),
            Tree::Object(_) => Cell::Invalid(Found::Object),
            Tree::Number(n) => match (binning, n.is_f64()) {
                (Binning::Categorical { .. }, true) => Cell::Invalid(Found::Number),
                (Binning::Categorical { .. }, false) => {
                    binning.cell(crate::drift::Value::Text(&n.to_string()))
                }
                _ => binning.cell(crate::drift::Value::Number(n.as_f64().unwrap())),
            },
        };
    };
    match tree {
        Tree::Null => Cell::Missing,
        Tree::Bool(_) => Cell::Invalid(Found::Boolean),
        Tree::Number(_) => Cell::Invalid(Found::Number),
        Tree::String(_) => Cell::Invalid(Found::String),
        Tree::Object(map) => map
            .get(name)
            .map_or(Cell::Missing, |t| naive(binning, rest, t)),
        Tree::Array(list) => match name.as_str() {
            "0" | "1" | "2" => list
                .get(name.parse::<usize>().unwrap())
                .map_or(Cell::Missing, |t| naive(binning, rest, t)),
            _ => Cell::Invalid(Found::Array),
        },
    }
}

fn cell_of(binning: &Binning, json: super::super::Json<'_>) -> Cell {
    super::super::cell(binning, json)
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        (-20i64..20).prop_map(|i| json!(i)),
        any::<u64>().prop_map(|i| json!(i)),
        any::<f64>().prop_map(|x| json!(x)),
        "[a-cé\"\\\\\u{1F600}]{0,2}".prop_map(Tree::String),
    ];
    leaf.prop_recursive(4, 40, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::Array),
            prop::collection::vec((names(), inner), 0..4)
                .prop_map(|entries| Tree::Object(entries.into_iter().collect())),
        ]
    })
}

fn names() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "0", "1", "a.b", "é"]).prop_map(str::to_owned)
}

fn paths() -> impl Strategy<Value = Vec<Vec<String>>> {
    prop::collection::vec(prop::collection::vec(names(), 1..4), 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Over several events by one extractor, so that predicted keys are right and wrong.
    #[test]
    fn the_extractor_equals_a_walk_over_the_parsed_event(
        paths in paths(),
        events in prop::collection::vec(trees(), 1..5),
    ) {
        let features: Vec<FeatureField> = paths.into_iter().enumerate().map(|(i, path)| {
            let binning = if i % 2 == 0 { numeric() } else { categorical(&["-1", "a", "true"]) };
            FeatureField { path, binning }
        }).collect();
        let schema = EventSchema { features, timestamp: None, filters: Vec::new() };
        let mut extractor = Extractor::new(&schema);
        let mut reference = Extractor::with(&schema, Decoder::Reference);
        for event in events {
            let text = event.to_string();
            prop_assert_eq!(extractor.extract(text.as_bytes()), reference.extract(text.as_bytes()));
            match extractor.extract(text.as_bytes()) {
                Ok(extracted) => {
                    prop_assert!(event.is_object());
                    let expected: Vec<Cell> = schema.features.iter()
                        .map(|f| naive(&f.binning, &f.path, &event)).collect();
                    prop_assert_eq!(extracted.cells, expected, "{}", text);
                }
                Err(rejected) => {
                    prop_assert!(!event.is_object());
                    prop_assert_eq!(rejected, invalid(InvalidRecord::NotAnObject));
                }
            }
        }
    }

    /// Repeated keys and every order of them: `Value` keeps the last as well.
    #[test]
    fn repeated_keys_agree_with_the_parsed_event(
        paths in paths(),
        entries in prop::collection::vec((names(), trees()), 0..6),
    ) {
        let members: Vec<String> = entries.iter()
            .map(|(k, v)| format!("{}:{v}", Tree::String(k.clone()))).collect();
        let text = format!("{{{}}}", members.join(","));
        let event: Tree = serde_json::from_str(&text).unwrap();
        let features: Vec<FeatureField> = paths.into_iter()
            .map(|path| FeatureField { path, binning: numeric() }).collect();
        let schema = EventSchema { features, timestamp: None, filters: Vec::new() };
        let expected: Vec<Cell> = schema.features.iter()
            .map(|f| naive(&f.binning, &f.path, &event)).collect();
        prop_assert_eq!(cells(&schema, &text), expected);
    }

    /// Any bytes give an answer, and the same one as serde_json where they hold JSON.
    #[test]
    fn any_bytes_are_judged_without_panic(payload in prop::collection::vec(any::<u8>(), 0..60)) {
        let schema = timed(schema(&[("a.0.b", numeric())]), "t");
        let _ = Extractor::new(&schema).extract(&payload);
    }
}
