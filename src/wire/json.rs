//! JSON records to Arrow, strictly: a value is taken only where nothing of it is lost or guessed.
//!
//! Text is no number and a number no text, 1.9 is no integer, what is out of range is refused,
//! and so is a decimal with more digits than its column has. A key that is missing is NULL, keys
//! without a column are left alone. Bytes are hexadecimal text, as [`super::json_array`] writes
//! them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, FixedSizeListArray, Float32Array,
    Float64Array, Int64Array, LargeBinaryArray, LargeListArray, LargeStringArray, ListArray,
    MapArray, NullArray, PrimitiveArray, RecordBatch, RecordBatchOptions, StringArray, StructArray,
    new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal32Type, Decimal64Type, Decimal128Type,
    Decimal256Type, FieldRef, Fields, Int8Type, Int16Type, Int32Type, Int64Type, SchemaRef,
    TimeUnit, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};
use serde_json::{Map, Number, Value};

use super::{decimal, time};
use crate::policy::Fault;

/// The records as a batch of the schema.
///
/// # Errors
/// Every value that does not fit its column, with its JSON path such as `$[3].tags[0]`. The
/// value itself is not quoted.
pub fn records_to_batch(
    schema: &SchemaRef,
    records: &[Map<String, Value>],
) -> Result<RecordBatch, Vec<Fault>> {
    let mut faults = Vec::new();
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let values: Vec<_> = records
                .iter()
                .map(|record| present(record.get(field.name())))
                .collect();
            column(
                field,
                &values,
                &|row| format!("$[{row}].{}", field.name()),
                &mut faults,
            )
        })
        .collect();
    if !faults.is_empty() {
        return Err(faults);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(records.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options).map_err(|_| {
        vec![Fault::new(
            "$",
            "the records do not make up a batch of this schema",
        )]
    })
}

/// What is wrong with a value for a column of a type.
pub(super) fn misfits(data_type: &DataType, value: &Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    array(
        data_type,
        &[present(Some(value))],
        &|_| "$".to_owned(),
        &mut faults,
    );
    faults
}

/// The values as a column; `None` if one of them does not fit.
pub(super) fn array_of(data_type: &DataType, values: &[Value]) -> Option<ArrayRef> {
    let slots: Vec<_> = values.iter().map(|value| present(Some(value))).collect();
    let mut faults = Vec::new();
    let array = array(data_type, &slots, &|_| "$".to_owned(), &mut faults);
    faults.is_empty().then_some(array)
}

/// A value, or `None` where it is missing or null.
type Slot<'a> = Option<&'a Value>;
/// The JSON path of the value at an index.
type Place<'a> = &'a dyn Fn(usize) -> String;

fn present(value: Slot<'_>) -> Slot<'_> {
    value.filter(|value| !value.is_null())
}

fn column(
    field: &FieldRef,
    values: &[Slot<'_>],
    place: Place<'_>,
    faults: &mut Vec<Fault>,
) -> ArrayRef {
    if !field.is_nullable() && field.data_type() != &DataType::Null {
        for index in
            (0..values.len()).filter(|index| values.get(*index).is_some_and(Option::is_none))
        {
            faults.push(Fault::new(
                place(index),
                "a value is required here; it is missing or null",
            ));
        }
    }
    array(field.data_type(), values, place, faults)
}

fn array(
    data_type: &DataType,
    values: &[Slot<'_>],
    place: Place<'_>,
    faults: &mut Vec<Fault>,
) -> ArrayRef {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Date64, Decimal32, Decimal64, Decimal128, Decimal256,
        Dictionary, FixedSizeBinary, FixedSizeList, Float16, Float32, Float64, Int8, Int16, Int32,
        Int64, LargeBinary, LargeList, LargeListView, LargeUtf8, List, ListView, Null,
        RunEndEncoded, Struct, Time32, Time64, Timestamp, UInt8, UInt16, UInt32, UInt64, Utf8,
        Utf8View,
    };
    let mut read = Reading {
        values,
        place,
        faults,
    };
    match data_type {
        Null => {
            read.each("null: the column has no values", |_| None::<()>);
            Arc::new(NullArray::new(values.len()))
        }
        Boolean => Arc::new(BooleanArray::from(
            read.each("true or false", Value::as_bool),
        )),
        Int8 => read.integers::<Int8Type>(data_type),
        Int16 => read.integers::<Int16Type>(data_type),
        Int32 => read.integers::<Int32Type>(data_type),
        Int64 => read.integers::<Int64Type>(data_type),
        UInt8 => read.integers::<UInt8Type>(data_type),
        UInt16 => read.integers::<UInt16Type>(data_type),
        UInt32 => read.integers::<UInt32Type>(data_type),
        UInt64 => read.integers::<UInt64Type>(data_type),
        Float16 => {
            let narrow = |v: &Value| number(v).and_then(|n| float(n, 65_504.0, 11));
            let floats = read.each("a number that a 16-bit float holds", narrow);
            #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
            let floats = floats
                .into_iter()
                .map(|v| v.map(|v| v as f32))
                .collect::<Float32Array>();
            recast(Arc::new(floats), data_type, place, faults)
        }
        Float32 => {
            let narrow = |v: &Value| number(v).and_then(|n| float(n, f64::from(f32::MAX), 24));
            let floats = read.each("a number that a 32-bit float holds", narrow);
            #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
            let floats = floats
                .into_iter()
                .map(|v| v.map(|v| v as f32))
                .collect::<Float32Array>();
            Arc::new(floats)
        }
        Float64 => {
            let wide = |v: &Value| number(v).and_then(|n| float(n, f64::MAX, 53));
            Arc::new(Float64Array::from(
                read.each("a number that a 64-bit float holds", wide),
            ))
        }
        Decimal32(precision, scale) => {
            read.decimals::<Decimal32Type>(data_type, *precision, *scale, |t| t.parse().ok())
        }
        Decimal64(precision, scale) => {
            read.decimals::<Decimal64Type>(data_type, *precision, *scale, |t| t.parse().ok())
        }
        Decimal128(precision, scale) => {
            read.decimals::<Decimal128Type>(data_type, *precision, *scale, |t| t.parse().ok())
        }
        Decimal256(precision, scale) => {
            read.decimals::<Decimal256Type>(data_type, *precision, *scale, i256::from_string)
        }
        Utf8 => Arc::new(StringArray::from(read.each("text", Value::as_str))),
        LargeUtf8 => Arc::new(LargeStringArray::from(read.each("text", Value::as_str))),
        Utf8View => {
            let text: ArrayRef = Arc::new(StringArray::from(read.each("text", Value::as_str)));
            recast(text, data_type, place, faults)
        }
        Binary | LargeBinary | BinaryView => {
            let bytes = read.each("hexadecimal text", |v| v.as_str().and_then(unhex));
            let bytes: ArrayRef = Arc::new(LargeBinaryArray::from_iter(bytes));
            recast(bytes, data_type, place, faults)
        }
        FixedSizeBinary(width) => {
            let wanted = usize::try_from(*width).unwrap_or(0);
            let exact = |v: &Value| v.as_str().and_then(unhex).filter(|b| b.len() == wanted);
            let bytes = read.each(&format!("hexadecimal text of {width} bytes"), exact);
            match FixedSizeBinaryArray::try_from_sparse_iter_with_size(bytes.into_iter(), *width) {
                Ok(array) => Arc::new(array),
                Err(_) => unmade(data_type, values, place, faults),
            }
        }
        Date32 => {
            let days = read.each("a date such as \"2026-01-31\"", |v| {
                v.as_str().and_then(time::days)
            });
            Arc::new(PrimitiveArray::<Date32Type>::from(days))
        }
        Date64 => {
            let millis =
                |v: &Value| in_unit(time::nanos(v.as_str()?, false)?, TimeUnit::Millisecond);
            let millis = read.each("a date such as \"2026-01-31\"", millis);
            recast(Arc::new(Int64Array::from(millis)), data_type, place, faults)
        }
        Time32(unit) | Time64(unit) => {
            let count = |v: &Value| in_unit(time::nanos_of_day(v.as_str()?)?.into(), *unit);
            let counts = read.each(
                &format!("a time of day in {}, such as \"13:45:00\"", plural(*unit)),
                count,
            );
            let counts: ArrayRef = Arc::new(Int64Array::from(counts));
            let counts = match data_type {
                Time32(_) => recast(counts, &Int32, place, faults),
                _ => counts,
            };
            recast(counts, data_type, place, faults)
        }
        Timestamp(unit, zone) => {
            let example = match zone {
                Some(_) => "with an offset, such as \"2026-01-31T13:45:00Z\"",
                None => "without an offset, such as \"2026-01-31T13:45:00\"",
            };
            let count = |v: &Value| in_unit(time::nanos(v.as_str()?, zone.is_some())?, *unit);
            let counts = read.each(
                &format!("a date and time in {} {example}", plural(*unit)),
                count,
            );
            // By way of plain numbers: a cast from text or another zone would shift them.
            recast(Arc::new(Int64Array::from(counts)), data_type, place, faults)
        }
        List(item) => {
            let (offsets, nulls, items) = read.lists(item, None);
            let offsets: Vec<i32> = offsets
                .into_iter()
                .filter_map(|o| i32::try_from(o).ok())
                .collect();
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
            match ListArray::try_new(item.clone(), offsets, items, nulls) {
                Ok(array) => Arc::new(array),
                Err(_) => unmade(data_type, values, place, faults),
            }
        }
        LargeList(item) => {
            let (offsets, nulls, items) = read.lists(item, None);
            let offsets: Vec<i64> = offsets
                .into_iter()
                .filter_map(|o| i64::try_from(o).ok())
                .collect();
            let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
            match LargeListArray::try_new(item.clone(), offsets, items, nulls) {
                Ok(array) => Arc::new(array),
                Err(_) => unmade(data_type, values, place, faults),
            }
        }
        FixedSizeList(item, width) => {
            let (_, nulls, items) = read.lists(item, usize::try_from(*width).ok());
            match FixedSizeListArray::try_new(item.clone(), *width, items, nulls) {
                Ok(array) => Arc::new(array),
                Err(_) => unmade(data_type, values, place, faults),
            }
        }
        ListView(item) => {
            let list = array(&List(item.clone()), values, place, faults);
            recast(list, data_type, place, faults)
        }
        LargeListView(item) => {
            let list = array(&LargeList(item.clone()), values, place, faults);
            recast(list, data_type, place, faults)
        }
        Struct(fields) => read.structs(fields),
        DataType::Map(entries, ordered) => read.maps(data_type, entries, *ordered),
        Dictionary(_, value) => {
            let plain = array(value, values, place, faults);
            recast(plain, data_type, place, faults)
        }
        RunEndEncoded(_, value) => {
            let plain = array(value.data_type(), values, place, faults);
            recast(plain, data_type, place, faults)
        }
        _ => unreadable(data_type, values, place, faults),
    }
}

/// A type that JSON records cannot fill: only NULL is taken.
fn unreadable(
    data_type: &DataType,
    values: &[Slot<'_>],
    place: Place<'_>,
    faults: &mut Vec<Fault>,
) -> ArrayRef {
    let message = format!("a column of type {data_type} cannot be filled from JSON");
    if let Some(index) = values.iter().position(Option::is_some) {
        faults.push(Fault::new(place(index), message));
    }
    new_null_array(data_type, values.len())
}

/// What did not make up an array: because of a fault that is told already, or else that is one.
fn unmade(
    data_type: &DataType,
    values: &[Slot<'_>],
    place: Place<'_>,
    faults: &mut Vec<Fault>,
) -> ArrayRef {
    match faults.is_empty() {
        true => unreadable(data_type, values, place, faults),
        false => new_null_array(data_type, values.len()),
    }
}

/// The same values in another layout. A value that gets lost on the way is a fault.
fn recast(from: ArrayRef, to: &DataType, place: Place<'_>, faults: &mut Vec<Fault>) -> ArrayRef {
    if from.data_type() == to {
        return from;
    }
    match cast(&from, to) {
        Ok(array) if array.logical_null_count() == from.logical_null_count() => array,
        _ => {
            let index = (0..from.len())
                .find(|index| from.is_valid(*index))
                .unwrap_or(0);
            faults.push(Fault::new(
                place(index),
                format!("a column of type {to} cannot be filled from JSON"),
            ));
            new_null_array(to, from.len())
        }
    }
}

/// One column being read.
struct Reading<'a> {
    values: &'a [Slot<'a>],
    place: Place<'a>,
    faults: &'a mut Vec<Fault>,
}

impl<'a> Reading<'a> {
    /// Every value as `take` sees it; what it does not take is a fault.
    fn each<T>(&mut self, wanted: &str, take: impl Fn(&'a Value) -> Option<T>) -> Vec<Option<T>> {
        let mut taken = Vec::with_capacity(self.values.len());
        for (index, slot) in self.values.iter().enumerate() {
            taken.push(match slot {
                None => None,
                Some(value) => {
                    let value_taken = take(value);
                    if value_taken.is_none() {
                        self.refuse(index, value, wanted);
                    }
                    value_taken
                }
            });
        }
        taken
    }

    fn refuse(&mut self, index: usize, value: &Value, wanted: &str) {
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        };
        let message = format!("expected {wanted}; {found} is not, or does not fit");
        self.faults.push(Fault::new((self.place)(index), message));
    }

    fn integers<T: ArrowPrimitiveType>(&mut self, data_type: &DataType) -> ArrayRef
    where
        T::Native: TryFrom<i128>,
    {
        let whole = |value: &Value| T::Native::try_from(integer(number(value)?)?).ok();
        let wanted = format!("a whole number that {data_type} holds");
        Arc::new(
            self.each(&wanted, whole)
                .into_iter()
                .collect::<PrimitiveArray<T>>(),
        )
    }

    fn decimals<T: ArrowPrimitiveType>(
        &mut self,
        data_type: &DataType,
        precision: u8,
        scale: i8,
        parse: impl Fn(&str) -> Option<T::Native>,
    ) -> ArrayRef {
        let digits = |value: &Value| {
            parse(&decimal::unscaled(
                number(value)?.as_str(),
                precision.into(),
                scale.into(),
            )?)
        };
        let wanted = format!("a number of at most {precision} digits, {scale} of them decimals");
        let array: PrimitiveArray<T> = self.each(&wanted, digits).into_iter().collect();
        Arc::new(array.with_data_type(data_type.clone()))
    }

    /// Offsets, validity and items of arrays. With a width, each takes up that many items, NULL
    /// as well.
    fn lists(
        &mut self,
        item: &FieldRef,
        width: Option<usize>,
    ) -> (Vec<usize>, Option<NullBuffer>, ArrayRef) {
        let wanted = match width {
            Some(width) => format!("an array of {width}"),
            None => "an array".into(),
        };
        let fits = |items: &&Vec<Value>| width.is_none_or(|width| items.len() == width);
        let lists = self.each(&wanted, |value| value.as_array().filter(fits));
        let (mut offsets, mut items, mut origins) = (vec![0], Vec::new(), Vec::new());
        for (row, list) in lists.iter().enumerate() {
            match list {
                Some(list) => {
                    items.extend(list.iter().map(|value| present(Some(value))));
                    origins.extend((0..list.len()).map(|position| (row, position)));
                }
                None => {
                    let padding = width.unwrap_or(0);
                    items.extend(std::iter::repeat_n(None, padding));
                    origins.extend(std::iter::repeat_n((row, 0), padding));
                }
            }
            offsets.push(items.len());
        }
        let nulls = validity(lists.iter().map(Option::is_some));
        let place = self.place;
        let inner = move |index: usize| match origins.get(index) {
            Some((row, position)) => format!("{}[{position}]", place(*row)),
            None => place(0),
        };
        // The padding below a NULL of fixed width is no value that could be missing.
        let items = match width {
            Some(_) => array(item.data_type(), &items, &inner, self.faults),
            None => column(item, &items, &inner, self.faults),
        };
        (offsets, nulls, items)
    }

    fn structs(&mut self, fields: &Fields) -> ArrayRef {
        let objects = self.each("an object", Value::as_object);
        let place = self.place;
        let columns = fields
            .iter()
            .map(|field| {
                let values: Vec<_> = objects
                    .iter()
                    .map(|object| present(object.and_then(|o| o.get(field.name()))))
                    .collect();
                let inner = |index: usize| format!("{}.{}", place(index), field.name());
                let column = array(field.data_type(), &values, &inner, self.faults);
                // A field may be missing where the whole object is.
                for (index, (object, value)) in objects.iter().zip(&values).enumerate() {
                    if object.is_some() && value.is_none() && !field.is_nullable() {
                        self.faults.push(Fault::new(
                            inner(index),
                            "a value is required here; it is missing or null",
                        ));
                    }
                }
                column
            })
            .collect();
        let nulls = validity(objects.iter().map(Option::is_some));
        let data_type = DataType::Struct(fields.clone());
        let made = match fields.is_empty() {
            true => Ok(StructArray::new_empty_fields(objects.len(), nulls)),
            false => StructArray::try_new(fields.clone(), columns, nulls),
        };
        match made {
            Ok(array) => Arc::new(array),
            Err(_) => unmade(&data_type, self.values, place, self.faults),
        }
    }

    fn maps(&mut self, data_type: &DataType, entries: &FieldRef, ordered: bool) -> ArrayRef {
        let objects = self.each("an object", Value::as_object);
        let (mut offsets, mut keys, mut items, mut origins) =
            (vec![0_i32], Vec::new(), Vec::new(), Vec::new());
        for (row, object) in objects.iter().enumerate() {
            for (key, value) in object.iter().flat_map(|object| object.iter()) {
                keys.push(key.as_str());
                items.push(present(Some(value)));
                origins.push((row, key));
            }
            offsets.push(i32::try_from(items.len()).unwrap_or(i32::MAX));
        }
        let (values, place) = (self.values, self.place);
        let DataType::Struct(fields) = entries.data_type() else {
            return unreadable(data_type, values, place, self.faults);
        };
        let [key_field, value_field] = fields.as_ref() else {
            return unreadable(data_type, values, place, self.faults);
        };
        let inner = |index: usize| match origins.get(index) {
            Some((row, key)) => format!("{}.{key}", place(*row)),
            None => place(0),
        };
        let keys: ArrayRef = Arc::new(StringArray::from(keys));
        let keys = recast(keys, key_field.data_type(), &inner, self.faults);
        let items = column(value_field, &items, &inner, self.faults);
        let nulls = validity(objects.iter().map(Option::is_some));
        let made =
            StructArray::try_new(fields.clone(), vec![keys, items], None).and_then(|pairs| {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
                MapArray::try_new(entries.clone(), offsets, pairs, nulls, ordered)
            });
        match made {
            Ok(array) => Arc::new(array),
            Err(_) => unmade(data_type, values, place, self.faults),
        }
    }
}

fn validity(present: impl Iterator<Item = bool>) -> Option<NullBuffer> {
    Some(present.collect::<NullBuffer>()).filter(|nulls| nulls.null_count() > 0)
}

fn number(value: &Value) -> Option<&Number> {
    match value {
        Value::Number(number) => Some(number),
        _ => None,
    }
}

/// A number without a fraction, however it is written; wide enough for every integer type.
pub(super) fn integer(number: &Number) -> Option<i128> {
    match number.as_i64() {
        Some(small) => Some(small.into()),
        None => decimal::unscaled(number.as_str(), 38, 0)?.parse().ok(),
    }
}

/// A number as a float of at most `largest` and `digits` binary digits. Fractions are rounded as
/// floats are, but a whole number must come out as it went in.
pub(super) fn float(number: &Number, largest: f64, digits: u32) -> Option<f64> {
    let text = number.as_str();
    let value: f64 = text.parse().ok()?;
    if value.abs() > largest {
        return None;
    }
    if text.contains(['.', 'e', 'E']) {
        return Some(value);
    }
    let mantissa = value.to_bits() & ((1 << 52) - 1);
    let short = mantissa == 0 || mantissa.trailing_zeros() >= 53 - digits;
    (short && format!("{value:.0}") == text).then_some(value)
}

pub(super) fn in_unit(nanos: i128, unit: TimeUnit) -> Option<i64> {
    let size = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    (nanos % size == 0)
        .then(|| i64::try_from(nanos / size).ok())
        .flatten()
}

fn plural(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "seconds",
        TimeUnit::Millisecond => "milliseconds",
        TimeUnit::Microsecond => "microseconds",
        TimeUnit::Nanosecond => "nanoseconds",
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect::<Option<_>>()?;
    let pairs = digits.chunks_exact(2);
    pairs.remainder().is_empty().then(|| {
        pairs
            .filter_map(|pair| pair.first().zip(pair.last()))
            .map(|(h, l)| h << 4 | l)
            .collect()
    })
}
