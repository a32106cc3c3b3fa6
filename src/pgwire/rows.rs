//! Rows of an answer as the messages that carry them.

use std::ops::Range;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use bytes::{BufMut, BytesMut};

use super::binary::{self, put_sized, set_length};
use super::column::{Column, Unwritable, is_writable};
use super::text;
use crate::guard::session::{FaultKind, QueryFault};

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Format {
    Text,
    Binary,
}

impl Format {
    /// What writes a value that is not NULL.
    fn put(self) -> fn(&Column, usize, &mut BytesMut) -> Result<(), Unwritable> {
        match self {
            Format::Text => text::put::<BytesMut>,
            Format::Binary => binary::put,
        }
    }
}

/// Writes the rows of one answer.
#[derive(Debug)]
pub(super) struct RowWriter {
    schema: SchemaRef,
    formats: Vec<Format>,
}

impl RowWriter {
    /// A writer for rows of a schema, with one format for each column.
    ///
    /// # Errors
    /// `Unsupported` if values of a column have no form.
    pub(super) fn new(schema: &Schema, formats: &[Format]) -> Result<RowWriter, QueryFault> {
        check(schema)?;
        if formats.len() != schema.fields().len() {
            return Err(QueryFault::new(
                FaultKind::Internal,
                "the answer has not as many columns as formats",
            ));
        }
        Ok(RowWriter {
            schema: schema.clone().into(),
            formats: formats.to_vec(),
        })
    }

    /// Appends a `DataRow` for each of the rows.
    ///
    /// # Errors
    /// `Computation` if PostgreSQL cannot hold a value. What was appended then are the whole
    /// messages of the rows before.
    pub(super) fn write(
        &self,
        batch: &RecordBatch,
        rows: Range<usize>,
        out: &mut BytesMut,
    ) -> Result<(), QueryFault> {
        let columns = columns(&self.schema, batch, rows.clone())?;
        let count = field_count(columns.len())?;
        for row in 0..rows.len() {
            let start = out.len();
            out.put_u8(b'D');
            out.put_i32(0);
            out.put_i16(count);
            let mut fields = columns.iter().zip(&self.formats);
            let written = fields
                .try_for_each(|(column, format)| column.put_sized(row, format.put(), out))
                .and_then(|()| close(out, start));
            if let Err(fault) = written {
                out.truncate(start);
                return Err(fault);
            }
        }
        Ok(())
    }
}

/// One column of a batch, and the field that it belongs to.
pub(super) struct NamedColumn<'a> {
    field: &'a Field,
    pub(super) column: Column,
}

impl NamedColumn<'_> {
    /// Appends a value after its length, or the length -1 for a NULL.
    pub(super) fn put_sized(
        &self,
        row: usize,
        put: fn(&Column, usize, &mut BytesMut) -> Result<(), Unwritable>,
        out: &mut BytesMut,
    ) -> Result<(), QueryFault> {
        put_sized(&self.column, row, out, put).map_err(|why| why.in_column(self.field))
    }

    /// Appends the text of a value that is not NULL.
    pub(super) fn put_text(&self, row: usize, out: &mut String) -> Result<(), QueryFault> {
        text::put(&self.column, row, out).map_err(|why| why.in_column(self.field))
    }
}

/// Some rows of a batch of a schema, taken apart.
pub(super) fn columns<'a>(
    schema: &'a Schema,
    batch: &RecordBatch,
    rows: Range<usize>,
) -> Result<Vec<NamedColumn<'a>>, QueryFault> {
    let fits = rows.start <= rows.end
        && rows.end <= batch.num_rows()
        && batch.num_columns() == schema.fields().len();
    if !fits {
        return Err(QueryFault::new(
            FaultKind::Internal,
            "the rows are not those of the answer",
        ));
    }
    let columns = batch.columns().iter().zip(schema.fields());
    columns
        .map(|(array, field)| {
            let column = Column::of(&array.slice(rows.start, rows.len()))
                .map_err(|why| why.in_column(field))?;
            Ok(NamedColumn { field, column })
        })
        .collect()
}

/// Writes the length of a message that began at `start` with its letter.
pub(super) fn close(out: &mut BytesMut, start: usize) -> Result<(), QueryFault> {
    set_length(out, start + 1, out.len() - start - 1).map_err(|_| {
        QueryFault::new(
            FaultKind::Computation,
            "a row is longer than 2 GiB: ask for fewer columns",
        )
    })
}

/// Whether values of every column have a form.
pub(super) fn check(schema: &Schema) -> Result<(), QueryFault> {
    field_count(schema.fields().len())?;
    match schema
        .fields()
        .iter()
        .find(|field| !is_writable(field.data_type()))
    {
        None => Ok(()),
        Some(field) => Err(Unwritable::Type.in_column(field)),
    }
}

pub(super) fn field_count(columns: usize) -> Result<i16, QueryFault> {
    i16::try_from(columns).map_err(|_| {
        QueryFault::new(
            FaultKind::Unsupported,
            format!("the answer has {columns} columns, more than the 32767 that rows can have"),
        )
    })
}
