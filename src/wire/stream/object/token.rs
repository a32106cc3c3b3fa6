//! The words, texts and numbers of JSON: where each ends that begins at a position.

use super::{Fault, fault};
use crate::wire::stream::text::special;

#[inline(always)]
pub(super) fn word(window: &[u8], at: usize, word: &[u8]) -> Result<usize, Fault> {
    let here = window.get(at..).unwrap_or_default();
    if here.starts_with(word) {
        return Ok(at + word.len());
    }
    let same = here.iter().zip(word).take_while(|(a, b)| a == b).count();
    fault(at + same, "expected a JSON value")
}

/// Where text ends whose closing quote, or first escape, is looked for from a position on: behind
/// the closing quote.
pub(super) fn text_behind(window: &[u8], mut at: usize) -> Result<usize, Fault> {
    loop {
        at = special(window, at);
        match window.get(at) {
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => at = escape_behind(window, at)?,
            _ => return fault(at, "a control character, or the end, stands within quotes"),
        }
    }
}

/// Where an escape ends that begins at a position. Half a surrogate pair is none: readers differ
/// on what it stands for.
fn escape_behind(window: &[u8], at: usize) -> Result<usize, Fault> {
    match window.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => match unit(window, at)? {
            0xd800..=0xdbff => {
                for (offset, expected) in [(6, b'\\'), (7, b'u')] {
                    if window.get(at + offset) != Some(&expected) {
                        return fault(at + offset, "half a surrogate pair stands alone");
                    }
                }
                match unit(window, at + 6)? {
                    0xdc00..=0xdfff => Ok(at + 12),
                    _ => fault(at + 8, "half a surrogate pair stands alone"),
                }
            }
            0xdc00..=0xdfff => fault(at, "half a surrogate pair stands alone"),
            _ => Ok(at + 6),
        },
        _ => fault(at + 1, "an unknown escape stands within quotes"),
    }
}

/// The four hexadecimal digits of a `\u` that begins at a position.
fn unit(window: &[u8], at: usize) -> Result<u32, Fault> {
    let mut unit = 0;
    for offset in 2..6 {
        let digit = window
            .get(at + offset)
            .and_then(|byte| char::from(*byte).to_digit(16));
        match digit {
            Some(digit) => unit = unit * 16 + digit,
            None => return fault(at + offset, "an unknown escape stands within quotes"),
        }
    }
    Ok(unit)
}

/// Where a number ends that begins at a position, and whether it is so long, or has an exponent,
/// that a float may not hold it.
#[inline(always)]
pub(super) fn number(window: &[u8], start: usize) -> Result<(usize, bool), Fault> {
    let digit = |at: usize| window.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = start + usize::from(window.get(start) == Some(&b'-'));
    match window.get(at) {
        Some(b'0') => at += 1,
        Some(b'1'..=b'9') => {
            while digit(at) {
                at += 1;
            }
        }
        _ => return fault(at, "expected a digit"),
    }
    if window.get(at) == Some(&b'.') {
        at += 1;
        if !digit(at) {
            return fault(at, "expected a digit");
        }
        while digit(at) {
            at += 1;
        }
    }
    match window.get(at) {
        Some(b'e' | b'E') => Ok((exponent(window, at)?, true)),
        Some(b'0'..=b'9') => fault(at, "a number begins with 0"),
        _ => Ok((at, at - start > 300)),
    }
}

/// Where an exponent ends that begins at a position.
#[cold]
fn exponent(window: &[u8], start: usize) -> Result<usize, Fault> {
    let digit = |at: usize| window.get(at).is_some_and(u8::is_ascii_digit);
    let mut at = start + 1;
    if matches!(window.get(at), Some(b'+' | b'-')) {
        at += 1;
    }
    if !digit(at) {
        return fault(at, "expected a digit");
    }
    while digit(at) {
        at += 1;
    }
    Ok(at)
}

/// A number that a float holds as infinite means another one to every reader.
#[cold]
pub(super) fn finite(window: &[u8], start: usize, end: usize) -> Result<(), Fault> {
    let text = window.get(start..end).unwrap_or_default();
    let value = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<f64>().ok());
    match value {
        Some(value) if value.is_finite() => Ok(()),
        _ => fault(end - 1, "a number is larger than a float can hold"),
    }
}
