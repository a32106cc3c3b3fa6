//! What the handlers accept: the schemas of request bodies, as exact as JSON Schema can be. The
//! handlers read bodies field by field, and refuse what goes beyond it (whether an object exists,
//! whether a policy compiles) with 422.

use serde_json::{Map, Value, json};

use crate::principal::Permissions;

/// Control characters, as the inside of a character class.
pub(super) const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";
/// Blanks other than control characters.
const BLANK: &str = r"\u0020\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";

/// Every schema of a request body, by its name.
pub(super) fn schemas() -> Map<String, Value> {
    let mut schemas = Map::new();
    let parts = [
        accounts(),
        catalog(),
        syncs(),
        principals(),
        policies(),
        inspection(),
    ];
    let parts = parts.into_iter().chain(super::governance::schemas());
    let parts = parts.chain([super::content::schemas()]);
    for (name, schema) in parts.flatten() {
        schemas.insert(name.to_owned(), schema);
    }
    schemas
}

pub(super) type Named = Vec<(&'static str, Value)>;

/// An object that has these properties and no other.
pub(super) fn object(required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object",
        "required": required,
        "additionalProperties": false,
        "properties": properties,
    })
}

/// A name: not only blanks, no control characters.
pub(super) fn name() -> Value {
    let pattern = format!("^[^{CONTROL}]*[^{CONTROL}{BLANK}][^{CONTROL}]*$");
    json!({"type": "string", "minLength": 1, "maxLength": 200, "pattern": pattern})
}

/// A text that is not only blanks.
pub(super) fn text() -> Value {
    let other = format!(r"^[^\u0000]*[^\u0000\t-\r\u0085{BLANK}][^\u0000]*$");
    json!({"type": "string", "minLength": 1, "pattern": other})
}

pub(super) fn id() -> Value {
    json!({"type": "string", "format": "uuid"})
}

/// A value of some type, or null.
pub(super) fn nullable(mut schema: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        if let Some(own) = schema.get("type").cloned() {
            schema.insert("type".into(), json!([own, "null"]));
        }
        if let Some(Value::Array(values)) = schema.get_mut("enum") {
            values.push(Value::Null);
        }
    }
    schema
}

pub(super) fn description() -> Value {
    nullable(json!({"type": "string", "pattern": r"^[^\u0000]*$"}))
}

pub(super) fn switch() -> Value {
    json!({"type": ["boolean", "null"]})
}

pub(super) fn one_of(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

fn accounts() -> Named {
    let part = format!("[^@{CONTROL}{BLANK}]+");
    let email = json!({"type": "string", "maxLength": 200, "pattern": format!("^{part}@{part}$")});
    let picture = json!({
        "type": ["string", "null"],
        "format": "uri",
        "maxLength": 2000,
        "pattern": "^[hH][tT][tT][pP][sS]?:",
    });
    let account = json!({"email": email, "name": name(), "avatar_url": picture});
    let mut scopes = vec!["*".to_owned(), "governance:review".to_owned()];
    let permissions = Permissions::ALL.keys();
    scopes.extend(permissions.iter().map(|key| key.replacen('.', ":", 1)));
    let scope = json!({"type": "string", "enum": scopes});
    let key = json!({
        "name": name(),
        "scopes": {"type": "array", "minItems": 1, "items": scope},
        "expires_at": {
            "type": ["string", "null"],
            "format": "date-time",
            "description": "A time to come; without one the key does not expire.",
        },
    });
    let workspace = json!({"name": name(), "require_destination_policy": switch()});
    vec![
        ("AccountBody", object(&["email", "name"], account)),
        ("NewKey", object(&["name", "scopes"], key)),
        ("WorkspaceBody", object(&["name"], workspace)),
        (
            "NewMember",
            object(
                &["account_id", "role_id"],
                json!({"account_id": id(), "role_id": id()}),
            ),
        ),
        ("MemberBody", object(&["role_id"], json!({"role_id": id()}))),
    ]
}

fn catalog() -> Named {
    let format = nullable(one_of(&["parquet", "csv", "ndjson", "arrow"]));
    let path = text();
    let url = json!({"type": "string", "pattern": "^postgres(ql)?://"});
    let files = object(&["path"], json!({"path": path, "format": format}));
    let sqlite = object(&["path"], json!({"path": path}));
    let postgres = object(&["url"], json!({"url": url}));
    let configs = json!({"anyOf": [files, sqlite, postgres]});
    let source = |kind: &str, config: Value| {
        let properties = json!({"name": name(), "type": one_of(&[kind]), "config": config});
        object(&["name", "type", "config"], properties)
    };
    let sources = json!({
        "oneOf": [source("files", files), source("sqlite", sqlite), source("postgres", postgres)],
    });
    let kinds = nullable(one_of(&["files", "sqlite", "postgres"]));
    let source = json!({"name": name(), "type": kinds, "config": configs});

    // Either a table or a query.
    let model = |one: &str, other: &str| {
        let column = json!({"type": "string", "pattern": r"^[^\u0000]*$"});
        let columns = json!({"type": ["array", "null"], "uniqueItems": true, "items": column});
        let properties = json!({
            "name": name(),
            "source_id": id(),
            one: text(),
            other: {"type": "null"},
            "primary_key": columns,
        });
        object(&["name", "source_id", one], properties)
    };
    let models = json!({"oneOf": [model("table", "sql"), model("sql", "table")]});

    let mut named = vec![
        ("NewSource", sources),
        ("SourceBody", object(&["name", "config"], source)),
        ("ModelBody", models),
    ];
    named.extend(destinations());
    named.extend(alert_channels());
    named
}

fn alert_channels() -> Named {
    let url = json!({"type": "string", "format": "uri", "pattern": "^[hH][tT][tT][pP][sS]?:"});
    let secret = json!({
        "type": ["string", "null"],
        "pattern": "^(whsec_[A-Za-z0-9+/]+=*|\\*{8})$",
        "description": "The key that messages are signed with, as Standard Webhooks has it.",
    });
    let channel = |kind: Value, secret: Value| json!({"name": name(), "type": kind, "url": url, "secret": secret, "enabled": switch()});
    let required = ["name", "type", "url"];
    let webhook = channel(one_of(&["webhook"]), secret.clone());
    let slack = channel(one_of(&["slack"]), json!({"type": "null"}));
    let new = json!({"oneOf": [object(&required, webhook), object(&required, slack)]});
    let kind = nullable(one_of(&["webhook", "slack"]));
    vec![
        ("NewAlertChannel", new),
        (
            "AlertChannelBody",
            object(&["name", "url"], channel(kind, secret)),
        ),
    ]
}

fn destinations() -> Named {
    let filled = || json!({"type": "string", "minLength": 1});
    let formats = nullable(one_of(&["ndjson", "csv", "parquet"]));
    let file = object(&["path"], json!({"path": filled(), "format": formats}));
    let url = json!({"type": "string", "pattern": "^postgres(ql)?://"});
    let table = json!({"type": "string", "pattern": r"^[^.\u0000]+(\.[^.\u0000]+)?$"});
    let postgres = object(&["url", "table"], json!({"url": url, "table": table}));
    let headers = json!({"type": ["object", "null"], "additionalProperties": {"type": "string"}});
    let connector = json!({
        "url": {"type": "string", "format": "uri", "pattern": "^[hH][tT][tT][pP][sS]?:"},
        "batch_size": {"type": ["integer", "null"], "minimum": 1, "maximum": 10_000},
        "secret": nullable(filled()),
        "headers": headers,
        "proxy": proxied(),
    });
    let connector = object(&["url"], connector);
    let configs = json!({"anyOf": [file, postgres, connector]});

    let pace = json!({"type": ["integer", "null"], "minimum": 1, "maximum": u32::MAX});
    let pace = json!({"requests_per_second": pace, "rows_per_second": pace});
    let pace = nullable(object(&[], pace));
    let other = json!({
        "type": "string",
        "pattern": "^[a-z][a-z0-9_]{0,63}$",
        "not": {"enum": ["file", "postgres"]},
    });
    let destination = |kind: Value, config: Value| {
        let properties = json!({
            "name": name(),
            "type": kind,
            "config": config,
            "rate_limit": pace,
        });
        object(&["name", "type", "config"], properties)
    };
    let new = json!({
        "oneOf": [
            destination(one_of(&["file"]), file),
            destination(one_of(&["postgres"]), postgres),
            destination(other, connector),
        ],
    });
    let kind = nullable(destination_type());
    let body = json!({"name": name(), "type": kind, "config": configs, "rate_limit": pace});
    vec![
        ("NewDestination", new),
        ("DestinationBody", object(&["name", "config"], body)),
    ]
}

/// How requests are read that go through us to a destination.
fn proxied() -> Value {
    let pointer = json!({"type": "string", "pattern": r"^/([^~\u0000]|~[01])*$"});
    let field = json!({
        "form_field": {"type": "string", "minLength": 1, "pattern": r"^[^\u0000]*$"},
        "pointer": nullable(pointer.clone()),
    });
    let records = json!({
        "oneOf": [
            object(&["body"], json!({"body": {"const": true}})),
            object(&["pointer"], json!({"pointer": pointer})),
            object(&["form_field"], field),
            {"type": "null"},
        ],
        "description": "Where the records stand in a body: it is them, they are an array in it, \
            or they are in the JSON text of a field of a form.",
    });
    let mut proxied = object(&[], json!({"model_id": nullable(id()), "records": records}));
    if let Some(proxied) = proxied.as_object_mut() {
        let about = "What requests to `/proxy/{workspaceId}/{destinationId}/{path}` hold: records \
                     of this model, whose policies apply, and where.";
        proxied.insert("description".into(), about.into());
    }
    nullable(proxied)
}

fn destination_type() -> Value {
    json!({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"})
}

fn syncs() -> Named {
    let mapped = object(
        &["from", "to"],
        json!({"from": {"type": "string"}, "to": {"type": "string", "minLength": 1}}),
    );
    let schedule = json!({
        "type": ["string", "null"],
        "pattern": r"^[^\u0000]*$",
        "description": "A cron expression of five fields that comes at some time, in UTC.",
    });
    let sync = json!({
        "name": name(),
        "model_id": id(),
        "destination_id": id(),
        "mode": nullable(one_of(&["full", "upsert", "mirror"])),
        "mapping": {"type": ["array", "null"], "minItems": 1, "items": mapped},
        "environment": nullable(one_of(&["development", "staging", "production"])),
        "schedule": schedule,
        "enabled": switch(),
    });
    let required = ["name", "model_id", "destination_id"];
    vec![("SyncBody", object(&required, sync))]
}

fn principals() -> Named {
    let key = json!({"type": "string", "enum": Permissions::ALL.keys()});
    let role = json!({
        "name": name(),
        "description": description(),
        "permissions": {"type": "array", "items": key},
    });
    let group = json!({"name": name(), "description": description(), "role_id": nullable(id())});
    let subsets = json!({"subset_ids": {"type": "array", "items": id()}});
    vec![
        ("NewRole", object(&["name", "permissions"], role.clone())),
        ("RoleChange", object(&[], role)),
        ("NewGroup", object(&["name"], group.clone())),
        ("GroupChange", object(&[], group)),
        (
            "NewGroupMember",
            object(&["account_id"], json!({"account_id": id()})),
        ),
        ("GroupSubsets", object(&["subset_ids"], subsets)),
    ]
}

fn policies() -> Named {
    let tree = super::reference("schemas", "FilterTree");
    let category = json!({
        "name": name(),
        "description": description(),
        "unassigned": nullable(one_of(&["deny", "allow"])),
    });
    let access = json!({
        "name": name(),
        "description": description(),
        "category_id": id(),
        "parent_model_id": nullable(id()),
        "filter_tree": tree,
    });
    let destination = json!({
        "name": name(),
        "description": description(),
        "destination_type": destination_type(),
        "enabled": switch(),
        "parent_model_id": nullable(id()),
        "filter_tree": tree,
    });
    let new_access = ["name", "category_id", "filter_tree"];
    let new_destination = ["name", "destination_type", "filter_tree"];
    vec![
        ("NewAccessCategory", object(&["name"], category.clone())),
        ("AccessCategoryChange", object(&[], category)),
        ("NewAccessPolicy", object(&new_access, access.clone())),
        ("AccessPolicyChange", object(&[], access)),
        (
            "NewAssignment",
            object(&["group_id"], json!({"group_id": id()})),
        ),
        (
            "NewDestinationPolicy",
            object(&new_destination, destination.clone()),
        ),
        ("DestinationPolicyChange", object(&[], destination)),
    ]
}

fn inspection() -> Named {
    let tree = super::reference("schemas", "FilterTree");
    let preview = json!({
        "model_id": id(),
        "destination_type": destination_type(),
        "filter_tree": {
            "description": "A policy to try beside those that are saved.",
            "anyOf": [tree, {"type": "null"}],
        },
        "account_id": nullable(id()),
    });
    let value = json!({"type": ["string", "number", "boolean", "null"]});
    let query = json!({
        "sql": {
            "type": "string",
            "pattern": r"^[^\u0000]*$",
            "description": "A SELECT statement, or EXPLAIN of one, as PostgreSQL writes it.",
        },
        "params": {
            "type": ["array", "null"],
            "items": value,
            "description": "The values of `$1`, `$2`, ...",
        },
        "account_id": nullable(id()),
    });
    let explain = json!({
        "model_id": id(),
        "destination_type": nullable(destination_type()),
        "account_id": nullable(id()),
        "records": {"type": "array", "items": {"type": "object"}},
    });
    let policy = |one: &str, types: Value| {
        let properties = json!({
            "name": name(),
            "description": {"type": "string", "pattern": r"^[^\u0000]*$"},
            "model": {"type": "string", "description": "Name of a model; without one, all."},
            one: types,
            "enabled": {"type": "boolean"},
            "filter_tree": tree,
        });
        object(&["name", "filter_tree", one], properties)
    };
    let types = json!({
        "type": "array",
        "minItems": 1,
        "uniqueItems": true,
        "items": destination_type(),
    });
    let one_type = policy("destination_type", destination_type());
    let several_types = policy("destination_types", types);
    let pack = json!({
        "policies": {
            "type": "array",
            "minItems": 1,
            "items": {"oneOf": [one_type, several_types]},
        },
        "prune": {
            "type": ["boolean", "null"],
            "description": "Whether policies that are not named are deleted.",
        },
        "expected_revision": {
            "type": ["integer", "null"],
            "minimum": 0,
            "maximum": u64::MAX,
            "description": "Refuses to apply to any other revision, with 409.",
        },
    });
    vec![
        ("PackBody", object(&["policies"], pack)),
        ("QueryBody", object(&["sql"], query)),
        (
            "PreviewBody",
            object(&["model_id", "destination_type"], preview),
        ),
        ("ExplainBody", object(&["model_id", "records"], explain)),
    ]
}
