//! Bringing literals to a column's type, where nothing is lost.

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type, i256};
use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc,
};
use chrono_tz::Tz;
use serde_json::Value;
use syncguard::policy::filter_tree::{TimeSpan, TimeUnit};

use super::cells::{Cell, nanoseconds};
use super::{Family, family, folded};

pub(crate) fn coerce(value: &Value, data_type: &DataType, zone: Tz, fold: bool) -> Option<Cell> {
    let text = value.as_str();
    match family(data_type) {
        Family::Bool => value.as_bool().map(Cell::Bool),
        Family::Number => match value {
            Value::Number(number) => number_of(&number.to_string(), data_type),
            _ => None,
        },
        Family::Text => text.map(|text| Cell::Text(folded(text, fold))),
        Family::Date => date_of(text?).map(|date| Cell::Date(days(date))),
        Family::Timestamp => timestamp_of(text?, data_type, zone),
        Family::Time => time_column(text?, data_type),
        Family::Null | Family::List | Family::Opaque => None,
    }
}

/// A decimal number: its digits, without needless zeros, times ten to the exponent.
#[derive(Debug, PartialEq)]
struct Exact {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Exact {
    fn parse(text: &str) -> Option<Exact> {
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
        let kept = all.trim_end_matches('0');
        let zeros = i64::try_from(all.len() - kept.len()).ok()?;
        let places = i64::try_from(fraction.len()).ok()?;
        let digits = kept.trim_start_matches('0').to_owned();
        if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        if digits.is_empty() {
            return Some(Exact {
                negative: false,
                digits,
                exponent: 0,
            });
        }
        Some(Exact {
            negative,
            digits,
            exponent: exponent.checked_sub(places)?.checked_add(zeros)?,
        })
    }

    /// The whole number that is this times ten to the `scale`, if it has at most so many digits.
    fn scaled(&self, scale: i64, most_digits: i64) -> Option<String> {
        if self.digits.is_empty() {
            return Some("0".into());
        }
        let zeros = self.exponent.checked_add(scale)?;
        let length = i64::try_from(self.digits.len()).ok()?.checked_add(zeros)?;
        if zeros < 0 || length > most_digits {
            return None;
        }
        let sign = if self.negative { "-" } else { "" };
        Some(format!(
            "{sign}{}{}",
            self.digits,
            "0".repeat(usize::try_from(zeros).ok()?)
        ))
    }
}

fn number_of(text: &str, data_type: &DataType) -> Option<Cell> {
    let exact = Exact::parse(text)?;
    let integer = |low: i128, high: i128| -> Option<Cell> {
        let value: i128 = exact.scaled(0, 38)?.parse().ok()?;
        (low <= value && value <= high).then_some(Cell::Int(value))
    };
    let decimal = |precision: u8, scale: i8| -> Option<Cell> {
        i256::from_string(&exact.scaled(scale.into(), precision.into())?).map(Cell::Decimal)
    };
    match data_type {
        DataType::Int8 => integer(i8::MIN.into(), i8::MAX.into()),
        DataType::Int16 => integer(i16::MIN.into(), i16::MAX.into()),
        DataType::Int32 => integer(i32::MIN.into(), i32::MAX.into()),
        DataType::Int64 => integer(i64::MIN.into(), i64::MAX.into()),
        DataType::UInt8 => integer(0, u8::MAX.into()),
        DataType::UInt16 => integer(0, u16::MAX.into()),
        DataType::UInt32 => integer(0, u32::MAX.into()),
        DataType::UInt64 => integer(0, u64::MAX.into()),
        DataType::Float64 => {
            let nearest: f64 = text.parse().ok()?;
            same_float(nearest, &format!("{nearest:e}"), &exact).then_some(Cell::Float(nearest))
        }
        DataType::Float32 => {
            let nearest: f32 = text.parse().ok()?;
            same_float(nearest.into(), &format!("{nearest:e}"), &exact)
                .then_some(Cell::Float(nearest.into()))
        }
        DataType::Float16 => {
            let nearest = half(text.parse().ok()?);
            // So few halves are written short that only the exact number will do.
            same_float(nearest, &format!("{nearest:e}"), &exact).then_some(Cell::Float(nearest))
        }
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => decimal(*precision, *scale),
        DataType::Dictionary(_, value) => number_of(text, value),
        _ => None,
    }
}

/// Whether the number that was written is the float, by its shortest text or exactly.
fn same_float(nearest: f64, shortest: &str, written: &Exact) -> bool {
    let exactly = format!("{nearest:.1074}");
    nearest.is_finite()
        && [shortest, &exactly]
            .iter()
            .any(|text| Exact::parse(text).as_ref() == Some(written))
}

/// The nearest half float.
fn half(value: f64) -> f64 {
    <Float16Type as ArrowPrimitiveType>::Native::from_f64(value).to_f64()
}

fn days(date: NaiveDate) -> i64 {
    i64::from(date.num_days_from_ce()) - 719_163
}

/// The number that exactly so many digits write.
fn digits(text: &str, count: usize) -> Option<u32> {
    (text.len() == count && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// `YYYY-MM-DD`.
fn date_of(text: &str) -> Option<NaiveDate> {
    let parts: Vec<_> = text.split('-').collect();
    let [year, month, day] = parts[..] else {
        return None;
    };
    let year = i32::try_from(digits(year, 4)?).ok()?;
    NaiveDate::from_ymd_opt(year, digits(month, 2)?, digits(day, 2)?)
}

/// `HH:MM:SS` with an optional fraction, as nanoseconds since midnight.
fn time_of(text: &str) -> Option<i128> {
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some((whole, fraction)) => (whole, fraction),
        None => (text, ""),
    };
    let parts: Vec<_> = whole.split(':').collect();
    let [hour, minute, second] = parts[..] else {
        return None;
    };
    let (hour, minute, second) = (digits(hour, 2)?, digits(minute, 2)?, digits(second, 2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 9 {
        return None;
    }
    let fraction: i128 = format!("{fraction:0<9}").parse().ok()?;
    let seconds = i128::from(hour * 3600 + minute * 60 + second);
    Some(seconds * 1_000_000_000 + fraction)
}

fn time_column(text: &str, data_type: &DataType) -> Option<Cell> {
    match data_type {
        DataType::Time32(unit) | DataType::Time64(unit) => {
            let time = time_of(text)?;
            (time % nanoseconds(*unit) == 0).then_some(Cell::Time(time))
        }
        DataType::Dictionary(_, value) => time_column(text, value),
        _ => None,
    }
}

/// `Z`, `+HH:MM` or `-HH:MM`, as seconds east of UTC.
fn offset_of(text: &str) -> Option<i128> {
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = text.strip_prefix(['+', '-'])?.split_once(':')?;
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    (hours < 24 && minutes < 60).then(|| sign * i128::from(hours * 3600 + minutes * 60))
}

/// Nanoseconds since 1970-01-01T00:00:00, of whatever clock.
fn clock(date: NaiveDate, time: i128) -> i128 {
    i128::from(days(date)) * 86_400_000_000_000 + time
}

fn naive(clock: i128) -> Option<NaiveDateTime> {
    let second = i64::try_from(clock.div_euclid(1_000_000_000)).ok()?;
    let nanosecond = u32::try_from(clock.rem_euclid(1_000_000_000)).ok()?;
    Some(DateTime::from_timestamp(second, nanosecond)?.naive_utc())
}

fn instant(moment: DateTime<Utc>) -> i128 {
    i128::from(moment.timestamp()) * 1_000_000_000 + i128::from(moment.timestamp_subsec_nanos())
}

/// What a clock on the wall of the zone shows.
fn wall(moment: DateTime<Utc>, zone: Tz) -> i128 {
    let local = moment.with_timezone(&zone).naive_local();
    instant(local.and_utc())
}

fn timestamp_of(text: &str, data_type: &DataType, zone: Tz) -> Option<Cell> {
    let (unit, has_zone) = match data_type {
        DataType::Timestamp(unit, zone) => (*unit, zone.is_some()),
        DataType::Dictionary(_, value) => return timestamp_of(text, value, zone),
        _ => return None,
    };
    let moment: DateTime<Utc> = match text.split_once(['T', ' ']) {
        None => local_instant(date_of(text)?.and_time(NaiveTime::MIN), zone)?,
        Some((date, rest)) => {
            let date = date_of(date)?;
            match rest.find(['Z', '+', '-']) {
                Some(at) => {
                    let time = time_of(&rest[..at])?;
                    let offset = offset_of(&rest[at..])?;
                    naive(clock(date, time) - offset * 1_000_000_000)?.and_utc()
                }
                None => local_instant(naive(clock(date, time_of(rest)?))?, zone)?,
            }
        }
    };
    let count = if has_zone {
        instant(moment)
    } else {
        wall(moment, zone)
    };
    let unit = nanoseconds(unit);
    let fits = count % unit == 0 && i64::try_from(count / unit).is_ok();
    fits.then_some(Cell::Timestamp(count))
}

/// The instant at which the zone's clocks show a time, if there is exactly one.
fn local_instant(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    zone.from_local_datetime(&local)
        .single()
        .map(|moment| moment.to_utc())
}

/// The end of a window that is away from now by a span.
pub(crate) fn shifted(
    now: DateTime<Utc>,
    span: TimeSpan,
    forward: bool,
    zone: Tz,
) -> Option<DateTime<Utc>> {
    let count = u64::from(span.value);
    let exact = |seconds: i64| {
        let away = TimeDelta::try_seconds(i64::from(span.value).checked_mul(seconds)?)?;
        if forward {
            now.checked_add_signed(away)
        } else {
            now.checked_sub_signed(away)
        }
    };
    let local = now.with_timezone(&zone).naive_local();
    let by_days = |days: u64| {
        let days = Days::new(days);
        if forward {
            local.checked_add_days(days)
        } else {
            local.checked_sub_days(days)
        }
    };
    let by_months = |months: u32| {
        let months = Months::new(months);
        if forward {
            local.checked_add_months(months)
        } else {
            local.checked_sub_months(months)
        }
    };
    let mut local = match span.unit {
        TimeUnit::Minutes => return exact(60),
        TimeUnit::Hours => return exact(3600),
        TimeUnit::Days => by_days(count)?,
        TimeUnit::Weeks => by_days(count * 7)?,
        TimeUnit::Months => by_months(span.value)?,
        TimeUnit::Years => by_months(span.value.checked_mul(12)?)?,
    };
    // Clocks are put forward on whole seconds: the first second that exists ends the gap.
    loop {
        if let Some(moment) = zone.from_local_datetime(&local).earliest() {
            return Some(moment.to_utc());
        }
        let second = local.and_utc().timestamp() + 1;
        local = DateTime::from_timestamp(second, 0)?.naive_utc();
    }
}

/// An end of a window as a value of the column.
pub(crate) fn moment(end: DateTime<Utc>, data_type: &DataType, zone: Tz) -> Cell {
    match data_type {
        DataType::Timestamp(_, Some(_)) => Cell::Timestamp(instant(end)),
        DataType::Timestamp(_, None) => Cell::Timestamp(wall(end, zone)),
        DataType::Dictionary(_, value) => moment(end, value, zone),
        _ => Cell::Date(days(end.with_timezone(&zone).date_naive())),
    }
}
