//! Publishing: a policy change is compiled against every model it governs, committed as the next
//! revision, and only then swapped in.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::catalog::Model;
use crate::guard::{Guard, PolicyFault, Registry};
use crate::policy::pack::Pack;
use crate::policy::{Change, DestinationPolicy, Fault, PolicySet, Requirement, Revision};
use crate::store::{Store, StoreError};

/// How often a change is compiled again because another one was committed in between.
const ATTEMPTS: usize = 20;

/// Why a change was not published. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It does not compile against a model it governs: every fault.
    #[error("the change does not compile against the models it governs: {} faults", .0.len())]
    Refused(Vec<PolicyFault>),
    /// The store refused it or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
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

    /// Compiles, commits and swaps one change; answers the revision it made.
    ///
    /// Errors: every fault if the change does not compile; not found and conflicts as the store
    /// sees them.
    pub async fn publish(
        &self,
        workspace_id: Uuid,
        change: Change,
        author: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Revision, PublishError> {
        for _ in 0..ATTEMPTS {
            let policies = self
                .store
                .policies_in_force(&self.registry, workspace_id)
                .await?;
            let models = self.store.list_models(workspace_id).await?;
            let faults = check(&policies, &models, &change, now);
            if !faults.is_empty() {
                return Err(PublishError::Refused(faults));
            }
            let expected = policies.revision;
            match self
                .store
                .commit(workspace_id, &change, author, expected, now)
                .await
            {
                Err(StoreError::Stale) => continue,
                Err(error) => return Err(error.into()),
                Ok(revision) => {
                    self.registry
                        .swap(self.store.policy_set(workspace_id).await?);
                    return Ok(revision);
                }
            }
        }
        Err(StoreError::Stale.into())
    }
}

impl Publisher {
    /// Publishes every policy of a pack as new, one for each destination type it names; answers
    /// them in the pack's order.
    ///
    /// Errors: the first policy that cannot be published; those before it are in force then.
    pub async fn publish_pack(
        &self,
        workspace_id: Uuid,
        pack: &Pack,
        author: Uuid,
        now: DateTime<Utc>,
    ) -> Result<Vec<DestinationPolicy>, PublishError> {
        let models = self.store.list_models(workspace_id).await?;
        let mut published = Vec::new();
        for written in &pack.policies {
            let parent_model_id = match &written.model {
                None => None,
                Some(name) => match models.iter().find(|model| model.name == *name) {
                    Some(model) => Some(model.id),
                    None => {
                        let message = format!("no model \"{name}\" in this workspace");
                        return Err(PublishError::Refused(vec![PolicyFault {
                            policy_id: None,
                            policy: written.name.clone(),
                            fault: Fault::new("$.model", message),
                        }]));
                    }
                },
            };
            for destination_type in &written.destination_types {
                let policy = DestinationPolicy {
                    id: Uuid::now_v7(),
                    workspace_id,
                    parent_model_id,
                    destination_type: destination_type.clone(),
                    name: written.name.clone(),
                    description: written.description.clone(),
                    filter_tree: written.filter_tree.clone(),
                    filter_tree_json: written.filter_tree_json.clone(),
                    enabled: written.enabled,
                    created_by: author,
                    created_at: now,
                    updated_at: now,
                };
                let change = Change::PutDestinationPolicy(Box::new(policy.clone()));
                self.publish(workspace_id, change, author, now).await?;
                published.push(policy);
            }
        }
        Ok(published)
    }
}

/// Every fault of a change, compiled against what it would govern.
fn check(
    policies: &PolicySet,
    models: &[Model],
    change: &Change,
    now: DateTime<Utc>,
) -> Vec<PolicyFault> {
    match change {
        Change::PutDestinationPolicy(policy) => check_policy(policy, models, now),
        Change::PutModel(model) => check_model(policies, models, model, now),
        Change::DeleteDestinationPolicy(_) | Change::RequireDestinationPolicy(_) => Vec::new(),
    }
}

fn check_policy(
    policy: &DestinationPolicy,
    models: &[Model],
    now: DateTime<Utc>,
) -> Vec<PolicyFault> {
    let fault = |message: String| {
        let fault = Fault::new("$.parent_model_id", message);
        vec![PolicyFault {
            policy_id: Some(policy.id),
            policy: policy.name.clone(),
            fault,
        }]
    };
    let governed: Vec<_> = models.iter().filter(|model| policy.covers(model)).collect();
    match policy.parent_model_id {
        Some(id) if governed.is_empty() => fault(format!("no model {id} in this workspace")),
        // A disabled policy is compiled, too: it must be fit to be enabled.
        _ => compile(&[policy.requirement()], governed, now),
    }
}

/// A model's new columns must serve every policy that governed the model before.
fn check_model(
    policies: &PolicySet,
    models: &[Model],
    model: &Model,
    now: DateTime<Utc>,
) -> Vec<PolicyFault> {
    let before = models.iter().find(|old| old.id == model.id);
    let requirements: Vec<_> = policies
        .destination_policies
        .iter()
        .filter(|policy| policy.covers(model) || before.is_some_and(|old| policy.covers(old)))
        .map(|policy| policy.requirement())
        .collect();
    compile(&requirements, vec![model], now)
}

fn compile(
    requirements: &[Requirement],
    models: Vec<&Model>,
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
            if seen.insert((fault.fault.path.clone(), fault.fault.message.clone())) {
                faults.push(fault);
            }
        }
    }
    faults
}
