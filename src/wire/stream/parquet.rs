//! Parquet: what it holds is told at its end, so it is kept in a temporary file until then;
//! decoded and validated in full by `parquet`, and written again.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::ipc::convert::MessageBuffer;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use parquet::arrow::ARROW_SCHEMA_META_KEY;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, ConvertedType, Type};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};

use super::arrow_message::check_schema;
use super::contain::{contain, decode};
use super::outlet::Outlet;
use super::own_columns::{OwnColumns, malformed};
use super::parquet_pages::{MOST_ROWS, weigh};
use super::portion::Portions;
use super::thrift::{STRUCT, Thrift};
use super::{Batch, Columns, Limits, Next, Records, StreamError, Wanted};
use crate::guard::Judgement;
use crate::wire::Format;

/// Bytes that are taken in at a time.
const PIECE: usize = 256 * 1024;
/// What a Parquet file ends with, behind the length of its footer.
const MAGIC: [u8; 4] = *b"PAR1";
/// Decoded bytes for each byte of the file, and rows, where there are more than a row group may
/// have.
const MOST_RATIO: u64 = 1_000;
const RATIO_FROM: u64 = 256 << 20;

pub(super) struct Parquet {
    limits: Limits,
    piece: Vec<u8>,
    spool: Option<File>,
    size: u64,
    /// What is known once the file is whole.
    opened: Option<Opened>,
    ended: bool,
    /// Decoded and not given out yet.
    portions: Portions,
    /// What was given out last, and how many rows came before it.
    current: Option<RecordBatch>,
    rows_before: u64,
    rows: u64,
    outlet: Outlet,
}

struct Opened {
    file: Arc<File>,
    columns: OwnColumns,
    /// How the file is decoded: texts as references, so that one that stands in the file once and
    /// in many rows is not copied for each of them before anybody has looked at its size.
    metadata: ArrowReaderMetadata,
    /// Whether there may be texts that the decoder does not validate.
    unchecked: bool,
    group: usize,
    reader: Option<ParquetRecordBatchReader>,
    batch: u64,
    /// Bytes that the row groups so far become.
    decoded: u64,
}

impl Parquet {
    pub(super) fn new(limits: Limits) -> Parquet {
        Parquet {
            limits,
            piece: Vec::new(),
            spool: None,
            size: 0,
            opened: None,
            ended: false,
            portions: Portions::default(),
            current: None,
            rows_before: 0,
            rows: 0,
            outlet: Outlet::new(Format::Parquet),
        }
    }

    fn give(&mut self) -> Result<Option<Next>, StreamError> {
        let Some(opened) = &self.opened else {
            return Ok(None);
        };
        let (number, schema) = (opened.batch, opened.columns.schema());
        let name = || format!("batch {number}");
        let (portions, limits) = (&mut self.portions, &self.limits);
        let rows = contain(name, || match portions.take(limits)? {
            Some((rows, _)) => decode(name, || declared(&rows, schema)).map(Some),
            None => Ok(None),
        })??;
        let Some(rows) = rows else {
            return Ok(None);
        };
        self.rows_before = self.rows;
        self.rows += rows.num_rows() as u64;
        self.current = Some(rows.clone());
        Ok(Some(Next::Batch(Batch {
            rows,
            invalid: Vec::new(),
        })))
    }
}

impl Opened {
    fn new(mut file: File, size: u64, limits: &Limits) -> Result<Opened, StreamError> {
        check_footer(&mut file, size, limits)?;
        let what = || "the footer".to_owned();
        let metadata = decode(what, || {
            ParquetMetaDataReader::new()
                .with_column_index_policy(PageIndexPolicy::Skip)
                .with_offset_index_policy(PageIndexPolicy::Skip)
                .parse_and_finish(&file)
        })?;
        check_declared(&metadata, size, limits)?;
        let metadata = Arc::new(metadata);
        // The decoder validates what is marked as text in the oldest of three ways alone.
        let texts = metadata.file_metadata().schema_descr().columns().iter();
        let unchecked = texts
            .filter(|column| column.physical_type() == Type::BYTE_ARRAY)
            .any(|column| column.converted_type() != ConvertedType::UTF8);
        let declared = decode(what, || {
            ArrowReaderMetadata::try_new(metadata.clone(), ArrowReaderOptions::new())
        })?;
        // Whatever else the file says about itself may speak of records that do not pass.
        let schema = Arc::new(Schema::new(declared.schema().fields().clone()));
        let columns = OwnColumns::new(schema.clone(), limits)?;
        let references = Arc::new(Schema::new(referring(schema.fields())));
        let metadata = decode(what, || {
            let options = ArrowReaderOptions::new().with_schema(references);
            ArrowReaderMetadata::try_new(metadata, options)
        })?;
        Ok(Opened {
            file: Arc::new(file),
            columns,
            metadata,
            unchecked,
            group: 0,
            reader: None,
            batch: 0,
            decoded: 0,
        })
    }

    /// Decodes on until there is something; `false` at the end.
    fn decode(
        &mut self,
        size: u64,
        limits: &Limits,
        into: &mut Portions,
    ) -> Result<bool, StreamError> {
        loop {
            let Some(reader) = &mut self.reader else {
                if !self.next_group(size, limits)? {
                    return Ok(false);
                }
                continue;
            };
            let number = self.batch + 1;
            let name = || format!("batch {number}");
            match decode(name, || reader.next().transpose())? {
                None => self.reader = None,
                Some(batch) => {
                    self.batch = number;
                    let unchecked = self.unchecked;
                    contain(name, || {
                        for column in batch.columns().iter().filter(|_| unchecked) {
                            decode(name, || column.to_data().validate_full())?;
                        }
                        Ok::<_, StreamError>(())
                    })??;
                    into.put(batch);
                    if !into.is_empty() {
                        return Ok(true);
                    }
                }
            }
        }
    }

    fn next_group(&mut self, size: u64, limits: &Limits) -> Result<bool, StreamError> {
        let group = self.group;
        let Some(declared) = self.metadata.metadata().row_groups().get(group) else {
            return Ok(false);
        };
        self.group += 1;
        let name = || format!("row group {}", group + 1);
        let weight = contain(name, || {
            weigh(&self.file, size, declared, group + 1, limits)
        })??;
        self.decoded = self.decoded.saturating_add(weight.bytes);
        if self.decoded > RATIO_FROM && self.decoded / MOST_RATIO > size {
            return Err(StreamError::Limit {
                what: "times the compressed size after decompression",
                most: MOST_RATIO,
            });
        }
        // As many rows as fit into a batch, going by their average and by what a row is at least.
        let rows = u64::try_from(declared.num_rows()).unwrap_or(0).max(1);
        let row = (weight.bytes / rows).max(weight.row).max(1);
        let most = limits.batch_bytes as u64 / row;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let batch_rows = most.min(limits.batch_rows).max(1);
        let reader = decode(name, || {
            let file = self.file.try_clone()?;
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_batch_size(batch_rows)
                .build()
        })?;
        self.reader = Some(reader);
        Ok(true)
    }
}

/// A file ends with its footer, the footer's length and the magic number; no list of the footer
/// is longer than its bytes.
fn check_footer(file: &mut File, size: u64, limits: &Limits) -> Result<(), StreamError> {
    let io = |error: std::io::Error| StreamError::Io(error.kind());
    let not_parquet = || malformed("the file is cut off, or not Parquet".into());
    let mut start = [0; 4];
    let mut tail = [0; 8];
    if size < 12 {
        return Err(not_parquet());
    }
    file.seek(SeekFrom::Start(0)).map_err(io)?;
    file.read_exact(&mut start).map_err(io)?;
    file.seek(SeekFrom::End(-8)).map_err(io)?;
    file.read_exact(&mut tail).map_err(io)?;
    let [a, b, c, d, magic @ ..] = tail;
    if magic != MAGIC || start != MAGIC {
        return Err(not_parquet());
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if length > size - 12 {
        return Err(not_parquet());
    }
    if length > limits.batch_bytes as u64 {
        return Err(StreamError::Limit {
            what: "bytes in the Parquet footer",
            most: limits.batch_bytes as u64,
        });
    }
    file.seek(SeekFrom::Start(size - 8 - length)).map_err(io)?;
    Thrift::new(BufReader::new(file), length)
        .skip(STRUCT)
        .map_err(|_| malformed("the footer of the Parquet file is damaged or too large".into()))
}

/// What the footer declares is within the limits.
fn check_declared(
    metadata: &ParquetMetaData,
    size: u64,
    limits: &Limits,
) -> Result<(), StreamError> {
    let file = metadata.file_metadata();
    if file.schema_descr().num_columns() > limits.columns {
        return Err(StreamError::Limit {
            what: "columns",
            most: limits.columns as u64,
        });
    }
    let int96 = file
        .schema_descr()
        .columns()
        .iter()
        .find(|column| column.physical_type() == Type::INT96);
    if let Some(column) = int96 {
        return Err(malformed(format!(
            "column \"{}\" is of the deprecated type INT96, whose dates beyond 2262 are read as others: write it as a timestamp in microseconds",
            column.path().string()
        )));
    }
    let chunks = metadata
        .row_groups()
        .iter()
        .flat_map(|group| group.columns());
    for chunk in chunks {
        if matches!(
            chunk.compression(),
            Compression::BROTLI(_) | Compression::LZ4
        ) {
            return Err(malformed(format!(
                "column \"{}\" is compressed with Brotli or the deprecated LZ4, which do not stop at the size they declare: use zstd, Snappy, gzip or LZ4_RAW",
                chunk.column_path().string()
            )));
        }
    }
    let rows = metadata.row_groups().iter().fold(0u64, |sum, group| {
        sum.saturating_add(u64::try_from(group.num_rows()).unwrap_or(u64::MAX))
    });
    if rows > MOST_ROWS && rows / MOST_RATIO > size {
        return Err(StreamError::Limit {
            what: "rows for each byte of the file",
            most: MOST_RATIO,
        });
    }
    let pairs = file.key_value_metadata().into_iter().flatten();
    for pair in pairs.filter(|pair| pair.key == ARROW_SCHEMA_META_KEY) {
        let what = || "the Arrow schema in the footer".to_owned();
        let text = pair.value.as_deref().unwrap_or_default();
        let bytes = decode(what, || BASE64_STANDARD.decode(text))?;
        // The length is before it, as in a stream.
        let bytes = match bytes.split_first_chunk::<8>() {
            Some(([0xff, 0xff, 0xff, 0xff, ..], rest)) => rest,
            _ => bytes.as_slice(),
        };
        let message = decode(what, || MessageBuffer::try_new(bytes.into()))?;
        let message = message.as_ref();
        if let Some(schema) = decode(what, || Ok::<_, ()>(message.header_as_schema()))? {
            check_schema(&schema, limits)?;
        }
    }
    Ok(())
}

/// Fields with references to texts in place of texts.
fn referring(fields: &Fields) -> Fields {
    let refer = |field: &FieldRef| -> FieldRef {
        let field = Field::clone(field);
        let data_type = refer_to(field.data_type());
        Arc::new(field.with_data_type(data_type))
    };
    fields.iter().map(refer).collect()
}

fn refer_to(data_type: &DataType) -> DataType {
    let item = |field: &FieldRef| -> FieldRef {
        let data_type = refer_to(field.data_type());
        Arc::new(Field::clone(field).with_data_type(data_type))
    };
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::Dictionary(_, value) => match refer_to(value) {
            view @ (DataType::Utf8View | DataType::BinaryView) => view,
            _ => data_type.clone(),
        },
        DataType::List(field) => DataType::List(item(field)),
        DataType::LargeList(field) => DataType::LargeList(item(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(item(field), *size),
        DataType::ListView(field) => DataType::ListView(item(field)),
        DataType::LargeListView(field) => DataType::LargeListView(item(field)),
        DataType::Map(field, sorted) => DataType::Map(item(field), *sorted),
        DataType::Struct(fields) => DataType::Struct(referring(fields)),
        other => other.clone(),
    }
}

/// A batch with the types that the file declares.
fn declared(
    batch: &RecordBatch,
    schema: &SchemaRef,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let strict = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(
        |(column, field)| match column.data_type() == field.data_type() {
            true => Ok(column.clone()),
            false => cast_with_options(column, field.data_type(), &strict),
        },
    );
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)
}

impl Records for Parquet {
    fn space(&mut self) -> &mut [u8] {
        if self.ended {
            return &mut [];
        }
        self.piece.resize(PIECE, 0);
        &mut self.piece
    }

    fn filled(&mut self, bytes: usize) -> Result<(), StreamError> {
        let io = |error: std::io::Error| StreamError::Io(error.kind());
        let spool = match self.spool.take() {
            Some(spool) => spool,
            None => tempfile::tempfile().map_err(io)?,
        };
        let spool = self.spool.insert(spool);
        let piece = self.piece.get(..bytes).unwrap_or(&self.piece);
        spool.write_all(piece).map_err(io)?;
        self.size += piece.len() as u64;
        Ok(())
    }

    fn end(&mut self) -> Result<(), StreamError> {
        self.ended = true;
        self.piece = Vec::new();
        let Some(file) = self.spool.take() else {
            return Err(malformed("no Parquet file came".into()));
        };
        self.opened = Some(Opened::new(file, self.size, &self.limits)?);
        Ok(())
    }

    fn columns(&self) -> Columns {
        match &self.opened {
            Some(opened) => Columns::Typed(opened.columns.schema().clone()),
            None => Columns::Unknown,
        }
    }

    fn next(&mut self, wanted: &Wanted, _flush: bool) -> Result<Next, StreamError> {
        self.current = None;
        // Behind an error nothing is left.
        let Some(mut opened) = self.opened.take() else {
            return Ok(Next::Hungry);
        };
        opened.columns.compare(wanted)?;
        let more = !self.portions.is_empty()
            || opened.decode(self.size, &self.limits, &mut self.portions)?;
        self.opened = Some(opened);
        match more {
            true => Ok(self.give()?.unwrap_or(Next::Hungry)),
            false => Ok(Next::End),
        }
    }

    fn line_of(&self, row: usize) -> u64 {
        self.rows_before + row as u64 + 1
    }

    fn bytes_of(&self, _row: usize) -> Option<&[u8]> {
        None
    }

    fn release(&mut self, judgement: &Judgement, out: &mut Vec<u8>) -> Result<(), StreamError> {
        let (Some(batch), Some(opened)) = (self.current.take(), &self.opened) else {
            return Ok(());
        };
        let passing = judgement.guard(&batch)?;
        self.outlet.write(opened.columns.schema(), &passing, out)
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), StreamError> {
        match &self.opened {
            Some(opened) => self.outlet.finish(opened.columns.schema(), out),
            None => Ok(()),
        }
    }
}
