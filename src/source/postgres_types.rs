//! PostgreSQL's types as columns, and its binary values read into them.
//!
//! A `numeric` with a precision is a decimal of that precision and scale. One without (sums and
//! averages are such) is a Decimal128(38, 9): a value with more places does not survive that and
//! is an error, which a cast in the model's SQL settles.

use std::error::Error;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use tokio_postgres::types::{FromSql, Kind, Type};
use uuid::Uuid;

use super::column::Column;
use super::literal::within;

/// Days and microseconds from 1970-01-01 to 2000-01-01, PostgreSQL's epoch.
pub(super) const EPOCH_DAYS: i32 = 10_957;
pub(super) const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// How the values of a column are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Boolean,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    Numeric {
        precision: u8,
        scale: i8,
    },
    Text,
    /// Text after a version byte.
    Jsonb,
    Uuid,
    Bytes,
    Date,
    Timestamp {
        zoned: bool,
    },
    Array(Box<Encoding>),
}

impl Encoding {
    /// The encoding of a column's type, or what to do about it.
    pub(super) fn of(kind: &Type, modifier: i32) -> Result<Encoding, String> {
        Ok(match *kind {
            Type::BOOL => Encoding::Boolean,
            Type::INT2 => Encoding::Int16,
            Type::INT4 => Encoding::Int32,
            Type::INT8 => Encoding::Int64,
            Type::FLOAT4 => Encoding::Float32,
            Type::FLOAT8 => Encoding::Float64,
            Type::NUMERIC => numeric(modifier)?,
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::JSON => Encoding::Text,
            Type::JSONB => Encoding::Jsonb,
            Type::UUID => Encoding::Uuid,
            Type::BYTEA => Encoding::Bytes,
            Type::DATE => Encoding::Date,
            Type::TIMESTAMP => Encoding::Timestamp { zoned: false },
            Type::TIMESTAMPTZ => Encoding::Timestamp { zoned: true },
            _ => match kind.kind() {
                Kind::Enum(_) => Encoding::Text,
                Kind::Domain(inner) => Encoding::of(inner, modifier)?,
                Kind::Array(item) if !matches!(item.kind(), Kind::Array(_)) => {
                    Encoding::Array(Box::new(Encoding::of(item, modifier)?))
                }
                Kind::Simple if kind.name() == "citext" => Encoding::Text,
                _ => {
                    return Err(format!(
                        "type `{}` cannot be read; cast it in the model's SQL, for example to text",
                        kind.name()
                    ));
                }
            },
        })
    }

    pub(super) fn data_type(&self) -> DataType {
        match self {
            Encoding::Boolean => DataType::Boolean,
            Encoding::Int16 => DataType::Int16,
            Encoding::Int32 => DataType::Int32,
            Encoding::Int64 => DataType::Int64,
            Encoding::Float32 => DataType::Float32,
            Encoding::Float64 => DataType::Float64,
            Encoding::Numeric { precision, scale } => DataType::Decimal128(*precision, *scale),
            Encoding::Text | Encoding::Jsonb | Encoding::Uuid => DataType::Utf8View,
            Encoding::Bytes => DataType::Binary,
            Encoding::Date => DataType::Date32,
            Encoding::Timestamp { zoned } => {
                DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| "UTC".into()))
            }
            Encoding::Array(item) => {
                DataType::List(Arc::new(Field::new_list_field(item.data_type(), true)))
            }
        }
    }
}

fn numeric(modifier: i32) -> Result<Encoding, String> {
    let Some(packed) = modifier.checked_sub(4).filter(|packed| *packed >= 0) else {
        return Ok(Encoding::Numeric {
            precision: 38,
            scale: 9,
        });
    };
    let precision = (packed >> 16) & 0xffff;
    // The scale has eleven bits and a sign.
    let scale = ((packed & 0x7ff) ^ 0x400) - 0x400;
    // With a negative scale the last digits before the point are zero; they are kept.
    let (precision, scale) = if scale < 0 {
        (precision - scale, 0)
    } else {
        (precision, scale)
    };
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision @ 1..=38), Ok(scale)) if scale.unsigned_abs() <= precision => {
            Ok(Encoding::Numeric { precision, scale })
        }
        _ => Err(
            "it has more than 38 digits; cast it to a smaller numeric in the model's SQL".into(),
        ),
    }
}

/// A value as it came, whatever its type.
pub(super) struct Binary<'a>(pub(super) Option<&'a [u8]>);

impl<'a> FromSql<'a> for Binary<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Binary(Some(raw)))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Binary(None))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Adds a value to its column, or says what it should have been.
pub(super) fn append(
    column: &mut Column,
    encoding: &Encoding,
    value: Option<&[u8]>,
) -> Result<(), &'static str> {
    let Some(bytes) = value else {
        column.append_null();
        return Ok(());
    };
    const BROKEN: &str = "of the column's type";
    match (column, encoding) {
        (Column::Boolean(builder), Encoding::Boolean) => {
            builder.append_value(u8::from_be_bytes(array(bytes).ok_or(BROKEN)?) != 0);
        }
        (Column::Int16(builder), Encoding::Int16) => {
            builder.append_value(i16::from_be_bytes(array(bytes).ok_or(BROKEN)?));
        }
        (Column::Int32(builder), Encoding::Int32) => {
            builder.append_value(i32::from_be_bytes(array(bytes).ok_or(BROKEN)?));
        }
        (Column::Int64(builder), Encoding::Int64) => {
            builder.append_value(i64::from_be_bytes(array(bytes).ok_or(BROKEN)?));
        }
        (Column::Float32(builder), Encoding::Float32) => {
            builder.append_value(f32::from_be_bytes(array(bytes).ok_or(BROKEN)?));
        }
        (Column::Float64(builder), Encoding::Float64) => {
            builder.append_value(f64::from_be_bytes(array(bytes).ok_or(BROKEN)?));
        }
        (Column::Decimal { builder, .. }, Encoding::Numeric { precision, scale }) => {
            let value = decimal(bytes, *precision, *scale);
            builder.append_value(value.ok_or("a decimal of the column's precision and scale")?);
        }
        (Column::Text(builder), Encoding::Text) => {
            builder.append_value(std::str::from_utf8(bytes).map_err(|_| "text in UTF-8")?);
        }
        (Column::Text(builder), Encoding::Jsonb) => {
            let text = bytes.strip_prefix(&[1]).ok_or("jsonb of a known version")?;
            builder.append_value(std::str::from_utf8(text).map_err(|_| "text in UTF-8")?);
        }
        (Column::Text(builder), Encoding::Uuid) => {
            builder.append_value(Uuid::from_bytes(array(bytes).ok_or(BROKEN)?).to_string());
        }
        (Column::Binary(builder), Encoding::Bytes) => builder.append_value(bytes),
        (Column::Date(builder), Encoding::Date) => {
            let days = i32::from_be_bytes(array(bytes).ok_or(BROKEN)?);
            // The extremes stand for the infinities.
            let finite = days != i32::MIN && days != i32::MAX;
            let days = finite.then(|| days.checked_add(EPOCH_DAYS)).flatten();
            builder.append_value(days.ok_or("a finite date")?);
        }
        (Column::Timestamp { builder, .. }, Encoding::Timestamp { .. }) => {
            let micros = i64::from_be_bytes(array(bytes).ok_or(BROKEN)?);
            let finite = micros != i64::MIN && micros != i64::MAX;
            let micros = finite.then(|| micros.checked_add(EPOCH_MICROS)).flatten();
            builder.append_value(micros.ok_or("a finite time")?);
        }
        (Column::List(list), Encoding::Array(item)) => {
            let mut cursor = Cursor(bytes);
            let dimensions = cursor.int().ok_or(BROKEN)?;
            let _has_nulls = cursor.int().ok_or(BROKEN)?;
            let _item_type = cursor.int().ok_or(BROKEN)?;
            if dimensions > 1 {
                return Err("an array of one dimension");
            }
            if dimensions == 1 {
                let length = cursor.int().ok_or(BROKEN)?;
                let _lower_bound = cursor.int().ok_or(BROKEN)?;
                for _ in 0..length {
                    let size = cursor.int().ok_or(BROKEN)?;
                    let value = match usize::try_from(size) {
                        Ok(size) => Some(cursor.take(size).ok_or(BROKEN)?),
                        Err(_) => None,
                    };
                    append(list.items(), item, value)?;
                    if !list.push() {
                        return Err("an array that a batch can hold");
                    }
                }
            }
            list.close(true);
        }
        _ => return Err(BROKEN),
    }
    Ok(())
}

fn array<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn int(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(array(self.take(4)?)?))
    }

    fn short(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(array(self.take(2)?)?))
    }
}

/// A binary `numeric` as an integer of `scale` decimal places; `None` if it has more places or
/// digits, or is NaN or infinite.
fn decimal(bytes: &[u8], precision: u8, scale: i8) -> Option<i128> {
    const NEGATIVE: i16 = 0x4000;
    let mut cursor = Cursor(bytes);
    let groups = cursor.short()?;
    let weight = cursor.short()?;
    let sign = cursor.short()?;
    let _display_scale = cursor.short()?;
    if sign != 0 && sign != NEGATIVE {
        return None;
    }
    let mut value: i128 = 0;
    for group in 0..i32::from(groups) {
        let digits = i128::from(cursor.short()?);
        // Each group of four digits counts 10000^(weight - group).
        let places = (i32::from(weight) - group) * 4 + i32::from(scale);
        let power = 10_i128.checked_pow(places.unsigned_abs());
        let part = match (places >= 0, power) {
            (true, Some(power)) => digits.checked_mul(power)?,
            (false, Some(power)) if digits % power == 0 => digits / power,
            (_, None) if digits == 0 => 0,
            _ => return None,
        };
        value = value.checked_add(part)?;
    }
    within(if sign == NEGATIVE { -value } else { value }, precision)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(weight: i16, sign: i16, groups: &[i16]) -> Vec<u8> {
        let count = i16::try_from(groups.len()).expect("few groups");
        [count, weight, sign, 0]
            .iter()
            .chain(groups)
            .flat_map(|n| n.to_be_bytes())
            .collect()
    }

    #[test]
    fn numerics_lose_nothing() {
        // 12345.67 is the groups 1, 2345, 6700.
        let value = wire(1, 0, &[1, 2345, 6700]);
        assert_eq!(decimal(&value, 10, 2), Some(1_234_567));
        assert_eq!(decimal(&value, 10, 4), Some(123_456_700));
        assert_eq!(decimal(&value, 10, 1), None);
        assert_eq!(decimal(&value, 6, 2), None);
        assert_eq!(decimal(&wire(0, 0x4000, &[5]), 3, 2), Some(-500));
        assert_eq!(decimal(&wire(-1, 0, &[1]), 4, 4), Some(1));
        assert_eq!(decimal(&wire(0, 0, &[]), 4, 4), Some(0));
        assert_eq!(
            decimal(&wire(0, i16::from_be_bytes([0xc0, 0]), &[]), 4, 4),
            None
        );
    }

    #[test]
    fn modifiers_name_precision_and_scale() {
        let modifier = |precision: i32, scale: i32| ((precision << 16) | (scale & 0x7ff)) + 4;
        let is = |precision, scale| Ok(Encoding::Numeric { precision, scale });
        assert_eq!(numeric(-1), is(38, 9));
        assert_eq!(numeric(modifier(10, 2)), is(10, 2));
        assert_eq!(numeric(modifier(5, -2)), is(7, 0));
        assert!(numeric(modifier(50, 2)).is_err());
        assert!(numeric(modifier(2, 5)).is_err());
    }
}
