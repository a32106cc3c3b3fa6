//! What a message of an Arrow IPC stream declares, checked before anything of it is decoded.

use arrow::ipc::{
    BodyCompressionMethod, CompressionType, DictionaryBatch, Endianness, Field, Message,
    MessageHeader, MetadataVersion, RecordBatch, Schema,
};

use super::own_columns::malformed;
use super::{Limits, StreamError};

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Schema,
    Dictionary,
    Batch,
}

/// The kind of a message, and the length of its body.
///
/// Errors: it is none that a stream may have at this place, or its body is too large.
pub(super) fn head(
    message: &Message<'_>,
    number: u64,
    has_schema: bool,
    limits: &Limits,
) -> Result<(Kind, usize), StreamError> {
    let fault = |what: &str| Err(malformed(format!("message {number}: {what}")));
    if !matches!(message.version(), MetadataVersion::V4 | MetadataVersion::V5) {
        return fault("its format version is not read");
    }
    let kind = match (message.header_type(), has_schema) {
        (MessageHeader::Schema, false) => Kind::Schema,
        (MessageHeader::Schema, true) => return fault("a second schema"),
        (MessageHeader::DictionaryBatch, true) => Kind::Dictionary,
        (MessageHeader::RecordBatch, true) => Kind::Batch,
        (MessageHeader::DictionaryBatch | MessageHeader::RecordBatch, false) => {
            return fault("records before the schema");
        }
        _ => return fault("it is neither schema, dictionary nor records"),
    };
    let Ok(body) = usize::try_from(message.bodyLength()) else {
        return fault("its length is negative");
    };
    if kind == Kind::Schema && body > 0 {
        return fault("a schema with a body");
    }
    if body > limits.batch_bytes {
        return Err(StreamError::Limit {
            what: "bytes in one batch",
            most: limits.batch_bytes as u64,
        });
    }
    Ok((kind, body))
}

/// Whether a schema can be decoded: its parts may be there once and be referred to many times.
///
/// Errors: it is of another byte order, or larger than the limits.
pub(super) fn check_schema(schema: &Schema<'_>, limits: &Limits) -> Result<(), StreamError> {
    if schema.endianness() != Endianness::Little {
        return Err(malformed("the stream is not little-endian".into()));
    }
    let mut budget = Budget {
        columns: limits.columns,
        bytes: limits.batch_bytes,
        limits,
    };
    for pair in schema.custom_metadata().into_iter().flatten() {
        budget.text(pair.key())?;
        budget.text(pair.value())?;
    }
    for field in schema.fields().into_iter().flatten() {
        budget.field(&field, limits.nesting)?;
    }
    Ok(())
}

struct Budget<'a> {
    columns: usize,
    bytes: usize,
    limits: &'a Limits,
}

impl Budget<'_> {
    fn text(&mut self, text: Option<&str>) -> Result<(), StreamError> {
        // Something for the entry itself, so that empty ones have an end, too.
        let bytes = text.unwrap_or_default().len() + 8;
        self.bytes = self.bytes.checked_sub(bytes).ok_or(StreamError::Limit {
            what: "bytes in the schema",
            most: self.limits.batch_bytes as u64,
        })?;
        Ok(())
    }

    fn field(&mut self, field: &Field<'_>, levels: usize) -> Result<(), StreamError> {
        self.columns = self.columns.checked_sub(1).ok_or(StreamError::Limit {
            what: "columns",
            most: self.limits.columns as u64,
        })?;
        let levels = levels.checked_sub(1).ok_or(StreamError::Limit {
            what: "levels of nesting in one column",
            most: self.limits.nesting as u64,
        })?;
        self.text(field.name())?;
        if let Some(timestamp) = field.type_as_timestamp() {
            self.text(timestamp.timezone())?;
        }
        for pair in field.custom_metadata().into_iter().flatten() {
            self.text(pair.key())?;
            self.text(pair.value())?;
        }
        for child in field.children().into_iter().flatten() {
            self.field(&child, levels)?;
        }
        Ok(())
    }
}

/// How many bytes a batch becomes when it is decoded: parts of its body that several columns
/// refer to are counted for each.
///
/// Errors: it declares what its body does not have, or more than the limits allow.
pub(super) fn check_batch(
    batch: &RecordBatch<'_>,
    body: &[u8],
    name: &dyn Fn() -> String,
    limits: &Limits,
) -> Result<u64, StreamError> {
    let fault = |what: &str| Err(malformed(format!("{}: {what}", name())));
    let most = limits.batch_bytes as u64;
    // Columns without bytes, such as those of NULLs alone, may have any number of rows.
    let length = |length: i64| match u64::try_from(length) {
        Err(_) => fault("it declares a negative length"),
        Ok(length) if length > most => Err(StreamError::Limit {
            what: "rows in one batch",
            most,
        }),
        Ok(length) => Ok(length),
    };
    length(batch.length())?;
    // Also a column without bytes of its own costs something for each row.
    let mut held = 0u64;
    for node in batch.nodes().into_iter().flatten() {
        let rows = length(node.length())?;
        held = held.saturating_add(rows.div_ceil(8));
        if !u64::try_from(node.null_count()).is_ok_and(|nulls| nulls <= rows) {
            return fault("it declares more NULLs than rows");
        }
    }
    let compressed = match batch.compression() {
        None => false,
        // The decoder of LZ4 does not stop at the length that is declared.
        Some(compression) if compression.codec() == CompressionType::LZ4_FRAME => {
            return fault("it is compressed with LZ4: use zstd, or nothing");
        }
        Some(compression) if compression.method() == BodyCompressionMethod::BUFFER => true,
        Some(_) => return fault("it is compressed in a way that is not read"),
    };
    let buffers = batch.buffers().map_or(0, |buffers| buffers.len());
    for count in batch.variadicBufferCounts().into_iter().flatten() {
        if !usize::try_from(count).is_ok_and(|count| count <= buffers) {
            return fault("it declares more buffers than it has");
        }
    }
    let mut bytes = held;
    for buffer in batch.buffers().into_iter().flatten() {
        let part = usize::try_from(buffer.offset())
            .ok()
            .zip(usize::try_from(buffer.length()).ok())
            .and_then(|(start, length)| body.get(start..)?.get(..length));
        let Some(part) = part else {
            return fault("a buffer lies outside of it");
        };
        let decoded = match (compressed, part.split_first_chunk::<8>()) {
            (false, _) => part.len() as u64,
            (true, None) if part.is_empty() => 0,
            (true, None) => return fault("a compressed buffer lacks its length"),
            (true, Some((declared, rest))) => match i64::from_le_bytes(*declared) {
                -1 => rest.len() as u64,
                declared => match u64::try_from(declared) {
                    Ok(declared) => declared,
                    Err(_) => return fault("a compressed buffer declares a negative length"),
                },
            },
        };
        bytes = bytes.saturating_add(decoded);
    }
    if bytes > most {
        return Err(StreamError::Limit {
            what: "bytes in one batch",
            most,
        });
    }
    Ok(bytes)
}

/// The values of a dictionary message.
///
/// Errors: it has none.
pub(super) fn dictionary_values<'a>(
    dictionary: &DictionaryBatch<'a>,
    name: &dyn Fn() -> String,
) -> Result<RecordBatch<'a>, StreamError> {
    dictionary
        .data()
        .ok_or_else(|| malformed(format!("{}: it has no values", name())))
}
