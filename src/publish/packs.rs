//! Packs: destination policies from files, planned and published in one revision.

use std::collections::BTreeSet;
use std::sync::Arc;

use uuid::Uuid;

use super::{ATTEMPTS, Publisher};
use crate::guard::PolicyFault;
use crate::policy::difference::{Difference, difference};
use crate::policy::pack::Pack;
use crate::policy::{Change, Fault, PolicySet, Revision};
use crate::principal::{Act, Standing};
use crate::store::StoreError;

/// What a pack would change in a workspace, or has changed.
#[derive(Clone, Debug)]
pub struct PackPlan {
    /// The policies against which it was made.
    pub before: Arc<PolicySet>,
    /// Where whoever asked for it stood then.
    pub principal: Standing,
    /// The changes; none if the workspace is as the pack says.
    pub differences: Vec<Difference>,
}

impl PackPlan {
    /// The policies after the changes.
    pub fn after(&self) -> PolicySet {
        let changes = self.changes();
        self.before.with(&changes, self.before.revision + 1)
    }

    fn changes(&self) -> Vec<Change> {
        let edits = self.differences.iter().map(|found| found.edit.clone());
        edits.map(Change::DestinationPolicy).collect()
    }

    /// A fault of a policy as a fault of the pack that has it.
    fn within_pack(&self, refused: PolicyFault) -> Fault {
        let of_pack = self.differences.iter().find_map(|found| {
            let id = found.edit.after.as_ref().map(|after| after.id);
            (id.is_some() && id == refused.policy_id).then_some(found.of_pack)?
        });
        match of_pack {
            Some(i) => {
                let tree = format!("$.policies[{i}].filter_tree");
                Fault::new(
                    refused.fault.path.replacen('$', &tree, 1),
                    refused.fault.message,
                )
            }
            None => Fault::new("$", refused.to_string()),
        }
    }
}

/// Why a pack was not planned or applied. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It does not fit the workspace: every fault, with its path in the pack.
    #[error("the pack does not fit the workspace: {} faults", .0.len())]
    Faults(Vec<Fault>),
    /// The workspace is at another revision than the one that was expected.
    #[error("the workspace is at revision {current}, not at {expected}: plan again")]
    Moved {
        /// The revision that was expected.
        expected: Revision,
        /// The revision of the workspace.
        current: Revision,
    },
    /// The store refused it or could not be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Publisher {
    /// Finds what a pack would change, and compiles that against every model it would govern. With
    /// `prune`, policies that the pack does not name would be deleted.
    pub async fn plan_pack(
        &self,
        workspace_id: Uuid,
        pack: &Pack,
        prune: bool,
        act: &Act,
        new_id: fn() -> Uuid,
    ) -> Result<PackPlan, PackError> {
        let (before, principal) = self
            .store
            .policies_for(&self.registry, workspace_id, act.account_id)
            .await?;
        let models = self.store.list_models(workspace_id).await?;
        let differences =
            difference(pack, prune, &before, &models, act, new_id).map_err(PackError::Faults)?;
        let plan = PackPlan {
            before,
            principal,
            differences,
        };
        let refused = self.check(&plan.before, &plan.changes(), act.at).await?;
        if refused.is_empty() {
            return Ok(plan);
        }
        // A policy for several destination types has the same fault for each of them.
        let mut known = BTreeSet::new();
        let faults = refused.into_iter().map(|refused| plan.within_pack(refused));
        Err(PackError::Faults(
            faults
                .filter(|fault| known.insert(fault.to_string()))
                .collect(),
        ))
    }

    /// Publishes what a pack changes as one revision; if it changes nothing, there is none.
    /// Answers the plan and the revision of the workspace.
    ///
    /// Errors: `expected` is given and the workspace is at another revision.
    pub async fn apply_pack(
        &self,
        workspace_id: Uuid,
        pack: &Pack,
        prune: bool,
        expected: Option<Revision>,
        act: &Act,
        new_id: fn() -> Uuid,
    ) -> Result<(PackPlan, Revision), PackError> {
        for _ in 0..ATTEMPTS {
            let plan = self
                .plan_pack(workspace_id, pack, prune, act, new_id)
                .await?;
            let current = plan.before.revision;
            if let Some(expected) = expected.filter(|expected| *expected != current) {
                return Err(PackError::Moved { expected, current });
            }
            let changes = plan.changes();
            if changes.is_empty() {
                return Ok((plan, current));
            }
            match self
                .store
                .commit(workspace_id, &changes, current, act)
                .await
            {
                Err(StoreError::Stale) => continue,
                Err(error) => return Err(error.into()),
                Ok(revision) => {
                    self.registry.advance(current, workspace_id, &changes);
                    return Ok((plan, revision));
                }
            }
        }
        Err(StoreError::Stale.into())
    }
}
