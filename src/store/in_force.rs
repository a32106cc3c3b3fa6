//! The policies in force, learnt anew at each use.

use std::sync::Arc;

use uuid::Uuid;

use super::{Store, StoreError};
use crate::guard::Registry;
use crate::policy::PolicySet;

impl Store {
    /// The policies that are committed now: one cheap statement where nothing changed since the
    /// registry last learnt of them, else the whole set.
    ///
    /// Whoever releases data asks before each batch. A store that cannot be read is an error, so
    /// nothing is ever released under policies that may be outdated.
    pub async fn policies_in_force(
        &self,
        registry: &Registry,
        workspace_id: Uuid,
    ) -> Result<Arc<PolicySet>, StoreError> {
        let revision = self.revision(workspace_id).await?;
        match registry.in_force(workspace_id) {
            Some(policies) if policies.revision == revision => Ok(policies),
            _ => Ok(registry.swap(self.policy_set(workspace_id).await?)),
        }
    }
}
