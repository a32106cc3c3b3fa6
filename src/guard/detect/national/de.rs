//! German tax identifiers and the numbers of identity cards.

use std::ops::Range;

use super::super::edge::{self, Edge};
use super::super::{Spot, Topic, check};

/// A tax identifier: eleven digits, in groups of two, three, three and three, or in a context.
pub(crate) fn tax(spot: &Spot<'_>) -> Option<Range<usize>> {
    let mut about = None;
    for first in 0..spot.groups.len() {
        let groups = spot.groups.get(first..).unwrap_or_default();
        let mut count = 0;
        let last = groups.iter().position(|group| {
            count += group.len();
            count >= 11
        })?;
        let groups = groups.get(..=last).unwrap_or_default();
        if count != 11 || groups.len() > 5 || !is_tax(spot, groups) {
            continue;
        }
        let range = groups.first()?.start..groups.last()?.end;
        let edge = edge::around(spot.text, &range);
        let blanks = groups
            .iter()
            .zip(groups.iter().skip(1))
            .all(|(group, next)| edge::between(spot.bytes(), group.end, next.start) == Some(b' '));
        let usual =
            blanks && groups.iter().map(Range::len).eq([2, 3, 3, 3]) && edge <= Edge::Beside;
        let mut in_context = || *about.get_or_insert_with(|| spot.is_about(Topic::DeId));
        if edge != Edge::Within && (usual || in_context()) {
            return Some(range);
        }
    }
    None
}

/// Whether eleven digits have the check digit, and repeat just one of the others, once or twice.
fn is_tax(spot: &Spot<'_>, groups: &[Range<usize>]) -> bool {
    let mut digits = [0; 11];
    let bytes = groups
        .iter()
        .flat_map(|group| spot.bytes().get(group.clone()).unwrap_or_default());
    for (digit, byte) in digits.iter_mut().zip(bytes) {
        *digit = *byte;
    }
    if digits.first() == Some(&b'0') || !check::mod_11_10(&digits) {
        return false;
    }
    let (mut twice, mut thrice) = (0, 0);
    for digit in b'0'..=b'9' {
        match digits.iter().take(10).filter(|own| **own == digit).count() {
            0 | 1 => {}
            2 => twice += 1,
            3 => thrice += 1,
            _ => return false,
        }
    }
    (twice, thrice) == (1, 0) || (twice, thrice) == (0, 1)
}

/// The number of an identity card with its check digit and the D for German behind it, as it is
/// in the machine-readable lines; the spot ends with the check digit.
pub(crate) fn card(spot: &Spot<'_>) -> Option<Range<usize>> {
    let end = spot.at.end;
    let start = end.checked_sub(10)?;
    if spot.byte(end) != Some(b'D') || !is_checked(spot.bytes().get(start..end)?, 3) {
        return None;
    }
    let range = start..end + 1;
    // Of the old lines, fill characters come between the number and what follows.
    (edge::around(spot.text, &range) <= Edge::Beside).then_some(range)
}

/// The number of an identity card behind a word, or in a column, for it.
pub(crate) fn named(spot: &Spot<'_>) -> Option<Range<usize>> {
    let column = spot.topics.contains(Topic::DeId);
    let start = match column {
        true => spot.at.start,
        false => spot.at.end,
    };
    for word in edge::words(spot.text, start, 48) {
        let chars = spot.bytes().get(word.clone())?;
        let plain = chars.len() == 9 && is_card(chars, 3);
        let checked = matches!(chars.len(), 10 | 11)
            && chars.get(..10).is_some_and(|chars| is_checked(chars, 1))
            && chars.get(10).is_none_or(|byte| *byte == b'D');
        if (plain || checked) && edge::around(spot.text, &word) <= Edge::Beside {
            return Some(word);
        }
    }
    None
}

/// Whether nine characters may be the number of a card, of which so many are digits at least.
fn is_card(chars: &[u8], digits: usize) -> bool {
    let known = |byte: &u8| byte.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(byte);
    chars.first().is_some_and(u8::is_ascii_uppercase)
        && chars.iter().all(known)
        && chars.iter().filter(|byte| byte.is_ascii_digit()).count() >= digits
}

/// Whether ten characters are the number of a card and its check digit.
fn is_checked(chars: &[u8], digits: usize) -> bool {
    chars
        .split_last()
        .is_some_and(|(check, number)| is_card(number, digits) && check::travel(number, *check))
}
