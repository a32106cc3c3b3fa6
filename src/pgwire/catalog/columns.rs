//! Rows become tables: how columns are declared, and how they are built.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float32Array, Float64Array, Int16Array, Int16Builder,
    Int32Array, Int32Builder, Int64Array, ListBuilder, RecordBatch, StringArray, StringBuilder,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::query::QueryError;

/// A table of a catalog.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table {
    /// Its name.
    pub(super) name: &'static str,
    /// Whether it never has a row, so that statements over it need not be evaluated.
    pub(super) empty: bool,
    /// Its columns, `name:type` each.
    columns: &'static str,
}

impl Table {
    /// A table with rows.
    pub(super) const fn new(name: &'static str, columns: &'static str) -> Table {
        Table {
            name,
            empty: false,
            columns,
        }
    }

    /// A table that is there for clients which ask, and never has a row.
    pub(super) const fn empty(name: &'static str, columns: &'static str) -> Table {
        Table {
            name,
            empty: true,
            columns,
        }
    }

    /// Its columns with their types in PostgreSQL.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.columns
            .split_whitespace()
            .filter_map(|column| column.split_once(':'))
    }

    /// Its rows as a batch.
    pub(super) fn batch(&self, rows: &[Row]) -> Result<RecordBatch, QueryError> {
        let (fields, arrays): (Vec<_>, Vec<_>) = self
            .columns()
            .map(|(name, kind)| {
                let cells: Vec<Option<&Cell>> = rows
                    .iter()
                    .map(|row| {
                        row.iter()
                            .find(|(column, _)| *column == name)
                            .map(|(_, cell)| cell)
                    })
                    .collect();
                let array = array(kind, &cells);
                (Field::new(name, array.data_type().clone(), true), array)
            })
            .unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .map_err(|_| QueryError::Internal)
    }
}

/// A row: the columns that are not at their default. Numbers default to 0, flags to false, single
/// characters to none, everything else to NULL.
pub(super) type Row = Vec<(&'static str, Cell)>;

/// A value of a row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// NULL.
    Null,
    /// A flag.
    Bool(bool),
    /// A whole number of any width.
    Int(i64),
    /// A text, a name or a single character.
    Text(String),
    /// Several numbers.
    Ints(Vec<i64>),
}

impl From<bool> for Cell {
    fn from(value: bool) -> Cell {
        Cell::Bool(value)
    }
}

impl From<i32> for Cell {
    fn from(value: i32) -> Cell {
        Cell::Int(value.into())
    }
}

impl From<i16> for Cell {
    fn from(value: i16) -> Cell {
        Cell::Int(value.into())
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Cell {
        Cell::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Cell {
        Cell::Text(value)
    }
}

impl From<char> for Cell {
    fn from(value: char) -> Cell {
        Cell::Text(value.to_string())
    }
}

impl From<Vec<i64>> for Cell {
    fn from(value: Vec<i64>) -> Cell {
        Cell::Ints(value)
    }
}

impl From<Option<i32>> for Cell {
    fn from(value: Option<i32>) -> Cell {
        value.map_or(Cell::Null, Cell::from)
    }
}

fn array(kind: &str, cells: &[Option<&Cell>]) -> ArrayRef {
    let cells = cells.iter().copied();
    match kind {
        "bool" => Arc::new(BooleanArray::from_iter(cells.map(|cell| match cell {
            None => Some(false),
            Some(Cell::Bool(value)) => Some(*value),
            Some(_) => None,
        }))),
        "int2" => Arc::new(Int16Array::from_iter(cells.map(|cell| {
            int(cell, Some(0)).and_then(|value| i16::try_from(value).ok())
        }))),
        // An id is a number below 2^31 here, so that it is sent as the same four bytes.
        "oid" | "int4" | "xid" => {
            Arc::new(Int32Array::from_iter(cells.map(|cell| {
                int(cell, Some(0)).and_then(|value| i32::try_from(value).ok())
            })))
        }
        "cardinal" => {
            Arc::new(Int32Array::from_iter(cells.map(|cell| {
                int(cell, None).and_then(|value| i32::try_from(value).ok())
            })))
        }
        "int8" => Arc::new(Int64Array::from_iter(cells.map(|cell| int(cell, Some(0))))),
        "float4" => Arc::new(Float32Array::from_iter(
            cells.map(|cell| int(cell, Some(0)).map(|value| value as f32)),
        )),
        "float8" => Arc::new(Float64Array::from_iter(
            cells.map(|cell| int(cell, Some(0)).map(|value| value as f64)),
        )),
        "timestamptz" => {
            let none = std::iter::repeat_n(None::<i64>, cells.len());
            Arc::new(TimestampMicrosecondArray::from_iter(none).with_timezone("UTC"))
        }
        "bytea" => Arc::new(BinaryArray::from_iter(cells.map(|_| None::<Vec<u8>>))),
        "int2vector" | "int2[]" => {
            let mut lists = ListBuilder::new(Int16Builder::new());
            for cell in cells {
                lists.append_option(
                    ints(cell).map(|items| items.into_iter().map(|item| i16::try_from(item).ok())),
                );
            }
            Arc::new(lists.finish())
        }
        "oidvector" | "oid[]" => {
            let mut lists = ListBuilder::new(Int32Builder::new());
            for cell in cells {
                lists.append_option(
                    ints(cell).map(|items| items.into_iter().map(|item| i32::try_from(item).ok())),
                );
            }
            Arc::new(lists.finish())
        }
        kind if kind.ends_with("[]") => {
            let mut lists = ListBuilder::new(StringBuilder::new());
            for _ in cells {
                lists.append_null();
            }
            Arc::new(lists.finish())
        }
        "char" => Arc::new(StringArray::from_iter(cells.map(|cell| match cell {
            None => Some(""),
            Some(Cell::Text(value)) => Some(value.as_str()),
            Some(_) => None,
        }))),
        _ => Arc::new(StringArray::from_iter(cells.map(|cell| match cell {
            Some(Cell::Text(value)) => Some(value.as_str()),
            _ => None,
        }))),
    }
}

fn int(cell: Option<&Cell>, default: Option<i64>) -> Option<i64> {
    match cell {
        None => default,
        Some(Cell::Int(value)) => Some(*value),
        Some(_) => None,
    }
}

fn ints(cell: Option<&Cell>) -> Option<Vec<i64>> {
    match cell {
        Some(Cell::Ints(items)) => Some(items.clone()),
        _ => None,
    }
}

/// Whether values of a type are arrays.
pub(super) fn is_array(kind: &str) -> bool {
    kind.ends_with("[]") || is_vector(kind)
}

/// Whether values of a type are arrays whose first element has the number 0.
pub(super) fn is_vector(kind: &str) -> bool {
    matches!(kind, "int2vector" | "oidvector")
}

/// Whether arrays of a type are always NULL here: nothing has privileges or options of its own.
pub(super) fn is_always_null(kind: &str) -> bool {
    kind.ends_with("[]") && !matches!(kind, "int2[]" | "oid[]")
}

/// The data type of texts in a list, as the tables have it.
pub(super) fn text_list() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

/// The data type of times.
pub(super) fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}
