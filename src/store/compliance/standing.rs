//! The organisation, and where an account stands in its governance.

use uuid::Uuid;

use super::super::database::{Db, Tx};
use super::super::{Store, StoreError, workspaces};
use crate::compliance::OrganizationId;
use crate::principal::{OWNER, Permissions};

impl Store {
    /// A transaction that changes governance. They follow each other: all of them end in one audit
    /// chain, and what they lock on the way has no order.
    pub(super) async fn govern(&self) -> Result<Tx, StoreError> {
        let mut tx = self.write().await?;
        workspaces::hold_all(&mut tx).await?;
        Ok(tx)
    }

    /// The organisation that this installation serves.
    pub async fn organization(&self) -> Result<OrganizationId, StoreError> {
        let row = optional!(
            self,
            (Uuid,),
            "SELECT id FROM organizations WHERE is_own ORDER BY id LIMIT 1",
        )?;
        let lost = || StoreError::Corrupt("there is no organisation".into());
        row.map(|(id,)| OrganizationId(id)).ok_or_else(lost)
    }

    /// The workspace from which the organisation is governed: its first. Whoever may change
    /// governance there may do so for the organisation.
    pub async fn home_workspace(&self) -> Result<Uuid, StoreError> {
        let row = optional!(
            self,
            (Uuid,),
            "SELECT id FROM workspaces ORDER BY created_at, id LIMIT 1",
        )?;
        row.map(|(id,)| id).ok_or(StoreError::NotFound("workspace"))
    }

    /// The account as which processes of ours act on the organisation: of the owners of its first
    /// workspace, the one who joined first.
    pub async fn organization_owner(&self) -> Result<Uuid, StoreError> {
        let home = self.home_workspace().await?;
        let row = optional!(
            self,
            (Uuid,),
            "SELECT account_id FROM members WHERE workspace_id = $1 AND role_id = $2
             ORDER BY created_at, account_id LIMIT 1",
            home,
            OWNER,
        )?;
        row.map(|(id,)| id).ok_or(StoreError::NotFound("owner"))
    }

    /// The permissions that an account has in each of its workspaces.
    pub async fn permissions_everywhere(
        &self,
        account_id: Uuid,
    ) -> Result<Vec<(Uuid, Permissions)>, StoreError> {
        let mut everywhere = Vec::new();
        for workspace in self.list_workspaces(account_id).await? {
            if let Some(standing) = self.standing(workspace.id, account_id).await? {
                everywhere.push((workspace.id, standing.permissions));
            }
        }
        Ok(everywhere)
    }
}
