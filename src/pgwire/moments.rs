//! Dates and times as clients write them: ISO 8601 in the ways that PostgreSQL prints it and
//! drivers send it.

use super::column::{DAY_MICROS, Interval};

/// A date, and perhaps a time and a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Days since 1970-01-01.
    pub(super) days: i64,
    /// Microseconds since midnight; they may reach the next day.
    pub(super) micros: i64,
    /// Seconds east of Greenwich, where a zone is named.
    pub(super) offset: Option<i64>,
}

/// `YYYY-MM-DD`, then perhaps `T` or a space and a time, then perhaps a zone, then perhaps `BC`.
pub(super) fn date_or_moment(text: &str) -> Option<Moment> {
    let (text, is_bc) = match text
        .len()
        .checked_sub(3)
        .and_then(|at| text.split_at_checked(at))
    {
        Some((before, era)) if era.eq_ignore_ascii_case(" bc") => (before, true),
        Some((before, era)) if era.eq_ignore_ascii_case(" ad") => (before, false),
        _ => (text, false),
    };
    let mut cursor = Cursor(text.as_bytes());
    let year = cursor.digits(4..=7)?;
    cursor.byte(b"-")?;
    let month = cursor.digits(1..=2)?;
    cursor.byte(b"-")?;
    let day = cursor.digits(1..=2)?;
    // There is no year zero, as there is in the count of years.
    let year = if is_bc { 1 - year } else { year };
    if (year == 0 && !is_bc)
        || !(1..=12).contains(&month)
        || !(1..=length(year, month)).contains(&day)
    {
        return None;
    }
    let mut micros = 0;
    let has_time = match cursor.0 {
        [b'T' | b't', ..] => true,
        [b' ', next, ..] => next.is_ascii_digit(),
        _ => false,
    };
    if has_time {
        cursor.skip();
        micros = cursor.time()?;
    }
    let offset = cursor.zone()?;
    cursor.0.is_empty().then_some(Moment {
        days: days(year, month, day),
        micros,
        offset,
    })
}

/// Microseconds since midnight of a time; a zone is left out of account.
pub(super) fn time(text: &str) -> Option<i64> {
    let mut cursor = Cursor(text.as_bytes());
    let micros = cursor.time()?;
    cursor.zone()?;
    // Arrow's day ends before midnight.
    (cursor.0.is_empty() && micros < DAY_MICROS).then_some(micros)
}

/// Counts of units such as `1 year -2 mons 3 days`, and perhaps a time `04:05:06.7`, in any order
/// of units; `ago` at the end turns all of it round. Parts of a month or a day are refused.
pub(super) fn interval(text: &str) -> Option<Interval> {
    let mut words = text
        .split([' ', ','])
        .filter(|word| !word.is_empty() && *word != "@")
        .peekable();
    words.peek()?;
    let (mut months, mut days, mut micros) = (0_i64, 0_i64, 0_i64);
    let mut sign = 1;
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("ago") && words.peek().is_none() {
            sign = -1;
            break;
        }
        let (count, unit) = match word.find(|c: char| c.is_ascii_alphabetic()) {
            Some(at) => word.split_at_checked(at)?,
            None if word.contains(':') => (word, ""),
            None => (word, words.next()?),
        };
        let (negative, count) = match count.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, count.strip_prefix('+').unwrap_or(count)),
        };
        if unit.is_empty() {
            micros = micros.checked_add(negative * span(count)?)?;
            continue;
        }
        let mut cursor = Cursor(count.as_bytes());
        let whole = negative * cursor.digits(1..=18)?;
        let fraction = match cursor.byte(b".") {
            Some(_) => negative * cursor.fraction(),
            None => 0,
        };
        if !cursor.0.is_empty() {
            return None;
        }
        let unit = unit.to_ascii_lowercase();
        let (to, each) = match unit.as_str() {
            "year" | "years" | "yr" | "yrs" | "y" => (&mut months, 12),
            "month" | "months" | "mon" | "mons" => (&mut months, 1),
            "week" | "weeks" | "w" => (&mut days, 7),
            "day" | "days" | "d" => (&mut days, 1),
            "hour" | "hours" | "hr" | "hrs" | "h" => (&mut micros, 3_600_000_000),
            "minute" | "minutes" | "min" | "mins" | "m" => (&mut micros, 60_000_000),
            "second" | "seconds" | "sec" | "secs" | "s" => (&mut micros, 1_000_000),
            "millisecond" | "milliseconds" | "ms" => (&mut micros, 1_000),
            "microsecond" | "microseconds" | "us" => (&mut micros, 1),
            _ => return None,
        };
        // A fraction is a count of millionths.
        let part = fraction * (each / 1_000_000);
        if fraction != 0 && each < 1_000_000 {
            return None;
        }
        *to = to.checked_add(whole.checked_mul(each)?.checked_add(part)?)?;
    }
    Some(Interval {
        months: i32::try_from(months.checked_mul(sign)?).ok()?,
        days: i32::try_from(days.checked_mul(sign)?).ok()?,
        micros: micros.checked_mul(sign)?,
    })
}

/// Microseconds of `H:MM[:SS[.f...]]`, of as many hours as there may be.
fn span(text: &str) -> Option<i64> {
    let mut cursor = Cursor(text.as_bytes());
    let micros = cursor.clock()?;
    cursor.0.is_empty().then_some(micros)
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn length(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // Years begin in March here, so that the leap day is their last one.
    let (year, month) = match month {
        1 | 2 => (year - 1, month + 9),
        _ => (year, month - 3),
    };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn skip(&mut self) {
        self.0 = self.0.get(1..).unwrap_or_default();
    }

    fn byte(&mut self, any_of: &[u8]) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        any_of.contains(byte).then(|| {
            self.0 = rest;
            *byte
        })
    }

    /// All the digits that come next, as a number.
    fn digits(&mut self, how_many: std::ops::RangeInclusive<usize>) -> Option<i64> {
        let count = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        how_many
            .contains(&count)
            .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
            .flatten()
    }

    /// `HH:MM[:SS[.f...]]` of one day, rounded to microseconds.
    fn time(&mut self) -> Option<i64> {
        // Midnight may be said to be the end of the day before.
        self.clock().filter(|micros| *micros <= DAY_MICROS)
    }

    /// The same, of any number of hours.
    fn clock(&mut self) -> Option<i64> {
        let hour = self.digits(1..=10)?;
        self.byte(b":")?;
        let minute = self.digits(2..=2).filter(|minute| *minute < 60)?;
        let (mut second, mut fraction) = (0, 0);
        if self.byte(b":").is_some() {
            second = self.digits(2..=2).filter(|second| *second < 60)?;
            if self.byte(b".").is_some() {
                fraction = self.fraction();
            }
        }
        let seconds = (hour * 60 + minute) * 60 + second;
        seconds.checked_mul(1_000_000)?.checked_add(fraction)
    }

    /// The digits after the point as microseconds, ties to even.
    fn fraction(&mut self) -> i64 {
        let count = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let (digits, rest) = self.0.split_at_checked(count).unwrap_or_default();
        self.0 = rest;
        let (kept, dropped) = digits.split_at_checked(6).unwrap_or((digits, &[]));
        let sum = |sum: i64, digit: &u8| sum * 10 + i64::from(digit - b'0');
        let missing = u32::try_from(6 - kept.len()).unwrap_or_default();
        let micros = kept.iter().fold(0, sum) * 10_i64.pow(missing);
        let up = match dropped {
            [] | [b'0'..=b'4', ..] => false,
            [b'5', rest @ ..] if rest.iter().all(|digit| *digit == b'0') => micros % 2 == 1,
            _ => true,
        };
        micros + i64::from(up)
    }

    /// `Z`, `UTC` or an offset `±HH[[:]MM[:SS]]`, perhaps after a space; `Some(None)` if nothing
    /// is left.
    fn zone(&mut self) -> Option<Option<i64>> {
        if let [b' ', ..] = self.0 {
            self.skip();
        }
        match self.0 {
            [] => return Some(None),
            [b'Z' | b'z'] | [b'U' | b'u', b'T' | b't', b'C' | b'c'] => {
                self.0 = &[];
                return Some(Some(0));
            }
            _ => {}
        }
        let sign = if self.byte(b"+-")? == b'+' { 1 } else { -1 };
        let count = self
            .0
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        let number = self.digits(1..=4)?;
        let (hours, mut minutes, mut seconds) = match count {
            1 | 2 => (number, 0, 0),
            _ => (number / 100, number % 100, 0),
        };
        if count <= 2 && self.byte(b":").is_some() {
            minutes = self.digits(2..=2)?;
            if self.byte(b":").is_some() {
                seconds = self.digits(2..=2)?;
            }
        }
        // No zone is further from Greenwich, to PostgreSQL.
        (hours <= 15 && minutes < 60 && seconds < 60)
            .then_some(Some(sign * ((hours * 60 + minutes) * 60 + seconds)))
    }
}
