//! Files: Parquet and Arrow by DataFusion's own readers, CSV and NDJSON by ours, because a text
//! that does not fit its column must be an error that names file and line, where DataFusion's
//! readers would round, truncate or quote it.
//!
//! The files are the table `files` of a SQL model, and under whatever name a table model gives.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use datafusion::catalog::TableProvider;
use datafusion::datasource::file_format::FileFormat as EngineFormat;
use datafusion::datasource::file_format::arrow::ArrowFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use futures::TryStreamExt;
use object_store::{GetResultPayload, ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;
use url::Url;

use super::engine::{self, Planned};
use super::pruning::FilesTable;
use super::rows::{Rows, RowsTable};
use super::settings::{FileFormat, FilesSettings};
use super::{Inner, SourceError, csv, listing, ndjson, redact};
use crate::catalog::ModelQuery;
use crate::reach::Reach;

/// Bytes asked of a file at a time.
const CHUNK: usize = 256 * 1024;

/// Files in one object store, in the order in which they are read.
#[derive(Debug)]
pub(super) struct Stored {
    store: Arc<dyn ObjectStore>,
    files: Vec<StoredFile>,
}

/// One file.
#[derive(Debug)]
pub(super) struct StoredFile {
    /// Its name for messages.
    pub(super) name: String,
    url: ListingTableUrl,
}

impl Stored {
    pub(super) fn files(&self) -> &[StoredFile] {
        &self.files
    }

    /// Opens a file for reading from its beginning.
    pub(super) async fn open(
        &self,
        file: &StoredFile,
    ) -> Result<Box<dyn AsyncRead + Send + Unpin>, SourceError> {
        let found = self
            .store
            .get(file.url.prefix())
            .await
            .map_err(|error| match error {
                object_store::Error::NotFound { .. } => file.error("it is gone".into()),
                _ => file.error("it cannot be opened".into()),
            })?;
        Ok(match found.payload {
            GetResultPayload::File(open, _) => {
                let mut open = tokio::fs::File::from_std(open);
                open.set_max_buf_size(CHUNK);
                Box::new(open)
            }
            GetResultPayload::Stream(chunks) => {
                Box::new(StreamReader::new(chunks.map_err(std::io::Error::other)))
            }
        })
    }
}

impl StoredFile {
    pub(super) fn error(&self, what: String) -> SourceError {
        SourceError::File {
            file: self.name.clone(),
            what,
        }
    }
}

/// Opens a model over files.
pub(super) async fn open(
    settings: &FilesSettings,
    query: &ModelQuery,
    primary_key: &[String],
    reach: &Reach,
) -> Result<(Inner, Footprint), SourceError> {
    let (paths, format) = listing::list(settings, reach)?;
    let files = paths
        .iter()
        .map(|path| stored(path))
        .collect::<Result<Vec<_>, _>>()?;
    let (rows, table): (Option<Arc<dyn Rows>>, Arc<dyn TableProvider>) = match format {
        FileFormat::Parquet => (
            None,
            listing_table(&files, Arc::new(ParquetFormat::new())).await?,
        ),
        FileFormat::Arrow => (None, listing_table(&files, Arc::new(ArrowFormat)).await?),
        FileFormat::Csv | FileFormat::Ndjson => {
            let stored = Arc::new(in_store(files)?);
            let rows: Arc<dyn Rows> = match format {
                FileFormat::Csv => Arc::new(csv::open(stored).await?),
                _ => Arc::new(ndjson::open(stored).await?),
            };
            (Some(Arc::clone(&rows)), Arc::new(RowsTable::new(rows)))
        }
    };
    let reading = match query {
        ModelQuery::Sql(sql) => format!("{format:?} {sql}"),
        ModelQuery::Table(_) => format!("{format:?}"),
    };
    let inner = match (query, rows) {
        (ModelQuery::Sql(sql), _) => {
            Inner::Planned(Box::new(Planned::sql(sql, table, primary_key).await?))
        }
        (ModelQuery::Table(_), Some(rows)) => Inner::Rows(rows),
        (ModelQuery::Table(_), None) => Inner::Planned(Box::new(Planned::table_scan(table)?)),
    };
    Ok((inner, Footprint { paths, reading }))
}

/// What tells whether a model's files are still the same, without reading them.
#[derive(Debug)]
pub(super) struct Footprint {
    paths: Vec<PathBuf>,
    /// Their format, and the SQL over them.
    reading: String,
}

impl Footprint {
    /// A digest of how the files are read, and of each one's path, length and time of change.
    /// `None` if a file cannot be looked at.
    pub(super) fn digest(&self) -> Option<Vec<u8>> {
        let mut digest = Sha256::new();
        let mut add = |bytes: &[u8]| {
            digest.update((bytes.len() as u64).to_be_bytes());
            digest.update(bytes);
        };
        add(self.reading.as_bytes());
        for path in &self.paths {
            let found = std::fs::metadata(path).ok()?;
            let changed = found.modified().ok()?;
            // Of a time before 1970 the distance is as good.
            let (sign, since) = match changed.duration_since(UNIX_EPOCH) {
                Ok(since) => (b'+', since),
                Err(error) => (b'-', error.duration()),
            };
            add(path.as_os_str().as_encoded_bytes());
            add(&found.len().to_be_bytes());
            add(&[sign]);
            add(&since.as_nanos().to_be_bytes());
        }
        Some(digest.finalize().to_vec())
    }
}

fn stored(path: &Path) -> Result<StoredFile, SourceError> {
    let name = listing::name_of(path);
    Url::from_file_path(PathBuf::from(path))
        .ok()
        .and_then(|url| ListingTableUrl::try_new(url, None).ok())
        .map(|url| StoredFile {
            name: name.clone(),
            url,
        })
        .ok_or_else(|| SourceError::File {
            file: name,
            what: "its path is no URL".into(),
        })
}

/// Finds the store that the files' URLs name.
fn in_store(mut files: Vec<StoredFile>) -> Result<Stored, SourceError> {
    let state = engine::listing()?;
    let Some(first) = files.first() else {
        return Err(SourceError::Failed("the source has no file".into()));
    };
    let store = state
        .runtime_env()
        .object_store(&first.url)
        .map_err(redact::planning)?;
    files.sort_by(|a, b| a.url.prefix().cmp(b.url.prefix()));
    Ok(Stored { store, files })
}

/// Files that DataFusion reads: all their schemas merged by column name; a file that lacks a
/// column has NULL there. A column has to have one type in all files.
async fn listing_table(
    files: &[StoredFile],
    format: Arc<dyn EngineFormat>,
) -> Result<Arc<dyn TableProvider>, SourceError> {
    let state = engine::listing()?;
    let options = ListingOptions::new(format).with_file_extension("");
    let mut merged = Vec::new();
    for file in files {
        let schema = options
            .infer_schema(&state, &file.url)
            .await
            .map_err(|error| match redact::running(error) {
                SourceError::Failed(what) => file.error(what),
                other => other,
            })?;
        merged.push((file, schema));
    }
    let mut fields: Vec<arrow::datatypes::FieldRef> = Vec::new();
    for (file, schema) in &merged {
        for field in schema.fields() {
            match fields.iter_mut().find(|known| known.name() == field.name()) {
                None => fields.push(Arc::clone(field)),
                Some(known) if known.data_type() == field.data_type() => {
                    if field.is_nullable() && !known.is_nullable() {
                        *known = Arc::clone(field);
                    }
                }
                Some(known) => {
                    return Err(file.error(format!(
                        "column `{}` is {} here and {} in a file before; write all files with one type",
                        field.name(),
                        field.data_type(),
                        known.data_type()
                    )));
                }
            }
        }
    }
    // A column that some file lacks is NULL there, whatever the other files promise.
    for field in &mut fields {
        if merged
            .iter()
            .any(|(_, schema)| schema.column_with_name(field.name()).is_none())
        {
            *field = Arc::new(field.as_ref().clone().with_nullable(true));
        }
    }
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let urls = files.iter().map(|file| file.url.clone()).collect();
    let config = ListingTableConfig::new_with_multi_paths(urls)
        .with_listing_options(options)
        .with_schema(schema);
    let listing = ListingTable::try_new(config).map_err(redact::planning)?;
    Ok(Arc::new(FilesTable::new(listing)))
}
