//! Dates of birth.
//!
//! A date is one of birth by what stands before it or by the name of its column, never by itself.

use std::ops::Range;

use super::{Probe, Spot, Topic, Trigger};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        detector: Detector::DateOfBirth,
        trigger: Trigger::Mark(&[
            "dob",
            "d.o.b",
            "born",
            "birth",
            "bday",
            "geboren",
            "geburt",
            "geb.",
            "né le",
            "nÉ le",
            "née le",
            "né à",
            "née à",
            "nÉe le",
            "nee le",
            "naissance",
            "nacid",
            "nacimiento",
            "nato ",
            "nata ",
            "nascita",
            "nascid",
            "nasciment",
        ]),
        find: behind_word,
    },
    Probe {
        detector: Detector::DateOfBirth,
        trigger: Trigger::Column(Topic::Birth),
        find: whole,
    },
];

/// The years in which a person may be born whose data is still about somebody.
const YEARS: std::ops::RangeInclusive<u32> = 1900..=2049;

/// How far behind the word a date may begin.
const AHEAD: usize = 60;

/// Most characters of a date.
const LONGEST: usize = 40;

/// The words that may stand between, lower case; any with a capital may, such as names of places.
const BETWEEN: &[&str] = &[
    "a",
    "am",
    "and",
    "as",
    "certified",
    "date",
    "day",
    "dd",
    "de",
    "del",
    "den",
    "der",
    "des",
    "di",
    "du",
    "el",
    "en",
    "for",
    "given",
    "il",
    "im",
    "in",
    "is",
    "ist",
    "jjjj",
    "la",
    "le",
    "listed",
    "mm",
    "of",
    "on",
    "recorded",
    "tt",
    "the",
    "und",
    "was",
    "year",
    "yy",
    "yyyy",
    "à",
    "est",
    "es",
    "was",
    "value",
    "string",
    "datum",
];

/// How the names of the months begin, in English, German, French, Spanish, Italian and Portuguese.
const MONTHS: &[&str] = &[
    "jan", "jän", "ene", "gen", "feb", "fév", "fev", "mar", "mär", "maer", "apr", "avr", "abr",
    "may", "mai", "mag", "jun", "jui", "giu", "jul", "lug", "aug", "aoû", "aou", "ago", "sep",
    "set", "oct", "okt", "ott", "out", "nov", "dec", "dez", "déc", "dic",
];

fn whole(spot: &Spot<'_>) -> Option<Range<usize>> {
    let text = spot.text.get(spot.at.clone())?;
    let length = date(text)?;
    let rest = text.get(length..)?;
    let length = match is_time(rest) {
        true => text.len(),
        false => length,
    };
    Some(spot.at.start..spot.at.start + length)
}

/// Whether what follows a date is a time of day, such as that of a timestamp at midnight.
fn is_time(rest: &str) -> bool {
    let time = rest
        .strip_prefix('T')
        .or_else(|| rest.strip_prefix(' '))
        .is_some_and(|time| time.starts_with(|c: char| c.is_ascii_digit()));
    time && rest.len() <= LONGEST
        && rest
            .bytes()
            .all(|b| b.is_ascii_digit() || b" T:.,+-ZAPMUC".contains(&b))
}

fn behind_word(spot: &Spot<'_>) -> Option<Range<usize>> {
    if spot
        .before(spot.at.start)
        .is_some_and(|byte| byte.is_ascii_alphabetic())
        && !is_camel(spot)
    {
        return None;
    }
    forward(spot).or_else(|| backward(spot))
}

/// Whether the word begins inside another one with a capital, as in `dateOfBirth`.
fn is_camel(spot: &Spot<'_>) -> bool {
    let first = spot.byte(spot.at.start);
    let german = spot.text.get(spot.at.clone()) == Some("geburt");
    first.is_some_and(|byte| byte.is_ascii_uppercase()) && !german
}

fn forward(spot: &Spot<'_>) -> Option<Range<usize>> {
    let mut to = (spot.at.end + AHEAD + LONGEST).min(spot.text.len());
    while !spot.text.is_char_boundary(to) {
        to -= 1;
    }
    let ahead = spot.text.get(spot.at.end..to)?;
    // The rest of the word itself: `birthday`, `Geburtsdatum`, `nacido`.
    let mut at = ahead.len() - ahead.trim_start_matches(char::is_alphabetic).len();
    if at > 12 {
        return None;
    }
    while at < AHEAD {
        let rest = ahead.get(at..)?;
        let next = rest.chars().next()?;
        if !next.is_alphanumeric() {
            // A sentence or a line that ends, ends it.
            if matches!(next, '\n' | ';' | '?' | '!') && !rest.trim_start().starts_with(is_digit) {
                return None;
            }
            at += next.len_utf8();
            continue;
        }
        if let Some(length) = date(rest) {
            let start = spot.at.end + at;
            let apart = spot.before(start).is_none_or(|b| !b"-./+_$#@".contains(&b)) || at < 4;
            return apart.then_some(start..start + length);
        }
        if next.is_ascii_digit() {
            return None;
        }
        let end = rest
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(rest.len());
        let word = rest.get(..end)?;
        if !(next.is_uppercase() || BETWEEN.contains(&word)) {
            return None;
        }
        at += end;
    }
    None
}

/// `1980-02-03 (DOB)`.
fn backward(spot: &Spot<'_>) -> Option<Range<usize>> {
    let before = spot.text.get(..spot.at.start)?;
    let mut from = before.len().saturating_sub(LONGEST);
    while !before.is_char_boundary(from) {
        from += 1;
    }
    let near = before.get(from..)?;
    let near = near
        .strip_suffix('(')
        .or_else(|| near.strip_suffix("(date of "))?
        .trim_end();
    let end = from + near.len();
    let begins = |at: &usize| {
        let edge = near.get(..*at).and_then(|part| part.chars().next_back());
        edge.is_none_or(|c| c == ' ' || c == '(') && near.is_char_boundary(*at)
    };
    (0..near.len())
        .filter(begins)
        .find(|at| near.get(*at..).and_then(date) == Some(near.len() - at))
        .map(|at| from + at..end)
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

/// How long the date is that a text begins with.
fn date(text: &str) -> Option<usize> {
    let length = match text.starts_with(is_digit) {
        true => numbers(text).or_else(|| day_first(text)),
        false => month_first(text),
    }?;
    let next = text.get(length..)?.chars().next();
    let time = text
        .get(length..)
        .is_some_and(|rest| rest.starts_with('T') && is_time(rest));
    (time || next.is_none_or(|c| !c.is_alphanumeric())).then_some(length)
}

/// A number that a text begins with, its value and length, up to some digits.
fn number(text: &str, most: usize) -> Option<(u32, usize)> {
    let length = text.bytes().take_while(u8::is_ascii_digit).count();
    if length == 0 || length > most {
        return None;
    }
    Some((text.get(..length)?.parse().ok()?, length))
}

/// Dates of digits and separators.
fn numbers(text: &str) -> Option<usize> {
    let (first, length) = number(text, 8)?;
    if length == 8 {
        let (year, rest) = (first / 10000, first % 10000);
        let (day, month, late) = (first / 1_000_000, rest, first % 10000);
        let middle = first / 10000 % 100;
        let fits = is_day(year, rest / 100, rest % 100)
            || is_day(late, middle, day)
            || is_day(month, day, middle);
        return fits.then_some(8);
    }
    let mut at = length;
    let separator = text.get(at..)?.chars().next()?;
    if !matches!(separator, '-' | '/' | '.' | ' ') {
        return None;
    }
    let part = |at: usize, most: usize| {
        let rest = text.get(at..)?.strip_prefix(separator)?;
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        let (value, length) = number(rest.get(blanks..).filter(|_| blanks < 2)?, most)?;
        Some((value, length, at + 1 + blanks + length))
    };
    let (second, _, end) = part(at, 2)?;
    at = end;
    let (third, digits, end) = part(at, 4)?;
    let fits = match (length, digits) {
        (4, 1 | 2) => is_day(first, second, third),
        (1 | 2, 4) => is_day(third, second, first) || is_day(third, first, second),
        (1 | 2, 2) if separator != ' ' => {
            let year = 1900 + third;
            is_day(year, second, first) || is_day(year, first, second)
        }
        _ => false,
    };
    fits.then_some(end)
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    i32::try_from(year).is_ok_and(|y| chrono::NaiveDate::from_ymd_opt(y, month, day).is_some())
        && YEARS.contains(&year)
}

/// `3 February 1980`, `3rd of Feb. 1980`, `3. Februar 1980`, `3 de febrero de 1980`, `3-Feb-1980`.
fn day_first(text: &str) -> Option<usize> {
    let (day, length) = number(text, 2)?;
    let mut rest = text.get(length..)?;
    for ordinal in ["st", "nd", "rd", "th", "er", "º", "°"] {
        rest = rest.strip_prefix(ordinal).unwrap_or(rest);
    }
    rest = gap(rest)?;
    for small in ["of ", "de "] {
        rest = rest.strip_prefix(small).unwrap_or(rest);
    }
    rest = gap(month(rest)?)?;
    for small in ["of ", "de ", "del "] {
        rest = rest.strip_prefix(small).unwrap_or(rest);
    }
    let (year, length) = number(rest, 4)?;
    ((1..=31).contains(&day) && YEARS.contains(&year)).then_some(text.len() - rest.len() + length)
}

/// `February 3, 1980`.
fn month_first(text: &str) -> Option<usize> {
    let rest = gap(month(text)?)?;
    let (day, length) = number(rest, 2)?;
    let mut rest = rest.get(length..)?;
    for ordinal in ["st", "nd", "rd", "th"] {
        rest = rest.strip_prefix(ordinal).unwrap_or(rest);
    }
    let rest = gap(rest)?;
    let (year, length) = number(rest, 4)?;
    ((1..=31).contains(&day) && YEARS.contains(&year)).then_some(text.len() - rest.len() + length)
}

/// What follows a few marks or blanks between the parts of a date.
fn gap(text: &str) -> Option<&str> {
    let rest = text.trim_start_matches([' ', '.', ',', '-', '/']);
    (1..=2).contains(&(text.len() - rest.len())).then_some(rest)
}

/// What follows the name of a month.
fn month(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_alphabetic())?;
    let (name, rest) = text.split_at_checked(end)?;
    let known = |begin: &&str| {
        let mut chars = name.chars().flat_map(char::to_lowercase);
        begin.chars().all(|c| chars.next() == Some(c))
    };
    (name.len() <= 11 && MONTHS.iter().any(known)).then_some(rest)
}
