//! `/governance/solutions`.

use serde_json::{Map, Value, json};

use super::super::requests::{description, name, nullable};
use super::{Named, Parameter};
use crate::http::governance::solutions::{MOST, SORTS};

pub(super) fn schemas() -> Named {
    let owner = json!({"team": nullable(name()), "owner": nullable(name())});
    let list = |items: Value| json!({"type": ["array", "null"], "maxItems": MOST, "uniqueItems": true, "items": items});
    let solution = json!({
        "name": name(),
        "description": description(),
        "ownership": nullable(super::super::requests::object(&[], owner)),
        "policies": list(super::id("pol_")),
        "models": list(name()),
    });
    let properties: Map<String, Value> = solution.as_object().cloned().unwrap_or_default();
    vec![
        ("NewSolution", super::object(&["name"], properties.clone())),
        ("SolutionChange", super::changes(properties.into())),
    ]
}

pub(super) fn parameters() -> Vec<Parameter> {
    let text = || json!({"type": "string", "pattern": r"^[^\u0000]*$"});
    vec![
        (
            "governance-solutions.search",
            "A part of the name or the description, whatever the case of its letters.",
            text(),
        ),
        ("governance-solutions.team", "The owning team.", text()),
        (
            "governance-solutions.limit",
            "Most solutions of the page.",
            super::limit(),
        ),
        (
            "governance-solutions.offset",
            "How many are left out before the first.",
            super::offset(),
        ),
        (
            "governance-solutions.sort",
            "A field and a direction.",
            super::sort(&SORTS),
        ),
    ]
}
