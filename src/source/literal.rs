//! Dates, times and decimals that a source writes as text: read exactly, or not at all.

use chrono::{Datelike, NaiveDate};

/// Days from the first day of the common era to 1970-01-01.
const EPOCH: i32 = 719_163;
const DAY_MICROS: i64 = 86_400_000_000;

/// A point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Microseconds since 1970-01-01T00:00, in UTC if it is zoned.
    pub(super) micros: i64,
    /// Whether the text named its offset from UTC.
    pub(super) zoned: bool,
}

/// `YYYY-MM-DD`, as days since 1970-01-01.
pub(super) fn date(text: &str) -> Option<i32> {
    let mut cursor = Cursor(text.as_bytes());
    let days = cursor.date()?;
    cursor.0.is_empty().then_some(days)
}

/// `YYYY-MM-DD`, then perhaps `T` or a space and `HH:MM[:SS[.ffffff]]`, then perhaps `Z` or
/// `±HH:MM`. A fraction finer than a microsecond is refused unless it is zero.
pub(super) fn moment(text: &str) -> Option<Moment> {
    let mut cursor = Cursor(text.as_bytes());
    let midnight = i64::from(cursor.date()?).checked_mul(DAY_MICROS)?;
    if cursor.0.is_empty() {
        return Some(Moment {
            micros: midnight,
            zoned: false,
        });
    }
    cursor.byte(b"T ")?;
    let hour = cursor.digits(2).filter(|hour| *hour < 24)?;
    cursor.byte(b":")?;
    let minute = cursor.digits(2).filter(|minute| *minute < 60)?;
    let (mut second, mut fraction) = (0, 0);
    if cursor.byte(b":").is_some() {
        second = cursor.digits(2).filter(|second| *second < 60)?;
        if cursor.byte(b".").is_some() {
            fraction = cursor.fraction()?;
        }
    }
    let micros = midnight
        .checked_add(
            (i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second)) * 1_000_000,
        )?
        .checked_add(i64::from(fraction))?;
    if cursor.0.is_empty() {
        return Some(Moment {
            micros,
            zoned: false,
        });
    }
    if cursor.byte(b"Z").is_some() {
        return cursor.0.is_empty().then_some(Moment {
            micros,
            zoned: true,
        });
    }
    let sign = if cursor.byte(b"+-")? == b'+' { 1 } else { -1 };
    let hours = cursor.digits(2).filter(|hours| *hours < 24)?;
    let minutes = match cursor.0.is_empty() {
        true => 0,
        false => {
            cursor.byte(b":");
            cursor.digits(2).filter(|minutes| *minutes < 60)?
        }
    };
    let offset = sign * (i64::from(hours) * 3600 + i64::from(minutes) * 60) * 1_000_000;
    let micros = micros.checked_sub(offset)?;
    cursor.0.is_empty().then_some(Moment {
        micros,
        zoned: true,
    })
}

/// A plain decimal number as an integer of `scale` decimal places, if it has no more places
/// than that and at most `precision` digits.
pub(super) fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value: i128 = 0;
    let mut push = |digit: u8| -> Option<()> {
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
        Some(())
    };
    for byte in whole.bytes() {
        push(byte.is_ascii_digit().then(|| byte - b'0')?)?;
    }
    let scale = usize::try_from(scale).ok()?;
    let mut places = fraction.bytes();
    for _ in 0..scale {
        let byte = places.next().unwrap_or(b'0');
        push(byte.is_ascii_digit().then(|| byte - b'0')?)?;
    }
    if !places.all(|byte| byte == b'0') {
        return None;
    }
    within(if negative { -value } else { value }, precision)
}

/// The value, if it has at most `precision` digits.
pub(super) fn within(value: i128, precision: u8) -> Option<i128> {
    let limit = 10_i128.checked_pow(u32::from(precision))?;
    (value.checked_abs()? < limit).then_some(value)
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn byte(&mut self, any_of: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        any_of.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        let mut value = 0_u32;
        for byte in digits {
            value = value * 10 + u32::from(byte.is_ascii_digit().then(|| byte - b'0')?);
        }
        self.0 = rest;
        Some(value)
    }

    fn date(&mut self) -> Option<i32> {
        let year = self.digits(4)?;
        self.byte(b"-")?;
        let month = self.digits(2)?;
        self.byte(b"-")?;
        let day = self.digits(2)?;
        let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
        Some(date.num_days_from_ce() - EPOCH)
    }

    /// The digits after the point, as microseconds.
    fn fraction(&mut self) -> Option<u32> {
        let length = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.0.split_at_checked(length)?;
        if digits.is_empty() {
            return None;
        }
        let mut places = digits.iter();
        let mut value = 0;
        for _ in 0..6 {
            value = value * 10 + u32::from(places.next().map_or(0, |byte| byte - b'0'));
        }
        if !places.all(|byte| *byte == b'0') {
            return None;
        }
        self.0 = rest;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_real_days() {
        assert_eq!(date("1970-01-02"), Some(1));
        assert_eq!(date("1969-12-31"), Some(-1));
        for wrong in [
            "2023-02-29",
            "2023-13-01",
            "2023-1-01",
            "20230101",
            "2023-01-01 ",
            "",
        ] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn moments_are_exact() {
        let at = |micros, zoned| Some(Moment { micros, zoned });
        assert_eq!(moment("1970-01-01"), at(0, false));
        assert_eq!(moment("1970-01-01 00:01"), at(60_000_000, false));
        assert_eq!(moment("1970-01-01T00:00:01.5"), at(1_500_000, false));
        assert_eq!(moment("1970-01-01T00:00:00.123456000Z"), at(123_456, true));
        assert_eq!(moment("1970-01-01T02:00:00+02:00"), at(0, true));
        assert_eq!(moment("1970-01-01T00:00:00-0100"), at(3_600_000_000, true));
        for wrong in [
            "1970-01-01T",
            "1970-01-01T24:00",
            "1970-01-01 00:00:00.1234567",
            "1970-01-01 00:00 UTC",
        ] {
            assert_eq!(moment(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn decimals_lose_nothing() {
        assert_eq!(decimal("12.34", 10, 2), Some(1234));
        assert_eq!(decimal("-0.5", 10, 2), Some(-50));
        assert_eq!(decimal("7", 10, 2), Some(700));
        assert_eq!(decimal("1.230000", 10, 2), Some(123));
        for wrong in ["1.234", "1e3", "", "-", ".", "123456789.00", "NaN", "1 "] {
            assert_eq!(decimal(wrong, 10, 2), None, "{wrong}");
        }
    }
}
