//! The columns that JSON objects have.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use serde_json::{Map, Value};

/// What the records so far have.
#[derive(Debug, Default)]
pub(super) struct Inferred(Members);

type Members = Vec<(String, Kind)>;

/// What the values so far of one place all are.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Null,
    Boolean,
    Integer,
    Number,
    Text,
    List(Box<Kind>),
    Object(Members),
}

impl Inferred {
    /// Adds a record; an error names the place whose value is of another type than before.
    pub(super) fn add(&mut self, record: &Map<String, Value>) -> Result<(), String> {
        add_members(&mut self.0, record)
    }

    pub(super) fn schema(&self) -> Schema {
        Schema::new(fields(&self.0))
    }
}

fn add_members(members: &mut Members, record: &Map<String, Value>) -> Result<(), String> {
    // Records mostly have their keys in the same order, so the first place to look is the next.
    for (at, (key, value)) in record.iter().enumerate() {
        let known = match members.get(at).is_some_and(|(name, _)| name == key) {
            true => Some(at),
            false => members.iter().position(|(name, _)| name == key),
        };
        let at = known.unwrap_or_else(|| {
            members.push((key.clone(), Kind::Null));
            members.len() - 1
        });
        if let Some((_, kind)) = members.get_mut(at) {
            kind.add(value).map_err(|path| format!("{key}{path}"))?;
        }
    }
    Ok(())
}

impl Kind {
    fn add(&mut self, value: &Value) -> Result<(), String> {
        if value.is_null() {
            return Ok(());
        }
        if *self == Kind::Null {
            *self = match value {
                Value::Array(_) => Kind::List(Box::new(Kind::Null)),
                Value::Object(_) => Kind::Object(Vec::new()),
                Value::Bool(_) => Kind::Boolean,
                Value::String(_) => Kind::Text,
                Value::Number(number) if number.as_i64().is_some() => Kind::Integer,
                Value::Number(_) => Kind::Number,
                Value::Null => Kind::Null,
            };
        }
        match (&mut *self, value) {
            (Kind::Boolean, Value::Bool(_))
            | (Kind::Text, Value::String(_))
            | (Kind::Number, Value::Number(_)) => Ok(()),
            (Kind::Integer, Value::Number(number)) => {
                if number.as_i64().is_none() {
                    *self = Kind::Number;
                }
                Ok(())
            }
            (Kind::List(item), Value::Array(values)) => values
                .iter()
                .try_for_each(|value| item.add(value).map_err(|path| format!("[]{path}"))),
            (Kind::Object(members), Value::Object(record)) => {
                add_members(members, record).map_err(|path| format!(".{path}"))
            }
            _ => Err(String::new()),
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Kind::Null | Kind::Text => DataType::Utf8View,
            Kind::Boolean => DataType::Boolean,
            Kind::Integer => DataType::Int64,
            Kind::Number => DataType::Float64,
            Kind::List(item) => {
                DataType::List(Arc::new(Field::new_list_field(item.data_type(), true)))
            }
            Kind::Object(members) => DataType::Struct(fields(members)),
        }
    }
}

fn fields(members: &Members) -> Fields {
    members
        .iter()
        .map(|(name, kind)| Field::new(name, kind.data_type(), true))
        .collect()
}
