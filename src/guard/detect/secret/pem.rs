//! Private keys in files.

use std::ops::Range;

use super::run;
use crate::guard::detect::{Probe, Spot, Trigger};
use crate::policy::content::Detector;

pub(in crate::guard::detect) const PROBES: &[Probe] = &[
    probe(Trigger::Mark(&["---BEGIN ", "--- BEGIN "]), framed),
    probe(Trigger::Mark(&["PuTTY-User-Key-File-"]), putty),
    probe(
        Trigger::Mark(&[RSA_2048, RSA_4096, RSA_1024, PKCS8_RSA, PKCS8_EC, OPENSSH]),
        unframed,
    ),
];

const fn probe(trigger: Trigger, find: fn(&Spot<'_>) -> Option<Range<usize>>) -> Probe {
    Probe {
        detector: Detector::PrivateKey,
        trigger,
        find,
    }
}

// How the base64 of the binary forms goes on behind a length, which differs. Public keys and
// certificates have no version number there.
const RSA_2048: &str = "IBAAKCAQEA";
const RSA_4096: &str = "IBAAKCAgEA";
const RSA_1024: &str = "IBAAKBgQ";
const PKCS8_RSA: &str = "IBADANBgkqhkiG9w0BAQEFAASC";
const PKCS8_EC: &str = "AgEAMBMGByqGSM49AgEG";
const OPENSSH: &str = "b3BlbnNzaC1rZXktdjEA";

/// Most bytes of a key.
const MOST: usize = 16 * 1024;
/// Most bytes of what is between `BEGIN` and `PRIVATE KEY`.
const KIND: usize = 24;

/// A key between lines that say so.
fn framed(spot: &Spot<'_>) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let rest = bytes.get(spot.at.end..)?;
    let kind = rest
        .iter()
        .take(KIND)
        .take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || **byte == b' ')
        .count();
    let label = rest.get(..kind + "PRIVATE KEY BLOCK".len()).unwrap_or(rest);
    let private = label
        .windows("PRIVATE KEY".len())
        .position(|window| window == b"PRIVATE KEY")?;
    let named = label
        .iter()
        .take(private)
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b' ');
    let after = spot.at.end + private + "PRIVATE KEY".len();
    let block = run(bytes, after, " BLOCK ".len(), |byte| {
        byte.is_ascii_uppercase() || byte == b' '
    });
    let end = run(bytes, block, 5, |byte| byte == b'-');
    if !named || end < block + 4 {
        return None;
    }
    let dashes = bytes
        .get(..spot.at.start)?
        .iter()
        .rev()
        .take(2)
        .take_while(|byte| **byte == b'-')
        .count();
    let start = spot.at.start - dashes;
    Some(start..closing(bytes, end))
}

/// Where the key that begins behind its first line ends.
fn closing(bytes: &[u8], from: usize) -> usize {
    let rest = bytes.get(from..).unwrap_or_default();
    let body = rest.get(..rest.len().min(MOST)).unwrap_or_default();
    let Some(foot) = memchr::memmem::find(body, b"-END ").map(|at| from + at + "-END ".len())
    else {
        return from;
    };
    let label = run(bytes, foot, 48, |byte| {
        byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' '
    });
    run(bytes, label, 5, |byte| byte == b'-')
}

/// The first line of a key of PuTTY, with the kind of it.
fn putty(spot: &Spot<'_>) -> Option<Range<usize>> {
    let digits = run(spot.bytes(), spot.at.end, 2, |byte| byte.is_ascii_digit());
    if digits == spot.at.end || spot.byte(digits) != Some(b':') {
        return None;
    }
    let blank = run(spot.bytes(), digits + 1, 1, |byte| byte == b' ');
    let end = run(spot.bytes(), blank, 40, |byte| {
        byte.is_ascii_alphanumeric() || byte == b'-'
    });
    (end > blank).then_some(spot.at.start..end)
}

/// The base64 of a key without the lines around it.
fn unframed(spot: &Spot<'_>) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let mark = spot.text.get(spot.at.clone())?;
    let lead = bytes
        .get(..spot.at.start)?
        .iter()
        .rev()
        .take(9)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        .count();
    let start = spot.at.start - lead;
    let led = bytes.get(start..spot.at.start)?;
    let begins = match mark {
        OPENSSH => led.is_empty(),
        RSA_2048 | RSA_4096 | RSA_1024 | PKCS8_RSA | PKCS8_EC => {
            (2..=8).contains(&lead) && led.starts_with(b"M")
        }
        _ => false,
    };
    let end = run(bytes, spot.at.end, MOST, is_base64);
    (begins && end >= spot.at.end + 32).then_some(start..end)
}
