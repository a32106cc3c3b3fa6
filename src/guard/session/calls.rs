//! How large the value of a function can become, from the sizes of its arguments.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, Volatility};

use super::fault::QueryFault;
use super::growth::{Size, too_complex};

/// What a text of another length than its arguments' takes at most: digests, dates, names of
/// types.
const SHORT_BYTES: u64 = 128;
/// What an item of an array or a struct takes beside its value.
const ITEM_BYTES: u64 = 16;
/// Bytes that a directive of a date format makes of each of its own.
const FORMAT_FACTOR: u64 = 20;

/// Whether an aggregate function holds the values of all its rows.
pub(super) fn gathers(name: &str) -> bool {
    matches!(name, "array_agg" | "string_agg")
}

/// Whether an aggregate over a window takes as long for each row as for all of them.
pub(super) fn is_slow_over_rows(name: &str) -> bool {
    name == "median" || name.starts_with("percentile") || name.starts_with("approx_")
}

/// The size of a call.
pub(super) fn size(call: &ScalarFunction, parts: &[Size]) -> Result<Size, QueryFault> {
    let name = call.func.name();
    let part = |index: usize| parts.get(index).copied().unwrap_or_default();
    let count = |index: usize| literal_count(name, call.args.get(index));
    // What the other arguments are computed from counts, too.
    let from_first = |size: Size| Size {
        copies: size.copies,
        bytes: size.bytes,
        ..Size::sum(parts)
    };
    if name.starts_with("regexp_") {
        constant_pattern(parts.get(1))?;
    }
    let size = match name {
        "ascii"
        | "bit_length"
        | "character_length"
        | "octet_length"
        | "strpos"
        | "starts_with"
        | "ends_with"
        | "contains"
        | "find_in_set"
        | "regexp_like"
        | "regexp_count"
        | "regexp_instr"
        | "array_length"
        | "array_ndims"
        | "array_has"
        | "array_has_all"
        | "array_has_any"
        | "array_position"
        | "array_distance"
        | "cardinality"
        | "cosine_distance"
        | "empty"
        | "inner_product"
        | "date_part"
        | "to_date"
        | "to_time"
        | "to_timestamp"
        | "to_timestamp_micros"
        | "to_timestamp_millis"
        | "to_timestamp_nanos"
        | "to_timestamp_seconds"
        | "to_unixtime" => Size::small(parts, 0),
        "arrow_typeof" | "chr" | "digest" | "md5" | "sha224" | "sha256" | "sha384" | "sha512"
        | "to_hex" | "uuid" => Size::small(parts, SHORT_BYTES),
        "coalesce" | "greatest" | "least" | "nullif" | "nvl" | "nvl2" => Size::largest(parts),
        // Letters whose other case takes more bytes.
        "initcap" | "lower" | "upper" => from_first(part(0).times(3)),
        "encode" => from_first(part(0).times(2)),
        "translate" => from_first(part(0).times(4)),
        "to_char" => Size::sum(parts).times(FORMAT_FACTOR),
        "concat_ws" => Size::sum(parts).plus(part(0).times(parts.len() as u64)),
        "replace" => {
            let with = fixed_text(name, part(2))?;
            let sought = call.args.get(1).map_or(1, literal_length).max(1);
            from_first(part(0).times(1 + with / sought).and(with))
        }
        "regexp_replace" => {
            // Each match gives the text, and each group that the text names is a part of a match.
            let with = fixed_text(name, part(2))?;
            from_first(
                part(0)
                    .times(with.saturating_mul(2).saturating_add(1))
                    .and(with),
            )
        }
        "regexp_match" => from_first(part(0).times(part(1).bytes.saturating_add(1))),
        "repeat" => from_first(part(0).times(count(1)?)),
        "lpad" | "rpad" => from_first(part(0).and(count(1)?.saturating_mul(4))),
        "array_repeat" => from_first(part(0).and(ITEM_BYTES).times(count(1)?)),
        "array_resize" => {
            let added = part(2).and(ITEM_BYTES).times(count(1)?);
            from_first(part(0).plus(added))
        }
        "array_replace" | "array_replace_all" | "array_replace_n" => {
            let with = fixed_text(name, part(2))?;
            from_first(part(0).times(with.saturating_add(1)))
        }
        "array_to_string" => {
            let between = fixed_text(name, part(1))?.saturating_add(fixed_text(name, part(2))?);
            from_first(part(0).times(between.saturating_add(3)))
        }
        "string_to_array" => from_first(part(0).times(4)),
        "array_append" | "array_prepend" | "make_array" | "map" | "named_struct" | "struct" => {
            Size::sum(parts).and(ITEM_BYTES.saturating_mul(parts.len() as u64))
        }
        "arrow_cast" | "arrow_try_cast" => from_first(part(0).and(type_bytes(call.args.get(1)))),
        _ => Size::sum(parts),
    };
    Ok(Size {
        varies: size.varies || call.func.signature().volatility == Volatility::Volatile,
        ..size
    })
}

impl Size {
    fn plus(self, other: Size) -> Size {
        Size::sum(&[self, other])
    }
}

/// Refuses a regular expression that is another one in each row: all of those of a batch are kept,
/// and each takes megabytes.
pub(super) fn constant_pattern(pattern: Option<&Size>) -> Result<(), QueryFault> {
    match pattern {
        Some(pattern) if pattern.varies => Err(too_complex(
            "a regular expression has to be a literal, not a value of a row".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// The bytes of an argument that stands once for each letter or item of another.
fn fixed_text(name: &str, text: Size) -> Result<u64, QueryFault> {
    if text.copies > 0 {
        return Err(too_complex(format!(
            "what {name} puts in has to be a literal, not a value of a row"
        )));
    }
    Ok(text.bytes)
}

/// A count that is written in the query.
fn literal_count(name: &str, count: Option<&Expr>) -> Result<u64, QueryFault> {
    match count {
        None => Ok(0),
        // Known once it has a value; the plan is looked at again then.
        Some(Expr::Placeholder(_)) => Ok(0),
        Some(Expr::Cast(cast)) => literal_count(name, Some(&cast.expr)),
        Some(Expr::Alias(alias)) => literal_count(name, Some(&alias.expr)),
        Some(Expr::Negative(inner)) => literal_count(name, Some(inner)).map(|_| 0),
        Some(Expr::Literal(value, _)) => match value {
            value if value.is_null() => Ok(0),
            ScalarValue::Int8(Some(count)) => Ok(u64::try_from(*count).unwrap_or(0)),
            ScalarValue::Int16(Some(count)) => Ok(u64::try_from(*count).unwrap_or(0)),
            ScalarValue::Int32(Some(count)) => Ok(u64::try_from(*count).unwrap_or(0)),
            ScalarValue::Int64(Some(count)) => Ok(u64::try_from(*count).unwrap_or(0)),
            ScalarValue::UInt8(Some(count)) => Ok(u64::from(*count)),
            ScalarValue::UInt16(Some(count)) => Ok(u64::from(*count)),
            ScalarValue::UInt32(Some(count)) => Ok(u64::from(*count)),
            ScalarValue::UInt64(Some(count)) => Ok(*count),
            _ => Err(no_count(name)),
        },
        Some(_) => Err(no_count(name)),
    }
}

fn no_count(name: &str) -> QueryFault {
    too_complex(format!("{name} takes a whole number that is written out"))
}

fn literal_length(text: &Expr) -> u64 {
    match text {
        Expr::Literal(value, _) => value
            .try_as_str()
            .flatten()
            .map_or(1, |text| text.len() as u64),
        _ => 1,
    }
}

/// Bytes that a type of Arrow takes whatever the value, from its name.
fn type_bytes(name: Option<&Expr>) -> u64 {
    let Some(Expr::Literal(value, _)) = name else {
        return 0;
    };
    let name = value.try_as_str().flatten().unwrap_or_default();
    if !name.contains("FixedSize") {
        return 0;
    }
    // More than the type takes, and enough to tell a small one from a large one.
    name.split(|letter: char| !letter.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse::<u64>().unwrap_or(u64::MAX).max(1))
        .fold(ITEM_BYTES, u64::saturating_mul)
}
