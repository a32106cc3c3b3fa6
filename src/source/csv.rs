//! CSV with a header line. An empty field is NULL. The columns' types are found in the first
//! 10,000 records of each file; a later value that does not fit ends the read.

mod scan;
mod typing;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::stream::BoxStream;

use super::SourceError;
use super::files::{Stored, StoredFile};
use super::rows::{MAX_BATCH_BYTES, Outlet, Rows, Wanted, produce, projected, skipping};
use scan::Scan;
use typing::Guess;

/// How many records of each file show the types of its columns.
const SAMPLE: u64 = 10_000;

/// CSV files that have the same header.
#[derive(Debug)]
pub(super) struct CsvRows {
    stored: Arc<Stored>,
    schema: SchemaRef,
    /// Most rows of a batch, such that a batch of average rows is not too large.
    most_rows: usize,
}

/// Reads the head of every file.
pub(super) async fn open(stored: Arc<Stored>) -> Result<CsvRows, SourceError> {
    let mut names: Option<Vec<String>> = None;
    let mut guesses = Vec::new();
    let (mut records, mut bytes) = (0, 0);
    for file in stored.files() {
        let header = scan::header(&stored, file).await?;
        match &names {
            None => {
                check_names(file, &header)?;
                guesses = vec![Guess::Empty; header.len()];
                names = Some(header.clone());
            }
            Some(known) if *known != header => return Err(file.error(scan::OTHER_HEADER.into())),
            Some(_) => {}
        }
        let text = Arc::new(Schema::new(
            header
                .iter()
                .map(|name| Field::new(name, DataType::Utf8, true))
                .collect::<Vec<_>>(),
        ));
        let mut scan = Scan::open(&stored, file, text, None, 1000).await?;
        let mut seen = 0;
        while seen < SAMPLE {
            let Some(batch) = scan.next().await? else {
                break;
            };
            for (guess, column) in guesses.iter_mut().zip(batch.columns()) {
                for value in column.as_string::<i32>().iter().flatten() {
                    *guess = guess.and(value);
                }
            }
            seen += batch.num_rows() as u64;
            bytes += scan.batch_bytes();
        }
        records += seen;
    }
    let fields: Vec<_> = names
        .unwrap_or_default()
        .into_iter()
        .zip(&guesses)
        .map(|(name, guess)| Field::new(name, guess.data_type(), true))
        .collect();
    let average = bytes / usize::try_from(records).unwrap_or(usize::MAX).max(1);
    let most_rows = (MAX_BATCH_BYTES / average.max(1)).max(1);
    Ok(CsvRows {
        stored,
        schema: Arc::new(Schema::new(fields)),
        most_rows,
    })
}

fn check_names(file: &StoredFile, names: &[String]) -> Result<(), SourceError> {
    if names.iter().any(String::is_empty) {
        return Err(file.error("its header line has a column without a name".into()));
    }
    Ok(())
}

impl Rows for CsvRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn stream(
        self: Arc<Self>,
        wanted: Wanted,
    ) -> BoxStream<'static, Result<RecordBatch, SourceError>> {
        let skip = wanted.skip;
        skipping(
            produce(move |outlet| async move { self.put(wanted, outlet).await }),
            skip,
        )
    }
}

impl CsvRows {
    async fn put(&self, wanted: Wanted, outlet: Outlet) -> Result<(), SourceError> {
        // Text columns come out of the decoder as they are wanted; the others are read from text.
        let decoded: SchemaRef = Arc::new(Schema::new(
            self.schema
                .fields()
                .iter()
                .map(|field| match field.data_type() {
                    DataType::Utf8View => field.as_ref().clone(),
                    _ => Field::new(field.name(), DataType::Utf8, true),
                })
                .collect::<Vec<_>>(),
        ));
        let schema = projected(&self.schema, &wanted.columns);
        let batch_rows = wanted.batch_rows.min(self.most_rows);
        for file in self.stored.files() {
            let columns = Some(wanted.columns.clone());
            let mut scan = Scan::open(
                &self.stored,
                file,
                Arc::clone(&decoded),
                columns,
                batch_rows,
            )
            .await?;
            while let Some(text) = scan.next().await? {
                let columns = schema
                    .fields()
                    .iter()
                    .zip(text.columns())
                    .map(|(field, column)| typed(column, field, &scan))
                    .collect::<Result<Vec<_>, _>>()?;
                let options = RecordBatchOptions::new().with_row_count(Some(text.num_rows()));
                let batch =
                    RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)
                        .map_err(|_| file.error("a batch could not be put together".into()))?;
                if !outlet.send(batch).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn typed(column: &ArrayRef, field: &Field, scan: &Scan<'_>) -> Result<ArrayRef, SourceError> {
    if column.data_type() == field.data_type() {
        return Ok(Arc::clone(column));
    }
    typing::read(column.as_string::<i32>(), field.data_type()).map_err(|row| {
        scan.error_at(
            row,
            format!(
                "the value of column `{}` is not {}, which the column's first values are; correct \
                 it, or put such a value among the first {SAMPLE} records",
                field.name(),
                typing::described(field.data_type()),
            ),
        )
    })
}
