//! `/governance/resources`.

use serde_json::json;

use super::{Named, Parameter};

pub(super) fn schemas() -> Named {
    let scalar = json!({"type": ["string", "number", "boolean"], "maxLength": 1000});
    let list = json!({"type": "array", "maxItems": 200, "items": scalar});
    let nested = json!({"$ref": "#/components/schemas/ResourceAttributes"});
    let attributes = json!({
        "type": "object",
        "description": "Facts as nested objects or dotted keys; null removes a fact and what \
            stands below it.",
        "propertyNames": {"pattern": r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"},
        "additionalProperties": {"anyOf": [{"type": "null"}, scalar, list, nested]},
    });
    let mut body = serde_json::Map::new();
    body.insert("attributes".into(), nested);
    vec![
        ("ResourceAttributes", attributes),
        ("ResourceBody", super::object(&["attributes"], body)),
    ]
}

pub(super) fn parameters() -> Vec<Parameter> {
    Vec::new()
}
