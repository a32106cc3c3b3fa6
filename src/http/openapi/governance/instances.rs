//! `/governance/instances`.

use serde_json::{Map, Value, json};

use super::super::requests;
use super::{Named, Parameter, id, limit, object, offset, sort};
use crate::compliance::ResourceType;
use crate::http::governance::instances::{
    LONGEST_CONDITION, LONGEST_ID, LONGEST_TEXT, MOST_CONDITIONS, SORTS,
};

pub(super) fn schemas() -> Named {
    vec![
        (
            "NewPolicyInstance",
            object(
                &["policyId", "resourceId", "resourceType"],
                properties([
                    ("policyId", id("pol_")),
                    ("resourceId", resource_id()),
                    ("resourceType", resource_type()),
                ]),
            ),
        ),
        (
            "PolicyInstanceApproval",
            object(
                &[],
                properties([
                    ("comment", requests::nullable(remark(LONGEST_TEXT))),
                    (
                        "conditions",
                        requests::nullable(json!({
                            "type": "array",
                            "items": remark(LONGEST_CONDITION),
                            "maxItems": MOST_CONDITIONS,
                        })),
                    ),
                ]),
            ),
        ),
        (
            "PolicyInstanceDenial",
            object(
                &[],
                properties([
                    ("reason", requests::nullable(remark(LONGEST_TEXT))),
                    ("remediation", requests::nullable(remark(LONGEST_TEXT))),
                ]),
            ),
        ),
        (
            "NewPolicyInstanceComment",
            object(
                &["comment"],
                properties([("comment", remark(LONGEST_TEXT))]),
            ),
        ),
    ]
}

pub(super) fn parameters() -> Vec<Parameter> {
    let statuses = ["pending", "submitted", "approved", "denied"];
    vec![
        (
            "governance-instances.policyId",
            "Only those of this policy.",
            super::sought(),
        ),
        (
            "governance-instances.status",
            "Only those that stand here in their review.",
            json!({"type": "string", "enum": statuses}),
        ),
        (
            "governance-instances.resourceType",
            "Only those of resources of this type.",
            resource_type(),
        ),
        (
            "governance-instances.resourceId",
            "Only those of this resource.",
            json!({"type": "string", "pattern": r"^[^\u0000]*$"}),
        ),
        ("governance-instances.limit", "Most objects.", limit()),
        (
            "governance-instances.offset",
            "How many to leave out before the first.",
            offset(),
        ),
        (
            "governance-instances.sort",
            "The field that they are sorted by, and the direction. What lacks it comes last.",
            sort(&SORTS),
        ),
    ]
}

fn properties<const N: usize>(properties: [(&str, Value); N]) -> Map<String, Value> {
    let properties = properties.into_iter();
    properties
        .map(|(key, schema)| (key.to_owned(), schema))
        .collect()
}

fn resource_type() -> Value {
    let words = ResourceType::ALL.map(ResourceType::as_str);
    json!({"type": "string", "enum": words})
}

fn resource_id() -> Value {
    let pattern = format!("^[^{}]*$", requests::CONTROL);
    json!({"type": "string", "minLength": 1, "maxLength": LONGEST_ID, "pattern": pattern})
}

/// What somebody wrote: not only blanks.
fn remark(longest: usize) -> Value {
    let mut text = requests::text();
    if let Some(text) = text.as_object_mut() {
        text.insert("maxLength".to_owned(), longest.into());
    }
    text
}
