//! Texts too random to be anything but a secret.
//!
//! A run of letters and digits is random where its bytes are spread widely, its classes change
//! often, and few of its pairs of letters are those of words.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use super::secret::value_of_token;
use super::{Probe, Spot, Topic, Trigger};
use crate::policy::content::Detector;

pub(super) const PROBES: &[Probe] = &[Probe {
    detector: Detector::HighEntropy,
    trigger: Trigger::Token(IN_CONTEXT),
    find,
}];

/// Fewest bytes of a secret that is called one.
const IN_CONTEXT: usize = 20;
/// Fewest bytes of any other.
const ALONE: usize = 32;
/// Most bytes: what is longer is a document.
const MOST: usize = 512;

/// For each letter, the letters that often follow it in words of English, German, French, Spanish
/// and Italian.
const FOLLOWING: [&str; 26] = [
    "bcdgiklmnprstuvyz",
    "aeiloru",
    "acehiklorstu",
    "adeiosu",
    "acdefgilmnprstuvwxz",
    "aefilortu",
    "aehilnoru",
    "aeiotu",
    "abcdefglmnoprstvxz",
    "aeou",
    "aeiostu",
    "abdegilostuy",
    "abeilmopu",
    "acdegiknostuz",
    "cdiklmnoprstuvwz",
    "aefhiloprstu",
    "u",
    "abdegikmnorstuyz",
    "acehikmnopstuy",
    "aehiloprstuyz",
    "bceilmnprst",
    "aeio",
    "aehio",
    "e",
    "op",
    "aeiouz",
];

/// The same as bits.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const PAIRS: [u32; 26] = {
    let mut pairs = [0; 26];
    let mut letter = 0;
    while letter < 26 {
        let following = FOLLOWING[letter].as_bytes();
        let mut at = 0;
        while at < following.len() {
            pairs[letter] |= 1 << (following[at] - b'a');
            at += 1;
        }
        letter += 1;
    }
    pairs
};

/// What is counted of a text.
#[derive(Clone, Debug)]
struct Counts {
    bytes: [u16; 128],
    length: usize,
    lower: usize,
    upper: usize,
    digits: usize,
    /// Bytes that are neither letters nor digits.
    marks: usize,
    hex: usize,
    /// Words such as `abc`, `Abc`, `ABC` and `123`.
    words: usize,
    /// Pairs of letters, and those of them that are common.
    pairs: usize,
    common: usize,
    /// The longest row of digits.
    row: usize,
}

impl Counts {
    fn of(text: &[u8]) -> Counts {
        let mut counts = Counts {
            bytes: [0; 128],
            length: text.len(),
            lower: 0,
            upper: 0,
            digits: 0,
            marks: 0,
            hex: 0,
            words: 0,
            pairs: 0,
            common: 0,
            row: 0,
        };
        let (mut last, mut row) = (b' ', 0);
        for byte in text.iter().copied() {
            if let Some(count) = counts.bytes.get_mut(usize::from(byte)) {
                *count += 1;
            }
            counts.hex += usize::from(byte.is_ascii_hexdigit());
            row = if byte.is_ascii_digit() { row + 1 } else { 0 };
            counts.row = counts.row.max(row);
            let begins = match byte {
                b'0'..=b'9' => {
                    counts.digits += 1;
                    !last.is_ascii_digit()
                }
                b'A'..=b'Z' => {
                    counts.upper += 1;
                    !last.is_ascii_uppercase()
                }
                b'a'..=b'z' => {
                    counts.lower += 1;
                    !last.is_ascii_alphabetic()
                }
                _ => {
                    counts.marks += 1;
                    false
                }
            };
            counts.words += usize::from(begins);
            if byte.is_ascii_alphabetic() && last.is_ascii_alphabetic() {
                counts.pairs += 1;
                let place = |byte: u8| byte.to_ascii_lowercase() - b'a';
                let following = PAIRS.get(usize::from(place(last))).copied().unwrap_or(0);
                counts.common += usize::from(following >> place(byte) & 1 == 1);
            }
            last = byte;
        }
        counts
    }

    /// Shannon's entropy in bits for each byte.
    fn entropy(&self) -> f64 {
        let length = self.length as f64;
        let sum: f64 = self
            .bytes
            .iter()
            .filter(|count| **count > 0)
            .map(|count| f64::from(*count) * f64::from(*count).log2())
            .sum();
        length.log2() - sum / length
    }

    /// Whether the bytes are spread almost as widely as those of random texts of some alphabet.
    fn is_spread(&self, alphabet: f64) -> bool {
        let length = self.length as f64;
        // What a random text has on average falls short of the most by about this.
        let expected = alphabet.log2() - (alphabet - 1.0) / (2.0 * std::f64::consts::LN_2 * length);
        let expected = expected
            .min(length.log2() * 0.93)
            .max(length.log2().min(alphabet.log2()) * 0.8);
        self.entropy() >= expected - 0.5
    }

    /// How many of the pairs of letters are common, between 0 and 1.
    fn wordiness(&self) -> f64 {
        match self.pairs {
            0 => 0.0,
            pairs => self.common as f64 / pairs as f64,
        }
    }

    /// How often a word begins, for each byte.
    fn changes(&self) -> f64 {
        self.words as f64 / self.length as f64
    }

    fn has_all_classes(&self) -> bool {
        self.lower > 0 && self.upper > 0 && self.digits > 0
    }

    /// Whether there are no more marks than the alphabets of base64 bring.
    fn has_few_marks(&self) -> bool {
        self.marks <= 3 + self.length / 16
    }
}

fn find(spot: &Spot<'_>) -> Option<Range<usize>> {
    if spot.at.len() > MOST {
        return None;
    }
    let at = value_of_token(spot)?;
    let value = spot.text.get(at.clone())?;
    let body = value.trim_end_matches('=');
    if body.len() < IN_CONTEXT {
        return None;
    }
    let counts = Counts::of(body.as_bytes());
    if counts.digits * 2 > body.len() && counts.hex < body.len() {
        return None;
    }
    let alone = body.len() >= ALONE && !is_digest(value) && is_random(&counts);
    let random = match alone {
        true => !has_words(body),
        false => is_random_in_context(&counts, body),
    };
    let found = random
        && !is_known(spot, &at, body)
        && !is_in_address(spot, &at)
        && !is_text(body)
        && !is_body_of_lines(spot)
        && (alone || is_called_secret(spot, &at));
    found.then_some(at)
}

/// Random enough without a word that says so.
fn is_random(counts: &Counts) -> bool {
    if counts.hex + counts.marks == counts.length || !counts.has_few_marks() {
        return false;
    }
    let mixed = counts.has_all_classes()
        && counts.changes() >= 0.26
        && counts.wordiness() <= 0.68
        && counts.wordiness() - counts.changes() <= 0.28
        && counts.is_spread(62.0);
    // Letters of one case and digits: not capitals, which codes of goods and accounts have.
    let plain = counts.upper == 0
        && counts.marks == 0
        && counts.digits * 10 >= counts.length
        && counts.row <= 5 + counts.length / 32
        && counts.changes() >= 0.2
        && counts.wordiness() <= 0.6
        && counts.is_spread(36.0);
    mixed || plain
}

/// Random enough where it is called a secret.
fn is_random_in_context(counts: &Counts, body: &str) -> bool {
    if counts.hex == counts.length {
        let cased = counts.lower == 0 || counts.upper == 0;
        let even = counts.length.is_multiple_of(2) && counts.length >= 24;
        return cased && even && counts.digits < counts.length && counts.is_spread(16.0);
    }
    let classes = [counts.lower, counts.upper, counts.digits]
        .iter()
        .filter(|count| **count > 0)
        .count();
    classes >= 2
        && counts.has_few_marks()
        && counts.wordiness() <= 0.7
        && counts.changes() >= 0.18
        && counts.row <= 6 + counts.length / 32
        && counts.is_spread(if classes == 3 { 62.0 } else { 32.0 })
        && !has_words(body)
}

/// Whether words near the value, or the name of the column, say that it is a secret.
fn is_called_secret(spot: &Spot<'_>, at: &Range<usize>) -> bool {
    let part = Spot {
        at: at.clone(),
        ..spot.clone()
    };
    part.is_about(Topic::Secret) || part.is_about(Topic::Password) || follows_key(spot, at.start)
}

/// Whether `key` and a colon or an equals sign stand right before a position.
fn follows_key(spot: &Spot<'_>, at: usize) -> bool {
    let before = spot.bytes().get(..at).unwrap_or_default();
    let mut words = before
        .rsplitn(2, |byte| byte.is_ascii_alphabetic())
        .map(<[u8]>::len);
    let marks = words.next().unwrap_or_default();
    let word = at - marks;
    let key = before.get(word.saturating_sub(3)..word).unwrap_or_default();
    let starts = word
        .checked_sub(4)
        .and_then(|at| spot.byte(at))
        .is_none_or(|byte| !byte.is_ascii_alphabetic());
    let says = before
        .get(word..)
        .is_some_and(|marks| marks.iter().any(|byte| matches!(byte, b':' | b'=')));
    (1..=4).contains(&marks) && says && key.eq_ignore_ascii_case(b"key") && starts
}

/// Whether a value is a part of a URL, or of an e-mail address.
fn is_in_address(spot: &Spot<'_>, at: &Range<usize>) -> bool {
    let token = spot.text.get(spot.at.clone()).unwrap_or_default();
    let url = token.starts_with("//") && spot.before(spot.at.start) == Some(b':');
    // A port, a blank in hexadecimal: what is before them is an address, too.
    let far = spot.text.get(..spot.at.start).unwrap_or_default();
    let near = far
        .bytes()
        .rev()
        .take(128)
        .take_while(|byte| {
            *byte > b' ' && !matches!(byte, b'"' | b'\'' | b'<' | b'(' | b'?' | b'&')
        })
        .count();
    let word = far.as_bytes().get(far.len() - near..).unwrap_or_default();
    let goes_on = memchr::memmem::find(word, b"://").is_some() && !token.contains('=');
    url || goes_on || spot.byte(at.end) == Some(b'@') || word.ends_with(b";base64,") || {
        // The base64 that a data URL has begins behind a comma, which is no byte of tokens.
        memchr::memmem::find(word, b"base64,").is_some()
    }
}

/// Whether a value is something well known that only looks random.
fn is_known(spot: &Spot<'_>, at: &Range<usize>, body: &str) -> bool {
    let bytes = body.as_bytes();
    // Public keys of SSH.
    let public = body.starts_with("AAAAB3Nza")
        || body.starts_with("AAAAC3Nza")
        || body.starts_with("AAAAE2Vj");
    let digest = ["sha256-", "sha384-", "sha512-", "sha1-", "md5-"]
        .iter()
        .any(|prefix| body.starts_with(prefix));
    let labelled = spot
        .text
        .get(..at.start)
        .is_some_and(|before| before.ends_with("SHA256:"));
    // `0x` of hexadecimal numbers.
    let number = body
        .strip_prefix("0x")
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    // A file with an extension, or the name of a host.
    let file = body.rsplit_once('.').is_some_and(|(_, end)| {
        (1..=5).contains(&end.len()) && end.bytes().all(|byte| byte.is_ascii_alphanumeric())
    });
    // A row of the alphabet.
    let row = bytes
        .windows(2)
        .filter(|pair| matches!(pair, [a, b] if a.wrapping_add(1) == *b))
        .count();
    public || digest || labelled || number || file || has_uuid(bytes) || row * 3 > bytes.len()
}

/// Whether there is a UUID in a text.
fn has_uuid(bytes: &[u8]) -> bool {
    let hyphens = bytes.iter().filter(|byte| **byte == b'-').count();
    hyphens >= 4
        && bytes.windows(36).any(|window| {
            window.iter().enumerate().all(|(place, byte)| match place {
                8 | 13 | 18 | 23 => *byte == b'-',
                _ => byte.is_ascii_hexdigit(),
            })
        })
}

/// Whether a text is as long as the base64 of a digest, padding and all.
fn is_digest(value: &str) -> bool {
    let body = value.trim_end_matches('=').len();
    matches!(
        (body, value.len() - body),
        (22, 2) | (27, 1) | (43, 1) | (86, 2)
    )
}

/// Whether a part between marks is a word: names that are joined, and paths, have some.
fn has_words(body: &str) -> bool {
    let parts = body.split(['/', '.', '-', '_', '+']);
    let (mut words, mut bytes, mut count) = (0, 0, 0);
    for part in parts {
        count += 1;
        let letters = part.bytes().all(|byte| byte.is_ascii_alphabetic());
        let cased = part.bytes().skip(1).all(|byte| byte.is_ascii_lowercase())
            || part.bytes().all(|byte| byte.is_ascii_uppercase());
        if part.len() >= 4 && letters && cased {
            words += 1;
            bytes += part.len();
        }
    }
    let share = if body.contains('/') { 8 } else { 4 };
    count > 1 && ((words >= 2 && bytes * 6 >= body.len()) || bytes * share >= body.len())
}

/// Whether a text is the base64 of something that people can read.
fn is_text(body: &str) -> bool {
    let start = body.len().min(32) / 4 * 4;
    let mut decoded = [0; 24];
    let Some(first) = body.get(..start) else {
        return false;
    };
    let length = STANDARD_NO_PAD
        .decode_slice(first, &mut decoded)
        .or_else(|_| URL_SAFE_NO_PAD.decode_slice(first, &mut decoded));
    let Ok(length) = length else {
        return false;
    };
    decoded.get(..length).is_some_and(|text| {
        text.iter()
            .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t'))
    })
}

/// Whether a run is one of several lines of base64.
fn is_body_of_lines(spot: &Spot<'_>) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let line = |lines: Option<&[u8]>, back: bool| {
        let Some(lines) = lines else {
            return false;
        };
        let count = |bytes: &mut dyn Iterator<Item = &u8>| {
            bytes
                .skip_while(|byte| matches!(byte, b'\r' | b'\n'))
                .take(48)
                .take_while(|byte| is_base64(byte))
                .count()
        };
        let breaks = match back {
            true => lines.last(),
            false => lines.first(),
        };
        matches!(breaks, Some(b'\r' | b'\n'))
            && match back {
                true => count(&mut lines.iter().rev()) >= 48,
                false => spot.at.len() >= 60 && count(&mut lines.iter()) >= 2,
            }
    };
    let bytes = spot.bytes();
    line(bytes.get(..spot.at.start), true) || line(bytes.get(spot.at.end..), false)
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::detect::Topics;

    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

    /// How many of a thousand random texts are found.
    fn rate(alphabet: &str, length: usize, column: &str) -> usize {
        let mut state = 88_172_645_463_325_252_u64;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 11) as usize
        };
        let mut is_found = || {
            let text: String = (0..length)
                .map(|_| alphabet.as_bytes()[next() % alphabet.len()] as char)
                .collect();
            let spot = Spot {
                text: &text,
                at: 0..text.len(),
                groups: &[],
                topics: Topics::of_name(column),
            };
            find(&spot).is_some()
        };
        (0..1000).filter(|_| is_found()).count()
    }

    #[test]
    fn random_texts_are_found_nearly_always() {
        let letters = &ALPHABET[..62];
        for (alphabet, length, column, least) in [
            (letters, 32, "", 970),
            (letters, 43, "", 985),
            (letters, 64, "", 990),
            (ALPHABET, 43, "", 980),
            (&ALPHABET[26..62], 40, "", 930),
            (letters, 20, "secret", 960),
            (letters, 24, "api_token", 970),
            (ALPHABET, 32, "secret", 980),
        ] {
            let found = rate(alphabet, length, column);
            assert!(found >= least, "{length} in {column:?}: {found}");
        }
        assert_eq!(rate(letters, 24, "reference"), 0);
        assert_eq!(rate("0123456789abcdef", 64, "checksum"), 0);
    }
}
