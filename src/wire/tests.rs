use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray,
    StructArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use serde_json::{Map, Value, json};

use super::*;

fn written(batch: &RecordBatch) -> Vec<Value> {
    serde_json::from_slice(&json_array(batch).expect("JSON")).expect("an array")
}

/// One case of fixtures/wire/records.json: the values of a column `v`, and what becomes of them.
fn check(case: &Value) -> Result<(), String> {
    let data_type: DataType = case["type"]
        .as_str()
        .expect("type")
        .parse()
        .expect("a type");
    let field = Field::new("v", data_type, case["required"] != true);
    let schema: SchemaRef = Arc::new(Schema::new(vec![field]));
    let values = case["values"].as_array().expect("values").iter();
    let records: Vec<Map<String, Value>> = values
        .map(|value| Map::from_iter([("v".to_owned(), value.clone()), ("x".into(), true.into())]))
        .collect();
    let batch = match json::records_to_batch(&schema, &records) {
        Ok(batch) => batch,
        Err(faults) => {
            let paths: Vec<_> = faults.iter().map(|fault| fault.path.clone()).collect();
            return match Value::from(paths) == case["refused"] {
                true => Ok(()),
                false => Err(format!("refused {faults:?}")),
            };
        }
    };
    let taken: Vec<_> = written(&batch)
        .into_iter()
        .map(|mut record| record["v"].take())
        .collect();
    if Value::from(taken.clone()) != case["taken"] {
        return Err(format!("taken {taken:?}"));
    }
    let again: Vec<Map<String, Value>> =
        serde_json::from_slice(&json_array(&batch).expect("JSON")).expect("records");
    match json::records_to_batch(&schema, &again) {
        Ok(again) if again == batch => Ok(()),
        other => Err(format!("what is written is read back as {other:?}")),
    }
}

#[test]
fn records_are_taken_only_where_nothing_is_lost() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../../fixtures/wire/records.json")).expect("cases");
    let failed: Vec<_> = cases
        .iter()
        .filter_map(|case| {
            check(case)
                .err()
                .map(|error| format!("{}: {error}", case["name"]))
        })
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_missing_key_is_null_and_no_record_makes_an_empty_batch() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]));
    let batch = json::records_to_batch(&schema, &[Map::new()]).expect("batch");
    assert_eq!(written(&batch), [json!({"v": null})]);
    assert_eq!(
        json::records_to_batch(&schema, &[])
            .expect("batch")
            .num_rows(),
        0
    );
    let none: SchemaRef = Arc::new(Schema::empty());
    assert_eq!(
        json::records_to_batch(&none, &[Map::new()])
            .expect("batch")
            .num_rows(),
        1
    );
}

#[test]
fn a_fault_does_not_quote_the_value() {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("v", DataType::Int64, true)]));
    let record = Map::from_iter([("v".to_owned(), Value::from("hunter2"))]);
    let faults = json::records_to_batch(&schema, &[record]).expect_err("a fault");
    assert!(!format!("{faults:?}").contains("hunter2"));
}

fn in_format(format: Format, columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let columns = columns
        .into_iter()
        .map(|(name, column)| (name, column, true));
    let batch = RecordBatch::try_from_iter_with_nullable(columns).expect("batch");
    let mut written = Vec::new();
    let mut writer = BatchWriter::new(format, batch.schema(), &mut written).expect("writer");
    writer.write(&batch.slice(0, 1)).expect("first");
    writer
        .write(&batch.slice(1, batch.num_rows() - 1))
        .expect("rest");
    writer.finish().expect("finish");
    written
}

#[test]
fn csv_tells_null_from_empty_text() {
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a,\"b\"\n"), None, Some("")]));
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None]));
    let csv = in_format(Format::Csv, vec![("t", text), ("n, of", numbers)]);
    let expected = "t,\"n, of\"\n\"a,\"\"b\"\"\n\",1.5\n,NaN\n\"\",\n";
    assert_eq!(String::from_utf8(csv).expect("text"), expected);
}

#[test]
fn a_single_null_column_still_makes_lines() {
    let text: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    assert_eq!(in_format(Format::Csv, vec![("t", text)]), b"t\na\n\"\"\n");
}

#[test]
fn ndjson_writes_every_null_and_no_nan() {
    let numbers: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.5), Some(f64::NAN), None]));
    let lines = in_format(Format::Ndjson, vec![("n", numbers)]);
    assert_eq!(
        String::from_utf8(lines).expect("text"),
        "{\"n\":1.5}\n{\"n\":null}\n{\"n\":null}\n"
    );
}

#[test]
fn a_null_inside_a_dictionary_is_null() {
    let values = Arc::new(StringArray::from(vec![None, Some("a")]));
    let keys = Int32Array::from(vec![Some(0), Some(1), None]);
    let column: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::new(keys, values));
    let json = in_format(Format::Json, vec![("d", column)]);
    assert_eq!(json, br#"[{"d":null},{"d":"a"},{"d":null}]"#);
}

#[test]
fn parquet_and_arrow_are_read_back() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
    let parquet = in_format(Format::Parquet, vec![("n", column.clone())]);
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(
        bytes::Bytes::from(parquet),
        1024,
    )
    .expect("reader");
    let rows: usize = reader.map(|batch| batch.expect("batch").num_rows()).sum();
    assert_eq!(rows, 3);
    let stream = in_format(Format::ArrowStream, vec![("n", column)]);
    let reader =
        arrow::ipc::reader::StreamReader::try_new(stream.as_slice(), None).expect("reader");
    assert_eq!(
        reader
            .map(|batch| batch.expect("batch").num_rows())
            .sum::<usize>(),
        3
    );
}

#[test]
fn what_a_format_cannot_hold_is_refused_at_the_start() {
    let inner: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let object = StructArray::try_from(vec![("n", inner)]).expect("struct");
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new(
        "o",
        object.data_type().clone(),
        true,
    )]));
    let refused = BatchWriter::new(Format::Csv, schema.clone(), Vec::new()).err();
    assert!(matches!(refused, Some(WireError::Unsupported { column, .. }) if column == "o"));
    assert!(BatchWriter::new(Format::Ndjson, schema, Vec::new()).is_ok());
}

#[test]
fn a_date_beyond_the_calendar_is_an_error_and_no_text() {
    let days: ArrayRef = Arc::new(Date32Array::from(vec![0, i32::MAX]));
    let batch = RecordBatch::try_from_iter([("d", days)]).expect("batch");
    for format in [Format::Json, Format::Ndjson, Format::Csv] {
        let mut writer = BatchWriter::new(format, batch.schema(), Vec::new()).expect("writer");
        let refused = writer.write(&batch).expect_err("refused");
        assert!(
            matches!(&refused, WireError::Value { column, .. } if column == "d"),
            "{refused}"
        );
    }
    // The very ends that are let through do have a text.
    for second in [-8_334_601_228_800 + 86_400, 8_210_266_876_799 - 86_400] {
        let column: ArrayRef = Arc::new(
            arrow::array::TimestampSecondArray::from(vec![second]).with_timezone("+14:00"),
        );
        assert!(time::has_text(&column));
        let batch = RecordBatch::try_from_iter([("t", column)]).expect("batch");
        assert!(
            !written(&batch)[0]["t"]
                .as_str()
                .expect("text")
                .contains("ERROR")
        );
    }
}

#[test]
fn a_writer_that_fails_says_so() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let batch = RecordBatch::try_from_iter([("n", column)]).expect("batch");
    for format in [
        Format::Ndjson,
        Format::Csv,
        Format::ArrowStream,
        Format::Parquet,
    ] {
        let outcome = BatchWriter::new(format, batch.schema(), Full)
            .and_then(|mut writer| writer.write(&batch).and_then(|()| writer.finish()));
        let full = |error: &std::io::Error| error.kind() == std::io::ErrorKind::StorageFull;
        assert!(
            matches!(&outcome, Err(WireError::Io(error)) if full(error)),
            "{format:?}: {outcome:?}"
        );
    }
}
