//! Arrow and Parquet streams to test with.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    DictionaryArray, FixedSizeBinaryArray, Float64Array, Int32Array, Int64Array, LargeStringArray,
    ListArray, ListViewArray, MapBuilder, NullArray, RecordBatch, RunArray, StringArray,
    StringBuilder, StringViewArray, StructArray, TimestampMicrosecondArray, UnionArray,
};
use arrow::buffer::ScalarBuffer;
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Int64Type, UnionFields, i256};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::wire::Format;

pub(super) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let columns = columns
        .into_iter()
        .map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

pub(super) fn written(format: Format, batches: &[RecordBatch]) -> Vec<u8> {
    let mut out = Vec::new();
    let schema = batches[0].schema();
    match format {
        Format::ArrowStream => {
            let mut writer = StreamWriter::try_new(&mut out, &schema).unwrap();
            batches
                .iter()
                .for_each(|batch| writer.write(batch).unwrap());
            writer.finish().unwrap();
        }
        _ => {
            let mut writer = ArrowWriter::try_new(&mut out, schema, None).unwrap();
            batches
                .iter()
                .for_each(|batch| writer.write(batch).unwrap());
            writer.close().unwrap();
        }
    }
    out
}

pub(super) fn read_back(format: Format, bytes: Vec<u8>) -> RecordBatch {
    match format {
        Format::ArrowStream => {
            let reader = StreamReader::try_new(bytes.as_slice(), None).unwrap();
            let schema = reader.schema();
            let batches: Vec<_> = reader.map(Result::unwrap).collect();
            concat_batches(&schema, &batches).unwrap()
        }
        _ => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes));
            let reader = reader.unwrap().build().unwrap();
            let schema = arrow::array::RecordBatchReader::schema(&reader);
            let batches: Vec<_> = reader.map(Result::unwrap).collect();
            concat_batches(&schema, &batches).unwrap()
        }
    }
}

/// Three rows of every type; those that Parquet has no place for are left out for it.
pub(super) fn everything(format: Format) -> RecordBatch {
    let dictionary: DictionaryArray<Int32Type> =
        [Some("red"), None, Some("blue")].into_iter().collect();
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), None]),
        None,
        Some(vec![]),
    ]);
    let fields = Fields::from(vec![
        Field::new("x", DataType::Int64, true),
        Field::new("y", DataType::Utf8, true),
    ]);
    let inner: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])),
        Arc::new(StringArray::from(vec![Some("a"), Some("b"), None])),
    ];
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for key in ["k", "l", "m"] {
        map.keys().append_value(key);
        map.values().append_value("a value of a map");
        map.append(true).unwrap();
    }
    let wide = (0..3).map(|i| Some(i256::from_i128(1 << 100) * i256::from_i128(i)));
    let wide = wide.collect::<Decimal256Array>();
    let bytes = [&b"abcd"[..], b"efgh", b"ijkl"];
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        (
            "int",
            Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MAX)])),
        ),
        (
            "float",
            Arc::new(Float64Array::from(vec![1.5, -0.0, f64::INFINITY])),
        ),
        (
            "bool",
            Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        ),
        (
            "text",
            Arc::new(StringArray::from(vec![Some("é"), None, Some("")])),
        ),
        (
            "large",
            Arc::new(LargeStringArray::from(vec![Some("x"), None, Some("z")])),
        ),
        (
            "view",
            Arc::new(StringViewArray::from(vec![
                Some("short"),
                None,
                Some("longer than twelve bytes"),
            ])),
        ),
        (
            "bytes",
            Arc::new(BinaryViewArray::from_iter(bytes.map(Some))),
        ),
        (
            "fixed",
            Arc::new(FixedSizeBinaryArray::try_from_iter(bytes.iter()).unwrap()),
        ),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from(vec![Some(12_345), None, Some(-1)])
                    .with_precision_and_scale(20, 2)
                    .unwrap(),
            ),
        ),
        (
            "wide",
            Arc::new(wide.with_precision_and_scale(60, 5).unwrap()),
        ),
        ("date", Arc::new(Date32Array::from(vec![0, -1, 20_000]))),
        (
            "time",
            Arc::new(TimestampMicrosecondArray::from(vec![1, 2, 3]).with_timezone("Europe/Paris")),
        ),
        ("dictionary", Arc::new(dictionary)),
        ("list", Arc::new(list.clone())),
        ("struct", Arc::new(StructArray::new(fields, inner, None))),
        ("map", Arc::new(map.finish())),
    ];
    if format == Format::ArrowStream {
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        let values = Arc::new(Int64Array::from(vec![1, 2, 3, 4]));
        let (offsets, sizes) = (vec![2, 0, 1], vec![2, 1, 0]);
        let view = ListViewArray::new(item, offsets.into(), sizes.into(), values, None);
        let runs = RunArray::try_new(
            &Int32Array::from(vec![2, 3]),
            &StringArray::from(vec!["twice", "once"]),
        );
        let members: Vec<ArrayRef> = vec![
            Arc::new(Int32Array::from(vec![7])),
            Arc::new(StringArray::from(vec!["u", "v"])),
        ];
        let union = UnionArray::try_new(
            UnionFields::from_fields([
                Field::new("i", DataType::Int32, true),
                Field::new("s", DataType::Utf8, true),
            ]),
            ScalarBuffer::from(vec![1i8, 0, 1]),
            Some(ScalarBuffer::from(vec![0, 0, 1])),
            members,
        );
        columns.push(("list_view", Arc::new(view)));
        columns.push(("runs", Arc::new(runs.unwrap())));
        columns.push(("union", Arc::new(union.unwrap())));
        columns.push(("nothing", Arc::new(NullArray::new(3))));
    }
    batch(columns)
}
