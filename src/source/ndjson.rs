//! NDJSON: one JSON object a line. The columns and their types are found in the first 10,000
//! records of each file. A missing key is NULL; a key that none of those records has is no
//! column; a value that does not fit its column ends the read, as does a line that names a key
//! twice.

mod infer;
mod lines;

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use futures::stream::BoxStream;
use serde_json::{Map, Value};

use super::SourceError;
use super::files::{Stored, StoredFile};
use super::rows::{MAX_BATCH_BYTES, Outlet, Rows, Wanted, produce, projected, skipping};
use crate::wire::json::records_to_batch;
use infer::Inferred;
use lines::Lines;

/// How many records of each file show the columns and their types.
const SAMPLE: usize = 10_000;

/// NDJSON files.
#[derive(Debug)]
pub(super) struct NdjsonRows {
    stored: Arc<Stored>,
    schema: SchemaRef,
}

/// Reads the head of every file.
pub(super) async fn open(stored: Arc<Stored>) -> Result<NdjsonRows, SourceError> {
    let mut inferred = Inferred::default();
    for file in stored.files() {
        let mut lines = Lines::open(&stored, file).await?;
        for _ in 0..SAMPLE {
            let Some((line, record, _)) = lines.next().await? else {
                break;
            };
            inferred.add(&record).map_err(|path| SourceError::Line {
                file: file.name.clone(),
                line,
                what: format!(
                    "`{path}` has a value of another type than in the records before; write one type"
                ),
            })?;
        }
    }
    Ok(NdjsonRows {
        stored,
        schema: Arc::new(inferred.schema()),
    })
}

impl Rows for NdjsonRows {
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

impl NdjsonRows {
    async fn put(&self, wanted: Wanted, outlet: Outlet) -> Result<(), SourceError> {
        let schema = projected(&self.schema, &wanted.columns);
        for file in self.stored.files() {
            let mut lines = Lines::open(&self.stored, file).await?;
            let mut ended = false;
            while !ended {
                let (mut records, mut at, mut bytes) = (Vec::new(), Vec::new(), 0);
                while records.len() < wanted.batch_rows && bytes < MAX_BATCH_BYTES {
                    let Some((line, record, length)) = lines.next().await? else {
                        ended = true;
                        break;
                    };
                    records.push(record);
                    at.push(line);
                    bytes += length;
                }
                if records.is_empty() {
                    break;
                }
                if !outlet.send(batch(&schema, &records, &at, file)?).await {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

fn batch(
    schema: &SchemaRef,
    records: &[Map<String, Value>],
    lines: &[u64],
    file: &StoredFile,
) -> Result<RecordBatch, SourceError> {
    if schema.fields().is_empty() {
        let options = RecordBatchOptions::new().with_row_count(Some(records.len()));
        return RecordBatch::try_new_with_options(Arc::clone(schema), Vec::new(), &options)
            .map_err(|_| file.error("a batch could not be put together".into()));
    }
    records_to_batch(schema, records).map_err(|_| {
        // The first record that cannot be read alone, and the first column in it.
        for (record, line) in records.iter().zip(lines) {
            for (at, field) in schema.fields().iter().enumerate() {
                if records_to_batch(&projected(schema, &[at]), std::slice::from_ref(record))
                    .is_err()
                {
                    return SourceError::Line {
                        file: file.name.clone(),
                        line: *line,
                        what: format!(
                            "the value of `{}` is not {}, which the first records have there",
                            field.name(),
                            field.data_type()
                        ),
                    };
                }
            }
        }
        file.error("a batch could not be put together".into())
    })
}
