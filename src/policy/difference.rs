//! What a pack would change in a workspace.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::pack::{Pack, PackPolicy};
use super::{DestinationPolicy, Edit, Fault, PolicySet};
use crate::catalog::Model;
use crate::principal::Act;

/// A change that a pack asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The policy before and after.
    pub edit: Edit<DestinationPolicy>,
    /// Number of the policy in the pack, from 0; `None` if the pack does not name it and it goes.
    pub of_pack: Option<usize>,
}

/// The changes that make a workspace have the policies of a pack, each policy once for each of
/// its destination types. A policy is known by its name and its destination type. What the pack
/// does not name is left alone or, with `prune`, deleted.
///
/// What is new is made by `act`, with ids from `new_id`.
///
/// # Errors
///
/// Models that the workspace does not have, and names that it has more than once, with their path
/// in the pack.
pub fn difference(
    pack: &Pack,
    prune: bool,
    policies: &PolicySet,
    models: &[Model],
    act: &Act,
    new_id: fn() -> Uuid,
) -> Result<Vec<Difference>, Vec<Fault>> {
    let mut by_name: HashMap<(&str, &str), Vec<&Arc<DestinationPolicy>>> = HashMap::new();
    for policy in policies.destination_policies.values() {
        let key = (policy.name.as_str(), policy.destination_type.as_str());
        by_name.entry(key).or_default().push(policy);
    }
    let mut faults = Vec::new();
    let mut differences = Vec::new();
    let mut named = BTreeSet::new();
    for (i, written) in pack.policies.iter().enumerate() {
        let found = written
            .model
            .as_ref()
            .map(|name| models.iter().find(|model| model.name == *name));
        let parent_model_id = match found {
            None => None,
            Some(Some(model)) => Some(model.id),
            Some(None) => {
                let message = "there is no model of this name in the workspace";
                faults.push(Fault::new(format!("$.policies[{i}].model"), message));
                continue;
            }
        };
        for destination_type in &written.destination_types {
            let key = (written.name.as_str(), destination_type.as_str());
            let before = match by_name.get(&key).map(Vec::as_slice) {
                None | Some([]) => None,
                Some([one]) => Some(*one),
                Some(many) => {
                    let message = format!(
                        "{} policies of the workspace bear this name for {destination_type}: \
                         rename or delete all but one",
                        many.len()
                    );
                    faults.push(Fault::new(format!("$.policies[{i}].name"), message));
                    continue;
                }
            };
            named.extend(before.map(|before| before.id));
            if before.is_some_and(|before| is_as_written(before, written, parent_model_id)) {
                continue;
            }
            let after = DestinationPolicy {
                id: before.map_or_else(new_id, |before| before.id),
                workspace_id: policies.workspace_id,
                parent_model_id,
                destination_type: destination_type.clone(),
                name: written.name.clone(),
                description: written.description.clone(),
                filter_tree: written.filter_tree.clone(),
                enabled: written.enabled,
                created_by: before.map_or(act.account_id, |before| before.created_by),
                created_at: before.map_or(act.at, |before| before.created_at),
                updated_at: act.at,
            };
            differences.push(Difference {
                edit: Edit {
                    before: before.cloned(),
                    after: Some(Arc::new(after)),
                },
                of_pack: Some(i),
            });
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    if prune {
        let gone = policies
            .destination_policies
            .values()
            .filter(|policy| !named.contains(&policy.id));
        differences.extend(gone.map(|policy| Difference {
            edit: Edit::delete(Arc::clone(policy)),
            of_pack: None,
        }));
    }
    Ok(differences)
}

fn is_as_written(policy: &DestinationPolicy, written: &PackPolicy, model: Option<Uuid>) -> bool {
    policy.parent_model_id == model
        && policy.description == written.description
        && policy.enabled == written.enabled
        && alike(policy.filter_tree.json(), written.filter_tree.json())
}

/// Whether two documents say the same: keys in any order, numbers by their value (1.50 is 1.5).
pub fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.to_string(), b.to_string());
            a == b || decimal(&a).is_some_and(|a| Some(a) == decimal(&b))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| alike(a, b)))
        }
        (a, b) => a == b,
    }
}

/// The number in a JSON text: whether it is negative, its digits without outer zeros, and the
/// power of ten that the last one stands for. `None` if that power is beyond counting.
pub(crate) fn decimal(text: &str) -> Option<(bool, String, i64)> {
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
    let power = exponent
        .checked_sub(i64::try_from(fraction.len()).ok()?)?
        .checked_add(dropped)?;
    Some((negative, significant.to_owned(), power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_alike_by_value_and_texts_by_letter() {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        for (a, b) in [
            ("1.50", "1.5"),
            ("100", "1e2"),
            ("-0.0", "0"),
            ("-2.5E-3", "-0.0025"),
            ("[{\"a\": 1, \"b\": 2.0}]", "[{\"b\": 2, \"a\": 1}]"),
        ] {
            assert!(alike(&read(a), &read(b)), "{a} {b}");
        }
        for (a, b) in [
            ("1.5", "-1.5"),
            ("9007199254740993", "9007199254740992"),
            ("1e2", "1e3"),
            ("\"1.0\"", "\"1\""),
            ("1", "\"1\""),
            ("[1, 2]", "[2, 1]"),
            ("{\"a\": null}", "{}"),
            ("[1]", "[1, 1]"),
        ] {
            assert!(!alike(&read(a), &read(b)), "{a} {b}");
        }
    }
}
