//! Which models an access policy governs, and what its category goes on covering after it has
//! gone: taking the last policy away must not open a model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::Schema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{AccessCategory, AccessPolicy, Change, Edit, PolicySet, Unassigned};
use crate::catalog::Model;

/// Which models an access policy governs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Scope {
    /// The model that it names.
    pub parent_model_id: Option<Uuid>,
    /// Where it names none, the columns that a model must have; else nothing.
    pub columns: BTreeSet<String>,
}

impl Scope {
    /// The scope of one model.
    pub fn model(id: Uuid) -> Scope {
        Scope {
            parent_model_id: Some(id),
            columns: BTreeSet::new(),
        }
    }

    /// What a policy governs.
    pub fn of(policy: &AccessPolicy) -> Scope {
        match policy.parent_model_id {
            Some(id) => Scope::model(id),
            None => {
                let columns = policy.filter_tree.tree().columns();
                Scope {
                    parent_model_id: None,
                    columns: columns.into_iter().map(str::to_owned).collect(),
                }
            }
        }
    }

    /// Whether it has a model that has these columns.
    pub fn covers(&self, model: &Model, schema: &Schema) -> bool {
        let columns = || self.columns.iter().map(String::as_str);
        super::covers(self.parent_model_id, columns, model, schema)
    }

    /// Whether it has every model that another scope has, whatever models there are.
    fn includes(&self, other: &Scope) -> bool {
        match self.parent_model_id {
            Some(_) => self.parent_model_id == other.parent_model_id,
            None => self.columns.is_subset(&other.columns),
        }
    }
}

impl AccessCategory {
    /// Whether the category has covered a model that has these columns, and so still does.
    pub fn has_covered(&self, model: &Model, schema: &Schema) -> bool {
        let mut scopes = self.once_covered.iter();
        scopes.any(|scope| scope.covers(model, schema))
    }
}

impl PolicySet {
    /// Changes of this set, completed so that no category covers less after them than before:
    /// what a policy no longer covers, its category remembers. It forgets all of it with
    /// `unassigned: allow`, and goes with it.
    pub fn keeping_cover(&self, changes: &[Change]) -> Vec<Change> {
        let after = self.with(changes, self.revision);
        let mut lost: BTreeMap<Uuid, BTreeSet<Scope>> = BTreeMap::new();
        for change in changes {
            match change {
                Change::AccessPolicy(Edit {
                    before: Some(policy),
                    ..
                }) => {
                    let lost = lost.entry(policy.category_id).or_default();
                    lost.insert(Scope::of(policy));
                }
                Change::AccessCategory(Edit {
                    before: Some(category),
                    ..
                }) => {
                    let lost = lost.entry(category.id).or_default();
                    lost.extend(category.once_covered.iter().cloned());
                }
                // A policy does not let a model lose the columns that it reads; what is only
                // remembered would.
                Change::Model(Edit {
                    before: Some(before),
                    after: Some(model),
                }) => {
                    for category in after.access_categories.values() {
                        if category.has_covered(before, &before.schema)
                            && !category.has_covered(model, &model.schema)
                        {
                            let lost = lost.entry(category.id).or_default();
                            lost.insert(Scope::model(model.id));
                        }
                    }
                }
                _ => {}
            }
        }
        let mut changes = changes.to_vec();
        for (id, lost) in lost {
            let Some(category) = after.access_categories.get(&id) else {
                continue;
            };
            let once_covered = match category.unassigned {
                Unassigned::Deny => after.remembered(category, lost),
                Unassigned::Allow => BTreeSet::new(),
            };
            if once_covered != category.once_covered {
                remember(&mut changes, category, once_covered);
            }
        }
        // A restoration would have a category forget; where that was all, nothing is left of it.
        changes.retain(|change| match change {
            Change::AccessCategory(edit) => edit.before != edit.after,
            _ => true,
        });
        changes
    }

    /// What a category of this set remembers, and what it has lost and its policies do not cover.
    fn remembered(&self, category: &AccessCategory, lost: BTreeSet<Scope>) -> BTreeSet<Scope> {
        let policies = self.access_policies.values();
        let policies = policies.filter(|policy| policy.category_id == category.id);
        let covered: BTreeSet<Scope> = policies.map(|policy| Scope::of(policy)).collect();
        let mut remembered = category.once_covered.clone();
        for scope in lost {
            let mut known = covered.iter().chain(&remembered);
            if !known.any(|known| known.includes(&scope)) {
                remembered.insert(scope);
            }
        }
        remembered
    }
}

/// Makes it part of changes what a category, as it is after them, remembers. Its time of change
/// stays, for it is shown no different.
fn remember(
    changes: &mut Vec<Change>,
    category: &Arc<AccessCategory>,
    once_covered: BTreeSet<Scope>,
) {
    let amended = Arc::new(AccessCategory {
        once_covered,
        ..(**category).clone()
    });
    let own = changes.iter_mut().rev().find_map(|change| match change {
        Change::AccessCategory(edit) if edit.after.as_ref() == Some(category) => Some(edit),
        _ => None,
    });
    match own {
        Some(edit) => edit.after = Some(amended),
        None => changes.push(Change::AccessCategory(Edit {
            before: Some(Arc::clone(category)),
            after: Some(amended),
        })),
    }
}
