//! Publishing: changes are compiled against every model they govern, committed as the next
//! revision, and only then swapped in.

pub mod packs;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::catalog::Model;
use crate::guard::{Guard, PolicyFault, Registry};
use crate::policy::{
    AccessPolicy, Assignment, Change, DestinationPolicy, Edit, Fault, PolicySet, Requirement,
    Revision,
};
use crate::principal::{Act, Group, Standing};
use crate::store::{Store, StoreError};

/// How often changes are compiled again because others were committed in between.
const ATTEMPTS: usize = 20;
/// Most revisions that a restoration goes back through at once.
const STEP: u64 = 100;

/// Why changes were not published. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// They do not compile against a model they govern: every fault.
    #[error("the change does not compile against the models it governs: {} faults", .0.len())]
    Refused(Vec<PolicyFault>),
    /// The store refused it or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What restoring a revision did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The revision that it made; the current one, if there was nothing to do.
    pub revision: Revision,
    /// How many objects it changed.
    pub changes: usize,
    /// Assignments that it left out, because their group is no more.
    pub left_out: usize,
}

/// Publishes changes. Cheap to clone: shares the store and the registry.
#[derive(Clone)]
pub struct Publisher {
    store: Store,
    registry: Arc<Registry>,
}

impl Publisher {
    /// A publisher over a store, whose commits the registry learns of at once.
    pub fn new(store: Store, registry: Arc<Registry>) -> Self {
        Publisher { store, registry }
    }

    /// Whether content policies are also enforced where no detector covers what they say.
    pub fn judges(&self) -> bool {
        self.registry.judges()
    }

    /// The policies in force, at least as new as where a caller stands.
    pub async fn policies(&self, standing: &Standing) -> Result<Arc<PolicySet>, StoreError> {
        self.store
            .policies_since(&self.registry, standing.workspace_id, standing.revision)
            .await
    }

    /// Compiles, commits and swaps changes, as one revision; answers it.
    ///
    /// Errors: every fault if they do not compile; stale if an object is no longer as a change
    /// has it before; not found and conflicts as the store sees them.
    pub async fn publish(
        &self,
        workspace_id: Uuid,
        changes: &[Change],
        act: &Act,
    ) -> Result<Revision, PublishError> {
        for _ in 0..ATTEMPTS {
            let policies = self
                .store
                .policies_in_force(&self.registry, workspace_id)
                .await?;
            if let Some(revision) = self.publish_onto(&policies, changes, act).await? {
                return Ok(revision);
            }
        }
        Err(StoreError::Stale.into())
    }

    /// Publishes changes on top of these very policies, and with them what categories are to
    /// remember; `None` if others are in force by now. What follows from the whole set is
    /// computed anew then.
    async fn publish_onto(
        &self,
        policies: &PolicySet,
        changes: &[Change],
        act: &Act,
    ) -> Result<Option<Revision>, PublishError> {
        if !policies.is_before(changes) {
            return Err(StoreError::Stale.into());
        }
        let changes = policies.keeping_cover(changes);
        let faults = self.check(policies, &changes, act.at).await?;
        if !faults.is_empty() {
            return Err(PublishError::Refused(faults));
        }
        let (workspace_id, expected) = (policies.workspace_id, policies.revision);
        match self
            .store
            .commit(workspace_id, &changes, expected, act)
            .await
        {
            Err(StoreError::Stale) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(revision) => {
                self.registry.advance(expected, workspace_id, &changes);
                Ok(Some(revision))
            }
        }
    }

    /// Gives a group these access policies and no others, as one revision; answers the policies
    /// afterwards. Assignments that it has already stay as they are; if there is nothing to do,
    /// no revision is made.
    ///
    /// Errors: not found, if the group or an access policy is no more.
    pub async fn assign_only(
        &self,
        group: &Group,
        subset_ids: &BTreeSet<Uuid>,
        new_id: fn() -> Uuid,
        act: &Act,
    ) -> Result<PolicySet, PublishError> {
        let workspace_id = group.workspace_id;
        for _ in 0..ATTEMPTS {
            let policies = self
                .store
                .policies_in_force(&self.registry, workspace_id)
                .await?;
            let mut changes = Vec::new();
            let mut missing = subset_ids.clone();
            for assignment in policies.assignments.values() {
                let is_own = assignment.group_id == group.id;
                if is_own && !missing.remove(&assignment.subset_id) {
                    changes.push(Change::Assignment(Edit::delete(Arc::clone(assignment))));
                }
            }
            for subset_id in missing {
                changes.push(Change::Assignment(Edit::create(Assignment {
                    id: new_id(),
                    workspace_id,
                    subset_id,
                    group_id: group.id,
                    created_at: act.at,
                })));
            }
            if changes.is_empty() {
                return Ok((*policies).clone());
            }
            if let Some(revision) = self.publish_onto(&policies, &changes, act).await? {
                return Ok(policies.with(&changes, revision));
            }
        }
        Err(StoreError::Stale.into())
    }

    /// Makes the policies of an earlier revision those of a new one. Models, members and groups
    /// stay as they are, and so does what categories cover that stay.
    ///
    /// Errors: not found, for a revision that is not there; every fault, if a policy of then does
    /// not compile against the models of now.
    pub async fn restore(
        &self,
        workspace_id: Uuid,
        revision: Revision,
        act: &Act,
    ) -> Result<Restored, PublishError> {
        self.store.get_revision(workspace_id, revision).await?;
        for _ in 0..ATTEMPTS {
            let now = self
                .store
                .policies_in_force(&self.registry, workspace_id)
                .await?;
            let mut then = (*now).clone();
            while then.revision > revision {
                let earlier = then.revision.saturating_sub(STEP).max(revision);
                let made = self
                    .store
                    .revisions_between(workspace_id, earlier, then.revision)
                    .await?;
                let mut changes = Vec::new();
                for committed in &made {
                    changes.extend(committed.policy_changes()?);
                }
                then = then.without(changes, earlier);
            }
            let groups = self.store.list_groups(workspace_id).await?;
            let groups: BTreeSet<Uuid> = groups.into_iter().map(|group| group.id).collect();
            let assigned = then.assignments.len();
            then.assignments
                .retain(|_, assignment| groups.contains(&assignment.group_id));
            let left_out = assigned - then.assignments.len();
            let changes = now.keeping_cover(&now.changes_to(&then));
            if changes.is_empty() {
                return Ok(Restored {
                    revision: now.revision,
                    changes: 0,
                    left_out,
                });
            }
            if let Some(revision) = self.publish_onto(&now, &changes, act).await? {
                return Ok(Restored {
                    revision,
                    changes: changes.len(),
                    left_out,
                });
            }
        }
        Err(StoreError::Stale.into())
    }

    /// Every fault of changes, compiled against what they would govern. Of the models only those
    /// are loaded that a change concerns.
    async fn check(
        &self,
        policies: &PolicySet,
        changes: &[Change],
        now: DateTime<Utc>,
    ) -> Result<Vec<PolicyFault>, StoreError> {
        let workspace_id = policies.workspace_id;
        let mut models: Option<Vec<Model>> = None;
        let mut faults = Vec::new();
        for change in changes {
            let policy = match change {
                Change::DestinationPolicy(Edit {
                    before,
                    after: Some(after),
                }) => match before {
                    // A policy that was compiled before and is only renamed or switched off is not
                    // compiled again: a model that lost a column must not forbid to switch it off.
                    Some(before) if same_judgement(before, after) => continue,
                    _ => Checked::of_destination(after),
                },
                Change::AccessPolicy(Edit {
                    after: Some(after), ..
                }) => Checked::of_access(after),
                Change::Model(Edit {
                    before,
                    after: Some(after),
                }) => {
                    if let Some(before) = before {
                        let now = self.store.get_model(workspace_id, before.id).await?;
                        if now != **before {
                            return Err(StoreError::Stale);
                        }
                    }
                    faults.extend(check_model(policies, before.as_deref(), after, now));
                    continue;
                }
                _ => continue,
            };
            match policy.parent_model_id {
                Some(id) => match self.store.get_model(workspace_id, id).await {
                    Ok(model) => faults.extend(policy.check([&model], now)),
                    Err(StoreError::NotFound(_)) => faults.push(policy.no_model(id)),
                    Err(error) => return Err(error),
                },
                None => {
                    if models.is_none() {
                        models = Some(self.store.list_models(workspace_id).await?);
                    }
                    let covered = models.iter().flatten();
                    let covered = covered.filter(|model| policy.covers(model));
                    faults.extend(policy.check(covered, now));
                }
            }
        }
        Ok(faults)
    }
}

fn same_judgement(before: &DestinationPolicy, after: &DestinationPolicy) -> bool {
    before.filter_tree == after.filter_tree
        && before.parent_model_id == after.parent_model_id
        && (before.enabled || !after.enabled)
}

/// A policy that is about to be saved.
struct Checked<'a> {
    parent_model_id: Option<Uuid>,
    requirement: Requirement,
    covers: Box<dyn Fn(&Model) -> bool + Send + Sync + 'a>,
}

impl<'a> Checked<'a> {
    /// A disabled policy is compiled, too: it must be fit to be enabled.
    fn of_destination(policy: &'a DestinationPolicy) -> Self {
        Checked {
            parent_model_id: policy.parent_model_id,
            requirement: policy.requirement(),
            covers: Box::new(|model| policy.covers(model, &model.schema)),
        }
    }

    fn of_access(policy: &'a AccessPolicy) -> Self {
        Checked {
            parent_model_id: policy.parent_model_id,
            requirement: policy.requirement(),
            covers: Box::new(|model| policy.covers(model, &model.schema)),
        }
    }

    fn covers(&self, model: &Model) -> bool {
        (self.covers)(model)
    }

    fn check<'m>(
        &self,
        models: impl IntoIterator<Item = &'m Model>,
        now: DateTime<Utc>,
    ) -> Vec<PolicyFault> {
        compile(std::slice::from_ref(&self.requirement), models, now)
    }

    fn no_model(&self, id: Uuid) -> PolicyFault {
        PolicyFault {
            policy_id: self.requirement.policy_id,
            policy: self.requirement.name.clone(),
            fault: Fault::new(
                "$.parent_model_id",
                format!("no model {id} in this workspace"),
            ),
        }
    }
}

/// A model's new columns must serve every policy that governed the model before.
fn check_model(
    policies: &PolicySet,
    before: Option<&Model>,
    model: &Model,
    now: DateTime<Utc>,
) -> Vec<PolicyFault> {
    let destination = policies
        .destination_policies
        .values()
        .filter(|policy| {
            policy.covers(model, &model.schema)
                || before.is_some_and(|old| policy.covers(old, &old.schema))
        })
        .map(|policy| policy.requirement());
    let access = policies
        .access_policies
        .values()
        .filter(|policy| {
            policy.covers(model, &model.schema)
                || before.is_some_and(|old| policy.covers(old, &old.schema))
        })
        .map(|policy| policy.requirement());
    let requirements: Vec<_> = destination.chain(access).collect();
    compile(&requirements, [model], now)
}

fn compile<'m>(
    requirements: &[Requirement],
    models: impl IntoIterator<Item = &'m Model>,
    now: DateTime<Utc>,
) -> Vec<PolicyFault> {
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for model in models {
        let Err(refused) = Guard::compile(&model.schema, requirements, now, 0) else {
            continue;
        };
        for mut fault in refused {
            fault.fault.message = format!("model \"{}\": {}", model.name, fault.fault.message);
            let key = (
                fault.policy_id,
                fault.fault.path.clone(),
                fault.fault.message.clone(),
            );
            if seen.insert(key) {
                faults.push(fault);
            }
        }
    }
    faults
}
