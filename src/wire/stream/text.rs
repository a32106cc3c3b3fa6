//! Text between JSON quotes.

use std::borrow::Cow;

/// The first position from `at` on at which text between quotes can end or go wrong: a quote, a
/// backslash or a control character.
#[inline(always)]
pub(super) fn special(window: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = window.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let mut flags = [0_u8; 16];
        for (flag, byte) in flags.iter_mut().zip(chunk) {
            let found = (*byte == b'"') | (*byte == b'\\') | (*byte < 0x20);
            *flag = u8::from(found).wrapping_neg();
        }
        let flags = u128::from_le_bytes(flags);
        if flags != 0 {
            return at + (flags.trailing_zeros() / 8) as usize;
        }
        at += 16;
    }
    let rest = window.get(at..).unwrap_or_default();
    let found = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    at + rest.iter().position(found).unwrap_or(rest.len())
}

/// Text with its escapes resolved; they must be valid.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, behind)) = rest.split_once('\\') {
        out.push_str(plain);
        let mut characters = behind.chars();
        let escape = characters.next();
        rest = characters.as_str();
        match escape {
            Some('b') => out.push('\u{8}'),
            Some('f') => out.push('\u{c}'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('t') => out.push('\t'),
            Some('u') => {
                let mut unit = unit(&mut rest);
                if (0xd800..0xdc00).contains(&unit)
                    && let Some(low) = rest.strip_prefix("\\u")
                {
                    rest = low;
                    let low = self::unit(&mut rest);
                    unit = 0x10000 + ((unit - 0xd800) << 10) + (low & 0x3ff);
                }
                out.push(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Takes four hexadecimal digits.
fn unit(rest: &mut &str) -> u32 {
    let (digits, behind) = rest.split_at_checked(4).unwrap_or((rest, ""));
    *rest = behind;
    u32::from_str_radix(digits, 16).unwrap_or(0xfffd)
}
