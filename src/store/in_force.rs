//! The policies in force, learnt anew at each use.

use std::sync::Arc;

use uuid::Uuid;

use super::{Store, StoreError};
use crate::guard::Registry;
use crate::policy::{PolicySet, Revision};
use crate::principal::Standing;

/// How often a principal's standing is asked again because a change was committed in between.
const ATTEMPTS: usize = 20;
/// Beyond so many missed revisions the whole set is loaded.
const STEPS: u64 = 100;

impl Store {
    /// The policies that are committed now: one cheap statement where nothing changed since the
    /// registry last learnt of them, else what changed.
    ///
    /// Whoever releases data asks before each batch. A store that cannot be read is an error, so
    /// nothing is ever released under policies that may be outdated.
    pub async fn policies_in_force(
        &self,
        registry: &Registry,
        workspace_id: Uuid,
    ) -> Result<Arc<PolicySet>, StoreError> {
        let revision = self.revision(workspace_id).await?;
        self.policies_since(registry, workspace_id, revision).await
    }

    /// The policies in force at a revision that was read just now, or at a later one.
    pub async fn policies_since(
        &self,
        registry: &Registry,
        workspace_id: Uuid,
        revision: Revision,
    ) -> Result<Arc<PolicySet>, StoreError> {
        let known = match registry.in_force(workspace_id) {
            Some(policies) if policies.revision >= revision => return Ok(policies),
            Some(policies) if revision - policies.revision <= STEPS => policies,
            _ => return Ok(registry.swap(self.policy_set(workspace_id).await?)),
        };
        let missed = self
            .revisions_between(workspace_id, known.revision, revision)
            .await?;
        if missed.len() as u64 != revision - known.revision {
            return Ok(registry.swap(self.policy_set(workspace_id).await?));
        }
        let mut changes = Vec::new();
        for committed in &missed {
            match committed.policy_changes() {
                Ok(made) => changes.extend(made),
                Err(_) => return Ok(registry.swap(self.policy_set(workspace_id).await?)),
            }
        }
        Ok(registry.swap(known.with(&changes, revision)))
    }

    /// Where an account stands, and the policies of that very revision: what decides together
    /// about the records it may see and send.
    ///
    /// Errors: not found if the account is no member of the workspace.
    pub async fn policies_for(
        &self,
        registry: &Registry,
        workspace_id: Uuid,
        account_id: Uuid,
    ) -> Result<(Arc<PolicySet>, Standing), StoreError> {
        for _ in 0..ATTEMPTS {
            let standing = self.standing(workspace_id, account_id).await?;
            let standing = standing.ok_or(StoreError::NotFound("member"))?;
            let policies = self
                .policies_since(registry, workspace_id, standing.revision)
                .await?;
            if policies.revision == standing.revision {
                return Ok((policies, standing));
            }
        }
        Err(StoreError::Stale)
    }
}
