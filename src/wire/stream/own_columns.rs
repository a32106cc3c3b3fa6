//! The columns that a columnar stream declares itself.

use std::collections::HashSet;

use arrow::datatypes::{DataType, Schema, SchemaRef};

use super::{Limits, StreamError, Wanted};
use crate::policy::fold::fold;

/// The columns of a stream, within the limits and each of them by one name.
pub(super) struct OwnColumns {
    schema: SchemaRef,
    /// Their names without the differences that a loose reader overlooks.
    folded: Vec<String>,
    /// What they were last compared with.
    compared: Option<Wanted>,
}

impl OwnColumns {
    /// Errors: there is none, one has the name of another, or they exceed a limit.
    pub(super) fn new(schema: SchemaRef, limits: &Limits) -> Result<OwnColumns, StreamError> {
        if schema.fields().is_empty() {
            return Err(malformed("the stream declares no column".into()));
        }
        within(&schema, limits)?;
        let mut names = HashSet::new();
        for field in schema.fields() {
            if !names.insert(field.name()) {
                return Err(malformed(format!(
                    "column \"{}\" is there twice",
                    field.name()
                )));
            }
        }
        let folded = schema.fields().iter().map(|field| fold(field.name()));
        Ok(OwnColumns {
            folded: folded.collect(),
            schema,
            compared: None,
        })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Compares them with those that are wanted.
    ///
    /// Errors: one is missing, or another has nearly its name; or there are more than are wanted
    /// where no other may be.
    pub(super) fn compare(&mut self, wanted: &Wanted) -> Result<(), StreamError> {
        let same = |known: &Wanted| known.only == wanted.only && known.schema == wanted.schema;
        if self.compared.as_ref().is_some_and(same) {
            return Ok(());
        }
        let missing: Vec<String> = wanted
            .schema
            .fields()
            .iter()
            .filter(|field| self.schema.index_of(field.name()).is_err())
            .map(|field| field.name().clone())
            .collect();
        for field in wanted.schema.fields() {
            let own = self.schema.field_with_name(field.name()).ok();
            if let Some(twin) = own.and_then(|own| twins(own.data_type())) {
                return Err(malformed(format!(
                    "\"{twin}\" in column \"{}\", which policies read, has a name that another differs from only in case or Unicode form",
                    field.name()
                )));
            }
            let name = fold(field.name());
            let own = self.schema.fields().iter().zip(&self.folded);
            for (other, folded) in own {
                if *folded == name && other.name() != field.name() {
                    return Err(malformed(format!(
                        "column \"{}\" differs only in case or Unicode form from column \"{}\", which policies read",
                        other.name(),
                        field.name()
                    )));
                }
            }
        }
        if !missing.is_empty() {
            return Err(StreamError::Columns(missing));
        }
        if wanted.only {
            let more: Vec<String> = self
                .schema
                .fields()
                .iter()
                .filter(|field| wanted.schema.index_of(field.name()).is_err())
                .map(|field| format!("\"{}\"", field.name()))
                .collect();
            if !more.is_empty() {
                return Err(malformed(format!(
                    "the model does not have column {}",
                    more.join(" and ")
                )));
            }
        }
        self.compared = Some(wanted.clone());
        Ok(())
    }
}

/// Two names within a column that a loose reader would take for one.
fn twins(data_type: &DataType) -> Option<&str> {
    match data_type {
        DataType::Struct(fields) => {
            let mut names = HashSet::new();
            let twin = fields
                .iter()
                .find(|field| !names.insert(fold(field.name())));
            twin.map(|field| field.name().as_str())
                .or_else(|| fields.iter().find_map(|field| twins(field.data_type())))
        }
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _)
        | DataType::RunEndEncoded(_, item) => twins(item.data_type()),
        DataType::Dictionary(_, value) => twins(value),
        _ => None,
    }
}

/// Whether the columns, those within others included, are not too many and not too deep.
fn within(schema: &Schema, limits: &Limits) -> Result<(), StreamError> {
    let mut left = limits.columns;
    for field in schema.fields() {
        // The record is the first level.
        count(
            field.data_type(),
            limits.nesting.saturating_sub(1),
            &mut left,
        )
        .map_err(|fault| match fault {
            Excess::Columns => StreamError::Limit {
                what: "columns",
                most: limits.columns as u64,
            },
            Excess::Nesting => StreamError::Limit {
                what: "levels of nesting in one column",
                most: limits.nesting as u64,
            },
        })?;
    }
    Ok(())
}

enum Excess {
    Columns,
    Nesting,
}

fn count(data_type: &DataType, levels: usize, left: &mut usize) -> Result<(), Excess> {
    *left = left.checked_sub(1).ok_or(Excess::Columns)?;
    let below = || levels.checked_sub(1).ok_or(Excess::Nesting);
    match data_type {
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => count(item.data_type(), below()?, left),
        DataType::Struct(fields) => {
            let below = below()?;
            fields
                .iter()
                .try_for_each(|field| count(field.data_type(), below, left))
        }
        DataType::Union(fields, _) => {
            let below = below()?;
            fields
                .iter()
                .try_for_each(|(_, field)| count(field.data_type(), below, left))
        }
        DataType::Dictionary(_, value) => count(value, below()?, left),
        DataType::RunEndEncoded(_, value) => count(value.data_type(), below()?, left),
        _ => Ok(()),
    }
}

pub(super) fn malformed(what: String) -> StreamError {
    StreamError::Malformed { what }
}
