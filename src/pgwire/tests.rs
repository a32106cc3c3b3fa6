//! What we print and send, next to what a PostgreSQL server prints and sends.

mod copy;
mod parameters;

use std::error::Error;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, Date32Array, Date64Array, Decimal128Array,
    Decimal256Array, DictionaryArray, DurationMillisecondArray, FixedSizeBinaryArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, IntervalDayTimeArray,
    IntervalMonthDayNanoArray, IntervalYearMonthArray, LargeStringArray, ListArray, ListBuilder,
    NullArray, RecordBatch, StringArray, StringBuilder, StringViewArray, StructArray,
    Time32SecondArray, Time64NanosecondArray, TimestampMicrosecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Field, Int32Type, IntervalDayTimeType, IntervalMonthDayNanoType, Schema, UnionFields,
    UnionMode, i256,
};
use bytes::{Buf, BytesMut};
use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, NoTls};

use super::rows::{Format, RowWriter};
use super::types::{self, pg_type};
use crate::guard::session::{FaultKind, QueryFault};

async fn server() -> Client {
    let url = std::env::var("SYNCGUARD_TEST_POSTGRES").expect(
        "this test needs a PostgreSQL: run it with scripts/test, or set SYNCGUARD_TEST_POSTGRES",
    );
    let (client, connection) = tokio_postgres::connect(&url, NoTls).await.expect("server");
    tokio::spawn(connection);
    let settings = "SET timezone = 'UTC'; SET datestyle = 'ISO, MDY'; SET intervalstyle = postgres";
    client.batch_execute(settings).await.expect("settings");
    client
}

fn batch(column: &ArrayRef) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable([("c", column.clone(), true)]).expect("batch")
}

fn written(column: &ArrayRef, format: Format) -> Result<BytesMut, QueryFault> {
    let batch = batch(column);
    let mut out = BytesMut::new();
    let writer = RowWriter::new(batch.schema_ref(), &[format])?;
    writer.write(&batch, 0..batch.num_rows(), &mut out)?;
    Ok(out)
}

/// The values of a column as they are sent.
fn sent(column: &ArrayRef, format: Format) -> Vec<Option<Vec<u8>>> {
    let mut messages = written(column, format).expect("rows");
    let mut values = Vec::new();
    while messages.has_remaining() {
        assert_eq!(messages.get_u8(), b'D');
        let length = usize::try_from(messages.get_i32()).expect("length") - 4;
        let mut message = messages.split_to(length);
        assert_eq!(message.get_i16(), 1);
        let value = usize::try_from(message.get_i32()).map(|length| message.split_to(length));
        values.push(value.ok().map(|value| value.to_vec()));
        assert!(message.is_empty());
    }
    values
}

fn texts(column: &ArrayRef) -> Vec<Option<String>> {
    sent(column, Format::Text)
        .into_iter()
        .map(|value| value.map(|value| String::from_utf8(value).expect("text")))
        .collect()
}

fn words() -> Vec<&'static str> {
    vec![
        "",
        "NULL",
        "null",
        "nil",
        "a b",
        "{",
        "}",
        ",",
        "\"",
        "\\",
        "\\N",
        "\\.",
        "a\tb\nc\rd",
        "\u{8}\u{b}\u{c}\u{1}\u{7f}",
        "é\u{a0}\u{2003}😀",
        "'",
        "|",
        "x,y;z",
        " lead",
        "trail ",
    ]
}

/// Columns of every type that is sent, with values at the ends of their ranges.
fn samples() -> Vec<ArrayRef> {
    let moments = vec![
        Some(0),
        Some(-1),
        Some(1_704_164_645_678_000),
        Some(1_704_164_645_000_001),
        Some(-62_135_596_800_000_000),
        Some(-62_135_596_800_000_001),
        Some(-210_866_803_200_000_000),
        Some(253_402_300_800_000_000),
        Some(i64::MAX),
        None,
    ];
    let nanos = vec![
        Some(-1),
        Some(999),
        Some(1_000),
        Some(i64::MIN),
        Some(i64::MAX),
        None,
    ];
    let interval = IntervalMonthDayNanoType::make_value;
    let intervals = vec![
        Some(interval(0, 0, 0)),
        Some(interval(14, 3, 14_706_000_000_000)),
        Some(interval(-14, 3, 1_000)),
        Some(interval(1, -1, -1_000)),
        Some(interval(12, 1, 0)),
        Some(interval(-1, 0, 5_500_000_000)),
        Some(interval(i32::MAX, i32::MIN, i64::MAX)),
        Some(interval(11, 0, -3_600_000_000_000)),
        None,
    ];
    let decimals = vec![
        Some(0),
        Some(5),
        Some(-5),
        Some(12_345),
        Some(-1_234_567),
        Some(100_000_000),
        Some(10_000),
        Some(99_999_999_999_999_999_999_999_999_999_999_999_999),
        None,
    ];
    let decimal = |precision, scale| -> ArrayRef {
        let array = Decimal128Array::from(decimals.clone());
        Arc::new(
            array
                .with_precision_and_scale(precision, scale)
                .expect("decimals"),
        )
    };
    let floats = vec![
        Some(0.0),
        Some(-0.0),
        Some(1.0),
        Some(-1.5),
        Some(0.1),
        Some(1e-4),
        Some(1.234e-5),
        Some(1e14),
        Some(123_456_789_012_345.0),
        Some(1e15),
        Some(1.5e300),
        Some(5e-324),
        Some(f64::MAX),
        Some(f64::MIN_POSITIVE),
        Some(f64::NAN),
        Some(f64::INFINITY),
        Some(f64::NEG_INFINITY),
        Some(9_007_199_254_740_993.0),
        None,
    ];
    let reals = vec![
        Some(0.1_f32),
        Some(123_456.0),
        Some(1_234_567.0),
        Some(33_554_448.0),
        Some(f32::MAX),
        Some(f32::MIN_POSITIVE),
        Some(1e-45),
        Some(f32::NAN),
        Some(1e-4),
        Some(9.999_999e-5),
        None,
    ];
    let mut word_lists = ListBuilder::new(StringBuilder::new());
    word_lists.append_value(words().into_iter().map(Some));
    word_lists.append_value([None, Some("x")]);
    word_lists.append_value(Vec::<Option<&str>>::new());
    word_lists.append_null();
    let numbers = vec![
        Some(vec![Some(1), None, Some(-2)]),
        None,
        Some(vec![]),
        Some(vec![Some(i32::MAX)]),
    ];
    let of_numbers = ListArray::from_iter_primitive::<Int32Type, _, _>(numbers);
    let keys = Arc::new(DictionaryArray::<Int32Type>::from_iter([
        Some("a"),
        None,
        Some("b"),
    ]));
    let moment_lists = {
        let items = Arc::new(TimestampMicrosecondArray::from(moments.clone()).with_timezone("Z"));
        let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
        let offsets = arrow::buffer::OffsetBuffer::from_lengths([3, 0, 7]);
        ListArray::new(field, offsets, items, None)
    };
    let as_list = |of: fn(Arc<Field>) -> DataType| {
        let threes = vec![Some(vec![Some(1), None, Some(3)]), None];
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(threes);
        let item = Arc::new(Field::new_list_field(DataType::Int32, true));
        cast(&lists, &of(item)).expect("lists")
    };
    let bytes = vec![Some(&[0_u8, 255, 16][..]), Some(&[]), None];
    let fixed = [Some([1_u8; 16]), None, Some([255; 16])];
    let fixed = FixedSizeBinaryArray::try_from_sparse_iter_with_size(fixed.into_iter(), 16);
    let wide = [Some(i256::MAX), Some(i256::from_i128(-10)), None];
    let wide = Decimal256Array::from(
        wide.iter()
            .map(|value| {
                value.map(|value| {
                    value
                        .checked_div(i256::from_i128(10))
                        .expect("a digit less")
                })
            })
            .collect::<Vec<_>>(),
    );
    vec![
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(Int8Array::from(vec![Some(i8::MIN), Some(7), None])),
        Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), None])),
        Arc::new(Int32Array::from(vec![Some(i32::MIN), Some(i32::MAX), None])),
        Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), None])),
        Arc::new(UInt64Array::from(vec![Some(0), Some(u64::MAX), None])),
        Arc::new(Float32Array::from(reals)),
        Arc::new(Float64Array::from(floats)),
        decimal(38, 0),
        decimal(38, 2),
        decimal(38, 4),
        decimal(38, 7),
        decimal(38, 38),
        decimal(38, -3),
        Arc::new(wide.with_precision_and_scale(76, 40).expect("decimals")),
        Arc::new(StringArray::from(words())),
        Arc::new(LargeStringArray::from(words())),
        Arc::new(StringViewArray::from(words())),
        keys,
        Arc::new(BinaryViewArray::from(bytes)),
        Arc::new(fixed.expect("bytes")),
        Arc::new(Date32Array::from(vec![
            Some(0),
            Some(-1),
            Some(11_016),
            Some(-719_162),
            Some(-719_163),
            Some(-719_528),
            Some(-2_440_588),
            Some(2_932_897),
            Some(2_145_042_905),
            None,
        ])),
        Arc::new(Date64Array::from(vec![Some(-1), Some(86_400_000), None])),
        Arc::new(Time32SecondArray::from(vec![Some(0), Some(86_399), None])),
        Arc::new(Time64NanosecondArray::from(vec![
            Some(1_500),
            Some(86_399_999_999_999),
            None,
        ])),
        Arc::new(TimestampMicrosecondArray::from(moments.clone())),
        Arc::new(TimestampMicrosecondArray::from(moments).with_timezone("+05:00")),
        Arc::new(TimestampNanosecondArray::from(nanos)),
        Arc::new(TimestampSecondArray::from(vec![
            Some(9_224_318_015_999),
            Some(0),
            None,
        ])),
        Arc::new(IntervalMonthDayNanoArray::from(intervals)),
        Arc::new(IntervalYearMonthArray::from(vec![
            Some(-13),
            Some(25),
            None,
        ])),
        Arc::new(IntervalDayTimeArray::from(vec![
            Some(IntervalDayTimeType::make_value(-1, 1_001)),
            None,
        ])),
        Arc::new(DurationMillisecondArray::from(vec![
            Some(-90_061_001),
            Some(1),
            None,
        ])),
        as_list(DataType::ListView),
        as_list(|item| DataType::FixedSizeList(item, 3)),
        Arc::new(word_lists.finish()),
        Arc::new(of_numbers),
        Arc::new(moment_lists),
    ]
}

/// A value as it came.
struct Raw(Option<Vec<u8>>);

impl FromSql<'_> for Raw {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(Some(raw.to_vec())))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Raw(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

#[tokio::test]
async fn a_server_prints_and_sends_every_value_as_we_do() {
    let client = server().await;
    for column in samples() {
        let pg = pg_type(column.data_type());
        let name = types::name(pg.oid);
        let of_server = client
            .query_one(
                "SELECT format_type(oid, -1), typlen FROM pg_type WHERE oid = $1",
                &[&pg.oid],
            )
            .await
            .expect("type");
        assert_eq!(of_server.get::<_, String>(0), name);
        assert_eq!(of_server.get::<_, i16>(1), pg.len, "length of {name}");
        // The text that a client gets, which for some types is not that of a cast.
        let sql = format!(
            "SELECT CASE WHEN $1::text IS NOT NULL THEN format('%s', $1::text::{name}) END, $1::text::{name}"
        );
        let statement = client.prepare(&sql).await.expect("statement");
        let binary = sent(&column, Format::Binary);
        for (text, bytes) in texts(&column).into_iter().zip(binary) {
            let row = client.query_one(&statement, &[&text]).await;
            let row = row.unwrap_or_else(|error| panic!("{name} {text:?}: {error}"));
            assert_eq!(row.get::<_, Option<String>>(0), text, "{name}");
            assert_eq!(row.get::<_, Raw>(1).0, bytes, "{name} {text:?}");
        }
    }
}

#[tokio::test]
async fn a_server_prints_any_float_as_we_do() {
    let client = server().await;
    // Numbers of all magnitudes from a generator that is the same every time.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut doubles: Vec<f64> = (0..5_000).map(|_| f64::from_bits(next())).collect();
    // Whole numbers beyond the mantissa are where ties are.
    doubles.extend((0..5_000).map(|_| (next() >> 5) as f64 * 16.0));
    doubles.extend((-1_074..1_024).map(|exponent| 2_f64.powi(exponent)));
    let reals: Vec<f32> = (0..5_000)
        .map(|_| f32::from_bits((next() >> 32) as u32))
        .chain((0..10_000_u32).map(|n| 33_554_432.0 + n as f32 * 4.0))
        .chain((-149..128).map(|exponent| 2_f32.powi(exponent)))
        .collect();
    let columns: [(&str, ArrayRef); 2] = [
        ("float8", Arc::new(Float64Array::from(doubles.clone()))),
        ("float4", Arc::new(Float32Array::from(reals.clone()))),
    ];
    for (name, column) in columns {
        let sql = format!(
            "SELECT v::text FROM unnest($1::{name}[]) WITH ORDINALITY AS t(v, n) ORDER BY n"
        );
        let rows = match name {
            "float8" => client.query(&sql, &[&doubles]).await,
            _ => client.query(&sql, &[&reals]).await,
        };
        let theirs: Vec<Option<String>> =
            rows.expect("floats").iter().map(|row| row.get(0)).collect();
        let ours = texts(&column);
        assert_eq!(ours.len(), theirs.len());
        let unlike: Vec<_> = ours.iter().zip(&theirs).filter(|(a, b)| a != b).collect();
        assert!(
            unlike.is_empty(),
            "{name}: {:?}",
            &unlike[..unlike.len().min(5)]
        );
    }
}

#[test]
fn texts_and_bytes_are_those_of_postgresql() {
    let column: ArrayRef = Arc::new(
        Decimal128Array::from(vec![-1_234_567])
            .with_precision_and_scale(10, 2)
            .expect("decimals"),
    );
    assert_eq!(texts(&column), [Some("-12345.67".into())]);
    let groups = [0, 3, 0, 1, 0x40, 0, 0, 2, 0, 1, 0x09, 0x29, 0x1a, 0x2c];
    assert_eq!(sent(&column, Format::Binary), [Some(groups.to_vec())]);
    let column: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-1, 1_999]));
    let shown = ["1969-12-31 23:59:59.999999", "1970-01-01 00:00:00.000001"];
    assert_eq!(texts(&column), shown.map(|text| Some(text.to_owned())));
    let column: ArrayRef = Arc::new(Date32Array::from(vec![10_958]));
    assert_eq!(sent(&column, Format::Binary), [Some(vec![0, 0, 0, 1])]);
    let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None])]);
    let fields = vec![
        ("n", Arc::new(Int32Array::from(vec![7])) as ArrayRef),
        ("t", Arc::new(StringArray::from(vec!["a\"b"]))),
        ("l", Arc::new(inner)),
    ];
    let object: ArrayRef = Arc::new(StructArray::try_from(fields).expect("struct"));
    let json = r#"{"n":7,"t":"a\"b","l":[1,null]}"#;
    for format in [Format::Text, Format::Binary] {
        assert_eq!(sent(&object, format), [Some(json.as_bytes().to_vec())]);
    }
    assert_eq!(pg_type(object.data_type()).oid, types::JSON);
    let nothing: ArrayRef = Arc::new(NullArray::new(2));
    assert_eq!(sent(&nothing, Format::Binary), [None, None]);
}

#[test]
fn values_that_postgresql_cannot_hold_end_the_rows() {
    let unknown: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from(vec!["fine", "hidden\0"])),
        Arc::new(Date32Array::from(vec![0, 2_145_042_906])),
        Arc::new(Date32Array::from(vec![0, -2_440_589])),
        Arc::new(Date64Array::from(vec![0, i64::MAX])),
        Arc::new(TimestampSecondArray::from(vec![0, i64::MIN])),
        Arc::new(TimestampSecondArray::from(vec![0, 9_224_318_016_000])),
        Arc::new(TimestampMicrosecondArray::from(vec![
            0,
            -210_866_803_200_000_001,
        ])),
        Arc::new(Time32SecondArray::from(vec![0, -1])),
        Arc::new(Time32SecondArray::from(vec![0, 86_401])),
    ];
    for column in unknown {
        for format in [Format::Text, Format::Binary] {
            let fault = written(&column, format).expect_err("not sent");
            assert_eq!(fault.kind, FaultKind::Computation, "{fault}");
            assert!(!fault.message.contains("hidden"), "{fault}");
            let batch = batch(&column);
            let writer = RowWriter::new(batch.schema_ref(), &[format]).expect("writer");
            let (mut both, mut one) = (BytesMut::new(), BytesMut::new());
            writer.write(&batch, 0..2, &mut both).expect_err("not sent");
            writer.write(&batch, 0..1, &mut one).expect("sent");
            assert_eq!(
                both, one,
                "the rows before are whole, and nothing follows them"
            );
        }
    }
    let union = UnionFields::try_new([0], [Field::new("a", DataType::Int32, true)]);
    let union = DataType::Union(union.expect("union"), UnionMode::Dense);
    let schema = Schema::new(vec![Field::new("u", union, true)]);
    let fault = RowWriter::new(&schema, &[Format::Text]).expect_err("no form");
    assert_eq!(fault.kind, FaultKind::Unsupported);
}

#[test]
fn some_rows_of_a_batch_are_those_rows() {
    for column in samples() {
        let whole = batch(&column);
        let writer = RowWriter::new(whole.schema_ref(), &[Format::Text]).expect("writer");
        let (mut at_once, mut in_turn) = (BytesMut::new(), BytesMut::new());
        writer
            .write(&whole, 0..whole.num_rows(), &mut at_once)
            .expect("rows");
        for row in 0..whole.num_rows() {
            writer
                .write(&whole, row..row + 1, &mut in_turn)
                .expect("row");
        }
        assert_eq!(at_once, in_turn);
        writer
            .write(&whole, 0..whole.num_rows() + 1, &mut at_once)
            .expect_err("too many");
    }
}
