//! `/governance/templates`.

use serde_json::{Value, json};

use super::super::reference;
use super::super::requests::{description, name, nullable, object, one_of, switch};
use super::{Named, Parameter, limit, offset, sort};

const CATEGORIES: [&str; 5] = [
    "security",
    "compliance",
    "operational",
    "healthcare",
    "financial",
];
const SEVERITIES: [&str; 4] = ["critical", "high", "medium", "low"];
const RESOURCE_TYPES: [&str; 4] = ["addon", "app", "workflow", "model"];

fn words() -> Value {
    let word = json!({
        "type": "string",
        "minLength": 1,
        "maxLength": 100,
        "pattern": r"^[^\u0000]*$",
    });
    json!({"type": ["array", "null"], "items": word})
}

pub(super) fn schemas() -> Named {
    let template = json!({
        "name": name(),
        "category": one_of(&CATEGORIES),
        "policyDefinition": reference("schemas", "PolicyDefinition"),
        "description": description(),
        "targetResourceTypes": {"type": ["array", "null"], "items": one_of(&RESOURCE_TYPES)},
        "complianceFrameworks": words(),
        "tags": words(),
        "isPublic": switch(),
    });
    let required = ["name", "category", "policyDefinition"];
    let using = json!({
        "name": nullable(name()),
        "description": description(),
        "severity": nullable(one_of(&SEVERITIES)),
    });
    let rating = json!({"type": "integer", "minimum": 1, "maximum": 5});
    let review = json!({"rating": rating, "comment": description()});
    vec![
        ("NewTemplate", object(&required, template.clone())),
        ("TemplateChange", super::changes(template)),
        ("TemplateUse", object(&[], using)),
        ("NewReview", object(&["rating"], review)),
    ]
}

pub(super) fn parameters() -> Vec<Parameter> {
    vec![
        (
            "governance-templates.search",
            "A part of the name or of the description, whatever the case of its letters.",
            json!({"type": "string", "pattern": r"^[^\u0000]*$"}),
        ),
        (
            "governance-templates.category",
            "What they are about.",
            one_of(&CATEGORIES),
        ),
        (
            "governance-templates.resourceType",
            "A type that their policies are for.",
            one_of(&RESOURCE_TYPES),
        ),
        (
            "governance-templates.verified",
            "Whether they came with syncguard.",
            json!({"type": "boolean"}),
        ),
        (
            "governance-templates.framework",
            "A framework such as `soc2`, `hipaa`, `gdpr`, `iso27001` or `pci-dss`.",
            json!({"type": "string", "pattern": r"^[^\u0000]*$"}),
        ),
        (
            "governance-templates.limit",
            "Most templates of a page.",
            limit(),
        ),
        (
            "governance-templates.offset",
            "How many templates are passed over.",
            offset(),
        ),
        (
            "governance-templates.sort",
            "The order of the list.",
            sort(&[
                "createdAt",
                "updatedAt",
                "name",
                "category",
                "averageRating",
            ]),
        ),
    ]
}
