//! Keys and tokens of well-known providers.

use std::ops::Range;

use super::{follows_word, run, value_of_token, variety};
use crate::guard::detect::{Probe, Spot, Topic, Trigger};
use crate::policy::content::Detector;

pub(in crate::guard::detect) const PROBES: &[Probe] = &[
    probe(Trigger::Mark(&PREFIXES), prefixed),
    probe(Trigger::Mark(&["-us"]), mailchimp),
    probe(Trigger::Mark(&[":AA"]), telegram),
    probe(Trigger::Token(34), unmarked),
];

const fn probe(trigger: Trigger, find: fn(&Spot<'_>) -> Option<Range<usize>>) -> Probe {
    Probe {
        detector: Detector::ApiKey,
        trigger,
        find,
    }
}

/// The bytes of keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// Hexadecimal digits in lower case.
    Hex,
    /// The same, with hyphens.
    HexHyphen,
    /// Capital letters and digits.
    Upper,
    /// Letters and digits.
    Alnum,
    /// Letters, digits, `-` and `_`.
    Url,
    /// The same with `.`.
    Dotted,
    /// Letters, digits, `+`, `/` and `=`.
    Base64,
    /// What is in the alphabets of base64, either of them.
    Mixed,
    /// Letters, digits, `-`, `_`, `/` and `@`.
    Path,
}

impl Alphabet {
    fn has(self, byte: u8) -> bool {
        match self {
            Alphabet::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Alphabet::HexHyphen => matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'),
            Alphabet::Upper => matches!(byte, b'0'..=b'9' | b'A'..=b'Z'),
            Alphabet::Alnum => byte.is_ascii_alphanumeric(),
            Alphabet::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'),
            Alphabet::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'),
            Alphabet::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
            Alphabet::Mixed => Alphabet::Url.has(byte) || Alphabet::Base64.has(byte),
            Alphabet::Path => {
                byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'/' | b'@')
            }
        }
    }

    /// Whether names and phrases can be written in it.
    fn joins_words(self) -> bool {
        matches!(self, Alphabet::Url | Alphabet::Dotted | Alphabet::Path)
    }
}

/// Keys that begin alike: the prefix, the bytes behind it, and how many of these at least and at
/// most.
struct Kind(&'static str, Alphabet, usize, usize);

use Alphabet::{Alnum, Base64, Dotted, Hex, HexHyphen, Mixed, Path, Upper, Url};

/// Ordered by what issues them.
const KINDS: [Kind; COUNT] = [
    // Clouds and hosting.
    Kind("AKIA", Upper, 16, 16),
    Kind("ASIA", Upper, 16, 16),
    Kind("ABIA", Upper, 16, 16),
    Kind("ACCA", Upper, 16, 16),
    Kind("AIza", Url, 35, 35),
    Kind("GOCSPX-", Url, 28, 28),
    Kind("ya29.", Dotted, 20, 2048),
    Kind("AccountKey=", Base64, 88, 88),
    Kind("SharedAccessKey=", Base64, 43, 44),
    Kind("LTAI", Alnum, 12, 20),
    Kind("AKID", Alnum, 32, 32),
    Kind("dop_v1_", Hex, 64, 64),
    Kind("doo_v1_", Hex, 64, 64),
    Kind("dor_v1_", Hex, 64, 64),
    Kind("HRKU-", Url, 36, 70),
    Kind("nfp_", Alnum, 36, 40),
    Kind("FlyV1 fm", Path, 40, 2048),
    Kind("v1.0-", HexHyphen, 171, 171),
    Kind("tskey-auth-", Url, 16, 80),
    Kind("tskey-api-", Url, 16, 80),
    Kind("tskey-client-", Url, 16, 80),
    Kind("hvs.", Url, 24, 300),
    Kind("hvb.", Url, 24, 400),
    Kind("hvr.", Url, 24, 400),
    Kind("pul-", Hex, 40, 40),
    Kind("dp.pt.", Alnum, 40, 44),
    Kind("dp.ct.", Alnum, 40, 44),
    Kind("dp.sa.", Alnum, 40, 44),
    Kind("dp.st.", Dotted, 40, 80),
    Kind("dapi", Hex, 32, 32),
    Kind("pscale_tkn_", Dotted, 32, 64),
    Kind("pscale_pw_", Dotted, 32, 64),
    Kind("pscale_oauth_", Dotted, 32, 64),
    Kind("sbp_", Hex, 40, 40),
    Kind("sb_secret_", Url, 22, 64),
    Kind("napi_", Alnum, 60, 72),
    // Code and packages.
    Kind("ghp_", Alnum, 36, 36),
    Kind("gho_", Alnum, 36, 36),
    Kind("ghu_", Alnum, 36, 36),
    Kind("ghs_", Alnum, 36, 36),
    Kind("ghr_", Alnum, 36, 76),
    Kind("github_pat_", Url, 82, 82),
    Kind("glpat-", Dotted, 20, 300),
    Kind("gldt-", Url, 20, 64),
    Kind("glrt-", Dotted, 20, 300),
    Kind("glptt-", Hex, 40, 40),
    Kind("glsoat-", Url, 20, 64),
    Kind("glcbt-", Url, 20, 64),
    Kind("ATATT3", Mixed, 150, 250),
    Kind("ATCTT3", Mixed, 150, 250),
    Kind("ATBB", Alnum, 32, 32),
    Kind("npm_", Alnum, 36, 36),
    Kind("pypi-AgE", Url, 50, 1000),
    Kind("rubygems_", Hex, 48, 48),
    Kind("CLOJARS_", Alnum, 60, 60),
    Kind("oy2", Alnum, 43, 43),
    Kind("dckr_pat_", Url, 27, 27),
    Kind("dckr_oat_", Url, 27, 40),
    Kind("sgp_", Url, 40, 60),
    Kind("sqp_", Hex, 40, 40),
    Kind("squ_", Hex, 40, 40),
    Kind("sqa_", Hex, 40, 40),
    Kind("bkua_", Hex, 40, 40),
    Kind("CCIPAT_", Url, 40, 80),
    Kind("AKCp", Alnum, 65, 70),
    // Models.
    Kind("sk-", Alnum, 32, 64),
    Kind("sk-proj-", Url, 20, 200),
    Kind("sk-svcacct-", Url, 20, 200),
    Kind("sk-admin-", Url, 20, 200),
    Kind("sk-ant-", Url, 20, 200),
    Kind("sk-or-v1-", Hex, 64, 64),
    Kind("sk-lf-", HexHyphen, 36, 36),
    Kind("hf_", Alnum, 30, 40),
    Kind("r8_", Alnum, 37, 37),
    Kind("gsk_", Alnum, 48, 56),
    Kind("xai-", Alnum, 70, 90),
    Kind("pplx-", Alnum, 48, 56),
    Kind("nvapi-", Url, 60, 80),
    Kind("lsv2_pt_", Url, 40, 50),
    Kind("lsv2_sk_", Url, 40, 50),
    // Messages and mail.
    Kind("xoxb-", Url, 20, 260),
    Kind("xoxp-", Url, 20, 260),
    Kind("xoxa-", Url, 20, 260),
    Kind("xoxr-", Url, 20, 260),
    Kind("xoxs-", Url, 20, 260),
    Kind("xoxe.", Dotted, 20, 300),
    Kind("xoxe-", Url, 20, 300),
    Kind("xapp-", Url, 20, 260),
    Kind("hooks.slack.com/services/", Path, 36, 80),
    Kind("hooks.slack.com/workflows/", Path, 36, 120),
    Kind("hooks.slack.com/triggers/", Path, 36, 120),
    Kind("discord.com/api/webhooks/", Path, 60, 120),
    Kind("discordapp.com/api/webhooks/", Path, 60, 120),
    Kind("webhook.office.com/webhookb2/", Path, 60, 300),
    Kind("SG.", Dotted, 66, 66),
    Kind("key-", Hex, 32, 32),
    Kind("xkeysib-", Url, 80, 82),
    Kind("re_", Url, 32, 36),
    // Payment and trade.
    Kind("sk_live_", Alnum, 16, 250),
    Kind("sk_test_", Alnum, 16, 250),
    Kind("rk_live_", Alnum, 16, 250),
    Kind("rk_test_", Alnum, 16, 250),
    Kind("whsec_", Base64, 24, 80),
    Kind("shpat_", Hex, 32, 32),
    Kind("shpca_", Hex, 32, 32),
    Kind("shppa_", Hex, 32, 32),
    Kind("shpss_", Hex, 32, 32),
    Kind("sq0atp-", Url, 22, 22),
    Kind("sq0csp-", Url, 43, 43),
    Kind("EAAA", Url, 60, 60),
    Kind("access-production-", HexHyphen, 36, 36),
    Kind("shippo_live_", Hex, 40, 40),
    Kind("EZAK", Alnum, 54, 54),
    Kind("FLWSECK-", Url, 32, 64),
    Kind("duffel_live_", Url, 43, 43),
    // Social networks.
    Kind("EAA", Alnum, 90, 400),
    Kind("IGQV", Url, 90, 400),
    // Work and watching.
    Kind("lin_api_", Alnum, 32, 48),
    Kind("lin_oauth_", Alnum, 32, 64),
    Kind("ntn_", Alnum, 40, 50),
    Kind("secret_", Alnum, 43, 43),
    Kind("pat-na1-", HexHyphen, 36, 36),
    Kind("pat-eu1-", HexHyphen, 36, 36),
    Kind("figd_", Url, 38, 48),
    Kind("CFPAT-", Url, 43, 43),
    Kind("NRAK-", Upper, 27, 27),
    Kind("PMAK-", HexHyphen, 59, 59),
    Kind("sntrys_", Mixed, 60, 400),
    Kind("sntryu_", Hex, 64, 64),
    Kind("glsa_", Url, 41, 41),
    Kind("glc_", Base64, 60, 400),
    Kind("dt0c01.", Dotted, 89, 89),
    Kind("phx_", Alnum, 40, 50),
    Kind("sl.u.", Url, 120, 2000),
    Kind("sk.eyJ", Dotted, 60, 300),
    // Files.
    Kind("AGE-SECRET-KEY-1", Upper, 58, 58),
];

const COUNT: usize = 136;

/// The prefixes of all kinds.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it")]
static PREFIXES: [&str; COUNT] = {
    let mut prefixes = [""; COUNT];
    let mut at = 0;
    while at < COUNT {
        prefixes[at] = KINDS[at].0;
        at += 1;
    }
    prefixes
};

/// Whether a key is more than one sign again and again, and no phrase such as
/// `your-token-goes-here`.
fn is_made_at_random(key: &[u8], alphabet: Alphabet) -> bool {
    let has = |is: fn(&u8) -> bool| key.iter().any(is);
    variety(key) >= 6
        && (!alphabet.joins_words()
            || !has(u8::is_ascii_punctuation)
            || has(u8::is_ascii_digit)
            || (has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase)))
}

/// A key with a known prefix.
fn prefixed(spot: &Spot<'_>) -> Option<Range<usize>> {
    if follows_word(spot, spot.at.start) {
        return None;
    }
    let prefix = spot.text.get(spot.at.clone())?;
    let bytes = spot.bytes();
    let start = spot.at.end;
    KINDS
        .iter()
        .filter(|kind| kind.0 == prefix)
        .find_map(|Kind(_, alphabet, least, most)| {
            // Long ones that follow each other would be gone through again and again.
            let within = spot
                .before(spot.at.start)
                .is_some_and(|byte| alphabet.has(byte) && byte != b'/');
            if *most > 400 && within {
                return None;
            }
            let mut end = run(bytes, start, most + 1, |byte| alphabet.has(byte));
            while end > start && spot.before(end) == Some(b'.') {
                end -= 1;
            }
            // A mark that follows a key of full length is not of it.
            if end > start + most
                && spot
                    .before(end)
                    .is_some_and(|byte| !byte.is_ascii_alphanumeric())
            {
                end = start + most;
            }
            let fits = (start + least..=start + most).contains(&end);
            let ends = spot
                .byte(end)
                .is_none_or(|byte| !byte.is_ascii_alphanumeric());
            let key = bytes.get(start..end)?;
            (fits && ends && is_made_at_random(key, *alphabet)).then_some(spot.at.start..end)
        })
}

/// 32 hexadecimal digits, and `-us` with the number of a data centre.
fn mailchimp(spot: &Spot<'_>) -> Option<Range<usize>> {
    let start = spot.at.start.checked_sub(32)?;
    let bytes = spot.bytes();
    let end = run(bytes, spot.at.end, 3, |byte| byte.is_ascii_digit());
    let key = bytes.get(start..spot.at.start)?;
    let numbered = (1..=2).contains(&(end - spot.at.end));
    let ends = spot
        .byte(end)
        .is_none_or(|byte| !byte.is_ascii_alphanumeric());
    (numbered
        && ends
        && key.iter().all(|byte| Hex.has(*byte))
        && variety(key) >= 6
        && !follows_word(spot, start))
    .then_some(start..end)
}

/// The number of a bot, a colon, and 35 letters and digits that begin with `AA`.
fn telegram(spot: &Spot<'_>) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    if bytes.get(spot.at.clone()) != Some(b":AA") {
        return None;
    }
    let before = bytes.get(..spot.at.start)?;
    let digits = before
        .iter()
        .rev()
        .take(12)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let start = spot.at.start - digits;
    let key = spot.at.start + 1;
    let end = run(bytes, key, 36, |byte| Url.has(byte));
    // The address of the service has `bot` before the number.
    let bot = before
        .get(..start)
        .is_some_and(|text| text.ends_with(b"bot"));
    ((8..=10).contains(&digits)
        && end == key + 35
        && variety(bytes.get(key..end)?) >= 6
        && (bot || !follows_word(spot, start)))
    .then_some(start..end)
}

/// Keys without a mark of their own that is long enough to look for.
fn unmarked(spot: &Spot<'_>) -> Option<Range<usize>> {
    let at = value_of_token(spot)?;
    let value = spot.bytes().get(at.clone())?;
    let has = |is: fn(&u8) -> bool| value.iter().any(is);
    match value.len() {
        // Twilio.
        34 => {
            let hex = value
                .strip_prefix(b"SK")
                .or_else(|| value.strip_prefix(b"AC"))?;
            let is_key = hex.iter().all(|byte| Hex.has(*byte)) && variety(hex) >= 6;
            (is_key && is_in_context(spot, &at)).then_some(at)
        }
        // The secret half of an access key of Amazon.
        40 => {
            let is_key = value.iter().all(|byte| Base64.has(*byte) && *byte != b'=')
                && has(u8::is_ascii_digit)
                && has(u8::is_ascii_uppercase)
                && has(u8::is_ascii_lowercase)
                && variety(value) >= 16;
            (is_key && is_in_context(spot, &at)).then_some(at)
        }
        // Airtable: `pat`, 14 letters and digits, a dot, 64 hexadecimal digits.
        82 => {
            let (name, key) = value.strip_prefix(b"pat")?.split_at_checked(14)?;
            let key = key.strip_prefix(b".")?;
            (name.iter().all(|byte| Alnum.has(*byte)) && key.iter().all(|byte| Hex.has(*byte)))
                .then_some(at)
        }
        59..=80 => discord(value).then_some(at),
        _ => None,
    }
}

/// Whether a part of the token is called a secret.
fn is_in_context(spot: &Spot<'_>, at: &Range<usize>) -> bool {
    let part = Spot {
        at: at.clone(),
        ..spot.clone()
    };
    part.is_about(Topic::Secret) || part.is_about(Topic::Password)
}

/// Three parts: the number of a user in base64, a time, a signature.
fn discord(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'.');
    let (Some(user), Some(time), Some(mark), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    // Digits in base64: the first of each four has the upper six bits of a digit.
    let is_number = (22..=28).contains(&user.len())
        && user
            .chunks(4)
            .all(|four| matches!(four.first(), Some(b'M' | b'N' | b'O')));
    is_number
        && time.len() == 6
        && (27..=38).contains(&mark.len())
        && [time, mark]
            .iter()
            .all(|part| part.iter().all(|byte| Url.has(*byte)))
}
