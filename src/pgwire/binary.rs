//! Values in PostgreSQL's binary form: big-endian, dates and moments counted from 2000-01-01,
//! numerics in groups of four digits.

use bytes::{BufMut, BytesMut};

use super::column::{Column, Unwritable, Values, checked, moment, range, time_of_day};

/// Appends the bytes of a value that is not NULL, without their length.
pub(super) fn put(column: &Column, row: usize, out: &mut BytesMut) -> Result<(), Unwritable> {
    match &column.values {
        Values::Null => {}
        Values::Boolean(values) => out.put_u8(values.value(row).into()),
        Values::Int2(values) => out.put_i16(values.value(row)),
        Values::Int4(values) => out.put_i32(values.value(row)),
        Values::Int8(values) => out.put_i64(values.value(row)),
        Values::Float4(values) => out.put_f32(values.value(row)),
        Values::Float8(values) => out.put_f64(values.value(row)),
        Values::Numeric(values, scale) => {
            put_numeric(&values.value(row).to_string(), *scale, out)?;
        }
        Values::WideNumeric(values, scale) => {
            put_numeric(&values.value(row).to_string(), *scale, out)?;
        }
        Values::Text(values) => out.put_slice(checked(values.value(row))?.as_bytes()),
        Values::LargeText(values) => out.put_slice(checked(values.value(row))?.as_bytes()),
        Values::TextView(values) => out.put_slice(checked(values.value(row))?.as_bytes()),
        Values::Json(values) => out.put_slice(values.value(row).as_bytes()),
        Values::Bytes(values) => out.put_slice(values.value(row)),
        Values::Date(dates) => out.put_i32(dates.get(row)?),
        Values::Time { values, unit } => out.put_i64(time_of_day(values.value(row), *unit)?),
        Values::Timestamp { values, unit, .. } => out.put_i64(moment(values.value(row), *unit)?),
        Values::Interval(intervals) => {
            let interval = intervals.get(row)?;
            out.put_i64(interval.micros);
            out.put_i32(interval.days);
            out.put_i32(interval.months);
        }
        Values::Array {
            offsets,
            skipped,
            items,
            item_oid,
        } => {
            let of_row = range(offsets, *skipped, row)?;
            let length = i32::try_from(of_row.len()).map_err(|_| Unwritable::TooLong)?;
            let has_nulls = of_row.clone().any(|item| items.is_null(item));
            // An array without items has no dimension.
            out.put_i32((length > 0).into());
            out.put_i32(has_nulls.into());
            out.put_u32(*item_oid);
            if length > 0 {
                out.put_i32(length);
                out.put_i32(1);
            }
            for item in of_row {
                put_sized(items, item, out, put)?;
            }
        }
    }
    Ok(())
}

/// Appends a value after its length, or the length -1 for a NULL.
pub(super) fn put_sized(
    column: &Column,
    row: usize,
    out: &mut BytesMut,
    put: fn(&Column, usize, &mut BytesMut) -> Result<(), Unwritable>,
) -> Result<(), Unwritable> {
    if column.is_null(row) {
        out.put_i32(-1);
        return Ok(());
    }
    let at = out.len();
    out.put_i32(0);
    put(column, row, out)?;
    set_length(out, at, out.len() - at - 4)
}

/// Writes a length where a place was left for it.
pub(super) fn set_length(out: &mut BytesMut, at: usize, length: usize) -> Result<(), Unwritable> {
    let length = i32::try_from(length).map_err(|_| Unwritable::TooLong)?;
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

const NEGATIVE: u16 = 0x4000;

/// The number `unscaled` divided by ten to the power of `scale`.
fn put_numeric(unscaled: &str, scale: i8, out: &mut BytesMut) -> Result<(), Unwritable> {
    let (sign, digits) = match unscaled.strip_prefix('-') {
        Some(digits) => (NEGATIVE, digits),
        None => (0, unscaled),
    };
    // Groups of four start at the point, in both directions.
    let places = usize::from(scale.unsigned_abs());
    let (fraction, zeros) = match scale > 0 {
        true => (
            places.next_multiple_of(4),
            places.next_multiple_of(4) - places,
        ),
        false => (0, places),
    };
    let length = digits.len() + zeros;
    let mut padded = vec![b'0'; length.next_multiple_of(4) - length];
    padded.extend_from_slice(digits.as_bytes());
    padded.resize(padded.len() + zeros, b'0');
    let groups: Vec<i16> = padded
        .chunks(4)
        .map(|group| {
            let digit = |sum: i16, digit: &u8| sum * 10 + i16::from(digit - b'0');
            group.iter().fold(0, digit)
        })
        .collect();
    let whole_groups = groups.len() - (fraction / 4).min(groups.len());
    let missing = fraction / 4 - (groups.len() - whole_groups);
    let leading = groups.iter().take_while(|group| **group == 0).count();
    let used: &[i16] = groups.get(leading..).unwrap_or_default();
    let trailing = used.iter().rev().take_while(|group| **group == 0).count();
    let used = used.get(..used.len() - trailing).unwrap_or_default();
    let short = |count: usize| i16::try_from(count).map_err(|_| Unwritable::TooLong);
    out.put_i16(short(used.len())?);
    out.put_i16(match used.is_empty() {
        true => 0,
        false => short(whole_groups)? - short(missing)? - 1 - short(leading)?,
    });
    out.put_u16(if used.is_empty() { 0 } else { sign });
    out.put_i16(scale.max(0).into());
    for group in used {
        out.put_i16(*group);
    }
    Ok(())
}
