//! Passwords, where something says that they are.

use std::ops::Range;

use super::{follows_word, is_stand_in, run};
use crate::guard::detect::{Probe, Spot, Topic, Trigger};
use crate::policy::content::Detector;

pub(in crate::guard::detect) const PROBES: &[Probe] = &[
    probe(Trigger::Mark(WORDS), named),
    probe(
        Trigger::Mark(&[
            "pass:", "pass=", "pwd", "psw:", "psw=", "pw:", "pw=", "pw is ", "mdp:", "mdp =",
        ]),
        named_briefly,
    ),
    probe(Trigger::Mark(&HASHES), hashed),
    probe(Trigger::Column(Topic::Password), in_column),
];

const fn probe(trigger: Trigger, find: fn(&Spot<'_>) -> Option<Range<usize>>) -> Probe {
    Probe {
        detector: Detector::Password,
        trigger,
        find,
    }
}

/// What passwords are called. `contrase` goes on with a letter that is not of ASCII.
const WORDS: &[&str] = &[
    "password",
    "passwd",
    "passwort",
    "passphrase",
    "passcode",
    "kennwort",
    "contrase",
    "mot de passe",
    "senha",
    "parola d'ordine",
    "wachtwoord",
];

/// What stands before a `pass` that is no password.
const TICKETS: &[&str] = &[
    "boarding", "season", "day", "bus", "ski", "rail", "travel", "mountain", "first", "second",
    "guest", "press", "festival", "parking",
];

/// Most bytes of a password.
const MOST: usize = 256;
/// How words begin that say what a password is for, or that it is a hash.
const QUALIFIERS: &[&str] = &[
    "for ", "of ", "on ", "für ", "zu ", "pour ", "de ", "del ", "para ", "per ", "di ", "(", "/",
    "hash", "digest",
];
/// Most bytes between the word and its mark, as in `password for the portal:`.
const BETWEEN: usize = 32;

/// What stands between the name and the value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// A mark such as `:` or `=`.
    Sign,
    /// A word such as `is`, or a mark behind more words: the value must look like a password.
    Word,
}

/// A word for a password, a mark and a value.
fn named(spot: &Spot<'_>) -> Option<Range<usize>> {
    let rest = spot.text.get(spot.at.end..)?;
    let mut end = spot.at.end;
    if spot
        .text
        .get(spot.at.clone())?
        .eq_ignore_ascii_case("contrase")
    {
        let letter = ["ña", "na", "Ña", "ÑA", "NA", "Na"]
            .into_iter()
            .find(|letter| rest.starts_with(letter))?;
        end += letter.len();
    }
    value(spot, end)
}

/// A short word, which must not be the end of another.
fn named_briefly(spot: &Spot<'_>) -> Option<Range<usize>> {
    let starts_part = spot
        .byte(spot.at.start)
        .is_some_and(|b| b.is_ascii_uppercase())
        && spot
            .before(spot.at.start)
            .is_some_and(|b| b.is_ascii_lowercase());
    if follows_word(spot, spot.at.start) && !starts_part {
        return None;
    }
    let word = run(spot.bytes(), spot.at.start, 4, |byte| {
        byte.is_ascii_alphabetic()
    });
    let found = value(spot, word)?;
    // Passes are tickets, too.
    let before = spot
        .text
        .get(..spot.at.start)?
        .trim_end_matches([' ', '_', '-']);
    let is_ticket = TICKETS.iter().any(|ticket| {
        before
            .len()
            .checked_sub(ticket.len())
            .and_then(|at| before.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ticket))
    });
    // `PWD` is the folder, too.
    let is_path = matches!(spot.byte(found.start), Some(b'/' | b'~'))
        || spot.byte(found.start + 1) == Some(b':');
    (!is_path && !is_ticket).then_some(found)
}

/// The value behind a name that ends at a position.
fn value(spot: &Spot<'_>, name: usize) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let blanks = |at: usize| run(bytes, at, 8, |byte| matches!(byte, b' ' | b'\t'));
    let (after, mark) = separator(spot, name)?;
    let at = blanks(after);
    let escape = usize::from(spot.byte(at) == Some(b'\\'));
    let quote = spot
        .byte(at + escape)
        .filter(|byte| matches!(byte, b'"' | b'\'' | b'`'));
    let (from, end) = match quote {
        Some(quote) => {
            let from = at + escape + 1;
            let end = run(bytes, from, MOST, |byte| byte != quote && byte != b'\n');
            let escaped = usize::from(spot.before(end) == Some(b'\\') && escape == 1);
            (from, end - escaped)
        }
        None => {
            let end = run(bytes, at, MOST, |byte| {
                byte > b' ' && !matches!(byte, b'"' | b',' | b';' | b'&' | b'<')
            });
            (at, end - closing(bytes, at, end))
        }
    };
    let text = spot.text.get(from..end)?;
    let fits = match quote {
        Some(_) => !is_stand_in(text) && !is_moment(text) && (mark == Mark::Sign || is_odd(text)),
        None => is_bare_value(spot, from..end, mark),
    };
    fits.then_some(from..end)
}

/// How many bytes at the end of a bare value are of the sentence around it.
fn closing(bytes: &[u8], from: usize, end: usize) -> usize {
    let value = bytes.get(from..end).unwrap_or_default();
    let opens = value.iter().any(|byte| matches!(byte, b'(' | b'[' | b'{'));
    value
        .iter()
        .rev()
        .take_while(|byte| {
            matches!(byte, b'.' | b'\'' | b'`') || (!opens && matches!(byte, b')' | b']' | b'}'))
        })
        .count()
}

/// Where the mark behind a name ends, and what it is.
fn separator(spot: &Spot<'_>, name: usize) -> Option<(usize, Mark)> {
    let bytes = spot.bytes();
    let blanks = |at: usize| run(bytes, at, 4, |byte| matches!(byte, b' ' | b'\t'));
    let sign = |at: usize| match (spot.byte(at), spot.byte(at + 1)) {
        (Some(b'='), Some(b'=')) => None,
        (Some(b'='), Some(b'>')) | (Some(b':'), Some(b'=')) => Some(at + 2),
        (Some(b'='), _) => Some(at + 1),
        // A double colon is a path in code.
        (Some(b':'), next) if next != Some(b':') => Some(at + 1),
        _ => None,
    };
    // Numbers, and a quote that closes the name.
    let mut at = run(bytes, name, 3, |byte| byte.is_ascii_digit() || byte == b'_');
    if let (true, Some(end)) = (spot.byte(at) == Some(b'>'), opening(spot)) {
        return (end == at).then_some((at + 1, Mark::Sign));
    }
    at = run(bytes, at, 3, |byte| {
        matches!(byte, b'\\' | b'"' | b'\'' | b'`' | b']')
    });
    let behind = blanks(at);
    if let Some(end) = sign(behind) {
        return Some((end, Mark::Sign));
    }
    // A full-width colon.
    if spot
        .text
        .get(behind..)
        .is_some_and(|rest| rest.starts_with('：'))
    {
        return Some((behind + '：'.len_utf8(), Mark::Sign));
    }
    let rest = bytes.get(behind..)?;
    if behind > at {
        // The longer ones first: some begin alike.
        let words: [&[u8]; 18] = [
            b"has been changed to ",
            b"has been set to ",
            b"was changed to ",
            b"changed to ",
            b"was set to ",
            b"set to ",
            b"is now ",
            b"is: ",
            b"is ",
            b"was ",
            b"lautet: ",
            b"lautet ",
            b"ist ",
            b"est ",
            b"es ",
            b"to ",
            b"- ",
            b"was: ",
        ];
        if let Some(word) = words.into_iter().find(|word| {
            rest.get(..word.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(word))
        }) {
            return Some((behind + word.len(), Mark::Word));
        }
    }
    // What the password is for, or of, and then a mark.
    let begins = run(bytes, behind, 1, |byte| matches!(byte, b'_' | b'-'));
    let rest = bytes.get(begins..)?;
    QUALIFIERS.iter().find(|start| {
        rest.get(..start.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes()))
    })?;
    let more = run(bytes, begins, BETWEEN, |byte| {
        byte.is_ascii_alphanumeric()
            || byte >= 0x80
            || matches!(
                byte,
                b' ' | b'(' | b')' | b'_' | b'-' | b'"' | b'\'' | b'@' | b'/'
            )
    });
    sign(more).map(|end| (end, Mark::Word))
}

/// Where the name of an XML element ends that the spot is the name of.
fn opening(spot: &Spot<'_>) -> Option<usize> {
    let before = spot.bytes().get(..spot.at.start)?;
    let name = before
        .iter()
        .rev()
        .take(32)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':'))
        .count();
    (spot.before(spot.at.start - name) == Some(b'<')).then_some(spot.at.end)
}

/// Whether a value without quotes is a password.
fn is_bare_value(spot: &Spot<'_>, at: Range<usize>, mark: Mark) -> bool {
    let Some(text) = spot.text.get(at.clone()) else {
        return false;
    };
    let trimmed = text.trim_end_matches(['!', '?', ':', '*']);
    if is_stand_in(text) || is_stand_in(trimmed) || text.ends_with(':') || is_moment(text) {
        return false;
    }
    if mark == Mark::Word {
        return is_odd(text) && !counts(spot, at.end);
    }
    // Code: a call, a place in a list, a field of something.
    let name = text
        .bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
        .count();
    let calls = matches!(text.as_bytes().get(name), Some(b'(' | b'[')) && name > 0;
    let is_field = name == text.len()
        && text.split('.').count() > 1
        && text
            .split('.')
            .all(|part| part.starts_with(|first: char| first.is_ascii_alphabetic()));
    if calls || is_field || text.contains("::") || text.starts_with(['{', '[', '(', '$', '|']) {
        return false;
    }
    let letters = text
        .chars()
        .all(|char| char.is_alphabetic() || char == '-' || char == '\'');
    !(letters && goes_on(spot, at.end) || counts(spot, at.end))
}

/// Whether a sentence goes on behind a position.
fn goes_on(spot: &Spot<'_>, end: usize) -> bool {
    let Some(rest) = spot.text.get(end..).and_then(|rest| rest.strip_prefix(' ')) else {
        return false;
    };
    // Another field, such as `user: x`, is no part of a sentence.
    let word = rest
        .char_indices()
        .find(|(_, char)| !char.is_alphanumeric())
        .map_or(rest.len().min(64), |(at, _)| at);
    let is_field = rest
        .get(word..)
        .is_some_and(|rest| rest.starts_with([':', '=']));
    word > 0 && !is_field
}

/// Whether what ends at a position is a number of something.
fn counts(spot: &Spot<'_>, end: usize) -> bool {
    const COUNTED: [&str; 12] = [
        "char", "zeichen", "caract", "carat", "digit", "letter", "day", "minute", "hour", "time",
        "attempt", "symbol",
    ];
    let rest = spot.text.get(end..).unwrap_or_default();
    let rest = rest
        .strip_prefix(['+', ' '])
        .unwrap_or(rest)
        .trim_start_matches(' ');
    COUNTED.iter().any(|word| {
        rest.get(..word.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(word))
    })
}

/// Whether a text looks like a password where words may stand as well: it has a digit, and a
/// letter or a mark or enough of them.
fn is_odd(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let letters = text.chars().filter(|char| char.is_alphabetic()).count();
    let marks = text
        .bytes()
        .filter(|byte| {
            matches!(
                byte,
                b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'_'
            )
        })
        .count();
    let mixed = (marks > 0 || digits > 0) && letters > 0;
    let address = text.contains("://") || text.starts_with('/') || is_email(text);
    text.len() >= 4
        && !text.contains(' ')
        && (mixed || digits >= 4)
        && !address
        && !is_stand_in(text)
        && !is_moment(text)
}

/// Whether a text is an e-mail address.
fn is_email(text: &str) -> bool {
    let is_part =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
    text.split_once('@').is_some_and(|(user, host)| {
        let top = host.rsplit_once('.').map_or("", |(_, top)| top);
        user.bytes().all(is_part)
            && host.bytes().all(is_part)
            && top.len() >= 2
            && top.bytes().all(|byte| byte.is_ascii_alphabetic())
    })
}

/// Whether a text is a date or a time.
fn is_moment(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let marks = text
        .bytes()
        .filter(|byte| matches!(byte, b'-' | b':' | b'/' | b'.'))
        .count();
    digits >= 4
        && marks >= 1
        && (digits + marks >= 6)
        && text.bytes().all(|byte| {
            byte.is_ascii_digit()
                || matches!(byte, b'-' | b':' | b'/' | b'.' | b'T' | b'Z' | b'+' | b' ')
        })
}

/// How hashes of passwords begin, and how many bytes there are behind it at least and at most.
struct Hash(&'static str, usize, usize);

const HASHES_OF: [Hash; 24] = [
    Hash("$2a$", 56, 56),
    Hash("$2b$", 56, 56),
    Hash("$2x$", 56, 56),
    Hash("$2y$", 56, 56),
    Hash("$argon2id$", 40, 400),
    Hash("$argon2i$", 40, 400),
    Hash("$argon2d$", 40, 400),
    Hash("$scrypt$", 40, 400),
    Hash("$7$", 50, 200),
    Hash("$y$", 40, 200),
    Hash("$gy$", 40, 200),
    Hash("$6$", 88, 140),
    Hash("$5$", 45, 90),
    Hash("$1$", 24, 31),
    Hash("$apr1$", 24, 31),
    Hash("$P$", 31, 31),
    Hash("$S$", 52, 52),
    Hash("$pbkdf2-", 40, 400),
    Hash("pbkdf2_sha256$", 40, 400),
    Hash("bcrypt_sha256$", 50, 400),
    Hash("pbkdf2:sha256:", 40, 400),
    Hash("{SSHA}", 32, 60),
    Hash("{SSHA512}", 90, 140),
    Hash("{SHA}", 28, 28),
];

/// How they begin.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static HASHES: [&str; HASHES_OF.len()] = {
    let mut starts = [""; HASHES_OF.len()];
    let mut at = 0;
    while at < starts.len() {
        starts[at] = HASHES_OF[at].0;
        at += 1;
    }
    starts
};

/// The hash of a password.
fn hashed(spot: &Spot<'_>) -> Option<Range<usize>> {
    let start = spot.text.get(spot.at.clone())?;
    if follows_word(spot, spot.at.start) {
        return None;
    }
    let Hash(_, least, most) = HASHES_OF.iter().find(|hash| hash.0 == start)?;
    let end = run(spot.bytes(), spot.at.end, most + 1, |byte| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'/' | b'$' | b'+' | b'=' | b'_' | b'-')
            || (byte == b',' && *most == 400)
    });
    let end = match spot.before(end) {
        Some(b'.' | b',') if end > spot.at.end + most || *most == 400 => end - 1,
        _ => end,
    };
    let hash = spot.bytes().get(spot.at.end..end)?;
    let parts = hash.iter().filter(|byte| **byte == b'$').count();
    let fits = (*least..=*most).contains(&hash.len());
    let has_parts = parts > 0 || start.starts_with('{') || matches!(start, "$P$" | "$S$");
    (fits && has_parts && super::variety(hash) >= 8).then_some(spot.at.start..end)
}

/// Anything in a column of passwords that is no date, answer or explanation.
fn in_column(spot: &Spot<'_>) -> Option<Range<usize>> {
    let text = spot.text.get(spot.at.clone())?;
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_number = digits == text.len() && (digits < 4 || (digits == 10 && text.starts_with('1')));
    let words = text.split_ascii_whitespace().take(9).count();
    let is_prose = words >= 9
        || (words >= 2
            && (text.ends_with(['.', '?'])
                || text
                    .split(' ')
                    .enumerate()
                    .any(|(place, word)| place > 0 && word.len() >= 3 && counts_word(word))));
    let names_month = words == 3 && digits >= 5 && text.contains(", ");
    let leaves = text.len() > 4 * MOST
        || is_stand_in(text)
        || is_moment(text)
        || is_email(text)
        || is_number
        || is_prose
        || names_month
        || text.contains("://")
        || text.starts_with(['{', '['])
        || text.chars().count() < 3;
    (!leaves).then(|| spot.at.clone())
}

/// Whether a word is of sentences about passwords.
fn counts_word(word: &str) -> bool {
    const ABOUT: [&str; 12] = [
        "characters",
        "zeichen",
        "caractères",
        "caracteres",
        "caratteri",
        "days",
        "required",
        "reset",
        "never",
        "expires",
        "expired",
        "changed",
    ];
    ABOUT.iter().any(|about| about.eq_ignore_ascii_case(word))
}
