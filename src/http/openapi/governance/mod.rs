//! What the handlers of `/governance` accept: request bodies and query parameters, one file per
//! noun.

use serde_json::{Map, Value, json};

use super::requests::Named;

mod attestations;
mod compliance;
mod enforcement;
mod instances;
mod policies;
mod resources;
mod snapshots;
mod solutions;
mod templates;

/// A parameter of a query: its tag and name, what it is, and its schema.
pub(super) type Parameter = (&'static str, &'static str, Value);

/// Every schema of a request body, by its name.
pub(super) fn schemas() -> Vec<Named> {
    vec![
        policies::schemas(),
        instances::schemas(),
        enforcement::schemas(),
        resources::schemas(),
        solutions::schemas(),
        snapshots::schemas(),
        compliance::schemas(),
        attestations::schemas(),
        templates::schemas(),
    ]
}

/// Every parameter of a query.
pub(super) fn parameters() -> Vec<Parameter> {
    let parts = [
        policies::parameters(),
        instances::parameters(),
        enforcement::parameters(),
        resources::parameters(),
        solutions::parameters(),
        snapshots::parameters(),
        compliance::parameters(),
        attestations::parameters(),
        templates::parameters(),
    ];
    parts.into_iter().flatten().collect()
}

/// `limit`, `offset` and `sort`: the schemas that all lists share. `sort` names the fields that
/// the list can be sorted by.
fn limit() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 20})
}

fn offset() -> Value {
    json!({"type": "integer", "minimum": 0, "maximum": 1_u64 << 53, "default": 0})
}

fn sort(fields: &[&str]) -> Value {
    let words: Vec<String> = fields
        .iter()
        .flat_map(|field| [format!("{field}:asc"), format!("{field}:desc")])
        .collect();
    json!({"type": "string", "enum": words, "default": "createdAt:desc"})
}

/// An identifier to look for. Any other text names nothing.
fn sought() -> Value {
    json!({"type": "string"})
}

/// An identifier with its prefix.
fn id(prefix: &str) -> Value {
    json!({"type": "string", "pattern": format!("^{prefix}[0-9a-f]{{32}}$")})
}

/// The changes of an object: any of these properties, and null is as if it had not been sent.
fn changes(properties: Value) -> Value {
    let mut properties = match properties {
        Value::Object(properties) => properties,
        _ => Map::new(),
    };
    for (_, schema) in &mut properties {
        let is_reference = schema.get("$ref").is_some();
        let takes_null = schema.get("type").is_some_and(Value::is_array);
        if is_reference {
            *schema = json!({"anyOf": [schema, {"type": "null"}]});
        } else if !takes_null {
            *schema = super::requests::nullable(schema.clone());
        }
    }
    object(&[], properties)
}

/// An object that has these properties and no other.
fn object(required: &[&str], properties: Map<String, Value>) -> Value {
    super::requests::object(required, properties.into())
}
