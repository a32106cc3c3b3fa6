//! Errors of engines, as errors of ours. Their messages may quote the row that caused them
//! (`Cannot cast string '…'`), so a message is only handed on where it was made before any row
//! was read; later, what is left of it is its kind.

use arrow::error::ArrowError;
use datafusion::error::DataFusionError;

use super::SourceError;

/// An error from planning a query: it speaks of the query's text and of columns.
pub(super) fn planning(error: DataFusionError) -> SourceError {
    match own(error) {
        Ok(own) => own,
        Err(error) => SourceError::Query(first_line(&error.strip_backtrace())),
    }
}

/// An error from running a query.
pub(super) fn running(error: DataFusionError) -> SourceError {
    match own(error) {
        Ok(own) => own,
        Err(error) => match kind(&error) {
            Kind::Missing => {
                SourceError::Unavailable("a file is gone since the model was opened".into())
            }
            Kind::Said(what) => SourceError::Failed(what),
        },
    }
}

/// Takes our own error out of the wrapping that DataFusion put around it.
fn own(error: DataFusionError) -> Result<SourceError, DataFusionError> {
    match error {
        DataFusionError::External(inner) => inner
            .downcast::<SourceError>()
            .map(|own| *own)
            .map_err(DataFusionError::External),
        DataFusionError::ArrowError(arrow, backtrace) => match *arrow {
            ArrowError::ExternalError(inner) => match inner.downcast::<SourceError>() {
                Ok(own) => Ok(*own),
                Err(inner) => match inner.downcast::<DataFusionError>() {
                    Ok(inner) => own(*inner),
                    Err(inner) => Err(DataFusionError::External(inner)),
                },
            },
            arrow => Err(DataFusionError::ArrowError(Box::new(arrow), backtrace)),
        },
        DataFusionError::Context(text, inner) => {
            own(*inner).map_err(|inner| DataFusionError::Context(text, Box::new(inner)))
        }
        DataFusionError::Diagnostic(diagnostic, inner) => {
            own(*inner).map_err(|inner| DataFusionError::Diagnostic(diagnostic, Box::new(inner)))
        }
        other => Err(other),
    }
}

enum Kind {
    Missing,
    Said(String),
}

fn kind(error: &DataFusionError) -> Kind {
    let said = |what: &str| Kind::Said(what.to_owned());
    match error {
        DataFusionError::ArrowError(arrow, _) => Kind::Said(arrow_kind(arrow)),
        DataFusionError::ParquetError(_) => said("a Parquet file is broken"),
        DataFusionError::ObjectStore(store) => match store.as_ref() {
            object_store::Error::NotFound { .. } => Kind::Missing,
            _ => said("a file could not be read"),
        },
        DataFusionError::IoError(io) => {
            Kind::Said(format!("a file could not be read: {}", io.kind()))
        }
        DataFusionError::ResourcesExhausted(_) => said(
            "the model's query needs more memory than models may use; group or sort fewer columns, \
             or prepare the result in a table",
        ),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => kind(inner),
        DataFusionError::Shared(inner) => kind(inner),
        DataFusionError::Collection(all) => match all.first() {
            Some(first) => kind(first),
            None => said("the query failed"),
        },
        DataFusionError::NotImplemented(_) => {
            said("the engine does not support what the query asks")
        }
        DataFusionError::Execution(_) => {
            said("a function or cast in the model's SQL failed on a record")
        }
        _ => said("the engine failed"),
    }
}

fn arrow_kind(error: &ArrowError) -> String {
    match error {
        ArrowError::DivideByZero => "the model's SQL divides by zero".into(),
        ArrowError::CastError(_) | ArrowError::ParseError(_) => {
            "the model's SQL casts a value that does not fit the type".into()
        }
        ArrowError::ArithmeticOverflow(_) => "the model's SQL overflows a number's type".into(),
        ArrowError::IoError(_, io) => format!("a file could not be read: {}", io.kind()),
        ArrowError::IpcError(_) => "an Arrow file is broken".into(),
        ArrowError::ParquetError(_) => "a Parquet file is broken".into(),
        ArrowError::MemoryError(_) | ArrowError::OffsetOverflowError(_) => {
            "a column grew too large for one batch".into()
        }
        _ => "a value could not be computed".into(),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// What a SQLite error before the first row says: it speaks of the statement.
pub(super) fn sqlite_statement(error: &sqlx::Error) -> SourceError {
    match error {
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some("5" | "6" | "261" | "517") => {
                SourceError::Unavailable("the database is locked".into())
            }
            Some("14") => SourceError::Unavailable("the database file cannot be opened".into()),
            Some("26") => SourceError::Unavailable("the file is not a SQLite database".into()),
            _ => SourceError::Query(database.message().to_owned()),
        },
        other => sqlite_running(other),
    }
}

/// What is left of a SQLite error after rows were read.
pub(super) fn sqlite_running(error: &sqlx::Error) -> SourceError {
    match error {
        sqlx::Error::Database(database) => match database.code().as_deref() {
            Some("5" | "6" | "261" | "517") => {
                SourceError::Unavailable("the database is locked".into())
            }
            code => SourceError::Failed(format!(
                "SQLite ended the query with code {}",
                code.unwrap_or("unknown")
            )),
        },
        sqlx::Error::Io(io) => SourceError::Unavailable(io.kind().to_string()),
        _ => SourceError::Failed("SQLite ended the query".into()),
    }
}

/// What a PostgreSQL error before the first row says: it speaks of the connection or the
/// statement.
pub(super) fn postgres_statement(error: &tokio_postgres::Error) -> SourceError {
    match error.as_db_error() {
        Some(database) if is_unavailable(database.code().code()) => {
            SourceError::Unavailable(database.message().to_owned())
        }
        Some(database) => SourceError::Query(database.message().to_owned()),
        None => postgres_running(error),
    }
}

/// What is left of a PostgreSQL error after rows were read.
pub(super) fn postgres_running(error: &tokio_postgres::Error) -> SourceError {
    match error.as_db_error() {
        Some(database) => {
            let code = database.code().code();
            let what = format!(
                "PostgreSQL ended the query with SQLSTATE {code}{}",
                class(code)
            );
            if is_unavailable(code) {
                SourceError::Unavailable(what)
            } else {
                SourceError::Failed(what)
            }
        }
        // Without its cause the error names only its kind ("error connecting to server").
        None => {
            let cause = std::error::Error::source(error)
                .and_then(|cause| cause.downcast_ref::<std::io::Error>());
            SourceError::Unavailable(match cause {
                Some(io) if io.kind() != std::io::ErrorKind::Other => {
                    format!("{error}: {}", io.kind())
                }
                _ => error.to_string(),
            })
        }
    }
}

/// Connection trouble, too many connections, shutdown, and conflicts with recovery.
fn is_unavailable(code: &str) -> bool {
    ["08", "53", "57P", "40"]
        .iter()
        .any(|class| code.starts_with(class))
}

fn class(code: &str) -> &'static str {
    match code.get(..2) {
        Some("22") => " (a value does not fit what the SQL does with it)",
        Some("25") => " (the model's SQL tries to change data)",
        Some("42") => " (the SQL or a right is wrong)",
        Some("53") => " (resources ran out)",
        Some("57") => " (an operator stopped it)",
        _ => "",
    }
}
