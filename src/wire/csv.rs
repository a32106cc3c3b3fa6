//! CSV as RFC 4180 has it, with a header line. NULL is an empty field and empty text is `""`,
//! so that the two stay apart.

use std::io::Write;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::WireError;

/// Bytes gathered before they are handed on.
const CHUNK: usize = 64 * 1024;

pub(super) struct CsvWriter<W> {
    to: W,
    buffer: Vec<u8>,
}

impl<W: Write> CsvWriter<W> {
    pub(super) fn new(schema: &SchemaRef, mut to: W) -> std::io::Result<Self> {
        let mut buffer = Vec::with_capacity(CHUNK + 4096);
        for (index, field) in schema.fields().iter().enumerate() {
            if index > 0 {
                buffer.push(b',');
            }
            push_text(&mut buffer, field.name());
        }
        buffer.push(b'\n');
        to.write_all(&buffer)?;
        buffer.clear();
        Ok(CsvWriter { to, buffer })
    }

    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), WireError> {
        let options = FormatOptions::new().with_display_error(false);
        let columns: Vec<ArrayRef> = batch.columns().iter().map(super::plain).collect();
        let mut formatters = Vec::with_capacity(columns.len());
        for (column, field) in columns.iter().zip(batch.schema_ref().fields()) {
            let formatter =
                ArrayFormatter::try_new(column, &options).map_err(|_| WireError::Unsupported {
                    format: "csv",
                    column: field.name().clone(),
                    data_type: field.data_type().clone(),
                })?;
            let quoted = matches!(
                column.data_type(),
                DataType::Utf8
                    | DataType::LargeUtf8
                    | DataType::Utf8View
                    | DataType::Binary
                    | DataType::LargeBinary
                    | DataType::BinaryView
                    | DataType::FixedSizeBinary(_)
            );
            formatters.push((formatter, column.logical_nulls(), quoted, field.name()));
        }
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            for (index, (formatter, nulls, quoted, name)) in formatters.iter().enumerate() {
                if index > 0 {
                    self.buffer.push(b',');
                }
                if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                    // Readers skip a line with nothing on it: the record would be lost.
                    if formatters.len() == 1 {
                        self.buffer.extend_from_slice(b"\"\"");
                    }
                    continue;
                }
                text.clear();
                formatter
                    .value(row)
                    .write(&mut text)
                    .map_err(|_| WireError::Value {
                        format: "csv",
                        column: (*name).clone(),
                    })?;
                match quoted {
                    true => push_text(&mut self.buffer, &text),
                    false => self.buffer.extend_from_slice(text.as_bytes()),
                }
            }
            self.buffer.push(b'\n');
            if self.buffer.len() >= CHUNK {
                self.to.write_all(&self.buffer).map_err(WireError::Io)?;
                self.buffer.clear();
            }
        }
        self.to.write_all(&self.buffer).map_err(WireError::Io)?;
        self.buffer.clear();
        Ok(())
    }

    pub(super) fn into_inner(self) -> W {
        self.to
    }
}

fn push_text(to: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    if !bytes.is_empty()
        && !bytes
            .iter()
            .any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r'))
    {
        to.extend_from_slice(bytes);
        return;
    }
    to.push(b'"');
    for byte in bytes {
        if *byte == b'"' {
            to.push(b'"');
        }
        to.push(*byte);
    }
    to.push(b'"');
}
