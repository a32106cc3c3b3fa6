//! `/governance/enforcement`, and overrides.

use serde_json::json;

use super::{Named, Parameter};
use crate::compliance::ResourceType;

pub(super) fn schemas() -> Named {
    let properties = json!({
        "reason": super::super::requests::text(),
        "expiresAt": {
            "type": "string",
            "format": "date-time",
            "description": "In the future, and at most 90 days ahead.",
        },
    });
    let required = ["reason", "expiresAt"];
    vec![(
        "NewOverride",
        super::super::requests::object(&required, properties),
    )]
}

pub(super) fn parameters() -> Vec<Parameter> {
    let kinds = ResourceType::ALL.map(ResourceType::as_str);
    vec![
        (
            "governance-enforcement.resourceId",
            "The resource: the UUID of an object of the catalog, or whatever id something outside \
             has.",
            json!({"type": "string", "minLength": 1, "pattern": r"^[^\u0000]*$"}),
        ),
        (
            "governance-enforcement.resourceType",
            "What it is: a source, a destination, a sync or a model.",
            json!({"type": "string", "enum": kinds}),
        ),
        (
            "governance-enforcement.environment",
            "Tells what follows for syncs of this environment.",
            json!({"type": "string", "enum": ["development", "staging", "production"]}),
        ),
    ]
}
