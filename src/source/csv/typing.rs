//! What type the texts of a CSV column have, and reading them as that type without losing
//! anything: a number that would not be written the same way again (`007`, `+1`, twenty digits)
//! is text.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, TimeUnit};

use crate::source::literal;

/// The largest integer up to which every integer is a float.
const EXACT: u64 = 1 << 53;

/// What the values of a column, so far, all are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guess {
    /// There was none.
    Empty,
    Boolean,
    /// Whole numbers that floats can hold.
    Integer,
    /// Whole numbers of which some are too large for a float.
    LargeInteger,
    Number,
    Date,
    Timestamp,
    /// With an offset from UTC.
    Instant,
    Text,
}

impl Guess {
    /// The guess after one more value.
    pub(super) fn and(self, value: &str) -> Guess {
        use Guess::{Empty, Integer, LargeInteger, Number, Text};
        if self == Text {
            return Text;
        }
        match (self, Guess::of(value)) {
            (Empty, other) => other,
            (known, other) if known == other => known,
            (Integer | LargeInteger, Integer | LargeInteger) => LargeInteger,
            (Integer | Number, Integer | Number) => Number,
            _ => Text,
        }
    }

    fn of(value: &str) -> Guess {
        let first = value.bytes().next().unwrap_or_default();
        if first == b'-' || first.is_ascii_digit() {
            if let Some(number) = integer(value) {
                let exact = number.unsigned_abs() <= EXACT;
                return if exact {
                    Guess::Integer
                } else {
                    Guess::LargeInteger
                };
            }
            if number(value).is_some() {
                return Guess::Number;
            }
            if literal::date(value).is_some() {
                return Guess::Date;
            }
            return match literal::moment(value) {
                Some(moment) if moment.zoned => Guess::Instant,
                Some(_) => Guess::Timestamp,
                None => Guess::Text,
            };
        }
        if boolean(value).is_some() {
            Guess::Boolean
        } else {
            Guess::Text
        }
    }

    pub(super) fn data_type(self) -> DataType {
        match self {
            Guess::Empty | Guess::Text => DataType::Utf8View,
            Guess::Boolean => DataType::Boolean,
            Guess::Integer | Guess::LargeInteger => DataType::Int64,
            Guess::Number => DataType::Float64,
            Guess::Date => DataType::Date32,
            Guess::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Guess::Instant => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        }
    }
}

/// A type in words.
pub(super) fn described(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "true or false",
        DataType::Int64 => "a whole number of at most 64 bits without leading zeros",
        DataType::Float64 => "a number that a float can hold",
        DataType::Date32 => "a date (YYYY-MM-DD)",
        DataType::Timestamp(_, None) => "a time without offset, to the microsecond",
        DataType::Timestamp(_, Some(_)) => "a time with its offset from UTC, to the microsecond",
        _ => "text",
    }
}

/// Reads a column, or says in which row it cannot be read.
pub(super) fn read(texts: &StringArray, data_type: &DataType) -> Result<ArrayRef, usize> {
    Ok(match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from(values(texts, boolean)?)),
        DataType::Int64 => Arc::new(Int64Array::from(values(texts, integer)?)),
        DataType::Float64 => Arc::new(Float64Array::from(values(texts, number)?)),
        DataType::Date32 => Arc::new(Date32Array::from(values(texts, literal::date)?)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let read = values(texts, |text| {
                literal::moment(text)
                    .filter(|moment| moment.zoned == zone.is_some())
                    .map(|moment| moment.micros)
            })?;
            Arc::new(TimestampMicrosecondArray::from(read).with_timezone_opt(zone.clone()))
        }
        _ => return Err(0),
    })
}

fn values<T>(
    texts: &StringArray,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<Option<T>>, usize> {
    let mut all = Vec::with_capacity(texts.len());
    for (row, text) in texts.iter().enumerate() {
        all.push(match text {
            None => None,
            Some(text) => Some(read(text).ok_or(row)?),
        });
    }
    Ok(all)
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits == "0" && !text.starts_with('-')
        || digits
            .bytes()
            .next()
            .is_some_and(|first| (b'1'..=b'9').contains(&first));
    plain.then(|| text.parse().ok())?
}

/// `-?digits[.digits][e±digits]`, without leading zeros.
fn number(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    if !digits(whole) || leading_zero || !fraction.is_none_or(digits) {
        return None;
    }
    if !exponent
        .is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
    {
        return None;
    }
    if fraction.is_none() && exponent.is_none() && whole.parse::<u64>().ok()? > EXACT {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(values: &[&str]) -> Guess {
        values
            .iter()
            .fold(Guess::Empty, |guess, value| guess.and(value))
    }

    #[test]
    fn a_column_is_what_all_its_values_are() {
        for (values, expected) in [
            (&["1", "-20", "0"][..], Guess::Integer),
            (&["1", "9007199254740993"], Guess::LargeInteger),
            (&["1", "2.5", "1e3", "-0"], Guess::Number),
            (&["9007199254740993", "2.5"], Guess::Text),
            (&["007"], Guess::Text),
            (&["+1"], Guess::Text),
            (&["12345678901234567890"], Guess::Text),
            (&["true", "FALSE"], Guess::Boolean),
            (&["true", "1"], Guess::Text),
            (&["2024-02-29"], Guess::Date),
            (&["2024-02-30"], Guess::Text),
            (&["2024-02-29T10:00"], Guess::Timestamp),
            (&["2024-02-29 10:00:00Z"], Guess::Instant),
            (&["2024-02-29T10:00", "2024-02-29T10:00Z"], Guess::Text),
            (&["NaN"], Guess::Text),
            (&[], Guess::Empty),
        ] {
            assert_eq!(guess(values), expected, "{values:?}");
        }
    }
}
