//! `/governance/policies`.

use serde_json::{Value, json};

use super::super::requests::{description, name, object, one_of, switch};
use super::{Named, Parameter, limit, offset, sort};
use crate::compliance::Operator;
use crate::compliance::rule::{MOST_OF_A_FIELD, MOST_RULES};
use crate::http::governance::policies::SORTS;

const STATUSES: [&str; 3] = ["active", "draft", "archived"];
const CATEGORIES: [&str; 4] = ["security", "compliance", "operational", "data"];
const SEVERITIES: [&str; 4] = ["critical", "high", "medium", "low"];

/// The schema of rules as they are sent.
pub(super) fn rules() -> Value {
    let rule = json!({
        "field": {
            "type": "string",
            "maxLength": MOST_OF_A_FIELD,
            "pattern": r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$",
            "description": "The dotted path of a fact, such as `encryption.atRest`.",
        },
        "operator": {"type": "string", "enum": Operator::ALL.map(Operator::as_str)},
        "value": {
            "description": "What the fact is compared with: for `in` and `not_in` a non-empty \
                array, for `between` `[low, high]`, for `gt`, `gte`, `lt` and `lte` a number or a \
                version such as `\"1.2\"`, for `matches` a regular expression; none for `exists` \
                and `not_exists`.",
        },
    });
    let rule = object(&["field", "operator"], rule);
    json!({"type": "array", "maxItems": MOST_RULES, "items": rule})
}

fn word(words: &[&str]) -> Value {
    super::super::requests::nullable(one_of(words))
}

pub(super) fn schemas() -> Named {
    let rules = || super::super::requests::nullable(rules());
    let status = || {
        let mut status = word(&STATUSES);
        if let Some(status) = status.as_object_mut() {
            let about = "Without it a policy is active, or a draft where it is not switched on. \
                Only an active policy can be switched on.";
            status.insert("description".into(), about.into());
        }
        status
    };
    let new = json!({
        "name": name(),
        "description": description(),
        "category": one_of(&CATEGORIES),
        "severity": one_of(&SEVERITIES),
        "rules": rules(),
        "status": status(),
        "isActive": switch(),
    });
    let change = json!({
        "name": name(),
        "description": description(),
        "category": word(&CATEGORIES),
        "severity": word(&SEVERITIES),
        "rules": rules(),
        "status": status(),
        "isActive": switch(),
    });
    let yaml = json!({
        "type": "string",
        "pattern": r"^[^\u0000]*$",
        "description": "A policy as YAML, with the keys that a new policy has.",
    });
    vec![
        (
            "NewGovernancePolicy",
            object(&["name", "category", "severity"], new),
        ),
        ("GovernancePolicyChange", super::changes(change)),
        (
            "GovernancePolicyImport",
            object(&["yaml"], json!({"yaml": yaml})),
        ),
    ]
}

pub(super) fn parameters() -> Vec<Parameter> {
    vec![
        (
            "governance-policies.search",
            "In the name or the description, whatever the case of the letters.",
            json!({"type": "string", "pattern": r"^[^\u0000]*$"}),
        ),
        (
            "governance-policies.status",
            "Where they stand.",
            one_of(&STATUSES),
        ),
        (
            "governance-policies.category",
            "What they are about.",
            one_of(&CATEGORIES),
        ),
        (
            "governance-policies.isActive",
            "Whether they are switched on.",
            json!({"type": "boolean"}),
        ),
        ("governance-policies.limit", "Most policies.", limit()),
        (
            "governance-policies.offset",
            "How many policies are passed over.",
            offset(),
        ),
        (
            "governance-policies.sort",
            "The field and the direction of the order; `severity:desc` begins with critical.",
            sort(&SORTS),
        ),
    ]
}
