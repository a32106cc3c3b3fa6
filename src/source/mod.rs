//! A model opened for reading: files, SQLite, PostgreSQL.
//!
//! Every source answers the same way: Arrow batches in a fixed order, as many rows in memory as
//! one batch has, and an error where a value does not fit the column's type. A value is never
//! silently changed and never silently NULL. What cannot be read ends the read, so a model that
//! looks whole is whole.
//!
//! Nothing here names a value in an error: messages carry files, lines, record numbers, columns
//! and types.

mod column;
mod condition;
mod csv;
mod database;
mod engine;
mod files;
mod listing;
mod literal;
mod ndjson;
mod postgres;
mod postgres_types;
mod postgres_where;
mod pruning;
mod redact;
mod rows;
mod settings;
mod sql_table;
mod sqlite;
mod statement;

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use futures::stream::BoxStream;
use serde_json::{Map, Value};

use crate::catalog::{ModelQuery, Source, SourceType, Transport};
use crate::policy::Fault;
use crate::reach::{Reach, ReachError};
use rows::{Rows, RowsTable};
use settings::Settings;

/// Why a model cannot be opened or read. No message carries a row value.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The source's configuration cannot be used; every fault with its JSON path.
    #[error("the source's configuration cannot be used: {}", joined(.0))]
    Config(Vec<Fault>),
    /// The path or address is out of reach.
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The model's table or SQL is not accepted by the source.
    #[error("the model's query is not accepted: {0}")]
    Query(String),
    /// A column that was asked for is not in the model.
    #[error("the model has no column `{0}`")]
    NoSuchColumn(String),
    /// A column's name or type cannot be carried.
    #[error("column `{column}`: {what}")]
    Column {
        /// Its name.
        column: String,
        /// What is wrong and what to do about it.
        what: String,
    },
    /// A record of a file is broken, or a value in it does not fit its column.
    #[error("file `{file}`, line {line}: {what}")]
    Line {
        /// The file's name.
        file: String,
        /// The line on which the record starts; the first line is 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// A file cannot be read.
    #[error("file `{file}`: {what}")]
    File {
        /// The file's name.
        file: String,
        /// What is wrong and what to do about it.
        what: String,
    },
    /// A value of a database does not fit its column.
    #[error(
        "record {record}, column `{column}`: the value is not {expected}; cast it in the model's SQL"
    )]
    Value {
        /// The record's number in the order of reading; the first is 1.
        record: u64,
        /// The column's name.
        column: String,
        /// What the column holds.
        expected: String,
    },
    /// The source cannot be reached now; it may be later.
    #[error("the source cannot be reached: {0}")]
    Unavailable(String),
    /// Reading began and could not go on.
    #[error("reading the source failed: {0}")]
    Failed(String),
}

fn joined(faults: &[Fault]) -> String {
    faults
        .iter()
        .map(Fault::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}

/// A model opened for reading. Nothing stays open in between: each read opens files and
/// connections of its own.
#[derive(Debug)]
pub struct OpenModel {
    schema: SchemaRef,
    inner: Inner,
    /// Of a model over files.
    footprint: Option<files::Footprint>,
}

#[derive(Debug)]
enum Inner {
    /// Read by the code of this room.
    Rows(Arc<dyn Rows>),
    /// Read by DataFusion.
    Planned(Box<engine::Planned>),
}

/// Opens a model: reaches the source, checks the query and learns the columns.
///
/// # Errors
/// Whatever keeps the model from being read, as far as it shows before the first row.
pub async fn open(
    source: &Source,
    query: &ModelQuery,
    primary_key: &[String],
    reach: &Reach,
) -> Result<OpenModel, SourceError> {
    let settings =
        Settings::parse(source.source_type, &source.config, reach).map_err(SourceError::Config)?;
    let (inner, footprint) = match settings {
        Settings::Files(settings) => {
            let (inner, footprint) = files::open(&settings, query, primary_key, reach).await?;
            (inner, Some(footprint))
        }
        Settings::Sqlite(path) => {
            let rows = sqlite::open(reach.existing(&path)?, query, primary_key).await?;
            (Inner::Rows(rows), None)
        }
        Settings::Postgres(server) => {
            let rows = postgres::open(*server, query, primary_key, reach).await?;
            (Inner::Rows(rows), None)
        }
    };
    let schema = match &inner {
        Inner::Rows(rows) => rows.schema(),
        Inner::Planned(planned) => planned.schema(),
    };
    for (at, field) in schema.fields().iter().enumerate() {
        if schema
            .fields()
            .iter()
            .skip(at + 1)
            .any(|other| other.name() == field.name())
        {
            return Err(SourceError::Column {
                column: field.name().clone(),
                what: "two columns have this name; give each a name of its own".into(),
            });
        }
    }
    for column in primary_key {
        if schema.column_with_name(column).is_none() {
            return Err(SourceError::NoSuchColumn(column.clone()));
        }
    }
    Ok(OpenModel {
        schema,
        inner,
        footprint,
    })
}

/// How bytes travel from a source; `None` for one on this machine. Of a configuration that
/// cannot be used nothing is certain.
pub fn transport(source: &Source) -> Option<Transport> {
    match source.source_type {
        SourceType::Files | SourceType::Sqlite => None,
        SourceType::Postgres => {
            let url = source.config.get("url").and_then(Value::as_str);
            let url = url.unwrap_or_default();
            Some(postgres::transport(url).named_by(url))
        }
    }
}

/// Everything wrong with a source's configuration, with paths such as `$.config.path`: unknown
/// and missing keys, wrong types, a path outside the opened folders, an address that is not
/// opened. Names of hosts are resolved, and judged, when the source is used.
pub fn check_config(
    source_type: SourceType,
    config: &Map<String, Value>,
    reach: &Reach,
) -> Vec<Fault> {
    Settings::parse(source_type, config, reach)
        .err()
        .unwrap_or_default()
}

impl OpenModel {
    /// The model's columns.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// What stays the same as long as the model's records do, known without reading them: a digest
    /// of the files' paths, lengths and times of change as they are now. `None` for databases, for
    /// SQL that asks for the time or for chance, and if a file cannot be looked at.
    pub fn fingerprint(&self) -> Option<Vec<u8>> {
        if let Inner::Planned(planned) = &self.inner
            && !planned.is_steady()
        {
            return None;
        }
        self.footprint.as_ref()?.digest()
    }

    /// The model as a table for DataFusion, of one partition; files keep their order. It reads only
    /// the columns that are asked for. A filter is a hint for it: it gives every row for which the
    /// filter is true, and others, so whoever asks has to check again.
    pub fn table(&self) -> Arc<dyn TableProvider> {
        match &self.inner {
            Inner::Rows(rows) => Arc::new(RowsTable::new(Arc::clone(rows))),
            Inner::Planned(planned) => planned.table(),
        }
    }

    /// The same for a reader that must not be told of rows which it does not see. A scan of a
    /// database has one text column more, behind those that were asked for: NULL, or what does not
    /// fit its column in that row, where the value is NULL. Else a condition that finds such a row
    /// would end the read, and one that does not would not.
    pub fn marking_table(&self) -> Arc<dyn TableProvider> {
        match &self.inner {
            Inner::Rows(rows) => Arc::new(RowsTable::marking(Arc::clone(rows))),
            Inner::Planned(planned) => planned.table(),
        }
    }

    /// Streams the model in its order, in batches of at most `batch_rows` rows: only `columns`,
    /// in that order (`None`: all, in the schema's), and without the first `skip` records.
    ///
    /// The order is that of the primary key for databases and SQL models, if there is one; files
    /// come sorted by path, each from its beginning to its end; else it is the source's own.
    ///
    /// # Errors
    /// An unknown column, or whatever keeps the read from starting. What happens later comes as
    /// the last item of the stream.
    pub async fn read(
        &self,
        columns: Option<&[String]>,
        skip: u64,
        batch_rows: usize,
    ) -> Result<BoxStream<'static, Result<RecordBatch, SourceError>>, SourceError> {
        let indices = match columns {
            None => (0..self.schema.fields().len()).collect(),
            Some(names) => names
                .iter()
                .map(|name| {
                    self.schema
                        .column_with_name(name)
                        .map(|(at, _)| at)
                        .ok_or_else(|| SourceError::NoSuchColumn(name.clone()))
                })
                .collect::<Result<Vec<_>, _>>()?,
        };
        let batch_rows = batch_rows.max(1);
        match &self.inner {
            Inner::Rows(rows) => Ok(Arc::clone(rows).stream(rows::Wanted {
                columns: indices,
                ordered: true,
                skip,
                batch_rows,
                conditions: Vec::new(),
                marked: false,
            })),
            Inner::Planned(planned) => planned.read(&indices, skip, batch_rows).await,
        }
    }
}
