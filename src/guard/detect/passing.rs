//! Passing by, in a few instructions, what most texts are made of: nothing may be found in it.

use super::scan::Within;

/// A class of bytes at which the first pass stops.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
const STOPS: [bool; 256] = {
    let mut stops = [false; 256];
    let mut digit = b'0';
    while digit <= b'9' {
        stops[digit as usize] = true;
        digit += 1;
    }
    stops[b'@' as usize] = true;
    stops[b':' as usize] = true;
    stops[b'-' as usize] = true;
    stops
};

/// Nothing is found in a shorter text whose column tells nothing, but for addresses of e-mail and
/// networks.
const SHORTEST: usize = 9;

/// Whether a text is too short for anything, and no address of e-mail or of a network.
#[inline]
pub(super) fn is_little(bytes: &[u8], within: &Within) -> bool {
    let text = bytes.get(within.start..within.end).unwrap_or_default();
    if text.len() >= SHORTEST {
        return false;
    }
    let mut dots = 0;
    for byte in text {
        match byte {
            b'@' | b':' => return false,
            b'.' => dots += 1,
            _ => {}
        }
    }
    dots < 3
}

/// The next byte of that class from a position on.
#[inline]
pub(super) fn next_stop(bytes: &[u8], mut at: usize, end: usize) -> usize {
    // Without a branch for each byte, most text is passed by in a few instructions.
    while let Some(chunk) = bytes.get(at..end).and_then(<[u8]>::first_chunk::<16>) {
        let stops = chunk.iter().fold(false, |stops, byte| {
            stops | (byte.wrapping_sub(b'0') <= b':' - b'0') | (*byte == b'-') | (*byte == b'@')
        });
        if stops {
            break;
        }
        at += 16;
    }
    let rest = bytes.get(at..end).unwrap_or_default();
    let stop = rest.iter().position(|byte| is(&STOPS, *byte));
    stop.map_or(end, |stop| at + stop)
}

/// Whether a text is a UUID and no more.
pub(super) fn is_uuid(text: &[u8]) -> bool {
    let hyphens = || {
        let mut places = [8, 13, 18, 23].iter();
        places.all(|at| text.get(*at) == Some(&b'-'))
    };
    let others = || text.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
    text.len() == 36 && hyphens() && others() == 32
}

/// Where what is most common among texts with digits ends, if it stands at a digit: a date with or
/// without a time, or a UUID that is all of the text. No number of another kind begins in it.
#[inline]
pub(super) fn ordinary(bytes: &[u8], at: usize, within: &Within) -> Option<usize> {
    let text = bytes.get(within.start..within.end)?;
    if is_uuid(text) {
        return Some(within.end);
    }
    let rest = text.get(at - within.start..)?;
    let date = rest.first_chunk::<10>()?;
    let digit = |byte: &u8| byte.is_ascii_digit();
    let (year, month, day) = match date {
        [y @ .., b'-', m1, m2, b'-', d1, d2] => (y, [*m1, *m2], [*d1, *d2]),
        _ => return None,
    };
    let plausible = matches!(year, [b'1', b'9', ..] | [b'2', b'0', ..])
        && year.iter().all(digit)
        && matches!(month, [b'0', b'1'..=b'9'] | [b'1', b'0'..=b'2'])
        && matches!(
            day,
            [b'0', b'1'..=b'9'] | [b'1' | b'2', b'0'..=b'9'] | [b'3', b'0' | b'1']
        );
    // More of a number before or behind it, and it is none.
    let begins = at == within.start
        || !matches!(
            bytes.get(at - 1),
            Some(b'-' | b'.' | b'/' | b'0'..=b'9' | b'+' | b'(')
        );
    if !(plausible && begins) {
        return None;
    }
    let behind = |length: usize| rest.get(length);
    match (behind(10), behind(11), behind(12), behind(13)) {
        (None, ..) => Some(at + 10),
        (Some(b'T' | b' '), Some(h1), Some(h2), Some(b':')) if digit(h1) && digit(h2) => {
            Some(at + 13 + clock(rest.get(13..)?)?)
        }
        (Some(b'-' | b'.' | b'/' | b'(' | b')' | b'0'..=b'9'), ..) => None,
        _ => Some(at + 10),
    }
}

/// How long the minutes and seconds behind an hour are. `None` where they could be the head of
/// something else.
fn clock(rest: &[u8]) -> Option<usize> {
    let digit = |at: usize| rest.get(at).is_some_and(u8::is_ascii_digit);
    let part = |at: usize| rest.get(at) == Some(&b':') && digit(at + 1) && digit(at + 2);
    let seconds = part(3);
    let end = if seconds { 6 } else { 3 };
    let joined = match rest.get(end) {
        Some(b'0'..=b'9' | b':' | 0x80..) => true,
        Some(b'-' | b'/' | b'(') => digit(end + 1),
        // A fraction, unless another dot follows it.
        Some(b'.') => {
            let behind = rest.get(end + 1..).unwrap_or_default();
            let fraction = behind.iter().take(10).take_while(|b| b.is_ascii_digit());
            let last = fraction.count();
            last > 0 && !(seconds && last < 10 && ends_there(behind.get(last)))
        }
        _ => false,
    };
    (part(0) && !joined).then_some(end)
}

/// Whether nothing that is joined to it follows a fraction.
fn ends_there(next: Option<&u8>) -> bool {
    !matches!(next, Some(b'.' | b'-' | b'/' | b'(' | b')' | 0x80..))
}

/// The next place from a position on that may be in a run of so many bytes without a blank; every
/// such run has one.
#[inline]
pub(super) fn next_dense(bytes: &[u8], mut at: usize, end: usize, least: usize) -> usize {
    const BLANKS: u64 = 0x2020_2020_2020_2020;
    const LOW: u64 = 0x0101_0101_0101_0101;
    // Eight bytes at a time lie within the run wherever it begins.
    let Some(stride) = least.checked_sub(7).filter(|stride| *stride > 0) else {
        return at;
    };
    while let Some(chunk) = bytes.get(at..end).and_then(<[u8]>::first_chunk::<8>) {
        let other = u64::from_le_bytes(*chunk) ^ BLANKS;
        if other.wrapping_sub(LOW) & !other & (LOW << 7) == 0 {
            return at;
        }
        at += stride;
    }
    end
}

/// Whether a byte is of a class.
#[inline]
pub(super) fn is(class: &[bool; 256], byte: u8) -> bool {
    class.get(usize::from(byte)).copied().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_end_where_a_number_could_begin() {
        let behind = |text: &str| {
            let within = Within {
                place: 0,
                start: 0,
                end: text.len(),
            };
            ordinary(text.as_bytes(), 0, &within)
        };
        for (text, end) in [
            ("2024-01-01", Some(10)),
            ("2024-01-01x", Some(10)),
            ("2024-01-01 1234", Some(10)),
            ("2024-01-01 12:30", Some(16)),
            ("2024-01-01T12:30:59Z", Some(19)),
            ("2024-01-01T12:30:59.123456Z", Some(19)),
            ("2024-01-01T12:30:59+02:00", Some(19)),
            ("2024-01-01T12:30:59.", Some(19)),
            ("0190f3c2-7d4e-7a51-9c3b-5e2f8a6d1b04", Some(36)),
            ("2024-01-01 12:", None),
            ("2024-01-01 12:3", None),
            ("2024-01-01 12:300", None),
            ("2024-01-01 12:30:5", None),
            ("2024-01-01 12:30-1", None),
            ("2024-01-01 12:30:59/1", None),
            ("2024-01-01 12:30:59(1", None),
            ("2024-01-01 12:30:59.1.2", None),
            ("2024-01-01 12:30.1", None),
            ("2024-01-01-1", None),
            ("2024-01-011", None),
        ] {
            assert_eq!(behind(text), end, "{text}");
        }
    }

    #[test]
    fn little_texts_have_nothing() {
        let little = |text: &str| {
            let within = Within {
                place: 0,
                start: 0,
                end: text.len(),
            };
            is_little(text.as_bytes(), &within)
        };
        for text in ["", "12345678", "1.2.34", "12-34-56"] {
            assert!(little(text), "{text}");
        }
        for text in ["123456789", "1.2.3.4", "a@b.de", "::1", "fe80::1"] {
            assert!(!little(text), "{text}");
        }
    }

    #[test]
    fn every_stop_and_every_run_is_come_upon() {
        for length in (0..20).chain(62..=66) {
            for stop in ["0", "9", "@", ":", "-"] {
                let text = format!("{}{stop}{}", "ä x".repeat(length), "y".repeat(40));
                let at = text.find(stop).unwrap();
                assert_eq!(next_stop(text.as_bytes(), 0, text.len()), at, "{text}");
                assert_eq!(next_stop(text.as_bytes(), 0, at), at, "{text}");
            }
            for least in [7, 8, 14, 20] {
                let text = format!("{} {} z", "x ".repeat(length), "y".repeat(least));
                let run = text.find('y').unwrap()..text.rfind('y').unwrap() + 1;
                let mut at = 0;
                while at < text.len() && !run.contains(&at) {
                    let next = next_dense(text.as_bytes(), at, text.len(), least);
                    assert!(next < run.end, "{text}");
                    at = next + usize::from(!run.contains(&next));
                }
                assert!(run.contains(&at), "{text}");
            }
        }
    }
}
