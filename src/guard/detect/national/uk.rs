//! National insurance numbers of the United Kingdom.

use std::ops::Range;

use super::super::edge::{self, Edge};
use super::super::{Spot, Topic};

/// Two letters, six digits that the spot is, and a letter from A to D.
pub(crate) fn find(spot: &Spot<'_>) -> Option<Range<usize>> {
    let first = spot.groups.first()?;
    let paired = spot.groups.len() == 3 && spot.groups.iter().all(|group| group.len() == 2);
    if first.len() != 6 && !paired {
        return None;
    }
    // One and the same separator, if any.
    let separator = match paired {
        true => Some(spot.byte(first.end)?),
        false => None,
    };
    let alike = |byte: u8| matches!(byte, b' ' | b'-') && separator.is_none_or(|own| own == byte);
    let separated = spot
        .groups
        .iter()
        .zip(spot.groups.iter().skip(1))
        .all(|(group, next)| {
            next.start == group.end + 1 && spot.byte(group.end).is_some_and(alike)
        });
    if !separated {
        return None;
    }
    let mut start = spot.at.start;
    if spot.before(start).is_some_and(alike) {
        start = start.checked_sub(1)?;
    }
    start = start.checked_sub(2)?;
    let prefix = [spot.byte(start)?, spot.byte(start + 1)?];
    if !is_allocated(prefix.map(|byte| byte.to_ascii_uppercase()))
        || edge::before(spot.text, start) == Edge::Within
    {
        return None;
    }
    let gap = usize::from(spot.byte(spot.at.end).is_some_and(alike));
    let suffix = spot.at.end + gap;
    let is_suffix = spot
        .byte(suffix)
        .is_some_and(|byte| matches!(byte.to_ascii_uppercase(), b'A'..=b'D'));
    let (end, whole) = match is_suffix && edge::behind(spot.text, suffix + 1) != Edge::Within {
        true => (suffix + 1, true),
        false => (spot.at.end, false),
    };
    let range = start..end;
    let edge = edge::around(spot.text, &range);
    let upper = !spot
        .bytes()
        .get(range.clone())?
        .iter()
        .any(u8::is_ascii_lowercase);
    let distinct = whole && upper && edge <= Edge::Beside;
    (edge != Edge::Within && (distinct || spot.is_about(Topic::UkNino))).then_some(range)
}

/// Whether numbers begin so.
fn is_allocated(prefix: [u8; 2]) -> bool {
    let [first, second] = prefix;
    first.is_ascii_uppercase()
        && second.is_ascii_uppercase()
        && !b"DFIQUV".contains(&first)
        && !b"DFIOQUV".contains(&second)
        && !matches!(
            &prefix,
            b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ"
        )
}
