//! What a record must meet: the destination policies of a model and a destination type, and the
//! access policies of a principal.

use std::sync::Arc;

use arrow::datatypes::Schema;

use super::registry::NoGuard;
use crate::catalog::Model;
use crate::policy::{AccessPolicy, FilterTree, PolicyKind, PolicySet, Requirement, Unassigned};
use crate::principal::Standing;

/// What a record of a model, which has these columns now, must meet to be seen by a principal
/// and, where a destination type is given, to go there on their behalf.
///
/// Errors: the workspace demands a destination policy and there is none.
pub fn requirements(
    policies: &PolicySet,
    model: &Model,
    schema: &Schema,
    destination_type: Option<&str>,
    principal: &Standing,
) -> Result<Vec<Requirement>, NoGuard> {
    let mut required = Vec::new();
    if let Some(destination_type) = destination_type {
        let policies_here = policies.for_destination(model, schema, destination_type);
        required.extend(policies_here.map(|policy| policy.requirement()));
        if required.is_empty() && policies.require_destination_policy {
            return Err(NoGuard::NoDestinationPolicy {
                model: model.name.clone(),
                destination_type: destination_type.to_owned(),
            });
        }
    }
    required.extend(access(policies, model, schema, principal));
    Ok(required)
}

/// One requirement for each category that covers the model and restricts the principal: a record
/// passes where any of their policies of that category says TRUE; with none, nowhere. A category
/// covers what its policies cover and what they have covered.
fn access(
    policies: &PolicySet,
    model: &Model,
    schema: &Schema,
    principal: &Standing,
) -> Vec<Requirement> {
    if policies.access_categories.is_empty() {
        return Vec::new();
    }
    let assigned = policies.assigned_to(&principal.groups);
    let mut required = Vec::new();
    for category in policies.access_categories.values() {
        let of_category = policies
            .access_policies
            .values()
            .filter(|policy| policy.category_id == category.id);
        let covering: Vec<&AccessPolicy> = of_category
            .clone()
            .map(Arc::as_ref)
            .filter(|policy| policy.covers(model, &model.schema) || policy.covers(model, schema))
            .collect();
        let has_covered =
            || category.has_covered(model, &model.schema) || category.has_covered(model, schema);
        if covering.is_empty() && !has_covered() {
            continue;
        }
        // Whoever has a policy of the category is restricted by it, also where theirs is of
        // another model.
        let has_any = of_category
            .clone()
            .any(|policy| assigned.contains(&policy.id));
        let exempt = principal.is_unrestricted() || category.unassigned == Unassigned::Allow;
        if exempt && !has_any {
            continue;
        }
        let opened: Vec<FilterTree> = covering
            .into_iter()
            .filter(|policy| assigned.contains(&policy.id))
            .map(|policy| policy.filter_tree.tree().clone())
            .collect();
        required.push(Requirement {
            policy_id: Some(category.id),
            kind: PolicyKind::Access,
            name: category.name.clone(),
            filter_tree: FilterTree::Or(opened),
        });
    }
    required
}
