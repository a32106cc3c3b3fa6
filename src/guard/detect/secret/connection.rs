//! Connection strings with a password.

use std::ops::Range;

use super::{is_stand_in, run};
use crate::guard::detect::{Probe, Spot, Trigger};
use crate::policy::content::Detector;

pub(in crate::guard::detect) const PROBES: &[Probe] = &[
    probe(Trigger::Mark(&["://"]), address),
    probe(
        Trigger::Mark(&[
            "password=",
            "password =",
            "pwd=",
            "pwd =",
            "accountkey=",
            "sharedaccesskey=",
        ]),
        pair,
    ),
    probe(Trigger::Mark(&["jdbc:oracle:thin:"]), oracle),
];

const fn probe(trigger: Trigger, find: fn(&Spot<'_>) -> Option<Range<usize>>) -> Probe {
    Probe {
        detector: Detector::ConnectionString,
        trigger,
        find,
    }
}

/// Most bytes of a scheme.
const SCHEME: usize = 32;
/// Most bytes of a user, a password and a host together.
const AUTHORITY: usize = 512;
/// How far around a password the rest of a connection string is looked for.
const AROUND: usize = 256;

/// Users and passwords that stand in examples.
const USERS: &[&str] = &["user", "username", "usr", "login", "name"];
const PASSWORDS: &[&str] = &["pass", "password", "passwd", "pwd", "pw", "secret"];

fn is_any(words: &[&str], word: &str) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// `scheme://user:password@host`.
fn address(spot: &Spot<'_>) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let scheme = bytes
        .get(..spot.at.start)?
        .iter()
        .rev()
        .take(SCHEME)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        .count();
    let from = spot.at.end;
    let end = run(bytes, from, AUTHORITY, |byte| {
        byte > b' '
            && !matches!(
                byte,
                b'/' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'\\' | b','
            )
    });
    let rest = bytes.get(from..end)?;
    let at = from + memchr::memrchr(b'@', rest)?;
    let colon = from + memchr::memchr(b':', rest)?;
    if scheme == 0 || colon >= at {
        return None;
    }
    let user = spot.text.get(from..colon)?;
    let password = spot.text.get(colon + 1..at)?;
    // A port with a path or query behind it that has an `@`.
    let port = run(bytes, colon + 1, 6, |byte| byte.is_ascii_digit());
    let is_port = port > colon + 1 && matches!(spot.byte(port), Some(b'?' | b'#'));
    let host = run(bytes, at + 1, AUTHORITY, |byte| {
        byte.is_ascii_alphanumeric()
            || byte >= 0x80
            || matches!(byte, b'.' | b'-' | b'_' | b':' | b'[' | b']')
    });
    let is_example = is_any(USERS, user) && is_any(PASSWORDS, password);
    let stands_in = is_connection_stand_in(password) || user.starts_with(['?', '#']);
    if is_port || host == at + 1 || is_example || stands_in {
        return None;
    }
    let start = spot.at.start - scheme;
    // Marks at the end are of the sentence.
    let name = spot
        .text
        .get(at + 1..host)?
        .trim_end_matches(|char: char| !char.is_alphanumeric() && char != ']');
    (!name.is_empty()).then_some(start..at + 1 + name.len())
}

/// Weak passwords are passwords here; only what is none at all stands in.
fn is_connection_stand_in(password: &str) -> bool {
    is_stand_in(password) && !matches!(password, "password" | "secret" | "default" | "example")
}

/// `Server=...;Password=...`, `host=... password=...`, `jdbc:...?password=...`.
fn pair(spot: &Spot<'_>) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let blank = run(bytes, spot.at.end, 2, |byte| byte == b' ');
    let quote = spot.byte(blank).filter(|byte| matches!(byte, b'\'' | b'"'));
    let from = blank + usize::from(quote.is_some());
    let end = run(bytes, from, AUTHORITY, |byte| match quote {
        Some(quote) => byte != quote,
        None => byte > b' ' && !matches!(byte, b';' | b'&' | b'"' | b'\'' | b'`' | b'<'),
    });
    let password = spot.text.get(from..end)?;
    if is_connection_stand_in(password) {
        return None;
    }
    let around = |at: Range<usize>| bytes.get(at).unwrap_or_default();
    let before = around(spot.at.start.saturating_sub(AROUND)..spot.at.start);
    let behind = around(end..(end + AROUND).min(bytes.len()));
    let is_connection = [before, behind].into_iter().any(has_server);
    is_connection.then_some(spot.at.start..end)
}

/// Whether a text has a key of connection strings that names a server.
fn has_server(text: &[u8]) -> bool {
    const KEYS: [&[u8]; 16] = [
        b"server",
        b"host",
        b"data source",
        b"datasource",
        b"addr",
        b"address",
        b"network address",
        b"endpoint",
        b"accountname",
        b"uid",
        b"user id",
        b"userid",
        b"dbname",
        b"database",
        b"initial catalog",
        b"driver",
    ];
    memchr::memmem::find(text, b"jdbc:").is_some()
        || memchr::memchr_iter(b'=', text).take(24).any(|equals| {
            let key = text.get(..equals).unwrap_or_default().trim_ascii_end();
            KEYS.iter().any(|known| {
                let Some((before, name)) =
                    key.split_at_checked(key.len().wrapping_sub(known.len()))
                else {
                    return false;
                };
                name.eq_ignore_ascii_case(known)
                    && before
                        .last()
                        .is_none_or(|byte| !byte.is_ascii_alphanumeric())
            })
        })
}

/// `jdbc:oracle:thin:user/password@host`.
fn oracle(spot: &Spot<'_>) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let from = spot.at.end;
    let end = run(bytes, from, AUTHORITY, |byte| {
        byte > b' ' && !matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>')
    });
    let rest = spot.text.get(from..end)?;
    let (login, host) = rest.split_once('@')?;
    let (user, password) = login.split_once('/')?;
    let is_login = !user.is_empty() && !host.is_empty() && !is_connection_stand_in(password);
    is_login.then_some(spot.at.start..end)
}
