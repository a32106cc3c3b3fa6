//! Medical record numbers and codes of diagnoses.

use std::ops::Range;

use super::edge::{self, Edge};
use super::{Probe, Spot, Topic, Trigger};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        detector: Detector::MedicalRecordNumber,
        trigger: Trigger::Mark(&[
            "mrn",
            "medical record",
            "medicalrecord",
            "health record",
            "hospital number",
            "chart number",
            "chart no",
            "patient id",
            "patient_id",
            "patient-id",
            "patientid",
            "patient no",
            "patient_no",
            "patient number",
            "patient_number",
            "patient #",
            "patientennummer",
            "patienten-id",
            "patientennr",
            "patientenakte",
            "numéro de patient",
            "dossier médical",
            "historia clínica",
            "cartella clinica",
        ]),
        find: record,
    },
    Probe {
        detector: Detector::MedicalRecordNumber,
        trigger: Trigger::Column(Topic::MedicalRecord),
        find: record_column,
    },
    Probe {
        detector: Detector::Icd10,
        trigger: Trigger::Mark(&[
            "icd",
            "cim-10",
            "cie-10",
            "diagnos",
            "diagnós",
            "dx:",
            "dx ",
            "dx=",
            "dx_",
            "cie10",
            "cim10",
            "disease code",
        ]),
        find: code,
    },
    Probe {
        detector: Detector::Icd10,
        trigger: Trigger::Column(Topic::Diagnosis),
        find: code_column,
    },
];

/// How far behind a word for it a number, or a code, is looked for.
const RECORD: usize = 32;
const CODE: usize = 64;

/// How far before a word for it a code is looked for.
const CODE_BEFORE: usize = 16;

/// How far a column's text is looked at.
const COLUMN: usize = 160;

/// Words, and ends of words, between the word for a code and a code.
const FILLERS: &[&str] = &[
    "10",
    "cm",
    "gm",
    "who",
    "code",
    "codes",
    "is",
    "e",
    "es",
    "ed",
    "en",
    "as",
    "with",
    "primary",
    "principal",
    "secondary",
    "main",
    "schlüssel",
    "iert",
    "tico",
];

fn is_filler(word: &str) -> bool {
    FILLERS
        .iter()
        .any(|filler| filler.eq_ignore_ascii_case(word))
}

/// Whether a word begins at a place: by what is before it, or by its capital in `patientMrn`.
fn begins(text: &str, at: usize) -> bool {
    let byte = |at: usize| text.as_bytes().get(at);
    let capital = byte(at).is_some_and(u8::is_ascii_uppercase)
        && at
            .checked_sub(1)
            .and_then(byte)
            .is_some_and(u8::is_ascii_lowercase);
    capital || edge::before(text, at) != Edge::Within
}

/// A number behind a word for it: what is first of the words with a digit in it.
fn record(spot: &Spot<'_>) -> Option<Range<usize>> {
    // More letters would be another word, but for the capital of `patientIdNumber`.
    let goes_on = spot
        .byte(spot.at.end)
        .is_some_and(|byte| byte.is_ascii_lowercase());
    if goes_on || !begins(spot.text, spot.at.start) {
        return None;
    }
    let word = edge::words(spot.text, spot.at.end, RECORD).find(|word| has_digit(spot, word))?;
    let start = with_prefix(spot, word.start, spot.at.end);
    number(spot, start)
}

/// A column's text that is a number, and nothing else. Free text says it in words, and those are
/// found by the other probe.
fn record_column(spot: &Spot<'_>) -> Option<Range<usize>> {
    number(spot, spot.at.start).filter(|range| range.end == spot.at.end)
}

fn has_digit(spot: &Spot<'_>, word: &Range<usize>) -> bool {
    spot.bytes()
        .get(word.clone())
        .is_some_and(|bytes| bytes.iter().any(u8::is_ascii_digit))
}

/// Where a number begins with the letters that a hyphen joins to it, not before a place.
fn with_prefix(spot: &Spot<'_>, start: usize, least: usize) -> usize {
    if spot.before(start) != Some(b'-') {
        return start;
    }
    let mut at = start - 1;
    while at > least
        && start - at < 6
        && spot
            .before(at)
            .is_some_and(|byte| byte.is_ascii_uppercase())
    {
        at -= 1;
    }
    let letters = start - 1 - at;
    match (1..=4).contains(&letters) && edge::before(spot.text, at) != Edge::Within {
        true => at,
        false => start,
    }
}

/// A number from a place on: at most four letters, and five to twelve digits that hyphens may
/// separate. No date, and no part of anything longer.
fn number(spot: &Spot<'_>, start: usize) -> Option<Range<usize>> {
    let rest = spot.bytes().get(start..)?;
    let letters = rest
        .iter()
        .take_while(|byte| byte.is_ascii_alphabetic())
        .count();
    let hyphen = usize::from(letters > 0 && rest.get(letters) == Some(&b'-'));
    let first = letters + hyphen;
    let (mut digits, mut hyphens, mut end) = (0, 0, first);
    while let Some(byte) = rest.get(end) {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'-' if rest.get(end + 1).is_some_and(u8::is_ascii_digit) => hyphens += 1,
            _ => break,
        }
        end += 1;
        if end > 24 {
            return None;
        }
    }
    let range = start..start + end;
    let bytes = rest.get(first..end)?;
    let day = match (bytes.len(), hyphens) {
        (8, 0) => letters == 0 && edge::is_date(bytes),
        (10, 2) => bytes.get(4) == bytes.get(7) || bytes.get(2) == bytes.get(5),
        _ => false,
    };
    let joined = edge::behind(spot.text, range.end) > Edge::Beside
        || edge::before(spot.text, range.start) == Edge::Within;
    let fits = letters <= 4 && (5..=12).contains(&digits) && !day && !joined;
    fits.then_some(range)
}

/// A code near a word for it. One without a dot must stand close.
fn code(spot: &Spot<'_>) -> Option<Range<usize>> {
    let close = |word: &Range<usize>| {
        let between = spot.text.get(spot.at.end..word.start).unwrap_or_default();
        // A number is that of the list of codes, as in ICD-10.
        between
            .split(|char: char| !char.is_alphanumeric())
            .all(|word| word.is_empty() || is_filler(word))
    };
    if !begins(spot.text, spot.at.start) {
        return None;
    }
    let behind = edge::words(spot.text, spot.at.end, CODE).find_map(|word| {
        let (range, dotted) = icd(spot, &word)?;
        (dotted || close(&word)).then_some(range)
    });
    behind.or_else(|| {
        let start = spot.at.start.saturating_sub(CODE_BEFORE);
        edge::words(spot.text, start, spot.at.start - start)
            .filter_map(|word| icd(spot, &word))
            .find(|(range, dotted)| *dotted && range.end <= spot.at.start)
            .map(|(range, _)| range)
    })
}

/// A code in a column: with a dot, or at the beginning, or in parentheses.
fn code_column(spot: &Spot<'_>) -> Option<Range<usize>> {
    edge::words(spot.text, spot.at.start, COLUMN).find_map(|word| {
        let (range, dotted) = icd(spot, &word)?;
        let stands = range.start == spot.at.start
            || matches!(
                spot.before(range.start),
                Some(b'(' | b'[' | b'"' | b',' | b';' | b'|')
            )
            || spot
                .text
                .get(..range.start)
                .is_some_and(|text| text.ends_with(", "));
        (dotted || stands).then_some(range)
    })
}

/// The code that a word begins, and whether it has a dot: a letter, a digit, a digit or one of
/// two letters; and up to four more letters and digits, behind a dot or right on.
fn icd(spot: &Spot<'_>, word: &Range<usize>) -> Option<(Range<usize>, bool)> {
    let upper = |byte: u8| match spot.topics.contains(Topic::Diagnosis) {
        true => byte.to_ascii_uppercase(),
        false => byte,
    };
    let chars = spot.bytes().get(word.clone())?;
    let [letter, digit, third, rest @ ..] = chars else {
        return None;
    };
    let more = |bytes: &[u8]| {
        bytes.len() <= 4
            && bytes
                .iter()
                .all(|byte| upper(*byte).is_ascii_uppercase() || byte.is_ascii_digit())
    };
    let category = upper(*letter).is_ascii_uppercase()
        && digit.is_ascii_digit()
        && (third.is_ascii_digit() || matches!(upper(*third), b'A' | b'B'));
    if !category || !more(rest) || edge::before(spot.text, word.start) > Edge::Beside {
        return None;
    }
    if !rest.is_empty() || spot.byte(word.end) != Some(b'.') {
        let whole = edge::behind(spot.text, word.end) <= Edge::Beside
            // A dot that ends a sentence, and the marks of the German edition.
            || (rest.is_empty() && spot.byte(word.end) == Some(b'-'));
        return whole.then(|| (word.clone(), false));
    }
    let tail = edge::words(spot.text, word.end + 1, 1).next();
    let Some(tail) = tail else {
        return Some((word.clone(), false));
    };
    let digits = spot.bytes().get(tail.clone())?;
    let fits = more(digits)
        && digits.iter().any(u8::is_ascii_digit)
        && edge::behind(spot.text, tail.end) != Edge::Within;
    fits.then_some((word.start..tail.end, true))
}
