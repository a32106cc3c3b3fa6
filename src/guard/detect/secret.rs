//! Keys, tokens, passwords and connection strings.

pub(super) mod api_key;
pub(super) mod connection;
pub(super) mod jwt;
pub(super) mod password;
pub(super) mod pem;

use std::ops::Range;

use super::Spot;

/// Words that stand where a secret would, in lower case.
const STAND_INS: &[&str] = &[
    "",
    "-",
    "--",
    "---",
    "n/a",
    "na",
    "none",
    "null",
    "nil",
    "undefined",
    "empty",
    "blank",
    "true",
    "false",
    "yes",
    "no",
    "ja",
    "nein",
    "oui",
    "non",
    "si",
    "sí",
    "on",
    "off",
    "unknown",
    "unset",
    "not set",
    "required",
    "optional",
    "redacted",
    "masked",
    "hidden",
    "removed",
    "filtered",
    "secret",
    "string",
    "str",
    "text",
    "char",
    "varchar",
    "bytes",
    "any",
    "object",
    "bool",
    "boolean",
    "int",
    "number",
    "password",
    "passwd",
    "pwd",
    "passwort",
    "kennwort",
    "contraseña",
    "your_password",
    "your-password",
    "yourpassword",
    "my_password",
    "mypassword",
    "placeholder",
    "example",
    "todo",
    "tbd",
    "foo",
    "bar",
    "self",
    "this",
    "input",
    "new",
    "old",
    "current",
    "changed",
    "reset",
    "expired",
    "active",
    "enabled",
    "disabled",
    "valid",
    "invalid",
    "incorrect",
    "wrong",
    "missing",
    "weak",
    "strong",
    "ok",
    "default",
    "random",
    "generated",
];

/// Whether a text only stands where a secret would: nothing, a variable, a mask, a word such as
/// `none`.
fn is_stand_in(value: &str) -> bool {
    let Some(first) = value.chars().next() else {
        return true;
    };
    if value.chars().all(|char| char == first) && (value.len() > 2 || !first.is_alphanumeric()) {
        return true;
    }
    let ends = |start: &str, end: &str| value.starts_with(start) && value.ends_with(end);
    if value.starts_with("${")
        || value.starts_with("$(")
        || value.starts_with("{{")
        || value.starts_with("#{")
        || value.starts_with("%(")
        || ends("<", ">")
        || ends("[", "]")
        || ends("{", "}")
        || ends("(", ")")
        || (value.len() > 2 && ends("%", "%"))
        || (value.len() > 4 && ends("__", "__"))
    {
        return true;
    }
    let is_name = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
    };
    if value.strip_prefix('$').is_some_and(is_name) {
        return true;
    }
    // The name of a constant.
    if value.contains('_') && is_name(value) {
        return true;
    }
    // A mask that leaves some letters: `hu*****`.
    if value.contains("***") || value.contains("•••") || value.contains("xxxx") {
        return true;
    }
    value.len() <= 16
        && STAND_INS
            .iter()
            .any(|word| word.eq_ignore_ascii_case(value))
}

/// Whether a letter or a digit stands before a position; one that is the end of an escape such as
/// `\n` does not count.
fn follows_word(spot: &Spot<'_>, at: usize) -> bool {
    match spot.before(at) {
        Some(b'n' | b'r' | b't') => at
            .checked_sub(1)
            .and_then(|at| spot.before(at))
            .is_none_or(|byte| byte != b'\\'),
        Some(byte) if byte.is_ascii() => byte.is_ascii_alphanumeric(),
        Some(_) => spot
            .text
            .get(..at)
            .and_then(|before| before.chars().next_back())
            .is_some_and(char::is_alphanumeric),
        None => false,
    }
}

/// Where a run of some bytes ends that begins at a position; at most so far.
fn run(bytes: &[u8], start: usize, most: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    start + rest.iter().take(most).take_while(|byte| is(**byte)).count()
}

/// How many different bytes there are.
fn variety(bytes: &[u8]) -> u32 {
    let seen = bytes
        .iter()
        .fold(0u128, |seen, byte| seen | 1 << (byte & 0x7f));
    seen.count_ones()
}

/// The part of a run of token bytes that is a value: what is behind the last `=` that is no
/// padding, without marks around it.
pub(super) fn value_of_token(spot: &Spot<'_>) -> Option<Range<usize>> {
    let token = spot.text.get(spot.at.clone())?;
    let unpadded = token.trim_end_matches('=').len();
    let from = token
        .get(..unpadded)?
        .rfind('=')
        .map_or(0, |equals| equals + 1);
    let value = token.get(from..)?;
    let start = spot.at.start + from + (value.len() - value.trim_start_matches(['.', '-']).len());
    let end = spot.at.end - (value.len() - value.trim_end_matches('.').len());
    (start < end).then_some(start..end)
}
