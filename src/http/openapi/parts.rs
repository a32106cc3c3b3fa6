//! What operations share: parameters, headers, errors, and how a caller is known.

use serde_json::{Map, Value, json};

use super::reference;
use crate::compliance::ResourceType;

pub(super) const REQUEST_ID: &str = "X-Request-Id";
/// The headers of every answer to a request whose key was counted.
pub(super) const ADMITTED: [&str; 4] = [
    REQUEST_ID,
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
];

pub(super) fn info() -> Value {
    json!({
        "title": "syncguard",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "The control plane of syncguard: the gate between a warehouse and \
            everything downstream. Every object belongs to a workspace, and to somebody who is \
            no member of it nothing of it exists.\n\nErrors are \
            `{\"error\": {\"code\", \"message\", \"status\", \"details\"?}}`. An unknown key in \
            a body is refused, and null counts as absent unless it says otherwise.\n\n\
            Beside what is described here, `/proxy/{workspaceId}/{destinationId}/{path}` takes \
            requests of every method, and sends them on to the destination's URL with the \
            records taken out of their body that policies withhold. It takes the permission \
            `syncs.trigger`. With an API key in `X-API-Key`, `Authorization` goes on to the \
            destination. `Syncguard-Model` names the model that the records belong to, where \
            the destination's `config.proxy` does not. The answer is the destination's, with \
            `Syncguard-Forwarded: true` and the counts in `Syncguard-Read`, `-Allowed`, \
            `-Withheld` and `-Policy-Revision`. If no record is left, the destination is not \
            asked: 200 with `Syncguard-Forwarded: false`.",
        "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
    })
}

pub(super) fn tags() -> Value {
    let tags = [
        ("accounts", "Accounts, their API keys, and the caller."),
        ("workspaces", "Workspaces: isolated tenants."),
        ("members", "Who belongs to a workspace, in which role."),
        ("permissions", "The catalog, and what the caller may do."),
        ("roles", "Sets of permissions with a name."),
        ("groups", "Members who share a role and access policies."),
        ("sources", "Warehouse connections."),
        ("models", "What is selected from a source."),
        ("destinations", "Places to send to."),
        ("syncs", "A model bound to a destination."),
        ("runs", "One execution of a sync each."),
        (
            "destination-rules",
            "Destination policies: which records may be sent to a destination type.",
        ),
        (
            "subset-categories",
            "The dimensions along which access policies share records out.",
        ),
        (
            "subsets",
            "Access policies: which records the members of a group may see.",
        ),
        (
            "records",
            "Streams of records through the guard. They are never held as a whole.",
        ),
        (
            "queries",
            "SQL over models: of each, the rows that the caller may see.",
        ),
        (
            "inspection",
            "What policies would do, and why, without sending anything.",
        ),
        (
            "packs",
            "Policies as code: what a pack would change, and applying it.",
        ),
        ("revisions", "The versions of a workspace's policies."),
        (
            "audit",
            "Who changed what, and what was decided about data.",
        ),
        (
            "governance-policies",
            "Compliance: rules over the facts of resources.",
        ),
        (
            "governance-instances",
            "Compliance: policies bound to resources, and their reviews.",
        ),
        (
            "governance-enforcement",
            "Compliance: whether a resource meets its policies now, and figures over all.",
        ),
        (
            "governance-resources",
            "Compliance: what is known of a resource, and where from.",
        ),
        (
            "governance-solutions",
            "Compliance: policies and models that are looked at together.",
        ),
        (
            "governance-snapshots",
            "Compliance: how a solution stood at a moment.",
        ),
        (
            "governance-compliance",
            "Compliance: how solutions stand, and stood.",
        ),
        (
            "governance-attestations",
            "Compliance: what somebody certifies of a snapshot.",
        ),
        (
            "governance-templates",
            "Compliance: policies to be made, for common frameworks.",
        ),
        (
            "content-policies",
            "What no record may contain, in prose. Their errors are \
             `{\"success\": false, \"message\"}`.",
        ),
        (
            "alert-channels",
            "Who is told of what content policies find.",
        ),
        ("process", "What operators ask. No key is needed."),
    ];
    let tag = |(name, about): (&str, &str)| json!({"name": name, "description": about});
    tags.into_iter().map(tag).collect()
}

pub(super) fn security_schemes() -> Value {
    json!({
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key as `Authorization: Bearer KEY`.",
        },
        "api_key": {
            "type": "apiKey",
            "in": "header",
            "name": "X-API-Key",
            "description": "An API key as `X-API-Key: KEY`, if there is no `Authorization`.",
        },
    })
}

/// A parameter in a path, by its name.
pub(super) fn in_path(path: &str, name: &str) -> Value {
    let uuid = || json!({"type": "string", "format": "uuid"});
    let (about, schema) = match name {
        "type" if path.starts_with("/api/v1/governance/resources/") => {
            let kinds = ResourceType::ALL.map(ResourceType::as_str);
            (
                "What the resource is.",
                json!({"type": "string", "enum": kinds}),
            )
        }
        _ if path.starts_with("/api/v1/governance/resources/") => (
            "The object of the catalog, or any other identifier of something outside.",
            json!({"type": "string", "minLength": 1, "maxLength": 200}),
        ),
        _ if path.starts_with("/api/v1/governance/") => (
            "Identifier of the object, with its prefix.",
            json!({"type": "string", "minLength": 1}),
        ),
        "id" => ("The workspace or account.", uuid()),
        "revision" => (
            "Number of the revision.",
            json!({"type": "integer", "minimum": 0, "maximum": u64::MAX}),
        ),
        "destType" => (
            "A destination type such as `facebook_ads`.",
            json!({"type": "string", "minLength": 1}),
        ),
        _ => ("Identifier of the object.", uuid()),
    };
    json!({"name": name, "in": "path", "required": true, "description": about, "schema": schema})
}

/// The parameters in queries and headers: those of queries by tag and name.
pub(super) fn parameters() -> Value {
    let word = || json!({"type": "string", "pattern": "^[A-Za-z0-9._-]+$"});
    let uuid = || json!({"type": "string", "format": "uuid"});
    let time = || json!({"type": "string", "format": "date-time"});
    let number = |least: u64| json!({"type": "integer", "minimum": least, "maximum": u64::MAX});
    let in_query = [
        (
            "audit.format",
            "`ndjson` for one line after the other, as `Accept: application/x-ndjson`.",
            json!({"type": "string", "enum": ["json", "ndjson"]}),
        ),
        (
            "audit.action",
            "An action such as `sync.update`, or a beginning of actions such as `sync.`.",
            word(),
        ),
        (
            "audit.object_kind",
            "A kind of object such as `sync`.",
            word(),
        ),
        ("audit.object_id", "An object.", uuid()),
        ("audit.account_id", "Who did it.", uuid()),
        (
            "audit.revision",
            "The policy revision that was made, or that governed the decision.",
            number(0),
        ),
        ("audit.from", "From this time on.", time()),
        ("audit.to", "Before this time.", time()),
        (
            "audit.after",
            "Only lines after the one with this number.",
            number(0),
        ),
        (
            "audit.limit",
            "Most lines: 100 in JSON without it and at most 1000; in NDJSON as many as wanted.",
            number(1),
        ),
        (
            "inspection.account_id",
            "The account; without one, the caller's.",
            uuid(),
        ),
        (
            "queries.format",
            "The form of the answer, in place of what `Accept` says.",
            json!({"type": "string", "enum": ["json", "ndjson", "csv", "arrow", "parquet"]}),
        ),
        (
            "queries.columns",
            "Names of columns with commas between them; all columns without it.",
            json!({"type": "string", "minLength": 1}),
        ),
        (
            "queries.limit",
            "Most rows; 100 without it.",
            json!({"type": "integer", "minimum": 1, "maximum": 10_000}),
        ),
        (
            "queries.offset",
            "How many rows are passed over.",
            json!({"type": "integer", "minimum": 0, "maximum": 1_000_000_000_000_u64}),
        ),
        (
            "queries.account_id",
            "The account whose rows are looked at, if not the caller's.",
            uuid(),
        ),
        (
            "records.destination_type",
            "The destination type that the records are meant for, such as `facebook_ads`.",
            json!({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,63}$"}),
        ),
        (
            "records.on_invalid",
            "What happens at a record that is not well-formed: the stream ends with an error, as \
             without it, or the record is counted and left out.",
            json!({"type": "string", "enum": ["abort", "reject"]}),
        ),
        (
            "revisions.before",
            "Only revisions before this one.",
            number(0),
        ),
        (
            "revisions.limit",
            "Most revisions; 50 without it.",
            json!({"type": "integer", "minimum": 1, "maximum": 200}),
        ),
    ];
    let mut parameters = Map::new();
    let governance = super::governance::parameters();
    let content = super::content::parameters();
    for (key, about, schema) in in_query.into_iter().chain(governance).chain(content) {
        let name = key.rsplit('.').next();
        let required = ["records.destination_type", "content-policies.orgId"].contains(&key)
            || key.starts_with("governance-enforcement.resource");
        let mut parameter =
            json!({"name": name, "in": "query", "description": about, "schema": schema});
        if let (true, Some(parameter)) = (required, parameter.as_object_mut()) {
            parameter.insert("required".into(), true.into());
        }
        parameters.insert(key.into(), parameter);
    }
    let tags = "^(W/)?\"[!#-~]*\"( *, *(W/)?\"[!#-~]*\")*$";
    let in_header = [
        (
            "If-Match",
            "The `ETag` of the object as it was read, or `*`: otherwise 412.",
            json!({"anyOf": [{"const": "*"}, {"type": "string", "pattern": tags}]}),
        ),
        (
            "If-None-Match",
            "The `ETag` of an answer that the caller has, or `*`: if it is still so, 304.",
            json!({"anyOf": [{"const": "*"}, {"type": "string", "pattern": tags}]}),
        ),
        (
            "Idempotency-Key",
            "A request that is sent again with the same key has its effect once, and the same \
             answer. The API key remembers it for a day.",
            json!({"type": "string", "pattern": "^[!-~]{1,255}$"}),
        ),
    ];
    for (name, about, schema) in in_header {
        parameters.insert(
            name.into(),
            json!({"name": name, "in": "header", "description": about, "schema": schema}),
        );
    }
    parameters.into()
}

pub(super) fn headers() -> Value {
    let text = |pattern: &str| json!({"type": "string", "pattern": pattern});
    let number = || json!({"type": "integer", "minimum": 0});
    let headers = [
        (
            REQUEST_ID,
            true,
            "The id of the request: the caller's, or a new one.",
            text("^[A-Za-z0-9_.:-]{1,128}$"),
        ),
        (
            "RateLimit-Limit",
            true,
            "Requests that the API key may make a second, and at once.",
            number(),
        ),
        (
            "RateLimit-Remaining",
            true,
            "Requests that it may make now.",
            number(),
        ),
        (
            "RateLimit-Reset",
            true,
            "Seconds until it may make as many as ever again.",
            number(),
        ),
        (
            "Retry-After",
            true,
            "Seconds after which to try again.",
            number(),
        ),
        (
            "WWW-Authenticate",
            true,
            "How to say who asks.",
            text("^Bearer$"),
        ),
        (
            "ETag",
            true,
            "Stands for the object as it is answered.",
            text("^\"[0-9a-f]{32}\"$"),
        ),
        (
            "Syncguard-Policy-Revision",
            true,
            "The revision of the workspace's policies that the change made.",
            number(),
        ),
        (
            "queries.ETag",
            false,
            "Stands for the answer, where it is known to stay so as long as nothing changes.",
            text("^\"[0-9a-f]{32}\"$"),
        ),
        (
            "queries.Syncguard-Policy-Revision",
            true,
            "The revision of the workspace's policies that the answer obeys.",
            number(),
        ),
        (
            "Syncguard-Read",
            false,
            "Records that were read. A trailer, unless the answer is short; so are the next.",
            number(),
        ),
        (
            "Syncguard-Allowed",
            false,
            "Records that were let pass.",
            number(),
        ),
        (
            "Syncguard-Withheld",
            false,
            "Records that policies withhold.",
            number(),
        ),
        (
            "Syncguard-Invalid",
            false,
            "Records that are not well-formed and were left out.",
            number(),
        ),
        (
            "Syncguard-Run-Id",
            false,
            "The run, which can be read later. An error has it, too, once there is a run.",
            json!({"type": "string", "format": "uuid"}),
        ),
        (
            "Idempotency-Replayed",
            false,
            "`true` where the answer is that of an earlier request with the same key.",
            text("^true$"),
        ),
    ];
    let headers = headers.into_iter().map(|(name, always, about, schema)| {
        let header = json!({"description": about, "required": always, "schema": schema});
        (name.to_owned(), header)
    });
    Value::Object(headers.collect())
}

/// What a success means, by its status.
pub(super) fn success(status: &str) -> &'static str {
    match status {
        "201" => "It was created.",
        "202" => "It was accepted, and will be done.",
        "204" => "It is done; there is nothing to say.",
        "304" => "The caller has the answer already.",
        _ => "It is so.",
    }
}

/// The errors, by their status.
pub(super) fn responses() -> Value {
    let errors = [
        (
            "400",
            "What was sent is no request: malformed JSON, or a header that cannot be read.",
        ),
        ("401", "There is no API key, or none that works."),
        (
            "403",
            "The caller's role, or the scopes of their key, do not allow it.",
        ),
        ("404", "It does not exist, or not for this caller."),
        (
            "406",
            "The answer comes in none of the types that `Accept` names.",
        ),
        ("408", "The body did not arrive in time, or broke off."),
        (
            "409",
            "The state of things does not allow it now; the message says why.",
        ),
        (
            "412",
            "The object is not what the caller has read: see `If-Match`.",
        ),
        ("413", "The body is too long."),
        (
            "415",
            "The type or the coding of the body is none that the route takes.",
        ),
        (
            "422",
            "Well-formed, but not valid: `details` names every fault and its place.",
        ),
        (
            "429",
            "The API key has made as many requests, or has as many streams or queries open, as it \
             may.",
        ),
        (
            "500",
            "Something went wrong inside; the request id tells the operator more.",
        ),
        (
            "503",
            "Something that is needed does not answer: try again.",
        ),
    ];
    let envelopes = [("", "Error"), ("content.", "ContentError")];
    let described = envelopes.into_iter().flat_map(|(prefix, envelope)| {
        errors.iter().map(move |(status, about)| {
            let about = match (*status, prefix) {
                ("400", "content.") => super::content::MALFORMED,
                _ => *about,
            };
            let response = error_response(status, about, envelope);
            (format!("{prefix}{status}"), response)
        })
    });
    Value::Object(described.collect())
}

/// The answer of an error with this status, in an envelope.
fn error_response(status: &str, about: &str, envelope: &str) -> Value {
    // Whoever has no key was not counted; neither, perhaps, was whom a fault befell.
    let mut names: Vec<&str> = match status {
        "401" | "500" | "503" => vec![REQUEST_ID],
        _ => ADMITTED.to_vec(),
    };
    match status {
        "401" => names.push("WWW-Authenticate"),
        "429" | "503" => names.push("Retry-After"),
        _ => {}
    }
    let named = |name: &str| (name.to_owned(), reference("headers", name));
    let headers: Map<String, Value> = names.into_iter().map(named).collect();
    let content = json!({"application/json": {"schema": reference("schemas", envelope)}});
    json!({"description": about, "headers": headers, "content": content})
}

/// The envelope of every error.
pub(super) fn error() -> Value {
    let codes: &[&str] = &[
        "malformed_request",
        "unauthorized",
        "forbidden",
        "not_found",
        "snapshot_frozen",
        "invalid_transition",
        "method_not_allowed",
        "request_timeout",
        "conflict",
        "duplicate_name",
        "duplicate_instance",
        "policy_in_use",
        "template_in_use",
        "template_not_published",
        "attestation_not_active",
        "precondition_failed",
        "payload_too_large",
        "unsupported_media_type",
        "validation_failed",
        "rate_limited",
        "not_acceptable",
        "syntax_error",
        "undefined_table",
        "undefined_column",
        "undefined_function",
        "type_mismatch",
        "not_supported",
        "statement_not_accepted",
        "too_complex",
        "invalid_parameters",
        "division_by_zero",
        "invalid_cast",
        "numeric_overflow",
        "computation_failed",
        "memory_exceeded",
        "query_timed_out",
        "too_many_rows",
        "not_representable",
        "internal_error",
        "bad_gateway",
        "gateway_timeout",
        "service_unavailable",
    ];
    let detail = json!({
        "type": "object",
        "required": ["path", "message"],
        "additionalProperties": false,
        "properties": {
            "path": {
                "type": "string",
                "description": "JSON path in what was sent, such as `$.filter_tree.value`; \
                    `$query` stands for the parameters.",
            },
            "message": {"type": "string", "description": "What is wrong and what to do about it."},
            "policy_id": {
                "type": "string",
                "format": "uuid",
                "description": "The saved policy that it is about, if not what was sent.",
            },
        },
    });
    let error = json!({
        "type": "object",
        "required": ["code", "message", "status"],
        "additionalProperties": false,
        "properties": {
            "code": {"type": "string", "enum": codes},
            "message": {"type": "string", "description": "For people: what to do about it."},
            "status": {"type": "integer", "description": "The status of the answer."},
            "details": {"type": "array", "minItems": 1, "items": detail},
        },
    });
    json!({
        "type": "object",
        "description": "What every error looks like.",
        "required": ["error"],
        "additionalProperties": false,
        "properties": {"error": error},
    })
}
