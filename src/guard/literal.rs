//! A policy's JSON values as values of a column's type, only where nothing is lost.

use arrow::datatypes::{DataType, TimeUnit, i256};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use serde_json::Value;

use super::ordinal::{Ordinal, domain, float_key};
use crate::policy::filter_tree::{self, TimeSpan};

const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// A JSON scalar as an ordinal of a type, or why it does not fit.
pub(super) fn ordinal(value: &Value, data_type: &DataType, zone: Tz) -> Result<Ordinal, String> {
    use DataType::*;
    let misfit = |kind: &str| Err(format!("expected {kind} for a column of type {data_type}"));
    match (data_type, value) {
        (Boolean, Value::Bool(value)) => Ok(i256::from(i8::from(*value))),
        (Boolean, _) => misfit("true or false"),
        (Float16 | Float32 | Float64, Value::Number(number)) => {
            float(&number.to_string(), data_type)
        }
        (_, Value::Number(number)) if data_type.is_integer() => {
            fixed_point(&number.to_string(), data_type, 0)
        }
        (
            Decimal32(p, s) | Decimal64(p, s) | Decimal128(p, s) | Decimal256(p, s),
            Value::Number(n),
        ) => {
            let unscaled = fixed_point(&n.to_string(), data_type, *s)?;
            let digits = unscaled.wrapping_abs().to_string().len();
            if unscaled != i256::ZERO && digits > usize::from(*p) {
                return Err(out_of_range(data_type));
            }
            Ok(unscaled)
        }
        (_, _) if data_type.is_numeric() => misfit("a number (without quotes)"),
        (Date32 | Date64, Value::String(text)) => match date(text) {
            Some(date) => Ok(date_ordinal(date, data_type)),
            None => misfit("a date such as \"2026-01-31\""),
        },
        (Date32 | Date64, _) => misfit("a date such as \"2026-01-31\""),
        (Time32(unit) | Time64(unit), Value::String(text)) => match time(text) {
            Some(time) => {
                let nanos = i128::from(time.num_seconds_from_midnight()) * NANOS_PER_SECOND
                    + i128::from(time.nanosecond());
                in_unit(nanos, *unit, data_type)
            }
            None => misfit("a time such as \"13:45:00\""),
        },
        (Time32(_) | Time64(_), _) => misfit("a time such as \"13:45:00\""),
        (Timestamp(unit, column_zone), Value::String(text)) => {
            let Some(moment) = moment(text) else {
                return misfit("a date and time such as \"2026-01-31T13:45:00Z\"");
            };
            let instant = match moment {
                Moment::Instant(instant) => instant,
                Moment::WallClock(wall) => match zone.from_local_datetime(&wall).single() {
                    Some(local) => local.to_utc(),
                    None => {
                        return Err(format!(
                            "this time of day does not exist, or exists twice, in {zone}: write it with an offset"
                        ));
                    }
                },
            };
            in_unit(
                column_nanos(instant, column_zone.is_some(), zone),
                *unit,
                data_type,
            )
        }
        (Timestamp(_, _), _) => misfit("a date and time such as \"2026-01-31T13:45:00Z\""),
        _ => Err(format!(
            "no value can be compared with a column of type {data_type}"
        )),
    }
}

fn out_of_range(data_type: &DataType) -> String {
    format!("out of the range of a column of type {data_type}")
}

/// A JSON number as digits and a power of ten, without leading or trailing zeros; zero is `("", 0)`.
#[derive(PartialEq, Eq)]
struct Digits {
    negative: bool,
    digits: String,
    exponent: i64,
}

fn digits(text: &str) -> Option<Digits> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    if !all.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    let kept = all.trim_end_matches('0');
    let exponent = exponent.checked_add(i64::try_from(all.len() - kept.len()).ok()?)?;
    let kept = kept.trim_start_matches('0');
    if kept.is_empty() {
        return Some(Digits {
            negative: false,
            digits: String::new(),
            exponent: 0,
        });
    }
    Some(Digits {
        negative,
        digits: kept.to_owned(),
        exponent,
    })
}

/// A number as an integer count of `10^-scale`, within the range of the type.
fn fixed_point(text: &str, data_type: &DataType, scale: i8) -> Result<Ordinal, String> {
    let number = digits(text).ok_or("expected a number")?;
    if number.digits.is_empty() {
        return Ok(i256::ZERO);
    }
    let shift = number.exponent.saturating_add(i64::from(scale));
    if shift < 0 {
        return Err(match scale {
            0 => format!("expected a whole number for a column of type {data_type}"),
            _ => format!("more decimal places than a column of type {data_type} holds"),
        });
    }
    // 77 decimal digits is more than any type holds.
    let zeros = usize::try_from(shift)
        .ok()
        .filter(|zeros| number.digits.len() + zeros <= 77);
    let zeros = zeros.ok_or_else(|| out_of_range(data_type))?;
    let sign = if number.negative { "-" } else { "" };
    let text = format!("{sign}{}{}", number.digits, "0".repeat(zeros));
    let value: i256 = text.parse().map_err(|_| out_of_range(data_type))?;
    match domain(data_type) {
        Some((low, high)) if low <= value && value <= high => Ok(value),
        _ => Err(out_of_range(data_type)),
    }
}

/// The nearest float of the type, if the number that was written is the float's shortest decimal
/// text (as 0.1 is) or its exact value (as 2^60 is).
fn float(text: &str, data_type: &DataType) -> Result<Ordinal, String> {
    let lost = || format!("a column of type {data_type} cannot hold this number exactly");
    let (value, shortest) = match data_type {
        DataType::Float64 => {
            let value: f64 = text.parse().map_err(|_| lost())?;
            (value, format!("{value:e}"))
        }
        DataType::Float32 => {
            let value: f32 = text.parse().map_err(|_| lost())?;
            (f64::from(value), format!("{value:e}"))
        }
        _ => {
            let value: f32 = text.parse().map_err(|_| lost())?;
            let DataType::Float16 = data_type else {
                return Err(lost());
            };
            let Some(half) = half_precision(value) else {
                return Err(lost());
            };
            (half, format!("{half:e}"))
        }
    };
    if !value.is_finite() {
        return Err(out_of_range(data_type));
    }
    // No float has more decimal places than the smallest double.
    let exact = format!("{value:.1074}");
    let written = digits(text).ok_or_else(lost)?;
    match [shortest, exact]
        .iter()
        .any(|held| digits(held).as_ref() == Some(&written))
    {
        true => Ok(float_key(data_type, value)),
        false => Err(lost()),
    }
}

/// The value as an `f16` and back, widened.
fn half_precision(value: f32) -> Option<f64> {
    let key = float_key(&DataType::Float16, f64::from(value)).to_i128()?;
    match super::ordinal::scalar(
        &DataType::Float16,
        i256::from_i128(key),
        super::ordinal::Zero::Positive,
    )? {
        datafusion::common::ScalarValue::Float16(Some(half)) => Some(half.to_f64()),
        _ => None,
    }
}

fn date(text: &str) -> Option<NaiveDate> {
    // chrono takes signs, spaces and single digits as well.
    has_shape(text, "0000-00-00")
        .then(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
        .flatten()
}

fn time(text: &str) -> Option<NaiveTime> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, fraction.trim_end_matches('0')),
        None => (text, "0"),
    };
    // chrono cuts a fraction after nine digits.
    let shape = has_shape(whole, "00:00:00") && fraction.len() <= 9;
    let time = shape
        .then(|| NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok())
        .flatten()?;
    // A leap second has no place in Arrow's types.
    (time.nanosecond() < 1_000_000_000).then_some(time)
}

/// Whether a text has digits where the shape has zeros, and else is the shape.
fn has_shape(text: &str, shape: &str) -> bool {
    let same = |(byte, expected)| match expected {
        b'0' => u8::is_ascii_digit(&byte),
        expected => byte == expected,
    };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(same)
}

enum Moment {
    Instant(DateTime<Utc>),
    WallClock(NaiveDateTime),
}

fn moment(text: &str) -> Option<Moment> {
    if let Some(date) = date(text) {
        return Some(Moment::WallClock(date.and_time(NaiveTime::MIN)));
    }
    let day = date(text.get(..10)?)?;
    let rest = text.get(10..)?.strip_prefix(['T', ' '])?;
    if let Some(time) = time(rest) {
        return Some(Moment::WallClock(day.and_time(time)));
    }
    time(rest.get(..rest.find(['Z', 'z', '+', '-'])?)?)?;
    let instant = DateTime::parse_from_rfc3339(text).ok()?.to_utc();
    (instant.nanosecond() < 1_000_000_000).then_some(Moment::Instant(instant))
}

fn date_ordinal(date: NaiveDate, data_type: &DataType) -> Ordinal {
    let days = date.signed_duration_since(NaiveDate::default()).num_days();
    match data_type {
        DataType::Date64 => i256::from(days * 86_400_000),
        _ => i256::from(days),
    }
}

fn nanos(time: NaiveDateTime) -> i128 {
    let utc = time.and_utc();
    i128::from(utc.timestamp()) * NANOS_PER_SECOND + i128::from(utc.timestamp_subsec_nanos())
}

/// An instant as a column holds it, in nanoseconds: since 1970 in UTC where the column has a
/// zone, else what the clock on the wall in `zone` shows.
fn column_nanos(instant: DateTime<Utc>, has_zone: bool, zone: Tz) -> i128 {
    match has_zone {
        true => nanos(instant.naive_utc()),
        false => nanos(instant.with_timezone(&zone).naive_local()),
    }
}

fn unit_nanos(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => NANOS_PER_SECOND,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}

fn in_unit(nanos: i128, unit: TimeUnit, data_type: &DataType) -> Result<Ordinal, String> {
    let unit = unit_nanos(unit);
    if nanos % unit != 0 {
        return Err(format!("finer than a column of type {data_type} holds"));
    }
    let value = i256::from_i128(nanos / unit);
    match domain(data_type) {
        Some((low, high)) if low <= value && value <= high => Ok(value),
        _ => Err(out_of_range(data_type)),
    }
}

/// Which way a relative condition looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Past,
    Future,
}

/// The ordinals of a date or timestamp type between `now` and a span before or after it, both
/// ends included. Dates are compared with the calendar dates of the two ends in the zone.
pub(super) fn window(
    span: TimeSpan,
    direction: Direction,
    data_type: &DataType,
    zone: Tz,
    now: DateTime<Utc>,
) -> Result<(Ordinal, Ordinal), String> {
    let beyond = || "the span reaches beyond the calendar".to_owned();
    let other = shifted(span, direction, zone, now).ok_or_else(beyond)?;
    let (low, high) = match direction {
        Direction::Past => (other, now),
        Direction::Future => (now, other),
    };
    match data_type {
        DataType::Date32 | DataType::Date64 => {
            let day = |instant: DateTime<Utc>| {
                date_ordinal(instant.with_timezone(&zone).date_naive(), data_type)
            };
            // A Date64 may carry a time of day: the last day counts to its end.
            let end = match data_type {
                DataType::Date64 => day(high).wrapping_add(i256::from(86_399_999_i64)),
                _ => day(high),
            };
            Ok((day(low), end))
        }
        DataType::Timestamp(unit, column_zone) => {
            let unit = unit_nanos(*unit);
            let at = |instant| column_nanos(instant, column_zone.is_some(), zone);
            let (low, high) = (at(low), at(high));
            let low = low.div_euclid(unit) + i128::from(low.rem_euclid(unit) != 0);
            Ok((i256::from_i128(low), i256::from_i128(high.div_euclid(unit))))
        }
        _ => Err(format!(
            "expected a date or timestamp column, this one is of type {data_type}"
        )),
    }
}

fn shifted(
    span: TimeSpan,
    direction: Direction,
    zone: Tz,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    use filter_tree::TimeUnit::*;
    let count = span.value;
    let exact = |delta: TimeDelta| match direction {
        Direction::Past => now.checked_sub_signed(delta),
        Direction::Future => now.checked_add_signed(delta),
    };
    let wall = now.with_timezone(&zone).naive_local();
    let days = |n: u64| match direction {
        Direction::Past => wall.checked_sub_days(chrono::Days::new(n)),
        Direction::Future => wall.checked_add_days(chrono::Days::new(n)),
    };
    let months = |n: u32| match direction {
        Direction::Past => wall.checked_sub_months(chrono::Months::new(n)),
        Direction::Future => wall.checked_add_months(chrono::Months::new(n)),
    };
    let wall = match span.unit {
        Minutes => return exact(TimeDelta::minutes(count.into())),
        Hours => return exact(TimeDelta::hours(count.into())),
        Days => days(count.into())?,
        Weeks => days(u64::from(count) * 7)?,
        Months => months(count)?,
        Years => months(count.checked_mul(12)?)?,
    };
    first_instant(wall, zone)
}

/// The instant of a wall-clock time: the earlier of two, or the first after a gap.
fn first_instant(wall: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    if let Some(local) = zone.from_local_datetime(&wall).earliest() {
        return Some(local.to_utc());
    }
    // In a gap: the clocks jump at the last second that still exists, found by halving the day
    // before. They jump at a whole second, so fractions are left out.
    let mut missing = wall.with_nanosecond(0)?;
    let mut exists = missing.checked_sub_days(chrono::Days::new(1))?;
    while (missing - exists).num_seconds() > 1 {
        let middle = exists + TimeDelta::seconds((missing - exists).num_seconds() / 2);
        match zone.from_local_datetime(&middle).latest() {
            Some(_) => exists = middle,
            None => missing = middle,
        }
    }
    let last = zone.from_local_datetime(&exists).latest()?.to_utc();
    last.checked_add_signed(TimeDelta::seconds(1))
}
