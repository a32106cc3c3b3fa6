//! Policy packs: destination policies as a YAML file that stands under version control.

use std::collections::HashSet;

use arrow::datatypes::Schema;
use serde_json::{Map, Value};

use super::filter_tree::{self, FilterDocument, unknown_keys};
use super::{Fault, PolicyKind, Requirement};

/// A parsed pack.
#[derive(Clone, Debug, PartialEq)]
pub struct Pack {
    /// Its policies, in the order of the file; no two bear the same name for a destination type.
    pub policies: Vec<PackPolicy>,
}

/// A destination policy as a pack writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct PackPolicy {
    /// Display name, unique in the pack for each destination type.
    pub name: String,
    /// What it is for; empty if the pack does not say.
    pub description: String,
    /// Name of the model it applies to; `None`: every model that has all its columns.
    pub model: Option<String>,
    /// The destination types it restricts; at least one, each once.
    pub destination_types: Vec<String>,
    /// The records that may be sent.
    pub filter_tree: FilterDocument,
    /// Whether it is in force; true if the pack does not say.
    pub enabled: bool,
}

impl PackPolicy {
    /// Whether the policy governs what goes from a model, given its name and its columns, to a
    /// destination type. A model without a name is governed only by policies that name none.
    pub fn governs(&self, model: Option<&str>, schema: &Schema, destination_type: &str) -> bool {
        let has = |column| filter_tree::schema_has(schema, column);
        self.concerns(model, destination_type)
            && (self.model.is_some() || self.filter_tree.tree().columns().into_iter().all(has))
    }

    /// Whether the policy is meant for what goes from a model to a destination type, whatever
    /// columns the model has.
    pub fn concerns(&self, model: Option<&str>, destination_type: &str) -> bool {
        self.enabled
            && (self.model.is_none() || self.model.as_deref() == model)
            && self.destination_types.iter().any(|t| t == destination_type)
    }

    /// The policy as a requirement of a guard. It has no id, because a pack is not in a store.
    pub fn requirement(&self) -> Requirement {
        Requirement {
            policy_id: None,
            kind: PolicyKind::Destination,
            name: self.name.clone(),
            filter_tree: self.filter_tree.tree().clone(),
        }
    }
}

/// Parses the text of a pack, or reports every fault in it.
///
/// # Errors
///
/// Each fault has the path of what it is about, such as `$.policies[0].filter_tree.operator`.
pub fn parse(text: &str) -> Result<Pack, Vec<Fault>> {
    let document = read_yaml(text)?;
    let mut faults = Vec::new();
    let pack = pack(&document, &mut faults);
    match pack {
        Some(pack) if faults.is_empty() => Ok(pack),
        _ => Err(faults),
    }
}

/// Reads the policies of a pack from a document that has them under `policies`, and nothing else.
///
/// # Errors
///
/// As [`parse`].
pub fn policies(document: &Value) -> Result<Pack, Vec<Fault>> {
    let mut faults = Vec::new();
    let pack = Reader::open(document, "$", &["policies"], &mut faults).and_then(policies_at);
    match pack {
        Some(pack) if faults.is_empty() => Ok(pack),
        _ => Err(faults),
    }
}

fn pack(document: &Value, faults: &mut Vec<Fault>) -> Option<Pack> {
    let mut at = Reader::open(document, "$", &["version", "policies"], faults)?;
    at.version();
    policies_at(at)
}

fn policies_at(mut at: Reader<'_, '_>) -> Option<Pack> {
    let items = at.array("policies", "policies")?;
    let mut names = HashSet::new();
    let mut policies = Vec::new();
    for (i, item) in items.iter().enumerate() {
        let path = format!("$.policies[{i}]");
        let Some(policy) = policy(item, &path, at.faults) else {
            continue;
        };
        for destination_type in &policy.destination_types {
            if !names.insert((policy.name.clone(), destination_type.clone())) {
                let message = format!(
                    "an earlier policy of this pack has the same name for {destination_type}"
                );
                at.faults.push(Fault::new(format!("{path}.name"), message));
            }
        }
        policies.push(policy);
    }
    Some(Pack { policies })
}

fn policy(item: &Value, path: &str, faults: &mut Vec<Fault>) -> Option<PackPolicy> {
    let known = [
        "name",
        "description",
        "model",
        "destination_type",
        "destination_types",
        "filter_tree",
        "enabled",
    ];
    let mut at = Reader::open(item, path, &known, faults)?;
    let name = at.text("name");
    if name.is_none() {
        at.fault("name", "expected the policy's name");
    }
    let description = at.optional_text("description");
    let model = at.optional_text("model");
    let destination_types = destination_types(&mut at);
    let enabled = match at.object.get("enabled") {
        None => Some(true),
        Some(Value::Bool(enabled)) => Some(*enabled),
        Some(_) => {
            at.fault("enabled", "expected true or false");
            None
        }
    };
    let tree = match at.object.get("filter_tree") {
        None => {
            at.fault(
                "filter_tree",
                "expected the records that may be sent: a group or a condition",
            );
            None
        }
        Some(json) => at.filter_tree(json),
    };
    Some(PackPolicy {
        name: name?.to_owned(),
        description: description.unwrap_or_default().to_owned(),
        model: model.map(str::to_owned),
        destination_types: destination_types?,
        filter_tree: tree?,
        enabled: enabled?,
    })
}

fn destination_types(at: &mut Reader<'_, '_>) -> Option<Vec<String>> {
    let expected = "expected a destination type such as facebook_ads";
    let items = match (
        at.object.get("destination_type"),
        at.object.get("destination_types"),
    ) {
        (Some(one), None) => match one.as_str() {
            Some(name) if !name.is_empty() => return Some(vec![name.to_owned()]),
            _ => {
                at.fault("destination_type", expected);
                return None;
            }
        },
        (None, Some(_)) => at.array("destination_types", "destination types")?,
        (None, None) => {
            at.fault("destination_types", "expected a list of destination types");
            return None;
        }
        (Some(_), Some(_)) => {
            at.fault(
                "destination_type",
                "give destination_type or destination_types, not both",
            );
            return None;
        }
    };
    let before = at.faults.len();
    let mut types: Vec<String> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        match item.as_str() {
            Some(name) if types.iter().any(|t| t == name) => {
                at.fault(
                    &format!("destination_types[{i}]"),
                    "this destination type is there twice",
                );
            }
            Some(name) if !name.is_empty() => types.push(name.to_owned()),
            _ => at.fault(&format!("destination_types[{i}]"), expected),
        }
    }
    (at.faults.len() == before).then_some(types)
}

/// Reads YAML into the same values that JSON gives.
///
/// Only `true` and `false` are booleans (`NO` is Norway), numbers keep their leading zeros and
/// underscores as text, and a key that is there twice is a fault.
///
/// # Errors
///
/// What cannot be read, and numbers that would lose digits.
pub fn read_yaml(text: &str) -> Result<Value, Vec<Fault>> {
    let options = serde_saphyr::options! {
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    let value: Value = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| vec![Fault::new("$", format!("not readable as YAML: {error}"))])?;
    let mut faults = Vec::new();
    exact_numbers(&value, "$", &mut faults);
    if faults.is_empty() {
        Ok(value)
    } else {
        Err(faults)
    }
}

/// YAML fractions and whole numbers beyond 64 bits are read as floats, which keep 15 digits: a
/// number that may have lost some is a fault.
fn exact_numbers(value: &Value, path: &str, faults: &mut Vec<Fault>) {
    match value {
        Value::Number(number) if !number.is_i64() && !number.is_u64() => {
            let text = number.to_string();
            let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
            let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
            let beyond = number.as_f64().is_none_or(|n| n.abs() >= 1e15);
            if beyond || digits.trim_matches('0').len() > 15 {
                let message = "more than 15 digits are not kept exactly here: write fewer";
                faults.push(Fault::new(path, message));
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                exact_numbers(item, &format!("{path}[{i}]"), faults);
            }
        }
        Value::Object(object) => {
            for (key, item) in object {
                exact_numbers(item, &format!("{path}.{key}"), faults);
            }
        }
        _ => {}
    }
}

/// An object of a document, and where the faults in it are gathered.
pub(super) struct Reader<'a, 'f> {
    pub(super) object: &'a Map<String, Value>,
    path: String,
    pub(super) faults: &'f mut Vec<Fault>,
}

impl<'a, 'f> Reader<'a, 'f> {
    /// An object with no keys but the known ones.
    pub(super) fn open(
        value: &'a Value,
        path: &str,
        known: &[&str],
        faults: &'f mut Vec<Fault>,
    ) -> Option<Self> {
        let Some(object) = value.as_object() else {
            faults.push(Fault::new(
                path,
                format!("expected the keys {}", known.join(", ")),
            ));
            return None;
        };
        unknown_keys(object, known, path, faults);
        Some(Reader {
            object,
            path: path.to_owned(),
            faults,
        })
    }

    pub(super) fn fault(&mut self, key: &str, message: impl Into<String>) {
        self.faults
            .push(Fault::new(format!("{}.{key}", self.path), message));
    }

    /// The version of the format, of which there is one.
    pub(super) fn version(&mut self) {
        if self.object.get("version").and_then(Value::as_u64) != Some(1) {
            self.fault("version", "expected 1");
        }
    }

    /// A text that is not empty.
    pub(super) fn text(&self, key: &str) -> Option<&'a str> {
        self.object
            .get(key)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    /// A text, if the key is there; null counts as absent.
    pub(super) fn optional_text(&mut self, key: &str) -> Option<&'a str> {
        let value = self.object.get(key).filter(|value| !value.is_null())?;
        if value.as_str().is_none() {
            self.fault(key, "expected text");
        }
        value.as_str()
    }

    /// A list that is not empty.
    pub(super) fn array(&mut self, key: &str, of: &str) -> Option<&'a [Value]> {
        let items = self
            .object
            .get(key)
            .and_then(Value::as_array)
            .filter(|list| !list.is_empty());
        if items.is_none() {
            self.fault(key, format!("expected a list of {of}"));
        }
        items.map(Vec::as_slice)
    }

    fn filter_tree(&mut self, json: &Value) -> Option<FilterDocument> {
        FilterDocument::parse(json.clone())
            .map_err(|faults| {
                for fault in faults {
                    let below = fault.path.strip_prefix('$').unwrap_or(&fault.path);
                    self.fault(&format!("filter_tree{below}"), fault.message);
                }
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "{type: condition, condition_type: property, column: c, \
        operator: not_in, value: [NO, Yes, on, 'no', 01, 7]}";

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<_> = match parse(text) {
            Ok(_) => Vec::new(),
            Err(faults) => faults.iter().map(ToString::to_string).collect(),
        };
        let met = found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(found, expected)| found.starts_with(expected));
        assert!(met, "{text}\nexpected {expected:#?}\nfound {found:#?}");
    }

    #[test]
    fn a_whole_policy_is_read() {
        let text = format!(
            "version: 1\npolicies:\n- name: a\n  destination_types: [x, y]\n  filter_tree: {TREE}"
        );
        let pack = parse(&text).unwrap();
        let policy = &pack.policies[0];
        assert_eq!(policy.destination_types, ["x", "y"]);
        assert!(policy.enabled && policy.model.is_none() && policy.description.is_empty());
        let values = serde_json::json!(["NO", "Yes", "on", "no", "01", 7]);
        assert_eq!(policy.filter_tree.json()["value"], values);
    }

    #[test]
    fn every_fault_is_reported_with_its_path() {
        check("version: 1\npolicies: [", &["$: not readable as YAML"]);
        check("7", &["$: expected the keys version, policies"]);
        check("policies: []", &["$.version: ", "$.policies: "]);
        check(
            "version: 1\nversion: 1\npolicies: []",
            &["$: not readable as YAML"],
        );
        check(
            "version: 2\npolicies: [1]",
            &["$.version: ", "$.policies[0]: "],
        );
        check(
            "version: 1\nextra: 2\npolicies:\n- nam: a\n  destination_types: [x, '', x]\n",
            &[
                "$.extra: unknown key",
                "$.policies[0].nam: unknown key",
                "$.policies[0].name: ",
                "$.policies[0].destination_types[1]: ",
                "$.policies[0].destination_types[2]: ",
                "$.policies[0].filter_tree: ",
            ],
        );
        check(
            &format!(
                "version: 1\npolicies:\n\
                 - {{name: a, destination_type: x, filter_tree: {TREE}}}\n\
                 - {{name: a, destination_type: x, filter_tree: {TREE}}}\n\
                 - {{name: b, destination_type: x, destination_types: [y], filter_tree: {TREE}}}\n\
                 - {{name: c, destination_type: x, enabled: no, model: 7, filter_tree: {{}}}}\n"
            ),
            &[
                "$.policies[1].name: ",
                "$.policies[2].destination_type: ",
                "$.policies[3].model: ",
                "$.policies[3].enabled: ",
                "$.policies[3].filter_tree.type: ",
            ],
        );
    }

    #[test]
    fn a_number_that_lost_digits_is_refused() {
        for number in ["0.1234567890123456789", "18446744073709551616", "1e300"] {
            check(
                &format!("version: {number}"),
                &["$.version: more than 15 digits"],
            );
        }
        assert!(read_yaml("[0.1, 1234567.25, 9007199254740993]").is_ok());
    }
}
