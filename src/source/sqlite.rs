//! SQLite, opened read-only.
//!
//! SQLite lets every value have a type of its own, so a column's type comes from its declaration
//! and each value has to fit it:
//!
//! | declared | column | values that fit |
//! | --- | --- | --- |
//! | `…INT…` | Int64 | integers |
//! | `…CHAR…`, `…CLOB…`, `…TEXT…` | text | text |
//! | `…REAL…`, `…FLOA…`, `…DOUB…`, `DECIMAL` and `NUMERIC` without precision | Float64 | reals; integers up to 2^53 |
//! | `DECIMAL(p,s)`, `NUMERIC(p,s)` | Decimal128(p, s) | numbers whose shortest decimal text has at most s places |
//! | `BOOLEAN`, `BOOL` | Boolean | 0 and 1 |
//! | `DATE` | Date32 | text `YYYY-MM-DD` |
//! | `DATETIME`, `TIMESTAMP` | Timestamp | ISO 8601 text without an offset; a date is its midnight |
//! | `TIMESTAMPTZ`, `TIMESTAMP WITH TIME ZONE` | Timestamp in UTC | ISO 8601 text with an offset |
//! | `…BLOB…` | Binary | blobs |
//!
//! A column without a declared type (an expression), or with one that says nothing, is what all
//! its values are. Finding that out reads the whole model once when it is opened: a look at the
//! first rows would make a sum that is whole in a thousand groups fail at the first that is not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow, SqliteValueRef};
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions, Decode, Executor, Row, SqlSafeStr, Sqlite,
    SqliteConnection, Statement, TypeInfo, ValueRef,
};

use super::SourceError;
use super::column::{Column, Filling};
use super::condition::{Condition, Test, Value};
use super::database::{Relation, offset};
use super::literal;
use super::redact::{sqlite_running, sqlite_statement};
use super::rows::{Outlet, Rows, Wanted, produce};
use super::statement::{Dialect, quoted};
use crate::catalog::ModelQuery;

/// The largest integer up to which every integer is a float.
const EXACT: u64 = 1 << 53;

/// Most values that are sent along; SQLite bounds how many parameters a statement has.
const MAX_VALUES: usize = 1000;

/// A model in a SQLite database.
#[derive(Debug)]
pub(super) struct SqliteRows {
    path: PathBuf,
    relation: Relation,
    schema: SchemaRef,
    /// The columns that are the model's table's own, with a declared type.
    stored: Vec<bool>,
}

/// Opens a model in the database at a real path.
pub(super) async fn open(
    path: PathBuf,
    query: &ModelQuery,
    primary_key: &[String],
) -> Result<Arc<SqliteRows>, SourceError> {
    let relation = Relation::new(query, primary_key, Dialect::Sqlite)?;
    let mut connection = connect(&path).await?;
    let (schema, stored) = describe(&mut connection, &relation).await?;
    Ok(Arc::new(SqliteRows {
        path,
        relation,
        schema: Arc::new(schema),
        stored,
    }))
}

async fn connect(path: &PathBuf) -> Result<SqliteConnection, SourceError> {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .create_if_missing(false)
        .busy_timeout(Duration::from_secs(10))
        .row_buffer_size(256)
        .pragma("query_only", "ON")
        .pragma("trusted_schema", "OFF")
        .disable_statement_logging()
        .connect()
        .await
        .map_err(|error| sqlite_statement(&error))
}

async fn describe(
    connection: &mut SqliteConnection,
    relation: &Relation,
) -> Result<(Schema, Vec<bool>), SourceError> {
    let table = relation.table().map(|name| match name.split_once('.') {
        Some((_, table)) => table,
        None => name,
    });
    let mut stored = Vec::new();
    let statement = connection
        .prepare(AssertSqlSafe(relation.describe()).into_sql_str())
        .await
        .map_err(|error| sqlite_statement(&error))?;
    let mut columns = Vec::new();
    for column in statement.columns() {
        let origin = column.origin();
        let declared = match origin.table_column() {
            Some(origin) => declared(connection, &origin.table, &origin.name).await?,
            None => None,
        };
        let known = declared.and_then(|declared| data_type(&declared));
        // A view's column comes from a table of another name.
        let own = origin
            .table_column()
            .zip(table)
            .is_some_and(|(origin, table)| origin.table.eq_ignore_ascii_case(table));
        stored.push(own && known.is_some());
        columns.push((column.name().to_owned(), known));
    }
    let unknown: Vec<_> = columns
        .iter()
        .filter(|(_, known)| known.is_none())
        .map(|(name, _)| name.clone())
        .collect();
    let mut seen = seen(connection, relation, &unknown).await?.into_iter();
    let fields: Vec<_> = columns
        .into_iter()
        .filter_map(|(name, known)| Some(Field::new(name, known.or_else(|| seen.next())?, true)))
        .collect();
    Ok((Schema::new(fields), stored))
}

/// The type that a table's definition gives a column.
async fn declared(
    connection: &mut SqliteConnection,
    table: &str,
    column: &str,
) -> Result<Option<String>, SourceError> {
    let found: Option<String> = sqlx::query_scalar(
        "SELECT type FROM pragma_table_xinfo(?1) WHERE name = ?2 COLLATE NOCASE",
    )
    .bind(table.to_owned())
    .bind(column.to_owned())
    .fetch_optional(connection)
    .await
    .map_err(|error| sqlite_statement(&error))?;
    let row_id = ["rowid", "oid", "_rowid_"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(column));
    Ok(found.or_else(|| row_id.then(|| "INTEGER".to_owned())))
}

/// The column for a declared type; `None` if the declaration does not tell.
fn data_type(declared: &str) -> Option<DataType> {
    let declared = declared.trim().to_ascii_uppercase();
    let (name, arguments) = match declared.split_once('(') {
        Some((name, rest)) => (
            name.trim(),
            rest.split_once(')').map(|(arguments, _)| arguments),
        ),
        None => (declared.as_str(), None),
    };
    let zoned = || DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    match name {
        "BOOLEAN" | "BOOL" => return Some(DataType::Boolean),
        "DATE" => return Some(DataType::Date32),
        "DATETIME" | "TIMESTAMP" if !declared.contains("WITH TIME ZONE") => {
            return Some(DataType::Timestamp(TimeUnit::Microsecond, None));
        }
        "TIMESTAMPTZ" | "TIMESTAMP WITH TIME ZONE" | "TIMESTAMP" => return Some(zoned()),
        "DECIMAL" | "NUMERIC" | "NUMBER" => {
            let mut numbers = arguments.unwrap_or_default().split(',').map(str::trim);
            let precision = numbers.next().and_then(|p| p.parse::<u8>().ok());
            let scale = numbers.next().map_or(Some(0), |s| s.parse::<i8>().ok());
            return Some(match (precision, scale) {
                (Some(precision @ 1..=38), Some(scale))
                    if scale >= 0 && scale.unsigned_abs() <= precision =>
                {
                    DataType::Decimal128(precision, scale)
                }
                _ => DataType::Float64,
            });
        }
        _ => {}
    }
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if has(&["INT"]) {
        Some(DataType::Int64)
    } else if has(&["CHAR", "CLOB", "TEXT"]) {
        Some(DataType::Utf8View)
    } else if has(&["BLOB"]) {
        Some(DataType::Binary)
    } else if has(&["REAL", "FLOA", "DOUB"]) {
        Some(DataType::Float64)
    } else {
        None
    }
}

/// What all the values of some columns are. One with no value at all is text.
async fn seen(
    connection: &mut SqliteConnection,
    relation: &Relation,
    columns: &[String],
) -> Result<Vec<DataType>, SourceError> {
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let has: Vec<_> = columns
        .iter()
        .flat_map(|name| {
            ["integer", "real", "text", "blob"]
                .map(|kind| format!("COALESCE(MAX(typeof({}) = '{kind}'), 0)", quoted(name)))
        })
        .collect();
    let sql = format!("SELECT {} FROM {}", has.join(", "), relation.from());
    let row: SqliteRow = sqlx::query(AssertSqlSafe(sql))
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(|error| sqlite_running(&error))?;
    columns
        .iter()
        .enumerate()
        .map(|(at, name)| {
            let has = |kind: usize| row.try_get::<bool, _>(at * 4 + kind).unwrap_or(true);
            match (has(0), has(1), has(2), has(3)) {
                (true, false, false, false) => Ok(DataType::Int64),
                (_, true, false, false) => Ok(DataType::Float64),
                (false, false, _, false) => Ok(DataType::Utf8View),
                (false, false, false, true) => Ok(DataType::Binary),
                _ => Err(SourceError::Column {
                    column: name.clone(),
                    what: "its values are of several types; cast it in the model's SQL".into(),
                }),
            }
        })
        .collect()
}

impl Rows for SqliteRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn can_mark(&self) -> bool {
        true
    }

    fn stream(
        self: Arc<Self>,
        wanted: Wanted,
    ) -> BoxStream<'static, Result<RecordBatch, SourceError>> {
        produce(move |outlet| async move { self.put(wanted, outlet).await })
    }
}

impl SqliteRows {
    async fn put(&self, wanted: Wanted, outlet: Outlet) -> Result<(), SourceError> {
        let mut filling = Filling::new(&self.schema, &wanted)?;
        let mut connection = connect(&self.path).await?;
        let (conditions, values) = self.filter(&wanted.conditions);
        let sql = self.relation.select(&self.schema, &wanted, &conditions);
        let mut query = sqlx::query(AssertSqlSafe(sql)).bind(offset(wanted.skip));
        for value in values {
            query = match value {
                Compared::Integer(number) => query.bind(number),
                Compared::Text(text) => query.bind(text),
            };
        }
        let mut rows = query.persistent(false).fetch(&mut connection);
        let mut record = wanted.skip;
        while let Some(row) = rows
            .try_next()
            .await
            .map_err(|error| sqlite_running(&error))?
        {
            record += 1;
            let mut bytes = 0;
            for at in 0..wanted.columns.len() {
                let value = row
                    .try_get_raw(at)
                    .map_err(|error| sqlite_running(&error))?;
                bytes += filling.add(at, record, |column| append(column, value))?;
            }
            if filling.end_row(bytes)
                && let Some(batch) = filling.finish()?
                && !outlet.send(batch).await
            {
                return Ok(());
            }
        }
        if let Some(batch) = filling.finish()? {
            outlet.send(batch).await;
        }
        Ok(())
    }
}

/// A parameter of a condition.
enum Compared {
    Integer(i64),
    Text(String),
}

impl SqliteRows {
    /// Conditions as text for after WHERE, and the values of `?2` and those after it.
    ///
    /// Values have types of their own here, so little is sure: a column that is declared to hold
    /// integers compares them as we do, and equality of text selects at least the same bytes, also
    /// where the column's collation ignores case. A value that does not fit its column equals
    /// nothing, so it may be left out unseen.
    fn filter(&self, conditions: &[Condition]) -> (Vec<String>, Vec<Compared>) {
        let mut texts = Vec::new();
        let mut values = Vec::new();
        for condition in conditions {
            let Some(field) = self.schema.fields().get(condition.column) else {
                continue;
            };
            if self.stored.get(condition.column) != Some(&true) {
                continue;
            }
            let name = quoted(field.name());
            let next = values.len() + 2;
            match &condition.test {
                Test::IsNull => texts.push(format!("{name} IS NULL")),
                Test::IsNotNull => texts.push(format!("{name} IS NOT NULL")),
                Test::Side(side, Value::Integer(number)) if values.len() < MAX_VALUES => {
                    texts.push(format!("{name} {} ?{next}", side.operator()));
                    values.push(Compared::Integer(*number));
                }
                Test::OneOf(list) if values.len() + list.len() <= MAX_VALUES => {
                    let found: Option<Vec<_>> = list
                        .iter()
                        .map(|value| match value {
                            Value::Integer(number) => Some(Compared::Integer(*number)),
                            Value::Text(text) => Some(Compared::Text(text.clone())),
                            Value::Boolean(_) | Value::Date(_) | Value::Moment(_) => None,
                        })
                        .collect();
                    let Some(found) = found else {
                        continue;
                    };
                    let marks: Vec<_> = (next..next + found.len())
                        .map(|number| format!("?{number}"))
                        .collect();
                    texts.push(format!("{name} IN ({})", marks.join(", ")));
                    values.extend(found);
                }
                Test::Side(..) | Test::OneOf(_) => {}
            }
        }
        (texts, values)
    }
}

/// Adds a value to its column and tells its size, or what it should have been.
fn append(column: &mut Column, value: SqliteValueRef<'_>) -> Result<usize, &'static str> {
    if value.is_null() {
        column.append_null();
        return Ok(1);
    }
    let value = Stored::new(value);
    match column {
        Column::Boolean(builder) => match value {
            Some(Stored::Integer(number @ (0 | 1))) => builder.append_value(number == 1),
            _ => return Err("0 or 1"),
        },
        Column::Int64(builder) => match value {
            Some(Stored::Integer(number)) => builder.append_value(number),
            _ => return Err("an integer"),
        },
        Column::Float64(builder) => builder.append_value(
            match value {
                Some(Stored::Real(number)) => Some(number),
                Some(Stored::Integer(number)) => exact(number),
                _ => None,
            }
            .ok_or("a number that a float can hold")?,
        ),
        Column::Decimal {
            builder,
            precision,
            scale,
        } => {
            let expected = "a decimal of the declared precision";
            let text = match value {
                Some(Stored::Integer(number)) => number.to_string(),
                // The shortest text that reads back as the same float is what was meant.
                Some(Stored::Real(number)) => number.to_string(),
                Some(Stored::Text(text)) => text.to_owned(),
                _ => return Err(expected),
            };
            builder.append_value(literal::decimal(&text, *precision, *scale).ok_or(expected)?);
        }
        Column::Text(builder) => match value {
            Some(Stored::Text(text)) => {
                builder.append_value(text);
                return Ok(text.len());
            }
            _ => return Err("text in UTF-8"),
        },
        Column::Binary(builder) => match value {
            Some(Stored::Blob(bytes)) => {
                builder.append_value(bytes);
                return Ok(bytes.len());
            }
            _ => return Err("a blob"),
        },
        Column::Date(builder) => match value {
            Some(Stored::Text(text)) => {
                builder.append_value(literal::date(text).ok_or("a date (YYYY-MM-DD)")?);
            }
            _ => return Err("a date (text, YYYY-MM-DD)"),
        },
        Column::Timestamp { builder, zoned } => {
            let expected = match *zoned {
                true => "a time (ISO 8601 text with its offset from UTC, to the microsecond)",
                false => "a time (ISO 8601 text without an offset, to the microsecond)",
            };
            let Some(Stored::Text(text)) = value else {
                return Err(expected);
            };
            let moment = literal::moment(text).filter(|moment| moment.zoned == *zoned);
            builder.append_value(moment.ok_or(expected)?.micros);
        }
        Column::Int16(_) | Column::Int32(_) | Column::Float32(_) | Column::List(_) => {
            return Err("of a type that SQLite has");
        }
    }
    Ok(8)
}

/// A value as SQLite stores it.
enum Stored<'r> {
    Integer(i64),
    Real(f64),
    Text(&'r str),
    Blob(&'r [u8]),
}

impl<'r> Stored<'r> {
    /// `None` for text that is not UTF-8.
    fn new(value: SqliteValueRef<'r>) -> Option<Stored<'r>> {
        let storage = value.type_info().name().to_owned();
        match storage.as_str() {
            "INTEGER" => <i64 as Decode<Sqlite>>::decode(value)
                .ok()
                .map(Stored::Integer),
            "REAL" => <f64 as Decode<Sqlite>>::decode(value)
                .ok()
                .map(Stored::Real),
            "TEXT" => <&str as Decode<Sqlite>>::decode(value)
                .ok()
                .map(Stored::Text),
            _ => <&[u8] as Decode<Sqlite>>::decode(value)
                .ok()
                .map(Stored::Blob),
        }
    }
}

fn exact(number: i64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "the range was checked")]
    (number.unsigned_abs() <= EXACT).then_some(number as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_name_columns() {
        let micros =
            |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
        for (declared, expected) in [
            ("INTEGER", Some(DataType::Int64)),
            ("unsigned big int", Some(DataType::Int64)),
            ("NVARCHAR(160)", Some(DataType::Utf8View)),
            ("NUMERIC(10,2)", Some(DataType::Decimal128(10, 2))),
            ("decimal ( 10 , 2 )", Some(DataType::Decimal128(10, 2))),
            ("DECIMAL(5)", Some(DataType::Decimal128(5, 0))),
            ("NUMERIC", Some(DataType::Float64)),
            ("DECIMAL(50,2)", Some(DataType::Float64)),
            ("DOUBLE PRECISION", Some(DataType::Float64)),
            ("BLOB", Some(DataType::Binary)),
            ("DATE", Some(DataType::Date32)),
            ("datetime", Some(micros(None))),
            ("TIMESTAMP(6)", Some(micros(None))),
            ("TIMESTAMP WITH TIME ZONE", Some(micros(Some("UTC")))),
            ("TIMESTAMP(6) WITH TIME ZONE", Some(micros(Some("UTC")))),
            ("BOOLEAN", Some(DataType::Boolean)),
            ("JSON", None),
            ("", None),
        ] {
            assert_eq!(data_type(declared), expected, "{declared}");
        }
    }
}
