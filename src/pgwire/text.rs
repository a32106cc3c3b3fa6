//! Values as PostgreSQL prints them, with its own settings: ISO dates, intervals in its own style,
//! bytes in hexadecimal, floats with as many digits as it takes to tell them from any other, and
//! moments in UTC.

use std::fmt::Write;

use arrow::datatypes::i256;

use super::column::{
    Column, DAY_MICROS, EPOCH_DAYS, Interval, Unwritable, Values, checked, moment, range,
    time_of_day,
};
use crate::wire::postgres::{push_hex, push_quoted_item};

/// Appends the text of a value that is not NULL.
pub(super) fn put<W: Write>(column: &Column, row: usize, out: &mut W) -> Result<(), Unwritable> {
    match &column.values {
        Values::Null => {}
        Values::Boolean(values) => out.write_char(if values.value(row) { 't' } else { 'f' })?,
        Values::Int2(values) => write!(out, "{}", values.value(row))?,
        Values::Int4(values) => write!(out, "{}", values.value(row))?,
        Values::Int8(values) => write!(out, "{}", values.value(row))?,
        Values::Float4(values) => put_float4(values.value(row), out)?,
        Values::Float8(values) => put_float8(values.value(row), out)?,
        Values::Numeric(values, scale) => {
            put_numeric(&values.value(row).to_string(), *scale, out)?;
        }
        Values::WideNumeric(values, scale) => {
            let value: i256 = values.value(row);
            put_numeric(&value.to_string(), *scale, out)?;
        }
        Values::Text(values) => out.write_str(checked(values.value(row))?)?,
        Values::LargeText(values) => out.write_str(checked(values.value(row))?)?,
        Values::TextView(values) => out.write_str(checked(values.value(row))?)?,
        Values::Json(values) => out.write_str(values.value(row))?,
        Values::Bytes(values) => push_hex(out, values.value(row))?,
        Values::Date(dates) => {
            let is_bc = put_date(dates.get(row)?.into(), out)?;
            put_era(is_bc, out)?;
        }
        Values::Time { values, unit } => {
            put_clock(time_of_day(values.value(row), *unit)?.unsigned_abs(), out)?;
        }
        Values::Timestamp {
            values,
            unit,
            zoned,
        } => {
            let micros = moment(values.value(row), *unit)?;
            let is_bc = put_date(micros.div_euclid(DAY_MICROS), out)?;
            out.write_char(' ')?;
            put_clock(micros.rem_euclid(DAY_MICROS).unsigned_abs(), out)?;
            if *zoned {
                out.write_str("+00")?;
            }
            put_era(is_bc, out)?;
        }
        Values::Interval(intervals) => put_interval(intervals.get(row)?, out)?,
        Values::Array {
            offsets,
            skipped,
            items,
            ..
        } => {
            let mut text = String::new();
            out.write_char('{')?;
            let items_of_row = range(offsets, *skipped, row)?;
            let first = items_of_row.start;
            for item in items_of_row {
                if item > first {
                    out.write_char(',')?;
                }
                if items.is_null(item) {
                    out.write_str("NULL")?;
                    continue;
                }
                text.clear();
                put(items, item, &mut text)?;
                match needs_quotes(&text) {
                    true => push_quoted_item(out, &text)?,
                    false => out.write_str(&text)?,
                }
            }
            out.write_char('}')?;
        }
    }
    Ok(())
}

/// Whether an item could be taken for something else without quotes.
fn needs_quotes(item: &str) -> bool {
    // These bytes alone are white space to PostgreSQL: others, above ASCII, are not.
    let is_special = |byte| {
        matches!(
            byte,
            b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c
        )
    };
    item.is_empty() || item.eq_ignore_ascii_case("null") || item.bytes().any(is_special)
}

/// The number `unscaled` divided by ten to the power of `scale`, every place of it.
fn put_numeric(unscaled: &str, scale: i8, out: &mut impl Write) -> std::fmt::Result {
    let digits = match unscaled.strip_prefix('-') {
        Some(digits) => {
            out.write_char('-')?;
            digits
        }
        None => unscaled,
    };
    let places = usize::from(scale.unsigned_abs());
    if scale <= 0 {
        out.write_str(digits)?;
        if digits != "0" {
            put_zeros(places, out)?;
        }
        return Ok(());
    }
    match digits.len().checked_sub(places).filter(|whole| *whole > 0) {
        Some(whole) => {
            let (whole, fraction) = digits.split_at(whole);
            out.write_str(whole)?;
            out.write_char('.')?;
            out.write_str(fraction)?;
        }
        None => {
            out.write_str("0.")?;
            put_zeros(places - digits.len(), out)?;
            out.write_str(digits)?;
        }
    }
    Ok(())
}

fn put_zeros(count: usize, out: &mut impl Write) -> std::fmt::Result {
    (0..count).try_for_each(|_| out.write_char('0'))
}

fn put_float8(value: f64, out: &mut impl Write) -> std::fmt::Result {
    if put_unusual(value, out)? {
        return Ok(());
    }
    let with_places = |places| format!("{value:.places$e}");
    let is_it = |text: &str| text.parse() == Ok(value);
    let mut text = format!("{value:e}");
    if may_be_between(value) {
        text = even(text, with_places, is_it);
    }
    put_digits(&clear_of_ties(text, 54, with_places), 15, out)
}

fn put_float4(value: f32, out: &mut impl Write) -> std::fmt::Result {
    if put_unusual(value.into(), out)? {
        return Ok(());
    }
    let with_places = |places| format!("{value:.places$e}");
    let is_it = |text: &str| text.parse() == Ok(value);
    let mut text = format!("{value:e}");
    if may_be_between(value.into()) {
        text = even(text, with_places, is_it);
    }
    put_digits(&clear_of_ties(text, 25, with_places), 6, out)
}

/// What is not written in digits, if the value is such.
fn put_unusual(value: f64, out: &mut impl Write) -> Result<bool, std::fmt::Error> {
    let text = match value {
        v if v.is_nan() => "NaN",
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        0.0 if value.is_sign_negative() => "-0",
        0.0 => "0",
        _ => return Ok(false),
    };
    out.write_str(text)?;
    Ok(true)
}

/// Whether a float may be exactly half way between two numbers that have one digit less, and that
/// both stand for it. It has no more than 18 digits then, so that it is so many 2^25ths.
fn may_be_between(value: f64) -> bool {
    (value * 33_554_432.0).fract() == 0.0
}

/// Of two numbers with as many digits that stand for a float and are equally far from it,
/// PostgreSQL takes the one whose last digit is even.
fn even(
    shortest: String,
    with_places: impl Fn(usize) -> String,
    is_it: impl Fn(&str) -> bool,
) -> String {
    let (mantissa, _) = shortest.split_once('e').unwrap_or((&shortest, ""));
    let (_, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let rounded = with_places(fraction.len());
    match is_it(&rounded) {
        true => rounded,
        false => shortest,
    }
}

/// PostgreSQL does not rely on a reader that rounds ties to even: where the shortest digits are
/// exactly half way between two floats, it prints more. `bits` are those of a float's mantissa
/// and one more, which is what it takes to stand half way.
fn clear_of_ties(shortest: String, bits: u32, with_places: impl Fn(usize) -> String) -> String {
    let mut text = shortest;
    for places in 1..=17 {
        if !is_tie(&text, bits) {
            break;
        }
        let longer = with_places(places);
        if longer.len() > text.len() {
            text = longer;
        }
    }
    text
}

/// Whether a number like `1.25e9` has exactly `bits` binary digits. Only whole numbers are looked
/// at: a fraction half way between two floats has more digits than one of the two.
fn is_tie(text: &str, bits: u32) -> bool {
    let exact = || {
        let (mantissa, exponent) = text.trim_start_matches('-').split_once('e')?;
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let zeros = exponent
            .parse::<u32>()
            .ok()?
            .checked_sub(u32::try_from(fraction.len()).ok()?)?;
        let digits: u128 = format!("{whole}{fraction}").parse().ok()?;
        digits.checked_mul(5_u128.checked_pow(zeros)?)
    };
    exact().is_some_and(|odd| u128::BITS - odd.leading_zeros() - odd.trailing_zeros() == bits)
}

/// A number like `1.25e-7` with a point or an exponent: the point where the exponent is less than
/// `most`, and more than -5.
fn put_digits(text: &str, most: i32, out: &mut impl Write) -> std::fmt::Result {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    let mantissa = match mantissa.strip_prefix('-') {
        Some(rest) => {
            out.write_char('-')?;
            rest
        }
        None => mantissa,
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !(-4..most).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs())?;
        return Ok(());
    }
    let shift = usize::try_from(exponent.unsigned_abs()).unwrap_or_default();
    if exponent < 0 {
        out.write_str("0.")?;
        put_zeros(shift - 1, out)?;
        out.write_str(whole)?;
        out.write_str(fraction)?;
        return Ok(());
    }
    out.write_str(whole)?;
    match fraction.split_at_checked(shift) {
        Some((before, after)) => {
            out.write_str(before)?;
            if !after.is_empty() {
                out.write_char('.')?;
                out.write_str(after)?;
            }
        }
        None => {
            out.write_str(fraction)?;
            put_zeros(shift - fraction.len(), out)?;
        }
    }
    Ok(())
}

/// The date of a count of days since 2000-01-01, and whether it is before Christ, which is said
/// at the end.
fn put_date(days: i64, out: &mut impl Write) -> Result<bool, std::fmt::Error> {
    let (year, month, day) = civil(days + EPOCH_DAYS);
    let is_bc = year <= 0;
    let year = if is_bc { 1 - year } else { year };
    write!(out, "{year:04}-{month:02}-{day:02}")?;
    Ok(is_bc)
}

fn put_era(is_bc: bool, out: &mut impl Write) -> std::fmt::Result {
    out.write_str(if is_bc { " BC" } else { "" })
}

/// Year, month and day of a count of days since 1970-01-01, by the Gregorian calendar throughout.
fn civil(days: i64) -> (i64, i64, i64) {
    // Years begin in March here, so that the leap day is their last one.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = match month {
        0..=9 => (month + 3, 0),
        _ => (month - 9, 1),
    };
    (year_of_era + era * 400 + next_year, month, day)
}

/// Hours, minutes and seconds of a count of microseconds.
fn put_clock(micros: u64, out: &mut impl Write) -> std::fmt::Result {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    write!(out, "{:02}:{:02}:{seconds:02}", minutes / 60, minutes % 60)?;
    if fraction > 0 {
        let fraction = format!(".{fraction:06}");
        out.write_str(fraction.trim_end_matches('0'))?;
    }
    Ok(())
}

/// An interval such as `1 year 2 mons -3 days +04:05:06`: parts that are zero are left out, and a
/// part after a negative one says so if it is not.
fn put_interval(value: Interval, out: &mut impl Write) -> std::fmt::Result {
    let (mut is_zero, mut is_after_negative) = (true, false);
    let parts = [
        (value.months / 12, "year"),
        (value.months % 12, "mon"),
        (value.days, "day"),
    ];
    for (count, unit) in parts {
        if count == 0 {
            continue;
        }
        if !is_zero {
            out.write_char(' ')?;
        }
        if is_after_negative && count > 0 {
            out.write_char('+')?;
        }
        let plural = if count == 1 { "" } else { "s" };
        write!(out, "{count} {unit}{plural}")?;
        (is_zero, is_after_negative) = (false, count < 0);
    }
    if is_zero || value.micros != 0 {
        if !is_zero {
            out.write_char(' ')?;
        }
        if value.micros < 0 {
            out.write_char('-')?;
        } else if is_after_negative {
            out.write_char('+')?;
        }
        put_clock(value.micros.unsigned_abs(), out)?;
    }
    Ok(())
}
