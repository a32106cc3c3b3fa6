//! Conditions as PostgreSQL takes them: text for after WHERE, and its parameters.
//!
//! Only what selects there at least the rows that it selects here is written: equality on whole
//! numbers, booleans, dates, times, UUIDs and text, and order on numbers, dates and times. Text
//! is ordered by collations there, floats and numerics have a NaN that is greater than all, and
//! functions of theirs round otherwise. Equality of text may select more than the same bytes
//! (a collation that ignores case, `char` that ignores blanks at the end), never less.

use std::error::Error;
use std::fmt;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use super::condition::{Condition, Test, Value};
use super::postgres_types::{EPOCH_DAYS, EPOCH_MICROS};

/// The first and last day and time that PostgreSQL has, from its own epoch.
const DAYS: std::ops::RangeInclusive<i32> = -2_451_545..=2_145_031_948;
const MICROS: std::ops::RangeInclusive<i64> = -211_813_488_000_000_000..=9_223_371_331_199_999_999;

/// Most values that are sent along, a list counting as one; the protocol bounds them.
const MAX_PARAMETERS: usize = 1000;

/// What a column is compared as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Native {
    Boolean,
    Int2,
    Int4,
    Int8,
    Text,
    /// `char(n)`. Compared as `text` it would lose its blanks, which our values have.
    Bpchar,
    Uuid,
    Date,
    Timestamp,
    Timestamptz,
    /// Anything else: NULL or not.
    Other,
}

impl Native {
    pub(super) fn of(kind: &Type) -> Native {
        match *kind {
            Type::BOOL => Native::Boolean,
            Type::INT2 => Native::Int2,
            Type::INT4 => Native::Int4,
            Type::INT8 => Native::Int8,
            Type::TEXT | Type::VARCHAR => Native::Text,
            Type::BPCHAR => Native::Bpchar,
            Type::UUID => Native::Uuid,
            Type::DATE => Native::Date,
            Type::TIMESTAMP => Native::Timestamp,
            Type::TIMESTAMPTZ => Native::Timestamptz,
            _ => Native::Other,
        }
    }

    fn name(self) -> Option<&'static str> {
        Some(match self {
            Native::Boolean => "bool",
            Native::Int2 => "int2",
            Native::Int4 => "int4",
            Native::Int8 => "int8",
            Native::Text => "text",
            Native::Bpchar => "bpchar",
            Native::Uuid => "uuid",
            Native::Date => "date",
            Native::Timestamp => "timestamp",
            Native::Timestamptz => "timestamptz",
            Native::Other => return None,
        })
    }

    fn is_ordered(self) -> bool {
        match self {
            Native::Int2
            | Native::Int4
            | Native::Int8
            | Native::Date
            | Native::Timestamp
            | Native::Timestamptz => true,
            Native::Boolean | Native::Text | Native::Bpchar | Native::Uuid | Native::Other => false,
        }
    }

    fn encode(self, value: &Value) -> Encoded {
        let encoded = match (self, value) {
            (Native::Boolean, Value::Boolean(truth)) => Some(vec![u8::from(*truth)]),
            (Native::Int2, Value::Integer(number)) => {
                i16::try_from(*number).ok().map(|n| n.to_be_bytes().into())
            }
            (Native::Int4, Value::Integer(number)) => {
                i32::try_from(*number).ok().map(|n| n.to_be_bytes().into())
            }
            (Native::Int8, Value::Integer(number)) => Some(number.to_be_bytes().into()),
            (Native::Text | Native::Bpchar, Value::Text(text)) if text.contains('\0') => {
                return Encoded::Nowhere;
            }
            (Native::Text | Native::Bpchar, Value::Text(text)) => Some(text.as_bytes().into()),
            // A UUID is read in one way of writing it; no other equals it.
            (Native::Uuid, Value::Text(text)) => match Uuid::try_parse(text) {
                Ok(uuid) if uuid.to_string() == *text => Some(uuid.as_bytes().into()),
                _ => return Encoded::Nowhere,
            },
            (Native::Date, Value::Date(days)) => days
                .checked_sub(EPOCH_DAYS)
                .filter(|days| DAYS.contains(days))
                .map(|days| days.to_be_bytes().into()),
            (Native::Timestamp | Native::Timestamptz, Value::Moment(micros)) => micros
                .checked_sub(EPOCH_MICROS)
                .filter(|micros| MICROS.contains(micros))
                .map(|micros| micros.to_be_bytes().into()),
            _ => None,
        };
        encoded.map_or(Encoded::Not, Encoded::As)
    }
}

/// A value as the server takes it.
enum Encoded {
    As(Vec<u8>),
    /// No row can have it.
    Nowhere,
    /// It cannot be sent.
    Not,
}

/// A parameter: one value, or the values of a list, in the binary form of its type.
#[derive(PartialEq, Eq)]
pub(super) enum Parameter {
    One(Vec<u8>),
    Many(Vec<Vec<u8>>),
}

impl fmt::Debug for Parameter {
    // The client writes parameters to its log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(a value)")
    }
}

impl ToSql for Parameter {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self, kind.kind()) {
            (Parameter::One(bytes), _) => out.put_slice(bytes),
            (Parameter::Many(items), Kind::Array(item)) => {
                // Dimensions, whether there are NULLs, the items' type; length, first index.
                out.put_i32(1);
                out.put_i32(0);
                out.put_u32(item.oid());
                out.put_i32(i32::try_from(items.len())?);
                out.put_i32(1);
                for bytes in items {
                    out.put_i32(i32::try_from(bytes.len())?);
                    out.put_slice(bytes);
                }
            }
            (Parameter::Many(_), _) => return Err("a list is no value of that type".into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What stands after WHERE, and what it refers to.
#[derive(Debug, Default)]
pub(super) struct Where {
    /// Each has to be true.
    pub(super) texts: Vec<String>,
    /// The values of `$2` and those after it.
    pub(super) parameters: Vec<Parameter>,
}

impl Where {
    /// What can be said of the conditions. `columns` are the quoted names of the schema's columns,
    /// and what they are compared as; a column that has none is not mentioned.
    pub(super) fn new(conditions: &[Condition], columns: &[(String, Option<Native>)]) -> Where {
        let mut found = Where::default();
        for condition in conditions {
            let Some((name, Some(native))) = columns.get(condition.column) else {
                continue;
            };
            found.add(name, *native, &condition.test);
        }
        found
    }

    fn add(&mut self, name: &str, native: Native, test: &Test) {
        let next = self.parameters.len() + 2;
        let kind = native
            .name()
            .filter(|_| self.parameters.len() < MAX_PARAMETERS);
        match (test, kind) {
            (Test::IsNull, _) => self.texts.push(format!("{name} IS NULL")),
            (Test::IsNotNull, _) => self.texts.push(format!("{name} IS NOT NULL")),
            (Test::Side(side, value), Some(kind)) if native.is_ordered() => {
                if let Encoded::As(bytes) = native.encode(value) {
                    let operator = side.operator();
                    self.texts
                        .push(format!("{name} {operator} ${next}::{kind}"));
                    self.parameters.push(Parameter::One(bytes));
                }
            }
            (Test::OneOf(values), Some(kind)) => {
                let mut sent = Vec::new();
                for value in values {
                    match native.encode(value) {
                        Encoded::As(bytes) => sent.push(bytes),
                        Encoded::Nowhere => {}
                        Encoded::Not => return,
                    }
                }
                let (text, parameter) = match (sent.pop(), sent.is_empty()) {
                    (None, _) => {
                        self.texts.push("false".to_owned());
                        return;
                    }
                    (Some(one), true) => (format!("{name} = ${next}::{kind}"), Parameter::One(one)),
                    (Some(last), false) => {
                        sent.push(last);
                        let text = format!("{name} = ANY(${next}::{kind}[])");
                        (text, Parameter::Many(sent))
                    }
                };
                self.texts.push(text);
                self.parameters.push(parameter);
            }
            (Test::Side(..) | Test::OneOf(_), _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::condition::Side;
    use super::*;

    fn written(native: Native, test: Test) -> (Vec<String>, usize) {
        let columns = [("\"a\"".to_owned(), Some(native))];
        let found = Where::new(&[Condition { column: 0, test }], &columns);
        (found.texts, found.parameters.len())
    }

    #[test]
    fn only_what_selects_no_less_is_written() {
        let text = |text: &str| Value::Text(text.into());
        let one = |value| Test::OneOf(vec![value]);
        let uuid = "a81bc81b-dead-4e5d-abff-90865d1e13b1";
        for (native, test, expected) in [
            (
                Native::Int4,
                one(Value::Integer(5)),
                Some("\"a\" = $2::int4"),
            ),
            (
                Native::Int8,
                Test::OneOf(vec![Value::Integer(5), Value::Integer(6)]),
                Some("\"a\" = ANY($2::int8[])"),
            ),
            (
                Native::Int2,
                Test::Side(Side::UpTo, Value::Integer(5)),
                Some("\"a\" <= $2::int2"),
            ),
            (Native::Int2, one(Value::Integer(70_000)), None),
            (
                Native::Boolean,
                one(Value::Boolean(true)),
                Some("\"a\" = $2::bool"),
            ),
            (Native::Text, one(text("x")), Some("\"a\" = $2::text")),
            (Native::Bpchar, one(text("x")), Some("\"a\" = $2::bpchar")),
            (Native::Text, Test::Side(Side::Below, text("x")), None),
            (Native::Uuid, one(text(uuid)), Some("\"a\" = $2::uuid")),
            (Native::Uuid, Test::Side(Side::Below, text(uuid)), None),
            (
                Native::Date,
                Test::Side(Side::From, Value::Date(0)),
                Some("\"a\" >= $2::date"),
            ),
            (Native::Date, one(Value::Date(i32::MIN)), None),
            (Native::Date, one(Value::Date(i32::MAX)), None),
            (
                Native::Timestamptz,
                Test::Side(Side::Above, Value::Moment(0)),
                Some("\"a\" > $2::timestamptz"),
            ),
            (Native::Timestamp, one(Value::Moment(i64::MIN)), None),
            (Native::Other, one(text("x")), None),
        ] {
            let (texts, parameters) = written(native, test);
            assert_eq!(texts.first().map(String::as_str), expected);
            assert_eq!(parameters, usize::from(expected.is_some()));
        }
        // What no row can have selects none.
        for (native, value) in [
            (Native::Uuid, text("A81BC81B-DEAD-4E5D-ABFF-90865D1E13B1")),
            (Native::Uuid, text("x")),
            (Native::Text, text("a\0b")),
        ] {
            assert_eq!(written(native, one(value)), (vec!["false".into()], 0));
        }
        let null = (vec!["\"a\" IS NULL".into()], 0);
        assert_eq!(written(Native::Other, Test::IsNull), null);
    }

    #[test]
    fn conditions_count_their_parameters() {
        let integer = |column, n| Condition {
            column,
            test: Test::OneOf(vec![Value::Integer(n)]),
        };
        let columns = [
            ("\"a\"".to_owned(), Some(Native::Int4)),
            ("\"b\"".to_owned(), None),
            ("\"c\"".to_owned(), Some(Native::Int4)),
        ];
        let found = Where::new(&[integer(0, 1), integer(1, 2), integer(2, 3)], &columns);
        assert_eq!(found.texts, ["\"a\" = $2::int4", "\"c\" = $3::int4"]);
        let values = [1_i32, 3].map(|n| Parameter::One(n.to_be_bytes().into()));
        assert_eq!(found.parameters, values);
        assert!(!format!("{:?}", found.parameters).contains('3'));
    }
}
