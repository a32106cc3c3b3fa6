//! `/governance/attestations`.

use serde_json::{Map, Value, json};

use super::super::requests::object;
use super::{Named, Parameter};
use crate::compliance::AttestationType;
use crate::http::governance::attestations::SORTS;

pub(super) fn schemas() -> Named {
    let words = AttestationType::ALL.map(AttestationType::as_str);
    let text = || json!({"type": ["string", "null"], "pattern": r"^[^\u0000]*$"});
    let url = json!({
        "type": ["string", "null"],
        "format": "uri",
        "maxLength": 2000,
        "pattern": r"^[hH][tT][tT][pP][sS]?://[^/?#\\@\s]+([/?#\\][^\s\u0000-\u001f]*)?$",
        "description": "Without a user name or password.",
    });
    let mut evidence = object(&[], json!({"documentUrl": url, "notes": text()}));
    if let Some(evidence) = evidence.as_object_mut() {
        evidence.insert("type".into(), json!(["object", "null"]));
    }
    let expiration = json!({
        "type": ["string", "null"],
        "anyOf": [{"format": "date-time"}, {"format": "date"}],
        "description": "A time, or a date, at whose beginning (UTC) the \
            attestation ends; without one it does not end.",
    });
    let new = json!({
        "snapshotId": super::id("snap_"),
        "type": {"type": "string", "enum": words},
        "evidence": evidence,
        "expiration": expiration,
    });
    let mut reason = Map::new();
    reason.insert("reason".into(), text());
    vec![
        ("NewAttestation", object(&["snapshotId", "type"], new)),
        ("AttestationRevocation", super::object(&[], reason)),
    ]
}

pub(super) fn parameters() -> Vec<Parameter> {
    let words = AttestationType::ALL.map(AttestationType::as_str);
    let word: Value = json!({"type": "string", "enum": words});
    vec![
        (
            "governance-attestations.solutionId",
            "Those of this solution.",
            super::sought(),
        ),
        (
            "governance-attestations.snapshotId",
            "Those of this snapshot.",
            super::sought(),
        ),
        (
            "governance-attestations.type",
            "Those that certify this.",
            word,
        ),
        (
            "governance-attestations.revoked",
            "Those that somebody took back, or the others.",
            json!({"type": "boolean"}),
        ),
        (
            "governance-attestations.limit",
            "Most objects of the page.",
            super::limit(),
        ),
        (
            "governance-attestations.offset",
            "How many to leave out before the first.",
            super::offset(),
        ),
        (
            "governance-attestations.sort",
            "Their order.",
            super::sort(&SORTS),
        ),
    ]
}
