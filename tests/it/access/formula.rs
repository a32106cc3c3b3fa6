//! Section 4 of the design, read plainly: one row at a time, from the documents alone. Nothing of
//! the guard or of the policy set's own questions is used here; trees are judged by the oracle.

use std::collections::BTreeSet;

use arrow::record_batch::RecordBatch;
use chrono::{DateTime, Utc};
use serde_json::Value;
use syncguard::catalog::PolicyKind;
use syncguard::policy::{FilterDocument, PolicySet, Unassigned};
use syncguard::principal::{ADMIN, OWNER, Standing};
use uuid::Uuid;

use super::house::model;
use crate::oracle::Judge;

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Decision {
    /// The workspace demands a destination policy, and there is none.
    NothingMayBeSent,
    /// Policies, by name, or categories that cannot be judged on the model as it is.
    Unfit(BTreeSet<String>),
    /// Who withholds each row: destination policies and categories. Nobody: it passes.
    WithheldBy(Vec<BTreeSet<(PolicyKind, Uuid)>>),
}

pub(crate) fn decide(
    policies: &PolicySet,
    destination_type: Option<&str>,
    principal: &Standing,
    batch: &RecordBatch,
    now: DateTime<Utc>,
) -> Decision {
    let schema = batch.schema();
    let judge = |document: &FilterDocument| Judge::new(document.tree(), &schema, now).ok();
    let mut unfit = BTreeSet::new();
    let mut rows = vec![BTreeSet::new(); batch.num_rows()];

    // AND of all enabled destination policies of (model, destination type).
    let mut governed = false;
    for policy in policies.destination_policies.values() {
        let here = destination_type == Some(policy.destination_type.as_str());
        let covers = covers(policy.parent_model_id, &policy.filter_tree, batch);
        if !policy.enabled || !here || !covers {
            continue;
        }
        governed = true;
        match judge(&policy.filter_tree) {
            None => {
                unfit.insert(policy.name.clone());
            }
            Some(judge) => {
                for (row, withheld_by) in rows.iter_mut().enumerate() {
                    if judge.passes(batch, row) != Some(true) {
                        withheld_by.insert((PolicyKind::Destination, policy.id));
                    }
                }
            }
        }
    }
    if destination_type.is_some() && policies.require_destination_policy && !governed {
        return Decision::NothingMayBeSent;
    }

    // AND, for each category that has, or has had, a policy on this model: OR of those of the
    // principal.
    for category in policies.access_categories.values() {
        let mut covered = category.once_covered.iter().any(|scope| {
            let columns: BTreeSet<&str> = scope.columns.iter().map(String::as_str).collect();
            is_of(scope.parent_model_id, &columns, batch)
        });
        let mut has_any = false;
        let mut opened = Vec::new();
        for policy in policies.access_policies.values() {
            if policy.category_id != category.id {
                continue;
            }
            let covers = covers(policy.parent_model_id, &policy.filter_tree, batch);
            let mine = policies.assignments.values().any(|assignment| {
                assignment.subset_id == policy.id && principal.groups.contains(&assignment.group_id)
            });
            covered |= covers;
            has_any |= mine;
            if covers && mine {
                opened.push(policy);
            }
        }
        let system = principal.role_id == OWNER || principal.role_id == ADMIN;
        let exempt = (system || category.unassigned == Unassigned::Allow) && !has_any;
        if !covered || exempt {
            continue;
        }
        let judges: Option<Vec<Judge>> = opened.iter().map(|p| judge(&p.filter_tree)).collect();
        let Some(judges) = judges else {
            unfit.insert(category.name.clone());
            continue;
        };
        for (row, withheld_by) in rows.iter_mut().enumerate() {
            let open = judges
                .iter()
                .any(|judge| judge.passes(batch, row) == Some(true));
            if !open {
                withheld_by.insert((PolicyKind::Access, category.id));
            }
        }
    }
    match unfit.is_empty() {
        true => Decision::WithheldBy(rows),
        false => Decision::Unfit(unfit),
    }
}

/// Whether a policy is about the model of the rows: it names it, or it names none and the model
/// has all its columns.
fn covers(parent: Option<Uuid>, document: &FilterDocument, batch: &RecordBatch) -> bool {
    let mut named = BTreeSet::new();
    columns(document.json(), &mut named);
    is_of(parent, &named.iter().map(String::as_str).collect(), batch)
}

fn is_of(parent: Option<Uuid>, named: &BTreeSet<&str>, batch: &RecordBatch) -> bool {
    let schema = batch.schema();
    let has = |name: &&str| schema.fields().iter().any(|field| field.name() == name);
    match parent {
        Some(id) => id == model().id,
        None => named.iter().all(has),
    }
}

fn columns(node: &Value, named: &mut BTreeSet<String>) {
    named.extend(node["column"].as_str().map(str::to_owned));
    for child in node["children"].as_array().into_iter().flatten() {
        columns(child, named);
    }
}
