//! What stands at the ends of a number, and reading numbers that people wrote in groups.

/// The most digits a cluster can have, for probes that look for numbers within it.
pub(super) const MANY: usize = usize::MAX - 1;

/// How a number ends at one side; the further down, the less it stands on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Edge {
    /// It stands on its own.
    Free,
    /// A blank or a parenthesis, and then more digits.
    Beside,
    /// A mark such as a hyphen, and then more of a word, a number or a path.
    Joined,
    /// It is a part of a longer word or number.
    Within,
}

/// How what begins at a place ends on its left.
pub(super) fn before(text: &str, at: usize) -> Edge {
    let back = |distance| text.as_bytes().get(at.checked_sub(distance)?).copied();
    if back(1) == Some(b'+') {
        return Edge::Within;
    }
    // A line break or a tab, as JSON within a text has them.
    if back(2) == Some(b'\\') && matches!(back(1), Some(b'n' | b'r' | b't')) {
        return Edge::Free;
    }
    edge(back(1), back(2), || text.get(..at)?.chars().next_back())
}

/// How what ends at a place ends on its right.
pub(super) fn behind(text: &str, at: usize) -> Edge {
    let on = |distance| text.as_bytes().get(at + distance).copied();
    edge(on(0), on(1), || text.get(at..)?.chars().next())
}

/// The worse of both.
pub(super) fn around(text: &str, at: &std::ops::Range<usize>) -> Edge {
    before(text, at.start).max(behind(text, at.end))
}

fn edge(next: Option<u8>, beyond: Option<u8>, char: impl FnOnce() -> Option<char>) -> Edge {
    let Some(next) = next else {
        return Edge::Free;
    };
    let digit = beyond.is_some_and(|byte| byte.is_ascii_digit());
    let word = beyond.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte >= 0x80);
    match next {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => Edge::Within,
        0x80.. => match char().is_some_and(is_spaced) {
            true => Edge::Within,
            false => Edge::Free,
        },
        b'.' if digit => Edge::Within,
        b' ' | b'(' | b')' if digit => Edge::Beside,
        b'-' | b'/' | b'\\' | b'.' | b'@' if word => Edge::Joined,
        b'_' => Edge::Joined,
        _ => Edge::Free,
    }
}

/// Whether a character is a letter or a digit of a script that sets blanks between words. In
/// others, a number stands right behind a word.
fn is_spaced(char: char) -> bool {
    char < '\u{2e80}' && char.is_alphanumeric()
}

/// The separator that begins at a place, and its length: a blank, a hyphen, a dot, a slash or a
/// parenthesis, or one that looks like a blank or like a hyphen, or like nothing at all, which
/// counts as a blank.
pub(super) fn separator(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    match *bytes.get(at)? {
        byte @ (b' ' | b'.' | b'-' | b'/' | b'(' | b')') => Some((byte, 1)),
        0..0x80 => None,
        // The blank that does not break lines, and the soft hyphen.
        0xc2 => matches!(bytes.get(at + 1)?, 0xa0 | 0xad).then_some((b' ', 2)),
        0xe2 => match (bytes.get(at + 1)?, bytes.get(at + 2)?) {
            // Blanks of all widths down to none, and the word joiner.
            (0x80, 0x80..=0x8d | 0xaf) | (0x81, 0xa0) => Some((b' ', 3)),
            (0x80, 0x90..=0x92) => Some((b'-', 3)),
            _ => None,
        },
        0xef => (bytes.get(at + 1..at + 3)? == [0xbb, 0xbf]).then_some((b' ', 3)),
        _ => None,
    }
}

/// The one separator that stands between two places.
pub(super) fn between(bytes: &[u8], start: usize, end: usize) -> Option<u8> {
    let (separator, length) = separator(bytes, start)?;
    (start + length == end).then_some(separator)
}

/// Letters and digits that were read.
pub(super) struct Read<const N: usize> {
    /// In upper case.
    pub chars: [u8; N],
    /// A bit for each place in front of which a separator stood.
    pub breaks: u64,
    /// Where the reading ended.
    pub end: usize,
}

/// Reads so many ASCII letters and digits, at most one separator between two of them. `None` if
/// there are less.
pub(super) fn read<const N: usize>(
    bytes: &[u8],
    start: usize,
    count: usize,
    separators: &[u8],
) -> Option<Read<N>> {
    let (mut chars, mut breaks, mut at) = ([0; N], 0, start);
    for (place, char) in chars.iter_mut().enumerate().take(count) {
        let mut byte = *bytes.get(at)?;
        if place > 0 && !byte.is_ascii_alphanumeric() {
            let (_, length) = separator(bytes, at).filter(|(own, _)| separators.contains(own))?;
            breaks |= 1 << place;
            at += length;
            byte = *bytes.get(at)?;
        }
        if !byte.is_ascii_alphanumeric() {
            return None;
        }
        *char = byte.to_ascii_uppercase();
        at += 1;
    }
    Some(Read {
        chars,
        breaks,
        end: at,
    })
}

/// Whether breaks are only at some places.
pub(super) fn only_at(breaks: u64, places: &[u32]) -> bool {
    places
        .iter()
        .fold(breaks, |rest, place| rest & !(1 << place))
        == 0
}

/// The runs of letters and digits that begin at most so many bytes behind a place.
pub(super) fn words(
    text: &str,
    start: usize,
    within: usize,
) -> impl Iterator<Item = std::ops::Range<usize>> {
    let bytes = text.as_bytes();
    let word = |at: usize| {
        bytes
            .get(at)
            .is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte >= 0x80)
    };
    let last = start.saturating_add(within).min(bytes.len());
    let mut at = start;
    std::iter::from_fn(move || {
        while at < last && !word(at) {
            at += 1;
        }
        if at >= last {
            return None;
        }
        let start = at;
        // Longer than anything that is looked for; what is left of it is a word of its own.
        while word(at) && at - start < 64 {
            at += 1;
        }
        Some(start..at)
    })
}

/// Whether something of eight digits is a date: year first or last, of these centuries.
pub(super) fn is_date(digits: &[u8]) -> bool {
    let number = |at: usize, count: usize| {
        digits.get(at..at + count)?.iter().try_fold(0, |sum, byte| {
            byte.is_ascii_digit()
                .then(|| sum * 10 + u32::from(byte - b'0'))
        })
    };
    let fits = |year, month, day| {
        let year = number(year, 4).is_some_and(|year| (1900..2100).contains(&year));
        let month = number(month, 2).is_some_and(|month| (1..=12).contains(&month));
        let day = number(day, 2).is_some_and(|day| (1..=31).contains(&day));
        year && month && day
    };
    digits.len() == 8 && (fits(0, 4, 6) || fits(4, 2, 0) || fits(4, 0, 2))
}
