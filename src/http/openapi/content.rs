//! What the handlers of `/policy` accept, and the envelope of their errors.

use serde_json::{Value, json};

use super::governance::Parameter;
use super::requests::{Named, id, name, nullable, object, one_of, text};
use crate::http::content::policies::MOST_CONTENT;

/// What 400 means here.
pub(super) const MALFORMED: &str =
    "What was sent is no request, or is not valid: the message names every fault.";

/// The envelope of every error.
pub(super) fn error() -> Value {
    let message = json!({
        "type": "string",
        "description": "For people: everything that is wrong, and what to do about it.",
    });
    let mut error = object(
        &["success", "message"],
        json!({"success": {"type": "boolean", "enum": [false]}, "message": message}),
    );
    if let Some(error) = error.as_object_mut() {
        let about = "What every error about content policies looks like.";
        error.insert("description".into(), about.into());
    }
    error
}

/// What a policy says. It is up to the handler whether that can be understood.
fn content() -> Value {
    let mut content = text();
    if let Some(content) = content.as_object_mut() {
        content.insert("maxLength".into(), MOST_CONTENT.into());
        let about = "What no record may contain, in English. Lines `columns: a, b` name the only \
            columns that are looked at, and lines `match: /.../` are regular expressions. A \
            policy that blocks must name something that can be found.";
        content.insert("description".into(), about.into());
    }
    content
}

/// Every schema of a request body, by its name.
pub(super) fn schemas() -> Named {
    let risk = || one_of(&["LOW", "MEDIUM", "HIGH"]);
    let action = || {
        json!({
            "type": "integer",
            "enum": [0, 1, 2],
            "description": "What happens where it finds something: 0 logs, 1 alerts, 2 blocks.",
        })
    };
    let organization = json!({"type": "string", "pattern": "^org_[0-9a-f]{32}$"});
    let workspace = json!({"workspaceId": id(), "repoId": nullable(id())});
    let all = json!({"workspaceId": {"type": "null"}, "repoId": {"type": "null"}});
    let new = |scope: Value, required: &[&str]| {
        let mut properties = json!({
            "orgId": organization,
            "name": name(),
            "content": content(),
            "riskType": risk(),
            "actionType": action(),
        });
        if let (Some(properties), Value::Object(scope)) = (properties.as_object_mut(), scope) {
            properties.extend(scope);
        }
        object(required, properties)
    };
    let of_organization = ["orgId", "name", "content", "riskType", "actionType"];
    let of_workspace = [
        "orgId",
        "workspaceId",
        "name",
        "content",
        "riskType",
        "actionType",
    ];
    let fixed = |about: &str| json!({"type": ["string", "null"], "description": about});
    let change = json!({
        "name": nullable(name()),
        "content": nullable(content()),
        "riskType": nullable(risk()),
        "actionType": nullable(action()),
        "orgId": fixed("If sent, what the policy has already; so are the next two."),
        "workspaceId": fixed("Does not change."),
        "repoId": fixed("Does not change."),
    });
    vec![
        (
            "NewContentPolicy",
            json!({"oneOf": [new(workspace, &of_workspace), new(all, &of_organization)]}),
        ),
        ("ContentPolicyChange", object(&[], change)),
    ]
}

/// Every parameter of a query.
pub(super) fn parameters() -> Vec<Parameter> {
    let time = || json!({"type": "string", "format": "date-time"});
    vec![
        (
            "content-policies.orgId",
            "The organisation, as `/api/v1/me` names it.",
            json!({"type": "string", "minLength": 1}),
        ),
        (
            "content-policies.workspaceId",
            "A workspace: its own policies in place of the organisation's.",
            id(),
        ),
        (
            "content-policies.repoId",
            "A source of that workspace: its own policies. It takes `workspaceId` as well.",
            id(),
        ),
        (
            "content-policies.effective",
            "Whether the policies of the levels above are answered as well.",
            json!({"type": "boolean"}),
        ),
        (
            "content-findings.orgId",
            "The organisation.",
            json!({"type": "string"}),
        ),
        (
            "content-findings.workspaceId",
            "Only of this workspace.",
            id(),
        ),
        ("content-findings.repoId", "Only of this source.", id()),
        ("content-findings.from", "From this time on.", time()),
        ("content-findings.to", "Up to this time.", time()),
        (
            "content-findings.skip",
            "How many are passed over.",
            json!({"type": "integer", "minimum": 0, "maximum": 1_u64 << 53}),
        ),
        (
            "content-findings.take",
            "Most that are answered; 20 without it.",
            json!({"type": "integer", "minimum": 1, "maximum": 100}),
        ),
    ]
}
