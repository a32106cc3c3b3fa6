//! How values lie in columns: words and documents as text, counts as signed integers, schemas as
//! Arrow IPC bytes, times in microseconds.

use std::io::Cursor;

use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use chrono::{DateTime, SubsecRound, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::de::value::StrDeserializer;

use super::StoreError;

/// A time as both databases hold it: PostgreSQL has microseconds, so SQLite gets no more.
pub(super) fn time(time: DateTime<Utc>) -> DateTime<Utc> {
    time.trunc_subsecs(6)
}

/// A document as JSON text.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value)
        .map_err(|_| StoreError::Corrupt("a document cannot be written as JSON".into()))
}

/// A document from JSON text; `column` names it in the error.
pub(super) fn from_json<T: DeserializeOwned>(text: &str, column: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| unreadable(column))
}

/// An enum without fields as the word that the API uses for it.
pub(super) fn word<T: Serialize>(value: T) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(StoreError::Corrupt(
            "a value cannot be written as a word".into(),
        )),
    }
}

/// An enum without fields from its word.
pub(super) fn from_word<T: DeserializeOwned>(word: &str, column: &str) -> Result<T, StoreError> {
    let word = StrDeserializer::<serde::de::value::Error>::new(word);
    T::deserialize(word).map_err(|_| unreadable(column))
}

/// A count as the databases hold it; beyond their range it stays at the end of it.
pub(super) fn count(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count from the database.
pub(super) fn from_count(value: i64, column: &str) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|_| unreadable(column))
}

/// A schema as an Arrow IPC stream without batches.
pub(super) fn schema(schema: &Schema) -> Result<Vec<u8>, StoreError> {
    let unwritable = |_| StoreError::Corrupt("a schema cannot be written as Arrow IPC".into());
    let mut writer = StreamWriter::try_new(Vec::new(), schema).map_err(unwritable)?;
    writer.finish().map_err(unwritable)?;
    writer.into_inner().map_err(unwritable)
}

/// A schema from an Arrow IPC stream.
pub(super) fn from_schema(bytes: &[u8]) -> Result<SchemaRef, StoreError> {
    StreamReader::try_new(Cursor::new(bytes), None)
        .map(|reader| reader.schema())
        .map_err(|_| unreadable("schema_ipc"))
}

/// What is said of a column whose value this version does not understand.
pub(super) fn unreadable(column: &str) -> StoreError {
    StoreError::Corrupt(format!("column {column} has an unexpected value"))
}
