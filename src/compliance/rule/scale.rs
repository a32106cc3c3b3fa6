//! What is larger: numbers by their value, versions part by part.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::policy::difference::decimal;

/// What stands on a scale.
pub(super) enum Scale<'a> {
    Number(&'a Number),
    Version(&'a str),
}

impl<'a> Scale<'a> {
    /// A number, or a text that is a version such as `1.2`; `None` of anything else.
    pub(super) fn of(value: &'a Value) -> Option<Scale<'a>> {
        match value {
            Value::Number(number) => decimal(&number.to_string()).map(|_| Scale::Number(number)),
            Value::String(text) => is_version(text).then_some(Scale::Version(text)),
            _ => None,
        }
    }

    /// How it compares with another. A whole number beside a version is a version, too: 2 is
    /// 2.0. `None` where a number cannot be one: below zero, of a great many digits, or with a
    /// fraction, as 1.10 is the number 1.1 and nobody can tell any more which version was meant.
    pub(super) fn order(&self, other: &Scale<'_>) -> Option<Ordering> {
        match (self, other) {
            (Scale::Number(a), Scale::Number(b)) => numbers(a, b),
            (Scale::Version(a), Scale::Version(b)) => Some(versions(a, b)),
            (Scale::Number(a), Scale::Version(b)) => Some(versions(&plain(a)?, b)),
            (Scale::Version(a), Scale::Number(b)) => Some(versions(a, &plain(b)?)),
        }
    }
}

/// Whether a text is numbers with dots between them.
fn is_version(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split('.').all(is_number)
}

/// Part by part, by value; a part that is missing is 0.
fn versions(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.split('.'), b.split('.'));
    loop {
        let (one, other) = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (one, other) => (one.unwrap_or_default(), other.unwrap_or_default()),
        };
        match whole(one, other) {
            Ordering::Equal => {}
            order => return order,
        }
    }
}

/// Whole numbers of any length; no digits are 0.
fn whole(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// By value, whatever the digits they are written with.
fn numbers(a: &Number, b: &Number) -> Option<Ordering> {
    let (a_below, a_digits, a_power) = decimal(&a.to_string())?;
    let (b_below, b_digits, b_power) = decimal(&b.to_string())?;
    if a_digits.is_empty() || b_digits.is_empty() {
        let side = |below: bool, digits: &str| match (digits.is_empty(), below) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        return Some(side(a_below, &a_digits).cmp(&side(b_below, &b_digits)));
    }
    if a_below != b_below {
        return Some(b_below.cmp(&a_below));
    }
    // The first digits stand for these powers of ten; where they are the same, digit decides.
    let first = |digits: &str, power: i64| i128::from(power) + digits.len() as i128;
    let size = first(&a_digits, a_power)
        .cmp(&first(&b_digits, b_power))
        .then_with(|| a_digits.cmp(&b_digits));
    Some(if a_below { size.reverse() } else { size })
}

/// Most digits that a number is written with to be a version.
const MOST_DIGITS: usize = 64;

/// A whole number in plain digits; `None` of one with a fraction, below zero, or with a great
/// many digits.
fn plain(number: &Number) -> Option<String> {
    let (below, digits, power) = decimal(&number.to_string())?;
    // No digit of a fraction is 0 at its end, so a whole number has none.
    let zeros = usize::try_from(power).ok()?;
    if below || digits.len().checked_add(zeros)? > MOST_DIGITS {
        return None;
    }
    Some(format!("{digits}{}", "0".repeat(zeros)))
}
