//! What passes of a columnar stream, written in its format.

use arrow::datatypes::SchemaRef;

use super::StreamError;
use super::contain::contain;
use crate::guard::Guarded;
use crate::wire::buffer::Buffer;
use crate::wire::{BatchWriter, Format, WireError};

/// Writes what passes; the bytes are appended to what the caller gives.
pub(super) struct Outlet {
    format: Format,
    writer: Option<BatchWriter<Buffer>>,
    bytes: Buffer,
}

impl Outlet {
    pub(super) fn new(format: Format) -> Outlet {
        Outlet {
            format,
            writer: None,
            bytes: Buffer::default(),
        }
    }

    /// Appends what the format has before the first batch, unless that was written, and the rows.
    pub(super) fn write(
        &mut self,
        schema: &SchemaRef,
        rows: &Guarded,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamError> {
        let format = self.format;
        let result = contain(
            || "the encoder".to_owned(),
            || {
                let writer = self.open(schema)?;
                match rows.num_rows() {
                    0 => Ok(()),
                    _ => writer.write(rows.batch()),
                }
            },
        );
        self.bytes.append_to(out);
        written(format, result)
    }

    /// Appends what belongs at the end.
    pub(super) fn finish(
        &mut self,
        schema: &SchemaRef,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamError> {
        let format = self.format;
        let result = contain(
            || "the encoder".to_owned(),
            || {
                self.open(schema)?;
                match self.writer.take() {
                    Some(writer) => writer.finish(),
                    None => Ok(()),
                }
            },
        );
        self.bytes.append_to(out);
        written(format, result)
    }

    fn open(&mut self, schema: &SchemaRef) -> Result<&mut BatchWriter<Buffer>, WireError> {
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => BatchWriter::new(self.format, schema.clone(), self.bytes.clone())?,
        };
        Ok(self.writer.insert(writer))
    }
}

/// A panic of the encoder is an error of it.
fn written(
    format: Format,
    result: Result<Result<(), WireError>, StreamError>,
) -> Result<(), StreamError> {
    match result {
        Ok(result) => result.map_err(StreamError::Wire),
        Err(_) => Err(StreamError::Wire(WireError::Encode {
            format: format.name(),
            what: "the encoder gave up",
        })),
    }
}
