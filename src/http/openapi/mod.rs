//! `/openapi.json`: what this server answers, as OpenAPI 3.1.
//!
//! The operations come from the router, which is built of the same list, and the objects that are
//! answered from the types that are written. What all operations share is added here, once: how a
//! caller is known, the identifiers in paths, the headers, and the errors. What the handlers
//! accept stands in [`requests`].

use axum::Extension;
use axum::body::Bytes;
use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use super::content::envelope::is_content;

mod content;
mod governance;
mod parts;
mod requests;

/// The document, as it is served.
#[derive(Clone, Debug)]
pub(crate) struct Document(Bytes);

/// This description of the API. It takes no key.
#[utoipa::path(
    get, path = "/openapi.json", tag = "process",
    responses((status = 200, body = Object)),
)]
pub(crate) async fn get_openapi(
    Extension(Document(text)): Extension<Document>,
) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], text)
}

/// The document of the operations that a router has, with what they share.
pub(crate) fn document(operations: utoipa::openapi::OpenApi) -> Document {
    let mut document = json!(operations);
    if let Some(root) = document.as_object_mut() {
        root.insert("info".into(), parts::info());
        root.insert("tags".into(), parts::tags());
        root.insert("security".into(), json!([{"bearer": []}, {"api_key": []}]));
        for (path, item) in members(root, "paths") {
            for (method, operation) in item.as_object_mut().into_iter().flatten() {
                if let Some(operation) = operation.as_object_mut() {
                    complete(operation, method, path);
                }
            }
        }
        let components = root.entry("components").or_insert_with(|| json!({}));
        if let Some(components) = components.as_object_mut() {
            let schemas = components.entry("schemas").or_insert_with(|| json!({}));
            if let Some(schemas) = schemas.as_object_mut() {
                schemas.extend(requests::schemas());
                schemas.insert("Error".into(), parts::error());
                schemas.insert("ContentError".into(), content::error());
            }
            components.insert("parameters".into(), parts::parameters());
            components.insert("headers".into(), parts::headers());
            components.insert("responses".into(), parts::responses());
            components.insert("securitySchemes".into(), parts::security_schemes());
        }
    }
    // The words of the code are not those of JSON.
    Document(document.to_string().replace("`None`", "null").into())
}

/// The members of an object within an object.
fn members<'a>(
    object: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = (&'a String, &'a mut Value)> {
    let inner = object.get_mut(key).and_then(Value::as_object_mut);
    inner.into_iter().flatten()
}

fn reference(kind: &str, name: &str) -> Value {
    json!({"$ref": format!("#/components/{kind}/{name}")})
}

/// Adds to an operation what it shares with others.
fn complete(operation: &mut Map<String, Value>, method: &str, path: &str) {
    if let Some(Value::String(summary)) = operation.get_mut("summary") {
        *summary = summary.replace('\n', " ");
    }
    let is_content = is_content(path);
    let takes_key = path.starts_with("/api/") || is_content;
    if !takes_key {
        operation.insert("security".into(), json!([]));
    }
    let mut errors = Vec::new();
    if takes_key {
        errors.extend([401, 429, 500, 503]);
    }
    if path == "/readyz" {
        errors.push(503);
    }
    if operation.get("x-permission").is_some_and(Value::is_string) {
        errors.push(403);
    }

    let in_path = path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next());
    let mut parameters: Vec<Value> = in_path.map(|name| parts::in_path(path, name)).collect();
    if !parameters.is_empty() {
        errors.push(404);
    }
    let tag = operation.get("tags").and_then(|tags| tags.get(0));
    let tag = tag.and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_governance = tag.starts_with("governance-");
    let named = operation.get("parameters").and_then(Value::as_array);
    for parameter in named.into_iter().flatten() {
        let name = parameter.get("name").and_then(Value::as_str);
        let name = name.unwrap_or_default();
        match parameter.get("in").and_then(Value::as_str) {
            Some("query") => {
                // Parameters that are not valid make a request for governance, or for content
                // policies, malformed.
                errors.push(match is_governance || is_content {
                    true => 400,
                    false => 422,
                });
                // What policies found is asked for otherwise than the policies.
                let finds = path.ends_with("/violations") || path.ends_with("/alerts");
                let group = match is_content && finds {
                    true => "content-findings",
                    false => tag.as_str(),
                };
                parameters.push(reference("parameters", &format!("{group}.{name}")));
            }
            _ => {
                errors.push(400);
                if name == "If-Match" {
                    errors.push(412);
                }
                parameters.push(reference("parameters", name));
            }
        }
    }
    // What a new object is about may not be there, nor what is asked after.
    let asks_after = path.ends_with("/check") || path.ends_with("/history");
    if is_governance && (method == "post" || asks_after) {
        errors.push(404);
    }
    let is_stream = tag == "records";
    let is_query = tag == "queries";
    if is_stream {
        errors.extend([409, 415]);
    }
    if is_query {
        errors.extend([400, 406, 409, 422]);
    }
    match method {
        // A stream is read by nobody but its handler.
        "post" if is_stream => {}
        "post" if is_query => errors.push(415),
        // A repeated request is read before its handler does.
        "post" => {
            parameters.push(reference("parameters", "Idempotency-Key"));
            errors.extend([400, 408, 409, 413, 422]);
        }
        // Somebody else may change the object at the same time.
        "put" | "delete" => errors.push(409),
        _ => {}
    }
    if is_content {
        // What is not valid is malformed here, an identifier as well; and what a policy is to be
        // for may not be there.
        errors.retain(|status| *status != 422);
        errors.extend([400, 404]);
    }
    if !parameters.is_empty() {
        operation.insert("parameters".into(), parameters.into());
    }
    if let Some(body) = operation
        .get_mut("requestBody")
        .and_then(Value::as_object_mut)
    {
        // No bytes are a stream without records, in some formats; and the steps of a review need
        // not be explained.
        let steps = ["/approve", "/deny", "/revoke", "/use"];
        let may_be_left_out =
            is_stream || is_governance && steps.iter().any(|step| path.ends_with(step));
        body.insert("required".into(), (!may_be_left_out).into());
        errors.extend([400, 408, 413]);
        if !is_content {
            errors.push(422);
        }
    }

    for (status, response) in members(operation, "responses") {
        let Some(response) = response.as_object_mut() else {
            continue;
        };
        response.insert("description".into(), parts::success(status).into());
        let mut headers = Map::new();
        let named: Vec<String> = members(response, "headers")
            .map(|(name, _)| name.clone())
            .collect();
        let shared: &[&str] = match takes_key {
            true => &parts::ADMITTED,
            false => &[parts::REQUEST_ID],
        };
        for name in named
            .iter()
            .map(String::as_str)
            .chain(shared.iter().copied())
        {
            let own = is_query && named.iter().any(|named| named == name);
            let component = match own {
                true => format!("queries.{name}"),
                false => name.to_owned(),
            };
            headers.insert(name.into(), reference("headers", &component));
        }
        if method == "post" && takes_key && !is_stream && !is_query {
            let replayed = "Idempotency-Replayed";
            headers.insert(replayed.into(), reference("headers", replayed));
        }
        response.insert("headers".into(), headers.into());
    }
    let responses = operation.entry("responses").or_insert_with(|| json!({}));
    if let Some(responses) = responses.as_object_mut() {
        errors.sort_unstable();
        for status in errors {
            let component = match is_content {
                true => format!("content.{status}"),
                false => status.to_string(),
            };
            responses.insert(status.to_string(), reference("responses", &component));
        }
    }
}
