//! Payment card numbers.

use std::ops::Range;

use super::edge::{self, Edge, MANY};
use super::{Probe, Spot, Topic, Trigger, check};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[Probe {
    detector: Detector::PaymentCard,
    trigger: Trigger::Digits(12, MANY),
    find,
}];

/// The longest number, in digits, and the most groups it is written in.
const LONGEST: usize = 19;
const GROUPS: usize = 7;

fn find(spot: &Spot<'_>) -> Option<Range<usize>> {
    let mut about = None;
    for first in 0..spot.groups.len() {
        let groups = spot.groups.get(first..).unwrap_or_default();
        let leads = groups.first().and_then(|group| spot.byte(group.start));
        if !matches!(leads, Some(b'2'..=b'6' | b'8' | b'9')) {
            continue;
        }
        let mut digits = 0;
        for (last, group) in groups.iter().enumerate().take(GROUPS) {
            digits += group.len();
            if digits > LONGEST {
                break;
            }
            if digits < 12 {
                continue;
            }
            let groups = groups.get(..=last).unwrap_or_default();
            if let Some(range) = number(spot, groups, digits, &mut about) {
                return Some(range);
            }
        }
    }
    None
}

/// Whether groups of so many digits are one number.
fn number(
    spot: &Spot<'_>,
    groups: &[Range<usize>],
    count: usize,
    about: &mut Option<bool>,
) -> Option<Range<usize>> {
    let range = groups.first()?.start..groups.last()?.end;
    let mut digits = [0; LONGEST];
    let bytes = groups
        .iter()
        .flat_map(|group| spot.bytes().get(group.clone()).unwrap_or_default());
    for (digit, byte) in digits.iter_mut().zip(bytes) {
        *digit = byte.saturating_sub(b'0');
    }
    let digits = digits.get(..count)?;
    let issuer = issuer(digits)?;
    let same = digits.iter().all(|digit| Some(digit) == digits.first());
    if same || !check::luhn(digits) {
        return None;
    }
    let separated = separated(spot, groups)?;
    let edge = edges(spot, &range);
    if edge == Edge::Within {
        return None;
    }
    let usual = issuer == Issuer::Distinct && separated && is_usual(groups, count);
    // What is a number of an article as well is a card's only where the column says so.
    let article = groups.len() == 1 && matches!(count, 12..=14) && check::gtin(digits);
    if article && !spot.topics.contains(Topic::Card) {
        return None;
    }
    let mut in_context = || *about.get_or_insert_with(|| spot.is_about(Topic::Card));
    ((usual && edge <= Edge::Beside) || in_context()).then_some(range)
}

/// Whether one and the same separator is between all groups. `None` if one of them is none that
/// card numbers have.
fn separated(spot: &Spot<'_>, groups: &[Range<usize>]) -> Option<bool> {
    let mut one = true;
    let mut last = None;
    for (group, next) in groups.iter().zip(groups.iter().skip(1)) {
        let (own, length) = edge::separator(spot.bytes(), group.end)?;
        let single = group.end + length == next.start;
        let again = match single {
            true => Some(own),
            false => edge::between(spot.bytes(), group.end + length, next.start),
        };
        if !b" .-".contains(&own) || !again.is_some_and(|again| b" .-".contains(&again)) {
            return None;
        }
        one &= single && last.is_none_or(|last| last == own);
        last = Some(own);
    }
    Some(one)
}

/// How the number stands in the text. A month may follow it, and the tracks of magnetic stripes
/// have a letter before it.
fn edges(spot: &Spot<'_>, range: &Range<usize>) -> Edge {
    let back = |distance: usize| spot.byte(range.start.checked_sub(distance)?);
    let (next, beyond) = (spot.byte(range.end), spot.byte(range.end + 1));
    let track = next == Some(b'^') && back(1) == Some(b'B');
    // A fraction, as it is written on the continent. More digits, or a separator before them,
    // would be a row of a table.
    let fraction = back(1) == Some(b',')
        && back(2) == Some(b'0')
        && !back(3).is_some_and(|byte| byte.is_ascii_digit() || b",\t;([{".contains(&byte));
    let before = match (track, fraction) {
        (true, _) => Edge::Free,
        (_, true) => Edge::Within,
        _ => edge::before(spot.text, range.start),
    };
    let month = next == Some(b'/') && matches!(beyond, Some(b'0' | b'1'));
    match month {
        true => before,
        false => before.max(edge::behind(spot.text, range.end)),
    }
}

/// Whether numbers of a length are written so. What a bare run of other lengths is, such as an
/// EAN or a time, only the context can tell.
fn is_usual(groups: &[Range<usize>], count: usize) -> bool {
    let lengths: &[usize] = match (count, groups.len()) {
        (15 | 16, 1) => return true,
        (13, 4) => &[4, 3, 3, 3],
        (14, 3) => &[4, 6, 4],
        (15, 3) => &[4, 6, 5],
        (16, 4) => &[4, 4, 4, 4],
        (19, 5) => &[4, 4, 4, 4, 3],
        (19, 2) => &[6, 13],
        _ => return false,
    };
    groups.iter().map(Range::len).eq(lengths.iter().copied())
}

/// How much the range of an issuer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Issuer {
    /// Enough.
    Distinct,
    /// Too little without a context.
    Wide,
}

/// The issuer of some digits, by the ranges and the lengths that are known.
fn issuer(digits: &[u8]) -> Option<Issuer> {
    let lead = digits.first_chunk::<4>()?;
    let lead = lead
        .iter()
        .fold(0, |sum, digit| sum * 10 + u32::from(*digit));
    let distinct = match (lead, digits.len()) {
        // Visa.
        (4000..=4999, 13 | 16 | 19) => true,
        // Mastercard.
        (5100..=5599 | 2221..=2720, 16) => true,
        // Mir.
        (2200..=2204, 16) => true,
        // American Express.
        (3400..=3499 | 3700..=3799, 15) => true,
        // Diners Club.
        (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 14) => true,
        (3000..=3059 | 3095 | 3600..=3699 | 3800..=3999, 16..=19) => false,
        // JCB.
        (3528..=3589, 16 | 19) => true,
        // Discover.
        (6011 | 6440..=6499 | 6500..=6599, 16 | 19) => true,
        // UnionPay.
        (6200..=6299, 16 | 19) => true,
        (6200..=6299 | 8100..=8199, 16..=19) => false,
        // Dankort, Verve, Hipercard and Troy.
        (5019 | 5060..=5061 | 6062 | 9792, 16) => true,
        // Maestro, and RuPay among it.
        (5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763, 16 | 19) => true,
        (5000..=5099 | 5600..=5899 | 6304 | 6390 | 6759..=6763, 12..=19) => false,
        // RuPay.
        (6000..=6099 | 8200..=8299, 16) => false,
        _ => return None,
    };
    Some(match distinct {
        true => Issuer::Distinct,
        false => Issuer::Wide,
    })
}
