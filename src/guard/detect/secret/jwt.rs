//! JSON web tokens.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::run;
use crate::guard::detect::{Probe, Spot, Trigger};
use crate::policy::content::Detector;

pub(in crate::guard::detect) const PROBES: &[Probe] = &[Probe {
    detector: Detector::Jwt,
    // `{"`, `{ "` and `{` with a line behind it, in base64.
    trigger: Trigger::Mark(&["eyJ", "eyAi", "ewog", "ew0K"]),
    find,
}];

/// Most bytes of a header.
const HEADER: usize = 2048;
/// Most bytes of any other part.
const PART: usize = 64 * 1024;

fn find(spot: &Spot<'_>) -> Option<Range<usize>> {
    let bytes = spot.bytes();
    let start = spot.at.start;
    if !matches!(
        bytes.get(spot.at.clone())?,
        b"eyJ" | b"eyAi" | b"ewog" | b"ew0K"
    ) || super::follows_word(spot, start)
        || matches!(spot.before(start), Some(b'.' | b'/' | b'+' | b'-' | b'_'))
    {
        return None;
    }
    let part = |start: usize, most: usize| {
        run(bytes, start, most, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
        })
    };
    let dot = |at: usize| (spot.byte(at) == Some(b'.')).then_some(at + 1);

    let header = part(start, HEADER);
    let second = dot(header)?;
    let payload = part(second, PART);
    let third = dot(payload)?;
    let decoded = URL_SAFE_NO_PAD.decode(bytes.get(start..header)?).ok()?;
    let fields: Map<String, Value> = serde_json::from_slice(&decoded).ok()?;
    let algorithm = fields.get("alg")?.as_str()?;
    let signature = part(third, PART);

    if fields.contains_key("enc") {
        // An encrypted one has two parts more; the key's may be empty.
        let fifth = part(dot(signature)?, PART);
        let end = part(dot(fifth)?, PART);
        return (end > fifth + 1).then_some(start..end);
    }
    let signed = signature > third || algorithm.eq_ignore_ascii_case("none");
    (payload > second && signed).then_some(start..signature)
}
