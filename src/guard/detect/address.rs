//! Postal addresses.
//!
//! A house number with the name of a street before or behind it, in the ways of several countries;
//! and in a column about addresses anything that can be one.

use std::ops::Range;

use super::{Probe, Spot, Topic, Trigger};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[
    Probe {
        detector: Detector::PostalAddress,
        trigger: Trigger::Digits(1, 12),
        find: beside_number,
    },
    Probe {
        detector: Detector::PostalAddress,
        trigger: Trigger::Column(Topic::Address),
        find: whole,
    },
];

/// Words behind the name of a street that hardly mean anything else.
const STREETS: &[&str] = &[
    "street",
    "avenue",
    "road",
    "boulevard",
    "drive",
    "lane",
    "parkway",
    "highway",
    "crescent",
    "terrace",
    "st",
    "ave",
    "rd",
    "blvd",
    "dr",
    "ln",
    "pkwy",
    "hwy",
];

/// Words behind the name of a street that mean other things as well.
const WAYS: &[&str] = &[
    "way", "court", "place", "square", "close", "gardens", "grove", "circle", "trail", "loop",
    "row", "walk", "mews", "plaza", "alley", "hill", "ct", "pl", "sq", "cir",
];

/// Words between a house number and the name of a street.
const RUES: &[&str] = &[
    "rue",
    "avenue",
    "boulevard",
    "bd",
    "allée",
    "allee",
    "chemin",
    "impasse",
    "quai",
];

/// The same, of words that mean other things as well.
const PLACES: &[&str] = &["place", "route", "cours", "square", "passage"];

/// Words before the name of a street whose number stands last.
const VIE: &[&str] = &[
    "via", "viale", "piazza", "piazzale", "corso", "calle", "c/", "avenida", "av.", "avda.",
    "plaza", "paseo", "carrera", "rua", "praça", "travessa", "alameda", "ul.", "ulica",
];

/// How words end that are the name of a street whose number stands last.
const ENDINGS: &[&str] = &[
    "straße", "strasse", "str.", "weg", "platz", "gasse", "allee", "damm", "ufer", "chaussee",
    "straat", "gracht", "laan", "gatan", "vägen", "veien", "vej", "gade", "katu",
];

/// Such words by themselves, with an adjective before them.
const APART: &[&str] = &[
    "straße", "strasse", "str.", "weg", "allee", "gasse", "damm", "chaussee",
];

/// Words before the number of a box.
const BOXES: &[&str] = &["postfach", "postbus", "apartado", "boîte", "boite"];

/// Small words within the names of streets.
const PARTICLES: &[&str] = &[
    "de", "la", "le", "les", "du", "des", "del", "della", "delle", "degli", "dei", "da", "do",
    "dos", "das", "di", "e", "y", "et", "the", "of", "von", "van", "der",
];

const DIRECTIONS: &[&str] = &[
    "n", "s", "e", "w", "ne", "nw", "se", "sw", "north", "south", "east", "west",
];

/// Words before `drive` of those that are no street.
const DRIVES: &[&str] = &[
    "hard", "flash", "state", "disk", "tape", "usb", "dc", "wheel", "hour", "test", "pen", "thumb",
    "optical", "backup", "dvd", "cd",
];

/// How far words are looked at on either side of a number.
const AROUND: usize = 80;

/// Most words of the name of a street.
const MOST: usize = 6;

fn beside_number(spot: &Spot<'_>) -> Option<Range<usize>> {
    let first = spot.groups.first()?;
    if let Some(found) = number_last(spot, first) {
        return Some(found);
    }
    let (last, rest) = spot.groups.split_last()?;
    if let Some(found) = number_first(spot, last) {
        return Some(found);
    }
    // The second number may be the name of a street: `350 5th Avenue`.
    let house = rest.last().filter(|house| house.end + 1 == last.start)?;
    number_first(spot, house)
}

/// `Via Roma 12`, `Hauptstr. 5`, `PO Box 12`.
fn number_last(spot: &Spot<'_>, number: &Range<usize>) -> Option<Range<usize>> {
    if number.len() > 5 || !matches!(spot.before(number.start), Some(b' ' | b'.')) {
        return None;
    }
    let mut from = number.start.saturating_sub(AROUND);
    while !spot.text.is_char_boundary(from) {
        from += 1;
    }
    let before = spot.text.get(from..number.start)?;
    let line = before.rsplit('\n').next()?;
    let line = line.trim_end_matches([' ', ',']);
    let start = number.start - before.len() + (before.rfind('\n').map_or(0, |at| at + 1));
    let mut names = 0;
    let mut behind: Option<&str> = None;
    let mut rest = line;
    for place in 0..=MOST {
        let word_at = rest.rfind(' ').map_or(0, |at| at + 1);
        let written = rest.get(word_at..)?;
        // Cut off by the distance, it is not the whole word.
        let cut = word_at == 0 && start == from && from > 0;
        let word = written.trim_start_matches(|c: char| !c.is_alphanumeric());
        if word.is_empty() || cut {
            return None;
        }
        let begin = start + word_at + (written.len() - word.len());
        let opened = word.len() < written.len();
        let name = is_name(word);
        if place == 0 {
            if name && ENDINGS.iter().any(|ending| ends_a_street(word, ending)) {
                return Some(begin..number_end(spot, number)?);
            }
            if is_one_of(word, BOXES) && name {
                return Some(begin..spot.at.end);
            }
        }
        if let Some(street) = behind {
            if place == 1 && street.eq_ignore_ascii_case("box") {
                let post = ["PO", "P.O.", "P.O", "Po", "Postal", "Post", "po", "p.o."];
                return post.contains(&word).then_some(begin..number.end);
            }
            if place == 1 && is_one_of(street, APART) && name && !word.ends_with('.') {
                return Some(begin..number_end(spot, number)?);
            }
            if place == 1 && street == "Platz" && word.ends_with("er") && name {
                return Some(begin..number_end(spot, number)?);
            }
        }
        if names > 0 && is_one_of(word, VIE) && (name || word == "ul.") {
            return Some(begin..number_end(spot, number)?);
        }
        let particle = PARTICLES.contains(&word) && place > 0;
        let post_box = place == 0 && word == "box";
        if opened || !(name || particle || post_box) {
            return None;
        }
        names += usize::from(name);
        behind = Some(word);
        rest = rest.get(..word_at)?.trim_end_matches(' ');
    }
    None
}

/// Where a number that stands last ends, with the letter behind it; `None` where it goes on as
/// something else.
fn number_end(spot: &Spot<'_>, number: &Range<usize>) -> Option<usize> {
    let rest = spot.text.get(number.end..)?;
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    if letters > 2 {
        return None;
    }
    let mut chars = rest.get(letters..)?.chars();
    match chars.next() {
        Some('%' | '€' | '$' | '°' | '_' | '@') => None,
        Some('.' | ',' | ':') if chars.next().is_some_and(|c| c.is_ascii_digit()) => None,
        Some(c) if c.is_alphanumeric() => None,
        _ => Some(number.end + letters),
    }
}

fn ends_a_street(word: &str, ending: &str) -> bool {
    let Some(stem) = word.len().checked_sub(ending.len()) else {
        return false;
    };
    let tail = word.as_bytes().get(stem..).unwrap_or_default();
    stem >= 3 && tail.eq_ignore_ascii_case(ending.as_bytes())
}

/// `221B Baker Street`, `12 rue de la Paix`.
fn number_first(spot: &Spot<'_>, number: &Range<usize>) -> Option<Range<usize>> {
    if number.len() > 5 {
        return None;
    }
    let (start, mut at) = (number.start, number.end);
    if spot.byte(start) == Some(b'0') {
        return None;
    }
    // Of `12-14` the first is the house, too, and `2026-11-22` is none.
    let start = match spot.before(start) {
        Some(b'-') => {
            let other = spot.groups.iter().find(|group| group.end + 1 == start)?;
            let whole = matches!(spot.before(other.start), None | Some(b' ' | b'\n' | b','));
            (whole && other.len() <= 5).then_some(other.start)?
        }
        _ => start,
    };
    if spot.byte(at).is_some_and(|byte| byte.is_ascii_alphabetic()) {
        at += 1;
    }
    if spot.byte(at) == Some(b',') {
        at += 1;
    }
    if spot.byte(at) == Some(b' ') {
        at += 1;
    } else if spot.before(at) != Some(b',') {
        return None;
    }
    let rest = spot.text.get(at..)?;
    if rest.starts_with("bis ") || rest.starts_with("ter ") {
        at += 4;
    }
    let previous = spot.text.get(..start)?.chars().next_back();
    if previous.is_some_and(|c| c.is_alphanumeric() || "$€£./_+@=%:".contains(c)) {
        return None;
    }
    let mut to = (at + AROUND).min(spot.text.len());
    while !spot.text.is_char_boundary(to) {
        to -= 1;
    }
    let ahead = spot.text.get(at..to)?.lines().next()?;
    let first = ahead.chars().next()?;
    let word = ahead.split(' ').next()?;
    let plain = first.is_lowercase() && (is_one_of(word, RUES) || is_one_of(word, PLACES));
    if !(first.is_uppercase() || first.is_ascii_digit() || plain) {
        return None;
    }
    if is_like_year(spot, number) {
        return None;
    }
    let comma = spot.text.get(..at)?.trim_end().ends_with(',');
    let end = at + street(ahead, comma)?;
    Some(start..end)
}

/// Whether a number is rather a year that a sentence speaks of.
fn is_like_year(spot: &Spot<'_>, number: &Range<usize>) -> bool {
    let year = spot.text.get(number.clone());
    if number.len() != 4 || !year.is_some_and(|y| y.starts_with("19") || y.starts_with("20")) {
        return false;
    }
    let before = spot.text.get(..number.start).unwrap_or_default();
    let word = before.trim_end_matches(' ');
    let speaks = word.ends_with(|c: char| c.is_alphabetic());
    speaks && !word.ends_with(" at") && before.ends_with(' ')
}

/// How long the street is that a text begins with, behind a number and perhaps a comma.
fn street(ahead: &str, comma: bool) -> Option<usize> {
    let (mut names, mut numeric, mut at) = (0, false, 0);
    let mut previous = "";
    for _ in 0..MOST {
        let written = ahead.get(at..)?.split(' ').next()?;
        let word = written.trim_end_matches(|c: char| !c.is_alphanumeric());
        if word.is_empty() {
            return None;
        }
        let end = at + word.len();
        let stops = written
            .get(word.len()..)
            .is_some_and(|marks| !matches!(marks, "" | "."));
        if names == 0 {
            let sure = is_one_of(word, RUES);
            let french = comma || word.starts_with(char::is_lowercase);
            if (sure || (french && is_one_of(word, PLACES)))
                && let Some(length) = named_behind(ahead, end, sure)
            {
                return Some(length);
            }
        } else if is_name(word) {
            let sure = is_one_of(word, STREETS);
            if sure || is_one_of(word, WAYS) {
                let (end, directed) = direction(ahead, end);
                let loud = word.len() > 3 && !word.chars().any(char::is_lowercase);
                let closed = directed || closes(ahead.get(end..)?);
                // A word that means other things, too, must be the last one.
                let fits = closed || (sure && !loud && !numeric);
                let disk = word.eq_ignore_ascii_case("drive") && is_one_of(previous, DRIVES);
                // `12 The Crescent` is one, but not a chapter named `The Long Road`.
                let phrase = names > 1 && ahead.starts_with("The ");
                return (fits && !disk && !phrase).then_some(end);
            }
        }
        let counted = word.starts_with(|c: char| c.is_ascii_digit());
        let ordinal = counted && ["st", "nd", "rd", "th"].iter().any(|s| word.ends_with(s));
        let bare = counted && names == 0 && word.bytes().all(|byte| byte.is_ascii_digit());
        if stops || !(is_name(word) || ordinal || bare) || word.len() > 24 {
            return None;
        }
        numeric |= bare;
        names += 1;
        previous = word;
        at += written.len() + 1;
    }
    None
}

/// The name behind a word such as `rue`: small words, and at least one with a capital.
fn named_behind(ahead: &str, from: usize, sure: bool) -> Option<usize> {
    let (mut end, mut at, mut names) = (from, from, 0);
    for _ in 0..MOST {
        let Some(rest) = ahead.get(at..).and_then(|rest| rest.strip_prefix(' ')) else {
            break;
        };
        let written = rest.split(' ').next()?;
        let word = written.trim_end_matches(|c: char| !c.is_alphanumeric());
        let elided = ["d'", "l'", "d’", "l’"]
            .iter()
            .find_map(|small| word.strip_prefix(small))
            .is_some_and(is_name);
        at += 1 + written.len();
        if is_name(word) || elided {
            names += 1;
            end = at - (written.len() - word.len());
            if word.len() < written.len() {
                break;
            }
        } else if !PARTICLES.contains(&word) || word.len() < written.len() {
            break;
        }
    }
    let fits = names > 0 && (sure || closes(ahead.get(end..)?));
    fits.then_some(end)
}

/// A direction behind a street, and whether there is one.
fn direction(ahead: &str, end: usize) -> (usize, bool) {
    let rest = ahead.get(end..).unwrap_or_default();
    let rest = rest.strip_prefix('.').unwrap_or(rest);
    let word = rest
        .strip_prefix(' ')
        .and_then(|rest| rest.split(' ').next());
    let word = word.map(|word| word.trim_end_matches([',', '.', ';', ')', '"', '\'']));
    match word {
        Some(word) if is_one_of(word, DIRECTIONS) && is_name(word) => {
            (ahead.len() - rest.len() + 1 + word.len(), true)
        }
        _ => (end, false),
    }
}

/// Whether nothing more of a phrase follows.
fn closes(rest: &str) -> bool {
    let Some(next) = rest.trim_start_matches(' ').chars().next() else {
        return true;
    };
    let marked = !next.is_alphanumeric() && !matches!(next, '-' | '/' | '&' | '+' | '\'' | '’');
    marked && !matches!(next, '(' | '*')
        || ["Apt", "Suite", "Unit", "Floor"]
            .iter()
            .any(|part| rest.trim_start().starts_with(part))
}

/// Whether a word is one that begins with a capital and has letters only.
fn is_name(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
        && word
            .chars()
            .all(|c| c.is_alphabetic() || matches!(c, '\'' | '’' | '-' | '.' | '/'))
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|other| word.eq_ignore_ascii_case(other))
}

/// The value of a column about addresses.
fn whole(spot: &Spot<'_>) -> Option<Range<usize>> {
    let text = spot.text.get(spot.at.clone())?;
    if text.len() > 200 || text.contains(['@', '=', '{', '<']) || text.contains("://") {
        return None;
    }
    let mut words = text
        .split_whitespace()
        .filter(|word| word.chars().any(char::is_alphabetic));
    let (first, second) = (words.next()?, words.next());
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    let cased = text.chars().any(|c| c.is_alphabetic() && !c.is_lowercase());
    let fits = match second {
        Some(_) => digits || cased,
        None => digits && is_with_number(text, first),
    };
    fits.then(|| spot.at.clone())
}

/// Whether a text with one word is a street and a number, and not what machines call an address.
fn is_with_number(text: &str, word: &str) -> bool {
    if text.contains(':') {
        return false;
    }
    if word.len() < text.len() {
        return word.chars().filter(|c| c.is_alphabetic()).count() > 1;
    }
    let mut turns = 0;
    let mut last = None;
    for digit in text
        .chars()
        .filter(|c| c.is_alphanumeric())
        .map(|c| c.is_ascii_digit())
    {
        turns += usize::from(last.is_some_and(|last| last != digit));
        last = Some(digit);
    }
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    turns <= 2 && letters >= 4 || !text.is_ascii()
}
