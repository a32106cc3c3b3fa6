//! Arrow columns from JSON, typed by a small notation: `int64`, `decimal(10,2)`,
//! `timestamp(us, Europe/Berlin)`, `list<utf8>`, `struct<city: utf8, geo: struct<lat: float64>>`.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, FixedSizeListArray, Float32Array, Float64Array,
    GenericListArray, Int8Array, Int64Array, NullArray, OffsetSizeTrait, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{CastOptions, cast, cast_with_options, concat};
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use serde_json::{Map, Value};

/// Reads a type, or panics: a fixture that names no type is a broken test.
pub(crate) fn parse_type(notation: &str) -> DataType {
    let notation = notation.trim();
    let (name, arguments) = match notation.find(['(', '<']) {
        Some(open) => (
            &notation[..open],
            Some(&notation[open + 1..notation.len() - 1]),
        ),
        None => (notation, None),
    };
    let item = |notation: &str| Arc::new(Field::new("item", parse_type(notation), true));
    match (name, arguments) {
        ("null", None) => DataType::Null,
        ("bool", None) => DataType::Boolean,
        ("int8", None) => DataType::Int8,
        ("int16", None) => DataType::Int16,
        ("int32", None) => DataType::Int32,
        ("int64", None) => DataType::Int64,
        ("uint8", None) => DataType::UInt8,
        ("uint16", None) => DataType::UInt16,
        ("uint32", None) => DataType::UInt32,
        ("uint64", None) => DataType::UInt64,
        ("float16", None) => DataType::Float16,
        ("float32", None) => DataType::Float32,
        ("float64", None) => DataType::Float64,
        ("utf8", None) => DataType::Utf8,
        ("large_utf8", None) => DataType::LargeUtf8,
        ("utf8_view", None) => DataType::Utf8View,
        ("binary", None) => DataType::Binary,
        ("date32", None) => DataType::Date32,
        ("date64", None) => DataType::Date64,
        ("decimal", Some(arguments)) => {
            let (precision, scale) = precision_and_scale(arguments);
            DataType::Decimal128(precision, scale)
        }
        ("decimal256", Some(arguments)) => {
            let (precision, scale) = precision_and_scale(arguments);
            DataType::Decimal256(precision, scale)
        }
        ("time", Some("s")) => DataType::Time32(TimeUnit::Second),
        ("time", Some("ms")) => DataType::Time32(TimeUnit::Millisecond),
        ("time", Some("us")) => DataType::Time64(TimeUnit::Microsecond),
        ("time", Some("ns")) => DataType::Time64(TimeUnit::Nanosecond),
        ("timestamp", Some(arguments)) => {
            let (unit, zone) = match arguments.split_once(',') {
                Some((unit, zone)) => (unit, Some(Arc::from(zone.trim()))),
                None => (arguments, None),
            };
            DataType::Timestamp(parse_unit(unit), zone)
        }
        ("dict", Some(value)) => {
            DataType::Dictionary(Box::new(DataType::Int8), Box::new(parse_type(value)))
        }
        ("list", Some(element)) => DataType::List(item(element)),
        ("large_list", Some(element)) => DataType::LargeList(item(element)),
        ("fixed_list", Some(arguments)) => {
            let (element, size) = arguments.rsplit_once(',').unwrap();
            DataType::FixedSizeList(item(element), size.trim().parse().unwrap())
        }
        ("struct", Some(fields)) => DataType::Struct(
            split_fields(fields)
                .into_iter()
                .map(|field| {
                    let (name, notation) = field.split_once(':').unwrap();
                    Field::new(name.trim(), parse_type(notation), true)
                })
                .collect(),
        ),
        _ => panic!("no such type: {notation}"),
    }
}

fn precision_and_scale(arguments: &str) -> (u8, i8) {
    let (precision, scale) = arguments.split_once(',').unwrap();
    (
        precision.trim().parse().unwrap(),
        scale.trim().parse().unwrap(),
    )
}

fn parse_unit(unit: &str) -> TimeUnit {
    match unit.trim() {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => panic!("no such unit: {unit}"),
    }
}

/// Splits at the commas that stand in no bracket.
fn split_fields(text: &str) -> Vec<&str> {
    let mut depth = 0;
    let mut fields = vec![];
    let mut start = 0;
    for (at, letter) in text.char_indices() {
        match letter {
            '<' | '(' => depth += 1,
            '>' | ')' => depth -= 1,
            ',' if depth == 0 => {
                fields.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    fields.push(&text[start..]);
    fields
}

/// A schema from `{"country": "utf8", "spent": "decimal(10,2)"}`.
pub(crate) fn schema(columns: &Map<String, Value>) -> SchemaRef {
    let fields: Fields = columns
        .iter()
        .map(|(name, notation)| Field::new(name, parse_type(notation.as_str().unwrap()), true))
        .collect();
    Arc::new(Schema::new(fields))
}

/// A batch from records; a key that a record lacks is NULL.
pub(crate) fn batch(schema: &SchemaRef, records: &[Map<String, Value>]) -> RecordBatch {
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let values: Vec<_> = records
                .iter()
                .map(|record| record.get(field.name()).cloned().unwrap_or(Value::Null))
                .collect();
            column(field.data_type(), &values)
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(records.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).unwrap()
}

/// A column from JSON values. Floats may be the strings `NaN`, `inf` and `-inf`; dates and times
/// are ISO 8601 strings; timestamps may be numbers as well, which count the column's unit.
pub(crate) fn column(data_type: &DataType, values: &[Value]) -> ArrayRef {
    let nulls: NullBuffer = values.iter().map(|value| !value.is_null()).collect();
    match data_type {
        DataType::Null => Arc::new(NullArray::new(values.len())),
        DataType::Float16 => cast(&Float32Array::from(floats::<f32>(values)), data_type).unwrap(),
        DataType::Float32 => Arc::new(Float32Array::from(floats::<f32>(values))),
        DataType::Float64 => Arc::new(Float64Array::from(floats::<f64>(values))),
        DataType::Timestamp(..) => timestamps(data_type, values),
        DataType::List(element) => Arc::new(list::<i32>(element, values, nulls)),
        DataType::LargeList(element) => Arc::new(list::<i64>(element, values, nulls)),
        DataType::FixedSizeList(element, size) => {
            let filler = vec![Value::Null; *size as usize];
            let elements: Vec<_> = values
                .iter()
                .flat_map(|value| value.as_array().unwrap_or(&filler).clone())
                .collect();
            let elements = column(element.data_type(), &elements);
            Arc::new(FixedSizeListArray::new(
                element.clone(),
                *size,
                elements,
                Some(nulls),
            ))
        }
        DataType::Struct(fields) => {
            let children = fields
                .iter()
                .map(|field| {
                    let children: Vec<_> = values
                        .iter()
                        .map(|value| value.get(field.name()).cloned().unwrap_or(Value::Null))
                        .collect();
                    column(field.data_type(), &children)
                })
                .collect();
            Arc::new(StructArray::new(fields.clone(), children, Some(nulls)))
        }
        DataType::Dictionary(_, value) => {
            // A NULL is a value of the dictionary here, not a missing key.
            let keys: Int8Array = (0..values.len())
                .map(|key| i8::try_from(key).ok())
                .collect();
            Arc::new(DictionaryArray::new(keys, column(value, values)))
        }
        DataType::Decimal128(_, scale) if *scale < 0 => {
            // Text is not cast to a negative scale.
            cast(&column(&DataType::Decimal128(38, 0), values), data_type).unwrap()
        }
        _ => {
            let strict = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            cast_with_options(&texts(values), data_type, &strict).unwrap()
        }
    }
}

fn texts(values: &[Value]) -> StringArray {
    values
        .iter()
        .map(|value| match value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        })
        .collect()
}

fn floats<F: std::str::FromStr<Err: std::fmt::Debug>>(values: &[Value]) -> Vec<Option<F>> {
    texts(values)
        .iter()
        .map(|text| text.map(|text| text.parse().unwrap()))
        .collect()
}

fn timestamps(data_type: &DataType, values: &[Value]) -> ArrayRef {
    let DataType::Timestamp(unit, _) = data_type else {
        panic!("not a timestamp")
    };
    let columns: Vec<ArrayRef> = values
        .iter()
        .map(|value| match value {
            Value::Number(count) => {
                let count = Int64Array::from(vec![count.as_i64().unwrap()]);
                // Through the type without a zone, which only relabels the count.
                let local = cast(&count, &DataType::Timestamp(*unit, None)).unwrap();
                arrow::array::make_array(
                    local
                        .to_data()
                        .into_builder()
                        .data_type(data_type.clone())
                        .build()
                        .unwrap(),
                )
            }
            other => {
                let strict = CastOptions {
                    safe: false,
                    ..CastOptions::default()
                };
                cast_with_options(&texts(std::slice::from_ref(other)), data_type, &strict).unwrap()
            }
        })
        .collect();
    if columns.is_empty() {
        return arrow::array::new_empty_array(data_type);
    }
    let columns: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
    concat(&columns).unwrap()
}

fn list<O: OffsetSizeTrait>(
    element: &Arc<Field>,
    values: &[Value],
    nulls: NullBuffer,
) -> GenericListArray<O> {
    let lists: Vec<&[Value]> = values
        .iter()
        .map(|value| value.as_array().map_or(&[][..], Vec::as_slice))
        .collect();
    let elements = column(element.data_type(), &lists.concat());
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(|list| list.len()));
    GenericListArray::new(element.clone(), offsets, elements, Some(nulls))
}
