//! Dates and times as text, in both directions.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampSecondType,
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// The outermost moments that have a text: the ends of the calendar, a day inwards so that any
/// zone's offset still fits.
const FIRST_SECOND: i64 = -8_334_601_228_800 + 86_400;
const LAST_SECOND: i64 = 8_210_266_876_799 - 86_400;

/// Whether every value of a column can be shown as a date. Only the column itself is looked at,
/// not what is nested in it.
pub(super) fn has_text(column: &ArrayRef) -> bool {
    let seconds = |per_second: i64, range: Option<(i64, i64)>| {
        range.is_none_or(|(low, high)| {
            low.div_euclid(per_second) >= FIRST_SECOND && high.div_euclid(per_second) <= LAST_SECOND
        })
    };
    use arrow::compute::{max, min};
    macro_rules! range {
        ($array_type:ty) => {{
            let array = column.as_primitive::<$array_type>();
            min(array)
                .zip(max(array))
                .map(|(low, high)| (i64::from(low), i64::from(high)))
        }};
    }
    match column.data_type() {
        DataType::Date32 => {
            let days = range!(Date32Type);
            seconds(1, days.map(|(low, high)| (low * 86_400, high * 86_400)))
        }
        DataType::Date64 => seconds(1_000, range!(Date64Type)),
        DataType::Timestamp(TimeUnit::Second, _) => seconds(1, range!(TimestampSecondType)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            seconds(1_000, range!(TimestampMillisecondType))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            seconds(1_000_000, range!(TimestampMicrosecondType))
        }
        // Nanoseconds end in the year 2262.
        _ => true,
    }
}

/// Whether the text has digits where the pattern has `0`, and else the same bytes at its start.
fn has_shape(text: &str, pattern: &str) -> bool {
    text.len() >= pattern.len()
        && text
            .bytes()
            .zip(pattern.bytes())
            .all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                _ => byte == shape,
            })
}

/// Days since 1970 of an ISO 8601 date.
pub(super) fn days(text: &str) -> Option<i32> {
    if !has_shape(text, "0000-00-00") || text.len() != 10 {
        return None;
    }
    let number = |digits: std::ops::Range<usize>| text.get(digits)?.parse().ok();
    let date =
        NaiveDate::from_ymd_opt(text.get(..4)?.parse().ok()?, number(5..7)?, number(8..10)?)?;
    i32::try_from(date.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// Nanoseconds since midnight of a time of day.
pub(super) fn nanos_of_day(text: &str) -> Option<i64> {
    let time = time_of_day(text)?;
    Some(i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(time.nanosecond()))
}

fn time_of_day(text: &str) -> Option<NaiveTime> {
    if !has_shape(text, "00:00:00") {
        return None;
    }
    let time = NaiveTime::parse_from_str(text, "%H:%M:%S%.f").ok()?;
    // A leap second has no place in Arrow's count.
    (time.nanosecond() < 1_000_000_000 && fraction_fits(text)).then_some(time)
}

/// Digits beyond the nanosecond would be dropped without a word.
fn fraction_fits(text: &str) -> bool {
    let digits = |rest: &str| rest.bytes().take_while(u8::is_ascii_digit).count();
    text.split_once('.')
        .is_none_or(|(_, rest)| (1..=9).contains(&digits(rest)))
}

/// Nanoseconds since 1970. In a column with a zone the text must say its offset; in one without
/// it must say none, or `Z`: any other would be lost.
pub(super) fn nanos(text: &str, has_zone: bool) -> Option<i128> {
    if let Some(days) = days(text) {
        return (!has_zone).then(|| i128::from(days) * 86_400_000_000_000);
    }
    if !has_shape(text, "0000-00-00") || !text.is_ascii() || !fraction_fits(text) {
        return None;
    }
    let moment = match has_zone {
        true => DateTime::parse_from_rfc3339(text).ok()?.naive_utc(),
        false => {
            let wall = text.strip_suffix('Z').unwrap_or(text);
            let (date, clock) = wall.split_at_checked(10)?;
            let clock = clock.strip_prefix(['T', ' '])?;
            NaiveDate::parse_from_str(date, "%Y-%m-%d")
                .ok()?
                .and_time(time_of_day(clock)?)
        }
    };
    (moment.nanosecond() < 1_000_000_000).then(|| since_1970(moment))
}

fn since_1970(moment: NaiveDateTime) -> i128 {
    let moment = moment.and_utc();
    i128::from(moment.timestamp()) * 1_000_000_000 + i128::from(moment.timestamp_subsec_nanos())
}
