//! Values of parameters, as clients send them.

use arrow::datatypes::{DataType, IntervalMonthDayNanoType, i256};
use datafusion::common::ScalarValue;
use uuid::Uuid;

use super::column::{DAY_MICROS, EPOCH_DAYS, EPOCH_MICROS, Interval};
use super::moments::{self, Moment};
use super::rows::Format;
use super::types::{
    self, BOOL, BPCHAR, BYTEA, CHAR, DATE, FLOAT4, FLOAT8, INT2, INT4, INT8, INTERVAL, JSON, JSONB,
    NAME, NUMERIC, OID, TEXT, TIME, TIMESTAMP, TIMESTAMPTZ, UNKNOWN, UUID, VARCHAR,
};
use crate::guard::session::{FaultKind, QueryFault};

/// The value of a parameter that the client declared with an OID, 0 if with none: it is then of
/// the type that the statement wants, or text. `None` for the bytes is NULL.
///
/// Times are of whole microseconds, as PostgreSQL's are: more digits are rounded. The zone of a
/// moment for a type without one is left out of account, as PostgreSQL does.
///
/// # Errors
/// `Parameters` if the bytes are no value of the type; it is not quoted.
pub(super) fn parameter(
    oid: u32,
    wanted: Option<&DataType>,
    format: Format,
    bytes: Option<&[u8]>,
) -> Result<ScalarValue, QueryFault> {
    let oid = match (oid, wanted) {
        (0 | UNKNOWN, Some(wanted)) => types::pg_type(wanted).oid,
        (0 | UNKNOWN, None) => TEXT,
        (oid, _) => oid,
    };
    let Some(data_type) = types::data_type(oid) else {
        return Err(QueryFault::new(
            FaultKind::Parameters,
            format!(
                "parameters of the type with OID {oid} cannot be taken: send it as text, and cast it in the statement"
            ),
        ));
    };
    let value = match bytes {
        None => ScalarValue::try_from(&data_type).ok(),
        Some(bytes) => match types::item_of(oid) {
            Some(item) => array(item, format, bytes),
            None => scalar(oid, format, bytes),
        },
    };
    value.ok_or_else(|| {
        let form = match format {
            Format::Text => "text",
            Format::Binary => "binary",
        };
        QueryFault::new(
            FaultKind::Parameters,
            format!(
                "the value of a parameter is no {} in its {form} form, or is out of range",
                types::name(oid)
            ),
        )
    })
}

fn scalar(oid: u32, format: Format, bytes: &[u8]) -> Option<ScalarValue> {
    match format {
        Format::Text => of_text(oid, std::str::from_utf8(bytes).ok()?),
        Format::Binary => of_binary(oid, bytes),
    }
}

fn of_text(oid: u32, text: &str) -> Option<ScalarValue> {
    // PostgreSQL's text has no such character, and what looks like two values to it must not
    // look like one here.
    if text.contains('\0') {
        return None;
    }
    // White space around values is what C has for it.
    let trimmed = text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    Some(match oid {
        TEXT | VARCHAR | BPCHAR | NAME | CHAR | JSON | JSONB => {
            ScalarValue::Utf8(Some(text.to_owned()))
        }
        UUID => ScalarValue::Utf8(Some(Uuid::parse_str(trimmed).ok()?.to_string())),
        BOOL => ScalarValue::Boolean(Some(boolean(trimmed)?)),
        INT2 => ScalarValue::Int16(Some(trimmed.parse().ok()?)),
        INT4 => ScalarValue::Int32(Some(trimmed.parse().ok()?)),
        INT8 => ScalarValue::Int64(Some(trimmed.parse().ok()?)),
        OID => ScalarValue::Int64(Some(trimmed.parse::<u32>().ok()?.into())),
        FLOAT4 => {
            let value: f32 = trimmed.parse().ok()?;
            let fits = value.is_finite() || !trimmed.contains(|c: char| c.is_ascii_digit());
            ScalarValue::Float32(Some(fits.then_some(value)?))
        }
        FLOAT8 => {
            let value: f64 = trimmed.parse().ok()?;
            let fits = value.is_finite() || !trimmed.contains(|c: char| c.is_ascii_digit());
            ScalarValue::Float64(Some(fits.then_some(value)?))
        }
        NUMERIC => Decimal::of_text(trimmed)?.scalar(),
        BYTEA => ScalarValue::Binary(Some(bytea(text)?)),
        DATE => {
            let Moment { days, .. } = moments::date_or_moment(trimmed)?;
            ScalarValue::Date32(Some(i32::try_from(days).ok()?))
        }
        TIME => ScalarValue::Time64Microsecond(Some(moments::time(trimmed)?)),
        TIMESTAMP => {
            let Moment { days, micros, .. } = moments::date_or_moment(trimmed)?;
            ScalarValue::TimestampMicrosecond(Some(since_1970(days, micros)?), None)
        }
        TIMESTAMPTZ => {
            let Moment {
                days,
                micros,
                offset,
            } = moments::date_or_moment(trimmed)?;
            let utc = since_1970(days, micros)?.checked_sub(offset.unwrap_or(0) * 1_000_000)?;
            zoned(utc)
        }
        INTERVAL => interval(moments::interval(trimmed)?)?,
        _ => return None,
    })
}

fn of_binary(oid: u32, bytes: &[u8]) -> Option<ScalarValue> {
    let text = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok()?;
        (!text.contains('\0')).then(|| ScalarValue::Utf8(Some(text.to_owned())))
    };
    Some(match oid {
        TEXT | VARCHAR | BPCHAR | NAME | CHAR | JSON => text(bytes)?,
        // After the number of its version.
        JSONB => text(bytes.strip_prefix(&[1])?)?,
        UUID => ScalarValue::Utf8(Some(Uuid::from_bytes(exactly(bytes)?).to_string())),
        BOOL => match bytes {
            [0] => ScalarValue::Boolean(Some(false)),
            [_] => ScalarValue::Boolean(Some(true)),
            _ => return None,
        },
        INT2 => ScalarValue::Int16(Some(i16::from_be_bytes(exactly(bytes)?))),
        INT4 => ScalarValue::Int32(Some(i32::from_be_bytes(exactly(bytes)?))),
        INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(exactly(bytes)?))),
        OID => ScalarValue::Int64(Some(u32::from_be_bytes(exactly(bytes)?).into())),
        FLOAT4 => ScalarValue::Float32(Some(f32::from_be_bytes(exactly(bytes)?))),
        FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(exactly(bytes)?))),
        NUMERIC => Decimal::of_binary(bytes)?.scalar(),
        BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        DATE => {
            let days = i64::from(i32::from_be_bytes(exactly(bytes)?)) + EPOCH_DAYS;
            ScalarValue::Date32(Some(i32::try_from(days).ok()?))
        }
        TIME => {
            let micros = i64::from_be_bytes(exactly(bytes)?);
            let is_of_day = (0..DAY_MICROS).contains(&micros);
            ScalarValue::Time64Microsecond(Some(is_of_day.then_some(micros)?))
        }
        TIMESTAMP => ScalarValue::TimestampMicrosecond(Some(moment(bytes)?), None),
        TIMESTAMPTZ => zoned(moment(bytes)?),
        INTERVAL => {
            let mut cursor = Cursor(bytes);
            let micros = i64::from_be_bytes(cursor.take()?);
            let (days, months) = (cursor.int()?, cursor.int()?);
            cursor.end()?;
            interval(Interval {
                months,
                days,
                micros,
            })?
        }
        _ => return None,
    })
}

/// An interval, if it is of no more nanoseconds than Arrow holds.
fn interval(value: Interval) -> Option<ScalarValue> {
    let nanos = value.micros.checked_mul(1_000)?;
    let value = IntervalMonthDayNanoType::make_value(value.months, value.days, nanos);
    Some(ScalarValue::IntervalMonthDayNano(Some(value)))
}

fn zoned(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into()))
}

fn since_1970(days: i64, micros: i64) -> Option<i64> {
    days.checked_mul(DAY_MICROS)?.checked_add(micros)
}

/// Microseconds since 1970 of a moment in binary; the extremes stand for the infinities.
fn moment(bytes: &[u8]) -> Option<i64> {
    let micros = i64::from_be_bytes(exactly(bytes)?);
    (micros != i64::MIN && micros != i64::MAX)
        .then(|| micros.checked_add(EPOCH_MICROS))
        .flatten()
}

fn exactly<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

/// The words for true and false, and beginnings of them that are clear.
fn boolean(text: &str) -> Option<bool> {
    let text = text.to_ascii_lowercase();
    let begins = |word: &str| !text.is_empty() && word.starts_with(&text);
    match text.as_str() {
        "1" | "on" => Some(true),
        "0" | "off" | "of" => Some(false),
        _ if begins("true") || begins("yes") => Some(true),
        _ if begins("false") || begins("no") => Some(false),
        _ => None,
    }
}

/// Bytes after `\x` in hexadecimal, or else as they are but for backslashes and octal numbers.
fn bytea(text: &str) -> Option<Vec<u8>> {
    if let Some(digits) = text.strip_prefix("\\x") {
        let digits: Vec<u8> = digits
            .chars()
            .filter(|c| !matches!(c, ' ' | '\n' | '\t' | '\r'))
            .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()?;
        return digits
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(high << 4 | low),
                _ => None,
            })
            .collect();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = match (byte, after) {
            (b'\\', [b'\\', after @ ..]) => {
                bytes.push(b'\\');
                after
            }
            (
                b'\\',
                [
                    a @ b'0'..=b'3',
                    b @ b'0'..=b'7',
                    c @ b'0'..=b'7',
                    after @ ..,
                ],
            ) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                after
            }
            (b'\\', _) => return None,
            (byte, after) => {
                bytes.push(*byte);
                after
            }
        };
    }
    Some(bytes)
}

/// A decimal with as many places as it came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decimal {
    unscaled: i256,
    scale: i8,
}

/// The most digits that Arrow has room for.
const MOST_DIGITS: usize = 76;

impl Decimal {
    /// The number with these digits, the last `places` of them after the point.
    fn of(negative: bool, digits: &str, places: i64) -> Option<Decimal> {
        let mut digits = digits.to_owned();
        // Digits that are missing before the point are zeros, as long as there is room.
        let scale = match usize::try_from(-places) {
            Ok(zeros) if zeros <= MOST_DIGITS => {
                digits.push_str(&"0".repeat(zeros));
                0
            }
            _ => i8::try_from(places).ok()?,
        };
        let digits = digits.trim_start_matches('0');
        let fits = digits.len() <= MOST_DIGITS && usize::try_from(scale).ok()? <= MOST_DIGITS;
        let digits = if digits.is_empty() { "0" } else { digits };
        let unscaled = fits.then(|| i256::from_string(digits)).flatten()?;
        Some(Decimal {
            unscaled: match negative {
                true => unscaled.wrapping_neg(),
                false => unscaled,
            },
            scale,
        })
    }

    fn of_text(text: &str) -> Option<Decimal> {
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        let places = i64::try_from(fraction.len()).ok()? - i64::from(exponent);
        is_number
            .then(|| Decimal::of(negative, &digits, places))
            .flatten()
    }

    fn of_binary(bytes: &[u8]) -> Option<Decimal> {
        const NEGATIVE: i16 = 0x4000;
        let mut cursor = Cursor(bytes);
        let count = usize::try_from(cursor.short()?).ok()?;
        let weight = i64::from(cursor.short()?);
        // Any other sign is NaN or an infinity.
        let sign = cursor
            .short()
            .filter(|sign| matches!(*sign, 0 | NEGATIVE))?;
        let shown = i64::from(cursor.short()?);
        let mut digits = String::new();
        for _ in 0..count {
            let group = cursor.short().filter(|group| (0..10_000).contains(group))?;
            digits.push_str(&format!("{group:04}"));
        }
        cursor.end()?;
        let mut places = (i64::try_from(count).ok()? - 1 - weight) * 4;
        if count == 0 {
            places = 0;
        }
        // Zeros after the last place that it has are only there to fill a group, and those that
        // it has may have been left out.
        while places > shown && digits.ends_with('0') {
            digits.pop();
            places -= 1;
        }
        let missing = usize::try_from(shown - places).unwrap_or(0);
        if missing > 2 * MOST_DIGITS {
            return None;
        }
        digits.push_str(&"0".repeat(missing));
        places = places.max(shown);
        Decimal::of(sign == NEGATIVE, &digits, places)
    }

    /// Its value with a number of places, not fewer than it has.
    fn with_scale(self, scale: i8) -> Option<Decimal> {
        let more = u32::try_from(scale.checked_sub(self.scale)?).ok()?;
        let unscaled = self
            .unscaled
            .checked_mul(i256::from_i128(10).checked_pow(more)?)?;
        (unscaled.to_string().trim_start_matches('-').len() <= MOST_DIGITS)
            .then_some(Decimal { unscaled, scale })
    }

    fn is_narrow(self) -> bool {
        self.scale <= 38 && self.unscaled.to_string().trim_start_matches('-').len() <= 38
    }

    fn scalar(self) -> ScalarValue {
        match self.unscaled.to_i128().filter(|_| self.is_narrow()) {
            Some(narrow) => ScalarValue::Decimal128(Some(narrow), 38, self.scale),
            None => self.wide(),
        }
    }

    fn wide(self) -> ScalarValue {
        ScalarValue::Decimal256(Some(self.unscaled), 76, self.scale)
    }
}

/// The most items of an array: a statement has other ways to bring many values.
const MOST_ITEMS: usize = 1 << 20;

/// An array of one dimension, or none.
fn array(item: u32, format: Format, bytes: &[u8]) -> Option<ScalarValue> {
    let items: Vec<Option<ScalarValue>> = match format {
        Format::Text => array_items(std::str::from_utf8(bytes).ok()?)?
            .into_iter()
            .map(|text| match text {
                None => Some(None),
                Some(text) => of_text(item, &text).map(Some),
            })
            .collect::<Option<_>>()?,
        Format::Binary => {
            let mut cursor = Cursor(bytes);
            let dimensions = cursor.int()?;
            let _has_nulls = cursor.int()?;
            let said = u32::from_be_bytes(cursor.take()?);
            let length = match dimensions {
                0 => 0,
                1 => {
                    let length = usize::try_from(cursor.int()?).ok()?;
                    let _lower_bound = cursor.int()?;
                    length
                }
                _ => return None,
            };
            if said != item || length > MOST_ITEMS {
                return None;
            }
            let mut items = Vec::new();
            for _ in 0..length {
                items.push(match usize::try_from(cursor.int()?) {
                    Ok(size) => Some(of_binary(item, cursor.split(size)?)?),
                    Err(_) => None,
                });
            }
            cursor.end()?;
            items
        }
    };
    let (items, data_type) = same_scale(items, types::data_type(item)?)?;
    let items = items
        .into_iter()
        .map(|item| match item {
            Some(item) => Some(item),
            None => ScalarValue::try_from(&data_type).ok(),
        })
        .collect::<Option<Vec<_>>>()?;
    Some(ScalarValue::List(ScalarValue::new_list_nullable(
        &items, &data_type,
    )))
}

/// Decimals each come with their own scale, but items of a list have one type.
fn same_scale(
    items: Vec<Option<ScalarValue>>,
    data_type: DataType,
) -> Option<(Vec<Option<ScalarValue>>, DataType)> {
    let decimal = |item: &ScalarValue| match item {
        ScalarValue::Decimal128(Some(value), _, scale) => Some(Decimal {
            unscaled: i256::from_i128(*value),
            scale: *scale,
        }),
        ScalarValue::Decimal256(Some(value), _, scale) => Some(Decimal {
            unscaled: *value,
            scale: *scale,
        }),
        _ => None,
    };
    let decimals: Vec<Decimal> = items.iter().flatten().filter_map(decimal).collect();
    let Some(scale) = decimals.iter().map(|decimal| decimal.scale).max() else {
        return Some((items, data_type));
    };
    let scaled = decimals
        .iter()
        .map(|decimal| decimal.with_scale(scale))
        .collect::<Option<Vec<_>>>()?;
    let narrow = scaled.iter().all(|decimal| decimal.is_narrow());
    let mut scaled = scaled.into_iter().map(|decimal| match narrow {
        true => decimal.scalar(),
        false => decimal.wide(),
    });
    let items = items
        .into_iter()
        .map(|item| item.and_then(|_| scaled.next()))
        .collect();
    let data_type = match narrow {
        true => DataType::Decimal128(38, scale),
        false => DataType::Decimal256(76, scale),
    };
    Some((items, data_type))
}

/// The items of an array such as `{1,NULL,"a b"}`.
fn array_items(text: &str) -> Option<Vec<Option<String>>> {
    let is_space = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c');
    let inside = text
        .trim_matches(is_space)
        .strip_prefix('{')?
        .strip_suffix('}')?;
    let mut items = Vec::new();
    if inside.trim_matches(is_space).is_empty() {
        return Some(items);
    }
    let mut rest = inside.chars().peekable();
    loop {
        while rest.next_if(|c| is_space(*c)).is_some() {}
        let mut item = String::new();
        // As long as the item is to be kept: the white space after it is not.
        let mut kept = 0;
        let quoted = rest.next_if_eq(&'"').is_some();
        let ended_by_comma = loop {
            match rest.next() {
                None if quoted => return None,
                None => break false,
                Some('\\') => {
                    item.push(rest.next()?);
                    kept = item.len();
                }
                Some('"') if quoted => {
                    kept = item.len();
                    while rest.next_if(|c| is_space(*c)).is_some() {}
                    break match rest.next() {
                        None => false,
                        Some(',') => true,
                        Some(_) => return None,
                    };
                }
                Some(',') if !quoted => break true,
                Some('{' | '}' | '"') if !quoted => return None,
                Some(c) => {
                    item.push(c);
                    if quoted || !is_space(c) {
                        kept = item.len();
                    }
                }
            }
        };
        item.truncate(kept);
        if item.is_empty() && !quoted || items.len() >= MOST_ITEMS {
            return None;
        }
        let is_null = !quoted && item.eq_ignore_ascii_case("null");
        items.push((!is_null).then_some(item));
        if !ended_by_comma {
            return Some(items);
        }
    }
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn split(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        exactly(self.split(N)?)
    }

    fn int(&mut self) -> Option<i32> {
        Some(i32::from_be_bytes(self.take()?))
    }

    fn short(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take()?))
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
