//! Arrow's columns in the few layouts that PostgreSQL's types come from, taken apart once, and
//! their values as PostgreSQL holds them. Where it cannot hold a value, that is an error.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array,
    Float32Array, Float64Array, Int16Array, Int32Array, Int64Array, IntervalDayTimeArray,
    IntervalMonthDayNanoArray, IntervalYearMonthArray, LargeBinaryArray, LargeStringArray,
    StringArray, StringViewArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date64Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Field, Int64Type, IntervalUnit,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};

use super::types;
use crate::guard::session::{FaultKind, QueryFault};
use crate::wire;

/// Days and microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
pub(super) const EPOCH_DAYS: i64 = 10_957;
pub(super) const EPOCH_MICROS: i64 = 946_684_800_000_000;

pub(super) const DAY_MICROS: i64 = 86_400_000_000;

/// The dates that PostgreSQL holds: from 4714-11-24 BC to before 5874898-01-01.
const DATES: std::ops::Range<i64> = -2_451_545..2_145_031_949;
/// The moments that it holds: from that date to before 294277-01-01.
const MOMENTS: std::ops::Range<i128> = -211_813_488_000_000_000..9_223_371_331_200_000_000;

/// Why a value or a column cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unwritable {
    /// No value of the column's type can.
    Type,
    /// The value is out of the range of PostgreSQL's type.
    Range,
    /// The text has a character U+0000, which PostgreSQL's has not.
    Nul,
    /// It is longer than a message can be.
    TooLong,
}

impl Unwritable {
    /// The same for a reader, who is told of the column.
    pub(super) fn in_column(self, field: &Field) -> QueryFault {
        let name = field.name();
        let is = types::name(types::pg_type(field.data_type()).oid);
        match self {
            Unwritable::Type => QueryFault::new(
                FaultKind::Unsupported,
                format!(
                    "column \"{name}\" has a type that PostgreSQL has no form for: leave it out, or take out of it what is needed"
                ),
            ),
            Unwritable::Range => QueryFault::new(
                FaultKind::Computation,
                format!(
                    "column \"{name}\" holds a value that is out of the range of PostgreSQL's {is}: leave such rows out, or cast the column to text"
                ),
            ),
            Unwritable::Nul => QueryFault::new(
                FaultKind::Computation,
                format!(
                    "column \"{name}\" holds text with a character U+0000, which PostgreSQL's text cannot hold: take it out with replace(), or leave such rows out"
                ),
            ),
            Unwritable::TooLong => QueryFault::new(
                FaultKind::Computation,
                format!("column \"{name}\" holds a value that is longer than 2 GiB"),
            ),
        }
    }
}

impl From<std::fmt::Error> for Unwritable {
    fn from(_: std::fmt::Error) -> Self {
        Unwritable::TooLong
    }
}

/// A column, ready to be written value by value.
#[derive(Debug)]
pub(super) struct Column {
    nulls: Option<NullBuffer>,
    pub(super) values: Values,
}

/// The values of a column, each variant one of PostgreSQL's types.
#[derive(Debug)]
pub(super) enum Values {
    /// Not a value at all.
    Null,
    Boolean(BooleanArray),
    Int2(Int16Array),
    Int4(Int32Array),
    Int8(Int64Array),
    Float4(Float32Array),
    Float8(Float64Array),
    Numeric(Decimal128Array, i8),
    WideNumeric(Decimal256Array, i8),
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    /// JSON, which no U+0000 is in.
    Json(StringArray),
    Bytes(LargeBinaryArray),
    Date(Dates),
    Time {
        values: Int64Array,
        unit: TimeUnit,
    },
    Timestamp {
        values: Int64Array,
        unit: TimeUnit,
        zoned: bool,
    },
    Interval(Intervals),
    Array {
        /// Where in the items each array begins and ends, after `skipped` of them.
        offsets: OffsetBuffer<i64>,
        skipped: i64,
        items: Box<Column>,
        item_oid: u32,
    },
}

#[derive(Debug)]
pub(super) enum Dates {
    Days(Date32Array),
    Millis(Int64Array),
}

#[derive(Debug)]
pub(super) enum Intervals {
    Months(IntervalYearMonthArray),
    DayTime(IntervalDayTimeArray),
    MonthDayNano(IntervalMonthDayNanoArray),
    Duration(Int64Array, TimeUnit),
}

/// An interval as PostgreSQL holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    pub(super) months: i32,
    pub(super) days: i32,
    pub(super) micros: i64,
}

/// Whether columns of a type can be sent at all.
pub(super) fn is_writable(data_type: &DataType) -> bool {
    Column::of(&arrow::array::new_empty_array(data_type)).is_ok()
}

impl Column {
    pub(super) fn of(array: &ArrayRef) -> Result<Column, Unwritable> {
        let array = match array.data_type() {
            DataType::Dictionary(..) | DataType::RunEndEncoded(..) | DataType::Float16 => {
                wire::plain(array)
            }
            _ => array.clone(),
        };
        Ok(Column {
            nulls: array.nulls().cloned(),
            values: Values::of(&array)?,
        })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        matches!(self.values, Values::Null)
            || self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }
}

/// The counts of a column of moments or spans, whatever they count.
fn counts<T: ArrowPrimitiveType<Native = i64>>(array: &ArrayRef) -> Int64Array {
    array.as_primitive::<T>().reinterpret_cast::<Int64Type>()
}

impl Values {
    fn of(array: &ArrayRef) -> Result<Values, Unwritable> {
        // Only to types that hold every value of the column's own.
        let wider = |to: &DataType| cast(array, to).map_err(|_| Unwritable::Type);
        if types::array_item(array.data_type()).is_some() {
            return arrays(array);
        }
        Ok(match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Boolean(array.as_boolean().clone()),
            DataType::Int16 => Values::Int2(array.as_primitive().clone()),
            DataType::Int32 => Values::Int4(array.as_primitive().clone()),
            DataType::Int64 => Values::Int8(array.as_primitive().clone()),
            DataType::Int8 | DataType::UInt8 => {
                Values::Int2(wider(&DataType::Int16)?.as_primitive().clone())
            }
            DataType::UInt16 => Values::Int4(wider(&DataType::Int32)?.as_primitive().clone()),
            DataType::UInt32 => Values::Int8(wider(&DataType::Int64)?.as_primitive().clone()),
            DataType::UInt64 => {
                let wide = wider(&DataType::Decimal128(20, 0))?;
                Values::Numeric(wide.as_primitive().clone(), 0)
            }
            DataType::Float32 => Values::Float4(array.as_primitive().clone()),
            DataType::Float64 => Values::Float8(array.as_primitive().clone()),
            DataType::Decimal32(_, scale) | DataType::Decimal64(_, scale) => {
                let wide = wider(&DataType::Decimal128(38, *scale))?;
                Values::Numeric(wide.as_primitive().clone(), *scale)
            }
            DataType::Decimal128(_, scale) => Values::Numeric(array.as_primitive().clone(), *scale),
            DataType::Decimal256(_, scale) => {
                Values::WideNumeric(array.as_primitive().clone(), *scale)
            }
            DataType::Utf8 => Values::Text(array.as_string().clone()),
            DataType::LargeUtf8 => Values::LargeText(array.as_string().clone()),
            DataType::Utf8View => Values::TextView(array.as_string_view().clone()),
            DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_) => {
                Values::Bytes(wider(&DataType::LargeBinary)?.as_binary().clone())
            }
            DataType::Date32 => Values::Date(Dates::Days(array.as_primitive().clone())),
            DataType::Date64 => Values::Date(Dates::Millis(counts::<Date64Type>(array))),
            DataType::Time32(_) => Values::Time {
                values: counts::<Time64MicrosecondType>(&wider(&DataType::Time64(
                    TimeUnit::Microsecond,
                ))?),
                unit: TimeUnit::Microsecond,
            },
            DataType::Time64(unit) => Values::Time {
                values: match unit {
                    TimeUnit::Nanosecond => counts::<Time64NanosecondType>(array),
                    _ => counts::<Time64MicrosecondType>(array),
                },
                unit: *unit,
            },
            DataType::Timestamp(unit, zone) => Values::Timestamp {
                values: match unit {
                    TimeUnit::Second => counts::<TimestampSecondType>(array),
                    TimeUnit::Millisecond => counts::<TimestampMillisecondType>(array),
                    TimeUnit::Microsecond => counts::<TimestampMicrosecondType>(array),
                    TimeUnit::Nanosecond => counts::<TimestampNanosecondType>(array),
                },
                unit: *unit,
                zoned: zone.is_some(),
            },
            DataType::Duration(unit) => {
                let values = match unit {
                    TimeUnit::Second => counts::<DurationSecondType>(array),
                    TimeUnit::Millisecond => counts::<DurationMillisecondType>(array),
                    TimeUnit::Microsecond => counts::<DurationMicrosecondType>(array),
                    TimeUnit::Nanosecond => counts::<DurationNanosecondType>(array),
                };
                Values::Interval(Intervals::Duration(values, *unit))
            }
            DataType::Interval(unit) => Values::Interval(match unit {
                IntervalUnit::YearMonth => Intervals::Months(array.as_primitive().clone()),
                IntervalUnit::DayTime => Intervals::DayTime(array.as_primitive().clone()),
                IntervalUnit::MonthDayNano => Intervals::MonthDayNano(array.as_primitive().clone()),
            }),
            data_type if data_type.is_nested() => {
                let texts = wire::json_texts(array).map_err(|error| match error {
                    wire::WireError::Value { .. } => Unwritable::Range,
                    _ => Unwritable::Type,
                })?;
                Values::Json(texts)
            }
            _ => return Err(Unwritable::Type),
        })
    }
}

fn arrays(array: &ArrayRef) -> Result<Values, Unwritable> {
    let (DataType::List(item)
    | DataType::LargeList(item)
    | DataType::ListView(item)
    | DataType::LargeListView(item)
    | DataType::FixedSizeList(item, _)) = array.data_type()
    else {
        return Err(Unwritable::Type);
    };
    let lists = cast(array, &DataType::LargeList(item.clone())).map_err(|_| Unwritable::Type)?;
    let lists = lists.as_list::<i64>();
    // The items may be those of many more rows than are looked at.
    let (first, last) = match (lists.value_offsets().first(), lists.value_offsets().last()) {
        (Some(first), Some(last)) => (*first, *last),
        _ => (0, 0),
    };
    let start = usize::try_from(first).map_err(|_| Unwritable::TooLong)?;
    let length = usize::try_from(last - first).map_err(|_| Unwritable::TooLong)?;
    Ok(Values::Array {
        offsets: lists.offsets().clone(),
        skipped: first,
        items: Box::new(Column::of(&lists.values().slice(start, length))?),
        item_oid: types::pg_type(item.data_type()).oid,
    })
}

/// The items of one array among those of its column.
pub(super) fn range(
    offsets: &OffsetBuffer<i64>,
    skipped: i64,
    row: usize,
) -> Result<std::ops::Range<usize>, Unwritable> {
    let at = |index: usize| {
        let offset = offsets.get(index).ok_or(Unwritable::TooLong)?;
        usize::try_from(offset - skipped).map_err(|_| Unwritable::TooLong)
    };
    Ok(at(row)?..at(row + 1)?)
}

impl Dates {
    /// Days since 2000-01-01.
    pub(super) fn get(&self, row: usize) -> Result<i32, Unwritable> {
        let since_1970 = match self {
            Dates::Days(days) => i64::from(days.value(row)),
            Dates::Millis(millis) => millis.value(row).div_euclid(86_400_000),
        };
        let days = since_1970 - EPOCH_DAYS;
        match i32::try_from(days) {
            Ok(days32) if DATES.contains(&days) => Ok(days32),
            _ => Err(Unwritable::Range),
        }
    }
}

/// Microseconds, cut off towards the past, as a clock does that shows no finer ones.
fn micros(count: i64, unit: TimeUnit) -> i128 {
    let count = i128::from(count);
    match unit {
        TimeUnit::Second => count * 1_000_000,
        TimeUnit::Millisecond => count * 1_000,
        TimeUnit::Microsecond => count,
        TimeUnit::Nanosecond => count.div_euclid(1_000),
    }
}

/// Microseconds since 2000-01-01 of a count since 1970-01-01.
pub(super) fn moment(count: i64, unit: TimeUnit) -> Result<i64, Unwritable> {
    let micros = micros(count, unit) - i128::from(EPOCH_MICROS);
    match i64::try_from(micros) {
        Ok(moment) if MOMENTS.contains(&micros) => Ok(moment),
        _ => Err(Unwritable::Range),
    }
}

/// Microseconds since midnight.
pub(super) fn time_of_day(count: i64, unit: TimeUnit) -> Result<i64, Unwritable> {
    match i64::try_from(micros(count, unit)) {
        Ok(micros @ 0..=DAY_MICROS) => Ok(micros),
        _ => Err(Unwritable::Range),
    }
}

impl Intervals {
    pub(super) fn get(&self, row: usize) -> Result<Interval, Unwritable> {
        let (months, days, count, unit) = match self {
            Intervals::Months(values) => (values.value(row), 0, 0, TimeUnit::Second),
            Intervals::DayTime(values) => {
                let value = values.value(row);
                (
                    0,
                    value.days,
                    value.milliseconds.into(),
                    TimeUnit::Millisecond,
                )
            }
            Intervals::MonthDayNano(values) => {
                let value = values.value(row);
                (
                    value.months,
                    value.days,
                    value.nanoseconds,
                    TimeUnit::Nanosecond,
                )
            }
            Intervals::Duration(values, unit) => (0, 0, values.value(row), *unit),
        };
        Ok(Interval {
            months,
            days,
            micros: i64::try_from(micros(count, unit)).map_err(|_| Unwritable::Range)?,
        })
    }
}

/// Text, which holds no U+0000.
pub(super) fn checked(text: &str) -> Result<&str, Unwritable> {
    match memchr::memchr(0, text.as_bytes()) {
        None => Ok(text),
        Some(_) => Err(Unwritable::Nul),
    }
}
