//! As much of JSON Schema as the descriptions of answers use; stricter in one thing: a key that
//! no schema names is a fault.

use std::collections::BTreeSet;

use serde_json::Value;

/// What a value refers to, if it is a reference; null where that is not there.
pub(super) fn follow<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
        return value;
    };
    let pointer = reference
        .strip_prefix('#')
        .expect("a reference within the document");
    document.pointer(pointer).unwrap_or(&Value::Null)
}

/// Where a value is not what a schema describes, and how.
pub(super) fn fault(document: &Value, schema: &Value, value: &Value, path: &str) -> Option<String> {
    let schema = follow(document, schema);
    if let Value::Object(object) = value {
        let mut known = BTreeSet::new();
        let is_open = properties(document, schema, &mut known);
        let unknown = object.keys().find(|key| !known.contains(*key));
        if let Some(key) = unknown.filter(|_| !is_open) {
            return Some(format!("{path}.{key} is not described"));
        }
    }
    conforms(document, schema, value, path)
}

/// Gathers the properties that a schema names; answers whether it lets others be.
fn properties(document: &Value, schema: &Value, known: &mut BTreeSet<String>) -> bool {
    let schema = follow(document, schema);
    let own = schema["properties"].as_object();
    known.extend(own.into_iter().flat_map(|own| own.keys().cloned()));
    let mut parts = 0;
    let mut is_open = false;
    for kind in ["allOf", "anyOf", "oneOf"] {
        for part in schema[kind].as_array().into_iter().flatten() {
            let is_null = part["type"] == "null";
            parts += 1;
            is_open |= !is_null && properties(document, part, known);
        }
    }
    is_open || (own.is_none() && parts == 0)
}

fn conforms(document: &Value, schema: &Value, value: &Value, path: &str) -> Option<String> {
    let schema = follow(document, schema);
    let part = |part: &Value| conforms(document, part, value, path);
    let list = |kind: &str| schema[kind].as_array().cloned().unwrap_or_default();
    if let Some(found) = list("allOf").iter().find_map(part) {
        return Some(found);
    }
    for kind in ["anyOf", "oneOf"] {
        let faults: Vec<_> = list(kind).iter().map(part).collect();
        if !faults.is_empty() && faults.iter().all(Option::is_some) {
            return Some(format!("{path} fits no part: {faults:?}"));
        }
    }
    let types = match &schema["type"] {
        Value::Array(types) => types.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    };
    if !types.is_empty() && !types.iter().any(|name| is_a(value, name)) {
        return Some(format!("{path} is no {types:?}: {value}"));
    }
    if let Some(allowed) = schema["enum"].as_array()
        && !allowed.contains(value)
    {
        return Some(format!("{path} is none of {allowed:?}: {value}"));
    }
    match value {
        Value::Object(object) => {
            let mut required = schema["required"].as_array().into_iter().flatten();
            let there = |key: &&Value| key.as_str().is_some_and(|key| object.contains_key(key));
            if let Some(key) = required.find(|key| !there(key)) {
                return Some(format!("{path} has no {key}"));
            }
            object.iter().find_map(|(key, value)| {
                let property = schema["properties"].get(key)?;
                fault(document, property, value, &format!("{path}.{key}"))
            })
        }
        Value::Array(items) => items.iter().enumerate().find_map(|(i, item)| {
            let items = schema.get("items")?;
            fault(document, items, item, &format!("{path}[{i}]"))
        }),
        _ => None,
    }
}

fn is_a(value: &Value, name: &Value) -> bool {
    match name.as_str().expect("a type's name") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    }
}
