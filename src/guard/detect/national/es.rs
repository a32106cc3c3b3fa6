//! Spanish identity documents.

use std::ops::Range;

use super::super::edge::{self, Edge};
use super::super::{Spot, Topic};

/// The letters by the remainder of the number by 23.
const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// The most groups that the digits are in.
const GROUPS: usize = 3;

/// Eight digits and their letter, or X, Y or Z, seven digits and their letter. The digits are the
/// last ones of the spot.
pub(crate) fn find(spot: &Spot<'_>) -> Option<Range<usize>> {
    let end = spot.at.end;
    let gap = usize::from(matches!(spot.byte(end), Some(b'-' | b' ')));
    let letter = spot.byte(end + gap).filter(u8::is_ascii_alphabetic)?;
    if edge::behind(spot.text, end + gap + 1) == Edge::Within {
        return None;
    }
    let (mut count, mut first) = (0, None);
    for group in spot.groups.iter().rev().take(GROUPS) {
        count += group.len();
        first = Some(group.start);
        if count >= 7 {
            break;
        }
    }
    let digits = first?..end;
    let (start, lead) = foreigner(spot, digits.start, count);
    if !matches!((count, lead), (7 | 8, None) | (7, Some(_))) {
        return None;
    }
    let bytes = spot.bytes().get(digits.clone())?;
    let number = bytes
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .fold(lead.unwrap_or(0), |sum, byte| {
            sum * 10 + u32::from(byte - b'0')
        });
    let right = LETTERS.get(number as usize % 23)?;
    if letter.to_ascii_uppercase() != *right {
        return None;
    }
    let range = start..end + gap + 1;
    let edge = edge::around(spot.text, &range);
    // With thousands apart by dots, or all in one. A date and a letter make a lot.
    let grouped = match bytes.len().checked_sub(count)? {
        0 => !edge::is_date(bytes),
        _ => bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || *byte == b'.'),
    };
    let upper = letter.is_ascii_uppercase()
        && spot
            .byte(start)
            .is_some_and(|byte| !byte.is_ascii_lowercase());
    let whole = count == 8 || lead.is_some();
    let usual = upper && whole && grouped && spot.byte(end) != Some(b' ') && edge <= Edge::Beside;
    (edge != Edge::Within && (usual || spot.is_about(Topic::EsDni))).then_some(range)
}

/// Where a number begins, and the digit that the letter before seven digits stands for.
fn foreigner(spot: &Spot<'_>, digits: usize, count: usize) -> (usize, Option<u32>) {
    if count != 7 {
        return (digits, None);
    }
    let gap = usize::from(matches!(spot.before(digits), Some(b'-' | b' ')));
    let lead = digits - gap;
    match spot.before(lead).map(|byte| byte.to_ascii_uppercase()) {
        Some(byte @ b'X'..=b'Z') if edge::before(spot.text, lead - 1) != Edge::Within => {
            (lead - 1, Some(u32::from(byte - b'X')))
        }
        _ => (digits, None),
    }
}
