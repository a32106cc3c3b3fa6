//! Columns of the values that were found in records.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, NullBufferBuilder, StringArray,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, SchemaRef, TimeUnit};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use serde_json::{Number, Value};

use super::object::Raw;
use super::text::unescape;
use super::{StreamError, Wanted};
use crate::policy::fold::fold;
use crate::wire::{json, time};

/// Builds a batch of the wanted columns, row by row.
pub(super) struct Values {
    schema: Option<SchemaRef>,
    columns: Vec<Column>,
    rows: usize,
}

struct Column {
    field: FieldRef,
    cells: Cells,
    valid: NullBufferBuilder,
}

/// The cells of a column so far. The types that records mostly have are taken from the bytes as
/// they stand; any other by way of a JSON value.
enum Cells {
    Text {
        ends: Vec<i32>,
        bytes: Vec<u8>,
    },
    /// Whole numbers from `low` to `high`.
    Integers {
        cells: Vec<i64>,
        low: i64,
        high: i64,
    },
    /// Floats, of at most `largest` and as many binary digits.
    Floats {
        cells: Vec<f64>,
        largest: f64,
        digits: u32,
    },
    Booleans(Vec<bool>),
    Days(Vec<i32>),
    Moments {
        cells: Vec<i64>,
        unit: TimeUnit,
        zoned: bool,
    },
    Others(Vec<Value>),
}

impl Values {
    /// Builds nothing yet.
    pub(super) fn new() -> Values {
        Values {
            schema: None,
            columns: Vec::new(),
            rows: 0,
        }
    }

    /// Begins a batch of these columns.
    pub(super) fn begin(&mut self, wanted: &Wanted) {
        let same = |schema: &SchemaRef| Arc::ptr_eq(schema, &wanted.schema);
        self.rows = 0;
        if !self.schema.as_ref().is_some_and(same) {
            self.columns = wanted.schema.fields().iter().map(Column::new).collect();
            self.schema = Some(Arc::clone(&wanted.schema));
        }
        for column in &mut self.columns {
            column.clear();
        }
    }

    /// How many rows the batch has.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Adds a row. `value` answers the value of each wanted column.
    ///
    /// Errors: the reason why a value does not fit its column, without the value. The row is not
    /// added then.
    #[inline]
    pub(super) fn push<'a>(&mut self, value: impl Fn(usize) -> Raw<'a>) -> Result<(), String> {
        for (place, column) in self.columns.iter_mut().enumerate() {
            if let Err(found) = column.push(value(place)) {
                let reason = column.misfit(&found);
                for column in self.columns.iter_mut().take(place) {
                    column.pop(self.rows);
                }
                return Err(reason);
            }
        }
        self.rows += 1;
        Ok(())
    }

    /// The batch.
    pub(super) fn finish(&mut self) -> Result<RecordBatch, StreamError> {
        let broken = || StreamError::Malformed {
            what: "the records do not make up a batch of these columns".to_owned(),
        };
        let schema = self.schema.clone().ok_or_else(broken)?;
        let columns = self
            .columns
            .iter_mut()
            .map(|column| column.finish(self.rows).ok_or_else(broken))
            .collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        // What a record lacks is NULL, whatever its source says of the column.
        let fields: Fields = schema
            .fields()
            .iter()
            .map(|field| Arc::new(Field::clone(field).with_nullable(true)))
            .collect();
        let schema = Arc::new(arrow::datatypes::Schema::new(fields));
        RecordBatch::try_new_with_options(schema, columns, &options).map_err(|_| broken())
    }
}

/// What a value is that does not fit.
type Misfit = Cow<'static, str>;

impl Column {
    fn new(field: &FieldRef) -> Column {
        let integers = |low: i64, high: i64| Cells::Integers {
            cells: Vec::new(),
            low,
            high,
        };
        let floats = |largest: f64, digits: u32| Cells::Floats {
            cells: Vec::new(),
            largest,
            digits,
        };
        let values = match field.data_type() {
            DataType::Dictionary(_, values) => values.as_ref(),
            other => other,
        };
        let cells = match values {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Cells::Text {
                ends: Vec::new(),
                bytes: Vec::new(),
            },
            DataType::Int8 => integers(i8::MIN.into(), i8::MAX.into()),
            DataType::Int16 => integers(i16::MIN.into(), i16::MAX.into()),
            DataType::Int32 => integers(i32::MIN.into(), i32::MAX.into()),
            DataType::Int64 => integers(i64::MIN, i64::MAX),
            DataType::UInt8 => integers(0, u8::MAX.into()),
            DataType::UInt16 => integers(0, u16::MAX.into()),
            DataType::UInt32 => integers(0, u32::MAX.into()),
            DataType::Float16 => floats(65_504.0, 11),
            DataType::Float32 => floats(f32::MAX.into(), 24),
            DataType::Float64 => floats(f64::MAX, 53),
            DataType::Boolean => Cells::Booleans(Vec::new()),
            DataType::Date32 => Cells::Days(Vec::new()),
            DataType::Timestamp(unit, zone) => Cells::Moments {
                cells: Vec::new(),
                unit: *unit,
                zoned: zone.is_some(),
            },
            _ => Cells::Others(Vec::new()),
        };
        Column {
            field: Arc::clone(field),
            cells,
            valid: NullBufferBuilder::new(0),
        }
    }

    fn clear(&mut self) {
        self.valid = NullBufferBuilder::new(0);
        match &mut self.cells {
            Cells::Text { ends, bytes } => {
                ends.clear();
                ends.push(0);
                bytes.clear();
            }
            Cells::Integers { cells, .. } | Cells::Moments { cells, .. } => cells.clear(),
            Cells::Floats { cells, .. } => cells.clear(),
            Cells::Booleans(cells) => cells.clear(),
            Cells::Days(cells) => cells.clear(),
            Cells::Others(cells) => cells.clear(),
        }
    }

    /// Cuts off all rows but the first ones.
    fn pop(&mut self, rows: usize) {
        self.valid.truncate(rows);
        match &mut self.cells {
            Cells::Text { ends, bytes } => {
                ends.truncate(rows + 1);
                let end = ends.last().copied().unwrap_or_default();
                bytes.truncate(usize::try_from(end).unwrap_or(0));
            }
            Cells::Integers { cells, .. } | Cells::Moments { cells, .. } => cells.truncate(rows),
            Cells::Floats { cells, .. } => cells.truncate(rows),
            Cells::Booleans(cells) => cells.truncate(rows),
            Cells::Days(cells) => cells.truncate(rows),
            Cells::Others(cells) => cells.truncate(rows),
        }
    }

    #[inline]
    fn push(&mut self, raw: Raw<'_>) -> Result<(), Misfit> {
        let present = match (&mut self.cells, raw) {
            (cells, Raw::Null) => {
                cells.push_null();
                false
            }
            (Cells::Text { ends, bytes }, Raw::Text(text)) => {
                bytes.extend_from_slice(text);
                ends.push(text_end(bytes)?);
                true
            }
            (Cells::Text { ends, bytes }, Raw::Escaped(text)) => {
                bytes.extend_from_slice(unescape(utf8(text)?).as_bytes());
                ends.push(text_end(bytes)?);
                true
            }
            (Cells::Integers { cells, low, high }, Raw::Number(text)) => {
                let number = short_integer(text).or_else(|| {
                    let whole = json::integer(&parsed_number(text)?)?;
                    i64::try_from(whole).ok()
                });
                let within = number.filter(|number| (*low..=*high).contains(number));
                cells.push(within.ok_or("a number")?);
                true
            }
            (
                Cells::Floats {
                    cells,
                    largest,
                    digits,
                },
                Raw::Number(text),
            ) => {
                cells.push(float(text, *largest, *digits).ok_or("a number")?);
                true
            }
            (Cells::Floats { cells, .. }, Raw::NotFinite(value)) => {
                cells.push(value);
                true
            }
            (Cells::Booleans(cells), Raw::Bool(value)) => {
                cells.push(value);
                true
            }
            (Cells::Days(cells), Raw::Text(text)) => {
                cells.push(time::days(utf8(text)?).ok_or("text")?);
                true
            }
            (Cells::Moments { cells, unit, zoned }, Raw::Text(text)) => {
                let nanos = time::nanos(utf8(text)?, *zoned).ok_or("text")?;
                cells.push(json::in_unit(nanos, *unit).ok_or("text")?);
                true
            }
            (Cells::Days(cells), Raw::Escaped(text)) => {
                cells.push(time::days(&unescape(utf8(text)?)).ok_or("text")?);
                true
            }
            (Cells::Moments { cells, unit, zoned }, Raw::Escaped(text)) => {
                let nanos = time::nanos(&unescape(utf8(text)?), *zoned).ok_or("text")?;
                cells.push(json::in_unit(nanos, *unit).ok_or("text")?);
                true
            }
            (Cells::Others(cells), raw) => {
                let value = value(raw)?;
                if let Some(reason) = collision(self.field.data_type(), &value) {
                    return Err(reason.into());
                }
                let faults = json::misfits(self.field.data_type(), &value);
                if !faults.is_empty() {
                    return Err(kind(raw).into());
                }
                cells.push(value);
                true
            }
            (_, raw) => return Err(kind(raw).into()),
        };
        match present {
            true => self.valid.append_non_null(),
            false => self.valid.append_null(),
        }
        Ok(())
    }

    #[cold]
    fn misfit(&self, found: &str) -> String {
        let (name, data_type) = (self.field.name(), self.field.data_type());
        format!("column \"{name}\" of type {data_type} does not take {found} such as this one")
    }

    fn finish(&mut self, rows: usize) -> Option<ArrayRef> {
        let valid = self.valid.finish();
        let array: ArrayRef = match &mut self.cells {
            Cells::Text { ends, bytes } => {
                let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::take(ends)));
                let text = std::mem::take(bytes).into();
                Arc::new(StringArray::try_new(offsets, text, valid).ok()?)
            }
            Cells::Integers { cells, .. } => {
                Arc::new(Int64Array::try_new(std::mem::take(cells).into(), valid).ok()?)
            }
            Cells::Floats { cells, .. } => {
                Arc::new(Float64Array::try_new(std::mem::take(cells).into(), valid).ok()?)
            }
            Cells::Booleans(cells) => {
                Arc::new(BooleanArray::new(std::mem::take(cells).into(), valid))
            }
            Cells::Days(cells) => {
                Arc::new(Date32Array::try_new(std::mem::take(cells).into(), valid).ok()?)
            }
            // By way of plain numbers: a cast from another zone would shift them.
            Cells::Moments { cells, .. } => {
                Arc::new(Int64Array::try_new(std::mem::take(cells).into(), valid).ok()?)
            }
            Cells::Others(cells) => {
                let cells = std::mem::take(cells);
                json::array_of(self.field.data_type(), &cells)?
            }
        };
        let array = match array.data_type() == self.field.data_type() {
            true => array,
            false => cast(&array, self.field.data_type()).ok()?,
        };
        (array.len() == rows).then_some(array)
    }
}

impl Cells {
    fn push_null(&mut self) {
        match self {
            Cells::Text { ends, .. } => ends.push(ends.last().copied().unwrap_or_default()),
            Cells::Integers { cells, .. } | Cells::Moments { cells, .. } => cells.push(0),
            Cells::Floats { cells, .. } => cells.push(0.0),
            Cells::Booleans(cells) => cells.push(false),
            Cells::Days(cells) => cells.push(0),
            Cells::Others(cells) => cells.push(Value::Null),
        }
    }
}

fn text_end(bytes: &[u8]) -> Result<i32, Misfit> {
    i32::try_from(bytes.len()).map_err(|_| "text, as long as this batch has it,".into())
}

fn utf8(text: &[u8]) -> Result<&str, Misfit> {
    std::str::from_utf8(text).map_err(|_| "text".into())
}

/// A whole number of at most 18 digits.
#[inline]
fn short_integer(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 18 {
        return None;
    }
    let mut number = 0_i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number = number * 10 + i64::from(digit);
    }
    Some(if negative { -number } else { number })
}

fn parsed_number(text: &[u8]) -> Option<Number> {
    serde_json::from_slice(text).ok()
}

/// A number as a float. Fractions are rounded, but a whole number comes out as it went in.
fn float(text: &[u8], largest: f64, digits: u32) -> Option<f64> {
    match short_integer(text) {
        // A zero may be negative, which an integer is not.
        #[expect(clippy::cast_precision_loss, reason = "below 2^digits nothing is lost")]
        Some(whole) if whole != 0 && whole.unsigned_abs() < 1 << digits => Some(whole as f64),
        _ => json::float(&parsed_number(text)?, largest, digits),
    }
}

fn value(raw: Raw<'_>) -> Result<Value, Misfit> {
    Ok(match raw {
        Raw::Null => Value::Null,
        Raw::Bool(value) => value.into(),
        Raw::Number(text) => Value::Number(parsed_number(text).ok_or("a number")?),
        Raw::NotFinite(_) => return Err("a number".into()),
        Raw::Text(text) => utf8(text)?.into(),
        Raw::Escaped(text) => unescape(utf8(text)?).into_owned().into(),
        Raw::Nested(text) => serde_json::from_slice(text).map_err(|_| "a nested value")?,
    })
}

fn kind(raw: Raw<'_>) -> &'static str {
    match raw {
        Raw::Null => "null",
        Raw::Bool(_) => "a boolean",
        Raw::Number(_) | Raw::NotFinite(_) => "a number",
        Raw::Text(_) | Raw::Escaped(_) => "text",
        Raw::Nested([b'[', ..]) => "an array",
        Raw::Nested(_) => "an object",
    }
}

/// Looks for a key that a loose reader would take for a field of the struct.
fn collision(data_type: &DataType, value: &Value) -> Option<String> {
    match (data_type, value) {
        (DataType::Struct(fields), Value::Object(object)) => {
            for key in object.keys().filter(|key| fields.find(key).is_none()) {
                let folded = fold(key);
                if let Some(field) = fields.iter().find(|field| fold(field.name()) == folded) {
                    return Some(format!(
                        "an object with a key that differs from \"{}\" only in case or Unicode form,",
                        field.name()
                    ));
                }
            }
            let inner = |field: &FieldRef| collision(field.data_type(), object.get(field.name())?);
            fields.iter().find_map(inner)
        }
        (
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::ListView(item)
            | DataType::LargeListView(item)
            | DataType::FixedSizeList(item, _),
            Value::Array(items),
        ) => items
            .iter()
            .find_map(|value| collision(item.data_type(), value)),
        _ => None,
    }
}
