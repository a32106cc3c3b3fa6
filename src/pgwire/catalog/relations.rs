//! Models as relations: what a client is told of them, under ids that stay the same.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use uuid::Uuid;

use super::builtin::{self, FIRST_MODEL};
use crate::catalog::Model;
use crate::pgwire::types;

/// A model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Relation {
    /// Its id.
    pub(super) oid: i32,
    /// Its name.
    pub(super) name: String,
    /// Its columns, in order.
    pub(super) columns: Vec<Column>,
    /// Its primary key, where it has one.
    pub(super) key: Option<Key>,
}

/// A column of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    /// Its number, from 1.
    pub(super) number: i16,
    /// Its name.
    pub(super) name: String,
    /// Its type.
    pub(super) type_oid: i32,
    /// Bytes of a value; -1 where values differ in length.
    pub(super) len: i16,
    /// The modifier of its type; -1 where there is none.
    pub(super) modifier: i32,
    /// Whether it has a value in each row.
    pub(super) not_null: bool,
}

/// A primary key: the constraint, and the index that clients expect to find with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// The id of the index.
    pub(super) index: i32,
    /// The id of the constraint.
    pub(super) constraint: i32,
    /// The name of both.
    pub(super) name: String,
    /// Numbers of its columns, in order.
    pub(super) numbers: Vec<i16>,
}

impl Relation {
    /// The columns of its primary key, in order.
    pub(super) fn key_columns(&self) -> impl Iterator<Item = &Column> {
        self.key
            .iter()
            .flat_map(|key| &key.numbers)
            .filter_map(|number| self.columns.iter().find(|column| column.number == *number))
    }

    /// The names of those, as they are written in SQL.
    pub(super) fn key_list(&self) -> String {
        let names: Vec<String> = self
            .key_columns()
            .map(|column| quoted(&column.name))
            .collect();
        names.join(", ")
    }

    /// The definition of the index of its primary key.
    pub(super) fn index_definition(&self) -> Option<String> {
        let key = self.key.as_ref()?;
        Some(format!(
            "CREATE UNIQUE INDEX {} ON public.{} USING btree ({})",
            quoted(&key.name),
            quoted(&self.name),
            self.key_list()
        ))
    }
}

/// Describes models.
pub(super) fn describe(models: &[Model]) -> Vec<Relation> {
    let mut models: Vec<&Model> = models.iter().collect();
    models.sort_by_key(|model| model.id);
    let mut taken = BTreeSet::new();
    let mut relations: Vec<Relation> = models
        .into_iter()
        .map(|model| relation(model, &mut taken))
        .collect();
    relations.sort_by(|one, other| one.name.cmp(&other.name));
    relations
}

fn relation(model: &Model, taken: &mut BTreeSet<i32>) -> Relation {
    let oid = oid(model.id, 0, taken);
    let mut columns: Vec<Column> = (1_i16..)
        .zip(model.schema.fields())
        .map(|(number, field)| {
            let pg_type = types::pg_type(field.data_type());
            Column {
                number,
                name: field.name().clone(),
                type_oid: i32::try_from(pg_type.oid).unwrap_or_default(),
                len: pg_type.len,
                modifier: modifier(field.data_type()),
                not_null: !field.is_nullable(),
            }
        })
        .collect();
    let numbers: Vec<i16> = model
        .primary_key
        .iter()
        .filter_map(|name| columns.iter().find(|column| column.name == *name))
        .map(|column| column.number)
        .collect();
    let key = (!numbers.is_empty() && numbers.len() == model.primary_key.len()).then(|| Key {
        index: self::oid(model.id, 1, taken),
        constraint: self::oid(model.id, 2, taken),
        name: format!("{}_pkey", model.name),
        numbers,
    });
    for column in &mut columns {
        column.not_null |= key
            .as_ref()
            .is_some_and(|key| key.numbers.contains(&column.number));
    }
    Relation {
        oid,
        name: model.name.clone(),
        columns,
        key,
    }
}

/// An id that follows from a model's: the same in every session that sees the model. In the rare
/// case that two models would have the same, the later of them gets the next one that is free.
fn oid(model: Uuid, part: u8, taken: &mut BTreeSet<i32>) -> i32 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let hash = model
        .as_bytes()
        .iter()
        .chain([&part])
        .fold(OFFSET, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
        });
    let room = u64::from(i32::MAX.unsigned_abs() - FIRST_MODEL.unsigned_abs());
    let mut oid = i32::try_from((hash ^ (hash >> 32)) % room)
        .unwrap_or_default()
        .saturating_add(FIRST_MODEL);
    while !taken.insert(oid) {
        oid = if oid == i32::MAX {
            FIRST_MODEL
        } else {
            oid + 1
        };
    }
    oid
}

fn modifier(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            ((i32::from(*precision) << 16) | (i32::from(*scale) & 0x7ff)) + 4
        }
        _ => -1,
    }
}

/// A name as it has to be written in SQL.
pub(super) fn quoted(name: &str) -> String {
    let mut letters = name.chars();
    let plain = letters
        .next()
        .is_some_and(|first| first.is_ascii_lowercase() || first == '_')
        && letters
            .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_')
        && !builtin::KEYWORDS.contains(&name)
        && !RESERVED.contains(&name);
    if plain {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Words of standard SQL that must be quoted to be a name.
const RESERVED: &[&str] = &[
    "all",
    "and",
    "any",
    "array",
    "as",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "column",
    "constraint",
    "create",
    "current_date",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "distinct",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "from",
    "grant",
    "group",
    "having",
    "in",
    "intersect",
    "into",
    "lateral",
    "leading",
    "localtime",
    "localtimestamp",
    "not",
    "null",
    "on",
    "only",
    "or",
    "order",
    "primary",
    "references",
    "select",
    "session_user",
    "some",
    "symmetric",
    "table",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "when",
    "where",
    "window",
    "with",
];

/// The schema, if any, and the name that a text such as `public."Of"` or `pg_class` stands for.
pub(super) fn parsed(text: &str) -> (Option<String>, String) {
    let mut parts = vec![String::new()];
    let mut letters = text.trim().chars().peekable();
    let mut inside = false;
    while let Some(letter) = letters.next() {
        match letter {
            '"' if inside && letters.peek() == Some(&'"') => {
                letters.next();
                push(&mut parts, '"');
            }
            '"' => inside = !inside,
            '.' if !inside => parts.push(String::new()),
            letter if inside => push(&mut parts, letter),
            letter => push(&mut parts, letter.to_ascii_lowercase()),
        }
    }
    let name = parts.pop().unwrap_or_default();
    (parts.pop(), name)
}

fn push(parts: &mut [String], letter: char) {
    if let Some(part) = parts.last_mut() {
        part.push(letter);
    }
}
