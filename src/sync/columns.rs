//! Which columns a run reads and sends, and under which names.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use sha2::{Digest, Sha256};

use crate::catalog::{Model, Sync};
use crate::guard::{Guard, GuardError, mapped_schema};

/// The columns that a sync sends and those that identify a record, in the model's order.
pub(super) fn sent_columns(schema: &SchemaRef, sync: &Sync, primary_key: &[String]) -> Vec<String> {
    let sent = |name: &String| match &sync.mapping {
        Some(mapping) => {
            mapping.iter().any(|column| column.from == *name) || primary_key.contains(name)
        }
        None => true,
    };
    schema
        .fields()
        .iter()
        .map(|field| field.name())
        .filter(|name| sent(name))
        .cloned()
        .collect()
}

/// A column that a sync without a mapping would send although its model was saved without it.
/// Neither policies nor facts of compliance know of it.
pub(super) fn new_column<'a>(schema: &'a Schema, sync: &Sync, model: &Model) -> Option<&'a str> {
    if sync.mapping.is_some() {
        return None;
    }
    let mut names = schema.fields().iter().map(|field| field.name().as_str());
    names.find(|name| model.schema.column_with_name(name).is_none())
}

/// The columns to read: those that are sent and those that policies judge by.
pub(super) fn read_columns(schema: &SchemaRef, sent: &[String], guard: &Guard) -> Vec<String> {
    let read = |name: &&String| sent.contains(name) || guard.columns().contains(name);
    schema
        .fields()
        .iter()
        .map(|field| field.name())
        .filter(read)
        .cloned()
        .collect()
}

/// The columns as the destination is sent them.
pub(super) fn sent_schema(schema: &SchemaRef, sync: &Sync) -> Result<SchemaRef, GuardError> {
    match &sync.mapping {
        None => Ok(Arc::clone(schema)),
        Some(mapping) => mapped_schema(schema, mapping),
    }
}

/// The primary key under the names it has at the destination; what is not sent is left out.
pub(super) fn sent_names(primary_key: &[String], sync: &Sync) -> Vec<String> {
    match &sync.mapping {
        None => primary_key.to_vec(),
        Some(mapping) => primary_key
            .iter()
            .filter_map(|key| mapping.iter().find(|column| column.from == *key))
            .map(|column| column.to.clone())
            .collect(),
    }
}

/// A digest of a record's columns, by which it is known again.
pub(super) fn row_digest(batch: &RecordBatch, row: usize, columns: &[String]) -> Option<String> {
    let options = FormatOptions::new().with_null("\u{0}");
    let mut digest = Sha256::new();
    for name in columns {
        let column = batch.column_by_name(name)?;
        let text = ArrayFormatter::try_new(column.as_ref(), &options)
            .ok()?
            .value(row)
            .try_to_string()
            .ok()?;
        digest.update((text.len() as u64).to_le_bytes());
        digest.update(text.as_bytes());
    }
    Some(
        digest
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}
