//! The header line of CSV, and where the wanted columns stand in it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::super::{StreamError, Wanted};
use crate::guard::Gathered;
use crate::policy::fold::fold;
use arrow::datatypes::DataType;

/// The names of the columns, and the line they came in.
pub(super) struct Header {
    names: Vec<String>,
    /// As it came, its line end included.
    pub(super) line: Vec<u8>,
}

/// A wanted column.
pub(super) struct Slot {
    /// Which field of a record it is.
    pub(super) field: usize,
    pub(super) kind: Kind,
    pub(super) name: String,
}

/// How a column's values stand in CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    Float,
    Bool,
    Nested,
}

impl Kind {
    fn of(data_type: &DataType) -> Kind {
        match data_type {
            DataType::Dictionary(_, values) => Kind::of(values),
            DataType::RunEndEncoded(_, values) => Kind::of(values.data_type()),
            DataType::Boolean => Kind::Bool,
            float if float.is_floating() => Kind::Float,
            number if number.is_numeric() => Kind::Number,
            nested if nested.is_nested() => Kind::Nested,
            _ => Kind::Text,
        }
    }
}

impl Header {
    /// The header of names, which came in a line.
    ///
    /// Errors: a name stands there twice, or there are more than so many.
    pub(super) fn new(names: Vec<String>, line: &[u8], most: usize) -> Result<Header, StreamError> {
        if names.len() > most {
            return Err(malformed(format!(
                "the header has more than {most} columns: the limit can be raised by the operator"
            )));
        }
        let mut seen = HashSet::new();
        if let Some(name) = names.iter().find(|name| !seen.insert(name.as_str())) {
            return Err(malformed(format!(
                "the header has column \"{name}\" twice: readers differ on which one counts"
            )));
        }
        let mut line = line.to_vec();
        if line.last() != Some(&b'\n') {
            line.push(b'\n');
        }
        Ok(Header { names, line })
    }

    /// How many columns there are.
    pub(super) fn columns(&self) -> usize {
        self.names.len()
    }

    /// Adds the values of a record, which is well-formed: empty ones are none.
    pub(super) fn gather(&self, row: usize, record: &str, gathered: &mut Gathered) {
        let mut rest = record.trim_end_matches(['\n', '\r']);
        for name in &self.names {
            let text;
            (text, rest) = first_field(rest);
            if !text.is_empty() {
                gathered.add(row, name, Some(&text));
            }
        }
    }

    /// Where the wanted columns stand.
    ///
    /// Errors: some are not there; a name could be taken for a wanted one that it is not; or it
    /// is not wanted and only those may be there.
    pub(super) fn slots(&self, wanted: &Wanted) -> Result<Vec<Slot>, StreamError> {
        let fields = wanted.schema.fields();
        let folded: HashMap<String, &String> = fields
            .iter()
            .map(|field| (folded(field.name()), field.name()))
            .collect();
        let exact: HashSet<&String> = fields.iter().map(|field| field.name()).collect();
        let others = self.names.iter().filter(|name| !exact.contains(name));
        for name in others.clone() {
            if let Some(meant) = folded.get(&self::folded(name)) {
                return Err(malformed(format!(
                    "column \"{name}\" of the header differs from \"{meant}\", which policies \
                     read, only in case, blanks or Unicode form: rename one of them"
                )));
            }
        }
        let others: Vec<_> = others.map(|name| format!("\"{name}\"")).collect();
        if wanted.only && !others.is_empty() {
            return Err(malformed(format!(
                "the header has columns that are not known: {}",
                others.join(", ")
            )));
        }
        let mut missing = Vec::new();
        let mut slots = Vec::with_capacity(fields.len());
        for field in fields {
            match self.names.iter().position(|name| name == field.name()) {
                Some(position) => slots.push(Slot {
                    field: position,
                    kind: Kind::of(field.data_type()),
                    name: field.name().clone(),
                }),
                None => missing.push(field.name().clone()),
            }
        }
        match missing.is_empty() {
            true => Ok(slots),
            false => Err(StreamError::Columns(missing)),
        }
    }
}

/// The first field of a line, without its quotes, and what stands behind its comma.
fn first_field(line: &str) -> (Cow<'_, str>, &str) {
    let Some(quoted) = line.strip_prefix('"') else {
        let (field, rest) = line.split_once(',').unwrap_or((line, ""));
        return (Cow::Borrowed(field), rest);
    };
    let mut from = 0;
    while let Some(quote) = quoted.get(from..).and_then(|rest| rest.find('"')) {
        let at = from + quote;
        let behind = quoted.get(at + 1..).unwrap_or_default();
        if behind.starts_with('"') {
            from = at + 2;
            continue;
        }
        let field = quoted.get(..at).unwrap_or_default();
        let field = match field.contains('"') {
            true => Cow::Owned(field.replace("\"\"", "\"")),
            false => Cow::Borrowed(field),
        };
        return (field, behind.strip_prefix(',').unwrap_or(behind));
    }
    (Cow::Borrowed(quoted), "")
}

/// A name as loose readers compare it; some cut the blanks off.
fn folded(name: &str) -> String {
    fold(name.trim())
}

fn malformed(what: String) -> StreamError {
    StreamError::Malformed { what }
}
