//! Template packs: the policy templates that come with syncguard, as YAML files under
//! `rules/templates/`.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::{
    OrganizationId, PolicyDefinition, ResourceType, Severity, Template, TemplateCategory,
    TemplateId, rule,
};
use crate::policy::{Fault, pack};

/// The organisation whose templates these are.
pub const SYNCGUARD: OrganizationId = OrganizationId(Uuid::nil());

/// The packs, by the names of their files.
const PACKS: [(&str, &str); 5] = [
    ("gdpr", include_str!("../../rules/templates/gdpr.yaml")),
    ("hipaa", include_str!("../../rules/templates/hipaa.yaml")),
    (
        "pci-dss",
        include_str!("../../rules/templates/pci-dss.yaml"),
    ),
    ("soc2", include_str!("../../rules/templates/soc2.yaml")),
    (
        "iso27001",
        include_str!("../../rules/templates/iso27001.yaml"),
    ),
];

/// A pack as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pack {
    version: u64,
    templates: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Entry {
    name: String,
    description: String,
    category: TemplateCategory,
    target_resource_types: Vec<ResourceType>,
    compliance_frameworks: Vec<String>,
    tags: Vec<String>,
    policy_definition: Definition,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    severity: Severity,
    rules: Value,
}

/// The templates of all packs, as new ones of a time: verified, published and for everybody.
///
/// # Errors
///
/// Every fault of every pack, and names that come twice, whichever packs they are in.
pub fn all(now: DateTime<Utc>) -> Result<Vec<Template>, Vec<Fault>> {
    let (mut templates, mut faults) = (Vec::new(), Vec::new());
    for (file, text) in PACKS {
        match read(text, now) {
            Ok(pack) => templates.extend(pack),
            Err(of_pack) => faults.extend(of_pack.into_iter().map(|fault| {
                let path = format!("{file}.yaml: {}", fault.path);
                Fault::new(path, fault.message)
            })),
        }
    }
    let mut names = HashSet::new();
    for template in &templates {
        if !names.insert(&template.name) {
            let message = format!("the name {:?} comes twice", template.name);
            faults.push(Fault::new("rules/templates", message));
        }
    }
    match faults.is_empty() {
        true => Ok(templates),
        false => Err(faults),
    }
}

/// Reads the text of a pack.
///
/// # Errors
///
/// Every fault of its rules, or the first of its form.
pub fn read(text: &str, now: DateTime<Utc>) -> Result<Vec<Template>, Vec<Fault>> {
    let document = pack::read_yaml(text)?;
    let pack: Pack = serde_json::from_value(document)
        .map_err(|error| vec![Fault::new("$", error.to_string())])?;
    let mut faults = Vec::new();
    if pack.version != 1 {
        faults.push(Fault::new("$.version", "expected 1"));
    }
    let mut templates = Vec::new();
    for (i, entry) in pack.templates.into_iter().enumerate() {
        let path = format!("$.templates[{i}].policyDefinition.rules");
        let rules = match rule::read(&entry.policy_definition.rules, &path) {
            Ok(rules) => rules,
            Err(of_rules) => {
                faults.extend(of_rules);
                continue;
            }
        };
        templates.push(Template {
            id: id(&entry.name),
            name: entry.name,
            description: entry.description,
            category: entry.category,
            policy_definition: PolicyDefinition {
                rules,
                severity: Some(entry.policy_definition.severity),
            },
            target_resource_types: entry.target_resource_types,
            compliance_frameworks: entry.compliance_frameworks,
            tags: entry.tags,
            is_public: true,
            is_verified: true,
            published: true,
            version: 1,
            organization_id: SYNCGUARD,
            reviews: Vec::new(),
            average_rating: None,
            created_at: now,
            updated_at: now,
        });
    }
    match faults.is_empty() {
        true => Ok(templates),
        false => Err(faults),
    }
}

/// Whether a text is a template pack rather than a policy pack: whether `templates` is one of its
/// keys.
pub fn is_one(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("templates:"))
}

/// The same for a name at all times and in every installation; names are unique among the packs.
fn id(name: &str) -> TemplateId {
    let digest = Sha256::digest(format!("syncguard policy template: {name}"));
    let bytes = digest.first_chunk().copied().unwrap_or_default();
    TemplateId(Builder::from_custom_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{CheckResult, Facts};
    use super::*;

    const CASES: [&str; 5] = [
        include_str!("../../rules/templates/gdpr.cases.yaml"),
        include_str!("../../rules/templates/hipaa.cases.yaml"),
        include_str!("../../rules/templates/pci-dss.cases.yaml"),
        include_str!("../../rules/templates/soc2.cases.yaml"),
        include_str!("../../rules/templates/iso27001.cases.yaml"),
    ];

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Cases {
        version: u64,
        templates: Vec<CasesOfTemplate>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct CasesOfTemplate {
        name: String,
        cases: Vec<Case>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Case {
        facts: BTreeMap<String, Value>,
        /// The fields of the rules that do not hold; none: compliant.
        #[serde(default)]
        fails: Vec<String>,
    }

    #[test]
    fn every_pack_is_read() {
        let templates = all(DateTime::UNIX_EPOCH).unwrap();
        for (file, text) in PACKS {
            assert!(is_one(text), "{file}");
            let of_pack = read(text, DateTime::UNIX_EPOCH).unwrap();
            assert!(of_pack.len() >= 7, "{file}");
            for template in of_pack {
                let name = &template.name;
                assert!(name.chars().count() <= 200, "{name}");
                assert!(template.description.len() > 100, "{name}");
                assert_eq!(template.compliance_frameworks, [file], "{name}");
                assert!(!template.policy_definition.rules.is_empty(), "{name}");
                assert!(!template.target_resource_types.is_empty(), "{name}");
                assert!(!template.tags.is_empty(), "{name}");
            }
        }
        let ids: HashSet<_> = templates.iter().map(|template| template.id).collect();
        assert_eq!(ids.len(), templates.len());
    }

    #[test]
    fn every_template_decides_as_its_cases_say() {
        for ((file, text), cases) in PACKS.into_iter().zip(CASES) {
            let templates = read(text, DateTime::UNIX_EPOCH).unwrap();
            let cases: Cases = serde_json::from_value(pack::read_yaml(cases).unwrap()).unwrap();
            assert_eq!(cases.version, 1, "{file}");
            let names: Vec<_> = cases.templates.iter().map(|of| &of.name).collect();
            let expected: Vec<_> = templates.iter().map(|template| &template.name).collect();
            assert_eq!(names, expected, "{file}");
            for (template, of_template) in templates.iter().zip(&cases.templates) {
                let (name, rules) = (&template.name, &template.policy_definition.rules);
                let (mut holds, mut failed) = (false, HashSet::new());
                for case in &of_template.cases {
                    let mut facts = Facts::default();
                    for (path, value) in &case.facts {
                        facts.tell(path.as_str(), value.clone());
                    }
                    let result = CheckResult::of(rules, &facts);
                    let fails = result.rules.iter().filter(|rule| !rule.passed);
                    let fails: Vec<_> = fails.map(|rule| rule.field.clone()).collect();
                    assert_eq!(fails, case.fails, "{name}: {:?}", case.facts);
                    holds |= fails.is_empty();
                    failed.extend(fails);
                }
                assert!(holds, "{name}: no case is compliant");
                for rule in rules {
                    let field = &rule.field;
                    assert!(failed.contains(field), "{name}: no case fails {field}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_template_is_refused() {
        let now = DateTime::UNIX_EPOCH;
        for (text, path) in [
            ("templates: [", "$"),
            ("version: 1", "$"),
            ("version: 1\ntemplates: [{name: a}]", "$"),
            ("version: 1\ntemplates: []\nmore: 1", "$"),
            ("version: 2\ntemplates: []", "$.version"),
            (
                "version: 1\ntemplates:\n- {name: a, description: b, category: security, \
                 targetResourceTypes: [], complianceFrameworks: [], tags: [], \
                 policyDefinition: {severity: low, rules: 7}}",
                "$.templates[0].policyDefinition.rules",
            ),
        ] {
            let faults = read(text, now).unwrap_err();
            assert!(faults[0].path.starts_with(path), "{text}: {faults:?}");
        }
    }

    #[test]
    fn a_template_pack_is_told_from_a_policy_pack() {
        assert!(is_one("# packs\nversion: 1\ntemplates:\n- name: a\n"));
        assert!(!is_one(
            "version: 1\npolicies:\n- name: a\n  templates: 1\n"
        ));
    }

    #[test]
    fn ids_stay_the_same() {
        assert_eq!(id("a"), id("a"));
        assert_ne!(id("a"), id("b"));
    }
}
