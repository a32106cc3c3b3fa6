//! Italian tax codes.

use std::ops::Range;

use super::super::Spot;
use super::super::edge::{self, Edge};

/// Places where people set a blank.
const BREAKS: [u32; 5] = [3, 6, 8, 11, 15];

/// Six letters of the names, the year that the spot is, the letter of the month, the day, a
/// letter and three digits of the place, and the check letter. Where codes would be the same,
/// letters stand for digits, from the last digit on.
pub(crate) fn find(spot: &Spot<'_>) -> Option<Range<usize>> {
    let year = spot.at.start;
    if spot.at.len() != 2 || !is_letter_near(spot, year) {
        return None;
    }
    let mut start = year;
    let mut letters = 0;
    while letters < 6 {
        start = start.checked_sub(1)?;
        match spot.byte(start)? {
            byte if byte.is_ascii_alphabetic() => letters += 1,
            b' ' if letters == 0 || letters == 3 => {}
            _ => return None,
        }
    }
    let read = edge::read::<16>(spot.bytes(), start, 16, b" ")?;
    let range = start..read.end;
    let fits = is_code(&read.chars)
        && edge::only_at(read.breaks, &BREAKS)
        && edge::around(spot.text, &range) != Edge::Within;
    fits.then_some(range)
}

/// Whether a letter is before the year, and one of a month behind it, but for blanks.
fn is_letter_near(spot: &Spot<'_>, year: usize) -> bool {
    let before = match spot.before(year) {
        Some(b' ') => year.checked_sub(1).and_then(|at| spot.before(at)),
        byte => byte,
    };
    let behind = match spot.byte(year + 2) {
        Some(b' ') => spot.byte(year + 3),
        byte => byte,
    };
    before.is_some_and(|byte| byte.is_ascii_alphabetic())
        && behind.is_some_and(|byte| b"ABCDEHLMPRST".contains(&byte.to_ascii_uppercase()))
}

/// The digit of a place: itself, or the letter that stands for it.
fn digit(byte: u8) -> Option<u32> {
    let place = |byte| b"LMNPQRSTUV".iter().position(|letter| *letter == byte);
    match byte {
        b'0'..=b'9' => Some(u32::from(byte - b'0')),
        _ => u32::try_from(place(byte)?).ok(),
    }
}

fn is_code(chars: &[u8; 16]) -> bool {
    let letters = [0, 1, 2, 3, 4, 5, 8, 11, 15];
    let parts = chars
        .iter()
        .enumerate()
        .all(|(place, byte)| match letters.contains(&place) {
            true => byte.is_ascii_uppercase(),
            false => digit(*byte).is_some(),
        });
    let day = match (chars.get(9).copied(), chars.get(10).copied()) {
        (Some(tens), Some(ones)) => digit(tens)
            .zip(digit(ones))
            .map_or(0, |(tens, ones)| tens * 10 + ones),
        _ => 0,
    };
    let month = chars
        .get(8)
        .is_some_and(|byte| b"ABCDEHLMPRST".contains(byte));
    // Forty is added for women.
    parts && month && matches!(day, 1..=31 | 41..=71) && has_check_letter(chars)
}

fn has_check_letter(chars: &[u8; 16]) -> bool {
    /// What digits and letters count at odd places.
    const ODD: [u32; 26] = [
        1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24,
        23,
    ];
    let Some((check, rest)) = chars.split_last() else {
        return false;
    };
    let mut sum = 0;
    for (place, byte) in rest.iter().enumerate() {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => byte.saturating_sub(b'A'),
        };
        sum += match place % 2 {
            0 => ODD.get(usize::from(value)).copied().unwrap_or_default(),
            _ => u32::from(value),
        };
    }
    u32::from(check.saturating_sub(b'A')) == sum % 26
}
