//! IP and MAC addresses.
//!
//! Addresses that tell of nobody are left: loopback, unspecified, broadcast, reserved, and of
//! IPv6 all that is neither global unicast nor local to a site or a link.

use core::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::edge::MANY;
use super::{Probe, Spot, Topic, Trigger};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        detector: Detector::IpAddress,
        trigger: Trigger::Digits(4, MANY),
        find: v4,
    },
    Probe {
        detector: Detector::IpAddress,
        trigger: Trigger::Colons,
        find: v6,
    },
    Probe {
        detector: Detector::MacAddress,
        trigger: Trigger::Pairs,
        find: mac,
    },
    Probe {
        detector: Detector::MacAddress,
        trigger: Trigger::Token(DOTTED),
        find: dotted_mac,
    },
];

/// Words before a number in four parts that make it no address.
const NUMBERED: [&str; 16] = [
    "v",
    "ver",
    "version",
    "versions",
    "release",
    "rev",
    "revision",
    "build",
    "firmware",
    "driver",
    "sdk",
    "section",
    "chapter",
    "clause",
    "kapitel",
    "abschnitt",
];

fn is_word(byte: Option<u8>) -> bool {
    byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn v4(spot: &Spot<'_>) -> Option<Range<usize>> {
    for (place, four) in spot.groups.windows(4).enumerate() {
        let [first, .., last] = four else { continue };
        let in_row = |from: &Range<usize>, to: &Range<usize>| {
            to.start - from.end == 1 && spot.byte(from.end) == Some(b'.')
        };
        if !four.windows(2).all(|two| match two {
            [from, to] => in_row(from, to),
            _ => false,
        }) {
            continue;
        }
        let before = place
            .checked_sub(1)
            .and_then(|place| spot.groups.get(place));
        let behind = spot.groups.get(place + 4);
        let longer = before.is_some_and(|before| in_row(before, first))
            || behind.is_some_and(|behind| in_row(last, behind));
        let range = first.start..last.end;
        if longer || range.len() > 15 {
            continue;
        }
        let Some(Ok(address)) = spot.text.get(range.clone()).map(str::parse::<Ipv4Addr>) else {
            continue;
        };
        if tells_of_someone(address) && stands_as_v4(spot, &range, address) {
            return Some(range);
        }
    }
    None
}

fn tells_of_someone(address: Ipv4Addr) -> bool {
    !matches!(address.octets(), [0 | 127 | 240..=255, ..])
}

/// Whether what is around an address lets it be one, and no version.
fn stands_as_v4(spot: &Spot<'_>, range: &Range<usize>, address: Ipv4Addr) -> bool {
    let before = spot.before(range.start);
    if is_word(before) || matches!(before, Some(b'.' | b'-' | b'$')) {
        return false;
    }
    let behind = (spot.byte(range.end), spot.byte(range.end + 1));
    let goes_on = match behind {
        (Some(b'-' | b'.' | b'+'), next) => next.is_some_and(|next| next.is_ascii_alphanumeric()),
        (next, _) => is_word(next),
    };
    if goes_on && !is_range(spot, range.end) {
        return false;
    }
    // `Name/1.2.3.4` is a product with its version.
    let product = before == Some(b'/')
        && spot
            .before(range.start - 1)
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
    // Versions count from low numbers on.
    let low = match address.octets() {
        [a, b, c, _] if a < 10 && b < 10 && c < 10 => true,
        [10, ..] => false,
        octets => octets.iter().all(|octet| *octet < 32),
    };
    let served = matches!(behind, (Some(b':' | b'/'), Some(b'0'..=b'9')));
    if product || low && !served {
        return spot.is_about(Topic::Network) && !is_numbered(spot, range.start);
    }
    !is_numbered(spot, range.start)
}

/// Whether another address follows behind a hyphen.
fn is_range(spot: &Spot<'_>, at: usize) -> bool {
    let rest = spot.bytes().get(at + 1..).unwrap_or_default();
    let dots = rest
        .iter()
        .take(15)
        .take_while(|byte| byte.is_ascii_digit() || **byte == b'.')
        .filter(|byte| **byte == b'.')
        .count();
    spot.byte(at) == Some(b'-') && dots == 3
}

/// Whether the word before a position is one of [`NUMBERED`].
fn is_numbered(spot: &Spot<'_>, start: usize) -> bool {
    let before = spot
        .bytes()
        .get(start.saturating_sub(24)..start)
        .unwrap_or_default();
    let Some(end) = before.iter().rposition(u8::is_ascii_alphanumeric) else {
        return false;
    };
    if before.len() - end > 4 {
        return false;
    }
    let word = before
        .get(..=end)
        .unwrap_or_default()
        .rsplit(|byte| !byte.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    NUMBERED
        .iter()
        .any(|numbered| word.eq_ignore_ascii_case(numbered.as_bytes()))
}

fn v6(spot: &Spot<'_>) -> Option<Range<usize>> {
    let colon = spot.at.start;
    let hex = |at: usize| spot.byte(at).is_some_and(|byte| byte.is_ascii_hexdigit());
    let mut start = colon;
    while start > 0 && colon - start < 5 && hex(start - 1) {
        start -= 1;
    }
    let joined = |at: usize| is_word(spot.before(at)) || matches!(spot.before(at), Some(b'.'));
    if colon - start > 4 || joined(start) {
        // A label stands before the address, such as `node:`.
        start = colon + 1;
    }
    let run = spot
        .bytes()
        .get(start..)?
        .iter()
        .take(46)
        .take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'))
        .count();
    if run > 45 {
        return None;
    }
    let mut end = start + run;
    while matches!(spot.before(end), Some(b'.')) {
        end -= 1;
    }
    if is_word(spot.byte(end)) {
        return None;
    }
    // A colon of the sentence, but not the second one of an open end.
    let text = spot.text.get(start..end)?;
    if text.ends_with(':') && !text.ends_with("::") {
        end -= 1;
    }
    let address: Ipv6Addr = spot.text.get(start..end)?.parse().ok()?;
    let known = match address.to_ipv4_mapped() {
        Some(address) => tells_of_someone(address),
        None => {
            let [first, rest @ ..] = address.segments();
            let unicast = first & 0xe000 == 0x2000;
            let local = first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80;
            (unicast || local) && rest.iter().any(|segment| *segment != 0)
        }
    };
    known.then_some(start..end)
}

/// How long six pairs with marks between them are.
const PAIRED: usize = 17;

fn mac(spot: &Spot<'_>) -> Option<Range<usize>> {
    let mark = spot.at.start;
    let separator = spot.byte(mark)?;
    let hex = |at: usize| spot.byte(at).is_some_and(|byte| byte.is_ascii_hexdigit());
    let pair_before = mark
        .checked_sub(2)
        .is_some_and(|start| hex(start) && hex(start + 1) && !is_word(spot.before(start)));
    // Else a label stands before the address, such as `mac:`.
    let start = match pair_before {
        true => mark - 2,
        false => mark + 1,
    };
    let end = start + PAIRED;
    let bytes: &[u8; PAIRED] = spot.bytes().get(start..end)?.try_into().ok()?;
    let mut value = 0_u64;
    let (mut decimal, mut clock) = (true, true);
    for (place, byte) in bytes.iter().enumerate() {
        if place % 3 == 2 {
            if *byte != separator {
                return None;
            }
            continue;
        }
        let digit = char::from(*byte).to_digit(16)?;
        decimal &= digit < 10;
        clock &= place % 3 == 1 || digit < 6;
        value = value << 4 | u64::from(digit);
    }
    let longer = match spot.byte(end) {
        Some(byte) if byte == separator => is_word(spot.byte(end + 1)),
        byte => is_word(byte),
    };
    let joined = pair_before && matches!(spot.before(start), Some(b'-' | b':' | b'.'));
    if longer || joined || !is_device(value) {
        return None;
    }
    // A date and a time, or numbers that someone drew.
    if separator == b'-' && decimal && clock && !spot.is_about(Topic::Network) {
        return None;
    }
    Some(start..end)
}

fn is_device(value: u64) -> bool {
    value != 0 && value != 0xffff_ffff_ffff
}

/// How long three fours with dots between them are.
const DOTTED: usize = 14;

/// `0011.22aa.bbcc`.
fn dotted_mac(spot: &Spot<'_>) -> Option<Range<usize>> {
    let end = spot.at.end;
    let token = spot.bytes().get(spot.at.clone())?;
    // A dot ends a sentence, and what is before `=` is the name.
    let end = end - usize::from(token.len() > DOTTED && token.ends_with(b"."));
    let start = end.checked_sub(DOTTED)?;
    if start > spot.at.start && spot.before(start) != Some(b'=') {
        return None;
    }
    let (mut value, mut digits) = (0_u64, 0);
    for (place, byte) in spot.bytes().get(start..end)?.iter().enumerate() {
        if matches!(place, 4 | 9) {
            if *byte != b'.' {
                return None;
            }
            continue;
        }
        let digit = char::from(*byte).to_digit(16)?;
        digits += usize::from(digit < 10);
        value = value << 4 | u64::from(digit);
    }
    let is_plain = (1..12).contains(&digits) || spot.is_about(Topic::Network);
    (is_device(value) && is_plain && !is_word(spot.byte(end))).then_some(start..end)
}
