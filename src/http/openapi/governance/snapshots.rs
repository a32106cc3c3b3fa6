//! `/governance/snapshots`.

use serde_json::{Map, json};

use super::super::super::governance::snapshots::SORTS;
use super::{Named, Parameter, id, limit, object, offset, sort, sought};

pub(super) fn schemas() -> Named {
    let properties = Map::from_iter([("solutionId".to_owned(), id("sol_"))]);
    vec![("NewSnapshot", object(&["solutionId"], properties))]
}

pub(super) fn parameters() -> Vec<Parameter> {
    let types = json!({"type": "string", "enum": ["manual", "scheduled", "triggered"]});
    vec![
        (
            "governance-snapshots.solutionId",
            "Only snapshots of this solution.",
            sought(),
        ),
        (
            "governance-snapshots.snapshotType",
            "Only snapshots that were made so.",
            types,
        ),
        (
            "governance-snapshots.frozen",
            "Only snapshots that are frozen, or only those that are not.",
            json!({"type": "boolean"}),
        ),
        (
            "governance-snapshots.limit",
            "Most snapshots of a page.",
            limit(),
        ),
        (
            "governance-snapshots.offset",
            "How many snapshots are passed over.",
            offset(),
        ),
        (
            "governance-snapshots.sort",
            "A field and a direction.",
            sort(SORTS),
        ),
    ]
}
