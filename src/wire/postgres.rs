//! What PostgreSQL reads and writes as text: the pieces that those have in common who write rows
//! to it and those who answer in its place.

use std::fmt::{Result, Write};

use bytes::BufMut;

/// Appends bytes in hexadecimal, after `\x`.
pub(crate) fn push_hex(to: &mut impl Write, bytes: &[u8]) -> Result {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).unwrap_or_default();
    to.write_str("\\x")?;
    for byte in bytes {
        to.write_char(digit(byte >> 4))?;
        to.write_char(digit(byte & 15))?;
    }
    Ok(())
}

/// Appends an item of an array in quotes.
pub(crate) fn push_quoted_item(to: &mut impl Write, text: &str) -> Result {
    to.write_char('"')?;
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            to.write_char('\\')?;
        }
        to.write_char(character)?;
    }
    to.write_char('"')
}

/// Appends a field in the text form of COPY, in which a backslash keeps fields and rows apart.
/// `delimiter` is the ASCII character between fields.
pub(crate) fn push_copied(to: &mut impl BufMut, text: &str, delimiter: u8) {
    let mut rest = text.as_bytes();
    let is_special = |byte: &u8| matches!(byte, 0x08..=0x0d | b'\\') || *byte == delimiter;
    while let Some((plain, [special, after @ ..])) = rest
        .iter()
        .position(is_special)
        .and_then(|at| rest.split_at_checked(at))
    {
        to.put_slice(plain);
        to.put_u8(b'\\');
        to.put_u8(match special {
            0x08 => b'b',
            b'\t' => b't',
            b'\n' => b'n',
            0x0b => b'v',
            0x0c => b'f',
            b'\r' => b'r',
            other => *other,
        });
        rest = after;
    }
    to.put_slice(rest);
}
