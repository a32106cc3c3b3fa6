//! International bank account numbers.

use std::ops::Range;

use super::edge::{self, Edge, MANY};
use super::{Probe, Spot, Topic, Trigger, check};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[Probe {
    detector: Detector::Iban,
    trigger: Trigger::Digits(2, MANY),
    find,
}];

/// Places that separators have in front of them where people write a number in groups of four,
/// and the one behind the country.
const BREAKS: [u32; 9] = [2, 4, 8, 12, 16, 20, 24, 28, 32];

/// The digits that a spot begins with are the check digits: two letters stand before them.
fn find(spot: &Spot<'_>) -> Option<Range<usize>> {
    let digits = spot.at.start;
    let mut start = digits.checked_sub(2)?;
    if spot.byte(start + 1) == Some(b' ') {
        start = start.checked_sub(1)?;
    }
    let country = [spot.byte(start)?, spot.byte(start + 1)?];
    let length = length(country.map(|byte| byte.to_ascii_uppercase()))?;
    if edge::before(spot.text, start) == Edge::Within {
        return None;
    }
    let read = edge::read::<34>(spot.bytes(), start, length, b" -.")?;
    let chars = read.chars.get(..length)?;
    let (front, account) = chars.split_at_checked(4)?;
    if !front.iter().skip(2).all(u8::is_ascii_digit)
        || check::mod_97(account.iter().chain(front)) != 1
        || edge::behind(spot.text, read.end) == Edge::Within
    {
        return None;
    }
    // A blank behind two small letters is that behind a word of the text.
    let apart = read.breaks & 1 << 2 != 0 && country.iter().any(u8::is_ascii_lowercase);
    // The groups of an UUID are longer at first.
    let first = read.breaks == 0 || read.breaks & 1 << 4 != 0;
    let usual = edge::only_at(read.breaks, &BREAKS) && first && !apart;
    (usual || spot.is_about(Topic::BankAccount)).then_some(start..read.end)
}

/// How many characters the numbers of a country have.
fn length(country: [u8; 2]) -> Option<usize> {
    Some(match &country {
        b"NO" => 15,
        b"BE" => 16,
        b"DK" | b"FI" | b"FK" | b"FO" | b"GL" | b"NL" | b"SD" => 18,
        b"MK" | b"SI" => 19,
        b"AT" | b"BA" | b"EE" | b"KZ" | b"LT" | b"LU" | b"MN" | b"XK" => 20,
        b"CH" | b"HR" | b"LI" | b"LV" => 21,
        b"BG" | b"BH" | b"CR" | b"DE" | b"GB" | b"GE" | b"IE" | b"ME" | b"RS" | b"VA" => 22,
        b"AE" | b"GI" | b"IL" | b"IQ" | b"OM" | b"SO" | b"TL" => 23,
        b"AD" | b"CZ" | b"ES" | b"MD" | b"PK" | b"RO" | b"SA" | b"SE" | b"SK" | b"TN" | b"VG" => 24,
        b"AO" | b"CV" | b"GW" | b"LY" | b"MZ" | b"PT" | b"ST" => 25,
        b"DZ" | b"IR" | b"IS" | b"TR" => 26,
        b"BI" | b"CF" | b"CG" | b"CM" | b"DJ" | b"FR" | b"GA" | b"GQ" | b"GR" | b"IT" | b"KM"
        | b"MC" | b"MG" | b"MR" | b"SM" | b"TD" => 27,
        b"AL" | b"AZ" | b"BF" | b"BJ" | b"BY" | b"CI" | b"CY" | b"DO" | b"GT" | b"HN" | b"HU"
        | b"LB" | b"MA" | b"ML" | b"NE" | b"NI" | b"PL" | b"SN" | b"SV" | b"TG" => 28,
        b"BR" | b"EG" | b"PS" | b"QA" | b"UA" => 29,
        b"JO" | b"KW" | b"MU" | b"YE" => 30,
        b"MT" | b"SC" => 31,
        b"LC" => 32,
        b"RU" => 33,
        _ => return None,
    })
}
