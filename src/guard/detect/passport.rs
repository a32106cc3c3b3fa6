//! Passport numbers.

use std::ops::Range;

use super::edge::{self, Edge};
use super::{Probe, Spot, Topic, Trigger, check};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        detector: Detector::Passport,
        trigger: Trigger::Mark(&[
            "passport",
            "passeport",
            "pasaporte",
            "passaporto",
            "passnummer",
            "passnr",
            "pass-nr",
            "reisepass",
            "travel document",
        ]),
        find: named,
    },
    Probe {
        detector: Detector::Passport,
        trigger: Trigger::Column(Topic::Passport),
        find: column,
    },
    Probe {
        detector: Detector::Passport,
        trigger: Trigger::Digits(7, 7),
        find: machine_readable,
    },
];

/// How far from a word for it a number is looked for, behind it and before it.
const BEHIND: usize = 48;
const BEFORE: usize = 24;

/// How far a column's text is looked at.
const COLUMN: usize = 96;

/// Words of other things that have numbers. What stands behind one of them belongs to it.
const OTHERS: &[&str] = &[
    "order",
    "invoice",
    "sku",
    "item",
    "article",
    "product",
    "model",
    "ticket",
    "booking",
    "ref",
    "reference",
    "price",
    "fee",
    "cost",
    "phone",
    "tel",
    "mobile",
    "call",
    "fax",
    "cover",
    "holder",
    "case",
    "wallet",
    "zip",
    "postcode",
    "isbn",
    "ean",
    "flight",
    "bestellung",
    "rechnung",
    "commande",
    "facture",
    "pedido",
    "factura",
    "ordine",
    "fattura",
];

fn is_other(word: &str) -> bool {
    OTHERS.iter().any(|other| other.eq_ignore_ascii_case(word))
}

fn named(spot: &Spot<'_>) -> Option<Range<usize>> {
    edge::words(spot.text, spot.at.end, BEHIND)
        .take_while(|word| !is_other(spot.text.get(word.clone()).unwrap_or_default()))
        .find_map(|word| match is_number(spot, &word, 7) {
            true => Some(word),
            false => in_threes(spot, word.start),
        })
        .or_else(|| before(spot))
}

/// A number that a word for it follows. Digits alone could be anything there.
fn before(spot: &Spot<'_>) -> Option<Range<usize>> {
    let start = spot.at.start.saturating_sub(BEFORE);
    // Nothing that began before.
    let start = (start..spot.at.start).find(|at| {
        *at == 0
            || spot
                .before(*at)
                .is_some_and(|byte| !byte.is_ascii_alphanumeric() && byte < 0x80)
    })?;
    edge::words(spot.text, start, spot.at.start - start)
        .take_while(|word| !is_other(spot.text.get(word.clone()).unwrap_or_default()))
        .find(|word| word.end <= spot.at.start && is_number(spot, word, 10))
}

fn column(spot: &Spot<'_>) -> Option<Range<usize>> {
    edge::words(spot.text, spot.at.start, COLUMN)
        .find(|word| is_number(spot, word, 6))
        .or_else(|| in_threes(spot, spot.at.start))
}

/// Whether a word looks like a number: six to nine letters and digits, at least five of them
/// digits; so many if there are only digits.
fn is_number(spot: &Spot<'_>, word: &Range<usize>, bare: usize) -> bool {
    let chars = spot.bytes().get(word.clone()).unwrap_or_default();
    if !(6..=9).contains(&chars.len()) {
        return false;
    }
    let digits = chars.iter().filter(|byte| byte.is_ascii_digit()).count();
    let upper = chars
        .iter()
        .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
    let lower = spot.topics.contains(Topic::Passport) && chars.is_ascii();
    let enough = digits >= 5 && (digits < chars.len() || digits >= bare);
    let edge = edge::around(spot.text, word);
    enough && (upper || lower) && edge <= Edge::Beside && !edge::is_date(chars)
}

/// Three times three digits from a place on, with blanks between.
fn in_threes(spot: &Spot<'_>, start: usize) -> Option<Range<usize>> {
    let read = edge::read::<9>(spot.bytes(), start, 9, b" ")?;
    let range = start..read.end;
    let fits = read.chars.iter().all(u8::is_ascii_digit)
        && read.breaks == (1 << 3 | 1 << 6)
        && edge::around(spot.text, &range) == Edge::Free;
    fits.then_some(range)
}

/// The second machine-readable line of a passport: number, country, birth, sex, expiry and more,
/// most with a check digit. The spot is the birth.
fn machine_readable(spot: &Spot<'_>) -> Option<Range<usize>> {
    /// Where the birth stands in the line, and how long the line is.
    const BIRTH: usize = 13;
    const LINE: usize = 44;
    let sex = spot.byte(spot.at.end)?;
    if spot.at.len() != 7 || !matches!(sex, b'F' | b'M' | b'X' | b'<') {
        return None;
    }
    let start = spot.at.start.checked_sub(BIRTH)?;
    let line = spot.bytes().get(start..start + LINE)?;
    let right = |from: usize, to: usize| {
        line.get(from..to)
            .zip(line.get(to))
            .is_some_and(|(chars, check)| check::travel(chars, *check))
    };
    let range = start..start + LINE;
    let fits = right(0, 9)
        && right(13, 19)
        && right(21, 27)
        && line
            .get(10..13)?
            .iter()
            .all(|byte| byte.is_ascii_uppercase() || *byte == b'<')
        && edge::around(spot.text, &range) != Edge::Within;
    fits.then_some(range)
}
