//! The answer to a query as bytes, piece by piece.
//!
//! JSON is a table here, `{"columns": [{"name", "type"}], "rows": [[...]]}`: a query may give two
//! columns the same name, and names are not said again in every row. The other formats are those
//! of records.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use arrow::json::writer::{EncoderOptions, make_encoder};
use serde_json::json;

use super::buffer::Buffer;
use super::{BatchWriter, Format, WireError, arrow_error, check_schema, for_json};
use crate::guard::Guarded;

/// Writes the rows of one answer in one format.
pub struct AnswerWriter {
    encoder: Encoder,
    bytes: Buffer,
}

enum Encoder {
    Table(Table),
    Records(Box<BatchWriter<Buffer>>),
}

impl AnswerWriter {
    /// Opens a writer for an answer of these columns.
    ///
    /// # Errors
    /// `Unsupported` if the format cannot hold one of the columns; `Repeated` if it cannot tell
    /// two of them apart.
    pub fn new(format: Format, schema: &Schema) -> Result<AnswerWriter, WireError> {
        let schema = names_and_types(schema);
        if matches!(format, Format::Ndjson | Format::Parquet) {
            check_names(format, &schema)?;
        }
        let bytes = Buffer::default();
        let encoder = match format {
            Format::Json => Encoder::Table(Table::new(&schema)?),
            format => Encoder::Records(Box::new(BatchWriter::new(format, schema, bytes.clone())?)),
        };
        Ok(AnswerWriter { encoder, bytes })
    }

    /// Appends what the format has before these rows, and the rows.
    ///
    /// # Errors
    /// `Value` or `Encode` if a row has no form in the format. The output is broken then.
    pub fn write(&mut self, rows: &Guarded, out: &mut Vec<u8>) -> Result<(), WireError> {
        match &mut self.encoder {
            Encoder::Table(table) => table.write(rows.batch(), out),
            Encoder::Records(writer) => {
                if rows.num_rows() > 0 {
                    writer.write(rows.batch())?;
                }
                self.bytes.append_to(out);
                Ok(())
            }
        }
    }

    /// Appends what belongs at the end.
    ///
    /// # Errors
    /// `Encode`.
    pub fn finish(self, out: &mut Vec<u8>) -> Result<(), WireError> {
        match self.encoder {
            Encoder::Table(table) => table.finish(out),
            Encoder::Records(writer) => {
                writer.finish()?;
                self.bytes.append_to(out);
            }
        }
        Ok(())
    }
}

/// The schema without whatever else a source may say in it, such as how many rows there are.
fn names_and_types(schema: &Schema) -> SchemaRef {
    let fields = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), field.data_type().clone(), true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn check_names(format: Format, schema: &Schema) -> Result<(), WireError> {
    let mut seen = HashSet::new();
    for field in schema.fields() {
        if !seen.insert(field.name()) {
            return Err(WireError::Repeated {
                format: format.name(),
                column: field.name().clone(),
            });
        }
    }
    Ok(())
}

/// An answer in JSON.
struct Table {
    columns: usize,
    /// What comes before the next row.
    before: Vec<u8>,
    options: EncoderOptions,
}

impl Table {
    fn new(schema: &SchemaRef) -> Result<Table, WireError> {
        check_schema(Format::Json, schema)?;
        let columns = schema
            .fields()
            .iter()
            .map(|field| json!({"name": field.name(), "type": field.data_type().to_string()}));
        let columns: Vec<_> = columns.collect();
        Ok(Table {
            before: format!("{{\"columns\":{},\"rows\":[", json!(columns)).into_bytes(),
            columns: columns.len(),
            options: EncoderOptions::default().with_explicit_nulls(true),
        })
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), WireError> {
        if batch.num_columns() != self.columns {
            return Err(WireError::Encode {
                format: Format::Json.name(),
                what: "the columns changed on the way",
            });
        }
        let batch = for_json(Format::Json, batch)?;
        let fields = batch.schema_ref().fields().iter();
        let mut columns = fields
            .zip(batch.columns())
            .map(|(field, column)| make_encoder(field, column, &self.options))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| arrow_error(Format::Json, error))?;
        for row in 0..batch.num_rows() {
            out.append(&mut self.before);
            self.before.push(b',');
            let mut opening = b'[';
            for column in &mut columns {
                out.push(opening);
                opening = b',';
                match column.is_null(row) {
                    true => out.extend_from_slice(b"null"),
                    false => column.encode(row, out),
                }
            }
            if columns.is_empty() {
                out.push(opening);
            }
            out.push(b']');
        }
        Ok(())
    }

    fn finish(mut self, out: &mut Vec<u8>) {
        if self.before != b"," {
            out.append(&mut self.before);
        }
        out.extend_from_slice(b"]}\n");
    }
}
