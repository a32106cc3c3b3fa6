//! Batches as bytes in each format, and back by readers that are not ours.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::csv::ReaderBuilder as CsvReader;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::json::ReaderBuilder as JsonReader;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::value::RawValue;
use syncguard::wire::{BatchWriter, Format};

/// What the bodies of a format are declared as.
pub(crate) fn content_type(format: Format) -> &'static str {
    match format {
        Format::Ndjson => "application/x-ndjson",
        Format::Json => "application/json",
        Format::Csv => "text/csv",
        Format::ArrowStream => "application/vnd.apache.arrow.stream",
        Format::Parquet => "application/vnd.apache.parquet",
    }
}

/// Batches written down.
pub(crate) fn written(format: Format, schema: &SchemaRef, batches: &[RecordBatch]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = BatchWriter::new(format, schema.clone(), &mut bytes).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

/// The batches of an Arrow stream or a Parquet file, and their schema.
pub(crate) fn decoded(
    format: Format,
    bytes: &[u8],
) -> Result<(SchemaRef, Vec<RecordBatch>), String> {
    fn all<E: std::fmt::Display>(
        reader: impl Iterator<Item = Result<RecordBatch, E>>,
    ) -> Result<Vec<RecordBatch>, String> {
        reader
            .map(|batch| batch.map_err(|error| error.to_string()))
            .collect()
    }
    match format {
        Format::ArrowStream => {
            let reader = StreamReader::try_new(bytes, None).map_err(|e| e.to_string())?;
            Ok((reader.schema(), all(reader)?))
        }
        Format::Parquet => {
            let bytes = Bytes::copy_from_slice(bytes);
            let builder =
                ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|e| e.to_string())?;
            let schema = builder.schema().clone();
            Ok((schema, all(builder.build().map_err(|e| e.to_string())?)?))
        }
        _ => panic!("{format:?} has no schema"),
    }
}

/// Some columns of records in any format, as one text for each record. `schema` is that of the
/// records, all columns in their order.
pub(crate) fn keys(format: Format, bytes: &[u8], schema: &Schema, names: &[&str]) -> Vec<String> {
    let only: Vec<_> = names
        .iter()
        .map(|name| schema.field_with_name(name).unwrap().clone())
        .collect();
    let only: SchemaRef = Arc::new(Schema::new(only));
    let batches: Vec<RecordBatch> = match format {
        Format::Ndjson => JsonReader::new(only)
            .build(bytes)
            .unwrap()
            .map(Result::unwrap)
            .collect(),
        Format::Json => {
            let records: Vec<&RawValue> = serde_json::from_slice(bytes).unwrap();
            let mut lines = String::with_capacity(bytes.len());
            for record in records {
                lines.push_str(record.get());
                lines.push('\n');
            }
            return keys(Format::Ndjson, lines.as_bytes(), schema, names);
        }
        Format::Csv => CsvReader::new(Arc::new(schema.clone()))
            .with_header(true)
            .with_projection(names.iter().map(|n| schema.index_of(n).unwrap()).collect())
            .build(bytes)
            .unwrap()
            .map(Result::unwrap)
            .collect(),
        Format::ArrowStream | Format::Parquet => decoded(format, bytes).unwrap().1,
    };
    batches
        .iter()
        .flat_map(|batch| keys_of(batch, names))
        .collect()
}

/// Some columns of a batch, as one text for each row.
pub(crate) fn keys_of(batch: &RecordBatch, names: &[&str]) -> Vec<String> {
    let options = FormatOptions::new().with_null("(null)");
    let columns: Vec<_> = names
        .iter()
        .map(|name| {
            let column: &dyn Array = batch.column_by_name(name).unwrap();
            ArrayFormatter::try_new(column, &options).unwrap()
        })
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            let cells: Vec<_> = columns.iter().map(|c| c.value(row).to_string()).collect();
            cells.join(" | ")
        })
        .collect()
}
