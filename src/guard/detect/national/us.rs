//! Social security numbers of the United States.

use std::ops::Range;

use super::super::edge::{self, Edge};
use super::super::{Spot, Topic};

/// Three, two and four digits, or nine of them where something says what they are.
pub(crate) fn find(spot: &Spot<'_>) -> Option<Range<usize>> {
    let mut about = None;
    let mut in_context = || *about.get_or_insert_with(|| spot.is_about(Topic::UsSsn));
    for parts in spot.groups.windows(3) {
        let [area, group, serial] = parts else {
            continue;
        };
        if (area.len(), group.len(), serial.len()) != (3, 2, 4) {
            continue;
        }
        let range = area.start..serial.end;
        let Some(separator) = edge::between(spot.bytes(), area.end, group.start)
            .filter(|own| edge::between(spot.bytes(), group.end, serial.start) == Some(*own))
        else {
            continue;
        };
        let number = |part: &Range<usize>| spot.bytes().get(part.clone());
        let issued = match (number(area), number(group), number(serial)) {
            (Some(area), Some(group), Some(serial)) => is_issued(area, group, serial),
            _ => false,
        };
        if !issued {
            continue;
        }
        let edge = edge::around(spot.text, &range);
        let usual = match separator {
            b'-' => edge <= Edge::Beside,
            // So are some telephone numbers.
            b' ' => edge == Edge::Free && !spot.is_about(Topic::Phone),
            _ => false,
        };
        if edge != Edge::Within && (usual || in_context()) {
            return Some(range);
        }
    }
    for bare in spot.groups.iter().filter(|group| group.len() == 9) {
        let digits = spot.bytes().get(bare.clone())?;
        let (area, rest) = digits.split_at_checked(3)?;
        let (group, serial) = rest.split_at_checked(2)?;
        if is_issued(area, group, serial)
            && edge::around(spot.text, bare) < Edge::Within
            && in_context()
        {
            return Some(bare.clone());
        }
    }
    None
}

fn is_issued(area: &[u8], group: &[u8], serial: &[u8]) -> bool {
    !(matches!(area, b"000" | b"666") || area.starts_with(b"9"))
        && group != b"00"
        && serial != b"0000"
}
