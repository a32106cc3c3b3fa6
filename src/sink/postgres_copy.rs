//! Rows in the text form of PostgreSQL's COPY. The database reads each value as its column's
//! type, so a value that does not fit is refused there.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, Float64Array, LargeBinaryArray, LargeListArray,
    LargeStringArray, RecordBatch, StringArray,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::wire::{
    self,
    postgres::{push_copied, push_hex, push_quoted_item},
};

/// A value has no text, or the column's type has none. No value is quoted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum CopyError {
    /// One of the values.
    Value {
        /// Its column.
        column: String,
    },
    /// The whole column.
    Type {
        /// The column.
        column: String,
    },
}

/// Encodes a batch. `as_json` tells which columns are `json` or `jsonb` at the destination.
pub(super) fn encode(batch: &RecordBatch, as_json: &[bool]) -> Result<Vec<u8>, CopyError> {
    let fields = batch.schema_ref().fields();
    let columns = batch
        .columns()
        .iter()
        .zip(fields)
        .zip(as_json)
        .map(|((column, field), as_json)| {
            texts(column, *as_json).map_err(|error| located(error, field.name()))
        })
        .collect::<Result<Vec<ArrayRef>, _>>()?;
    let cells = columns
        .iter()
        .zip(fields)
        .map(|(column, field)| Cells::of(column).map_err(|error| located(error, field.name())))
        .collect::<Result<Vec<_>, _>>()?;
    let mut out = Vec::with_capacity(batch.num_rows() * 64);
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        for (index, (cell, field)) in cells.iter().zip(fields).enumerate() {
            if index > 0 {
                out.push(b'\t');
            }
            if cell.array.is_null(row) {
                out.extend_from_slice(b"\\N");
                continue;
            }
            text.clear();
            cell.write(row, &mut text)
                .map_err(|error| located(error, field.name()))?;
            push_copied(&mut out, &text, b'\t');
        }
        out.push(b'\n');
    }
    Ok(out)
}

fn located(error: Unwritable, column: &str) -> CopyError {
    let column = column.to_owned();
    match error {
        Unwritable::Value => CopyError::Value { column },
        Unwritable::Type => CopyError::Type { column },
    }
}

enum Unwritable {
    Value,
    Type,
}

impl From<std::fmt::Error> for Unwritable {
    fn from(_: std::fmt::Error) -> Self {
        Unwritable::Value
    }
}

impl From<ArrowError> for Unwritable {
    fn from(_: ArrowError) -> Self {
        Unwritable::Value
    }
}

/// A column in a layout that [`Cells`] writes: no dictionaries, moments in UTC, and JSON text
/// where JSON is wanted or nothing else would do.
fn texts(column: &ArrayRef, as_json: bool) -> Result<ArrayRef, Unwritable> {
    let column = wire::plain(column);
    match column.data_type() {
        DataType::Struct(_) | DataType::Map(..) => json_texts(&column),
        data_type if as_json && data_type.is_nested() => json_texts(&column),
        // A column without zone would drop the offset of the text: in UTC nothing is lost.
        DataType::Timestamp(unit, Some(_)) => {
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            recast(&column, &utc)
        }
        DataType::Utf8View => recast(&column, &DataType::Utf8),
        DataType::Binary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            recast(&column, &DataType::LargeBinary)
        }
        DataType::List(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => recast(&column, &DataType::LargeList(item.clone())),
        _ => Ok(column),
    }
}

fn recast(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, Unwritable> {
    cast(column, to).map_err(|_| Unwritable::Type)
}

fn json_texts(column: &ArrayRef) -> Result<ArrayRef, Unwritable> {
    match wire::json_texts(column) {
        Ok(texts) => Ok(Arc::new(texts)),
        // Any other fault is one of the type.
        Err(wire::WireError::Value { .. }) => Err(Unwritable::Value),
        Err(_) => Err(Unwritable::Type),
    }
}

/// One column, ready to be written cell by cell.
struct Cells<'a> {
    array: &'a ArrayRef,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Text(&'a StringArray),
    LargeText(&'a LargeStringArray),
    Float32(&'a Float32Array),
    Float64(&'a Float64Array),
    Bytes(&'a LargeBinaryArray),
    List(&'a LargeListArray),
    /// Everything whose display PostgreSQL reads: booleans, integers, decimals, dates and times.
    Shown(ArrayFormatter<'a>),
}

impl<'a> Cells<'a> {
    fn of(array: &'a ArrayRef) -> Result<Cells<'a>, Unwritable> {
        let options = FormatOptions::new().with_display_error(false);
        let kind = match array.data_type() {
            DataType::Utf8 => Kind::Text(array.as_string()),
            DataType::LargeUtf8 => Kind::LargeText(array.as_string()),
            DataType::Float32 => Kind::Float32(array.as_primitive()),
            DataType::Float64 => Kind::Float64(array.as_primitive()),
            DataType::LargeBinary => Kind::Bytes(array.as_binary()),
            DataType::LargeList(_) => Kind::List(array.as_list()),
            data_type if data_type.is_nested() => return Err(Unwritable::Type),
            _ => {
                Kind::Shown(ArrayFormatter::try_new(array, &options).map_err(|_| Unwritable::Type)?)
            }
        };
        Ok(Cells { array, kind })
    }

    /// Appends the text of a value that is not NULL.
    fn write(&self, row: usize, to: &mut String) -> Result<(), Unwritable> {
        match &self.kind {
            Kind::Text(array) => to.push_str(array.value(row)),
            Kind::LargeText(array) => to.push_str(array.value(row)),
            Kind::Float32(array) => write_float(array.value(row).into(), array.value(row), to)?,
            Kind::Float64(array) => write_float(array.value(row), array.value(row), to)?,
            Kind::Bytes(array) => push_hex(to, array.value(row))?,
            Kind::List(array) => write_list(&array.value(row), to)?,
            Kind::Shown(formatter) => formatter.value(row).write(to)?,
        }
        Ok(())
    }
}

fn write_float(value: f64, shown: impl std::fmt::Display, to: &mut String) -> std::fmt::Result {
    match value {
        v if v.is_nan() => to.write_str("NaN"),
        f64::INFINITY => to.write_str("Infinity"),
        f64::NEG_INFINITY => to.write_str("-Infinity"),
        _ => write!(to, "{shown}"),
    }
}

/// An array literal such as `{1,NULL,"a \"b\""}`.
fn write_list(items: &ArrayRef, to: &mut String) -> Result<(), Unwritable> {
    let items = texts(items, false)?;
    let cells = Cells::of(&items)?;
    let is_list = matches!(cells.kind, Kind::List(_));
    let mut text = String::new();
    to.push('{');
    for index in 0..items.len() {
        if index > 0 {
            to.push(',');
        }
        if cells.array.is_null(index) {
            to.push_str("NULL");
        } else if is_list {
            cells.write(index, to)?;
        } else {
            text.clear();
            cells.write(index, &mut text)?;
            push_quoted_item(to, &text)?;
        }
    }
    to.push('}');
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::array::{BinaryArray, Int32Array, TimestampMillisecondArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn copied(column: ArrayRef, as_json: bool) -> String {
        let batch = RecordBatch::try_from_iter_with_nullable([("c", column, true)]).expect("batch");
        let bytes = encode(&batch, &[as_json]).expect("encoded");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn every_kind_of_value_has_its_text() {
        let text = StringArray::from(vec![Some("a\tb\\c\nd"), None, Some("\\N"), Some("")]);
        assert_eq!(
            copied(Arc::new(text), false),
            "a\\tb\\\\c\\nd\n\\N\n\\\\N\n\n"
        );
        let floats = Float64Array::from(vec![f64::NAN, f64::NEG_INFINITY, -0.0, 1e300]);
        assert!(copied(Arc::new(floats), false).starts_with("NaN\n-Infinity\n-0\n1000"));
        let bytes = BinaryArray::from(vec![&[0_u8, 255][..]]);
        assert_eq!(copied(Arc::new(bytes), false), "\\\\x00ff\n");
        let moments = TimestampMillisecondArray::from(vec![0]).with_timezone("+05:00");
        assert_eq!(copied(Arc::new(moments), false), "1970-01-01T00:00:00Z\n");
        let numbers = vec![Some(vec![Some(1), None]), None];
        let numbers = arrow::array::ListArray::from_iter_primitive::<Int32Type, _, _>(numbers);
        assert_eq!(
            copied(Arc::new(numbers.clone()), false),
            "{\"1\",NULL}\n\\N\n"
        );
        assert_eq!(copied(Arc::new(numbers), true), "[1,null]\n\\N\n");
        let fields = vec![("n", Arc::new(Int32Array::from(vec![7])) as ArrayRef)];
        let object = arrow::array::StructArray::try_from(fields).expect("struct");
        assert_eq!(copied(Arc::new(object), false), "{\"n\":7}\n");
    }

    #[test]
    fn a_list_of_text_is_quoted_twice() {
        let mut lists = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
        lists.append_value([Some("a\"b\\"), None, Some("NULL")]);
        assert_eq!(
            copied(Arc::new(lists.finish()), false),
            "{\"a\\\\\"b\\\\\\\\\",NULL,\"NULL\"}\n"
        );
    }
}
