//! French social security numbers.

use std::ops::Range;

use super::super::edge::{self, Edge};
use super::super::{Spot, Topic, check};

/// Places where people set a blank.
const BREAKS: [u32; 6] = [1, 3, 5, 7, 10, 13];

/// Thirteen characters and a key of two digits. All are digits but the A or the B of Corsica,
/// where a spot ends early.
pub(crate) fn find(spot: &Spot<'_>) -> Option<Range<usize>> {
    let corsica = matches!(spot.byte(spot.at.end), Some(b'A' | b'B' | b'a' | b'b'));
    if spot.digits() < 13 && !corsica {
        return None;
    }
    let mut about = None;
    for group in spot.groups {
        if !matches!(spot.byte(group.start), Some(b'1'..=b'4' | b'7' | b'8')) {
            continue;
        }
        let Some(read) = edge::read::<15>(spot.bytes(), group.start, 13, b" .-") else {
            continue;
        };
        let number = read.chars.get(..13).unwrap_or_default();
        if !is_plausible(number) {
            continue;
        }
        let mut in_context = || *about.get_or_insert_with(|| spot.is_about(Topic::FrNir));
        let whole = edge::read::<15>(spot.bytes(), group.start, 15, b" .-");
        if let Some(whole) = whole.filter(|whole| has_key(&whole.chars)) {
            let range = group.start..whole.end;
            let edge = edge::around(spot.text, &range);
            let usual = edge <= Edge::Beside
                && is_usual(whole.breaks)
                && matches!(number.first(), Some(b'1' | b'2'));
            if edge != Edge::Within && (usual || in_context()) {
                return Some(range);
            }
        }
        let range = group.start..read.end;
        if edge::only_at(read.breaks, &BREAKS)
            && edge::around(spot.text, &range) <= Edge::Beside
            && in_context()
        {
            return Some(range);
        }
    }
    None
}

/// Whether people set blanks so: a single one only before the key, else it would be a fraction.
fn is_usual(breaks: u64) -> bool {
    edge::only_at(breaks, &BREAKS) && (breaks.count_ones() != 1 || breaks == 1 << 13)
}

/// Whether month and department are some: months from 20 on stand for unknown ones.
fn is_plausible(number: &[u8]) -> bool {
    let two = |at: usize| match number.get(at..at + 2)? {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((tens - b'0') * 10 + ones - b'0'),
        _ => None,
    };
    let month = matches!(two(3), Some(1..=12 | 20..=42 | 50..=99));
    let department = match number.get(5..7) {
        Some(b"2A" | b"2B") => true,
        _ => matches!(two(5), Some(1..=99)),
    };
    let digits = |mut part: std::ops::Range<usize>| {
        part.all(|at| number.get(at).is_some_and(u8::is_ascii_digit))
    };
    month && department && digits(0..3) && digits(7..13)
}

/// Whether the last two of fifteen characters are the key of the others. Corsica counts as the
/// departments 19 and 18.
fn has_key(chars: &[u8; 15]) -> bool {
    let Some((number, key)) = chars.split_last_chunk::<2>() else {
        return false;
    };
    let mut rest = 0;
    for (place, byte) in number.iter().enumerate() {
        let digit = match (place, byte) {
            (5, b'2') if number.get(6).is_some_and(u8::is_ascii_alphabetic) => 1,
            (6, b'A') => 9,
            (6, b'B') => 8,
            _ => u32::from(byte.saturating_sub(b'0')),
        };
        rest = (rest * 10 + digit) % 97;
    }
    key.iter().all(u8::is_ascii_digit) && check::mod_97(key) == (97 - rest) % 97
}
