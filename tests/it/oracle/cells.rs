//! Reading one cell of a batch.

use arrow::array::{Array, AsArray};
use arrow::datatypes::*;
use arrow::record_batch::RecordBatch;
use syncguard::policy::filter_tree::ColumnPath;

/// One value of a column, or a literal brought to a column's type.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    Null,
    Bool(bool),
    Int(i128),
    /// Unscaled: literals are brought to the column's scale.
    Decimal(i256),
    Float(f64),
    Text(String),
    /// Days since 1970-01-01.
    Date(i64),
    /// Nanoseconds since 1970-01-01T00:00:00, of an instant or of a wall clock.
    Timestamp(i128),
    /// Nanoseconds since midnight.
    Time(i128),
    List(Vec<Cell>),
    /// A value that has nothing to compare: a struct, bytes.
    Opaque,
}

pub(crate) fn cell_at(batch: &RecordBatch, column: &ColumnPath, row: usize) -> Cell {
    let mut array = batch.column(column.root);
    for child in &column.children {
        if array.is_null(row) {
            return Cell::Null;
        }
        array = array.as_struct().column(*child);
    }
    read(array.as_ref(), row)
}

fn read(array: &dyn Array, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    macro_rules! primitive {
        ($type:ty) => {
            array.as_primitive::<$type>().value(row)
        };
    }
    match array.data_type() {
        DataType::Null => Cell::Null,
        DataType::Boolean => Cell::Bool(array.as_boolean().value(row)),
        DataType::Int8 => Cell::Int(primitive!(Int8Type).into()),
        DataType::Int16 => Cell::Int(primitive!(Int16Type).into()),
        DataType::Int32 => Cell::Int(primitive!(Int32Type).into()),
        DataType::Int64 => Cell::Int(primitive!(Int64Type).into()),
        DataType::UInt8 => Cell::Int(primitive!(UInt8Type).into()),
        DataType::UInt16 => Cell::Int(primitive!(UInt16Type).into()),
        DataType::UInt32 => Cell::Int(primitive!(UInt32Type).into()),
        DataType::UInt64 => Cell::Int(primitive!(UInt64Type).into()),
        DataType::Float16 => Cell::Float(primitive!(Float16Type).to_f64()),
        DataType::Float32 => Cell::Float(primitive!(Float32Type).into()),
        DataType::Float64 => Cell::Float(primitive!(Float64Type)),
        DataType::Decimal32(..) => Cell::Decimal(i256::from_i128(primitive!(Decimal32Type).into())),
        DataType::Decimal64(..) => Cell::Decimal(i256::from_i128(primitive!(Decimal64Type).into())),
        DataType::Decimal128(..) => Cell::Decimal(i256::from_i128(primitive!(Decimal128Type))),
        DataType::Decimal256(..) => Cell::Decimal(primitive!(Decimal256Type)),
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => Cell::Text(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => Cell::Text(array.as_string_view().value(row).to_owned()),
        DataType::Date32 => Cell::Date(primitive!(Date32Type).into()),
        DataType::Date64 => Cell::Date(primitive!(Date64Type).div_euclid(86_400_000)),
        DataType::Timestamp(unit, _) => {
            let count = match unit {
                TimeUnit::Second => primitive!(TimestampSecondType),
                TimeUnit::Millisecond => primitive!(TimestampMillisecondType),
                TimeUnit::Microsecond => primitive!(TimestampMicrosecondType),
                TimeUnit::Nanosecond => primitive!(TimestampNanosecondType),
            };
            Cell::Timestamp(i128::from(count) * nanoseconds(*unit))
        }
        DataType::Time32(unit) => {
            let count = match unit {
                TimeUnit::Second => primitive!(Time32SecondType),
                _ => primitive!(Time32MillisecondType),
            };
            Cell::Time(i128::from(count) * nanoseconds(*unit))
        }
        DataType::Time64(unit) => {
            let count = match unit {
                TimeUnit::Microsecond => primitive!(Time64MicrosecondType),
                _ => primitive!(Time64NanosecondType),
            };
            Cell::Time(i128::from(count) * nanoseconds(*unit))
        }
        DataType::List(_) => elements(array.as_list::<i32>().value(row).as_ref()),
        DataType::LargeList(_) => elements(array.as_list::<i64>().value(row).as_ref()),
        DataType::FixedSizeList(..) => elements(array.as_fixed_size_list().value(row).as_ref()),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let Cell::Int(key) = read(dictionary.keys(), row) else {
                return Cell::Null;
            };
            read(
                dictionary.values().as_ref(),
                usize::try_from(key).expect("a key is an index"),
            )
        }
        _ => Cell::Opaque,
    }
}

fn elements(array: &dyn Array) -> Cell {
    Cell::List((0..array.len()).map(|index| read(array, index)).collect())
}

pub(crate) fn nanoseconds(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}
