//! Every scalar type but text is mapped onto whole numbers that keep its order, so that one
//! set algebra serves integers, decimals, floats, dates, times and booleans alike.

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type, TimeUnit, i256};
use datafusion::common::ScalarValue;

/// A value as a whole number: integers, unscaled decimals, and dates and times in their unit as
/// they are; booleans as 0 and 1; floats by [`float_key`].
pub(super) type Ordinal = i256;

/// Type of an `f16` value in Arrow.
type F16 = <Float16Type as ArrowPrimitiveType>::Native;

/// A set of ordinals: closed intervals, sorted, neither touching nor overlapping.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Intervals {
    pieces: Vec<(Ordinal, Ordinal)>,
}

impl Intervals {
    pub(super) fn empty() -> Self {
        Intervals { pieces: Vec::new() }
    }

    /// From `low` to `high`, both included; empty if they are crossed.
    pub(super) fn range(low: Ordinal, high: Ordinal) -> Self {
        Intervals {
            pieces: if low <= high {
                vec![(low, high)]
            } else {
                Vec::new()
            },
        }
    }

    pub(super) fn points(points: impl IntoIterator<Item = Ordinal>) -> Self {
        Intervals::normalised(points.into_iter().map(|point| (point, point)).collect())
    }

    fn normalised(mut pieces: Vec<(Ordinal, Ordinal)>) -> Self {
        pieces.sort_unstable();
        let mut merged: Vec<(Ordinal, Ordinal)> = Vec::with_capacity(pieces.len());
        for (low, high) in pieces {
            match merged.last_mut() {
                Some(last) if low <= last.1.wrapping_add(i256::ONE) => last.1 = last.1.max(high),
                _ => merged.push((low, high)),
            }
        }
        Intervals { pieces: merged }
    }

    /// Every ordinal that is in any of the sets.
    pub(super) fn union(sets: impl IntoIterator<Item = Intervals>) -> Self {
        Intervals::normalised(sets.into_iter().flat_map(|set| set.pieces).collect())
    }

    /// Every ordinal that is in all of the sets, which lie within `domain`.
    pub(super) fn intersection(
        sets: impl IntoIterator<Item = Intervals>,
        domain: (Ordinal, Ordinal),
    ) -> Self {
        let missing = sets.into_iter().map(|set| set.complement(domain));
        Intervals::union(missing).complement(domain)
    }

    /// What is missing from the set within `domain`.
    pub(super) fn complement(&self, domain: (Ordinal, Ordinal)) -> Self {
        let mut pieces = Vec::with_capacity(self.pieces.len() + 1);
        let mut next = domain.0;
        for (low, high) in &self.pieces {
            if next < *low {
                pieces.push((next, low.wrapping_sub(i256::ONE)));
            }
            next = high.wrapping_add(i256::ONE);
        }
        if next <= domain.1 {
            pieces.push((next, domain.1));
        }
        Intervals { pieces }
    }

    pub(super) fn pieces(&self) -> &[(Ordinal, Ordinal)] {
        &self.pieces
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// The single values it consists of, if it holds no wider interval.
    pub(super) fn as_points(&self) -> Option<Vec<Ordinal>> {
        self.pieces
            .iter()
            .map(|(low, high)| (low == high).then_some(*low))
            .collect()
    }
}

/// The least and the greatest ordinal of a type, or `None` where the type has no ordinals.
/// For floats these are the infinities: NaN has no place in the order.
pub(super) fn domain(data_type: &DataType) -> Option<(Ordinal, Ordinal)> {
    use DataType::*;
    let bounds = |low: i128, high: i128| Some((i256::from_i128(low), i256::from_i128(high)));
    match data_type {
        Boolean => bounds(0, 1),
        Int8 => bounds(i8::MIN.into(), i8::MAX.into()),
        Int16 => bounds(i16::MIN.into(), i16::MAX.into()),
        Int32 | Date32 | Time32(_) => bounds(i32::MIN.into(), i32::MAX.into()),
        Int64 | Date64 | Time64(_) | Timestamp(_, _) => bounds(i64::MIN.into(), i64::MAX.into()),
        UInt8 => bounds(0, u8::MAX.into()),
        UInt16 => bounds(0, u16::MAX.into()),
        UInt32 => bounds(0, u32::MAX.into()),
        UInt64 => bounds(0, u64::MAX.into()),
        Float16 | Float32 | Float64 => Some((
            float_key(data_type, f64::NEG_INFINITY),
            float_key(data_type, f64::INFINITY),
        )),
        Decimal32(_, _) => bounds(i32::MIN.into(), i32::MAX.into()),
        Decimal64(_, _) => bounds(i64::MIN.into(), i64::MAX.into()),
        Decimal128(_, _) => bounds(i128::MIN, i128::MAX),
        // One short of the ends, so that stepping past a bound cannot wrap around.
        Decimal256(_, _) => Some((
            i256::MIN.wrapping_add(i256::ONE),
            i256::MAX.wrapping_sub(i256::ONE),
        )),
        _ => None,
    }
}

/// The key of a float in its own precision: its bits, mirrored below zero, so that -0 and 0 are
/// one key. NaN must not be passed.
pub(super) fn float_key(data_type: &DataType, value: f64) -> Ordinal {
    let (magnitude, negative) = match data_type {
        DataType::Float16 => {
            let bits = F16::from_f64(value).to_bits();
            (i128::from(bits & 0x7fff), bits >> 15 == 1)
        }
        DataType::Float32 => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the value came from an f32"
            )]
            let bits = (value as f32).to_bits();
            (i128::from(bits & 0x7fff_ffff), bits >> 31 == 1)
        }
        _ => {
            let bits = value.to_bits();
            (i128::from(bits & 0x7fff_ffff_ffff_ffff), bits >> 63 == 1)
        }
    };
    i256::from_i128(if negative { -magnitude } else { magnitude })
}

/// Which of the two zeros a float bound must be: Arrow's kernels put -0 below 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Zero {
    /// -0, for a bound that lets values from here on pass.
    Negative,
    /// 0, for a bound that lets values up to here pass.
    Positive,
}

/// The Arrow value of an ordinal of a type that has a [`domain`].
pub(super) fn scalar(data_type: &DataType, ordinal: Ordinal, zero: Zero) -> Option<ScalarValue> {
    use DataType::*;
    let wide = || ordinal.to_i128();
    let long = || wide().and_then(|n| i64::try_from(n).ok());
    let int = || wide().and_then(|n| i32::try_from(n).ok());
    let sign =
        |negative_key: bool| negative_key || (ordinal == i256::ZERO && zero == Zero::Negative);
    Some(match data_type {
        Boolean => ScalarValue::Boolean(Some(ordinal == i256::ONE)),
        Int8 => ScalarValue::Int8(Some(wide()?.try_into().ok()?)),
        Int16 => ScalarValue::Int16(Some(wide()?.try_into().ok()?)),
        Int32 => ScalarValue::Int32(Some(int()?)),
        Int64 => ScalarValue::Int64(Some(long()?)),
        UInt8 => ScalarValue::UInt8(Some(wide()?.try_into().ok()?)),
        UInt16 => ScalarValue::UInt16(Some(wide()?.try_into().ok()?)),
        UInt32 => ScalarValue::UInt32(Some(wide()?.try_into().ok()?)),
        UInt64 => ScalarValue::UInt64(Some(wide()?.try_into().ok()?)),
        Float16 => {
            let key = wide()?;
            let bits = u16::try_from(key.unsigned_abs()).ok()? | (u16::from(sign(key < 0)) << 15);
            ScalarValue::Float16(Some(F16::from_bits(bits)))
        }
        Float32 => {
            let key = wide()?;
            let bits = u32::try_from(key.unsigned_abs()).ok()? | (u32::from(sign(key < 0)) << 31);
            ScalarValue::Float32(Some(f32::from_bits(bits)))
        }
        Float64 => {
            let key = wide()?;
            let bits = u64::try_from(key.unsigned_abs()).ok()? | (u64::from(sign(key < 0)) << 63);
            ScalarValue::Float64(Some(f64::from_bits(bits)))
        }
        Decimal32(p, s) => ScalarValue::Decimal32(Some(int()?), *p, *s),
        Decimal64(p, s) => ScalarValue::Decimal64(Some(long()?), *p, *s),
        Decimal128(p, s) => ScalarValue::Decimal128(Some(wide()?), *p, *s),
        Decimal256(p, s) => ScalarValue::Decimal256(Some(ordinal), *p, *s),
        Date32 => ScalarValue::Date32(Some(int()?)),
        Date64 => ScalarValue::Date64(Some(long()?)),
        Time32(TimeUnit::Second) => ScalarValue::Time32Second(Some(int()?)),
        Time32(_) => ScalarValue::Time32Millisecond(Some(int()?)),
        Time64(TimeUnit::Microsecond) => ScalarValue::Time64Microsecond(Some(long()?)),
        Time64(_) => ScalarValue::Time64Nanosecond(Some(long()?)),
        Timestamp(TimeUnit::Second, tz) => ScalarValue::TimestampSecond(Some(long()?), tz.clone()),
        Timestamp(TimeUnit::Millisecond, tz) => {
            ScalarValue::TimestampMillisecond(Some(long()?), tz.clone())
        }
        Timestamp(TimeUnit::Microsecond, tz) => {
            ScalarValue::TimestampMicrosecond(Some(long()?), tz.clone())
        }
        Timestamp(TimeUnit::Nanosecond, tz) => {
            ScalarValue::TimestampNanosecond(Some(long()?), tz.clone())
        }
        _ => return None,
    })
}
