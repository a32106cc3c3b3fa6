//! Record formats: Arrow batches to bytes and back.

pub mod answer;
mod buffer;
mod csv;
mod decimal;
pub mod json;
pub(crate) mod postgres;
pub mod stream;
mod time;

use std::io::Write;
use std::path::Path;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, make_array};
use arrow::compute::cast;
use arrow::datatypes::{DECIMAL256_MAX_PRECISION, DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, JsonFormat, LineDelimited, WriterBuilder};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::Deserialize;
use serde_json::value::RawValue;

pub(crate) use crate::guard::compact::compact_batch;

/// Rows and bytes after which a Parquet row group is closed, so that memory stays bounded
/// whatever the length of the stream.
const ROW_GROUP_ROWS: usize = 256 * 1024;
const ROW_GROUP_BYTES: usize = 64 << 20;

/// A way to write records down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object a line.
    Ndjson,
    /// One JSON array of objects.
    Json,
    /// Comma-separated values with a header line.
    Csv,
    /// The Arrow IPC stream.
    ArrowStream,
    /// Apache Parquet, compressed with zstd.
    Parquet,
}

impl Format {
    /// The format of a name as configurations use it.
    pub fn from_name(name: &str) -> Option<Format> {
        match name {
            "ndjson" => Some(Format::Ndjson),
            "json" => Some(Format::Json),
            "csv" => Some(Format::Csv),
            "arrow" => Some(Format::ArrowStream),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    }

    /// The format that a file's extension stands for, in either case.
    pub fn from_extension(path: &Path) -> Option<Format> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "ndjson" | "jsonl" => Some(Format::Ndjson),
            "json" => Some(Format::Json),
            "csv" => Some(Format::Csv),
            "arrow" | "arrows" => Some(Format::ArrowStream),
            "parquet" => Some(Format::Parquet),
            _ => None,
        }
    }

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Format::Ndjson => "ndjson",
            Format::Json => "json",
            Format::Csv => "csv",
            Format::ArrowStream => "arrow",
            Format::Parquet => "parquet",
        }
    }
}

/// Why records could not be written down. No value of a record is quoted.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The bytes could not be written.
    #[error("writing failed: {}", .0.kind())]
    Io(std::io::Error),
    /// The format has no place for a column's type.
    #[error("column `{column}` of type {data_type} cannot be written as {format}")]
    Unsupported {
        /// Name of the format.
        format: &'static str,
        /// The column.
        column: String,
        /// Its type.
        data_type: DataType,
    },
    /// A value has no text, such as a date beyond the calendar.
    #[error("column `{column}` holds a value that cannot be written as {format}")]
    Value {
        /// Name of the format.
        format: &'static str,
        /// The column.
        column: String,
    },
    /// A name comes twice, in a format that tells columns apart by their names.
    #[error("two columns are called `{column}`, which {format} cannot tell apart")]
    Repeated {
        /// Name of the format.
        format: &'static str,
        /// The name.
        column: String,
    },
    /// The records are not those that the writer was opened for, or the encoder failed.
    #[error("records cannot be written as {format}: {what}")]
    Encode {
        /// Name of the format.
        format: &'static str,
        /// What went wrong, without any value.
        what: &'static str,
    },
}

/// Writes batches of one schema in one format, for as long as the stream is.
pub struct BatchWriter<W: Write + Send> {
    format: Format,
    schema: SchemaRef,
    encoder: Encoder<W>,
}

enum Encoder<W: Write + Send> {
    Ndjson(arrow::json::Writer<W, LineDelimited>),
    Json(arrow::json::Writer<W, JsonArray>),
    Csv(csv::CsvWriter<W>),
    Arrow(StreamWriter<W>),
    Parquet(Box<ArrowWriter<W>>),
}

impl<W: Write + Send> BatchWriter<W> {
    /// Opens a writer for batches of a schema. It may write a header at once.
    ///
    /// # Errors
    /// `Unsupported` if the format cannot hold one of the columns; `Io`.
    pub fn new(format: Format, schema: SchemaRef, to: W) -> Result<Self, WireError> {
        check_schema(format, &schema)?;
        let encoder = match format {
            Format::Ndjson => Encoder::Ndjson(json_writer(to)),
            Format::Json => Encoder::Json(json_writer(to)),
            Format::Csv => Encoder::Csv(csv::CsvWriter::new(&schema, to).map_err(WireError::Io)?),
            Format::ArrowStream => Encoder::Arrow(
                StreamWriter::try_new(to, &schema).map_err(|error| arrow_error(format, error))?,
            ),
            Format::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
                    .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
                    .build();
                let writer = ArrowWriter::try_new(to, schema.clone(), Some(properties))
                    .map_err(|error| parquet_error(format, error))?;
                Encoder::Parquet(Box::new(writer))
            }
        };
        Ok(BatchWriter {
            format,
            schema,
            encoder,
        })
    }

    /// Writes a batch down. Its columns are those of the schema, in the same order.
    ///
    /// # Errors
    /// `Io`; `Value` or `Encode` if a record has no form in the format. The output is broken
    /// then, and must be given up.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), WireError> {
        let format = self.format;
        let batch =
            RecordBatch::try_new(self.schema.clone(), batch.columns().to_vec()).map_err(|_| {
                WireError::Encode {
                    format: format.name(),
                    what: "the columns changed on the way",
                }
            })?;
        match &mut self.encoder {
            Encoder::Ndjson(writer) => writer
                .write(&for_json(format, &batch)?)
                .map_err(|error| arrow_error(format, error)),
            Encoder::Json(writer) => writer
                .write(&for_json(format, &batch)?)
                .map_err(|error| arrow_error(format, error)),
            Encoder::Csv(writer) => writer.write(&batch),
            Encoder::Arrow(writer) => compact_batch(&batch)
                .and_then(|batch| writer.write(&batch))
                .map_err(|error| arrow_error(format, error)),
            Encoder::Parquet(writer) => writer
                .write(&batch)
                .map_err(|error| parquet_error(format, error)),
        }
    }

    /// Writes what belongs at the end, and flushes the output.
    ///
    /// # Errors
    /// `Io`; `Encode`.
    pub fn finish(self) -> Result<(), WireError> {
        let format = self.format;
        let failed = |error| arrow_error(format, error);
        let flushed = match self.encoder {
            Encoder::Ndjson(mut writer) => {
                writer.finish().map_err(failed)?;
                writer.get_mut().flush()
            }
            Encoder::Json(mut writer) => {
                writer.finish().map_err(failed)?;
                writer.get_mut().flush()
            }
            Encoder::Csv(writer) => writer.into_inner().flush(),
            Encoder::Arrow(mut writer) => {
                writer.finish().map_err(failed)?;
                writer.get_mut().flush()
            }
            Encoder::Parquet(mut writer) => {
                writer
                    .finish()
                    .map_err(|error| parquet_error(format, error))?;
                writer.inner_mut().flush()
            }
        };
        flushed.map_err(WireError::Io)
    }
}

/// The records of a batch as one JSON array, every NULL written out. NaN and the infinities,
/// which JSON does not have, are `null`; bytes are hexadecimal; decimals keep their digits.
///
/// # Errors
/// `Unsupported` for a type that JSON cannot hold; `Value` for a date beyond the calendar.
pub fn json_array(batch: &RecordBatch) -> Result<Vec<u8>, WireError> {
    check_schema(Format::Json, batch.schema_ref())?;
    let mut writer: arrow::json::Writer<Vec<u8>, JsonArray> =
        json_writer(Vec::with_capacity(batch.num_rows() * 128));
    let failed = |error| arrow_error(Format::Json, error);
    writer
        .write(&for_json(Format::Json, batch)?)
        .map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(writer.into_inner())
}

/// Every value of a column as JSON text, as [`json_array`] writes it.
///
/// # Errors
/// As there.
pub(crate) fn json_texts(column: &ArrayRef) -> Result<StringArray, WireError> {
    #[derive(Deserialize)]
    struct Row<'a> {
        #[serde(borrow)]
        v: Option<&'a RawValue>,
    }
    let format = Format::Json.name();
    let one =
        RecordBatch::try_from_iter_with_nullable([("v", column.clone(), true)]).map_err(|_| {
            WireError::Encode {
                format,
                what: "a column has no plain form",
            }
        })?;
    let bytes = json_array(&one)?;
    let rows: Vec<Row<'_>> = serde_json::from_slice(&bytes).map_err(|_| WireError::Value {
        format,
        column: "v".into(),
    })?;
    Ok(rows.iter().map(|row| row.v.map(RawValue::get)).collect())
}

/// Whether a format has a place for every column of a schema.
///
/// # Errors
/// `Unsupported`, naming the first column it has no place for.
pub fn check_schema(format: Format, schema: &SchemaRef) -> Result<(), WireError> {
    let fits = |data_type: &DataType| match format {
        Format::Json | Format::Ndjson => fits_json(data_type),
        Format::Csv => !data_type.is_nested() && fits_json(data_type),
        Format::ArrowStream => true,
        Format::Parquet => parquet::arrow::ArrowSchemaConverter::new()
            .convert(&arrow::datatypes::Schema::new(vec![
                arrow::datatypes::Field::new("column", data_type.clone(), true),
            ]))
            .is_ok(),
    };
    match schema
        .fields()
        .iter()
        .find(|field| !fits(field.data_type()))
    {
        None => Ok(()),
        Some(field) => Err(WireError::Unsupported {
            format: format.name(),
            column: field.name().clone(),
            data_type: field.data_type().clone(),
        }),
    }
}

fn fits_json(data_type: &DataType) -> bool {
    use DataType::{
        Dictionary, FixedSizeList, LargeList, LargeListView, List, ListView, Map, RunEndEncoded,
        Struct, Union,
    };
    match data_type {
        Union(..) => false,
        List(item)
        | LargeList(item)
        | ListView(item)
        | LargeListView(item)
        | FixedSizeList(item, _) => fits_json(item.data_type()),
        Struct(fields) => fields.iter().all(|field| fits_json(field.data_type())),
        Map(entries, _) => match entries.data_type() {
            Struct(fields) => match fields.as_ref() {
                [key, value] => key.data_type().is_string() && fits_json(value.data_type()),
                _ => false,
            },
            _ => false,
        },
        Dictionary(_, value) => fits_json(value),
        RunEndEncoded(_, value) => fits_json(value.data_type()),
        _ => true,
    }
}

fn json_writer<W: Write, F: JsonFormat>(to: W) -> arrow::json::Writer<W, F> {
    WriterBuilder::new().with_explicit_nulls(true).build(to)
}

/// A batch that the JSON encoder writes faithfully: it takes a dictionary's NULL values for
/// text, writes an error's message in place of a date that it cannot show, and zero as `000` where
/// a decimal's scale is -2.
fn for_json(format: Format, batch: &RecordBatch) -> Result<RecordBatch, WireError> {
    for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
        if !time::has_text(column) {
            return Err(WireError::Value {
                format: format.name(),
                column: field.name().clone(),
            });
        }
    }
    let as_it_is = |column: &ArrayRef| plain_type(column.data_type()).is_none();
    if batch.columns().iter().all(as_it_is) {
        return Ok(batch.clone());
    }
    let plain: Vec<_> = batch
        .schema_ref()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| (field.name(), plain(column), true))
        .collect();
    RecordBatch::try_from_iter_with_nullable(plain).map_err(|_| WireError::Encode {
        format: format.name(),
        what: "a column has no plain form",
    })
}

/// A column in the form in which it is written as text.
pub(crate) fn plain(column: &ArrayRef) -> ArrayRef {
    match plain_type(column.data_type()) {
        // Casting to the value's own type cannot fail; were it to, the column stays as it is.
        Some(plain) => cast(column, &plain).unwrap_or_else(|_| make_array(column.to_data())),
        None => column.clone(),
    }
}

/// The type of that form: no dictionary or run-length encoding, and decimals of scale 0 or more.
/// `None` where the column has it already.
fn plain_type(data_type: &DataType) -> Option<DataType> {
    use DataType::{
        Decimal32, Decimal64, Decimal128, Decimal256, Dictionary, Float16, Float32, RunEndEncoded,
    };
    match data_type {
        Dictionary(_, value) => Some(plain_type(value).unwrap_or_else(|| value.as_ref().clone())),
        RunEndEncoded(_, value) => {
            let value = value.data_type();
            Some(plain_type(value).unwrap_or_else(|| value.clone()))
        }
        Float16 => Some(Float32),
        Decimal32(digits, scale)
        | Decimal64(digits, scale)
        | Decimal128(digits, scale)
        | Decimal256(digits, scale)
            if *scale < 0 =>
        {
            let digits = digits.saturating_add(scale.unsigned_abs());
            Some(Decimal256(digits.min(DECIMAL256_MAX_PRECISION), 0))
        }
        _ => None,
    }
}

fn arrow_error(format: Format, error: ArrowError) -> WireError {
    match error {
        ArrowError::IoError(_, error) => WireError::Io(error),
        // Anything else may quote a value.
        _ => WireError::Encode {
            format: format.name(),
            what: "the encoder refused them",
        },
    }
}

fn parquet_error(format: Format, error: ParquetError) -> WireError {
    match error {
        ParquetError::External(error) => match error.downcast::<std::io::Error>() {
            Ok(error) => WireError::Io(*error),
            Err(_) => WireError::Encode {
                format: format.name(),
                what: "the encoder refused them",
            },
        },
        _ => WireError::Encode {
            format: format.name(),
            what: "the encoder refused them",
        },
    }
}

#[cfg(test)]
mod tests;
